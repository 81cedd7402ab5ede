//! How gradients go backward through an operator: each family of operators is one file that compiles a node into its adjoint.

use super::tape::Flow;
use super::{binary, conv, index, linear_ml, matrix, norm, pool, reduce, shape, unary};
use crate::error::{LoadError, OpResult};
use crate::ops::NodeCtx;

/// The vector-Jacobian product of a compiled node.
pub(crate) trait Adjoint: Send {
    /// Takes the gradients of the outputs from `flow` and gives those of the inputs that are wanted.
    fn back(&mut self, flow: &mut Flow<'_, '_>) -> OpResult<()>;
}

/// What the derivative of an operator is.
pub(crate) enum Rule {
    /// Computed by this.
    Adjoint(Box<dyn Adjoint>),
    /// 0 wherever it exists (rounding, comparing, shapes): nothing flows back.
    Zero,
}

/// What a family returns: `None` if the operator is not one of its own.
pub(crate) type Ruled = OpResult<Option<Rule>>;

/// An adjoint as a family's answer.
pub(super) fn done(adjoint: impl Adjoint + 'static) -> Ruled {
    Ok(Some(Rule::Adjoint(Box::new(adjoint))))
}

type Family = fn(&NodeCtx<'_>) -> Ruled;

const FAMILIES: &[Family] = &[
    binary::compile,
    conv::compile,
    index::compile,
    matrix::compile,
    norm::compile,
    pool::compile,
    reduce::compile,
    shape::compile,
    unary::compile,
];

const ML_FAMILIES: &[Family] = &[linear_ml::compile];

/// Operators that are flat wherever they have a derivative.
const FLAT: &[&str] = &[
    "Shape",
    "Size",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "And",
    "Or",
    "Xor",
    "Not",
    "IsNaN",
    "ArgMax",
    "ArgMin",
    "Floor",
    "Ceil",
    "Round",
    "Sign",
    "ConstantOfShape",
    "Range",
];

/// Compiles the derivative of a node, or says why there is none.
pub(crate) fn compile(ctx: &NodeCtx<'_>) -> Result<Rule, LoadError> {
    let (operator, node) = (ctx.node.operator.clone(), ctx.node.name.clone());
    if !ctx.node.is_ml && FLAT.contains(&operator.as_str()) {
        return Ok(Rule::Zero);
    }
    for family in if ctx.node.is_ml { ML_FAMILIES } else { FAMILIES } {
        match family(ctx) {
            Ok(None) => {}
            Ok(Some(rule)) => return Ok(rule),
            Err(error) => return Err(LoadError::Node { operator, node, what: error.0 }),
        }
    }
    let what = match operator.as_str() {
        "TreeEnsembleClassifier" | "TreeEnsembleRegressor" => {
            "trees are flat between their thresholds; use a search on scores or labels".to_owned()
        }
        _ => "its derivative is not covered, docs/runtime.md lists those that are".to_owned(),
    };
    Err(LoadError::NotDifferentiable { operator, node, what })
}
