//! ZipMap (as a plain tensor), ArrayFeatureExtractor, LabelEncoder, Imputer, Binarizer, FeatureVectorizer (ai.onnx.ml).

use std::collections::HashMap;

use super::linear_ml::rows;
use super::{Compiled, Kernel, NodeCtx, done, index, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::TensorData;
use crate::value::{Ctx, Value};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "ZipMap" => done(ZipMap),
        "ArrayFeatureExtractor" => done(ArrayFeatureExtractor),
        "LabelEncoder" => label_encoder(ctx),
        "Imputer" => imputer(ctx),
        "Binarizer" => done(Binarizer { threshold: ctx.float("threshold", 0.0)? }),
        "FeatureVectorizer" => done(FeatureVectorizer),
        _ => Ok(None),
    }
}

/// Gives the scores as they are: a map per row has no use here, the labels are in the file.
struct ZipMap;

impl Kernel for ZipMap {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        Ok(vec![x.clone()])
    }
}

struct ArrayFeatureExtractor;

impl Kernel for ArrayFeatureExtractor {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let (x, columns) = (need(inputs, 0)?, need(inputs, 1)?);
        let Some(last) = x.rank().checked_sub(1) else { op_bail!("needs at least one dimension") };
        let columns = Value::i64s(vec![columns.data.len()], columns.int_values()?);
        let mut out = index::gather(ctx, x, &columns, last)?;
        // The operator always gives at least two dimensions.
        if let (0, Some(value)) = (last, out.first_mut()) {
            value.shape.insert(0, 1);
        }
        Ok(out)
    }
}

/// A key of the table: floats by their bits, so that NaN can be a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Bits(u32),
    Int(i64),
    Text(String),
}

#[derive(Debug, Clone)]
enum Table {
    Floats(Vec<f32>, f32),
    Ints(Vec<i64>, i64),
    Texts(Vec<String>, String),
}

struct LabelEncoder {
    keys: HashMap<Key, usize>,
    values: Table,
}

fn bits(v: f32) -> u32 {
    // All NaN are one key, and both zeros.
    if v.is_nan() { f32::NAN.to_bits() } else { (v + 0.0).to_bits() }
}

fn label_encoder(ctx: &NodeCtx<'_>) -> Compiled {
    if ctx.texts("classes_strings")?.is_some() {
        op_bail!("is of ai.onnx.ml version 1; export with version 2 or later");
    }
    if ctx.tensor("keys_tensor")?.is_some() || ctx.tensor("values_tensor")?.is_some() {
        op_bail!("tables given as tensors are not covered");
    }
    let keys: Vec<Key> = if let Some(keys) = ctx.texts("keys_strings")? {
        keys.iter().cloned().map(Key::Text).collect()
    } else if let Some(keys) = ctx.ints("keys_int64s")? {
        keys.iter().copied().map(Key::Int).collect()
    } else if let Some(keys) = ctx.floats("keys_floats")? {
        keys.iter().map(|v| Key::Bits(bits(*v))).collect()
    } else {
        op_bail!("has no keys")
    };
    let values = if let Some(values) = ctx.texts("values_strings")? {
        Table::Texts(values.to_vec(), ctx.text("default_string", "_Unused")?.to_owned())
    } else if let Some(values) = ctx.ints("values_int64s")? {
        Table::Ints(values.to_vec(), ctx.int("default_int64", -1)?)
    } else if let Some(values) = ctx.floats("values_floats")? {
        Table::Floats(values.to_vec(), ctx.float("default_float", -0.0)?)
    } else {
        op_bail!("has no values")
    };
    let count = match &values {
        Table::Floats(v, _) => v.len(),
        Table::Ints(v, _) => v.len(),
        Table::Texts(v, _) => v.len(),
    };
    if count != keys.len() {
        op_bail!("has {} keys and {count} values", keys.len());
    }
    let mut table = HashMap::with_capacity(count);
    for (at, key) in keys.into_iter().enumerate() {
        table.entry(key).or_insert(at);
    }
    done(LabelEncoder { keys: table, values })
}

impl Kernel for LabelEncoder {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        let found: Vec<Option<usize>> = match &x.data {
            TensorData::F32(v) => v.iter().map(|v| self.keys.get(&Key::Bits(bits(*v))).copied()).collect(),
            TensorData::I64(v) => v.iter().map(|v| self.keys.get(&Key::Int(*v)).copied()).collect(),
            TensorData::Text(v) => v.iter().map(|v| self.keys.get(&Key::Text(v.clone())).copied()).collect(),
            _ => op_bail!("is not covered on {} values", x.data_type()),
        };
        fn pick<T: Clone>(found: &[Option<usize>], values: &[T], default: &T) -> Vec<T> {
            found.iter().map(|at| at.and_then(|at| values.get(at)).unwrap_or(default).clone()).collect()
        }
        let data = match &self.values {
            Table::Floats(v, default) => TensorData::F32(pick(&found, v, default)),
            Table::Ints(v, default) => TensorData::I64(pick(&found, v, default)),
            Table::Texts(v, default) => TensorData::Text(pick(&found, v, default)),
        };
        Ok(vec![Value::plain(x.shape.clone(), data)])
    }
}

struct Imputer {
    values: Vec<f32>,
    replaced: f32,
}

fn imputer(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.floats("imputed_value_floats")? {
        Some(values) if !values.is_empty() => {
            done(Imputer { values: values.to_vec(), replaced: ctx.float("replaced_value_float", 0.0)? })
        }
        _ => op_bail!("only float values are covered"),
    }
}

impl Kernel for Imputer {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let (values, _, width) = rows(x)?;
        if self.values.len() != 1 && self.values.len() != width {
            op_bail!("has {} values for {width} features", self.values.len());
        }
        let mut y = ctx.f32_buffer(&x.shape)?;
        for (at, (to, from)) in y.iter_mut().zip(values.iter()).enumerate() {
            let missing = if self.replaced.is_nan() { from.is_nan() } else { *from == self.replaced };
            let column = if self.values.len() == 1 { 0 } else { at % width.max(1) };
            *to = if missing { self.values[column] } else { *from };
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}

struct Binarizer {
    threshold: f32,
}

impl Kernel for Binarizer {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        let mut y = ctx.f32_buffer(&x.shape)?;
        for (to, from) in y.iter_mut().zip(x.f32_values()?) {
            *to = if *from > self.threshold { 1.0 } else { 0.0 };
        }
        Ok(vec![Value::f32s(x.shape.clone(), y)])
    }
}

struct FeatureVectorizer;

impl Kernel for FeatureVectorizer {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let mut parts = Vec::with_capacity(inputs.len());
        for input in inputs.iter().flatten() {
            parts.push(rows(input)?);
        }
        let Some(count) = parts.first().map(|p| p.1) else { op_bail!("has no input") };
        if parts.iter().any(|p| p.1 != count) {
            op_bail!("inputs differ in rows");
        }
        let width = parts.iter().map(|p| p.2).fold(0usize, usize::saturating_add);
        let mut y = ctx.f32_buffer(&[count, width])?;
        for (row, to) in y.chunks_exact_mut(width.max(1)).enumerate() {
            let mut at = 0;
            for (values, _, w) in &parts {
                to[at..at + w].copy_from_slice(&values[row * w..][..*w]);
                at += w;
            }
        }
        Ok(vec![Value::f32s(vec![count, width], y)])
    }
}
