//! Poisoning, theft, privacy and hardening with the product's own trainer: on generated data always, on real tables where the shared data are.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says loudly what it skips"
)]

use attack::evasion::Target;
use attack::measure::standing;
use attack::pace::Quiet;
use attack::poison::{Dose, DoseResponse, Trainer, dose_response};
use attack::privacy::membership_by_loss;
use attack::theft::{Answers, Theft, extract};
use attack::training::{AsIs, Batch, Hook, Samples, Targets, Training};
use attack::{Fault, Gradients, Layout, Replies, Rows, Space};
use runtime::training::{Recipe, SmallModels};

/// Rows of the unit box with their classes.
struct Set {
    rows: Vec<f32>,
    labels: Vec<usize>,
    space: Space,
}

impl Set {
    fn samples(&self) -> Samples<'_> {
        Samples::new(&self.rows, &self.labels, self.space).unwrap()
    }
}

/// Images of 8 by 8: dim noise, in class 1 a brighter middle.
fn images(rows: usize, seed: u64) -> Set {
    let mut rng = numeric::Rng::new(seed, 0);
    let labels: Vec<usize> = (0..rows).map(|at| at % 2).collect();
    let mut values = Vec::new();
    for label in &labels {
        for pixel in 0..64 {
            let inside = (2..6).contains(&(pixel / 8)) && (2..6).contains(&(pixel % 8)) && *label == 1;
            let level = 0.3 + if inside { 0.25 } else { 0.0 } + 0.1 * rng.normal();
            values.push(level.clamp(0.0, 1.0) as f32);
        }
    }
    let layout = Layout::Image { channels: 1, height: 8, width: 8 };
    Set { rows: values, labels, space: Space { layout, classes: 2 } }
}

fn models(recipe: Recipe, epochs: usize) -> SmallModels {
    let mut models = SmallModels::new(recipe);
    // A logistic regression has one layer to move: the default step would take hundreds of epochs.
    if models.recipe == Recipe::Logistic {
        models.options.learning_rate = 0.02;
    }
    models.options.epochs = epochs;
    models
}

fn doses(trainer: &mut SmallModels, name: &str, train: &Set, test: &Set, rates: &[f64]) -> DoseResponse {
    let registered = attack::poison::find(name).unwrap();
    let poison = (registered.build)(&serde_json::Value::Null).unwrap();
    let (train, test) = (train.samples(), test.samples());
    let dose = Dose { train, test, rates, seeds: &[1], criterion: None, bisections: 0, pace: &Quiet };
    dose_response(trainer, registered, poison.as_ref(), &dose).unwrap()
}

#[test]
fn every_recipe_learns_and_the_same_seed_gives_the_same_model() {
    let (train, test) = (images(200, 1), images(100, 2));
    for recipe in [Recipe::Logistic, Recipe::Mlp(vec![16]), Recipe::SmallCnn] {
        let mut trainer = models(recipe, 12);
        let scores = |trainer: &mut SmallModels, seed: u64| {
            let mut model = trainer.train(&train.samples().training(&Quiet), seed, &mut AsIs).unwrap();
            let found = standing(model.as_mut(), &test.samples()).unwrap();
            assert!(found.accuracy.share > 0.85, "{:?}: {found:?}", trainer.recipe);
            attack::measure::scores_of(model.as_mut(), &test.rows, 64).unwrap()
        };
        let first = scores(&mut trainer, 5);
        assert_eq!(first, scores(&mut trainer, 5));
        assert_ne!(first, scores(&mut trainer, 6));
    }
}

/// Looks at each batch and at the gradients of the model in training.
#[derive(Default)]
struct Spy {
    steps: u64,
    told: u64,
    seen: Vec<usize>,
    fail: bool,
}

impl Hook for Spy {
    fn batch(&mut self, model: &mut dyn Gradients, batch: Batch<'_>) -> Result<(), Fault> {
        assert_eq!(batch.step, self.steps);
        self.steps += 1;
        self.told = batch.steps;
        self.seen.extend_from_slice(batch.samples);
        let rows = Rows::new(batch.rows, 64, batch.samples).unwrap();
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        let mut towards = |_: usize, _: &[f32], out: &mut [f32]| out.copy_from_slice(&[1.0, 0.0]);
        model.gradient(rows, &mut towards, &mut replies, &mut gradient)?;
        assert_eq!((gradient.len(), replies.answered.len()), (batch.rows.len(), batch.samples.len()));
        assert!(gradient.iter().any(|g| *g != 0.0));
        if self.fail { Err(Fault::NotApplicable("enough".to_owned())) } else { Ok(()) }
    }
}

#[test]
fn a_hook_sees_every_row_once_an_epoch_and_its_own_error_comes_back() {
    let train = images(50, 1);
    let mut spy = Spy::default();
    let mut trainer = models(Recipe::SmallCnn, 3);
    trainer.train(&train.samples().training(&Quiet), 1, &mut spy).unwrap();
    assert_eq!((spy.steps, spy.told), (6, 6));
    spy.seen.sort_unstable();
    assert!(spy.seen.iter().copied().eq((0..150).map(|i| i / 3)));
    let mut failing = Spy { fail: true, ..Spy::default() };
    let ended = trainer.train(&train.samples().training(&Quiet), 1, &mut failing);
    assert_eq!(ended.err(), Some(Fault::NotApplicable("enough".to_owned())));
}

#[test]
fn features_have_gradients_and_a_logistic_regression_has_none() {
    let train = images(60, 1);
    for (recipe, has) in [(Recipe::Mlp(vec![12]), true), (Recipe::SmallCnn, true), (Recipe::Logistic, false)]
    {
        let mut trainer = models(recipe, 2);
        let mut model = trainer.train(&train.samples().training(&Quiet), 1, &mut AsIs).unwrap();
        let Some(features) = model.features() else {
            assert!(!has, "{:?}", trainer.recipe);
            continue;
        };
        let mut row = train.rows[..64].to_vec();
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        let mut sum = |_: usize, _: &[f32], out: &mut [f32]| out.fill(1.0);
        features.gradient(Rows::new(&row, 64, &[0]).unwrap(), &mut sum, &mut replies, &mut gradient).unwrap();
        let total = |r: &Replies| r.scores.iter().sum::<f32>();
        let before = total(&replies);
        let length = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        assert!(length > 0.0);
        // A step of a hundredth along the gradient.
        row.iter_mut().zip(&gradient).for_each(|(v, g)| *v += 0.01 * g / length);
        features.scores(Rows::new(&row, 64, &[0]).unwrap(), &mut replies).unwrap();
        let change = total(&replies) - before;
        assert!(has && (change - 0.01 * length).abs() < 0.2 * 0.01 * length, "{change} {length}");
    }
}

#[test]
fn soft_targets_and_weights_are_learned() {
    let train = images(200, 1);
    let mut trainer = models(Recipe::Logistic, 60);
    let soft: Vec<f32> =
        train.labels.iter().flat_map(|l| if *l == 1 { [0.3, 0.7] } else { [0.9, 0.1] }).collect();
    let space = train.space;
    let training =
        Training { rows: &train.rows, targets: Targets::Soft(&soft), weights: None, space, pace: &Quiet };
    let mut model = trainer.train(&training, 1, &mut AsIs).unwrap();
    let replies = attack::measure::scores_of(model.as_mut(), &train.rows, 64).unwrap();
    let mean = |class: usize| {
        let of: Vec<f64> = (0..200)
            .filter(|at| train.labels[*at] == class)
            .map(|at| f64::from(attack::measure::probabilities(replies.row(at).unwrap())[1]))
            .collect();
        numeric::mean(&of)
    };
    assert!((mean(1) - 0.7).abs() < 0.1 && (mean(0) - 0.1).abs() < 0.1, "{} {}", mean(1), mean(0));
    // Each row twice, right and wrong: the weights decide which is learned.
    let twice = [train.rows.as_slice(), &train.rows].concat();
    let wrong: Vec<usize> = train.labels.iter().map(|l| 1 - l).collect();
    let labels = [train.labels.as_slice(), &wrong].concat();
    for (right_counts, least, most) in [(1.0, 0.85, 1.0), (0.0, 0.0, 0.15)] {
        let weights: Vec<f32> =
            (0..400).map(|at| if at < 200 { right_counts } else { 1.0 - right_counts }).collect();
        let targets = Targets::Labels(&labels);
        let training = Training { rows: &twice, targets, weights: Some(&weights), space, pace: &Quiet };
        let mut model = trainer.train(&training, 1, &mut AsIs).unwrap();
        let share = standing(model.as_mut(), &train.samples()).unwrap().accuracy.share;
        assert!((least..=most).contains(&share), "{share}");
    }
}

#[test]
fn a_small_cnn_takes_a_backdoor_and_a_collision() {
    let (train, test) = (images(300, 1), images(100, 2));
    let mut trainer = models(Recipe::SmallCnn, 8);
    let found = doses(&mut trainer, "patch-trigger", &train, &test, &[0.1]);
    assert!(found.points[0].success.unwrap().share > 0.8, "{:?}", found.points[0]);
    assert!(found.points[0].baseline.unwrap().share < 0.3 && found.clean.accuracy.share > 0.9);
    let collision = doses(&mut trainer, "feature-collision", &train, &test, &[0.1]);
    assert!(collision.points[0].poisoned == 30 && collision.points[0].success.is_some());
}

/// Train, validation and test rows of a table, scaled by their ranges in the training rows; `None`, said aloud, without the shared data.
fn table(name: &str) -> Option<[Set; 3]> {
    let beside = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("ASEPSIS_SHARED").map_or(beside, Into::into);
    let path = shared.join(format!("data/tabular/{name}.csv"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no shared data at {} (set ASEPSIS_SHARED)", path.display());
        return None;
    };
    let splits = testkit::data::table(&text).unwrap();
    let columns: Vec<Vec<f64>> =
        (0..splits.train.inputs.cols).map(|j| splits.train.inputs.column(j)).collect();
    let ends = |c: &Vec<f64>| {
        (c.iter().copied().fold(f64::MAX, f64::min), c.iter().copied().fold(f64::MIN, f64::max))
    };
    let range: Vec<(f64, f64)> = columns.iter().map(ends).collect();
    let space = Space { layout: Layout::Table { features: range.len() }, classes: 2 };
    Some([splits.train, splits.val, splits.test].map(|part| {
        let unit = |(at, v): (usize, &f32)| {
            let (low, high) = range[at % range.len()];
            ((f64::from(*v) - low) / (high - low).max(1e-9)).clamp(0.0, 1.0) as f32
        };
        let rows = part.inputs.data.iter().enumerate().map(unit).collect();
        Set { rows, labels: part.labels.iter().map(|l| *l as usize).collect(), space }
    }))
}

#[test]
fn a_real_table_is_poisoned_stolen_and_searched_for_members() {
    let Some([train, val, test]) = table("wdbc") else { return };
    let mut trainer = models(Recipe::Mlp(vec![32]), 40);
    let found = doses(&mut trainer, "feature-trigger", &train, &test, &[0.15]);
    let point = &found.points[0];
    assert!(found.clean.accuracy.share > 0.9, "{:?}", found.clean);
    assert!(point.success.unwrap().share > point.baseline.unwrap().share + 0.2, "{point:?}");
    let mut victim = trainer.train(&train.samples().training(&Quiet), 9, &mut AsIs).unwrap();
    let registered = attack::theft::find("extraction-in-distribution").unwrap();
    let strategy = (registered.build)(&serde_json::Value::Null).unwrap();
    let theft = Theft {
        pool: &val.rows,
        test: test.samples(),
        referee: None,
        budgets: &[100],
        answers: Answers::Scores,
        seed: 1,
        pace: &Quiet,
    };
    let stolen =
        extract(Target::Gradients(victim.as_mut()), &mut trainer, registered, strategy.as_ref(), &theft)
            .unwrap();
    assert!(stolen.points[0].agreement.share > 0.85, "{stolen:?}");
    let members = membership_by_loss(victim.as_mut(), &train.samples(), &test.samples(), &Quiet).unwrap();
    assert!(members.auc > 0.45 && members.auc < 0.75, "{members:?}");
}
