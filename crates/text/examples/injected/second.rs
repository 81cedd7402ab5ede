//! Trains the second look: stretches that the running sums point at, in orders and tasks put into clinical texts and in
//! clinical texts alone.

use numeric::Rng;
use text::Span;
use text::injected::model::{ALIEN, Model, Peak};
use text::injected::net::{FILTERS, INPUTS, Input, Net, REACH, inputs};

use super::train::{Choice, Example, examples};

const EPOCHS: usize = 5;
const RATE: f32 = 0.03;
const DECAY: f32 = 1e-3;
/// Stretches of a clinical text: the highest, and as many at random places.
const HIGHEST: usize = 3;
const ANYWHERE: usize = 3;

struct Stretch {
    inputs: Vec<Input>,
    order: bool,
    weight: f32,
}

/// Trains on what `choice` leaves, with the stretches that `sums` points at.
pub fn train(choice: &Choice, sums: &Model) -> Net {
    let mut rng = Rng::new(21, 2);
    let mut stretches = Vec::new();
    for example in examples(choice) {
        gather(&example, sums, &mut rng, &mut stretches);
    }
    let orders = stretches.iter().filter(|s| s.order).count();
    eprintln!("{orders} orders, {} clean stretches", stretches.len() - orders);
    fit(&stretches, &mut rng)
}

fn gather(example: &Example, sums: &Model, rng: &mut Rng, stretches: &mut Vec<Stretch>) {
    let [_, mut alien] = sums.track(&example.text, [99.0, 0.3]);
    let label = example.labels[ALIEN];
    if label == 0 {
        return;
    }
    let mut add = |span: Span, weight: f32| {
        stretches.push(Stretch { inputs: inputs(&example.text, span), order: label > 0, weight });
    };
    let within = Span::new(example.span.0, example.span.1);
    alien.peaks.sort_by(|a, b| b.score.total_cmp(&a.score));
    let place = |peak: &Peak| Span::new(peak.start, peak.end);
    if label > 0 {
        let best = alien.peaks.iter().map(place).find(|span| span.overlaps(within));
        add(best.unwrap_or(within), example.weight.min(2.0));
        return;
    }
    for peak in alien.peaks.iter().take(HIGHEST) {
        add(place(peak), 1.0);
    }
    for _ in 0..ANYWHERE {
        let start = rng.below(example.text.len().max(1));
        add(Span::new(start, start + 20 + rng.below(120)), 0.5);
    }
}

fn fit(stretches: &[Stretch], rng: &mut Rng) -> Net {
    let mut net = Net::empty();
    let scale = (2.0 / (REACH * INPUTS) as f64).sqrt();
    net.filters.iter_mut().flatten().for_each(|w| *w = (rng.normal() * scale) as f32);
    net.out.iter_mut().for_each(|w| *w = (rng.normal() * 0.1) as f32);
    let mut squares = Net::empty();
    for epoch in 0..EPOCHS {
        let rate = RATE * (1.0 - epoch as f32 / EPOCHS as f32);
        let mut loss = 0.0_f64;
        for at in rng.permutation(stretches.len()) {
            loss += f64::from(learn(&mut net, &mut squares, &stretches[at], rate, rng));
        }
        eprintln!("second look, epoch {epoch}: loss {:.4}", loss / stretches.len() as f64);
    }
    net
}

/// One step of AdaGrad; filters are left out at random, one in four.
fn learn(net: &mut Net, squares: &mut Net, stretch: &Stretch, rate: f32, rng: &mut Rng) -> f32 {
    let mut pooled = net.pool(&stretch.inputs);
    let mask = rng.bits() | rng.bits();
    for (f, value) in pooled.values.iter_mut().enumerate() {
        *value = if mask >> f & 1 == 1 { *value / 0.75 } else { 0.0 };
    }
    let sum = net.bias + net.out.iter().zip(&pooled.values).map(|(w, v)| w * v).sum::<f32>();
    let label = if stretch.order { 1.0 } else { -1.0 };
    let loss = (-label * sum).exp().ln_1p() * stretch.weight;
    let gradient = -label * stretch.weight / (1.0 + (label * sum).exp());
    if gradient.abs() < 1e-4 {
        return loss;
    }
    let step = |weight: &mut f32, square: &mut f32, slope: f32| {
        let slope = slope + DECAY * *weight;
        *square += slope * slope;
        *weight -= rate * slope / (square.sqrt() + 1e-2);
    };
    for f in 0..FILTERS {
        let value = pooled.values[f];
        if value <= 0.0 {
            continue;
        }
        let inner = gradient * net.out[f] / 0.75;
        step(&mut net.out[f], &mut squares.out[f], gradient * value);
        step(&mut net.offsets[f], &mut squares.offsets[f], inner);
        for place in 0..REACH {
            let at = pooled.places[f] + place;
            let Some(input) = at.checked_sub(REACH / 2).and_then(|i| stretch.inputs.get(i)) else { continue };
            for (i, &x) in input.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                let row = place * INPUTS + i;
                step(&mut net.filters[row][f], &mut squares.filters[row][f], inner * x);
            }
        }
    }
    step(&mut net.bias, &mut squares.bias, gradient);
    loss
}
