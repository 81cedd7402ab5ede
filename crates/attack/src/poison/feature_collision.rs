//! Poisons with correct labels that collide with a chosen patient in the features of the model.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Gradients, Replies, Rows};
use crate::evasion::parameters;
use crate::measure::{labels_of, scores_of};
use crate::norm::Norm;
use crate::poison::{Poison, Poisoned, Registered, Stage, check_class, stream};
use crate::training::{Samples, Trained};

domain::catalogue_entry! {
    /// Training rows with correct labels are changed a little, so that one chosen patient is called what the attacker wants.
    ///
    /// ## What it is
    /// Rows of the class `target` are moved until a model trained on the clean data sees in them the features of a chosen test row of another class, while they still look
    /// like themselves (with a faint watermark of the chosen row). Their labels stay, and are right. A model trained on them puts the chosen row
    /// where they are. Success is the share of chosen rows that the trained model calls the target class; chosen are rows that a clean model gets right.
    ///
    /// ## Why it matters in care
    /// No reader of the labels can object: an image with pneumonia is labelled as pneumonia. Data contributed to a shared registry can aim at single patients.
    ///
    /// ## Limits
    /// Aims at chosen rows, not at a whole class. It is strong when only the last layer is trained again (transfer learning) and weak on a network trained from the start,
    /// where the poisons must be many. The attacker is taken to know the architecture and the data, not the seed. The weight of the distance is relative to
    /// the first distances, since features have no common scale.
    ///
    /// ## References
    /// Shafahi et al. 2018, arXiv:1804.00792.
    pub static ENTRY = { id: "X204", name: "feature-collision", kind: Attack, since: "0.1.0", maps: ["AML.T0020", "NISTAML.012", "NISTAML.024"] };
}

/// In the registry.
pub static POISON: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<FeatureCollision>(given)?)) };

/// Most steps that a suite may ask for.
const ITERATIONS_MAX: usize = 10_000;

/// Rows moved at once.
const BATCH_ROWS: usize = 64;

/// First step, as a share of the way from the poison to the chosen row.
const FIRST_STEP: f64 = 0.05;

/// What is aimed at, and how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct FeatureCollision {
    /// The class that the chosen rows shall be called.
    target: usize,
    /// How many test rows are aimed at in one training; the poisons are dealt out among them.
    targets: usize,
    /// Weight of staying close to the own row; 0.25 as in the paper.
    beta: f32,
    /// Weight of the chosen row laid over each poison beforehand, in [0, 1); 0.3 as in the paper's training from the start.
    watermark: f32,
    /// Steps.
    iterations: usize,
}

impl Default for FeatureCollision {
    fn default() -> Self {
        Self { target: 0, targets: 1, beta: 0.25, watermark: 0.3, iterations: 100 }
    }
}

impl FeatureCollision {
    fn check(&self, train: &Samples<'_>) -> Result<(), Fault> {
        check_class(self.target, train)?;
        if self.targets == 0 || self.iterations == 0 || self.iterations > ITERATIONS_MAX {
            return Err(Fault::NotApplicable(format!(
                "at least 1 target and 1 to {ITERATIONS_MAX} iterations are needed"
            )));
        }
        if !(self.beta >= 0.0 && self.beta.is_finite() && (0.0..1.0).contains(&self.watermark)) {
            return Err(Fault::NotApplicable("beta is 0 or more, the watermark in 0 to 1".to_owned()));
        }
        Ok(())
    }
}

impl Poison for FeatureCollision {
    fn poison(&self, stage: &mut Stage<'_>) -> Result<Poisoned, Fault> {
        self.check(&stage.train)?;
        let (train, test, width) = (stage.train, stage.test, stage.train.width());
        let Some(model) = stage.surrogate.as_deref_mut() else {
            return Err(Fault::NotApplicable("`feature-collision` needs a model of the attacker".to_owned()));
        };
        let seen = labels_of(model, test.rows(), width)?;
        let right = |at: &usize| {
            let label = test.labels().get(*at);
            label != Some(&self.target) && seen.get(*at).copied().flatten().as_ref() == label
        };
        let order = numeric::Rng::new(stage.seed, stream::TARGET).permutation(test.len());
        let chosen: Vec<usize> = order.into_iter().filter(right).take(self.targets).collect();
        if chosen.is_empty() {
            return Err(Fault::NotApplicable(
                "the clean model gets no row of another class right: there is nothing to take from it"
                    .to_owned(),
            ));
        }
        let mut out =
            Poisoned { rows: train.rows().to_vec(), labels: train.labels().to_vec(), ..Poisoned::default() };
        out.probes = test.pick(&chosen).0;
        out.wanted = vec![self.target; chosen.len()];
        in_features(model, |features| {
            let deals = deal(features, &train, self.target, &test, &chosen, stage.count)?;
            for part in deals.chunks(BATCH_ROWS) {
                if stage.pace.stop() {
                    return Err(Fault::Stopped);
                }
                self.collide(features, &train, &test, part, &mut out)?;
            }
            Ok(())
        })?;
        Ok(out)
    }

    fn needs_surrogate(&self) -> bool {
        true
    }
}

/// Works in the features of a model; a logistic regression has none before its scores, which then collide instead.
fn in_features<T>(model: &mut dyn Trained, work: impl FnOnce(&mut dyn Gradients) -> T) -> T {
    if let Some(features) = model.features() {
        return work(features);
    }
    work(model)
}

/// A training row, the test row that it shall look like, and that row's features.
struct Deal {
    place: usize,
    chosen: usize,
    features: Vec<f32>,
}

/// Deals the training rows of the target class out among the chosen rows: each in turn takes the one that is nearest to it in the features.
fn deal(
    model: &mut dyn Gradients,
    train: &Samples<'_>,
    target: usize,
    test: &Samples<'_>,
    chosen: &[usize],
    count: usize,
) -> Result<Vec<Deal>, Fault> {
    let width = train.width();
    let bases: Vec<usize> = (0..train.len()).filter(|at| train.labels().get(*at) == Some(&target)).collect();
    let known = scores_of(model, &train.pick(&bases).0, width)?;
    let goals = scores_of(model, &test.pick(chosen).0, width)?;
    let mut queues = Vec::new();
    for goal in 0..chosen.len() {
        let goal = goals.row(goal).unwrap_or_default();
        let far = |at: usize| Norm::L2.distance(goal, known.row(at).unwrap_or_default());
        let mut order: Vec<(f64, usize)> =
            bases.iter().enumerate().map(|(at, place)| (far(at), *place)).collect();
        // Ties keep the order of the data; a distance that is not a number goes last.
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        queues.push(order.into_iter().map(|(_, place)| place));
    }
    let (mut taken, mut deals) = (vec![false; train.len()], Vec::new());
    for turn in 0..count.min(bases.len()) {
        let goal = turn % chosen.len();
        let free = |place: &usize| taken.get(*place) == Some(&false);
        let Some(place) = queues.get_mut(goal).and_then(|q| q.find(free)) else { continue };
        taken.iter_mut().skip(place).take(1).for_each(|t| *t = true);
        let features = goals.row(goal).unwrap_or_default().to_vec();
        deals.push(Deal { place, chosen: chosen.get(goal).copied().unwrap_or(0), features });
    }
    Ok(deals)
}

/// One poison on its way.
struct Mover {
    /// Where it started: its own row with the watermark.
    base: Vec<f32>,
    /// Best so far, with its objective.
    best: Vec<f32>,
    value: f64,
    slope: Vec<f32>,
    step: f64,
    /// Weight of the distance from the base.
    beta: f64,
}

impl FeatureCollision {
    /// Moves the rows of `deals` by forward-backward splitting (algorithm 1 of the paper); a step that makes things worse is taken back and halved.
    fn collide(
        &self,
        model: &mut dyn Gradients,
        train: &Samples<'_>,
        test: &Samples<'_>,
        deals: &[Deal],
        out: &mut Poisoned,
    ) -> Result<(), Fault> {
        let width = train.width();
        let places: Vec<usize> = deals.iter().map(|d| d.place).collect();
        let mark = |(b, t): (&f32, &f32)| b + self.watermark * (t - b);
        let bases: Vec<Vec<f32>> = deals
            .iter()
            .map(|d| train.row(d.place).iter().zip(test.row(d.chosen)).map(mark).collect())
            .collect();
        let mut movers: Vec<Mover> = Vec::new();
        let mut rows: Vec<f32> = bases.concat();
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        for _ in 0..=self.iterations {
            let mut towards = |at: usize, features: &[f32], slope: &mut [f32]| {
                let goal = deals.get(at).map_or(&[][..], |d| &d.features);
                slope.iter_mut().zip(features).zip(goal).for_each(|((s, f), g)| *s = 2.0 * (f - g));
            };
            model.gradient(Rows::new(&rows, width, &places)?, &mut towards, &mut replies, &mut gradient)?;
            let slopes = gradient.chunks_exact(width);
            for (at, (row, slope)) in rows.chunks_exact_mut(width).zip(slopes).enumerate() {
                let (Some(deal), Some(base)) = (deals.get(at), bases.get(at)) else { continue };
                let gap = Norm::L2.distance(&deal.features, replies.row(at).unwrap_or_default()).powi(2);
                if movers.len() == at {
                    movers.push(self.start(base, test.row(deal.chosen), gap, slope));
                }
                if let Some(mover) = movers.get_mut(at) {
                    mover.look(row, gap, slope);
                    mover.step_to(row);
                }
            }
        }
        for (deal, mover) in deals.iter().zip(movers) {
            if let Some(place) = out.rows.get_mut(deal.place * width..(deal.place + 1) * width) {
                place.copy_from_slice(&mover.best);
                out.touched.push(deal.place);
            }
        }
        Ok(())
    }

    fn start(&self, base: &[f32], chosen: &[f32], gap: f64, slope: &[f32]) -> Mover {
        let way = Norm::L2.distance(base, chosen);
        let length = slope.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        Mover {
            base: base.to_vec(),
            best: base.to_vec(),
            value: f64::INFINITY,
            slope: slope.to_vec(),
            step: if length > 0.0 { FIRST_STEP * way / length } else { 0.0 },
            beta: if way > 0.0 { f64::from(self.beta) * gap / way.powi(2) } else { 0.0 },
        }
    }
}

impl Mover {
    /// Keeps `row` when it is better than what there was; a gradient that is not finite moves nothing.
    fn look(&mut self, row: &[f32], gap: f64, slope: &[f32]) {
        let value = gap + self.beta * Norm::L2.distance(&self.base, row).powi(2);
        if value < self.value && slope.iter().all(|g| g.is_finite()) {
            self.best.copy_from_slice(row);
            self.slope.copy_from_slice(slope);
            self.value = value;
            self.step *= 1.1;
        } else {
            self.step *= 0.5;
        }
    }

    /// Writes the next try: a step down the gap of the features, then back towards the base.
    #[expect(clippy::cast_possible_truncation, reason = "rows are of single precision")]
    fn step_to(&self, row: &mut [f32]) {
        let pull = self.step * self.beta;
        for (((value, best), slope), base) in row.iter_mut().zip(&self.best).zip(&self.slope).zip(&self.base)
        {
            let forward = f64::from(*best) - self.step * f64::from(*slope);
            *value = ((forward + pull * f64::from(*base)) / (1.0 + pull)).clamp(0.0, 1.0) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Quiet;
    use crate::poison::tests::{check_with, with_stage};
    use crate::training::small::{Small, images};
    use crate::training::{AsIs, Trainer as _};

    #[test]
    fn poisons_keep_their_labels_and_come_close_in_the_features() {
        let (train, test) = (images(120, 8, 0.3, 1), images(40, 8, 0.3, 2));
        let mut trainer = Small::MLP;
        let mut model = trainer.train(&train.samples().training(&Quiet), 9, &mut AsIs).unwrap();
        let mut stage = Stage {
            train: train.samples(),
            test: test.samples(),
            count: 6,
            seed: 4,
            surrogate: Some(model.as_mut()),
            pace: &Quiet,
        };
        let given = serde_json::json!({ "targets": 2 });
        let out = check_with("feature-collision", &given, &mut stage).unwrap();
        assert_eq!((out.touched.len(), out.wanted.len()), (6, 2));
        assert_eq!(out.labels, train.labels, "labels stay right");
        let gap = |model: &mut dyn Gradients, row: &[f32], probe: &[f32]| {
            let seen = scores_of(model, &[row, probe].concat(), 64).unwrap();
            Norm::L2.distance(seen.row(0).unwrap(), seen.row(1).unwrap())
        };
        let features = model.features().unwrap();
        for (turn, at) in out.touched.iter().enumerate() {
            let probe = &out.probes[(turn % 2) * 64..(turn % 2 + 1) * 64];
            let before = gap(features, train.samples().row(*at), probe);
            let after = gap(features, &out.rows[at * 64..(at + 1) * 64], probe);
            assert!(after < 0.4 * before, "{after} of {before}");
        }
    }

    #[test]
    fn without_a_model_or_with_odd_parameters_it_says_so() {
        with_stage(3, |stage| {
            assert!(check_with("feature-collision", &serde_json::json!({}), stage).is_err());
            assert!(check_with("feature-collision", &serde_json::json!({ "iterations": 0 }), stage).is_err());
        });
    }
}
