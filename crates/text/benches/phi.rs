//! How fast identifiers are found, masked and restored, per byte of a synthetic note.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops at the first surprise")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use text::mask::{Session, Style};
use text::phi::Finder;
use text::stream::{StreamMasker, StreamRestorer};

/// A note of about 100 kB, one identifier in about 120 bytes.
fn note() -> String {
    let lines = [
        "Seen by Dr. Okafor at Mercy General Hospital on 04/12/2023; MRN 4482910, phone (415) 555-0199.",
        "The abdomen is soft without organomegaly. Laboratory studies show hemoglobin 11.4 g/dL and platelets 250,000.",
        "Start metformin 500 mg BID, continue lisinopril 10 mg daily; follow up with Mary Lindqvist in two weeks.",
        "Blood pressure is 115/70 mm Hg; heart rate 88/min. Parkinson's disease is stable. No rash, no edema.",
    ];
    lines.join("\n").repeat(250)
}

fn phi(c: &mut Criterion) {
    let text = note();
    let mut group = c.benchmark_group("phi");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let mut finder = Finder::default();
    group.bench_function("find", |b| b.iter(|| finder.find(black_box(&text))));
    let found = finder.find(&text);
    for style in [Style::Placeholder, Style::Surrogate] {
        group.bench_function(format!("mask {style:?}"), |b| {
            b.iter(|| Session::new([7; 32], style).mask(black_box(&text), &found));
        });
        let mut session = Session::new([7; 32], style);
        let masked = session.mask(&text, &found).text;
        group
            .bench_function(format!("restore {style:?}"), |b| b.iter(|| session.restore(black_box(&masked))));
        let part = masked.get(..8_000).unwrap();
        group.throughput(Throughput::Bytes(8_000));
        group.bench_function(format!("restore a stream of 4 bytes {style:?}"), |b| {
            b.iter(|| {
                let mut restorer = StreamRestorer::new(&session);
                let sent: usize =
                    part.as_bytes().chunks(4).map(|p| restorer.push_bytes(p).unwrap().len()).sum();
                sent + restorer.finish().unwrap().len()
            });
        });
        group.bench_function(format!("mask a stream of 4 bytes {style:?}"), |b| {
            b.iter(|| {
                let mut masker = StreamMasker::new(Session::new([7; 32], style));
                let sent: usize =
                    text.as_bytes()[..8_000].chunks(4).map(|p| masker.push_bytes(p).unwrap().len()).sum();
                sent + masker.finish().unwrap().0.len()
            });
        });
        group.throughput(Throughput::Bytes(text.len() as u64));
    }
    group.finish();
}

criterion_group!(benches, phi);
criterion_main!(benches);
