//! Scores and input gradients per second of CPU time, one thread, for the shared models (or ONNX files named on the
//! command line) at batch 1, 32 and 256 (or the batch sizes named there).
//!
//! Prints `name batch forward_per_s both_per_s` lines: rows scored, and rows scored and differentiated, in a CPU second.
//! With `training` as argument, CPU seconds of one epoch of the small CNN instead.
//! scripts/bench_gradient.py measures PyTorch on the same shapes.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints its measurements"
)]

use std::ops::ControlFlow;
use std::path::PathBuf;

use runtime::training::{TrainOptions, Trainable, small_cnn};
use runtime::{Limits, Model};

/// CPU time of this thread in seconds, from the kernel's scheduler statistics; wall time elsewhere.
fn cpu_seconds(start: std::time::Instant) -> f64 {
    // Yielding makes the kernel bring its count up to date.
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|s| s.split(' ').next().and_then(|v| v.parse::<f64>().ok()));
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |n| n / 1e9)
}

/// Calls per CPU second: best of several rounds of about 0.2 s.
fn calls_per_second(mut call: impl FnMut()) -> f64 {
    let start = std::time::Instant::now();
    for _ in 0..3 {
        call();
    }
    let once = std::time::Instant::now();
    call();
    let calls = ((0.2 / once.elapsed().as_secs_f64().max(1e-7)) as usize).clamp(2, 100_000);
    let rounds = (0..5).map(|_| {
        let before = cpu_seconds(start);
        for _ in 0..calls {
            call();
        }
        calls as f64 / (cpu_seconds(start) - before)
    });
    rounds.fold(0.0, f64::max)
}

fn files() -> Vec<PathBuf> {
    let named: Vec<PathBuf> =
        std::env::args().skip(1).filter(|a| a.ends_with(".onnx")).map(PathBuf::from).collect();
    if !named.is_empty() {
        return named;
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let shared = std::env::var_os("ASEPSIS_SHARED").map_or_else(|| root.join("shared"), PathBuf::from);
    let names = ["wdbc_mlp", "pneumonia_cnn"];
    names.iter().map(|n| shared.join(format!("data/models/{n}.onnx"))).filter(|p| p.exists()).collect()
}

/// Rows of the training part of PneumoniaMNIST.
const TRAINING_ROWS: usize = 4_708;

/// CPU seconds of one epoch of the small CNN on as many images as PneumoniaMNIST has for training, batch 32.
fn training() {
    let mut rng = numeric::Rng::new(1, 0);
    let x: Vec<f32> = (0..TRAINING_ROWS * 784).map(|_| rng.uniform() as f32).collect();
    let y: Vec<usize> = (0..TRAINING_ROWS).map(|_| rng.below(2)).collect();
    let start = std::time::Instant::now();
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let mut net = Trainable::fresh(&small_cnn(1, 28, 28, 2), 1).unwrap();
        let options = TrainOptions { epochs: 1, ..TrainOptions::default() };
        let before = cpu_seconds(start);
        net.train(&x, &y, &options, &mut |_| ControlFlow::Continue(())).unwrap();
        best = best.min(cpu_seconds(start) - before);
    }
    println!("training small_cnn, one epoch of {TRAINING_ROWS}: {best:.2} CPU s");
}

fn main() {
    if std::env::args().any(|a| a == "training") {
        return training();
    }
    for path in files() {
        let model = Model::load(&std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let mut gradient = model.differentiate(&model.outputs()[0].name).unwrap();
        let (width, classes) = (gradient.width(), gradient.classes());
        let mut rng = numeric::Rng::new(1, 0);
        let named: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
        for rows in if named.is_empty() { vec![1, 32, 256] } else { named } {
            let x: Vec<f32> = (0..rows * width).map(|_| rng.uniform() as f32).collect();
            let d: Vec<f32> = (0..rows * classes).map(|_| rng.normal() as f32).collect();
            let mut out = vec![0.0; x.len()];
            let forward = calls_per_second(|| {
                std::hint::black_box(gradient.forward(&x, rows).unwrap());
            });
            let both = calls_per_second(|| {
                let mut loss = |first: usize, _: &[f32], to: &mut [f32]| {
                    to.copy_from_slice(&d[first * classes..][..to.len()]);
                };
                gradient.both(&x, rows, &mut loss, &mut out).unwrap();
                std::hint::black_box(&out);
            });
            let name = path.file_stem().unwrap().to_string_lossy();
            println!("{name} {rows} {:.0} {:.0}", forward * rows as f64, both * rows as f64);
        }
    }
}
