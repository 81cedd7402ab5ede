//! Strange rows and images beside ordinary ones.

use numeric::Rng;

use crate::test_support::{Bench, flagged, images, outcome, patients, table_schema};

#[test]
fn values_that_are_ordinary_alone_but_not_together_are_flagged() {
    let mut bench = Bench::table();
    // Low pressure with high cholesterol: the two go together in the reference data.
    assert!(flagged(&bench.ask("ward", &[108.0, 300.0, 150.0, 100.0, 1.0]), "out-of-distribution"));
    assert!(!flagged(&bench.ask("ward", &[145.0, 282.0, 150.0, 100.0, 1.0]), "out-of-distribution"));
}

#[test]
fn the_stated_rate_holds_on_new_patients() {
    for (mut bench, data) in [(Bench::table(), patients(1_500, 7)), (Bench::image(), images(1_500, 7))] {
        let n =
            data.inputs.iter_rows().filter(|r| flagged(&bench.ask("ward", r), "out-of-distribution")).count();
        assert!(n <= 40, "{n} of 1,500 at a stated rate of 0.01");
    }
}

#[test]
fn noise_and_a_negative_are_unlike_the_reference_images() {
    let mut bench = Bench::image();
    let image = images(1, 9).inputs.row(0).to_vec();
    let mut rng = Rng::new(3, 0);
    #[expect(clippy::cast_possible_truncation, reason = "test")]
    let noisy: Vec<f32> = image.iter().map(|v| (v + 0.2 * rng.normal() as f32).clamp(0.0, 1.0)).collect();
    assert!(flagged(&bench.ask("ward", &noisy), "out-of-distribution"));
    let negative: Vec<f32> = image.iter().map(|v| 1.0 - v).collect();
    assert!(flagged(&bench.ask("ward", &negative), "out-of-distribution"));
    assert!(!flagged(&bench.ask("ward", &image), "out-of-distribution"));
}

#[test]
fn few_calibration_rows_raise_the_stated_rate_and_say_so() {
    let bench = Bench::new(table_schema(), &patients(200, 1), &patients(49, 2));
    assert!((bench.fitted.stated_false_positive_rate() - 0.02).abs() < 1e-12);
}

#[test]
fn a_row_that_cannot_be_scored_is_a_doubt() {
    let mut bench = Bench::table();
    let verdicts = bench.ask("ward", &[f32::NAN, 240.0, 150.0, 100.0, 1.0]);
    assert_eq!(outcome(&verdicts, "out-of-distribution").word(), "inconclusive");
}

#[test]
fn activations_are_scored_where_they_were_given() {
    let with = |mut data: crate::Reference| {
        data.features = Some(data.inputs.clone());
        data
    };
    let bench = Bench::new(table_schema(), &with(patients(400, 1)), &with(patients(300, 2)));
    let fit = &bench.fitted.ood;
    let clock = crate::test_support::Ticking::new(0);
    let watch = crate::rows::Watch::new(&clock, domain::Clock::monotonic_us(&clock), 1_000);
    let check = |row: &[f32]| super::check_features(fit, Some(&vec![row.to_vec()]), &watch);
    assert!(!check(&[108.0, 300.0, 150.0, 100.0, 1.0]).is_clean());
    assert!(check(&[145.0, 282.0, 150.0, 100.0, 1.0]).is_clean());
    assert_eq!(check(&[1.0]).word(), "inconclusive", "another width");
    assert_eq!(super::check_features(fit, None, &watch).word(), "inconclusive");
}
