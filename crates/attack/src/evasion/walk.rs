//! Drives attacks that treat each row by itself: every row is a small machine that says what it wants to ask and is told the answer, and all that
//! are still at work are put to the model together. A row that is done is never asked again, and its place in the batch is taken by the next one.

use crate::access::{Fault, Gradients, Replies, Rows};
use crate::evasion::{Candidates, GradientHealth, Task};

/// What a row wants to ask next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// It is done.
    Nothing,
    /// One forward pass.
    Scores,
    /// One forward and one backward pass.
    Gradient,
}

/// The attack on one row.
pub(crate) trait Walk {
    /// What to ask about [`Walk::at`].
    fn wants(&self) -> Wants;

    /// The row to be asked about.
    fn at(&self) -> &[f32];

    /// The derivative of what is climbed by each score; `out` has the length of `scores`.
    fn cotangent(&self, scores: &[f32], out: &mut [f32]);

    /// The answer; `gradient` is empty where only scores were asked for.
    fn hear(&mut self, scores: &[f32], gradient: &[f32]);

    /// The query was not answered: by default the attacker gives this row up. After it, [`Walk::wants`] must come to an end.
    fn refused(&mut self);

    /// The adversarial row, if one was seen.
    fn found(&self) -> Option<&[f32]>;
}

/// Rows at work at once; more do not make a pass faster.
const ROWS_MAX: usize = 128;

/// Values at work at once: large images go in smaller batches.
const VALUES_MAX: usize = 1 << 21;

/// Runs one walk per row of the task. With `copies` above 1, each query is put that many times and the answers are averaged (expectation over
/// transformation, Athalye et al. 2018, arXiv:1707.07397): for models that do not answer the same twice.
///
/// # Errors
/// What the model says, except that being stopped ends the walks and keeps what they have.
pub(crate) fn drive<W: Walk>(
    model: &mut dyn Gradients,
    task: &Task<'_>,
    copies: usize,
    mut begin: impl FnMut(usize) -> W,
) -> Result<Candidates, Fault> {
    let mut found = Candidates::at_start(task);
    let copies = copies.max(1);
    let room = (VALUES_MAX / (task.width().max(1) * copies)).clamp(1, ROWS_MAX);
    let (mut next, mut done) = (0, 0);
    let mut active: Vec<(usize, W)> = Vec::new();
    let mut desk = Desk { copies, ..Desk::default() };
    loop {
        while active.len() < room && next < task.len() {
            active.push((next, begin(next)));
            next += 1;
        }
        if active.is_empty() {
            return Ok(found);
        }
        let mut stop = task.pace.stop();
        for wanted in [Wants::Gradient, Wants::Scores] {
            if stop {
                break;
            }
            match desk.round(model, task, &mut active, wanted, &mut found.gradients) {
                Err(Fault::Stopped) => stop = true,
                other => other?,
            }
        }
        active.retain(|(at, walk)| {
            let at_work = walk.wants() != Wants::Nothing;
            if stop || !at_work {
                keep(&mut found, task, *at, walk.found());
            }
            done += u64::from(!at_work);
            !stop && at_work
        });
        task.pace.step(done, task.len() as u64);
        if stop {
            found.stopped = true;
            return Ok(found);
        }
    }
}

/// Writes what was found for row `at`.
pub(crate) fn keep(found: &mut Candidates, task: &Task<'_>, at: usize, row: Option<&[f32]>) {
    let width = task.width();
    let (Some(row), Some(place)) = (row, found.rows.get_mut(at * width..(at + 1) * width)) else { return };
    place.copy_from_slice(row);
    if let Some(claimed) = found.claimed.get_mut(at) {
        *claimed = true;
    }
}

/// Room for questions and answers, used again each round.
#[derive(Default)]
struct Desk {
    copies: usize,
    values: Vec<f32>,
    samples: Vec<usize>,
    asking: Vec<usize>,
    replies: Replies,
    gradient: Vec<f32>,
}

impl Desk {
    /// Puts the queries of all walks that want `wanted`, and tells them the answers.
    fn round<W: Walk>(
        &mut self,
        model: &mut dyn Gradients,
        task: &Task<'_>,
        active: &mut [(usize, W)],
        wanted: Wants,
        health: &mut GradientHealth,
    ) -> Result<(), Fault> {
        self.values.clear();
        self.samples.clear();
        self.asking.clear();
        for (place, (at, walk)) in active.iter().enumerate() {
            if walk.wants() == wanted {
                self.asking.push(place);
                for _ in 0..self.copies {
                    self.values.extend_from_slice(walk.at());
                    self.samples.push(task.samples.get(*at).copied().unwrap_or(*at));
                }
            }
        }
        if self.asking.is_empty() {
            return Ok(());
        }
        let width = task.width();
        let rows = Rows::new(&self.values, width, &self.samples)?;
        self.gradient.clear();
        if wanted == Wants::Gradient {
            let (asking, copies) = (&self.asking, self.copies);
            let mut climb = |row: usize, scores: &[f32], out: &mut [f32]| {
                if let Some((_, walk)) = asking.get(row / copies).and_then(|place| active.get(*place)) {
                    walk.cotangent(scores, out);
                }
            };
            model.gradient(rows, &mut climb, &mut self.replies, &mut self.gradient)?;
        } else {
            model.scores(rows, &mut self.replies)?;
        }
        for (nth, place) in self.asking.iter().enumerate() {
            let Some((_, walk)) = active.get_mut(*place) else { continue };
            let first = nth * self.copies;
            let (scores, slopes) = if self.copies == 1 {
                let slopes = self.gradient.get(first * width..(first + 1) * width).unwrap_or_default();
                (self.replies.row(first).map(std::borrow::Cow::Borrowed), std::borrow::Cow::Borrowed(slopes))
            } else {
                let (scores, slopes) = mean(&self.replies, &self.gradient, first, self.copies, width);
                (scores.map(std::borrow::Cow::Owned), std::borrow::Cow::Owned(slopes))
            };
            let Some(scores) = scores else {
                walk.refused();
                continue;
            };
            if wanted == Wants::Gradient {
                health.look(&slopes, width);
            }
            walk.hear(&scores, &slopes);
        }
        Ok(())
    }
}

/// Mean scores and mean gradient of the answered among `copies` rows from `first` on.
fn mean(
    replies: &Replies,
    gradient: &[f32],
    first: usize,
    copies: usize,
    width: usize,
) -> (Option<Vec<f32>>, Vec<f32>) {
    let mut scores = vec![0.0_f32; replies.classes];
    let mut slopes = vec![0.0_f32; if gradient.is_empty() { 0 } else { width }];
    let mut answered = 0_u16;
    for at in first..first + copies {
        let Some(row) = replies.row(at) else { continue };
        answered = answered.saturating_add(1);
        scores.iter_mut().zip(row).for_each(|(sum, s)| *sum += s);
        let part = gradient.get(at * width..(at + 1) * width).unwrap_or_default();
        slopes.iter_mut().zip(part).for_each(|(sum, g)| *sum += g);
    }
    if answered == 0 {
        return (None, slopes);
    }
    let count = f32::from(answered);
    scores.iter_mut().for_each(|s| *s /= count);
    slopes.iter_mut().for_each(|g| *g /= count);
    (Some(scores), slopes)
}

/// Whether a gradient points anywhere: all finite, not all 0. Where it does not, a walk goes on from a random row instead of standing still.
pub(crate) fn points(gradient: &[f32]) -> bool {
    gradient.iter().all(|g| g.is_finite()) && gradient.iter().any(|g| *g != 0.0)
}

/// Classes other than `label` by score, highest first, at most `count`.
pub(crate) fn ranked(scores: &[f32], label: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<(f32, usize)> =
        scores.iter().copied().zip(0..).filter(|(_, class)| *class != label).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    order.into_iter().map(|(_, class)| class).take(count).collect()
}

/// How far a climb has come: the loss at its first row and the best so far; above 0 the sample is broken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rise {
    first: Option<f32>,
    best: f32,
}

impl Rise {
    /// Takes in the loss of one row.
    pub(crate) fn hear(&mut self, loss: f32) {
        if self.first.is_none() {
            *self = Self { first: Some(loss), best: loss };
        }
        self.best = self.best.max(loss);
    }

    /// Whether what is missing is at most `near` times what was gained. A climb that is not even near will not arrive by a few more steps or another
    /// random start, and the time is better spent on those that are. Without any loss heard there is nothing to judge by: true.
    pub(crate) fn is_near(&self, near: f64) -> bool {
        self.first.is_none_or(|first| f64::from(-self.best) <= near * f64::from(self.best - first))
    }
}

/// What a sample may lack, as a share of what it gained, without being given up.
pub(crate) const NEAR: f64 = 0.25;

/// Refuses a share that is negative or not a number.
///
/// # Errors
/// Names the parameter and what it may be.
pub(crate) fn checked_near(near: f64) -> Result<(), String> {
    if near >= 0.0 { Ok(()) } else { Err(format!("`near` must be 0 or more, not {near}")) }
}
