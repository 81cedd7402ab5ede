//! CPU time per call of the shared models (and any ONNX files named on the command line), one thread, batch 1 and 32.
//!
//! Prints `name batch microseconds` lines; scripts/bench_runtime.sh runs this and onnxruntime one after the other.
#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints its measurements"
)]

use std::path::PathBuf;

use runtime::{Dim, Limits, Model, Scratch, TensorView};

/// CPU time of this thread in seconds, from the kernel's scheduler statistics (nanoseconds); wall time elsewhere.
fn cpu_seconds(start: std::time::Instant) -> f64 {
    // Yielding makes the kernel bring its count up to date.
    std::thread::yield_now();
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|s| s.split(' ').next().and_then(|v| v.parse::<f64>().ok()));
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |n| n / 1e9)
}

/// Best of several rounds of enough calls to last about 0.2 s each.
fn microseconds(mut call: impl FnMut()) -> f64 {
    let start = std::time::Instant::now();
    for _ in 0..5 {
        call();
    }
    let once = std::time::Instant::now();
    call();
    let calls = ((0.2 / once.elapsed().as_secs_f64().max(1e-7)) as usize).clamp(3, 100_000);
    (0..5)
        .map(|_| {
            let before = cpu_seconds(start);
            for _ in 0..calls {
                call();
            }
            (cpu_seconds(start) - before) / calls as f64 * 1e6
        })
        .fold(f64::INFINITY, f64::min)
}

fn files() -> Vec<PathBuf> {
    let named: Vec<PathBuf> =
        std::env::args().skip(1).filter(|a| a.ends_with(".onnx")).map(PathBuf::from).collect();
    if !named.is_empty() {
        return named;
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let shared = std::env::var_os("ASEPSIS_SHARED").map_or_else(|| root.join("shared"), PathBuf::from);
    let names = ["wdbc_mlp", "wdbc_gbt", "heart_cleveland_gbt", "pneumonia_cnn"];
    names.iter().map(|n| shared.join(format!("data/models/{n}.onnx"))).filter(|p| p.exists()).collect()
}

/// A repeatable stand-in for data: a linear congruential sequence in 0..1 (Numerical Recipes constants).
fn values(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0
        })
        .collect()
}

fn main() {
    for path in files() {
        let bytes = std::fs::read(&path).unwrap();
        let model = Model::load(&bytes, &Limits::default()).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let input = &model.inputs()[0];
        for batch in [1usize, 32] {
            let length = |d: &Dim| if let Dim::Fixed(n) = d { *n } else { batch };
            let shape: Vec<usize> = input.shape.as_ref().unwrap().iter().map(length).collect();
            let x = values(shape.iter().product());
            let mut scratch = Scratch::new();
            let time = microseconds(|| {
                let view = TensorView::f32(&shape, &x);
                std::hint::black_box(model.run(&[(&input.name, view)], &mut scratch).unwrap());
            });
            println!("{name} {batch} {time:.2}");
        }
    }
}
