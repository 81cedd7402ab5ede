//! Ranges and units: each wrong value beside a patient who must pass.

use crate::test_support::{Bench, flagged, image_schema, images, messages, patients};

fn patient() -> Vec<f32> {
    vec![128.0, 236.0, 150.0, 99.0, 1.0]
}

#[test]
fn cholesterol_in_mmol_per_litre_is_named_and_a_low_one_in_mg_per_dl_is_not() {
    let mut bench = Bench::table();
    let mut row = patient();
    row[1] = 6.1;
    let verdicts = bench.ask("ward", &row);
    assert_eq!(messages(&verdicts, "clinical-range"), "`chol` looks like mmol/L, not mg/dL");
    row[1] = 170.0;
    let verdicts = bench.ask("ward", &row);
    assert!(!flagged(&verdicts, "clinical-range") && !flagged(&verdicts, "unit-mix-up"));
}

#[test]
fn glucose_in_mmol_per_litre_is_inside_the_range_and_still_named() {
    let mut bench = Bench::table();
    let mut row = patient();
    row[3] = 5.5;
    let verdicts = bench.ask("ward", &row);
    assert!(!flagged(&verdicts, "clinical-range"));
    assert_eq!(messages(&verdicts, "unit-mix-up"), "`glucose` looks like mmol/L, not mg/dL");
    row[3] = 75.0;
    assert!(!flagged(&bench.ask("ward", &row), "unit-mix-up"));
}

#[test]
fn an_impossible_value_is_blocked_without_being_repeated() {
    let mut bench = Bench::table();
    let mut row = patient();
    row[2] = 251.0;
    let verdicts = bench.ask("ward", &row);
    assert!(verdicts.iter().any(domain::GuardVerdict::blocks));
    let said = messages(&verdicts, "clinical-range");
    assert!(said.contains("`thalach` is outside 20 to 250 /min") && !said.contains("251"), "{said}");
    row[2] = 195.0;
    assert!(!flagged(&bench.ask("ward", &row), "clinical-range"));
}

#[test]
fn a_shifted_decimal_point_is_named() {
    let mut bench = Bench::table();
    let mut row = patient();
    row[3] = 995.0;
    let said = messages(&bench.ask("ward", &row), "unit-mix-up");
    assert_eq!(said, "`glucose` looks 10 times too large");
}

#[test]
fn ordinary_patients_are_not_taken_for_mix_ups() {
    let mut bench = Bench::table();
    let data = patients(300, 9);
    let wrong = data.inputs.iter_rows().filter(|r| flagged(&bench.ask("ward", r), "unit-mix-up")).count();
    assert!(wrong <= 1, "{wrong} of 300");
}

#[test]
fn pixels_on_another_scale_and_empty_images_are_named() {
    let mut bench = Bench::image();
    let image = images(1, 9).inputs.row(0).to_vec();
    let bright: Vec<f32> = image.iter().map(|v| v * 255.0).collect();
    assert!(messages(&bench.ask("ward", &bright), "clinical-range").contains("0 to 255"));
    assert!(messages(&bench.ask("ward", &vec![0.3; 196]), "clinical-range").contains("no image"));
    assert!(!flagged(&bench.ask("ward", &image), "clinical-range"));
}

#[test]
fn block_means_of_one_pixel_and_of_nothing_do_not_panic() {
    let schema = domain::InputSchema::Image {
        tensor: "x".into(),
        channels: 1,
        height: 1,
        width: 1,
        min: 0.0,
        max: 1.0,
    };
    let mut out = Vec::new();
    crate::pixels::block_means(&schema, &[0.5], 7, &mut out);
    assert_eq!(out, [0.5]);
    crate::pixels::block_means(&schema, &[], 7, &mut out);
    assert!(out.is_empty());
    crate::pixels::block_means(&image_schema(), &[1.0; 196], 7, &mut out);
    assert!(
        out.len() == 49 && out.iter().all(|v| (v - 2.0).abs() < 1e-6),
        "2 × 2 pixels keep the noise's scale"
    );
}
