//! Asks, trains copies, and measures how far they agree with the model.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Replies, Rows, Space};
use crate::evasion::Target;
use crate::measure::{Share, labels_of, probabilities};
use crate::pace::Pace;
use crate::theft::{Answers, Asked, Registered, Round, Strategy, stream};
use crate::training::{AsIs, Samples, StopOnly, Targets, Trained, Trainer, Training};

/// Most values asked in all: a gibibyte of rows.
const VALUES_MAX: usize = 1 << 28;

/// Most budgets of a curve.
const BUDGETS_MAX: usize = 64;

/// Most rounds between two budgets.
const ROUNDS_MAX: usize = 64;

/// Rows asked at once.
const BATCH_ROWS: usize = 256;

/// Agreement from which a copy counts as faithful.
const FAITHFUL: f64 = 0.9;

/// What is to be stolen, with what.
#[derive(Clone, Copy)]
pub struct Theft<'a> {
    /// Rows of the thief's own, row-major in the unit box, without labels; may be none.
    pub pool: &'a [f32],
    /// Held-out rows with their true classes, on which agreement is measured.
    pub test: Samples<'a>,
    /// What the model says of the held-out rows, where that is known; else it is asked before the first query, outside of the count.
    pub referee: Option<&'a [Option<usize>]>,
    /// Numbers of queries after which a copy is trained and measured.
    pub budgets: &'a [usize],
    /// What the thief learns from an answer.
    pub answers: Answers,
    /// Seed of all randomness.
    pub seed: u64,
    /// Told of queries, asked whether to stop.
    pub pace: &'a dyn Pace,
}

/// How many answers a copy costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Extraction {
    /// Id of the way of asking.
    pub attack: String,
    /// What the thief learned from an answer.
    pub answers: Answers,
    /// The model itself on the held-out rows.
    pub victim: Share,
    /// Held-out rows that the model did not answer; they are left out.
    pub unanswered: u64,
    /// By number of queries, ascending.
    pub points: Vec<TheftPoint>,
    /// Fewest queries of these points at which the copy agreed on nine of ten rows.
    pub faithful_at: Option<u64>,
    /// Copies trained.
    pub trainings: u64,
    /// Ended early, because it was asked to; what there is stands.
    pub stopped: bool,
    /// Why the model or the trainer ended it early, if one did.
    pub fault: Option<String>,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TheftPoint {
    /// Rows asked.
    pub queries: u64,
    /// Of these, answered; the others were refused, and taught the thief nothing.
    pub answered: u64,
    /// Held-out rows that the copy calls what the model calls them.
    pub agreement: Share,
    /// Held-out rows that the copy calls right.
    pub accuracy: Share,
}

/// Steals the model at `victim`: asks as `strategy` says, and measures a copy at each budget. Every row asked is counted once, answered or not.
///
/// # Errors
/// [`Fault::NotApplicable`] when probabilities are wanted of a model that shows only classes, when there is no budget, or what the strategy says;
/// [`Fault::Shape`] when pool, referee or rows do not fit; what the model says of the held-out rows. What goes wrong later ends the curve and is named in it.
pub fn extract(
    victim: Target<'_>,
    trainer: &mut dyn Trainer,
    registered: &Registered,
    strategy: &dyn Strategy,
    theft: &Theft<'_>,
) -> Result<Extraction, Fault> {
    let budgets = check(&victim, theft)?;
    let mut victim = victim;
    let truth = match theft.referee {
        Some(known) => known.to_vec(),
        None => referee(&mut victim, theft)?,
    };
    let right = truth.iter().zip(theft.test.labels()).filter(|(seen, l)| **seen == Some(**l)).count();
    let answered = truth.iter().flatten().count();
    let mut thief = Thief {
        victim,
        trainer,
        strategy,
        theft,
        asked: Asked::default(),
        taken: vec![false; theft.pool.len() / theft.test.width()],
        copy: None,
        round: 0,
        trainings: 0,
        most: budgets.last().copied().unwrap_or(0) as u64,
    };
    let mut points = Vec::new();
    let ended = thief.curve(&budgets, &truth, &mut points);
    let (stopped, fault) = match ended {
        Ok(()) => (false, None),
        Err(Fault::Stopped) => (true, None),
        Err(fault @ Fault::NotApplicable(_)) if thief.asked.is_empty() => return Err(fault),
        Err(fault) => (false, Some(fault.to_string())),
    };
    let faithful = points.iter().find(|p: &&TheftPoint| p.agreement.share >= FAITHFUL).map(|p| p.queries);
    Ok(Extraction {
        attack: registered.entry.id.to_owned(),
        answers: theft.answers,
        victim: Share::new(right, answered),
        unanswered: (theft.test.len() - answered) as u64,
        points,
        faithful_at: faithful,
        trainings: thief.trainings,
        stopped,
        fault,
    })
}

/// The budgets in order, when everything fits.
fn check(victim: &Target<'_>, theft: &Theft<'_>) -> Result<Vec<usize>, Fault> {
    let (space, width) = (space_of(victim), theft.test.width());
    if space != theft.test.space() {
        return Err(Fault::Shape("the held-out rows are not laid out as the model takes them".to_owned()));
    }
    if theft.test.is_empty() || !theft.pool.len().is_multiple_of(width) {
        return Err(Fault::Shape(format!("the pool is not made of rows of {width}, or no row is held out")));
    }
    if theft.referee.is_some_and(|known| known.len() != theft.test.len()) {
        return Err(Fault::Shape("the model's answers do not fit the held-out rows".to_owned()));
    }
    if theft.answers == Answers::Scores && matches!(victim, Target::Labels(_)) {
        return Err(Fault::NotApplicable(
            "this model shows classes only: steal it with hard labels".to_owned(),
        ));
    }
    let mut budgets: Vec<usize> = theft.budgets.iter().copied().filter(|b| *b > 0).collect();
    budgets.sort_unstable();
    budgets.dedup();
    let most = budgets.last().copied().unwrap_or(0);
    if most == 0 || budgets.len() > BUDGETS_MAX || most > VALUES_MAX / width {
        return Err(Fault::NotApplicable(format!(
            "give 1 to {BUDGETS_MAX} budgets of 1 to {} queries",
            VALUES_MAX / width
        )));
    }
    Ok(budgets)
}

fn space_of(victim: &Target<'_>) -> Space {
    match victim {
        Target::Labels(m) => m.space(),
        Target::Scores(m) => m.space(),
        Target::Gradients(m) => m.space(),
    }
}

fn referee(victim: &mut Target<'_>, theft: &Theft<'_>) -> Result<Vec<Option<usize>>, Fault> {
    let (rows, width) = (theft.test.rows(), theft.test.width());
    match victim {
        Target::Labels(m) => labels_of(*m, rows, width),
        Target::Scores(m) => labels_of(*m, rows, width),
        Target::Gradients(m) => labels_of(*m, rows, width),
    }
}

/// A copy; of answers that name one class only, a constant.
enum Replica {
    Model(Box<dyn Trained>),
    Constant(usize),
}

/// Everything at work.
struct Thief<'t, 'v> {
    victim: Target<'v>,
    trainer: &'t mut dyn Trainer,
    strategy: &'t dyn Strategy,
    theft: &'t Theft<'t>,
    asked: Asked,
    taken: Vec<bool>,
    /// With the number of queries that it was trained on.
    copy: Option<(usize, Replica)>,
    round: u64,
    trainings: u64,
    most: u64,
}

impl Thief<'_, '_> {
    fn curve(
        &mut self,
        budgets: &[usize],
        truth: &[Option<usize>],
        points: &mut Vec<TheftPoint>,
    ) -> Result<(), Fault> {
        for budget in budgets {
            let before = self.asked.len();
            let more = self.ask_up_to(*budget)?;
            if self.asked.len() > before {
                points.extend(self.measure(truth)?);
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// False when the strategy has nothing more to ask.
    fn ask_up_to(&mut self, budget: usize) -> Result<bool, Fault> {
        for _ in 0..ROUNDS_MAX {
            let wanted = budget.saturating_sub(self.asked.len());
            if wanted == 0 {
                return Ok(true);
            }
            if self.strategy.adaptive() {
                self.retrain()?;
            }
            let constant = matches!(self.copy, Some((_, Replica::Constant(_))));
            let mut round = Round {
                space: self.theft.test.space(),
                pool: self.theft.pool,
                taken: &mut self.taken,
                asked: &self.asked,
                surrogate: match &mut self.copy {
                    Some((_, Replica::Model(model))) => Some(model.as_mut()),
                    _ => None,
                },
                seed: self.theft.seed,
                round: self.round,
            };
            let mut rows = self.strategy.next(&mut round, wanted)?;
            if rows.is_empty() && constant {
                // A constant copy has no gradient and no doubt: go on at random until another class turns up.
                let few = wanted.min(self.asked.len().max(1));
                rows = round.from_pool(few);
                rows = if rows.is_empty() { round.noise(few) } else { rows };
            }
            self.round += 1;
            if rows.is_empty() {
                return Ok(false);
            }
            rows.truncate(wanted * self.theft.test.width());
            self.ask(&rows)?;
        }
        Ok(true)
    }

    fn ask(&mut self, rows: &[f32]) -> Result<(), Fault> {
        let width = self.theft.test.width();
        let (mut labels, mut replies) = (Vec::new(), Replies::default());
        for chunk in rows.chunks(BATCH_ROWS * width) {
            if self.theft.pace.stop() {
                return Err(Fault::Stopped);
            }
            let first = self.asked.len();
            let samples: Vec<usize> = (first..first + chunk.len() / width).collect();
            let batch = Rows::new(chunk, width, &samples)?;
            match (&mut self.victim, self.theft.answers) {
                (Target::Labels(m), _) => m.labels(batch, &mut labels)?,
                (Target::Scores(m), Answers::Labels) => m.labels(batch, &mut labels)?,
                (Target::Gradients(m), Answers::Labels) => m.labels(batch, &mut labels)?,
                (Target::Scores(m), Answers::Scores) => m.scores(batch, &mut replies)?,
                (Target::Gradients(m), Answers::Scores) => m.scores(batch, &mut replies)?,
            }
            if self.theft.answers == Answers::Scores {
                labels = (0..samples.len()).map(|at| replies.label(at)).collect();
                for (at, label) in labels.iter().enumerate() {
                    let known = replies.row(at).filter(|_| label.is_some()).map(probabilities);
                    let none = || vec![0.0; self.theft.test.space().classes];
                    self.asked.probabilities.extend(known.unwrap_or_else(none));
                }
            }
            if labels.len() != samples.len() {
                return Err(Fault::Shape(format!("{} answers to {} rows", labels.len(), samples.len())));
            }
            self.asked.rows.extend_from_slice(chunk);
            self.asked.labels.append(&mut labels);
            self.theft.pace.step(self.asked.len() as u64, self.most);
        }
        Ok(())
    }

    /// Trains a copy on all answers, unless there is one already or there are none.
    fn retrain(&mut self) -> Result<(), Fault> {
        let queries = self.asked.len();
        if self.copy.as_ref().is_some_and(|(at, _)| *at == queries) {
            return Ok(());
        }
        let (width, classes) = (self.theft.test.width(), self.theft.test.space().classes);
        let (mut rows, mut labels, mut soft) = (Vec::new(), Vec::new(), Vec::new());
        for (at, label) in self.asked.labels.iter().enumerate() {
            let Some(label) = label else { continue };
            rows.extend_from_slice(self.asked.rows.get(at * width..(at + 1) * width).unwrap_or_default());
            let known = self.asked.probabilities.get(at * classes..(at + 1) * classes);
            soft.extend_from_slice(known.unwrap_or_default());
            labels.push(*label);
        }
        let Some(first) = labels.first().copied() else { return Ok(()) };
        if self.theft.answers == Answers::Labels && labels.iter().all(|l| *l == first) {
            self.copy = Some((queries, Replica::Constant(first)));
            return Ok(());
        }
        let targets = match self.theft.answers {
            Answers::Labels => Targets::Labels(&labels),
            Answers::Scores => Targets::Soft(&soft),
        };
        let pace = StopOnly(self.theft.pace);
        let space = self.theft.test.space();
        let training = Training { rows: &rows, targets, weights: None, space, pace: &pace };
        let model = self.trainer.train(&training, self.theft.seed ^ stream::COPY, &mut AsIs)?;
        self.trainings += 1;
        self.copy = Some((queries, Replica::Model(model)));
        Ok(())
    }

    /// The copy against the model and the truth; nothing when no query was answered.
    fn measure(&mut self, truth: &[Option<usize>]) -> Result<Option<TheftPoint>, Fault> {
        self.retrain()?;
        let test = self.theft.test;
        let seen = match &mut self.copy {
            Some((_, Replica::Model(model))) => labels_of(model.as_mut(), test.rows(), test.width())?,
            Some((_, Replica::Constant(class))) => vec![Some(*class); test.len()],
            None => return Ok(None),
        };
        let known = truth.iter().flatten().count();
        let agree = seen.iter().zip(truth).filter(|(s, t)| t.is_some() && s == t).count();
        let right = seen.iter().zip(test.labels()).filter(|(s, l)| **s == Some(**l)).count();
        Ok(Some(TheftPoint {
            queries: self.asked.len() as u64,
            answered: self.asked.labels.iter().flatten().count() as u64,
            agreement: Share::new(agree, known),
            accuracy: Share::new(right, test.len()),
        }))
    }
}
