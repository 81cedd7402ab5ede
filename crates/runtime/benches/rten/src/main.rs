//! CPU time per call of rten on one thread, in the format of `cargo bench -p runtime`.
//!
//! Use: RTEN_NUM_THREADS=1 cargo run --release --manifest-path crates/runtime/benches/rten/Cargo.toml -- MODEL.onnx …

use rten::{Dimension, Model};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;

/// CPU time of all threads of the process in seconds, in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn microseconds(mut call: impl FnMut()) -> f64 {
    for _ in 0..5 {
        call();
    }
    let once = std::time::Instant::now();
    call();
    let calls = ((1.0 / once.elapsed().as_secs_f64().max(1e-7)) as usize).clamp(3, 200_000);
    (0..3)
        .map(|_| {
            let before = cpu_seconds();
            for _ in 0..calls {
                call();
            }
            (cpu_seconds() - before) / calls as f64 * 1e6
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    for path in std::env::args().skip(1) {
        let model = match Model::load_file(&path) {
            Ok(model) => model,
            Err(error) => {
                eprintln!("{path}: {error}");
                continue;
            }
        };
        let name = std::path::Path::new(&path).file_stem().unwrap().to_string_lossy().into_owned();
        let input = model.input_ids()[0];
        let output = model.output_ids()[0];
        let dims = model.node_info(input).unwrap().shape().unwrap();
        for batch in [1usize, 32] {
            let shape: Vec<usize> =
                dims.iter().map(|d| if let Dimension::Fixed(n) = d { *n } else { batch }).collect();
            let time = if let [n, f] = shape[..] {
                let x = NdTensor::<f32, 2>::full([n, f], 0.5);
                microseconds(|| drop(model.run(vec![(input, x.view().into())], &[output], None).unwrap()))
            } else {
                let x = NdTensor::<f32, 4>::full([shape[0], shape[1], shape[2], shape[3]], 0.5);
                microseconds(|| drop(model.run(vec![(input, x.view().into())], &[output], None).unwrap()))
            };
            println!("{name} {batch} {time:.2}");
        }
    }
}
