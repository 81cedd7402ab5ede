//! One study, run.

use attack::evasion::Access;
use attack::measure::{log_odds, scores_of};
use attack::poison::{self, Dose, dose_response};
use attack::privacy::{
    Inference, Membership, Ratio, attribute_inference, membership_by_loss, membership_by_ratio,
};
use attack::scorecard::study::{Area, Guessed, GuessedColumn, Members, Poisoned, Shown, Stolen, StudyResult};
use attack::suite::study::{Member, Network, Recipe, Study, What};
use attack::theft::{self, Answers, Theft, extract};
use attack::training::{AsIs, Samples, Targets, Trainer, Training};
use attack::{Fault, Layout, Pace, Scores, Space};
use runtime::training::{self as models, SmallModels};

use super::ground::{Ground, Set};
use crate::exercise::Request;
use crate::exercise::open::Opened;

/// Streams of the seed: who is a member, and who judges without the model.
const MEMBERS: u64 = 0x5D3;
const FOLDS: u64 = 0x5D4;
/// Passes over the data of the regression that tells rows apart without the model.
const BLIND_EPOCHS: usize = 20;
/// Smallest side of an image that the small CNN takes.
const CNN_SIDE_MIN: usize = 4;

/// A recipe with everything decided.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    network: Network,
    hidden: Vec<usize>,
    pub(super) epochs: usize,
    learning_rate: f32,
}

/// What a recipe leaves open is decided by the rows. The numbers let each network learn the example hospital's data to the accuracy of its own models.
pub(super) fn plan(recipe: &Recipe, layout: Layout) -> Plan {
    let by_rows = match layout {
        Layout::Image { height, width, .. } if height.min(width) >= CNN_SIDE_MIN => Network::SmallCnn,
        _ => Network::Mlp,
    };
    let network = recipe.network.unwrap_or(by_rows);
    let (epochs, learning_rate) = match network {
        Network::Logistic => (150, 0.02),
        Network::Mlp => (40, 1e-3),
        Network::SmallCnn => (5, 1e-3),
        Network::Trees => (60, 0.2),
    };
    let hidden = if recipe.hidden.is_empty() { vec![64, 32] } else { recipe.hidden.clone() };
    #[expect(clippy::cast_possible_truncation, reason = "a learning rate")]
    Plan {
        network,
        hidden,
        epochs: recipe.epochs.unwrap_or(epochs),
        learning_rate: recipe.learning_rate.unwrap_or(learning_rate) as f32,
    }
}

impl Plan {
    /// In words.
    fn text(&self) -> String {
        match self.network {
            Network::Mlp => {
                let layers: Vec<String> = self.hidden.iter().map(ToString::to_string).collect();
                format!("mlp of {} hidden units, {} epochs", layers.join(" and "), self.epochs)
            }
            Network::Trees => format!("{} boosted trees", self.epochs),
            other => format!("{}, {} epochs", other.as_str(), self.epochs),
        }
    }
}

/// Who trains by a recipe, and the recipe in words.
pub(in crate::exercise) fn trainer(recipe: &Recipe, layout: Layout) -> (Box<dyn Trainer>, String) {
    let plan = plan(recipe, layout);
    let network = match plan.network {
        Network::Logistic => models::Recipe::Logistic,
        Network::Mlp => models::Recipe::Mlp(plan.hidden.clone()),
        Network::SmallCnn => models::Recipe::SmallCnn,
        Network::Trees => {
            let learning_rate = f64::from(plan.learning_rate);
            let trees = models::BoostedTrees {
                rounds: plan.epochs,
                learning_rate,
                ..models::BoostedTrees::default()
            };
            return (Box::new(trees), plan.text());
        }
    };
    let mut small = SmallModels::new(network);
    small.options.epochs = plan.epochs;
    small.options.learning_rate = plan.learning_rate;
    (Box::new(small), plan.text())
}

/// Where one study is run.
pub(super) struct Lab<'a> {
    pub(super) request: &'a Request,
    pub(super) opened: &'a Opened,
    pub(super) ground: &'a Ground,
    pub(super) pace: &'a dyn Pace,
}

/// What a study showed, and what ended it early.
type Ran = (StudyResult, Option<String>);

impl Lab<'_> {
    /// Runs study `number`.
    pub(super) fn run(&self, number: usize, study: &Study) -> Result<Ran, Fault> {
        let (mut trainer, recipe) = trainer(&study.recipe, self.ground.space.layout);
        let trainer = trainer.as_mut();
        let train = self.ground.train.draw(study.recipe.rows, self.width(), self.seed());
        let mut result = StudyResult {
            study: number,
            label: study.label.clone(),
            attack: study.attack.clone(),
            complete: true,
            recipe,
            train_rows: train.len(),
            test_rows: self.ground.test.len(),
            shown: Shown::Attribute(Guessed { answers: Answers::Labels, columns: Vec::new() }),
            notes: Vec::new(),
        };
        let fault = match &study.what {
            What::Poisoning { .. } => self.poisoning(study, trainer, &train, &mut result)?,
            What::Theft { .. } => self.theft(study, trainer, &train, &mut result)?,
            What::Membership { .. } => self.membership(study, trainer, &train, &mut result)?,
            What::Attribute { .. } => self.attribute(study, &train, &mut result)?,
        };
        Ok((result, fault))
    }

    fn seed(&self) -> u64 {
        self.request.suite.seed
    }

    const fn width(&self) -> usize {
        self.ground.space.layout.len()
    }

    fn poisoning(
        &self,
        study: &Study,
        trainer: &mut dyn Trainer,
        train: &Set,
        result: &mut StudyResult,
    ) -> Result<Option<String>, Fault> {
        let What::Poisoning { fractions, repeats, bisections } = &study.what else { return Ok(None) };
        let unknown = || Fault::NotApplicable(format!("there is no poisoning `{}`", study.attack));
        let registered = poison::find(&study.attack).ok_or_else(unknown)?;
        let poison = (registered.build)(&object(study)).map_err(Fault::NotApplicable)?;
        let seeds: Vec<u64> = (0..*repeats as u64).map(|n| self.seed().wrapping_add(n)).collect();
        let dose = Dose {
            train: train.samples(self.ground.space)?,
            test: self.ground.test.samples(self.ground.space)?,
            rates: fractions,
            seeds: &seeds,
            criterion: None,
            bisections: *bisections,
            pace: self.pace,
        };
        let found = dose_response(trainer, registered, poison.as_ref(), &dose)?;
        result.complete = !found.stopped;
        let asked: Vec<u64> = found.points.iter().map(|p| p.poisoned).collect();
        if asked.windows(2).any(|w| w.first() == w.last()) {
            result
                .notes
                .push("fewer rows are fit for this poison than the largest fractions ask for".to_owned());
        }
        if *repeats == 1 {
            result.notes.push("one training at each fraction: another seed moves success by several points where it is between none and all".to_owned());
        }
        result.shown = Shown::Poisoning(Poisoned::from(&found));
        Ok(None)
    }

    fn theft(
        &self,
        study: &Study,
        trainer: &mut dyn Trainer,
        train: &Set,
        result: &mut StudyResult,
    ) -> Result<Option<String>, Fault> {
        let What::Theft { queries, answers } = &study.what else { return Ok(None) };
        let unknown = || Fault::NotApplicable(format!("there is no way of asking `{}`", study.attack));
        let registered = theft::find(&study.attack).ok_or_else(unknown)?;
        let strategy = (registered.build)(&object(study)).map_err(Fault::NotApplicable)?;
        let theft = Theft {
            pool: &train.rows,
            test: self.ground.test.samples(self.ground.space)?,
            referee: None,
            budgets: queries,
            answers: answers.unwrap_or_else(|| self.shown()),
            seed: self.seed(),
            pace: self.pace,
        };
        let mut victim = self.opened.source.worker();
        let target = victim.target(self.request.labels_only);
        let found = extract(target, trainer, registered, strategy.as_ref(), &theft)?;
        result.complete = !found.stopped && found.fault.is_none();
        let most = found.points.last().map_or(0, |p| p.queries);
        if result.complete && queries.last().is_some_and(|q| *q as u64 > most) {
            result.notes.push(format!("the thief had no more than {most} rows to ask with"));
        }
        result.shown = Shown::Theft(Stolen::from(&found));
        Ok(found.fault)
    }

    /// What an answer of the model under exercise holds.
    fn shown(&self) -> Answers {
        match self.opened.source.access(self.request.labels_only) {
            Access::Labels => Answers::Labels,
            _ => Answers::Scores,
        }
    }

    /// Calls `work` with the scores of the model under exercise.
    fn scored<T>(&self, work: impl FnOnce(&mut dyn Scores) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut victim = self.opened.source.worker();
        match victim.target(self.request.labels_only) {
            attack::evasion::Target::Labels(_) => Err(Fault::NotApplicable(
                "the model shows decisions only, and this needs its scores".to_owned(),
            )),
            attack::evasion::Target::Scores(model) => work(model),
            attack::evasion::Target::Gradients(model) => work(model),
        }
    }

    fn membership(
        &self,
        study: &Study,
        trainer: &mut dyn Trainer,
        train: &Set,
        result: &mut StudyResult,
    ) -> Result<Option<String>, Fault> {
        let What::Membership { of, shadows, .. } = &study.what else { return Ok(None) };
        if (*of, *shadows) == (Member::Model, 0) {
            result.recipe = "nothing is trained".to_owned();
        }
        let space = self.ground.space;
        let (pool, member, blind) = match of {
            Member::Model => {
                if !self.ground.declared {
                    return Err(Fault::NotApplicable(
                        "the data do not say which rows the model was trained on: give them a split `train`, or take of = \"recipe\"".to_owned(),
                    ));
                }
                let test = &self.ground.test;
                let rows = [train.rows.as_slice(), &test.rows].concat();
                let labels = [train.labels.as_slice(), &test.labels].concat();
                let member: Vec<bool> = (0..labels.len()).map(|at| at < train.len()).collect();
                let pool = Set { rows, labels };
                let blind = self.blind(&pool, &member)?;
                result.notes.push(
                    "the training rows of the data are taken for those that the model was trained on"
                        .to_owned(),
                );
                (pool, member, Some(blind))
            }
            Member::Recipe => {
                let order = numeric::Rng::new(self.seed(), MEMBERS).permutation(train.len());
                let (rows, labels) = train.samples(space)?.pick(&order);
                let half = labels.len() / 2;
                let member = (0..labels.len()).map(|at| at < half).collect();
                result.test_rows = labels.len() - half;
                (Set { rows, labels }, member, None)
            }
        };
        result.train_rows = member.iter().filter(|m| **m).count();
        let (known, count) = (pool.samples(space)?, result.train_rows);
        let found = match of {
            Member::Model => self.scored(|model| self.tell(study, model, trainer, &known, &member))?,
            Member::Recipe => {
                let width = self.width();
                let rows = pool.rows.get(..count * width).unwrap_or_default();
                let half = Samples::new(rows, pool.labels.get(..count).unwrap_or_default(), space)?;
                let mut model = trainer.train(&half.training(self.pace), self.seed(), &mut AsIs)?;
                self.tell(study, model.as_mut(), trainer, &known, &member)?
            }
        };
        result.complete = !found.stopped;
        if found.others < 1_000 {
            result.notes.push(format!(
                "{} rows that were not learned are too few for 0.1% false alarms: not one was allowed there, and an attacker may find more; give 1,000 or more",
                found.others
            ));
        }
        result.shown = Shown::Membership(Members::new(*of, &found, blind));
        Ok(None)
    }

    /// Tells members by the loss, or with shadow models.
    fn tell(
        &self,
        study: &Study,
        model: &mut dyn Scores,
        trainer: &mut dyn Trainer,
        pool: &Samples<'_>,
        member: &[bool],
    ) -> Result<Membership, Fault> {
        let What::Membership { shadows, form, .. } = &study.what else { return Err(Fault::Stopped) };
        if *shadows > 0 {
            let ratio = Ratio {
                pool: *pool,
                member,
                shadows: *shadows,
                form: *form,
                seed: self.seed(),
                pace: self.pace,
            };
            return membership_by_ratio(model, trainer, &ratio);
        }
        let (width, cut) = (pool.width(), member.iter().filter(|m| **m).count());
        let part = |from: usize, to: usize| {
            let rows = pool.rows().get(from * width..to * width).unwrap_or_default();
            Samples::new(rows, pool.labels().get(from..to).unwrap_or_default(), pool.space())
        };
        membership_by_loss(model, &part(0, cut)?, &part(cut, pool.len())?, self.pace)
    }

    /// How well members are told from others by rows and classes alone: a regression, learned on one half and judged on the other, both ways round
    /// (Das, Zhang, Tramer 2024, arXiv:2406.16201).
    fn blind(&self, pool: &Set, member: &[bool]) -> Result<Area, Fault> {
        let (width, classes) = (self.width(), self.ground.space.classes);
        let space = Space { layout: Layout::Table { features: width + classes }, classes: 2 };
        let order = numeric::Rng::new(self.seed(), FOLDS).permutation(pool.len());
        let (one, other) = order.split_at(order.len() / 2);
        let of = |places: &[usize]| -> Set {
            let mut set = Set::default();
            for at in places {
                set.rows.extend_from_slice(pool.rows.get(at * width..(at + 1) * width).unwrap_or_default());
                let label = pool.labels.get(*at).copied().unwrap_or(0);
                set.rows.extend((0..classes).map(|c| f32::from(u8::from(c == label))));
                set.labels.push(usize::from(member.get(*at).copied().unwrap_or(false)));
            }
            set
        };
        let (mut members, mut others) = (Vec::new(), Vec::new());
        for (learn, judge) in [(one, other), (other, one)] {
            let (learn, judge) = (of(learn), of(judge));
            let mut trainer = SmallModels::new(models::Recipe::Logistic);
            trainer.options.epochs = BLIND_EPOCHS;
            let training = Training {
                rows: &learn.rows,
                targets: Targets::Labels(&learn.labels),
                weights: None,
                space,
                pace: self.pace,
            };
            let mut model = trainer.train(&training, self.seed(), &mut AsIs)?;
            let replies = scores_of(model.as_mut(), &judge.rows, space.layout.len())?;
            for (at, label) in judge.labels.iter().enumerate() {
                let Some(scores) = replies.row(at) else { continue };
                let list = if *label == 1 { &mut members } else { &mut others };
                list.push(log_odds(scores, 1));
            }
        }
        let area = numeric::roc_area(&members, &others);
        Ok(area.map_or(Area::new(0.5, 0.0, 1.0), |a| Area::new(a.area, a.low, a.high)))
    }

    fn attribute(
        &self,
        study: &Study,
        train: &Set,
        result: &mut StudyResult,
    ) -> Result<Option<String>, Fault> {
        let What::Attribute { columns, columns_max, answers, precision } = &study.what else {
            return Ok(None);
        };
        let Layout::Table { features } = self.ground.space.layout else {
            return Err(Fault::NotApplicable("attributes are guessed on tables".to_owned()));
        };
        let places: Vec<usize> = if columns.is_empty() {
            fewest_values(train, features, *columns_max)
        } else {
            columns.iter().filter_map(|c| self.ground.column(c)).collect()
        };
        // What is missing is learned from the other columns by the simplest model: few rows are known to the attacker.
        let recipe =
            Recipe { network: study.recipe.network.or(Some(Network::Logistic)), ..study.recipe.clone() };
        let (mut imputer, words) = trainer(&recipe, self.ground.space.layout);
        result.recipe = words;
        let answers = answers.unwrap_or_else(|| self.shown());
        let mut guessed = Guessed { answers, columns: Vec::new() };
        for feature in places {
            if self.pace.stop() {
                result.complete = false;
                break;
            }
            let inference = Inference {
                records: self.ground.test.samples(self.ground.space)?,
                auxiliary: train.samples(self.ground.space)?,
                feature,
                answers,
                precision: *precision,
                seed: self.seed(),
                pace: self.pace,
            };
            let name = self.ground.columns.get(feature).cloned().unwrap_or_else(|| format!("x{feature}"));
            match self.scored(|model| attribute_inference(model, imputer.as_mut(), &inference)) {
                Ok(found) => {
                    result.complete &= !found.stopped;
                    guessed.columns.push(GuessedColumn::new(name, &found));
                }
                Err(Fault::Stopped) if !guessed.columns.is_empty() => result.complete = false,
                Err(Fault::NotApplicable(why)) if columns.len() > 1 || columns.is_empty() => {
                    result.notes.push(format!("`{name}` is left out: {why}"));
                }
                Err(other) => return Err(other),
            }
        }
        if guessed.columns.is_empty() {
            let why = result.notes.pop().unwrap_or_else(|| "no column varies".to_owned());
            return Err(if result.complete { Fault::NotApplicable(why) } else { Fault::Stopped });
        }
        result.shown = Shown::Attribute(guessed);
        Ok(None)
    }
}

fn object(study: &Study) -> serde_json::Value {
    serde_json::Value::Object(study.parameters.clone().into_iter().collect())
}

/// The columns with the fewest values that vary, in the order of the table among equals: codes such as sex or a habit come before measurements.
fn fewest_values(train: &Set, features: usize, count: usize) -> Vec<usize> {
    let mut known: Vec<(usize, usize)> = (0..features)
        .map(|feature| {
            let column = train.rows.iter().skip(feature).step_by(features.max(1));
            let distinct: std::collections::BTreeSet<u32> = column.map(|v| v.to_bits()).collect();
            (distinct.len(), feature)
        })
        .filter(|(values, _)| *values > 1)
        .collect();
    known.sort_unstable();
    known.into_iter().take(count).map(|(_, feature)| feature).collect()
}
