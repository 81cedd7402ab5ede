//! What every family promises, whatever it does.

use domain::FeatureKind;

use super::{CORRUPTIONS, Column, Corruption, Registered, Setting, Subject, Table, changed_cells, find};
use crate::access::{Fault, Layout, Rows};

const SHAPES: [(usize, usize, usize); 7] =
    [(1, 28, 28), (3, 28, 28), (1, 1, 1), (3, 1, 7), (2, 9, 1), (3, 15, 17), (1, 33, 8)];

fn images() -> impl Iterator<Item = &'static Registered> {
    CORRUPTIONS.iter().copied().filter(|c| c.subject == Subject::Image)
}

fn severities(family: &Registered) -> Vec<Corruption> {
    let of = |severity| family.configure(Setting { severity: Some(severity), strength: None }).unwrap();
    (1..=family.strengths.values.len()).map(of).collect()
}

fn pixels(n: usize) -> Vec<f32> {
    let mut rng = numeric::Rng::new(9, 0);
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    (0..n).map(|_| rng.uniform() as f32).collect()
}

#[test]
fn every_family_keeps_shape_and_box_on_every_shape() {
    for family in images() {
        for corruption in severities(family) {
            for (channels, height, width) in SHAPES {
                let layout = Layout::Image { channels, height, width };
                let rows = pixels(2 * layout.len());
                let mut out = vec![9.0];
                corruption
                    .images(Rows::new(&rows, layout.len(), &[4, 5]).unwrap(), layout, 1, &mut out)
                    .unwrap();
                assert_eq!(out.len(), rows.len(), "{}", family.entry.name);
                assert!(out.iter().all(|v| (0.0..=1.0).contains(v)), "{}", family.entry.name);
            }
        }
    }
}

#[test]
fn extreme_strengths_are_computed_too() {
    for family in images() {
        for strength in [family.strengths.low, family.strengths.high] {
            let corruption = family.configure(Setting { severity: None, strength: Some(strength) }).unwrap();
            let layout = Layout::Image { channels: 3, height: 5, width: 6 };
            let mut out = Vec::new();
            corruption.images(Rows::new(&pixels(90), 90, &[0]).unwrap(), layout, 1, &mut out).unwrap();
            assert!(out.iter().all(|v| (0.0..=1.0).contains(v)), "{} {strength}", family.entry.name);
        }
    }
}

#[test]
fn a_row_comes_out_the_same_whatever_it_is_batched_with() {
    let layout = Layout::Image { channels: 1, height: 12, width: 11 };
    let rows = pixels(3 * layout.len());
    let last = &rows[2 * layout.len()..];
    for family in images() {
        let corruption = severities(family).pop().unwrap();
        let (mut together, mut alone, mut other) = (Vec::new(), Vec::new(), Vec::new());
        let all = Rows::new(&rows, layout.len(), &[7, 8, 9]).unwrap();
        corruption.images(all, layout, 3, &mut together).unwrap();
        corruption.images(Rows::new(last, layout.len(), &[9]).unwrap(), layout, 3, &mut alone).unwrap();
        assert_eq!(together[2 * layout.len()..], alone, "{}", family.entry.name);
        corruption.images(Rows::new(last, layout.len(), &[9]).unwrap(), layout, 4, &mut other).unwrap();
        let random = family.entry.name.ends_with("_noise");
        assert!(!random || other != alone, "{}: the seed does nothing", family.entry.name);
        assert_ne!(alone, last, "{}: nothing happens", family.entry.name);
    }
}

#[test]
fn the_worst_severity_changes_more_than_the_mildest() {
    let layout = Layout::Image { channels: 1, height: 28, width: 28 };
    // A smooth picture with an edge, over which every family can do harm.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let row: Vec<f32> =
        (0..784).map(|i| if i % 28 > 20 { 0.9 } else { 0.2 + 0.4 * (i / 28) as f32 / 28.0 }).collect();
    let rows = row.repeat(40);
    let samples: Vec<usize> = (0..40).collect();
    let (before, first) = (&rows, |family: &Registered| !matches!(family.entry.name, "turned" | "flipped"));
    for family in images().filter(|f| first(f)) {
        let distances: Vec<f64> = severities(family)
            .iter()
            .map(|corruption| {
                let mut out = Vec::new();
                corruption.images(Rows::new(&rows, 784, &samples).unwrap(), layout, 1, &mut out).unwrap();
                out.iter().zip(before).map(|(a, b)| f64::from((a - b).abs())).sum()
            })
            .collect();
        assert!(
            distances.len() == 1 || distances.last() > distances.first(),
            "{}: {distances:?}",
            family.entry.name
        );
    }
}

#[test]
fn pixels_that_are_no_numbers_and_tables_are_refused() {
    let layout = Layout::Image { channels: 1, height: 1, width: 2 };
    let mut out = Vec::new();
    for family in images() {
        let corruption = family.build(&serde_json::Value::Null).unwrap();
        let nan = [0.5, f32::NAN];
        let seen = corruption.images(Rows::new(&nan, 2, &[31]).unwrap(), layout, 1, &mut out);
        assert!(matches!(&seen, Err(Fault::Shape(why)) if why.contains("sample 31")), "{seen:?}");
        let table = Layout::Table { features: 2 };
        let seen = corruption.images(Rows::new(&[0.5, 0.5], 2, &[0]).unwrap(), table, 1, &mut out);
        assert!(matches!(seen, Err(Fault::NotApplicable(_))));
        let seen = corruption.images(Rows::new(&[0.5; 3], 3, &[0]).unwrap(), layout, 1, &mut out);
        assert!(matches!(seen, Err(Fault::Shape(_))));
    }
}

/// Age (whole), temperature, two pressures of one unit, a code.
fn ward() -> (Table, Vec<f32>) {
    let column = |name: &str, unit: &str, kind: FeatureKind, low: f64, high: f64| {
        let mut column = Column::plain(name, low, high);
        column.feature.unit = unit.to_owned();
        column.feature.kind = kind;
        column
    };
    let columns = vec![
        column("age", "a", FeatureKind::Integer, 0.0, 120.0),
        column("temperature", "Cel", FeatureKind::Real, 30.0, 45.0),
        column("systolic", "mm[Hg]", FeatureKind::Real, 50.0, 280.0),
        column("diastolic", "mm[Hg]", FeatureKind::Real, 20.0, 160.0),
        column("sex", "1", FeatureKind::Category { codes: vec![0.0, 1.0] }, 0.0, 1.0),
    ];
    let mut rows = pixels(5 * 64);
    for row in rows.chunks_exact_mut(5) {
        row[0] = (row[0] * 120.0).round() / 120.0;
        row[4] = row[4].round();
    }
    (Table::new(columns, &rows).unwrap(), rows)
}

fn tables() -> impl Iterator<Item = &'static Registered> {
    CORRUPTIONS.iter().copied().filter(|c| c.subject == Subject::Table)
}

fn on_ward(family: &str, severity: usize) -> (Table, Vec<f32>, Vec<f32>) {
    let (table, rows) = ward();
    let corruption =
        find(family).unwrap().configure(Setting { severity: Some(severity), strength: None }).unwrap();
    let samples: Vec<usize> = (0..64).collect();
    let mut out = Vec::new();
    corruption.tables(Rows::new(&rows, 5, &samples).unwrap(), &table, 2, &mut out).unwrap();
    (table, rows, out)
}

#[test]
fn every_family_of_tables_changes_cells_and_leaves_the_others_bit_for_bit() {
    for family in tables() {
        let mut before = 0;
        for severity in 1..=5 {
            let (_, rows, out) = on_ward(family.entry.name, severity);
            let changed = changed_cells(&rows, &out).into_iter().filter(|c| *c).count();
            assert!(changed >= before.max(1), "{} {severity}: {changed}", family.entry.name);
            // At most the cells of the severity, and those that a row has.
            let cells = family.strengths.means.starts_with("cells");
            assert!(
                !cells || changed <= 64 * [1, 2, 3, 5, 5][severity - 1],
                "{} {severity}",
                family.entry.name
            );
            before = if cells { changed } else { 0 };
        }
    }
}

#[test]
fn codes_are_left_alone_where_arithmetic_makes_no_sense() {
    for name in ["unit_mixup", "decimal_shift", "rounding", "site_shift"] {
        let (_, rows, out) = on_ward(name, 5);
        let same = rows.iter().zip(&out).skip(4).step_by(5).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{name}");
    }
}

#[test]
fn whole_numbers_stay_whole() {
    for name in ["decimal_shift", "rounding", "site_shift"] {
        let (_, _, out) = on_ward(name, 5);
        for age in out.iter().step_by(5).map(|v| v * 120.0) {
            assert!((age - age.round()).abs() < 1e-3, "{name}: {age}");
        }
    }
}

#[test]
fn missing_values_are_written_as_they_say() {
    for (name, code) in [("missing_zero", 0.0), ("missing_minus_one", -1.0), ("missing_999", 999.0)] {
        let (table, rows, out) = on_ward(name, 5);
        for (at, value) in out.iter().enumerate().filter(|(at, _)| changed_cells(&rows, &out)[*at]) {
            let seen = table.columns()[at % 5].to_unit(f64::from(*value));
            assert!((seen - code).abs() < 1e-3, "{name}: {seen}");
        }
    }
    let (_, rows, out) = on_ward("missing_nan", 1);
    assert_eq!(out.iter().filter(|v| v.is_nan()).count(), 64);
    assert_eq!(changed_cells(&rows, &out).iter().filter(|c| **c).count(), 64);
}

#[test]
fn stale_values_are_those_of_the_patient_before() {
    let (_, rows, out) = on_ward("stale_values", 5);
    let before: Vec<f32> = rows[63 * 5..].iter().chain(&rows[..63 * 5]).copied().collect();
    assert!(out.iter().zip(before).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn a_site_is_one_for_all_patients_and_another_for_another_seed() {
    let (table, rows) = ward();
    let corruption = find("site_shift").unwrap().build(&serde_json::json!({"strength": 1.0})).unwrap();
    let touched = |seed: u64, sample: usize| {
        let mut out = Vec::new();
        let row = &rows[sample * 5..(sample + 1) * 5];
        corruption.tables(Rows::new(row, 5, &[sample]).unwrap(), &table, seed, &mut out).unwrap();
        changed_cells(row, &out)
    };
    assert!((1..20).all(|sample| touched(1, sample) == touched(1, 0)));
    assert!((2..20).any(|seed| touched(seed, 0) != touched(1, 0)));
    assert_eq!(touched(1, 0).iter().filter(|t| **t).count(), 2);
}

#[test]
fn tables_that_cannot_be_corrupted_say_why() {
    assert!(Table::new(vec![], &[]).is_err());
    assert!(Table::new(vec![Column::plain("a", 0.0, 1.0)], &[]).is_err());
    assert!(Table::new(vec![Column::plain("a", 1.0, 1.0)], &[0.5]).unwrap_err().contains("`a`"));
    assert!(Table::new(vec![Column::plain("a", 0.0, f64::NAN)], &[0.5]).is_err());
    let table = Table::new(vec![Column::plain("a", 0.0, 1.0)], &[f32::NAN]).unwrap();
    let mut out = Vec::new();
    for family in tables() {
        let corruption = family.build(&serde_json::Value::Null).unwrap();
        let seen = corruption.tables(Rows::new(&[0.5], 1, &[0]).unwrap(), &table, 1, &mut out);
        let refused = ["unit_mixup", "swapped_columns"].contains(&family.entry.name);
        assert_eq!(matches!(seen, Err(Fault::NotApplicable(_))), refused, "{}: {seen:?}", family.entry.name);
        let seen = corruption.tables(Rows::new(&[0.5; 2], 2, &[0]).unwrap(), &table, 1, &mut out);
        assert!(matches!(seen, Err(Fault::Shape(_))));
    }
    let image = find("pixelate").unwrap().build(&serde_json::Value::Null).unwrap();
    let seen = image.tables(Rows::new(&[0.5], 1, &[0]).unwrap(), &table, 1, &mut out);
    assert!(matches!(seen, Err(Fault::NotApplicable(_))));
}
