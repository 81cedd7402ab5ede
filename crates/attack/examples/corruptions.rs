//! Measures the thirteen families of the benchmark at five severities on the 624 test images: CPU seconds of this thread, and with a model's name, what they cost.
//! `cargo run --release -p attack --example corruptions [MODEL]`, with `ASEPSIS_SHARED` (default `../shared`). Without the data, drawn images are corrupted.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people at a terminal")]

use std::path::PathBuf;

use attack::corruption::{CORRUPTIONS, Measures, Setting, Source, Subject};
use attack::{Layout, Replies, Rows, Scores as _};
use runtime::{Classifier, Limits, Model, Reading};

const XRAY: Layout = Layout::Image { channels: 1, height: 28, width: 28 };

fn shared() -> PathBuf {
    std::env::var_os("ASEPSIS_SHARED").map_or_else(|| "../shared".into(), Into::into)
}

/// Seconds that this thread has computed.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn images() -> (Vec<f32>, Vec<usize>) {
    if let Ok(bytes) = std::fs::read(shared().join("data/imaging/pneumoniamnist.npz")) {
        let test = testkit::data::medmnist(&bytes).unwrap().test;
        return (test.inputs.data, test.labels.iter().map(|l| *l as usize).collect());
    }
    println!("no X-rays: drawn images");
    let mut rng = numeric::Rng::new(1, 0);
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    let rows = (0..624 * XRAY.len()).map(|_| rng.uniform() as f32).collect();
    (rows, vec![0; 624])
}

fn main() {
    let (rows, labels) = images();
    let samples: Vec<usize> = (0..labels.len()).collect();
    let given = Rows::new(&rows, XRAY.len(), &samples).unwrap();
    let mut model = std::env::args().nth(1).map(|name| {
        let bytes = std::fs::read(shared().join(format!("data/models/{name}.onnx"))).unwrap();
        let model = Model::load(&bytes, &Limits::default()).unwrap();
        Classifier::new(&model, &Reading::unit(XRAY), &rows).unwrap()
    });
    let (mut out, mut replies, mut total) = (Vec::new(), Replies::default(), 0.0);
    for family in CORRUPTIONS.iter().filter(|c| c.subject == Subject::Image) {
        let (mut seconds, mut accuracies) = (0.0, Vec::new());
        for severity in 1..=family.strengths.values.len() {
            let start = cpu();
            let corruption = family.configure(Setting { severity: Some(severity), strength: None }).unwrap();
            corruption.images(given, XRAY, 1, &mut out).unwrap();
            seconds += cpu() - start;
            if let Some(model) = &mut model {
                model.scores(Rows::new(&out, XRAY.len(), &samples).unwrap(), &mut replies).unwrap();
                let seen = Measures::of(&replies, &labels, 1).unwrap();
                accuracies.push(format!("{:.4}", seen.accuracy.share));
            }
        }
        if family.source == Source::Benchmark {
            total += seconds;
        }
        println!("{:<18} {:>7.1} ms  {}", family.entry.name, seconds * 1e3, accuracies.join(" "));
    }
    println!("benchmark families, all severities, {} images: {total:.3} CPU s", labels.len());
}
