//! Gradients and training steps equal PyTorch's to 1e-4, and what has no gradient is refused by name.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "test code")]

mod common;

use common::{goldens, read, shared};
use runtime::training::{Optimizer, TrainOptions, Trainable, Weights};
use runtime::{Gradient, Limits, LoadError, Model, RunError};
use serde_json::Value;
use std::ops::ControlFlow;

fn load(path: &std::path::Path) -> Model {
    Model::load(&std::fs::read(path).unwrap(), &Limits::default()).unwrap()
}

fn golden(name: &str) -> Model {
    load(&goldens().join(name))
}

fn floats(case: &Value, key: &str) -> Vec<f32> {
    case[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// Largest difference, relative to the largest value wanted (or 1).
fn apart(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let size = want.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / size
}

fn check(model: &Model, case: &Value) {
    let name = case["model"].as_str().unwrap();
    let output = model.outputs()[0].name.clone();
    let mut gradient = model.differentiate(&output).unwrap();
    let rows = case["rows"].as_u64().unwrap() as usize;
    let (x, d, want) = (floats(case, "input"), floats(case, "cotangent"), floats(case, "gradient"));
    let mut got = vec![0.0; x.len()];
    // Twice: the second pass meets used buffers.
    for _ in 0..2 {
        let scores = gradient.forward(&x, rows).unwrap();
        assert!(apart(scores, &floats(case, "scores")) < 1e-4, "{name}");
        gradient.backward(&d, &mut got).unwrap();
        assert!(apart(&got, &want) < 1e-4, "{name}: {}", apart(&got, &want));
    }
    // Relative to the largest gradient too, which may be small.
    let size = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let scaled = |v: &[f32]| v.iter().map(|v| v / size).collect::<Vec<_>>();
    assert!(apart(&scaled(&got), &scaled(&want)) < 1e-4, "{name}");
    let mut joined = vec![0.0; x.len()];
    let classes = gradient.classes();
    let mut loss = |first: usize, scores: &[f32], to: &mut [f32]| {
        to.copy_from_slice(&d[first * classes..][..scores.len()]);
    };
    gradient.both(&x, rows, &mut loss, &mut joined).unwrap();
    assert!(apart(&scaled(&joined), &scaled(&want)) < 1e-4, "{name}");
}

#[test]
fn gradients_equal_pytorch() {
    let file = read("gradients.json");
    for case in file["cases"].as_array().unwrap() {
        check(&golden(case["model"].as_str().unwrap()), case);
    }
    let Some(shared) = shared() else { return };
    for case in file["shared"].as_array().unwrap() {
        check(&load(&shared.join("data/models").join(case["model"].as_str().unwrap())), case);
    }
}

#[test]
fn three_steps_of_training_equal_pytorch() {
    let mut checked = 0;
    for case in read("gradients.json")["cases"].as_array().unwrap() {
        let Some(labels) = case["labels"].as_array() else { continue };
        let labels: Vec<usize> = labels.iter().map(|v| v.as_u64().unwrap() as usize).collect();
        let model = golden(case["model"].as_str().unwrap());
        let x = floats(case, "input");
        for (key, optimizer) in [("adamw", Optimizer::AdamW), ("sgd", Optimizer::Sgd { momentum: 0.9 })] {
            let mut trained = Trainable::of(&model, &model.outputs()[0].name, Weights::Kept).unwrap();
            let options = TrainOptions {
                epochs: 3,
                batch: 3,
                learning_rate: 1e-2,
                weight_decay: 0.1,
                optimizer,
                seed: 1,
            };
            trained.train(&x, &labels, &options, &mut |_| ControlFlow::Continue(())).unwrap();
            let got = trained.scores(&x, 3).unwrap();
            let want = floats(case, key);
            assert!(apart(&got, &want) < 2e-4, "{} {key}: {got:?} for {want:?}", case["model"]);
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
}

fn differentiate(name: &str, output: usize) -> Result<Gradient, LoadError> {
    let model = golden(name);
    model.differentiate(&model.outputs()[output].name)
}

#[test]
fn trees_have_no_gradient_and_say_so() {
    let error = differentiate("sklearn/boosting_two.onnx", 1).unwrap_err();
    assert!(matches!(error, LoadError::NotDifferentiable { .. }), "{error}");
    assert!(error.to_string().contains("TreeEnsembleClassifier"), "{error}");
}

#[test]
fn an_unknown_output_and_labels_are_refused() {
    let model = golden("sklearn/mlp.onnx");
    assert!(matches!(model.differentiate("nothing"), Err(LoadError::Graph { .. })));
    let labels = model.outputs()[0].name.clone();
    assert!(model.differentiate(&labels).is_err());
}

#[test]
fn scikit_learn_models_have_gradients() {
    for name in ["mlp", "logistic_scaled", "linear"] {
        let model = golden(&format!("sklearn/{name}.onnx"));
        let output = model.outputs().last().unwrap().name.clone();
        let mut gradient = model.differentiate(&output).unwrap();
        let width = gradient.width();
        let x: Vec<f32> = (0..width).map(|i| (i as f32 * 0.37).sin()).collect();
        gradient.forward(&x, 1).unwrap();
        let mut d = vec![0.0; gradient.classes()];
        *d.last_mut().unwrap() = 1.0;
        let mut out = vec![0.0; width];
        gradient.backward(&d, &mut out).unwrap();
        for at in 0..width {
            let mut value = |delta: f32| {
                let mut moved = x.clone();
                moved[at] += delta;
                f64::from(*gradient.forward(&moved, 1).unwrap().last().unwrap())
            };
            let slope = (value(1e-2) - value(-1e-2)) / 2e-2;
            assert!(
                (slope - f64::from(out[at])).abs() < 1e-3 * (1.0 + slope.abs()),
                "{name} {at}: {slope} {out:?}"
            );
        }
    }
}

#[test]
fn nan_comes_through_and_lengths_are_checked() {
    let mut gradient = differentiate("gradients/cnn.onnx", 0).unwrap();
    let width = gradient.width();
    let mut out = vec![0.0; width];
    assert_eq!(gradient.backward(&[1.0; 3], &mut out), Err(RunError::NoForward));
    assert!(matches!(gradient.forward(&vec![0.0; width + 1], 1), Err(RunError::Length { .. })));
    assert!(matches!(gradient.forward(&[], 0), Err(RunError::Length { .. })));
    let mut x = vec![0.1; width];
    x[5] = f32::NAN;
    gradient.forward(&x, 1).unwrap();
    assert!(gradient.scores().iter().all(|v| v.is_nan()));
    // A gradient that is NaN on its way passes everything that is not switched off.
    let lively: Vec<f32> = (0..width).map(|i| 2.0 * (i as f32 * 0.9).sin()).collect();
    gradient.forward(&lively, 1).unwrap();
    gradient.backward(&[f32::NAN, 0.0, 0.0], &mut out).unwrap();
    assert!(out.iter().any(|v| v.is_nan()));
    assert!(matches!(gradient.backward(&[1.0], &mut out), Err(RunError::Length { .. })));
}

#[test]
fn a_batch_gives_each_row_the_gradient_it_has_alone() {
    let mut gradient = differentiate("gradients/residual.onnx", 0).unwrap();
    let (width, classes, rows) = (gradient.width(), gradient.classes(), 70);
    let mut rng = numeric::Rng::new(3, 0);
    let x: Vec<f32> = (0..rows * width).map(|_| rng.normal() as f32).collect();
    let d: Vec<f32> = (0..rows * classes).map(|_| rng.normal() as f32).collect();
    let mut all = vec![0.0; x.len()];
    gradient.forward(&x, rows).unwrap();
    gradient.backward(&d, &mut all).unwrap();
    for row in [0, 1, 31, 32, 69] {
        let mut one = vec![0.0; width];
        gradient.forward(&x[row * width..][..width], 1).unwrap();
        gradient.backward(&d[row * classes..][..classes], &mut one).unwrap();
        assert!(apart(&one, &all[row * width..][..width]) < 1e-5);
    }
}
