//! One step of a suite on one chunk of samples: the unit of work that is computed on any thread, kept, and resumed.

use serde::{Deserialize, Serialize};

use super::{Step, settled};
use crate::access::{Fault, Labels, Rows};
use crate::evasion::{self, GradientHealth, Registered, Target, Task};
use crate::norm::Ball;
use crate::pace::Pace;
use crate::scorecard::Sighted;

/// Samples that the model gets right, to be attacked together. Chunks are fixed by the samples alone, so that the threads change nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunk {
    /// Which chunk, counted from 0.
    pub number: usize,
    /// Rows of the unit box.
    pub starts: Vec<f32>,
    /// Their true classes.
    pub labels: Vec<usize>,
    /// Which sample of the exercise each is.
    pub samples: Vec<usize>,
}

/// What became of one sample at one budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Found {
    /// Which sample.
    pub sample: usize,
    /// The least distance at which it fell within this budget; none when it stands.
    pub fell: Option<f64>,
    /// Rows asked for it at this budget.
    pub queries: u64,
    /// The model did not answer the same twice.
    pub unstable: bool,
}

/// What one step found on one chunk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Piece {
    /// Which step, counted from 0.
    pub step: usize,
    /// Which chunk, counted from 0.
    pub chunk: usize,
    /// One list per budget that was finished, upwards.
    pub budgets: Vec<Vec<Found>>,
    /// What the gradients were like, all budgets together.
    pub gradients: GradientHealth,
    /// The nearest row found for a sample that fell: sample, class seen, row of the unit box.
    pub nearest: Vec<(usize, Option<usize>, Vec<f32>)>,
    /// Why it ended before its budgets were done.
    pub fault: Option<String>,
    /// Why it cannot be run on this target at all.
    pub skipped: Option<String>,
    /// What the guards saw of it, where it went through a gateway.
    #[serde(default, skip_serializing_if = "Sighted::is_empty")]
    pub sighted: Sighted,
}

/// What went before: the least distance at which a sample fell to an earlier step in the same norm.
pub type Fallen<'a> = &'a dyn Fn(usize) -> Option<f64>;

/// Runs `step` on `chunk` at every budget, upwards: what fell at a smaller budget has fallen at a larger one and is not attacked again.
///
/// # Errors
/// [`Fault::Stopped`] when it was asked to end; nothing of the piece is kept then. Other faults end in the piece.
pub fn attack_chunk(
    at: usize,
    step: &Step,
    target: &mut Target<'_>,
    chunk: &Chunk,
    fallen: Fallen<'_>,
    seed: u64,
    pace: &dyn Pace,
) -> Result<Piece, Fault> {
    let mut piece = Piece { step: at, chunk: chunk.number, ..Piece::default() };
    let (registered, attack) = match configured(step) {
        Ok(both) => both,
        Err(why) => {
            piece.fault = Some(why);
            return Ok(piece);
        }
    };
    let count = step.samples.unwrap_or(usize::MAX);
    let mut state: Vec<Found> = chunk
        .samples
        .iter()
        .filter(|s| **s < count)
        .map(|s| Found { sample: *s, fell: fallen(*s), queries: 0, unstable: false })
        .collect();
    let mut nearest: Vec<Option<Vec<f32>>> = vec![None; state.len()];
    // An attack that looks for the smallest change needs to look once, and at all that stand the smallest budget.
    let budgets: &[f64] = if registered.minimal {
        step.epsilons.last().map(std::slice::from_ref).unwrap_or_default()
    } else {
        &step.epsilons
    };
    for (round, epsilon) in budgets.iter().enumerate() {
        pace.round(Some(round));
        for found in &mut state {
            found.queries = 0;
        }
        let smallest = step.epsilons.first().filter(|_| registered.minimal).unwrap_or(epsilon);
        let call = Call {
            registered,
            attack: &attack,
            chunk,
            ball: Ball { norm: step.norm, epsilon: *epsilon },
            spared: Ball { norm: step.norm, epsilon: *smallest },
            queries_max: step.queries_max,
            seed,
            pace,
        };
        let ran = call.run(target, &mut state, &mut nearest);
        match ran {
            Ok(gradients) => piece.gradients.add(gradients),
            Err(Fault::Stopped) => return Err(Fault::Stopped),
            Err(Fault::NotApplicable(why)) => {
                piece.skipped = Some(why);
                return Ok(piece);
            }
            Err(other) => {
                piece.fault = Some(other.to_string());
                break;
            }
        }
        if registered.minimal {
            piece.budgets = step.epsilons.iter().map(|e| at_budget(&state, *e)).collect();
        } else {
            piece.budgets.push(at_budget(&state, *epsilon));
        }
    }
    pace.round(None);
    name_classes(target, chunk, &mut piece, &state, nearest);
    Ok(piece)
}

/// The attack of a step, with its parameters.
fn configured(step: &Step) -> Result<(&'static Registered, evasion::Evasion), String> {
    let registered =
        evasion::find(&step.attack).ok_or_else(|| format!("there is no attack `{}`", step.attack))?;
    let object = serde_json::Value::Object(step.parameters.clone().into_iter().collect());
    Ok((registered, (registered.build)(&object)?))
}

/// What had fallen at `epsilon`: what a smallest-change search found beyond it stands there.
fn at_budget(state: &[Found], epsilon: f64) -> Vec<Found> {
    let ball = Ball { norm: crate::norm::Norm::Linf, epsilon };
    state.iter().map(|f| Found { fell: f.fell.filter(|d| ball.admits(*d)), ..*f }).collect()
}

/// One run of an attack at one budget.
struct Call<'a> {
    registered: &'a Registered,
    attack: &'a evasion::Evasion,
    chunk: &'a Chunk,
    ball: Ball,
    /// What fell within this is not attacked again.
    spared: Ball,
    queries_max: Option<u64>,
    seed: u64,
    pace: &'a dyn Pace,
}

impl Call<'_> {
    fn run(
        &self,
        target: &mut Target<'_>,
        state: &mut [Found],
        nearest: &mut [Option<Vec<f32>>],
    ) -> Result<GradientHealth, Fault> {
        let chunk = self.chunk;
        let width = chunk.starts.len() / chunk.labels.len().max(1);
        let stands: Vec<usize> = (0..state.len())
            .filter(|n| state.get(*n).is_some_and(|f| f.fell.is_none_or(|d| !self.spared.admits(d))))
            .collect();
        let (mut starts, mut labels, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        for n in &stands {
            starts.extend_from_slice(chunk.starts.get(n * width..(n + 1) * width).unwrap_or_default());
            labels.push(chunk.labels.get(*n).copied().unwrap_or_default());
            samples.push(chunk.samples.get(*n).copied().unwrap_or_default());
        }
        let task = Task {
            starts: &starts,
            labels: &labels,
            samples: &samples,
            others: &[],
            ball: self.ball,
            seed: self.seed,
            queries_max: self.queries_max,
            pace: self.pace,
        };
        let attacked = evasion::run(self.registered, self.attack, target.again(), &task)?;
        if attacked.stopped || self.pace.stop() {
            return Err(Fault::Stopped);
        }
        let rows = attacked.rows.chunks_exact(width.max(1));
        for ((n, outcome), row) in stands.iter().zip(&attacked.outcomes).zip(rows) {
            let Some(found) = state.get_mut(*n) else { continue };
            found.queries = outcome.queries;
            found.unstable |= outcome.unstable;
            // A row beyond the budget is remembered by a smallest-change search only.
            let counts = outcome.broken || (self.registered.minimal && outcome.adversarial);
            if counts && found.fell.is_none_or(|d| outcome.distance < d) {
                found.fell = Some(settled(outcome.distance));
                if let Some(place) = nearest.get_mut(*n) {
                    *place = Some(row.to_vec());
                }
            }
        }
        Ok(attacked.gradients)
    }
}

/// Asks the model once which class it sees in the rows found. Where it does not answer, the class stays unknown.
fn name_classes(
    target: &mut Target<'_>,
    chunk: &Chunk,
    piece: &mut Piece,
    state: &[Found],
    nearest: Vec<Option<Vec<f32>>>,
) {
    let width = chunk.starts.len() / chunk.labels.len().max(1);
    let found: Vec<(usize, Vec<f32>)> =
        state.iter().zip(nearest).filter_map(|(f, row)| Some((f.sample, row?))).collect();
    if found.is_empty() {
        return;
    }
    let values: Vec<f32> = found.iter().flat_map(|(_, row)| row.iter().copied()).collect();
    let samples: Vec<usize> = found.iter().map(|(s, _)| *s).collect();
    let mut seen = Vec::new();
    if let Ok(rows) = Rows::new(&values, width, &samples) {
        // Without an answer the rows are kept all the same.
        let _ = target.labels().labels(rows, &mut seen);
    }
    seen.resize(found.len(), None);
    piece.nearest = found.into_iter().zip(seen).map(|((sample, row), class)| (sample, class, row)).collect();
}

impl Target<'_> {
    /// The same model once more.
    pub fn again(&mut self) -> Target<'_> {
        match self {
            Self::Labels(m) => Target::Labels(&mut **m),
            Self::Scores(m) => Target::Scores(&mut **m),
            Self::Gradients(m) => Target::Gradients(&mut **m),
        }
    }

    /// Its decisions.
    pub fn labels(&mut self) -> &mut dyn Labels {
        match self {
            Self::Labels(m) => &mut **m,
            Self::Scores(m) => &mut **m,
            Self::Gradients(m) => &mut **m,
        }
    }

    /// What it shows.
    pub const fn access(&self) -> evasion::Access {
        match self {
            Self::Labels(_) => evasion::Access::Labels,
            Self::Scores(_) => evasion::Access::Scores,
            Self::Gradients(_) => evasion::Access::Gradients,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evasion::tests::Linear;
    use crate::pace::Quiet;
    use crate::suite::parse;

    fn step() -> Step {
        let text = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n[[step]]\nattack = \"fgsm\"\nnorm = \"linf\"\nepsilons = [0.01, 0.05, 0.1]\n";
        parse(text).unwrap().steps.remove(0)
    }

    fn chunk() -> Chunk {
        // Distances to the boundary: 0.02 and 0.07.
        let row = |d: f32| [0.5 + d, 0.5 + d, 0.5 - d, 0.5 - d];
        Chunk { number: 3, starts: [row(0.02), row(0.07)].concat(), labels: vec![0, 0], samples: vec![4, 9] }
    }

    #[test]
    fn what_fell_at_a_small_budget_has_fallen_at_a_larger_one_without_being_asked_again() {
        let mut model = Linear::halves(4);
        let piece =
            attack_chunk(0, &step(), &mut Target::Gradients(&mut model), &chunk(), &|_| None, 1, &Quiet)
                .unwrap();
        let fell: Vec<Vec<bool>> =
            piece.budgets.iter().map(|b| b.iter().map(|f| f.fell.is_some()).collect()).collect();
        assert_eq!(fell, [[false, false], [true, false], [true, true]]);
        assert_eq!(piece.budgets[2][0].queries, 0);
        let (sample, class, row) = &piece.nearest[0];
        assert_eq!((*sample, *class, row.len()), (4, Some(1), 4));
    }

    #[test]
    fn a_chain_spares_what_fell_before_and_a_part_of_the_samples_is_the_front() {
        let mut model = Linear::halves(4);
        let mut step = step();
        step.samples = Some(5);
        let piece =
            attack_chunk(0, &step, &mut Target::Gradients(&mut model), &chunk(), &|_| Some(0.005), 1, &Quiet)
                .unwrap();
        assert_eq!(piece.budgets[0].len(), 1);
        assert_eq!(piece.budgets[0][0].fell, Some(0.005));
        assert_eq!(model.asked, 0);
    }

    #[test]
    fn an_attack_that_wants_more_than_is_shown_is_skipped_with_its_reason() {
        let mut model = Linear::halves(4);
        let piece = attack_chunk(0, &step(), &mut Target::Labels(&mut model), &chunk(), &|_| None, 1, &Quiet)
            .unwrap();
        assert!(piece.skipped.is_some_and(|why| why.contains("Gradients")));
        assert!(piece.budgets.is_empty() && piece.fault.is_none());
    }
}
