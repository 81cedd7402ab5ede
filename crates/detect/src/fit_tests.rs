//! Reference data that is as it should be, and all the ways in which it is not.

use numeric::Matrix;

use crate::test_support::{image_schema, images, patients, table_schema};
use crate::{FitError, Fitted, GuardSet, GuardSettings, Reference, fit};

fn try_fit(known: &Reference, held_out: &Reference) -> Result<Fitted, FitError> {
    fit(&GuardSettings::default(), &table_schema(), known, held_out, 1)
}

#[test]
fn the_same_data_gives_the_same_bytes_and_they_read_back() {
    let made = || try_fit(&patients(100, 1), &patients(60, 2)).unwrap();
    let bytes = made().to_bytes();
    assert_eq!(bytes, made().to_bytes());
    let read = Fitted::from_bytes(&bytes).unwrap();
    assert_eq!(read.digest(), made().digest());
    assert!(GuardSet::build(&GuardSettings::default(), &table_schema(), &read).is_ok());
    assert!(matches!(
        GuardSet::build(&GuardSettings::default(), &image_schema(), &read),
        Err(FitError::Stale)
    ));
    assert_eq!(Fitted::from_bytes(&bytes[..bytes.len() - 1]), Err(FitError::Stale));
}

#[test]
fn too_little_or_misshapen_data_is_refused() {
    let good = patients(100, 1);
    for rows in [0, 1, 19] {
        let few =
            Reference { inputs: Matrix { rows, cols: 5, data: vec![1.0; rows * 5] }, ..Reference::default() };
        assert!(matches!(try_fit(&few, &good), Err(FitError::TooFewRows { what: "fit", .. })), "{rows}");
        assert!(
            matches!(try_fit(&good, &few), Err(FitError::TooFewRows { what: "calibration", .. })),
            "{rows}"
        );
    }
    let mut narrow = good.clone();
    narrow.inputs.cols = 4;
    assert!(matches!(try_fit(&narrow, &good), Err(FitError::Width { .. })));
    let mut short = good.clone();
    short.labels = Some(vec![0]);
    assert!(matches!(try_fit(&good, &short), Err(FitError::Mismatch { .. })));
}

#[test]
fn nan_in_any_part_is_refused() {
    let good = patients(100, 1);
    let mut bad = good.clone();
    bad.inputs.data[7] = f32::NAN;
    assert_eq!(try_fit(&bad, &good), Err(FitError::NotFinite { what: "fit" }));
    assert_eq!(try_fit(&good, &bad), Err(FitError::NotFinite { what: "calibration" }));
    let mut bad = good.clone();
    bad.scores.as_mut().unwrap().data[0] = f32::INFINITY;
    assert_eq!(try_fit(&good, &bad), Err(FitError::NotFinite { what: "calibration" }));
}

#[test]
fn a_constant_feature_is_fine_and_constant_data_is_not() {
    let constant = |mut data: Reference| {
        data.inputs.data.iter_mut().skip(2).step_by(5).for_each(|v| *v = 70.0);
        data
    };
    assert!(try_fit(&constant(patients(100, 1)), &constant(patients(60, 2))).is_ok());
    let all =
        Reference { inputs: Matrix { rows: 100, cols: 5, data: vec![1.0; 500] }, ..Reference::default() };
    assert!(matches!(try_fit(&all, &all), Err(FitError::Degenerate { .. })));
}

#[test]
fn a_fit_is_small_whatever_the_size_of_the_reference_data() {
    let settings = GuardSettings::default();
    let fitted = fit(&settings, &image_schema(), &images(3_000, 1), &images(100, 2), 1).unwrap();
    assert!(fitted.to_bytes().len() < 1_000_000);
}
