//! Hardening on generated images: what it is for must be seen in the numbers.

use super::*;
use crate::evasion;
use crate::pace::Quiet;
use crate::training::small::{Small, images};

fn with_course(work: impl FnOnce(&Course<'_>)) {
    let (train, test) = (images(300, 6, 0.2, 1), images(100, 6, 0.2, 2));
    let registered = evasion::find("fgsm").unwrap();
    let attack = (registered.build)(&serde_json::Value::Null).unwrap();
    let ball = Ball { norm: Norm::Linf, epsilon: 0.08 };
    let trials = [Trial { registered, attack: &attack, ball, queries_max: None }];
    let (train, test) = (train.samples(), test.samples());
    work(&Course { train, test, trials: &trials, seed: 3, pace: &Quiet });
}

const TRAINER: Small = Small { hidden: 16, epochs: 40, rate: 0.05 };

#[test]
fn a_model_trained_on_attacked_rows_stands_more() {
    with_course(|course| {
        let settings = AdversarialTraining { epsilon: 0.08, steps: 5, ..AdversarialTraining::default() };
        let hardened = adversarial_training(&mut { TRAINER }, course, settings).unwrap();
        let BeforeAfter { before, after, .. } = &hardened.report;
        let robust = |p: &Protection| p.robust[0].accuracy.share;
        assert!(robust(after) > robust(before) + 0.05, "{} after {}", robust(after), robust(before));
        assert!(after.standing.accuracy.share > 0.8, "{after:?}");
        assert!(robust(before) <= before.standing.accuracy.share);
        let again = adversarial_training(&mut { TRAINER }, course, settings).unwrap();
        assert_eq!(again.report, hardened.report, "same seed, same models");
    });
}

#[test]
fn a_model_trained_with_noise_is_proven_further_than_a_plain_one() {
    with_course(|course| {
        let settings = Smoothing { sigma: 0.3, select: 50, certify: 500, alpha: 0.001 };
        let radii = [0.0, 0.2, 0.4];
        let (_, report) = smoothing(&mut { TRAINER }, course, settings, &radii).unwrap();
        assert!(report.after.accuracy.share > 0.8, "{:?}", report.after.accuracy);
        let mut plain = train(&mut { TRAINER }, course, &mut crate::training::AsIs).unwrap();
        let without = certify_all(plain.as_mut(), &course.test, &settings, &radii, 3, &Quiet).unwrap();
        assert!(
            report.after.radius_mean >= without.radius_mean * 0.95,
            "{} {}",
            report.after.radius_mean,
            without.radius_mean
        );
        assert!(report.after.curve.is_sorted_by(|a, b| a.accuracy.hits >= b.accuracy.hits));
        assert!(report.after.curve[1].accuracy.share > 0.3, "{:?}", report.after.curve);
    });
}

struct Stop;

impl Pace for Stop {
    fn stop(&self) -> bool {
        true
    }

    fn step(&self, _done: u64, _total: u64) {}
}

#[test]
fn a_stop_gives_no_half_measured_robustness() {
    with_course(|course| {
        let stopped = Course { pace: &Stop, ..*course };
        let found = adversarial_training(&mut { TRAINER }, &stopped, AdversarialTraining::default());
        assert!(matches!(found, Err(Fault::Stopped)));
    });
}
