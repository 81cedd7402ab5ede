//! Exercises at the desk, on the example hospital's real models: started, followed, stopped, cut off, resumed, listed, compared, and refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use access::{Principal, Role, Scope};
use app::exercise::{Reading, Request, Target, Unwatched, Watch};
use app::exercises::{self, CardId, Job, JobState, Order, RECEIVED_BYTES_MAX, Source};
use app::{AppError, Hospital, Opening, SystemClock};
use domain::Record;
use serde_json::{Value, json};

async fn open(dir: &Path) -> Arc<Hospital> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital/asepsis.toml");
    let clock = Arc::new(SystemClock::default());
    Hospital::open(Opening { dir: dir.to_owned(), config, clock }).await.unwrap()
}

fn person(role: Role) -> Principal {
    Principal::new("ada".parse().unwrap(), [role].into(), Scope::All)
}

fn order(samples: usize) -> Order {
    Order {
        system: "breast-mass".parse().unwrap(),
        suite: "quick".into(),
        samples: Some(samples),
        seed: Some(7),
        queries_max: Some(100),
        minutes_max: None,
        labels_only: false,
        without_patients: false,
    }
}

/// Waits for a change until the exercise is as `wanted`.
async fn until(hospital: &Hospital, id: &CardId, wanted: impl Fn(&Job) -> bool) -> Job {
    let who = person(Role::Engineer);
    let mut changes = hospital.exercises().subscribe();
    loop {
        let job = exercises::job(hospital, &who, id).unwrap().unwrap();
        if wanted(&job) {
            return job;
        }
        assert!(job.state.runs(), "it ended: {:?} {:?}", job.state, job.ended);
        let _ = changes.recv().await;
    }
}

/// The same order, run directly as the command line does.
fn direct(hospital: &Hospital, order: &Order) -> attack::scorecard::Scorecard {
    let request = Request {
        target: Target::System(Box::new(hospital.system(&order.system).unwrap())),
        suite: order.suite().unwrap(),
        reading: Reading::default(),
        output: None,
        labels_only: order.labels_only,
        threads: 2,
        time_max: None,
        state: None,
        resume: false,
        exhibits_max: 40,
        bytes_max: 1 << 30,
        through: None,
    };
    let watch: Arc<dyn Watch> = Arc::new(Unwatched);
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| app::exercise::run(&request, &watch, &handle)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_started_runs_to_its_end_is_kept_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let hospital = open(dir.path()).await;
    let who = person(Role::Engineer);
    let id = exercises::start(&hospital, &who, order(30)).await.unwrap();
    let busy = exercises::start(&hospital, &who, order(30)).await.unwrap_err();
    assert!(matches!(busy, AppError::Busy(_)) && busy.to_string().contains(id.as_str()), "{busy}");
    let job = until(&hospital, &id, |j| !j.state.runs()).await;
    assert_eq!((job.state, job.by.as_str()), (JobState::Finished, "ada"), "{:?}", job.ended);
    let ended = job.ended.unwrap();
    let (card, full) = exercises::scorecard(&hospital, &who, &id).unwrap();
    assert_eq!(*full, direct(&hospital, &order(30)), "the desk and the command line give the same scorecard");
    assert_eq!(card.source, Source::Desk);
    assert!(card.summary.complete && card.summary.worst.is_some());
    assert!(!dir.path().join("exercises/jobs").join(id.as_str()).join("state").exists());
    let page = app::exercise::scorecard_html(&full);
    assert!(!page.contains(" style=") && !page.contains("<script"), "the page keeps its policy");
    let record = app::audit::read(&hospital, ended.evidence.unwrap()).unwrap();
    let Record::Evidence { evidence } = record else { panic!("{record:?}") };
    assert_eq!((evidence.check.as_str(), evidence.by.as_str()), ("V014", "ada"));
    hospital.close().await.unwrap();
    drop(hospital);
    let hospital = open(dir.path()).await;
    let listing = exercises::listing(&hospital, &person(Role::Auditor)).unwrap();
    assert_eq!(listing.cards.iter().map(|c| &c.id).collect::<Vec<_>>(), [&id]);
    assert_eq!(listing.cards[0].summary, card.summary);
    assert!(listing.jobs.is_empty() && listing.offers.is_empty() && listing.suites.len() > 3);
    let nothing = exercises::resume(&hospital, &who, &id).await.unwrap_err();
    assert!(nothing.to_string().contains("is finished"), "{nothing}");
    exercises::remove(&hospital, &who, &id).await.unwrap();
    assert!(exercises::listing(&hospital, &who).unwrap().cards.is_empty());
    assert!(exercises::job(&hospital, &who, &id).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_keeps_what_is_done_makes_no_evidence_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let hospital = open(dir.path()).await;
    let who = person(Role::Governance);
    let slow = Order { suite: "queries".into(), queries_max: None, ..order(40) };
    let id = exercises::start(&hospital, &who, slow.clone()).await.unwrap();
    let seen = until(&hospital, &id, |j| !j.rows.is_empty() && j.progress.total > 0).await;
    assert!(seen.progress.total > seen.progress.done && seen.kind == "table");
    exercises::stop(&hospital, &who, &id).await.unwrap();
    let job = until(&hospital, &id, |j| !j.state.runs()).await;
    assert_eq!(job.state, JobState::Stopped);
    let ended = job.ended.unwrap();
    assert!(
        ended.evidence.is_none() && ended.why.as_deref().unwrap().starts_with("stopped after"),
        "{ended:?}"
    );
    let listing = exercises::listing(&hospital, &who).unwrap();
    assert!(listing.jobs[0].state.can_resume() && !listing.cards[0].summary.complete);
    let over = exercises::stop(&hospital, &who, &id).await.unwrap_err();
    assert!(over.to_string().contains("does not run any more"), "{over}");
    exercises::resume(&hospital, &who, &id).await.unwrap();
    let job = until(&hospital, &id, |j| !j.state.runs()).await;
    assert_eq!(job.state, JobState::Finished);
    let (_, card) = exercises::scorecard(&hospital, &who, &id).unwrap();
    assert_eq!(*card, direct(&hospital, &slow), "stopping changes nothing of the result");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_end_of_the_program_cuts_off_can_go_on_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let hospital = open(dir.path()).await;
    let who = person(Role::Administrator);
    let id =
        exercises::start(&hospital, &who, Order { suite: "queries".into(), queries_max: None, ..order(40) })
            .await
            .unwrap();
    until(&hospital, &id, |j| j.progress.done > 0).await;
    exercises::end(&hospital).await;
    hospital.close().await.unwrap();
    drop(hospital);
    let hospital = open(dir.path()).await;
    let job = exercises::job(&hospital, &who, &id).unwrap().unwrap();
    assert_eq!(job.state, JobState::CutOff);
    assert!(exercises::scorecard(&hospital, &who, &id).is_err());
    exercises::resume(&hospital, &who, &id).await.unwrap();
    assert_eq!(until(&hospital, &id, |j| !j.state.runs()).await.state, JobState::Finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_does_what_the_roles_allow_and_sees_the_own_systems() {
    let dir = tempfile::tempdir().unwrap();
    let hospital = open(dir.path()).await;
    for role in [Role::Clinician, Role::Auditor, Role::Client] {
        let refused = exercises::start(&hospital, &person(role), order(10)).await.unwrap_err();
        assert!(matches!(refused, AppError::Forbidden { .. }), "{role}: {refused}");
        let refused = exercises::receive(&hospital, &person(role), "x", b"{}").await.unwrap_err();
        assert!(matches!(refused, AppError::Forbidden { .. }), "{role}: {refused}");
    }
    assert!(exercises::listing(&hospital, &person(Role::Client)).is_err());
    let who = person(Role::Engineer);
    let id = exercises::start(&hospital, &who, order(10)).await.unwrap();
    let refused = exercises::stop(&hospital, &person(Role::Clinician), &id).await.unwrap_err();
    assert!(matches!(refused, AppError::Forbidden { .. }), "{refused}");
    until(&hospital, &id, |j| !j.state.runs()).await;
    assert_eq!(exercises::listing(&hospital, &person(Role::Clinician)).unwrap().cards.len(), 1);
    let other = Scope::only(["heart-disease".parse().unwrap()]).unwrap();
    let elsewhere = Principal::new("mia".parse().unwrap(), [Role::Engineer].into(), other);
    let listing = exercises::listing(&hospital, &elsewhere).unwrap();
    assert!(listing.cards.is_empty());
    assert_eq!(listing.offers.iter().map(|o| o.system.as_str()).collect::<Vec<_>>(), ["heart-disease"]);
    for refused in [
        exercises::job(&hospital, &elsewhere, &id).map(|_| ()),
        exercises::scorecard(&hospital, &elsewhere, &id).map(|_| ()),
        exercises::compare(&hospital, &elsewhere, &id, &id).map(|_| ()),
        exercises::remove(&hospital, &elsewhere, &id).await,
        exercises::resume(&hospital, &elsewhere, &id).await,
        exercises::start(&hospital, &elsewhere, order(10)).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(AppError::Forbidden { .. })), "{refused:?}");
    }
    let unknown = Order { system: "unknown".parse().unwrap(), ..order(1) };
    assert!(matches!(exercises::start(&hospital, &who, unknown).await, Err(AppError::UnknownSystem(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scorecards_from_elsewhere_are_checked_kept_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let hospital = open(dir.path()).await;
    let who = person(Role::Governance);
    let card = serde_json::to_value(direct(&hospital, &order(20))).unwrap();
    let bytes = |card: &Value| serde_json::to_vec(card).unwrap();
    let first = exercises::receive(&hospital, &who, " St. Elsewhere ", &bytes(&card)).await.unwrap();
    let again = exercises::receive(&hospital, &who, "St. Elsewhere", &bytes(&card)).await.unwrap();
    assert_eq!(first, again, "the same content is kept once");
    let other = direct(&hospital, &Order { seed: Some(8), ..order(20) });
    let other = exercises::receive(&hospital, &who, "Vendor", &bytes(&json!(other))).await.unwrap();
    let listing = exercises::listing(&hospital, &person(Role::Clinician)).unwrap();
    assert_eq!(listing.cards.len(), 2);
    assert!(listing.cards.iter().any(|c| c.source == Source::Elsewhere { from: "St. Elsewhere".into() }));
    let same = exercises::compare(&hospital, &who, &first, &first).unwrap();
    assert!(same.points.unwrap().points.iter().all(|p| p.word() == "same"));
    let differs = exercises::compare(&hospital, &who, &first, &other).unwrap().points.unwrap_err();
    assert!(differs.iter().any(|d| d.contains("seed: 7 against 8")), "{differs:?}");
    exercises::remove(&hospital, &who, &other).await.unwrap();
    assert!(exercises::scorecard(&hospital, &who, &other).is_err());

    let with = |pointer: &str, value: Value| {
        let mut changed = card.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        bytes(&changed)
    };
    let mut unknown_field = card.clone();
    unknown_field["surprise"] = json!(1);
    let cases: [(Vec<u8>, &str); 11] = [
        (b"not json".to_vec(), "not a scorecard"),
        (b"{}".to_vec(), "not a scorecard"),
        (bytes(&unknown_field), "not a scorecard"),
        (with("/form", json!("asepsis-scorecard/0")), "has the form"),
        (with("/suite-digest", json!("sha256:00")), "another digest"),
        (with("/suite/seed", json!(99)), "another digest"),
        (with("/clean/all/share", json!(1.5)), "not a share"),
        (with("/rows/0/flags", json!("1")), "other samples"),
        (with("/rows/0/epsilon", json!(-1)), "not a size"),
        (with("/exhibits/0/sample", json!(1_000_000)), "shows too much"),
        (with("/subject/model", json!("m".repeat(401))), "name is too long"),
    ];
    for (bytes, word) in cases {
        let refused = exercises::receive(&hospital, &who, "x", &bytes).await.unwrap_err().to_string();
        assert!(refused.contains(word), "{word}: {refused}");
    }
    for from in ["", " \n ", &"x".repeat(81)] {
        assert!(exercises::receive(&hospital, &who, from, &bytes(&card)).await.is_err());
    }
    let mut padded = bytes(&card);
    padded.resize(RECEIVED_BYTES_MAX, b' ');
    assert!(exercises::receive(&hospital, &who, "x", &padded).await.is_ok());
    padded.push(b' ');
    let refused = exercises::receive(&hospital, &who, "x", &padded).await.unwrap_err().to_string();
    assert!(refused.contains("larger than 16 MiB"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_left_out_of_the_list_and_named_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let hospital = open(dir.path()).await;
    let who = person(Role::Engineer);
    let jobs = dir.path().join("exercises/jobs/broken");
    std::fs::create_dir_all(&jobs).unwrap();
    std::fs::write(jobs.join("order.json"), "{").unwrap();
    std::fs::write(dir.path().join("exercises/breast-mass-quick.json"), "{}").unwrap();
    std::fs::write(dir.path().join("exercises/Not A Name.json"), "{}").unwrap();
    let listing = exercises::listing(&hospital, &who).unwrap();
    assert!(listing.jobs.is_empty() && listing.cards.is_empty());
    let said = exercises::job(&hospital, &who, &"broken".parse().unwrap()).unwrap_err().to_string();
    assert!(said.contains("`order.json` is damaged"), "{said}");
    let said = exercises::scorecard(&hospital, &who, &"breast-mass-quick".parse().unwrap()).unwrap_err();
    assert!(said.to_string().contains("not a scorecard"), "{said}");
    let card = direct(&hospital, &order(10));
    std::fs::write(dir.path().join("exercises/breast-mass-quick.json"), json!(card).to_string()).unwrap();
    let listing = exercises::listing(&hospital, &who).unwrap();
    assert_eq!(listing.cards[0].source, Source::CommandLine);
}

/// Every place of a document, as pointers.
fn places(value: &Value, here: &str, out: &mut Vec<String>) {
    out.push(here.to_owned());
    match value {
        Value::Object(all) => all.iter().for_each(|(k, v)| places(v, &format!("{here}/{k}"), out)),
        Value::Array(all) => all.iter().enumerate().for_each(|(n, v)| places(v, &format!("{here}/{n}"), out)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_scorecard_from_elsewhere_says_it_is_refused_or_shown() {
    let dir = tempfile::tempdir().unwrap();
    let hospital = open(dir.path()).await;
    let good = direct(&hospital, &Order { suite: "tables".into(), ..order(6) });
    let card = serde_json::to_value(&good).unwrap();
    let mut all = Vec::new();
    places(&card, "", &mut all);
    let odd = [
        json!(null),
        json!(0),
        json!(-1),
        json!(1.0e308),
        json!(9_007_199_254_740_993_u64),
        json!(""),
        json!("é".repeat(40)),
        json!([]),
        json!({}),
        json!(true),
    ];
    let mut rng = numeric::Rng::new(1, 2);
    let (mut shown, mut refused) = (0, 0);
    for _ in 0..300 {
        let mut changed = card.clone();
        for _ in 0..=rng.below(2) {
            let place = &all[rng.below(all.len())];
            if let Some(spot) = changed.pointer_mut(place) {
                *spot = odd[rng.below(odd.len())].clone();
            }
        }
        match exercises::checked(&serde_json::to_vec(&changed).unwrap()) {
            Ok(read) => {
                shown += 1;
                assert!(app::exercise::scorecard_html(&read).len() < 8 << 20);
                assert!(!app::exercise::scorecard_text(&read).is_empty());
                let _ = attack::scorecard::compare(&good, &read);
                let _ = attack::scorecard::compare(&read, &good);
                let _ = exercises::Summary::of(&read);
            }
            Err(error) => {
                refused += 1;
                assert!(matches!(error, AppError::BadInput(_)) && error.to_string().len() < 600, "{error}");
            }
        }
    }
    assert!(shown > 20 && refused > 50, "{shown} shown, {refused} refused");
}
