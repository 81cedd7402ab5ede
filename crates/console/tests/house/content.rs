//! What the made-up hospital holds: its pages, systems, clients, traffic and alarms.

use std::collections::BTreeMap;

use app::catalogue::Page;
use app::gate::{ControlState, GateReport, Status};
use app::live::{AlarmRow, Decision, Note, RehearsalStep};
use app::overview::{ClientCard, GuardLine, Serving, SystemCard};
use domain::{Advice, Severity, Stage, SystemId};

use super::{NOW, id};

fn page(id: &str, name: &str, kind: &'static str, summary: &str) -> Page {
    Page {
        id: id.to_owned(),
        name: name.to_owned(),
        kind,
        since: "0.1.0",
        maps: vec!["AML.T0043".to_owned()],
        doc: format!(
            "{summary}\n\n## What it is\nLooks at each value, with `unit` and range, before the model sees it. A value outside says so and names the likely unit.\n\n## Why it matters in care\nA wrong unit gives a confident answer about a patient who does not exist.\n\n## Limits\n- Sees one request at a time.\n- A wrong value inside the range stays **unseen**.\n\n## References\n- MITRE ATLAS AML.T0043\n"
        ),
    }
}

pub fn pages() -> Vec<Page> {
    vec![
        page("A001", "evasion-search", "alarm", "Somebody searches for an input that flips the model."),
        page("A003", "gate-shut", "alarm", "A deployment gate shut."),
        page("C001", "The model is known and loads", "control", "The model's content digest is recorded."),
        page("E009", "over-budget", "refusal", "The client has used up its queries for today."),
        page("E012", "quarantined", "refusal", "The client is shut out by a person."),
        page("G001", "schema", "guard", "A request that does not have the declared shape and type."),
        page("G002", "clinical-range", "guard", "Values that a patient cannot have."),
        page("G003", "out-of-distribution", "guard", "A patient unlike all patients of the reference data."),
        page("G004", "uncertainty", "guard", "An answer that the model is not sure about."),
        page(
            "G005",
            "query-similarity",
            "guard",
            "Many nearly equal requests: the trace of a search for an evasion.",
        ),
        page(
            "G006",
            "extraction",
            "guard",
            "Requests that together look like a copy of the model in the making.",
        ),
        page("V001", "model-loads", "check", "The model file loads within the limits."),
    ]
}

pub fn decision(index: u64, ms: i64, system: &str, client: &str, advice: Advice) -> Decision {
    Decision {
        ledger_index: index,
        at: NOW.plus_millis(ms),
        system: id(system),
        client: id(client),
        advice,
        refused: None,
        notes: vec![],
        took_us: 312,
        commit_us: 1_840,
        rehearsal: false,
    }
}

fn note(guard: &str, check: &str, severity: Severity, message: &str, remedy: &str) -> Note {
    Note {
        guard: guard.to_owned(),
        check: check.to_owned(),
        outcome: "found".to_owned(),
        severity: Some(severity),
        message: message.to_owned(),
        remedy: remedy.to_owned(),
    }
}

pub fn uncertain() -> Note {
    note(
        "uncertainty",
        "G004",
        Severity::Medium,
        "both classes are possible at 90 % coverage",
        "look at the patient",
    )
}

pub fn traffic() -> Vec<Decision> {
    let mut out = Vec::new();
    for n in 0..220_u64 {
        let ms = -1_800_000 + i64::try_from(n).unwrap_or(0) * 8_000;
        out.push(decision(100 + 2 * n, ms, "breast-mass", "pathology-lab", Advice::Use));
    }
    let mut staged = |index, ms, system, advice, refused: Option<&str>, notes| {
        let mut d = decision(index, ms, system, "rehearsal-attacker", advice);
        d.refused = refused.map(str::to_owned);
        d.notes = notes;
        d.rehearsal = true;
        out.push(d);
    };
    staged(
        12_466,
        -41_000,
        "heart-disease",
        Advice::DoNotUse,
        Some("E014"),
        vec![note(
            "clinical-range",
            "G002",
            Severity::High,
            "`chol` looks like mmol/L where mg/dL is declared (factor 38.67)",
            "send the declared unit",
        )],
    );
    staged(
        12_472,
        -33_000,
        "breast-mass",
        Advice::DoNotUse,
        None,
        vec![note(
            "out-of-distribution",
            "G003",
            Severity::High,
            "farther from the reference patients than 99.9 % of them",
            "do not rely on the answer",
        )],
    );
    staged(
        12_478,
        -12_000,
        "breast-mass",
        Advice::DoNotUse,
        Some("E014"),
        vec![
            note(
                "query-similarity",
                "G005",
                Severity::Critical,
                "31 requests within 0.02 of each other in 40 s, from 2 keys",
                "ask the owner of the keys",
            ),
            note(
                "out-of-distribution",
                "G003",
                Severity::Medium,
                "unlike the reference patients in `mean_area` and 2 more",
                "check the values",
            ),
        ],
    );
    staged(12_486, -3_000, "breast-mass", Advice::DoNotUse, Some("E009"), vec![]);
    let mut d = decision(12_480, -9_000, "heart-disease", "cardiology-ward", Advice::UseWithCare);
    d.notes = vec![uncertain()];
    out.push(d);
    out.push(decision(12_482, -6_000, "heart-disease", "outpatient-clinic", Advice::Use));
    out.push(decision(12_484, -5_000, "breast-mass", "pathology-lab", Advice::Use));
    out.push(decision(12_488, -1_000, "heart-disease", "cardiology-ward", Advice::Use));
    out.sort_by_key(|d| d.ledger_index);
    out
}

fn step(title: &str, expected: &str, state: &str, seen: &str) -> RehearsalStep {
    RehearsalStep { title: title.into(), expected: expected.into(), state: state.into(), seen: seen.into() }
}

/// Six steps, most of them over.
pub fn rehearsal() -> Vec<RehearsalStep> {
    vec![
        step(
            "An interface sends values no patient can have",
            "the clinical-range guard refuses each of them",
            "caught",
            "40 of 40 refused, first after 0.3 ms",
        ),
        step(
            "A laboratory switches from mg/dL to mmol/L",
            "the guard refuses and names the likely unit",
            "caught",
            "40 of 40 refused; the unit was named in 40",
        ),
        step(
            "An attacker changes one patient little by little until the diagnosis flips",
            "query similarity raises an alarm before the search succeeds",
            "running",
            "31 of about 200 queries made; alarm A001 after 24",
        ),
        step(
            "Somebody copies the model by asking it systematically",
            "the extraction guard and the daily budget stop it",
            "waiting",
            "",
        ),
        step(
            "The model file is swapped on disk",
            "its gate shuts within a second; the last admitted version answers",
            "caught",
            "gate shut after 0.8 s because of C001; no answer came from the swapped file",
        ),
        step(
            "The remote model server dies",
            "callers are told at once, with a retry time",
            "skipped",
            "this hospital has no remote server",
        ),
    ]
}

fn gate(system: &SystemId, stale: bool, owed: bool) -> GateReport {
    let titles = [
        ("C001", "The model is known and loads", Stage::Procurement),
        ("C002", "The declared inputs are the model's inputs", Stage::Procurement),
        ("C003", "The reference data are fit to judge by", Stage::Development),
        ("C004", "The model performs on held-out patients", Stage::Validation),
        ("C005", "The model answers the same question the same way", Stage::Validation),
        ("C006", "The guards are fitted to this model and these patients", Stage::Deployment),
        ("C007", "The guards leave ordinary patients alone", Stage::Deployment),
        ("C008", "Callers are known and limited", Stage::Deployment),
        ("C009", "The ledger is whole", Stage::RoutineUse),
        ("C010", "Somebody looks at the alarms", Stage::RoutineUse),
    ];
    let changed =
        || vec!["V001 covered other content: model changed from 3fa91c20be77 to 90c1aa04d1e2".to_owned()];
    let controls: Vec<ControlState> = titles
        .into_iter()
        .enumerate()
        .map(|(n, (control, title, stage))| {
            let status = match control {
                "C001" | "C004" if stale => Status::Stale { why: changed() },
                "C010" if owed => Status::Owed { checks: vec!["V010".into()] },
                "C007" if owed => Status::Failed {
                    why: vec!["V007: 7.1 % of clean rows were blocked, the bound is 5 %".into()],
                },
                "C005" if stale => Status::Accepted {
                    by: "grace".into(),
                    until: NOW.plus_days(6),
                    reason: "vendor sends figures this week".into(),
                },
                _ => Status::Met { evidence: vec![12 + n as u64] },
            };
            ControlState { control: control.into(), title: title.into(), stage, status }
        })
        .collect();
    let open = controls.iter().all(|c| c.status.passes());
    GateReport { system: system.clone(), stage: Stage::RoutineUse, open, controls }
}

fn guards() -> Vec<GuardLine> {
    [
        ("schema", "G001", "block"),
        ("clinical-range", "G002", "block"),
        ("out-of-distribution", "G003", "flag"),
        ("uncertainty", "G004", "flag"),
        ("query-similarity", "G005", "block"),
        ("extraction", "G006", "observe"),
    ]
    .map(|(name, check, mode)| GuardLine { name: name.into(), check: check.into(), mode: mode.into() })
    .into()
}

fn system(name: &str, title: &str, purpose: &str, owner: &str, serving: Serving, seed: u32) -> SystemCard {
    let system: SystemId = id(name);
    let stale = matches!(serving, Serving::Fallback { .. });
    let shut = matches!(serving, Serving::Shut { .. });
    let mut card = SystemCard {
        gate: gate(&system, stale, shut),
        id: system,
        title: title.into(),
        purpose: purpose.into(),
        owner: owner.into(),
        model: (!shut).then(|| "3fa91c20be77".into()),
        place: "in process".into(),
        stage: Some(if shut || stale { Stage::Validation } else { Stage::RoutineUse }),
        serving,
        guards: guards(),
        counts: Default::default(),
    };
    if !shut {
        card.counts.answered = u64::from(seed) * 211;
        card.counts.refused = u64::from(seed) * 6;
        card.counts.advice = [u64::from(seed) * 196, u64::from(seed) * 11, u64::from(seed) * 4];
        card.counts.took_us_p50 = 280 + u64::from(seed);
    }
    let minute = |n: u32| if shut { 0 } else { 20 + (n * n * seed) % 37 + if n > 24 { 40 } else { 0 } };
    card.counts.per_minute = (0..30).map(minute).collect();
    card
}

pub fn systems() -> Vec<SystemCard> {
    vec![
        system(
            "breast-mass",
            "Breast mass cytology",
            "Suggests whether a fine-needle aspirate of a breast mass is benign or malignant, from 30 measurements of cell nuclei.",
            "Department of Pathology",
            Serving::Fallback { because: vec!["C001".into(), "C004".into()] },
            17,
        ),
        system(
            "heart-disease",
            "Coronary heart disease",
            "Suggests whether a patient referred for angiography has significant narrowing of a coronary artery, from 13 findings.",
            "Department of Cardiology",
            Serving::Open,
            11,
        ),
        system(
            "chest-xray",
            "Paediatric chest X-ray",
            "Suggests whether a child's chest X-ray shows pneumonia.",
            "Department of Radiology",
            Serving::Shut { because: vec!["C007".into(), "C010".into()] },
            5,
        ),
    ]
}

fn client(
    name: &str,
    title: &str,
    answered: u64,
    refused: u64,
    rows: u64,
    found: &[(&str, u64)],
) -> ClientCard {
    let mut card = ClientCard {
        id: id(name),
        title: title.into(),
        counts: Default::default(),
        quarantined_by: None,
        rows_today: rows,
        rows_per_day: 20_000,
    };
    card.counts.answered = answered;
    card.counts.refused = refused;
    card.counts.last = NOW.plus_millis(-2_000);
    card.counts.found = found.iter().map(|(g, n)| ((*g).to_owned(), *n)).collect::<BTreeMap<_, _>>();
    card
}

pub fn clients() -> Vec<ClientCard> {
    vec![
        client("pathology-lab", "Pathology laboratory system", 2_841, 3, 2_844, &[("uncertainty", 41)]),
        client("cardiology-ward", "Cardiology ward software", 1_207, 0, 1_207, &[("uncertainty", 88)]),
        client(
            "outpatient-clinic",
            "Outpatient clinic software",
            911,
            12,
            14_923,
            &[("clinical-range", 12), ("uncertainty", 20)],
        ),
        client(
            "rehearsal-attacker",
            "Rehearsal: attacker",
            64,
            122,
            20_000,
            &[("query-similarity", 31), ("clinical-range", 80), ("out-of-distribution", 44)],
        ),
    ]
}

fn alarm(number: i64, kind: &str, name: &str, severity: Severity, message: &str, count: u32) -> AlarmRow {
    AlarmRow {
        id: number,
        alarm: kind.into(),
        name: name.into(),
        severity,
        at: NOW.plus_millis(-1_000 * (60 - number)),
        system: Some(id("breast-mass")),
        client: (kind == "A001").then(|| id("rehearsal-attacker")),
        message: message.into(),
        count,
        acknowledged_by: (number < 3).then(|| "grace".into()),
    }
}

pub fn alarms() -> Vec<AlarmRow> {
    vec![
        alarm(
            4,
            "A001",
            "evasion-search",
            Severity::Critical,
            "31 nearly equal requests in 40 s, spread over 2 keys",
            3,
        ),
        alarm(
            3,
            "A003",
            "gate-shut",
            Severity::Critical,
            "the deployment gate of breast-mass shut because of C001, C004",
            1,
        ),
        alarm(
            2,
            "A005",
            "impossible-inputs",
            Severity::Medium,
            "40 requests in 2 minutes refused for impossible values",
            40,
        ),
    ]
}
