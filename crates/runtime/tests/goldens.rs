//! Results equal onnxruntime's to 1e-5: every operator, scikit-learn exports, and the shared models on real patients.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "test code")]

mod common;

use common::{difference, goldens, read, shared, tensor};
use runtime::{Limits, Model, Scratch, Tensor, TensorView};
use serde_json::Value;

/// Runs one case and gives the differences found.
fn check(name: &str, bytes: &[u8], inputs: &[(String, Tensor)], outputs: &[Value]) -> Vec<String> {
    let model = match Model::load(bytes, &Limits::default()) {
        Ok(model) => model,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let views: Vec<(&str, TensorView<'_>)> = inputs.iter().map(|(n, t)| (n.as_str(), t.view())).collect();
    let mut scratch = Scratch::new();
    let mut found = Vec::new();
    // Twice: the second run meets used buffers.
    for _ in 0..2 {
        match model.run(&views, &mut scratch) {
            Err(error) => found.push(format!("{name}: {error}")),
            Ok(got) => {
                for ((got_name, got), want) in got.iter().zip(outputs) {
                    assert_eq!(got_name, want["name"].as_str().unwrap());
                    if let Some(text) = difference(got, &tensor(want)) {
                        found.push(format!("{name}, output `{got_name}`: {text}"));
                    }
                }
                if got.len() != outputs.len() {
                    found.push(format!("{name}: {} outputs", got.len()));
                }
            }
        }
    }
    found
}

fn named(list: &Value) -> Vec<(String, Tensor)> {
    let name = |v: &Value| v["name"].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|v| (name(v), tensor(v))).collect()
}

#[test]
fn every_operator_equals_onnxruntime() {
    let file = read("operators.json");
    let models = std::fs::read(goldens().join("operators.onnxs")).unwrap();
    let mut found = Vec::new();
    for (at, case) in file["cases"].as_array().unwrap().iter().enumerate() {
        let from = case["model_at"].as_u64().unwrap() as usize;
        let bytes = &models[from..from + case["model_bytes"].as_u64().unwrap() as usize];
        let name = format!("{} (case {at})", case["operator"].as_str().unwrap());
        found.extend(check(&name, bytes, &named(&case["inputs"]), case["outputs"].as_array().unwrap()));
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn scikit_learn_exports_equal_onnxruntime() {
    let file = read("sklearn.json");
    let mut found = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let name = case["model"].as_str().unwrap();
        let bytes = std::fs::read(goldens().join(name)).unwrap();
        found.extend(check(name, &bytes, &named(&case["inputs"]), case["outputs"].as_array().unwrap()));
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

#[test]
fn shared_models_on_real_patients_equal_onnxruntime() {
    let Some(shared) = shared() else { return };
    let file = read("shared_models.json");
    let pixels: Vec<f32> =
        file["pixels"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as f32 / 255.0).collect();
    let images = Tensor::f32(&[20, 1, 28, 28], pixels).unwrap();
    let mut found = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let name = case["model"].as_str().unwrap();
        let bytes = std::fs::read(shared.join("data/models").join(name)).unwrap();
        let input = if case["input"].is_null() { images.clone() } else { tensor(&case["input"]) };
        let inputs = [("input".to_owned(), input)];
        found.extend(check(name, &bytes, &inputs, case["outputs"].as_array().unwrap()));
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}
