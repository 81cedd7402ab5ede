//! The inference path with the real model, guards and ledger: what is answered, what is refused, and what the ledger
//! holds of each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{Bench, Fixture, NOW_MS, bench, blocking, breast_mass};
use domain::{Advice, Tensor, TensorData};
use gateway::{Answer, Arrival, Event, Refused, ServingState};
use oip::Call;

fn call(rows: &[Vec<f32>]) -> Call {
    let shape = vec![rows.len(), rows[0].len()];
    Call {
        id: Some("r-1".into()),
        inputs: vec![Tensor::new("input", shape, TensorData::Fp32(rows.concat())).unwrap()],
        outputs: Vec::new(),
        binary_output_default: false,
        parameters: oip::Params::new(),
    }
}

async fn ask(
    bench: &Bench,
    system: &str,
    key: Option<&str>,
    rows: &[Vec<f32>],
) -> Result<Answer, Box<Refused>> {
    let arrival = Arrival { credential: key, system, version: None };
    bench.gateway.infer(arrival, |_| Ok(call(rows))).await
}

fn ready() -> (Fixture, Bench) {
    let fixture = breast_mass(&blocking());
    let bench = bench(&fixture.version());
    (fixture, bench)
}

fn code(result: Result<Answer, Box<Refused>>) -> &'static str {
    result.err().unwrap().refusal.code()
}

#[tokio::test]
async fn an_answer_carries_a_receipt_and_both_entries_are_durable_before_it_leaves() {
    let (fixture, bench) = ready();
    let (good, _) = fixture.good_and_bad();
    let mut events = bench.gateway.subscribe();
    let answer = ask(&bench, "breast-mass", Some(&bench.key), &[good]).await.unwrap();
    assert!(bench.ledger.log.head().size > answer.receipt.ledger_index, "durable before it leaves");
    assert_eq!(answer.receipt.model, fixture.digest);
    let closed = &bench.ledger.of("closed")[0];
    assert_eq!(closed["opened"], 0);
    assert_eq!(closed["refused"], serde_json::Value::Null);
    assert_eq!(bench.ledger.of("opened")[0]["exchange"], closed["exchange"]);
    let Event::Exchange(event) = events.recv().await.unwrap() else { panic!("an exchange") };
    assert_eq!((event.ledger_index, event.refused), (answer.receipt.ledger_index, None));
    assert!(event.commit_wait_us > 0);
    let outputs = answer.into_outputs();
    assert_eq!(outputs[0].name(), "logits");
    assert_eq!(outputs.len(), 1, "activations stay inside");
}

#[tokio::test]
async fn nothing_of_the_patient_is_in_the_ledger_and_equal_requests_have_equal_digests() {
    let (fixture, bench) = ready();
    let (good, bad) = fixture.good_and_bad();
    for rows in [&good, &good, &bad] {
        let _ = ask(&bench, "breast-mass", Some(&bench.key), std::slice::from_ref(rows)).await;
    }
    let opened = bench.ledger.of("opened");
    assert_eq!(opened[0]["request"], opened[1]["request"]);
    assert_ne!(opened[0]["request"], opened[2]["request"]);
    let all = format!("{:?}", bench.ledger.entries.lock().unwrap());
    assert!(!all.contains("5000") && !all.contains(&good[0].to_string()), "{all}");
}

#[tokio::test]
async fn an_impossible_value_is_blocked_and_the_refusal_is_closed_in_the_ledger() {
    let (fixture, bench) = ready();
    let (_, bad) = fixture.good_and_bad();
    let refused = ask(&bench, "breast-mass", Some(&bench.key), &[bad]).await.err().unwrap();
    assert_eq!(refused.refusal.code(), "E014");
    assert!(refused.verdicts.iter().any(|v| v.instance == "clinical-range" && v.blocks()));
    let closed = &bench.ledger.of("closed")[0];
    assert_eq!(closed["refused"], "E014");
    assert_eq!(closed["model"], serde_json::Value::Null, "the model never saw it");
    assert!(closed["guards"].to_string().contains("mean_radius"));
    assert!(bench.ledger.log.head().size > refused.ledger_index.unwrap());
}

#[tokio::test]
async fn nan_and_wrong_shapes_do_not_reach_the_model() {
    let (fixture, bench) = ready();
    let (good, _) = fixture.good_and_bad();
    let mut nan = good.clone();
    nan[3] = f32::NAN;
    for rows in [vec![nan], vec![good[..29].to_vec()], vec![[good.clone(), vec![1.0]].concat()]] {
        assert_eq!(code(ask(&bench, "breast-mass", Some(&bench.key), &rows).await), "E014");
    }
    assert!(bench.ledger.of("closed").iter().all(|e| e["model"].is_null()));
}

#[tokio::test]
async fn callers_are_turned_away_with_their_own_code_and_counted() {
    let (fixture, bench) = ready();
    let (good, _) = fixture.good_and_bad();
    let rows = [good];
    for (system, key, expected) in [
        ("breast-mass", None, "E005"),
        ("breast-mass", Some("asepsis_x"), "E006"),
        ("nothing-here", Some(bench.key.as_str()), "E004"),
        ("../../etc", Some(bench.key.as_str()), "E004"),
        ("breast-mass", Some(bench.admin.as_str()), "E008"),
        ("shut", Some(bench.key.as_str()), "E012"),
        ("stopped", Some(bench.key.as_str()), "E013"),
    ] {
        assert_eq!(code(ask(&bench, system, key, &rows).await), expected);
    }
    bench.gateway.flush_rejections();
    let rejected = bench.ledger.of("rejected");
    let total: u64 = rejected.iter().map(|r| r["count"].as_u64().unwrap()).sum();
    assert_eq!(total, 7);
    assert!(!format!("{rejected:?}").contains("etc"), "names that a caller made up are not kept");
    assert!(bench.ledger.of("opened").is_empty());
}

#[tokio::test]
async fn a_key_past_its_end_is_refused_whatever_the_clock_did_before() {
    let (fixture, bench) = ready();
    let rows = [fixture.good_and_bad().0];
    assert!(ask(&bench, "breast-mass", Some(&bench.key), &rows).await.is_ok());
    bench.clock.set(NOW_MS + 2 * 86_400_000);
    assert_eq!(code(ask(&bench, "breast-mass", Some(&bench.key), &rows).await), "E007");
}

#[tokio::test]
async fn a_quarantined_client_hears_why() {
    let (fixture, bench) = ready();
    let mut snapshot = common::snapshot(&bench.records, &fixture.version());
    snapshot.quarantined.insert("ward-3".parse().unwrap(), "it searched for an evasion".into());
    bench.gateway.replace(snapshot);
    let refused =
        ask(&bench, "breast-mass", Some(&bench.key), &[fixture.good_and_bad().0]).await.err().unwrap();
    assert_eq!(refused.refusal.code(), "E009");
    assert!(refused.refusal.to_string().contains("searched for an evasion"));
}

#[tokio::test]
async fn a_failing_ledger_stops_everything_and_one_that_works_again_lets_it_go_on() {
    let (fixture, bench) = ready();
    let rows = [fixture.good_and_bad().0];
    bench.ledger.failing.store(true, Ordering::SeqCst);
    assert_eq!(code(ask(&bench, "breast-mass", Some(&bench.key), &rows).await), "E022");
    assert!(!bench.gateway.is_ready());
    bench.ledger.failing.store(false, Ordering::SeqCst);
    assert!(ask(&bench, "breast-mass", Some(&bench.key), &rows).await.is_ok());
    assert!(bench.gateway.is_ready());
}

#[tokio::test]
async fn a_ledger_that_fails_between_the_two_entries_never_lets_an_answer_out() {
    let (fixture, bench) = ready();
    let rows = [fixture.good_and_bad().0];
    bench.ledger.failing_to_close.store(true, Ordering::SeqCst);
    assert_eq!(code(ask(&bench, "breast-mass", Some(&bench.key), &rows).await), "E022");
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_a_closed_entry() {
    let (fixture, _) = ready();
    // A remote server that takes the request and never answers, so that the caller can hang up in the middle.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let remote = upstream::Remote::connect(upstream::Config::new(target, "m")).unwrap();
    let bench = bench(&fixture.version_on(gateway::Backend::Remote(Arc::new(remote))));
    let rows = [fixture.good_and_bad().0];
    tokio::select! {
        _ = ask(&bench, "breast-mass", Some(&bench.key), &rows) => panic!("nobody answers"),
        taken = listener.accept() => drop(taken.unwrap()),
    }
    let closed = bench.ledger.of("closed");
    assert_eq!((closed.len(), &closed[0]["refused"]), (1, &"E024".into()));
    assert_eq!(bench.gateway.metrics().open_exchanges.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_dead_upstream_is_said_so_and_then_left_alone() {
    let (fixture, _) = ready();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = upstream::Config::new(format!("http://127.0.0.1:{port}").parse().unwrap(), "m");
    config.failures_max = 2;
    let remote = upstream::Remote::connect(config).unwrap();
    let bench = bench(&fixture.version_on(gateway::Backend::Remote(Arc::new(remote))));
    let rows = [fixture.good_and_bad().0];
    for expected in ["E017", "E017", "E020"] {
        let refused = ask(&bench, "breast-mass", Some(&bench.key), &rows).await.err().unwrap();
        assert_eq!(refused.refusal.code(), expected);
        assert!(
            !refused.refusal.to_string().contains("127.0.0.1"),
            "addresses are the hospital's own business"
        );
    }
    assert_eq!(bench.ledger.of("closed").len(), 3);
}

#[tokio::test]
async fn outputs_are_chosen_after_all_of_them_were_screened() {
    let (fixture, bench) = ready();
    let arrival = Arrival { credential: Some(&bench.key), system: "breast-mass", version: None };
    let rows = [fixture.good_and_bad().0];
    let named = |name: &str| {
        let mut call = call(&rows);
        call.outputs.push(oip::RequestedOutput { name: name.into(), binary: false });
        call
    };
    let answer = bench.gateway.infer(arrival, |_| Ok(named("logits"))).await.unwrap();
    assert_eq!(answer.into_outputs().len(), 1);
    assert_eq!(code(bench.gateway.infer(arrival, |_| Ok(named("secret"))).await), "E001");
}

#[tokio::test]
async fn only_the_admitted_version_answers() {
    let (fixture, bench) = ready();
    let rows = [fixture.good_and_bad().0];
    let short = fixture.digest.short();
    for (version, expected) in [(short.as_str(), None), ("000000000000", Some("E025"))] {
        let arrival = Arrival { credential: Some(&bench.key), system: "breast-mass", version: Some(version) };
        let result = bench.gateway.infer(arrival, |_| Ok(call(&rows))).await;
        assert_eq!(result.err().map(|r| r.refusal.code()), expected);
    }
}

#[tokio::test]
async fn a_clock_set_back_does_not_renew_the_daily_budget() {
    let (fixture, bench) = ready();
    let mut snapshot = common::snapshot(&bench.records, &fixture.version());
    snapshot.budget.rows_per_day = 2;
    bench.gateway.replace(snapshot);
    let rows = [fixture.good_and_bad().0];
    for (now_ms, expected) in [
        (NOW_MS, None),
        (NOW_MS - 86_400_000, None),
        (NOW_MS - 2 * 86_400_000, Some("E011")),
        (NOW_MS, Some("E011")),
    ] {
        bench.clock.set(now_ms);
        let result = ask(&bench, "breast-mass", Some(&bench.key), &rows).await;
        assert_eq!(result.err().map(|r| r.refusal.code()), expected, "at {now_ms}");
    }
    assert_eq!(bench.gateway.budget_usage()[0].rows, 2);
}

#[tokio::test]
async fn a_held_out_patient_is_used_and_a_rehearsal_is_labelled() {
    let (fixture, bench) = ready();
    let (record, key) = common::key("rehearsal-extraction", 5);
    let records = [bench.records.clone(), vec![record]].concat();
    bench.gateway.replace(common::snapshot(&records, &fixture.version()));
    let mut events = bench.gateway.subscribe();
    let answer = ask(&bench, "breast-mass", Some(&key), &[fixture.good_and_bad().0]).await.unwrap();
    assert!(answer.receipt.advice <= Advice::UseWithCare);
    let Event::Exchange(event) = events.recv().await.unwrap() else { panic!("an exchange") };
    assert!(event.rehearsal);
}

#[tokio::test]
async fn a_snapshot_is_swapped_under_open_gates() {
    let (fixture, bench) = ready();
    let rows = [fixture.good_and_bad().0];
    let mut snapshot = common::snapshot(&bench.records, &fixture.version());
    let (id, served) =
        common::served("breast-mass", ServingState::Shut { because: vec!["C001".into(), "C002".into()] });
    snapshot.systems.insert(id, served);
    bench.gateway.replace(snapshot);
    let refused = ask(&bench, "breast-mass", Some(&bench.key), &rows).await.err().unwrap();
    assert!(refused.refusal.to_string().contains("C001, C002"), "names what is owed");
}

#[tokio::test]
async fn limits_take_their_maximum_and_not_one_more() {
    let (fixture, bench) = ready();
    let good = fixture.good_and_bad().0;
    let mut snapshot = common::snapshot(&bench.records, &fixture.version());
    snapshot.limits.rows_max = 2;
    bench.gateway.replace(snapshot);
    let rows = |n: usize| vec![good.clone(); n];
    assert!(ask(&bench, "breast-mass", Some(&bench.key), &rows(2)).await.is_ok());
    assert_eq!(code(ask(&bench, "breast-mass", Some(&bench.key), &rows(3)).await), "E002");
    let mut snapshot = common::snapshot(&bench.records, &fixture.version());
    snapshot.limits.open_exchanges_max = 0;
    bench.gateway.replace(snapshot);
    assert_eq!(code(ask(&bench, "breast-mass", Some(&bench.key), &rows(1)).await), "E021");
}

#[tokio::test]
async fn rejections_that_the_ledger_did_not_take_are_written_later() {
    let (fixture, bench) = ready();
    let rows = [fixture.good_and_bad().0];
    assert_eq!(code(ask(&bench, "breast-mass", None, &rows).await), "E005");
    bench.ledger.failing.store(true, Ordering::SeqCst);
    bench.gateway.flush_rejections();
    bench.ledger.failing.store(false, Ordering::SeqCst);
    bench.gateway.flush_rejections();
    let rejected = bench.ledger.of("rejected");
    assert_eq!((rejected.len(), &rejected[0]["code"], &rejected[0]["count"]), (1, &"E005".into(), &1.into()));
}
