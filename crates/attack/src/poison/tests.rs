//! What every kind of poisoning must pass, and the dose-response on generated data.

use std::cell::Cell;

use super::*;
use crate::pace::Quiet;
use crate::training::small::{Small, images, table};

/// A stage over generated images of 8 by 8.
pub(crate) fn with_stage(count: usize, work: impl FnOnce(&mut Stage<'_>)) {
    let (train, test) = (images(120, 8, 0.3, 1), images(40, 8, 0.3, 2));
    let (train, test) = (train.samples(), test.samples());
    work(&mut Stage { train, test, count, seed: 4, surrogate: None, pace: &Quiet });
}

/// A stage over a generated table of ten features, four of which say something.
pub(crate) fn with_table(count: usize, work: impl FnOnce(&mut Stage<'_>)) {
    let (train, test) = (table(300, 10, 4, 0.15, 1), table(100, 10, 4, 0.15, 2));
    let (train, test) = (train.samples(), test.samples());
    work(&mut Stage { train, test, count, seed: 4, surrogate: None, pace: &Quiet });
}

/// Poisons with the defaults and checks what must hold for all.
pub(crate) fn check(name: &str, stage: &mut Stage<'_>) -> Poisoned {
    let out = check_with(name, &serde_json::Value::Null, stage).unwrap();
    let mut fewer = Stage { count: stage.count / 2, surrogate: None, ..*stage };
    let half = check_with(name, &serde_json::Value::Null, &mut fewer).unwrap();
    assert!(half.touched.iter().all(|at| out.touched.contains(at)), "a smaller dose is part of a larger one");
    assert_eq!(half.touched.len(), stage.count / 2);
    out
}

pub(crate) fn check_with(
    name: &str,
    given: &serde_json::Value,
    stage: &mut Stage<'_>,
) -> Result<Poisoned, Fault> {
    let poison = (find(name).unwrap().build)(given).unwrap();
    let out = poison.poison(stage)?;
    let width = stage.train.width();
    assert!(out.touched.len() <= stage.count);
    Samples::new(&out.rows, &out.labels, stage.train.space()).unwrap();
    Samples::new(&out.probes, &out.wanted, stage.train.space()).unwrap();
    for at in 0..stage.train.len() {
        let same = stage.train.row(at) == &out.rows[at * width..(at + 1) * width]
            && stage.train.labels()[at] == out.labels[at];
        assert!(same || out.touched.contains(&at), "row {at} changed and is not named");
    }
    Ok(out)
}

#[test]
fn unknown_parameters_are_refused_everywhere() {
    for poison in POISONS {
        assert!((poison.build)(&serde_json::json!({ "no-such": 1 })).is_err(), "{}", poison.entry.name);
        assert!((poison.build)(&serde_json::json!({})).is_ok(), "{}", poison.entry.name);
    }
    assert_eq!(POISONS.len(), ENTRIES.len());
}

fn respond(name: &str, rates: &[f64], bisections: u32, pace: &dyn Pace) -> Result<DoseResponse, Fault> {
    let (train, test) = (images(300, 8, 0.2, 1), images(120, 8, 0.2, 2));
    let dose = Dose {
        train: train.samples(),
        test: test.samples(),
        rates,
        seeds: &[1, 2],
        criterion: None,
        bisections,
        pace,
    };
    let registered = find(name).unwrap();
    let poison = (registered.build)(&serde_json::Value::Null).unwrap();
    let mut trainer = Small { hidden: 16, epochs: 25, rate: 0.05 };
    dose_response(&mut trainer, registered, poison.as_ref(), &dose)
}

#[test]
fn a_backdoor_works_from_a_few_rows_on_and_clean_accuracy_does_not_show_it() {
    let found = respond("patch-trigger", &[0.1, 0.0034], 3, &Quiet).unwrap();
    assert!(found.clean.accuracy.share > 0.95, "{:?}", found.clean.accuracy);
    let strong = found.points.last().unwrap();
    assert!(strong.works && strong.success.unwrap().share > 0.9, "{strong:?}");
    assert!(strong.baseline.unwrap().share < 0.2, "{strong:?}");
    assert!(found.clean.accuracy.share - strong.accuracy.share < 0.03);
    let smallest = found.smallest.unwrap();
    assert!(smallest.poisoned < 30 && smallest.fails_at < smallest.poisoned, "{smallest:?}");
    assert!(found.points.is_sorted_by_key(|p| p.poisoned) && !found.stopped);
    let written = serde_json::to_string(&found).unwrap();
    let read: DoseResponse = serde_json::from_str(&written).unwrap();
    assert_eq!(read.points.len(), found.points.len());
    let again = respond("patch-trigger", &[0.1, 0.0034], 3, &Quiet).unwrap();
    assert_eq!(written, serde_json::to_string(&again).unwrap(), "same seeds, same bytes");
}

#[test]
fn wrong_labels_cost_accuracy_and_targeted_ones_hide_a_class() {
    let random = respond("random-label-flip", &[0.45], 0, &Quiet).unwrap();
    assert!(random.points[0].works && random.points[0].success.is_none(), "{:?}", random.points[0]);
    let targeted = respond("targeted-label-flip", &[0.4], 0, &Quiet).unwrap();
    let point = &targeted.points[0];
    assert!(point.success.unwrap().share > 0.5 && point.baseline.unwrap().share < 0.1, "{point:?}");
}

#[test]
fn correct_labels_can_turn_one_patient() {
    let found = respond("feature-collision", &[0.15], 0, &Quiet).unwrap();
    let point = &found.points[0];
    assert_eq!(point.baseline.unwrap().share, 0.0);
    assert!(point.success.unwrap().share > 0.0, "{point:?}");
    assert!(found.clean.accuracy.share - point.accuracy.share < 0.05, "{point:?}");
}

/// Stops after a number of trainings.
struct StopAfter(u64, Cell<u64>);

impl Pace for StopAfter {
    fn stop(&self) -> bool {
        self.1.get() >= self.0
    }

    fn step(&self, done: u64, total: u64) {
        assert!(done <= total);
        self.1.set(done);
    }
}

#[test]
fn what_was_measured_before_a_stop_is_kept() {
    let found = respond("blend-trigger", &[0.05, 0.1, 0.2], 0, &StopAfter(6, Cell::new(0))).unwrap();
    assert!(found.stopped && found.points.len() == 2 && found.trainings == 6);
    let early = respond("blend-trigger", &[0.05], 0, &StopAfter(1, Cell::new(0)));
    assert_eq!(early.unwrap_err(), Fault::Stopped);
}

#[test]
fn impossible_orders_are_refused() {
    assert!(respond("patch-trigger", &[0.0], 0, &Quiet).is_err());
    assert!(respond("patch-trigger", &[f64::NAN], 0, &Quiet).is_err());
    assert!(respond("feature-trigger", &[0.1], 0, &Quiet).is_err(), "for tables");
}
