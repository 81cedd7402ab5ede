//! Derivatives of the operators of `ai.onnx.ml` that have one: linear models, scaling, imputation, feature vectors.

use super::adjoint::{Adjoint, Rule, Ruled, done};
use super::index;
use super::shape::Same;
use super::tape::{Flow, values_mut};
use crate::error::{OpResult, op_bail};
use crate::kernel::gemm::Packed;
use crate::ops::NodeCtx;
use crate::ops::linear_ml::rows;
use crate::ops::tree_score::Post;
use crate::value::{Value, product};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Ruled {
    match ctx.node.operator.as_str() {
        "LinearClassifier" => linear(ctx, true),
        "LinearRegressor" => linear(ctx, false),
        "Scaler" => done(Scaler { scale: ctx.floats("scale")?.unwrap_or_default().to_vec() }),
        "Normalizer" => match ctx.text("norm", "MAX")? {
            "L2" => done(Normalizer { squares: true }),
            "L1" => done(Normalizer { squares: false }),
            _ => op_bail!("the derivative of norm `MAX` is not covered"),
        },
        "Imputer" => done(Imputer { replaced: ctx.float("replaced_value_float", 0.0)? }),
        "ZipMap" => done(Same),
        "ArrayFeatureExtractor" => index::moved(ctx),
        "Binarizer" => Ok(Some(Rule::Zero)),
        _ => Ok(None),
    }
}

fn linear(ctx: &NodeCtx<'_>, classifier: bool) -> Ruled {
    let Some(weights) = ctx.floats("coefficients")?.filter(|w| !w.is_empty()) else {
        op_bail!("attribute `coefficients` is missing")
    };
    let labels = ctx.ints("classlabels_ints")?.map(<[i64]>::len);
    let labels = labels.or(ctx.texts("classlabels_strings")?.map(<[String]>::len)).unwrap_or(0);
    let targets = match (classifier, ctx.floats("intercepts")?) {
        (false, _) => usize::try_from(ctx.int("targets", 1)?).unwrap_or(0),
        (true, Some(bias)) if !bias.is_empty() => bias.len(),
        (true, _) => labels,
    };
    let Some(depth) = weights.len().checked_div(targets) else { op_bail!("has no targets") };
    let post = Post::read(ctx)?;
    if !matches!(post, Post::None | Post::Logistic | Post::Softmax) {
        op_bail!("the derivative of its post_transform is not covered");
    }
    let back = Packed::new(ctx.isa, [targets, depth], false, weights, None);
    done(Linear {
        back,
        post,
        scores: usize::from(classifier),
        pair: classifier && targets == 1 && labels == 2,
    })
}

struct Linear {
    /// Coefficients `[targets, features]`.
    back: Packed,
    post: Post,
    /// Which output the scores are.
    scores: usize,
    /// One row of coefficients stands for two classes.
    pair: bool,
}

impl Adjoint for Linear {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(self.scores) else { return Ok(()) };
        let mut d = flow.plain(d);
        let y = flow.y(self.scores)?.f32_values()?;
        let width = if self.pair { 2 } else { self.back.depth };
        for (d, y) in values_mut(&mut d)?.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
            match self.post {
                Post::Softmax => {
                    let dot: f32 = d.iter().zip(y).map(|(d, y)| d * y).sum();
                    d.iter_mut().zip(y).for_each(|(d, y)| *d = y * (*d - dot));
                }
                Post::Logistic => d.iter_mut().zip(y).for_each(|(d, y)| *d *= y * (1.0 - y)),
                _ => {}
            }
        }
        if self.pair {
            let one: Vec<f32> = d.f32_values()?.as_chunks::<2>().0.iter().map(|[no, yes]| yes - no).collect();
            d = Value::f32s(vec![one.len(), 1], one);
        }
        let x = flow.x(0)?;
        let (_, count, _) = rows(x)?;
        let mut dx = flow.ctx.take(product(&x.shape));
        self.back.run(d.f32_values()?, count, &mut dx, false);
        flow.ctx.give_value(d);
        flow.give(0, Value::f32s(x.shape.clone(), dx))
    }
}

struct Scaler {
    scale: Vec<f32>,
}

impl Adjoint for Scaler {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        let scale = self.scale.iter().cycle();
        values_mut(&mut d)?.iter_mut().zip(scale).for_each(|(d, s)| *d *= s);
        flow.give(0, d)
    }
}

struct Normalizer {
    squares: bool,
}

impl Adjoint for Normalizer {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        let x = flow.x(0)?;
        let (values, _, width) = rows(x)?;
        let results = flow.y(0)?.f32_values()?;
        let lines = values.chunks_exact(width.max(1)).zip(results.chunks_exact(width.max(1)));
        for (d, (x, y)) in values_mut(&mut d)?.chunks_exact_mut(width.max(1)).zip(lines) {
            let size: f32 = if self.squares {
                x.iter().map(|v| v * v).sum::<f32>().sqrt()
            } else {
                x.iter().map(|v| v.abs()).sum()
            };
            // A row of zeros stays as it is, and so does its gradient.
            if size == 0.0 {
                continue;
            }
            let dot: f32 = d.iter().zip(y).map(|(d, y)| d * y).sum();
            for (d, (x, y)) in d.iter_mut().zip(x.iter().zip(y)) {
                let outward = if self.squares {
                    *y
                } else if *x == 0.0 {
                    0.0
                } else {
                    x.signum()
                };
                *d = (*d - dot * outward) / size;
            }
        }
        flow.give(0, d)
    }
}

struct Imputer {
    replaced: f32,
}

impl Adjoint for Imputer {
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()> {
        let Some(d) = flow.dy(0) else { return Ok(()) };
        let mut d = flow.plain(d);
        let (values, _, _) = rows(flow.x(0)?)?;
        for (d, x) in values_mut(&mut d)?.iter_mut().zip(values.iter()) {
            // What was replaced does not depend on the input any more.
            if (self.replaced.is_nan() && x.is_nan()) || *x == self.replaced {
                *d = 0.0;
            }
        }
        flow.give(0, d)
    }
}
