//! The inference path. [`Gateway::infer`] is the one function through which a request becomes an answer; the order
//! of its lines is the security argument.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use access::{Action, AuthError, Principal, Resource};
use arc_swap::ArcSwap;
use detect::Screened;
use domain::{
    ClientId, Clock, Digest, GuardVerdict, InferenceReply, InferenceRequest, Phi, Receipt, SystemId, Tensor,
};
use oip::{Call, RequestedOutput, WireError};
use tokio::sync::broadcast;

use crate::audit::{Announcement, Audit, AuditReceipt, Conclusion, OpenEntry};
use crate::budget::{Meters, Now};
use crate::refusal::cut;
use crate::screen::Screener;
use crate::snapshot::{Served, ServingState, Version};
use crate::{BudgetUsage, Event, Journal, Limits, Metrics, Refusal, Refused, Snapshot, model};

/// How often, and with what pause, a closing entry is tried again when the ledger's queue is full: two seconds in all.
const CLOSE_TRIES_MAX: u32 = 400;
const CLOSE_PAUSE: Duration = Duration::from_millis(5);

/// What a gateway is made of.
pub struct Parts {
    /// Where entries go.
    pub journal: Arc<dyn Journal>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Key of the digests of requests and replies in the ledger; keep it secret and the same over restarts.
    pub digest_key: [u8; 32],
    /// What to serve at first.
    pub snapshot: Snapshot,
}

/// The data plane.
pub struct Gateway {
    pub(crate) audit: Audit,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) meters: Meters,
    /// Tokens of language models.
    pub(crate) tokens: Meters,
}

/// A request as it arrives, before its body is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The API key, if one came.
    pub credential: Option<&'a str>,
    /// The system's name, as the caller wrote it.
    pub system: &'a str,
    /// The version's name, if the caller wrote one.
    pub version: Option<&'a str>,
}

/// A screened answer with its receipt.
pub struct Answer {
    /// The caller's number for the request.
    pub id: Option<String>,
    /// Which system answered.
    pub system: SystemId,
    /// Name of the version that answered.
    pub version: String,
    /// The answer.
    pub reply: Screened<InferenceReply>,
    /// What goes with it.
    pub receipt: Receipt,
    /// Outputs that were named, and how they are wanted.
    pub wanted: Vec<RequestedOutput>,
    /// Whether outputs that were not named are wanted as binary data.
    pub binary_default: bool,
}

/// What authorising gives: a version that may answer this caller.
struct Grant {
    client: ClientId,
    system: SystemId,
    version: Arc<Version>,
}

/// How the caller wants its outputs.
struct Wishes {
    outputs: Vec<RequestedOutput>,
    binary_default: bool,
}

impl Wishes {
    /// Refuses outputs that the model does not have; a remote model may not have told.
    fn fit(&self, version: &Version) -> Result<(), Refusal> {
        let has = |name: &str| version.outputs.is_empty() || version.outputs.iter().any(|o| o.name == name);
        self.outputs.iter().find(|o| !has(&o.name)).map_or(Ok(()), |unknown| {
            let known: Vec<_> = version.outputs.iter().map(|o| format!("`{}`", o.name)).collect();
            let detail =
                format!("there is no output `{}`; there are {}", cut(&unknown.name), known.join(", "));
            Err(Refusal::Malformed { detail })
        })
    }
}

impl Answer {
    /// Takes out the outputs that the caller wants: those it named, in its order, or all.
    pub fn into_outputs(self) -> Vec<Tensor> {
        let mut outputs = self.reply.into_inner().outputs.into_inner();
        if self.wanted.is_empty() {
            return outputs;
        }
        let named = self.wanted.iter();
        named
            .filter_map(|w| outputs.iter().position(|t| t.name() == w.name).map(|i| outputs.swap_remove(i)))
            .collect()
    }
}

impl Gateway {
    /// Turns a request into a screened answer, or into a refusal.
    ///
    /// # Errors
    /// Every refusal of the catalogue. What was refused before the exchange opened is counted in the ledger, what was
    /// refused later is closed there; no answer and no refusal of an opened exchange leaves before both of its entries
    /// are durable.
    pub async fn infer(
        &self,
        arrival: Arrival<'_>,
        body: impl FnOnce(&oip::Limits) -> Result<Call, WireError>,
    ) -> Result<Answer, Box<Refused>> {
        self.infer_as(arrival, body, |answer| answer).await
    }

    /// As [`infer`](Self::infer), with the answer written by `write` as soon as its closing entry has a position: before the wait for
    /// the disk, while everything is at hand. What was written is kept here until both entries are durable, as the answer is.
    ///
    /// # Errors
    /// As there.
    pub async fn infer_as<R>(
        &self,
        arrival: Arrival<'_>,
        body: impl FnOnce(&oip::Limits) -> Result<Call, WireError>,
        write: impl FnOnce(Answer) -> R,
    ) -> Result<R, Box<Refused>> {
        let started_us = self.audit.clock.monotonic_us();
        let snapshot = self.snapshot.load_full();
        let turned_away =
            |refusal, client: Option<&ClientId>| self.turn_away(&snapshot, refusal, client, arrival.system);

        let (request, wishes) = parse(&snapshot.limits, &arrival, body).map_err(|r| turned_away(r, None))?;
        let caller = self.authenticate(&snapshot, arrival.credential).map_err(|r| turned_away(r, None))?;
        let known = Some(caller.id());
        let grant = self
            .authorise(&snapshot, caller, &request, &wishes, &arrival)
            .map_err(|r| turned_away(r, known))?;
        let asked = self.audit.key.of_tensors(request.inputs.expose());
        let entry = self.audit.open(&grant.client, &grant.system, asked, request.rows(), started_us);
        let entry = entry.map_err(|r| turned_away(r, known))?;

        // The exchange is open: from here on, whatever happens is closed in the ledger.
        let id = request.id.clone();
        let conclusion = self.guarded(&grant, request, entry.receipt(), snapshot.limits).await;
        let answered = |reply, receipt| {
            let (version, system) = (grant.version.name().to_owned(), grant.system);
            let Wishes { outputs: wanted, binary_default } = wishes;
            write(Answer { id, system, version, reply, receipt, wanted, binary_default })
        };
        let written = self.conclude(entry, conclusion, snapshot.limits, answered).await?;

        self.audit.metrics.exchange_us.record(self.audit.clock.monotonic_us().saturating_sub(started_us));
        Ok(written)
    }

    /// Screen, call, screen. Each step takes what only the step before it makes.
    async fn guarded(
        &self,
        grant: &Grant,
        request: InferenceRequest,
        receipt: &AuditReceipt,
        limits: Limits,
    ) -> Conclusion<Screened<InferenceReply>> {
        let mut conclusion = Conclusion::started();
        let Audit { clock, metrics, .. } = &self.audit;
        let guards = Screener::new(&grant.version, &grant.client, clock, request.rows());
        conclusion.result = async {
            let screened = guards.request(request, &mut conclusion.verdicts, metrics).await?;
            conclusion.model = Some(grant.version.model);
            let started_us = clock.monotonic_us();
            let called = model::call(&grant.system, &grant.version, screened, receipt, limits, metrics);
            let reply = called.await;
            conclusion.model_us = clock.monotonic_us().saturating_sub(started_us);
            guards.reply(reply?, &mut conclusion.verdicts, metrics).await
        }
        .await;
        conclusion.verdicts.iter().for_each(|v| grant.version.count(metrics, &grant.system, v));
        conclusion
    }

    /// Closes the entry and waits until both entries are durable; only then may anything leave.
    async fn conclude<R>(
        &self,
        mut entry: OpenEntry<'_>,
        conclusion: Conclusion<Screened<InferenceReply>>,
        limits: Limits,
        answered: impl FnOnce(Screened<InferenceReply>, Receipt) -> R,
    ) -> Result<R, Box<Refused>> {
        let Conclusion { verdicts, model, model_us, result } = conclusion;
        let key = &self.audit.key;
        let digest = result.as_ref().map(|reply| key.of_tensors(reply.get().outputs.expose()));
        let closed = close(&mut entry, &verdicts, model, model_us, digest).await?;
        let (ledger_index, advice) = (closed.index(), closed.advice);
        let outcome = match (result, model) {
            (Ok(reply), Some(model)) => {
                Ok(answered(reply, Receipt { ledger_index, model, advice, verdicts }))
            }
            (Ok(_), None) => Err(Box::new(Refusal::LedgerUnavailable.into())),
            (Err(refusal), model) => {
                Err(Box::new(Refused { refusal, ledger_index: Some(ledger_index), model, verdicts }))
            }
        };
        self.on_disk(closed, limits).await?;
        outcome
    }

    /// Waits until the entries are durable. An outcome whose entries are not known to be on the disk goes no further than here.
    pub(crate) async fn on_disk(
        &self,
        mut closed: Announcement<'_>,
        limits: Limits,
    ) -> Result<(), Box<Refused>> {
        let waits_from_us = self.audit.clock.monotonic_us();
        let limit = Duration::from_millis(limits.exchange_ms_max);
        let durable = Box::pin(tokio::time::timeout(limit, closed.durable())).await;
        closed.waited(self.audit.clock.monotonic_us().saturating_sub(waits_from_us));
        durable.unwrap_or(Err(Refusal::LedgerUnavailable)).map_err(Into::into)
    }

    /// Says whose key came with the request.
    pub(crate) fn authenticate<'s>(
        &self,
        snapshot: &'s Snapshot,
        credential: Option<&str>,
    ) -> Result<&'s Arc<Principal>, Refusal> {
        let presented = credential.ok_or(Refusal::NoKey)?;
        match snapshot.keys.authenticate_principal(presented, self.audit.clock.now()) {
            Ok((_, principal)) => Ok(principal),
            Err(AuthError::Malformed | AuthError::Unknown) => Err(Refusal::BadKey),
            Err(AuthError::Expired | AuthError::Revoked) => Err(Refusal::ExpiredKey),
        }
    }

    /// Says whether this caller may ask this system now, and which version answers.
    fn authorise(
        &self,
        snapshot: &Snapshot,
        caller: &Principal,
        request: &InferenceRequest,
        wishes: &Wishes,
        arrival: &Arrival<'_>,
    ) -> Result<Grant, Refusal> {
        let unknown = || Refusal::UnknownSystem { system: cut(arrival.system) };
        let served = snapshot.systems.get(&request.system).ok_or_else(unknown)?;
        permit(snapshot, caller, Action::Infer, Resource::System(served.id.clone()))?;
        if let Some(reason) = snapshot.quarantined.get(caller.id()) {
            return Err(Refusal::Quarantined { reason: reason.clone() });
        }
        let version = open_version(served, arrival.version)?;
        wishes.fit(version)?;
        if self.audit.metrics.open_exchanges.load(Ordering::Relaxed) >= snapshot.limits.open_exchanges_max {
            return Err(Refusal::Busy { retry_after_s: 1 });
        }
        let rows = u64::try_from(request.rows().max(1)).unwrap_or(u64::MAX);
        self.meters.take(caller.id(), snapshot.budget_of(caller.id()), rows, self.now())?;
        Ok(Grant { client: caller.id().clone(), system: served.id.clone(), version: Arc::clone(version) })
    }

    /// Counts a refusal before opening. Names of systems that do not exist are a caller's text and are not kept.
    pub(crate) fn turn_away(
        &self,
        snapshot: &Snapshot,
        refusal: Refusal,
        client: Option<&ClientId>,
        system: &str,
    ) -> Box<Refused> {
        let talks = snapshot.language.get(system).map(|s| &s.id);
        let known = snapshot.systems.get(system).map(|s| &s.id).or(talks);
        self.audit.reject(&refusal, client, known);
        Box::new(refusal.into())
    }

    pub(crate) fn now(&self) -> Now {
        Now { day: self.audit.clock.now().day(), monotonic_us: self.audit.clock.monotonic_us() }
    }
}

/// What stands around the inference path.
impl Gateway {
    /// A gateway of these parts.
    pub fn new(parts: Parts) -> Self {
        let Parts { journal, clock, digest_key, snapshot } = parts;
        Self {
            audit: Audit::new(journal, clock, &digest_key),
            snapshot: ArcSwap::from_pointee(snapshot),
            meters: Meters::default(),
            tokens: Meters::default(),
        }
    }

    /// Swaps what is served; exchanges that are open end with what they began with.
    pub fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// What bodies may hold now.
    pub fn wire_limits(&self) -> oip::Limits {
        self.snapshot.load().limits.wire
    }

    /// What is served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Hears of what happens from now on. Who lags far behind misses some, and is told so.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.audit.subscribe()
    }

    /// Counters and histograms.
    pub fn metrics(&self) -> &Metrics {
        &self.audit.metrics
    }

    /// Rows that each client has used, to be kept over a restart.
    pub fn budget_usage(&self) -> Vec<BudgetUsage> {
        self.meters.usage()
    }

    /// Takes up what was used before a restart; never lowers a count.
    pub fn restore_budgets(&self, usage: &[BudgetUsage]) {
        self.meters.restore(usage, self.audit.clock.monotonic_us());
    }

    /// Writes rejections that wait for the end of their second; call it once a second and before closing the ledger.
    pub fn flush_rejections(&self) {
        self.audit.flush_rejections();
    }

    /// Writes counted rejections once a second, for ever: spawn it beside the server, and end it with the server.
    pub async fn keep_house(&self) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            seconds.tick().await;
            self.flush_rejections();
        }
    }

    /// Whether the ledger took what was last given to it.
    pub fn ledger_is_healthy(&self) -> bool {
        self.audit.is_healthy()
    }

    /// Whether the gateway can answer anything: the ledger takes entries and at least one system is open.
    pub fn is_ready(&self) -> bool {
        self.ledger_is_healthy() && self.snapshot.load().any_open()
    }

    /// The version of a system that would answer now.
    ///
    /// # Errors
    /// `UnknownSystem`, `UnknownVersion`, `GateShut` or `Suspended`. Nothing is counted.
    pub fn version_of(&self, system: &str, version: Option<&str>) -> Result<Arc<Version>, Refusal> {
        let snapshot = self.snapshot.load();
        let served = snapshot.systems.get(system);
        let served = served.ok_or_else(|| Refusal::UnknownSystem { system: cut(system) })?;
        open_version(served, version).map(Arc::clone)
    }

    /// Looks at the key alone, before a body is read: who has none need not send one. Counts the refusal.
    ///
    /// # Errors
    /// `NoKey`, `BadKey` or `ExpiredKey`.
    pub fn check_key(&self, arrival: &Arrival<'_>) -> Result<(), Box<Refused>> {
        let snapshot = self.snapshot.load();
        let checked = self.authenticate(&snapshot, arrival.credential).map(|_| ());
        checked.map_err(|r| self.turn_away(&snapshot, r, None, arrival.system))
    }

    /// Says whether the owner of this key may do something other than infer: read metadata or metrics.
    ///
    /// # Errors
    /// `NoKey`, `BadKey`, `ExpiredKey`, `NotAllowed` or `Quarantined`.
    pub fn allow(
        &self,
        credential: Option<&str>,
        action: Action,
        system: Option<&SystemId>,
    ) -> Result<ClientId, Refusal> {
        let snapshot = self.snapshot.load();
        let resource = system.map_or(Resource::Hospital, |id| Resource::System(id.clone()));
        let caller =
            self.authenticate(&snapshot, credential).inspect_err(|r| self.audit.reject(r, None, system))?;
        let allowed = permit(&snapshot, caller, action, resource);
        allowed.inspect_err(|r| self.audit.reject(r, Some(caller.id()), system))?;
        Ok(caller.id().clone())
    }

    /// Counts a refusal that the server decided before the gateway saw a request (a slow body, a wrong address).
    pub fn count_refusal(&self, refusal: &Refusal) {
        self.audit.reject(refusal, None, None);
    }
}

/// Writes the closing entry. A full queue passes; an exchange without its closing entry would stay for ever.
pub(crate) async fn close<'a>(
    entry: &mut OpenEntry<'a>,
    verdicts: &[GuardVerdict],
    model: Option<Digest>,
    model_us: u64,
    result: Result<Digest, &Refusal>,
) -> Result<Announcement<'a>, Refusal> {
    let mut tries = 0;
    loop {
        match entry.close(verdicts, model, model_us, result) {
            Err(Refusal::Busy { .. }) if tries < CLOSE_TRIES_MAX => {
                tries += 1;
                // Timers are large: in a box they do not make every exchange's state large.
                Box::pin(tokio::time::sleep(CLOSE_PAUSE)).await;
            }
            closed => return closed,
        }
    }
}

/// Reads the request, limits first.
fn parse(
    limits: &Limits,
    arrival: &Arrival<'_>,
    body: impl FnOnce(&oip::Limits) -> Result<Call, WireError>,
) -> Result<(InferenceRequest, Wishes), Refusal> {
    let system =
        arrival.system.parse().map_err(|_| Refusal::UnknownSystem { system: cut(arrival.system) })?;
    let call = body(&limits.wire).map_err(|error| match error {
        WireError::Limit { .. } => Refusal::TooLarge { detail: error.to_string() },
        other => Refusal::Malformed { detail: other.to_string() },
    })?;
    let Call { id, inputs, outputs: wanted, binary_output_default, .. } = call;
    // All outputs are asked for and screened, whatever the caller wants to see of them.
    let request = InferenceRequest { id, system, inputs: Phi::new(inputs), outputs: Vec::new() };
    if request.rows() > limits.rows_max {
        let detail = format!("{} rows, at most {} are taken at once", request.rows(), limits.rows_max);
        return Err(Refusal::TooLarge { detail });
    }
    Ok((request, Wishes { outputs: wanted, binary_default: binary_output_default }))
}

/// Asks the policies.
pub(crate) fn permit(
    snapshot: &Snapshot,
    caller: &Principal,
    action: Action,
    resource: Resource,
) -> Result<(), Refusal> {
    if snapshot.policies.decide(caller, action, &resource).allowed {
        return Ok(());
    }
    Err(Refusal::NotAllowed { action: format!("{action} on {resource}") })
}

/// The version that answers, if the gate holds one open and the caller asks for no other.
fn open_version<'s>(served: &'s Served, asked: Option<&str>) -> Result<&'s Arc<Version>, Refusal> {
    let system = || served.id.clone();
    let version = match &served.state {
        ServingState::Open { version, .. } => version,
        ServingState::Shut { because } => {
            return Err(Refusal::GateShut { system: system(), because: because.clone() });
        }
        ServingState::Suspended { by, reason } => {
            return Err(Refusal::Suspended { system: system(), by: by.clone(), reason: reason.clone() });
        }
    };
    match asked {
        Some(asked) if asked != version.name() && asked != version.model.to_string() => {
            Err(Refusal::UnknownVersion { system: system(), version: cut(asked) })
        }
        _ => Ok(version),
    }
}
