//! How fast bodies are read and written, beside `serde_json` with derived types on the same bytes in the same run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "a benchmark stops at the first surprise"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domain::{Tensor, TensorData};
use oip::{Answer, Ask, Encoding, Limits, Params, Wants, rest};
use serde::Deserialize;

/// What one would write first: fixed type of `data`, no limits, no checks.
#[derive(Deserialize)]
struct PlainRequest {
    inputs: Vec<PlainTensor>,
}

#[derive(Deserialize)]
struct PlainTensor {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    data: Vec<f32>,
}

/// `n` values as clinical ones are written: a few significant digits, reproducible without a random generator.
fn tensor(rows: usize, columns: usize) -> Tensor {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let value = |i: usize| ((i * 7919) % 100_003) as f32 / 1000.0;
    let data = (0..rows * columns).map(value).collect();
    Tensor::new("input", vec![rows, columns], TensorData::Fp32(data)).expect("shape fits")
}

fn bodies(c: &mut Criterion) {
    let limits = Limits::default();
    let none = Params::new();
    for (label, rows, columns) in
        [("table 1x30", 1, 30), ("table 256x30", 256, 30), ("image 32x784", 32, 784)]
    {
        let inputs = [tensor(rows, columns)];
        let ask = Ask { id: Some("1"), inputs: &inputs, outputs: &[], parameters: &none };
        let json = rest::write_request(&ask, Encoding::Json).expect("is written");
        let binary = rest::write_request(&ask, Encoding::Binary).expect("is written");
        let mut group = c.benchmark_group(label);
        group.throughput(Throughput::Bytes(json.body.len() as u64));
        group.bench_function("read JSON", |b| {
            b.iter(|| rest::parse_request(black_box(&json.body), None, &limits).is_ok());
        });
        group.bench_function("read JSON, serde_json", |b| {
            b.iter(|| {
                let read: PlainRequest = serde_json::from_slice(black_box(&json.body)).expect("is JSON");
                let t = &read.inputs[0];
                t.data.len() + t.name.len() + t.shape.len() + t.datatype.len()
            });
        });
        group.bench_function("read binary", |b| {
            b.iter(|| rest::parse_request(black_box(&binary.body), binary.header_len, &limits).is_ok());
        });
        let answer = Answer {
            model_name: "m".into(),
            model_version: None,
            id: None,
            parameters: Params::new(),
            outputs: inputs.to_vec(),
        };
        group.bench_function("write JSON", |b| {
            b.iter(|| rest::write_response(black_box(&answer), &Wants::JSON).is_ok())
        });
        group.finish();
    }
}

criterion_group!(benches, bodies);
criterion_main!(benches);
