//! A made-up hospital for looking at pages and for browser tests: real sessions, tokens, policies and live picture; the systems,
//! their traffic and the ledger's text are invented. Deterministic, so that a picture of a page can be compared with the last one.

#![allow(dead_code, reason = "each test and the preview use a part of it")]

mod content;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use access::{Action, Policies, Principal, Resource, Role, Scope, Secret, SecretBytes, SessionRecord};
use app::artefact::ArtefactView;
use app::catalogue::Page;
use app::exercises::{self, Card, CardId, Compared, Job, Listing, Order};
use app::live::{AlarmRow, Decision, Live};
use app::overview::{ClientCard, LedgerHead, Overview, Serving, SystemCard};
use app::{AppError, Hospital, Opening, ReceiptView, SystemClock};
use attack::scorecard::Scorecard;
use console::{Command, House};
use domain::{Advice, Digest, GuardNote, Record, SystemId, Timestamp};
use tokio::sync::{OnceCell, broadcast};

pub use content::rehearsal;
use content::{alarms, clients, decision, pages, systems, traffic, uncertain};

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
    /// A real hospital for exercises: real models, really attacked. Opened by the first who asks.
    real: OnceCell<(tempfile::TempDir, Arc<Hospital>)>,
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
            real: OnceCell::new(),
        }
    }

    /// The real hospital behind the exercises.
    pub async fn real(&self) -> &Arc<Hospital> {
        let open = || async {
            let dir = tempfile::tempdir().unwrap();
            let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hospital/asepsis.toml");
            let clock = Arc::new(SystemClock::default());
            let opening = Opening { dir: dir.path().to_owned(), config, clock };
            let hospital = Hospital::open(opening).await.unwrap();
            (dir, hospital)
        };
        &self.real.get_or_init(open).await.1
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

    async fn exercise_changes(&self) -> Result<broadcast::Receiver<()>, AppError> {
        Ok(self.real().await.exercises().subscribe())
    }

    async fn exercises(&self, who: &Principal) -> Result<Listing, AppError> {
        exercises::listing(self.real().await, who)
    }

    async fn exercise(&self, who: &Principal, id: &CardId) -> Result<Option<Job>, AppError> {
        exercises::job(self.real().await, who, id)
    }

    async fn scorecard(&self, who: &Principal, id: &CardId) -> Result<(Card, Arc<Scorecard>), AppError> {
        exercises::scorecard(self.real().await, who, id)
    }

    async fn compare(&self, who: &Principal, first: &CardId, second: &CardId) -> Result<Compared, AppError> {
        exercises::compare(self.real().await, who, first, second)
    }

    async fn start_exercise(&self, who: &Principal, order: Order) -> Result<CardId, AppError> {
        exercises::start(self.real().await, who, order).await
    }

    async fn receive(&self, who: &Principal, from: String, bytes: Vec<u8>) -> Result<CardId, AppError> {
        exercises::receive(self.real().await, who, &from, &bytes).await
    }

    async fn act(&self, who: &Principal, command: Command) -> Result<(), AppError> {
        match &command {
            Command::StopExercise { id } => return exercises::stop(self.real().await, who, id).await,
            Command::ResumeExercise { id } => return exercises::resume(self.real().await, who, id).await,
            Command::RemoveExercise { id } => return exercises::remove(self.real().await, who, id).await,
            _ => {}
        }
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
