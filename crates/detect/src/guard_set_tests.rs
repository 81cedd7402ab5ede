//! The guards together.

use domain::{Outcome, Tensor, TensorData, Timestamp};
use proptest::prelude::*;

use crate::test_support::{Bench, Ticking, flagged, outcome, patients, request_of};
use crate::{Context, GuardSet, History, Screening, Side};

#[test]
fn an_ordinary_patient_passes_every_guard() {
    let mut bench = Bench::table();
    let row = patients(1, 5).inputs.row(0).to_vec();
    let request = bench.request(&[&row]);
    let Screening::Passed { screened, verdicts } = bench.screen("ward", request) else { panic!("blocked") };
    assert!(verdicts.iter().all(|v| v.outcome.is_clean()), "{verdicts:?}");
    assert_eq!(screened.into_inner().rows(), 1);
}

#[test]
fn malformed_input_is_blocked_and_the_other_guards_do_not_call_it_clean() {
    let mut bench = Bench::table();
    for tensors in [
        vec![],
        vec![Tensor::new("other", vec![1, 5], TensorData::Fp32(vec![1.0; 5])).unwrap()],
        vec![Tensor::new("input", vec![1, 4], TensorData::Fp32(vec![1.0; 4])).unwrap()],
        vec![Tensor::new("input", vec![0, 5], TensorData::Fp32(vec![])).unwrap()],
        vec![Tensor::new("input", vec![5], TensorData::Fp32(vec![1.0; 5])).unwrap()],
        vec![Tensor::new("input", vec![1, 5], TensorData::Bytes(vec![vec![]; 5])).unwrap()],
    ] {
        let Screening::Blocked { verdicts } = bench.screen("ward", request_of(tensors)) else {
            panic!("passed")
        };
        assert!(flagged(&verdicts, "schema"));
        assert!(
            verdicts.iter().filter(|v| v.instance != "schema").all(|v| v.outcome.word() == "inconclusive")
        );
    }
}

#[test]
fn nan_is_blocked_wherever_it_stands() {
    let mut bench = Bench::table();
    let row = patients(1, 5).inputs.row(0).to_vec();
    for (j, bad) in [(0, f32::NAN), (2, f32::INFINITY), (4, 0.5)] {
        let mut row = row.clone();
        row[j] = bad;
        let verdicts = bench.ask("ward", &row);
        assert!(flagged(&verdicts, "schema"), "{j}");
    }
}

#[test]
fn every_instance_has_a_name_of_its_own_and_runs() {
    let mut bench = Bench::table();
    let row = patients(1, 5).inputs.row(0).to_vec();
    let mut ran: Vec<String> = bench.ask("ward", &row).into_iter().map(|v| v.instance.into_owned()).collect();
    ran.extend(bench.reply("ward", &[0.01, 0.99]).into_iter().map(|v| v.instance.into_owned()));
    let listed: Vec<String> = bench.set.instances().iter().map(|i| i.name.to_owned()).collect();
    assert_eq!(ran, listed);
    let (requests, replies): (Vec<_>, Vec<_>) =
        bench.set.instances().into_iter().partition(|i| i.side == Side::Request);
    assert_eq!((requests.len(), replies.len()), (6, 2));
}

#[test]
fn a_guard_that_takes_longer_than_its_budget_is_inconclusive() {
    let bench = Bench::table();
    let row = patients(1, 5).inputs.row(0).to_vec();
    let slow = Ticking::new(1_000_000);
    let client = "ward".parse().unwrap();
    let cx = Context { client: &client, at: Timestamp::default(), clock: &slow, history: &bench.history };
    let screening = bench.set.screen_request(bench.request(&[&row]), &cx);
    for verdict in screening.verdicts() {
        assert!(matches!(verdict.outcome, Outcome::Inconclusive { .. }) && verdict.took_us >= 1_000_000);
    }
}

#[test]
fn a_guard_that_is_off_gives_no_verdict() {
    let mut bench = Bench::table();
    bench.settings.query_similarity.enabled = false;
    bench.set = GuardSet::build(&bench.settings, &bench.schema, &bench.fitted).unwrap();
    let row = patients(1, 5).inputs.row(0).to_vec();
    assert!(bench.ask("ward", &row).iter().all(|v| v.instance != "query-similarity"));
}

#[test]
fn a_reply_that_is_not_a_number_is_withheld() {
    let mut bench = Bench::table();
    let verdicts = bench.reply("ward", &[f32::NAN, 0.5]);
    assert!(flagged(&verdicts, "reply-schema") && verdicts.iter().any(domain::GuardVerdict::blocks));
    assert_eq!(outcome(&verdicts, "uncertainty").word(), "inconclusive");
    assert!(!flagged(&bench.reply("ward", &[0.02, 0.98]), "reply-schema"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_values_make_the_guards_panic(values in proptest::collection::vec(any::<f32>(), 0..40), cols in 1..8_usize) {
        thread_local!(static BENCH: std::cell::RefCell<Bench> = std::cell::RefCell::new(Bench::table()));
        let rows = values.len() / cols;
        let tensor = Tensor::new("input", vec![rows, cols], TensorData::Fp32(values[..rows * cols].to_vec())).unwrap();
        BENCH.with(|b| {
            let mut bench = b.borrow_mut();
            bench.history = History::new(&bench.settings, &bench.fitted);
            let screening = bench.screen("fuzz", request_of(vec![tensor]));
            prop_assert!(screening.verdicts().len() == 6);
            Ok(())
        })?;
    }
}
