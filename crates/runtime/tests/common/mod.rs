//! Reading golden figures and comparing with them.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "test code")]

use std::path::PathBuf;

use runtime::{Tensor, TensorData};
use serde_json::Value;

/// The folder of golden figures.
pub fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// A golden file.
pub fn read(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(goldens().join(name)).unwrap()).unwrap()
}

/// The shared data folder, or `None` (said loudly) when it is not there.
pub fn shared() -> Option<PathBuf> {
    let set = std::env::var_os("ASEPSIS_SHARED").map(PathBuf::from);
    let path = set.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    if path.join("data/models").is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: no shared data at {} (set ASEPSIS_SHARED)", path.display());
    None
}

fn float(value: &Value) -> f32 {
    match value {
        Value::Null => f32::NAN,
        Value::String(text) if text == "inf" => f32::INFINITY,
        Value::String(_) => f32::NEG_INFINITY,
        other => other.as_f64().unwrap() as f32,
    }
}

/// A tensor as the script writes it.
pub fn tensor(json: &Value) -> Tensor {
    let shape = json["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let values = json["values"].as_array().unwrap();
    let data = match json["kind"].as_str().unwrap() {
        "f32" => TensorData::F32(values.iter().map(float).collect()),
        "f64" => TensorData::F64(values.iter().map(|v| v.as_f64().unwrap()).collect()),
        "i64" => TensorData::I64(values.iter().map(|v| v.as_i64().unwrap()).collect()),
        "i32" => TensorData::I32(values.iter().map(|v| v.as_i64().unwrap() as i32).collect()),
        "u8" => TensorData::U8(values.iter().map(|v| v.as_u64().unwrap() as u8).collect()),
        "bool" => TensorData::Bool(values.iter().map(|v| v.as_bool().unwrap()).collect()),
        "text" => TensorData::Text(values.iter().map(|v| v.as_str().unwrap().to_owned()).collect()),
        other => panic!("{other}"),
    };
    Tensor { shape, data }
}

/// Why two tensors differ by more than `1e-5` (absolute plus relative), or `None`.
pub fn difference(got: &Tensor, want: &Tensor) -> Option<String> {
    if got.shape != want.shape || got.data_type() != want.data_type() {
        return Some(format!(
            "{} {:?} for {} {:?}",
            got.data_type(),
            got.shape,
            want.data_type(),
            want.shape
        ));
    }
    let (TensorData::F32(a), TensorData::F32(b)) = (&got.data, &want.data) else {
        let same = match (&got.data, &want.data) {
            (TensorData::F64(a), TensorData::F64(b)) => {
                a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + b.abs()))
            }
            (a, b) => a == b,
        };
        return (!same).then(|| format!("{:?} for {:?}", got.data, want.data));
    };
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * (1.0 + b.abs());
        if !same {
            return Some(format!("value {at}: {a} for {b}"));
        }
    }
    None
}
