//! Cast between element types, and IsNaN.

use super::{Compiled, Kernel, NodeCtx, done, need};
use crate::error::{OpResult, op_bail};
use crate::tensor::{DataType, TensorData};
use crate::value::{Ctx, Value};

pub(super) fn compile(ctx: &NodeCtx<'_>) -> Compiled {
    match ctx.node.operator.as_str() {
        "Cast" => {
            let code = ctx.int("to", 0)?;
            match DataType::from_onnx(code) {
                Some(to) => done(Cast { to }),
                None => op_bail!("casts to element type {code}, which is not covered"),
            }
        }
        "IsNaN" => done(IsNan),
        _ => Ok(None),
    }
}

struct Cast {
    to: DataType,
}

/// Numbers of any type as float64 (exact except for integers beyond 2^53) for conversion to floats.
macro_rules! cast_numbers {
    ($v:expr, $to:expr) => {
        match $to {
            DataType::F32 => TensorData::F32($v.iter().map(|v| *v as f32).collect()),
            DataType::F64 => TensorData::F64($v.iter().map(|v| *v as f64).collect()),
            DataType::I64 => TensorData::I64($v.iter().map(|v| *v as i64).collect()),
            DataType::I32 => TensorData::I32($v.iter().map(|v| *v as i32).collect()),
            DataType::I8 => TensorData::I8($v.iter().map(|v| *v as i8).collect()),
            DataType::U8 => TensorData::U8($v.iter().map(|v| *v as u8).collect()),
            DataType::Bool => TensorData::Bool($v.iter().map(|v| *v as f64 != 0.0).collect()),
            DataType::Text => TensorData::Text($v.iter().map(|v| v.to_string()).collect()),
        }
    };
}

impl Kernel for Cast {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        let data = match &x.data {
            TensorData::F32(v) => cast_numbers!(v, self.to),
            TensorData::F64(v) => cast_numbers!(v, self.to),
            TensorData::I64(v) => cast_numbers!(v, self.to),
            TensorData::I32(v) => cast_numbers!(v, self.to),
            TensorData::I8(v) => cast_numbers!(v, self.to),
            TensorData::U8(v) => cast_numbers!(v, self.to),
            TensorData::Bool(v) => {
                let numbers: Vec<u8> = v.iter().map(|v| u8::from(*v)).collect();
                cast_numbers!(numbers, self.to)
            }
            TensorData::Text(v) => from_text(v, self.to)?,
        };
        Ok(vec![Value::plain(x.shape.clone(), data)])
    }
}

fn from_text(values: &[String], to: DataType) -> OpResult<TensorData> {
    fn parse<T: std::str::FromStr>(values: &[String]) -> OpResult<Vec<T>> {
        match values.iter().map(|v| v.trim().parse().ok()).collect() {
            Some(values) => Ok(values),
            // The text itself may be about a patient and is not repeated.
            None => op_bail!("met a text that is not a number"),
        }
    }
    Ok(match to {
        DataType::F32 => TensorData::F32(parse(values)?),
        DataType::F64 => TensorData::F64(parse(values)?),
        DataType::I64 => TensorData::I64(parse(values)?),
        DataType::I32 => TensorData::I32(parse(values)?),
        DataType::Text => TensorData::Text(values.to_vec()),
        _ => op_bail!("cannot cast text to {to}"),
    })
}

struct IsNan;

impl Kernel for IsNan {
    fn run(&self, ctx: &mut Ctx<'_>, inputs: &[Option<&Value>]) -> OpResult<Vec<Value>> {
        let x = need(inputs, 0)?;
        ctx.count(&x.shape)?;
        let out = x.f32_values()?.iter().map(|v| v.is_nan()).collect();
        Ok(vec![Value::plain(x.shape.clone(), TensorData::Bool(out))])
    }
}
