//! A trainer for tests: one hidden layer or none, gradient descent with momentum, in plain loops.

use super::*;
use crate::access::{Cotangent, Labels, Replies, Rows, Scores};

/// How the test models are trained.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small {
    /// Width of the hidden layer; 0 gives a logistic regression.
    pub(crate) hidden: usize,
    pub(crate) epochs: usize,
    pub(crate) rate: f32,
}

impl Small {
    pub(crate) const LOGISTIC: Self = Self { hidden: 0, epochs: 30, rate: 0.1 };
    pub(crate) const MLP: Self = Self { hidden: 24, epochs: 60, rate: 0.05 };
}

/// One linear layer, weights output by output.
#[derive(Debug, Clone)]
struct Layer {
    inputs: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    speed: Vec<f32>,
    bias_speed: Vec<f32>,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, rng: &mut numeric::Rng) -> Self {
        let scale = (2.0 / inputs as f64).sqrt();
        let weights: Vec<f32> = (0..inputs * outputs).map(|_| (rng.normal() * scale) as f32).collect();
        let speed = vec![0.0; weights.len()];
        Self { inputs, weights, bias: vec![0.0; outputs], speed, bias_speed: vec![0.0; outputs] }
    }

    fn forward(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs).zip(&self.bias);
        rows.map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
    }

    fn back(&self, slope: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.inputs];
        for (w, s) in self.weights.chunks_exact(self.inputs).zip(slope) {
            out.iter_mut().zip(w).for_each(|(o, w)| *o += w * s);
        }
        out
    }

    fn learn(&mut self, steps: &[(Vec<f32>, Vec<f32>)], rate: f32) {
        let mut gradient = vec![0.0; self.weights.len()];
        let mut bias = vec![0.0; self.bias.len()];
        for (x, slope) in steps {
            for ((g, b), s) in gradient.chunks_exact_mut(self.inputs).zip(&mut bias).zip(slope) {
                g.iter_mut().zip(x).for_each(|(g, x)| *g += s * x);
                *b += s;
            }
        }
        let n = steps.len() as f32;
        let step = |w: &mut [f32], v: &mut [f32], g: &[f32]| {
            for ((w, v), g) in w.iter_mut().zip(v).zip(g) {
                *v = 0.9 * *v - rate * g / n;
                *w += *v;
            }
        };
        step(&mut self.weights, &mut self.speed, &gradient);
        step(&mut self.bias, &mut self.bias_speed, &bias);
    }
}

/// Layers, with a ramp between two.
#[derive(Debug, Clone)]
pub(crate) struct Net {
    space: Space,
    layers: Vec<Layer>,
    cut: Option<Box<Net>>,
}

impl Net {
    fn run(&self, row: &[f32]) -> Vec<Vec<f32>> {
        let mut values = vec![row.to_vec()];
        for (at, layer) in self.layers.iter().enumerate() {
            let mut out = layer.forward(&values[at]);
            if at + 1 < self.layers.len() || self.is_cut() {
                out.iter_mut().for_each(|v| *v = v.max(0.0));
            }
            values.push(out);
        }
        values
    }

    /// A net of features alone ends with the ramp.
    fn is_cut(&self) -> bool {
        self.space.classes == usize::MAX
    }

    fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |l| l.bias.len())
    }
}

impl Labels for Net {
    fn space(&self) -> Space {
        Space { classes: self.outputs(), ..self.space }
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        self.decisions(rows, out)
    }
}

impl Scores for Net {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        out.reset(rows.len(), self.outputs());
        out.scores = rows.iter().flat_map(|row| self.run(row).pop().unwrap_or_default()).collect();
        Ok(())
    }
}

impl Gradients for Net {
    fn gradient(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        self.scores(rows, replies)?;
        gradient.clear();
        for (at, row) in rows.iter().enumerate() {
            let values = self.run(row);
            let mut slope = vec![0.0; self.outputs()];
            cotangent(at, &values[self.layers.len()], &mut slope);
            for (place, layer) in self.layers.iter().enumerate().rev() {
                if place + 1 < self.layers.len() || self.is_cut() {
                    slope.iter_mut().zip(&values[place + 1]).for_each(|(s, v)| *s *= f32::from(*v > 0.0));
                }
                slope = layer.back(&slope);
            }
            gradient.extend(slope);
        }
        Ok(())
    }
}

impl Trained for Net {
    fn features(&mut self) -> Option<&mut dyn Gradients> {
        if self.layers.len() < 2 {
            return None;
        }
        if self.cut.is_none() {
            let space = Space { classes: usize::MAX, ..self.space };
            self.cut = Some(Box::new(Net { space, layers: self.layers[..1].to_vec(), cut: None }));
        }
        self.cut.as_deref_mut().map(|net| net as &mut dyn Gradients)
    }
}

impl Trainer for Small {
    fn train(
        &mut self,
        data: &Training<'_>,
        seed: u64,
        hook: &mut dyn Hook,
    ) -> Result<Box<dyn Trained>, Fault> {
        data.check()?;
        let (width, classes) = (data.space.layout.len(), data.space.classes);
        let mut rng = numeric::Rng::new(seed, 77);
        let sizes = if self.hidden == 0 { vec![width, classes] } else { vec![width, self.hidden, classes] };
        let layers = sizes.windows(2).map(|s| Layer::new(s[0], s[1], &mut rng)).collect();
        let mut net = Net { space: data.space, layers, cut: None };
        let batches = data.len().div_ceil(BATCH) as u64;
        let mut step = 0;
        for _ in 0..self.epochs {
            for batch in rng.permutation(data.len()).chunks(BATCH) {
                if data.pace.stop() {
                    return Err(Fault::Stopped);
                }
                let mut rows: Vec<f32> =
                    batch.iter().flat_map(|at| &data.rows[at * width..(at + 1) * width]).copied().collect();
                let targets: Vec<Vec<f32>> = batch.iter().map(|at| target(data, *at)).collect();
                let labels: Vec<usize> =
                    targets.iter().map(|t| crate::access::argmax(t).unwrap_or(0)).collect();
                let steps = batches * self.epochs as u64;
                hook.batch(
                    &mut net,
                    Batch { rows: &mut rows, labels: &labels, samples: batch, step, steps },
                )?;
                step += 1;
                learn(&mut net, &rows, &targets, batch, data.weights, self.rate);
            }
        }
        Ok(Box::new(net))
    }
}

/// Rows of a step of training.
const BATCH: usize = 32;

fn target(data: &Training<'_>, at: usize) -> Vec<f32> {
    let classes = data.space.classes;
    match data.targets {
        Targets::Labels(labels) => (0..classes).map(|c| f32::from(u8::from(labels[at] == c))).collect(),
        Targets::Soft(soft) => soft[at * classes..(at + 1) * classes].to_vec(),
    }
}

fn learn(
    net: &mut Net,
    rows: &[f32],
    targets: &[Vec<f32>],
    batch: &[usize],
    weights: Option<&[f32]>,
    rate: f32,
) {
    let mut steps: Vec<Vec<(Vec<f32>, Vec<f32>)>> = vec![Vec::new(); net.layers.len()];
    for ((row, target), at) in rows.chunks_exact(net.space.layout.len()).zip(targets).zip(batch) {
        let mut values = net.run(row);
        let mut slope = values.pop().unwrap();
        numeric::softmax_in_place(&mut slope);
        let weight = weights.map_or(1.0, |w| w[*at]);
        slope.iter_mut().zip(target).for_each(|(p, t)| *p = weight * (*p - t));
        for (place, layer) in net.layers.iter().enumerate().rev() {
            let x = values.pop().unwrap();
            let mut below = layer.back(&slope);
            below.iter_mut().zip(&x).for_each(|(s, v)| *s *= f32::from(place == 0 || *v > 0.0));
            steps[place].push((x, std::mem::replace(&mut slope, below)));
        }
    }
    for (layer, steps) in net.layers.iter_mut().zip(&steps) {
        layer.learn(steps, rate);
    }
}

/// Generated data for tests.
pub(crate) struct Generated {
    pub(crate) rows: Vec<f32>,
    pub(crate) labels: Vec<usize>,
    pub(crate) space: Space,
}

impl Generated {
    pub(crate) fn samples(&self) -> Samples<'_> {
        Samples::new(&self.rows, &self.labels, self.space).unwrap()
    }
}

/// Images of `side` × `side`: dim noise, and in class 1 a brighter middle; `apart` is how much brighter.
pub(crate) fn images(rows: usize, side: usize, apart: f64, seed: u64) -> Generated {
    let mut rng = numeric::Rng::new(seed, 0);
    let labels: Vec<usize> = (0..rows).map(|at| at % 2).collect();
    let middle = side / 4..side - side / 4;
    let mut values = Vec::new();
    for label in &labels {
        for y in 0..side {
            for x in 0..side {
                let inside = middle.contains(&y) && middle.contains(&x) && *label == 1;
                let level = 0.3 + if inside { apart } else { 0.0 } + 0.12 * rng.normal();
                values.push(level.clamp(0.0, 1.0) as f32);
            }
        }
    }
    let layout = Layout::Image { channels: 1, height: side, width: side };
    Generated { rows: values, labels, space: Space { layout, classes: 2 } }
}

/// A table: `informative` features that differ between the classes, the rest noise.
pub(crate) fn table(rows: usize, features: usize, informative: usize, apart: f64, seed: u64) -> Generated {
    let mut rng = numeric::Rng::new(seed, 1);
    let labels: Vec<usize> = (0..rows).map(|at| at % 2).collect();
    let mut values = Vec::new();
    for label in &labels {
        for feature in 0..features {
            let shift = if *label == 1 && feature < informative { apart } else { 0.0 };
            values.push((0.4 + shift + 0.12 * rng.normal()).clamp(0.0, 1.0) as f32);
        }
    }
    Generated { rows: values, labels, space: Space { layout: Layout::Table { features }, classes: 2 } }
}

/// Rows of yes and no whose class is the first of them, save a share `wrong` that only learning by heart gets right.
pub(crate) fn memorable(rows: usize, features: usize, wrong: f64, seed: u64) -> Generated {
    let mut rng = numeric::Rng::new(seed, 2);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let row: Vec<usize> = (0..features).map(|_| rng.below(2)).collect();
        labels.push(if rng.uniform() < wrong { 1 - row[0] } else { row[0] });
        values.extend(row.iter().map(|v| *v as f32));
    }
    Generated { rows: values, labels, space: Space { layout: Layout::Table { features }, classes: 2 } }
}

#[test]
fn the_test_models_learn_and_their_gradients_are_right() {
    let data = images(200, 6, 0.2, 1);
    for mut trainer in [Small::LOGISTIC, Small::MLP] {
        let training = data.samples().training(&crate::pace::Quiet);
        let mut model = trainer.train(&training, 3, &mut AsIs).unwrap();
        let held_out = images(200, 6, 0.2, 2);
        let standing = crate::measure::standing(model.as_mut(), &held_out.samples()).unwrap();
        assert!(standing.accuracy.share > 0.9, "{standing:?}");
        check_gradient(model.as_mut(), &data.rows[..36]);
        if let Some(features) = model.features() {
            check_gradient(features, &data.rows[..36]);
        }
    }
}

fn check_gradient(model: &mut dyn Gradients, row: &[f32]) {
    let sum = |model: &mut dyn Gradients, row: &[f32]| {
        let mut out = Replies::default();
        model.scores(Rows::new(row, row.len(), &[0]).unwrap(), &mut out).unwrap();
        out.scores.iter().enumerate().map(|(i, s)| s * (1.0 + i as f32)).sum::<f32>()
    };
    let (mut replies, mut gradient) = (Replies::default(), Vec::new());
    let mut weights = |_: usize, _: &[f32], out: &mut [f32]| {
        out.iter_mut().enumerate().for_each(|(i, o)| *o = 1.0 + i as f32);
    };
    model
        .gradient(Rows::new(row, row.len(), &[0]).unwrap(), &mut weights, &mut replies, &mut gradient)
        .unwrap();
    for at in [0, 7, 20] {
        let (mut up, mut down) = (row.to_vec(), row.to_vec());
        up[at] += 1e-2;
        down[at] -= 1e-2;
        let slope = (sum(model, &up) - sum(model, &down)) / 2e-2;
        assert!((slope - gradient[at]).abs() < 0.05 * (1.0 + slope.abs()), "{slope} {}", gradient[at]);
    }
}
