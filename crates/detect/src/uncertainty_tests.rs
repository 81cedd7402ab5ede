//! Conformal prediction per class.

use numeric::Matrix;

use crate::test_support::{Bench, flagged, messages, patients, table_schema};
use crate::{FitError, Reference, UncertaintySettings};

#[test]
fn a_clear_answer_stands_and_an_even_one_goes_to_the_clinician() {
    let mut bench = Bench::table();
    assert!(!flagged(&bench.reply("ward", &[0.005, 0.995]), "uncertainty"));
    let verdicts = bench.reply("ward", &[0.5, 0.5]);
    assert_eq!(messages(&verdicts, "uncertainty"), "2 classes stay possible: hand over to the clinician");
}

#[test]
fn each_class_is_covered_as_promised() {
    let bench = Bench::table();
    let (client, system) = ("ward".parse().unwrap(), "test".parse().unwrap());
    let found = crate::evaluate(&bench.set, &patients(2_000, 8), &client, &system);
    for (share, rows) in found.coverage {
        assert!(rows > 500 && share > 0.85, "{share} of {rows}");
    }
}

#[test]
fn a_class_with_too_few_patients_is_never_excluded() {
    let scores = Matrix::new(10, 2, [0.9, 0.1].repeat(10)).unwrap();
    let labels = [0; 9].into_iter().chain([1]).collect();
    let data = Reference { labels: Some(labels), scores: Some(scores), ..Reference::default() };
    let fit = super::fit(&UncertaintySettings::default(), &data).unwrap().unwrap();
    assert_eq!(fit.possible(&[1.0, 0.0]).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(fit.rows, [9, 1]);
}

#[test]
fn without_labels_or_with_other_classes_it_cannot_decide() {
    let mut unlabelled = patients(100, 2);
    unlabelled.labels = None;
    let mut bench = Bench::new(table_schema(), &patients(100, 1), &unlabelled);
    assert_eq!(bench.reply("ward", &[0.0, 1.0])[1].outcome.word(), "inconclusive");
    let mut bench = Bench::table();
    assert_eq!(bench.reply("ward", &[0.2, 0.3, 0.5])[1].outcome.word(), "inconclusive");
}

#[test]
fn a_label_beyond_the_classes_is_refused() {
    let mut data = patients(100, 2);
    data.labels = Some(vec![2; 100]);
    let found = super::fit(&UncertaintySettings::default(), &data);
    assert_eq!(found, Err(FitError::Label { label: 2, classes: 2 }));
}
