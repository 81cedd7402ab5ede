//! A made-up hospital for looking at pages and for browser tests: real sessions, tokens, policies and live picture; the systems,
//! their traffic and the ledger's text are invented. Deterministic, so that a picture of a page can be compared with the last one.

#![allow(dead_code, reason = "each test and the preview use a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use access::{Action, Policies, Principal, Resource, Role, Scope, Secret, SecretBytes, SessionRecord};
use app::artefact::ArtefactView;
use app::catalogue::Page;
use app::gate::{ControlState, GateReport, Status};
use app::live::{AlarmRow, Decision, Live, Note, RehearsalStep};
use app::overview::{ClientCard, GuardLine, LedgerHead, Overview, Serving, SystemCard};
use app::{AppError, ReceiptView};
use console::{Command, House};
use domain::{Advice, Digest, GuardNote, Record, Severity, Stage, SystemId, Timestamp};

/// 2026-11-23 10:42:07 UTC.
pub const NOW: Timestamp = Timestamp::from_millis(1_795_430_527_000);

/// What can change.
pub struct State {
    pub systems: Vec<SystemCard>,
    pub clients: Vec<ClientCard>,
    pub alarms: Vec<AlarmRow>,
    pub done: Vec<Command>,
    pub session: Option<SessionRecord>,
    pub sign_in_used: bool,
}

/// The hospital.
pub struct MadeUp {
    pub state: Mutex<State>,
    live: Live,
    pages: Vec<Page>,
    policies: Policies,
    roles: BTreeSet<Role>,
}

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

impl MadeUp {
    /// A hospital with one account of these roles.
    pub fn new(roles: &[Role]) -> Self {
        let live = Live::default();
        for decision in traffic() {
            live.decide(decision);
        }
        live.reject("E009", 14);
        live.rehearse(rehearsal());
        let state = State {
            systems: systems(),
            clients: clients(),
            alarms: alarms(),
            done: Vec::new(),
            session: None,
            sign_in_used: false,
        };
        Self {
            state: Mutex::new(state),
            live,
            pages: pages(),
            policies: Policies::shipped().unwrap(),
            roles: roles.iter().copied().collect(),
        }
    }

    /// The token of the sign-in link.
    pub fn token() -> String {
        SecretBytes::new([7; 32]).encode().expose().to_owned()
    }

    /// The cookie's value after signing in.
    pub fn cookie() -> String {
        SecretBytes::new([9; 32]).encode().expose().to_owned()
    }

    /// Begins the session without a link.
    pub fn signed_in(self) -> Self {
        self.begin();
        self
    }

    fn begin(&self) -> (SessionRecord, Secret) {
        let account = id("ada");
        let (link, _) =
            access::issue_sign_in(account, self.roles.clone(), Scope::All, &SecretBytes::new([7; 32]), NOW);
        let (session, secret) = access::issue_session(&link, &SecretBytes::new([9; 32]), NOW);
        self.state.lock().unwrap().session = Some(session.clone());
        (session, secret)
    }

    /// One more exchange of ordinary traffic.
    pub fn exchange(&self, n: u64) {
        let ms = i64::try_from(n).unwrap_or(0) * 900;
        let system = ["breast-mass", "heart-disease", "heart-disease"][(n % 3) as usize];
        let client = ["pathology-lab", "cardiology-ward", "outpatient-clinic"][(n % 3) as usize];
        let mut decision = decision(20_000 + 2 * n, ms, system, client, Advice::Use);
        decision.took_us = 260 + (n * 37) % 190;
        if n % 11 == 5 {
            decision.advice = Advice::UseWithCare;
            decision.notes = vec![uncertain()];
        }
        self.live.decide(decision);
    }
}

impl House for MadeUp {
    fn live(&self) -> &Live {
        &self.live
    }

    fn catalogue(&self) -> &[Page] {
        &self.pages
    }

    fn may(&self, who: &Principal, action: Action, on: &Resource) -> bool {
        self.policies.decide(who, action, on).allowed
    }

    async fn overview(&self) -> Result<Overview, AppError> {
        let state = self.state.lock().unwrap();
        let decisions = self.live.decisions(60, None);
        let newest = decisions.first().map_or(NOW, |d| d.at.max(NOW));
        let mut systems = state.systems.clone();
        for system in &mut systems {
            let counts = self.live.system(&system.id, newest);
            system.counts.answered += counts.answered;
            system.counts.refused += counts.refused;
            if counts.took_us_p50 > 0 {
                system.counts.took_us_p50 = counts.took_us_p50;
            }
        }
        Ok(Overview {
            hospital: "Example Hospital".to_owned(),
            at: newest,
            ledger: LedgerHead {
                size: decisions.first().map_or(0, |d| d.ledger_index + 1),
                root: Digest::of(b"root").to_string().replace("sha256:", ""),
                verified_at: Some(NOW.plus_millis(-1_320_000)),
            },
            systems,
            clients: state.clients.clone(),
            alarms: state.alarms.clone(),
            decisions,
            rejected: self.live.rejected().into_iter().collect(),
            rehearsal: self.live.rehearsal(),
        })
    }

    async fn sign_in(&self, token: &str) -> Result<(SessionRecord, Secret), AppError> {
        let used = std::mem::replace(&mut self.state.lock().unwrap().sign_in_used, true);
        if used || access::token_hash(token) != Some(SecretBytes::new([7; 32]).hash()) {
            return Err(AppError::BadInput(
                "the sign-in link is not valid any more: make a new one with `asepsis sign-in`".into(),
            ));
        }
        Ok(self.begin())
    }

    async fn session(&self, cookie: &str) -> Result<SessionRecord, AppError> {
        let session = self.state.lock().unwrap().session.clone();
        let ended = || AppError::BadInput("you are signed out: open a new sign-in link".into());
        session.filter(|s| access::token_hash(cookie) == Some(s.hash)).ok_or_else(ended)
    }

    async fn sign_out(&self, _cookie: &str) -> Result<(), AppError> {
        self.state.lock().unwrap().session = None;
        Ok(())
    }

    fn artefact(&self, who: &Principal, system: &SystemId) -> Result<ArtefactView, AppError> {
        if !self.may(who, Action::ViewConsole, &Resource::System(system.clone())) {
            let who = who.id().to_string();
            return Err(AppError::Forbidden { who, action: "view".into(), why: "scope".into() });
        }
        // One system holds a real model, the other something that runs a program when it is unpickled.
        let (name, bytes): (_, Vec<u8>) = match system.as_str() {
            "breast-mass" => {
                let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital/models");
                ("wdbc_mlp.onnx", std::fs::read(models.join("wdbc_mlp.onnx")).unwrap())
            }
            _ => ("model.pkl", b"cos\nsystem\n(S'echo asepsis'\ntR.".to_vec()),
        };
        let part = artifact::scan(name, &bytes, &artifact::Limits::default());
        Ok(ArtefactView {
            system: system.clone(),
            title: system.to_string(),
            model: Some(Digest::of(&bytes)),
            current: true,
            says: app::scan::plain(&part, part.verdict(), &[]),
            verdict: Some(part.verdict()),
            part: Some(part),
            evidence: Vec::new(),
            bill: true,
        })
    }

    fn bill(&self, _who: &Principal, _system: &SystemId) -> Result<Vec<u8>, AppError> {
        Ok(b"{}".to_vec())
    }

    async fn receipt(&self, who: &Principal, index: u64) -> Result<ReceiptView, AppError> {
        if !self.may(who, Action::ViewLedger, &Resource::Hospital) {
            return Err(AppError::Forbidden {
                who: who.id().to_string(),
                action: "view-ledger".into(),
                why: "another role".into(),
            });
        }
        let known = self.live.decisions(400, None).into_iter().find(|d| d.ledger_index == index);
        let decision = known.ok_or_else(|| AppError::BadInput(format!("the ledger has no entry {index}")))?;
        let record = closed(&decision);
        Ok(ReceiptView {
            index,
            json: "{ \"type\": \"closed\" }".to_owned(),
            inclusion_proof: format!("c2sp.org/tlog-proof@v1\nindex {index}\nAAAA\n"),
            opened: Some(Record::Opened {
                at: decision.at,
                exchange: "5f".repeat(16),
                client: decision.client,
                system: decision.system,
                request: Digest::of(b"request"),
                rows: 1,
            }),
            record,
            flags: vec![],
        })
    }

    async fn act(&self, who: &Principal, command: Command) -> Result<(), AppError> {
        let mut state = self.state.lock().unwrap();
        let by = who.id().to_string();
        match &command {
            Command::Acknowledge { alarm } => {
                let row = state.alarms.iter_mut().find(|a| a.id == *alarm && a.acknowledged_by.is_none());
                row.ok_or_else(|| AppError::BadInput(format!("there is no open alarm {alarm}")))?
                    .acknowledged_by = Some(by);
            }
            Command::Quarantine { client, .. } => {
                state
                    .clients
                    .iter_mut()
                    .filter(|c| c.id == *client)
                    .for_each(|c| c.quarantined_by = Some(by.clone()));
            }
            Command::LiftQuarantine { client } => {
                state.clients.iter_mut().filter(|c| c.id == *client).for_each(|c| c.quarantined_by = None);
            }
            Command::Suspend { system, reason } => {
                let serving = Serving::Suspended { by, reason: reason.clone() };
                state
                    .systems
                    .iter_mut()
                    .filter(|s| s.id == *system)
                    .for_each(|s| s.serving = serving.clone());
            }
            Command::Resume { system } => {
                state.systems.iter_mut().filter(|s| s.id == *system).for_each(|s| s.serving = Serving::Open);
            }
            _ => {}
        }
        state.done.push(command);
        Ok(())
    }
}

fn closed(decision: &Decision) -> Record {
    Record::Closed {
        at: decision.at,
        exchange: "5f".repeat(16),
        opened: decision.ledger_index - 1,
        model: decision.refused.is_none().then(|| Digest::of(b"model")),
        reply: decision.refused.is_none().then(|| Digest::of(b"reply")),
        refused: decision.refused.clone(),
        advice: decision.advice,
        guards: decision
            .notes
            .iter()
            .map(|n| GuardNote {
                instance: n.guard.clone(),
                outcome: n.outcome.clone(),
                places: vec!["mean_area".into()],
            })
            .collect(),
        took_us: decision.took_us,
    }
}

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

fn pages() -> Vec<Page> {
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

fn decision(index: u64, ms: i64, system: &str, client: &str, advice: Advice) -> Decision {
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

fn uncertain() -> Note {
    note(
        "uncertainty",
        "G004",
        Severity::Medium,
        "both classes are possible at 90 % coverage",
        "look at the patient",
    )
}

fn traffic() -> Vec<Decision> {
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

fn systems() -> Vec<SystemCard> {
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

fn clients() -> Vec<ClientCard> {
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

fn alarms() -> Vec<AlarmRow> {
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
