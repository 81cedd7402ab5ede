//! Scores and input gradients per second of CPU time, one thread, for the shared models (or ONNX files named on the
//! command line) at batch 1, 32 and 256.
//!
//! Prints `name batch forward_per_s both_per_s` lines: rows scored, and rows scored and differentiated, in a CPU second.
//! scripts/bench_gradient.py measures PyTorch on the same shapes.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints its measurements"
)]

use std::path::PathBuf;

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

fn main() {
    for path in files() {
        let model = Model::load(&std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let mut gradient = model.differentiate(&model.outputs()[0].name).unwrap();
        let (width, classes) = (gradient.width(), gradient.classes());
        let mut rng = numeric::Rng::new(1, 0);
        for rows in [1usize, 32, 256] {
            let x: Vec<f32> = (0..rows * width).map(|_| rng.uniform() as f32).collect();
            let d: Vec<f32> = (0..rows * classes).map(|_| rng.normal() as f32).collect();
            let mut out = vec![0.0; x.len()];
            let forward = calls_per_second(|| {
                std::hint::black_box(gradient.forward(&x, rows).unwrap());
            });
            let both = calls_per_second(|| {
                gradient.forward(&x, rows).unwrap();
                gradient.backward(&d, &mut out).unwrap();
                std::hint::black_box(&out);
            });
            let name = path.file_stem().unwrap().to_string_lossy();
            println!("{name} {rows} {:.0} {:.0}", forward * rows as f64, both * rows as f64);
        }
    }
}
