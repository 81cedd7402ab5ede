//! Speed of finding names and of judging claims, on generated clinical prose.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use knowledge::Knowledge;

/// Prose with a drug or a disease in every other sentence.
fn prose() -> String {
    let sentences = [
        "The patient was seen in clinic for follow-up of hypertension and reports no new symptoms since the last visit. ",
        "Blood pressure today is 128/76 mm Hg, pulse 72 per minute, and the examination of heart and lungs is unremarkable. ",
        "Lisinopril 10 mg daily and metformin 500 mg twice daily are continued; she tolerates both without difficulty. ",
        "She walks two miles on most days, sleeps well, and has returned to her work in the library. ",
        "Propranolol is contraindicated in asthma, and the family asked about alternatives for migraine. ",
        "Laboratory results are pending and will be discussed by telephone next week with her daughter present. ",
    ];
    sentences.concat().repeat(400)
}

fn link(c: &mut Criterion) {
    let Ok(core) = Knowledge::core() else { return };
    let text = prose();
    let mut group = c.benchmark_group("knowledge");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.sample_size(20);
    group.bench_function("names", |b| b.iter(|| core.linker().find(&text).len()));
    group.bench_function("claims", |b| b.iter(|| core.claims(&text).len()));
    group.finish();
    c.bench_function("knowledge/core", |b| b.iter(|| Knowledge::core().map(|k| k.graph().edge_count())));
}

criterion_group!(benches, link);
criterion_main!(benches);
