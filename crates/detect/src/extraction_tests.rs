//! Clients that copy the model beside honest ones.

use numeric::Rng;

use crate::test_support::{Bench, flagged, messages, patients};

const NAME: &str = "extraction";

#[test]
fn random_queries_are_taken_for_copying_within_twenty() {
    let mut bench = Bench::table();
    let mut rng = Rng::new(4, 0);
    let mut alarm = None;
    for k in 1..=60 {
        #[expect(clippy::cast_possible_truncation, reason = "test")]
        let row: Vec<f32> = [(80.0, 200.0), (100.0, 500.0), (60.0, 210.0), (50.0, 300.0)]
            .map(|(low, high)| rng.range(low, high) as f32)
            .into_iter()
            .chain([1.0])
            .collect();
        if flagged(&bench.ask("copier", &row), NAME) {
            alarm.get_or_insert(k);
        }
    }
    assert!(alarm.is_some_and(|k| k <= 20), "{alarm:?}");
    assert!(
        !flagged(&bench.ask("ward", &[128.0, 236.0, 150.0, 99.0, 1.0]), NAME),
        "other clients are not touched"
    );
}

#[test]
fn answers_at_the_edge_are_counted_and_show_at_the_next_request() {
    let mut bench = Bench::table();
    let data = patients(40, 30);
    let mut alarmed = false;
    for row in data.inputs.iter_rows() {
        alarmed |= messages(&bench.ask("copier", row), NAME).contains("decision's edge");
        bench.reply("copier", &[0.5, 0.5]);
    }
    assert!(alarmed);
}

#[test]
fn honest_days_give_no_alarm() {
    let mut bench = Bench::table();
    let alarms = (0..50_u64)
        .filter(|day| {
            let data = patients(100, 100 + day);
            let client = format!("client-{day}");
            let scores = data.scores.clone().unwrap();
            data.inputs.iter_rows().zip(scores.iter_rows()).any(|(row, p)| {
                let found = flagged(&bench.ask(&client, row), NAME);
                bench.reply(&client, p);
                found
            })
        })
        .count();
    assert_eq!(alarms, 0);
}

#[test]
fn the_budget_counts_different_queries_and_renews_at_midnight() {
    let mut bench = Bench::table();
    bench.settings.extraction.queries_per_day = crate::Count::new(20);
    bench.set = crate::GuardSet::build(&bench.settings, &bench.schema, &bench.fitted).unwrap();
    let data = patients(40, 30);
    for _ in 0..30 {
        assert!(!flagged(&bench.ask("ward", data.inputs.row(0)), NAME), "repeats do not count");
    }
    for k in 1..19 {
        assert!(!flagged(&bench.ask("ward", data.inputs.row(k)), NAME), "{k}");
    }
    assert!(messages(&bench.ask("ward", data.inputs.row(19)), NAME).contains("20 different queries today"));
    bench.at = bench.at.plus_days(1);
    assert!(!flagged(&bench.ask("ward", data.inputs.row(20)), NAME));
}

#[test]
fn a_clock_that_goes_back_does_not_renew_the_budget() {
    let mut conduct = super::Conduct::new(10);
    conduct.queries = 7;
    conduct.turn_day(9);
    assert_eq!(conduct.queries, 7);
    conduct.turn_day(11);
    assert_eq!(conduct.queries, 0);
}

#[test]
fn clients_are_remembered_up_to_the_limit() {
    let mut bench = Bench::table();
    let row = patients(1, 5).inputs.row(0).to_vec();
    for k in 0..=crate::history::CLIENTS_MAX {
        bench.ask(&format!("client-{k}"), &row);
    }
    assert_eq!(bench.history.clients(), crate::history::CLIENTS_MAX);
}
