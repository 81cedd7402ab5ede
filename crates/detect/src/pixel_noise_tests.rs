//! Tests of G007 on made-up images.

use numeric::Rng;

use super::*;
use crate::test_support::Ticking;

const SIDE: usize = 20;

fn schema() -> InputSchema {
    InputSchema::Image { tensor: "input".into(), channels: 1, height: SIDE, width: SIDE, min: 0.0, max: 1.0 }
}

/// Smooth images of varying brightness and contrast with a little detector noise.
#[expect(clippy::cast_possible_truncation, reason = "test data")]
fn images(n: usize, seed: u64) -> Matrix {
    let mut rng = Rng::new(seed, 0);
    let rows: Vec<Vec<f32>> = (0..n)
        .map(|_| {
            let (base, gain) = (rng.range(0.3, 0.6), rng.range(0.05, 0.3));
            let (fx, fy, phase) = (rng.range(0.1, 0.4), rng.range(0.1, 0.4), rng.range(0.0, 6.0));
            (0..SIDE * SIDE)
                .map(|i| {
                    let (y, x) = ((i / SIDE) as f64, (i % SIDE) as f64);
                    (base + gain * (fx * x + fy * y + phase).sin() + 0.004 * rng.normal()).clamp(0.0, 1.0)
                        as f32
                })
                .collect()
        })
        .collect();
    Matrix::from_rows(&rows).unwrap()
}

fn fitted() -> NoiseFit {
    fit(&PixelNoiseSettings::default(), &schema(), &images(300, 1), &images(300, 2), 1).unwrap().unwrap()
}

fn flagged(fit: &NoiseFit, rows: &Matrix) -> usize {
    let clock = Ticking::new(0);
    (0..rows.rows)
        .filter(|r| {
            let one = Matrix::new(1, rows.cols, rows.row(*r).to_vec()).unwrap();
            !check(&schema(), fit, &one, &Watch::new(&clock, 0, 1_000_000)).is_clean()
        })
        .count()
}

#[test]
fn a_sign_perturbation_is_seen_and_clean_images_keep_the_rate() {
    let fit = fitted();
    let clean = images(200, 3);
    assert!(flagged(&fit, &clean) <= 8, "{}", flagged(&fit, &clean));
    let mut rng = Rng::new(9, 0);
    let mut attacked = clean;
    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    attacked.data.iter_mut().for_each(|v| *v = (*v + (rng.sign() * 8.0 / 255.0) as f32).clamp(0.0, 1.0));
    assert_eq!(flagged(&fit, &attacked), 200);
}

#[test]
fn a_smooth_shadow_is_not_this_guards_business() {
    let mut shadowed = images(100, 4);
    for row in shadowed.data.chunks_exact_mut(SIDE * SIDE) {
        for (i, v) in row.iter_mut().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "test data")]
            let fall = 1.0 - 0.3 * (i % SIDE) as f32 / SIDE as f32;
            *v *= fall;
        }
    }
    assert!(flagged(&fitted(), &shadowed) <= 10, "{}", flagged(&fitted(), &shadowed));
}

#[test]
fn a_pixel_that_is_not_a_number_is_a_doubt() {
    let mut rows = images(1, 5);
    rows.data[7] = f32::NAN;
    let clock = Ticking::new(0);
    let outcome = check(&schema(), &fitted(), &rows, &Watch::new(&clock, 0, 1_000_000));
    assert!(matches!(outcome, Outcome::Inconclusive { .. }), "{outcome:?}");
}

#[test]
fn tables_and_tiny_images_have_no_such_guard() {
    let settings = PixelNoiseSettings::default();
    let tiny =
        InputSchema::Image { tensor: "i".into(), channels: 1, height: 7, width: 7, min: 0.0, max: 1.0 };
    let rows = Matrix::new(1, 49, vec![0.0; 49]).unwrap();
    assert_eq!(fit(&settings, &tiny, &rows, &rows, 0).unwrap(), None);
    assert_eq!(fit(&settings, &crate::test_support::table_schema(), &rows, &rows, 0).unwrap(), None);
}

#[test]
fn the_border_is_mirrored() {
    let frame = frame(&schema()).unwrap();
    let plane: Vec<f32> = (0..SIDE * SIDE).map(|i| (i % SIDE) as f32).collect();
    let mut around = [0.0; NEIGHBOURS];
    neighbours(&frame, &plane, 0, 0, &mut around);
    assert_eq!(&around[..5], &[2.0, 1.0, 0.0, 1.0, 2.0]);
    neighbours(&frame, &plane, SIDE - 1, SIDE - 1, &mut around);
    let last = (SIDE - 1) as f32;
    assert_eq!(&around[..5], &[last - 2.0, last - 1.0, last, last - 1.0, last - 2.0]);
}
