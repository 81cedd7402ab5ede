//! The path of a language model. [`Gateway::talk`] is to it what [`Gateway::infer`] is to other models; the order of its lines is
//! the same, and is the security argument here as well.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use access::{Action, Principal, Resource};
use detect::{Note, Screened, StreamEnd};
use domain::{Advice, ClientId, Digest, GuardVerdict, Receipt, SystemId};
use openai::{Endpoint, Reply, Request};

use crate::audit::OpenEntry;
use crate::gateway::{close, permit};
use crate::refusal::cut;
use crate::talk_call::{Outlet, Talking};
use crate::{Budget, Gateway, LanguageState, LanguageVersion, Limits, Refusal, Refused, Snapshot};

/// A request as it arrives, before its body is looked at.
#[derive(Debug, Clone, Copy)]
pub struct TalkArrival<'a> {
    /// The API key, if one came.
    pub credential: Option<&'a str>,
    /// The system, when the address names it; else the body's `model` does.
    pub system: Option<&'a str>,
    /// What is asked for.
    pub endpoint: Endpoint,
}

/// A screened answer with its receipt.
pub struct TalkAnswer {
    /// Which system answered.
    pub system: SystemId,
    /// The answer, or the end of it.
    pub reply: TalkReply,
    /// What goes with it.
    pub receipt: Receipt,
    /// What the guards say of places in the reply.
    pub notes: Vec<Note>,
}

/// What is left to be sent.
pub enum TalkReply {
    /// All of it.
    Whole(Screened<Reply>),
    /// The last events of a stream; the others have left through the [`Outlet`].
    Stream(Box<StreamEnd>),
}

/// What authorising gives: a language model that may answer this caller.
pub(crate) struct TalkGrant {
    pub(crate) client: ClientId,
    pub(crate) system: SystemId,
    pub(crate) version: Arc<LanguageVersion>,
    /// The model's name, as its owner wrote it.
    pub(crate) model: String,
    /// Tokens that were taken from the budget before the call.
    tokens: u64,
}

impl TalkGrant {
    pub(crate) const fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// How a conversation went between its two entries.
pub(crate) struct TalkConclusion {
    pub(crate) verdicts: Vec<GuardVerdict>,
    pub(crate) notes: Vec<Note>,
    pub(crate) model: Option<Digest>,
    pub(crate) model_us: u64,
    /// Tokens, as the server counts them, or as they are estimated here.
    pub(crate) tokens: u64,
    /// The reply with its keyed digest.
    pub(crate) result: Result<(TalkReply, Digest), Refusal>,
}

impl TalkConclusion {
    /// Nothing has happened yet; it counts as a caller who left until something does.
    pub(crate) const fn started() -> Self {
        let result = Err(Refusal::CallerGone);
        Self { verdicts: Vec::new(), notes: Vec::new(), model: None, model_us: 0, tokens: 0, result }
    }
}

impl Gateway {
    /// Turns a request to a language model into a screened answer, or into a refusal. A streamed reply leaves piece by piece through
    /// `outlet`, each piece screened; what comes back then is its end.
    ///
    /// # Errors
    /// Every refusal of the catalogue. What was refused before the exchange opened is counted in the ledger, what was refused later is
    /// closed there. No answer leaves before both of its entries are durable; of a streamed one the first piece waits for the opening
    /// entry and the last for the closing one.
    pub async fn talk(
        &self,
        arrival: TalkArrival<'_>,
        body: Vec<u8>,
        outlet: Option<&Outlet>,
    ) -> Result<TalkAnswer, Box<Refused>> {
        let started_us = self.audit.clock.monotonic_us();
        let snapshot = self.snapshot.load_full();
        let turned_away = |refusal, client: Option<&ClientId>, system: &str| {
            self.turn_away(&snapshot, refusal, client, system)
        };

        let request = parse(&snapshot.limits, &arrival, body)
            .map_err(|r| turned_away(r, None, arrival.system.unwrap_or_default()))?;
        let (system, model) = addressed(&arrival, request.model());
        let caller =
            self.authenticate(&snapshot, arrival.credential).map_err(|r| turned_away(r, None, system))?;
        let known = Some(caller.id());
        let grant = self
            .authorise_talk(&snapshot, caller, &request, system, model)
            .map_err(|r| turned_away(r, known, system))?;
        let asked = self.audit.key.of(request.original());
        let entry = self.audit.open(&grant.client, &grant.system, asked, 1, started_us);
        let mut entry = entry.map_err(|r| turned_away(r, known, system))?;

        // The exchange is open: from here on, whatever happens is closed in the ledger.
        let streams = request.is_stream();
        let early = if streams { entry.opened().await } else { Ok(()) };
        let conclusion = match early {
            Ok(()) => Talking::new(self, &grant, snapshot.limits, outlet).run(request, entry.receipt()).await,
            Err(refusal) => TalkConclusion { result: Err(refusal), ..TalkConclusion::started() },
        };
        self.tokens.charge(&grant.client, conclusion.tokens.saturating_sub(grant.tokens));
        let answer = self.conclude_talk(entry, conclusion, grant.system, snapshot.limits).await?;

        self.audit.metrics.exchange_us.record(self.audit.clock.monotonic_us().saturating_sub(started_us));
        Ok(answer)
    }

    /// Closes the entry and waits until both entries are durable; only then may the answer, or its end, leave.
    async fn conclude_talk(
        &self,
        mut entry: OpenEntry<'_>,
        conclusion: TalkConclusion,
        system: SystemId,
        limits: Limits,
    ) -> Result<TalkAnswer, Box<Refused>> {
        let TalkConclusion { verdicts, notes, model, model_us, result, .. } = conclusion;
        let digest = result.as_ref().map(|(_, digest)| *digest);
        let closed = close(&mut entry, &verdicts, model, model_us, digest).await?;
        let (ledger_index, advice): (u64, Advice) = (closed.index(), closed.advice);
        let outcome = match (result, model) {
            (Ok((reply, _)), Some(model)) => {
                let receipt = Receipt { ledger_index, model, advice, verdicts };
                Ok(TalkAnswer { system, reply, receipt, notes })
            }
            (Ok(_), None) => Err(Box::new(Refusal::LedgerUnavailable.into())),
            (Err(refusal), model) => {
                Err(Box::new(Refused { refusal, ledger_index: Some(ledger_index), model, verdicts }))
            }
        };
        self.on_disk(closed, limits).await?;
        outcome
    }

    /// Says whether this caller may ask this language model now, and which model that is; takes what it costs from the budgets.
    fn authorise_talk(
        &self,
        snapshot: &Snapshot,
        caller: &Principal,
        request: &Request,
        system: &str,
        model: &str,
    ) -> Result<TalkGrant, Refusal> {
        let unknown = || Refusal::UnknownSystem { system: cut(system) };
        let served = snapshot.language.get(system).ok_or_else(unknown)?;
        permit(snapshot, caller, Action::Infer, Resource::System(served.id.clone()))?;
        if let Some(reason) = snapshot.quarantined.get(caller.id()) {
            return Err(Refusal::Quarantined { reason: reason.clone() });
        }
        let id = || served.id.clone();
        let version = match &served.state {
            LanguageState::Open(version) => version,
            LanguageState::Shut { because } => {
                return Err(Refusal::GateShut { system: id(), because: because.clone() });
            }
            LanguageState::Suspended { by, reason } => {
                return Err(Refusal::Suspended { system: id(), by: by.clone(), reason: reason.clone() });
            }
        };
        let known = version.model(&served.id, model);
        let model = known.ok_or_else(|| Refusal::UnknownVersion { system: id(), version: cut(model) })?;
        if request.is_stored() && !version.parts.stored {
            let detail = "this system keeps no conversations: send the earlier messages instead of \
                          `previous_response_id` or `conversation`";
            return Err(Refusal::Malformed { detail: detail.to_owned() });
        }
        if self.audit.metrics.open_exchanges.load(Ordering::Relaxed) >= snapshot.limits.open_exchanges_max {
            return Err(Refusal::Busy { retry_after_s: 1 });
        }
        let tokens = request.tokens_estimated();
        self.take_budgets(snapshot, caller.id(), tokens)?;
        let (version, model) = (Arc::clone(version), model.to_owned());
        Ok(TalkGrant { client: caller.id().clone(), system: id(), version, model, tokens })
    }

    /// One request and its tokens.
    fn take_budgets(&self, snapshot: &Snapshot, client: &ClientId, tokens: u64) -> Result<(), Refusal> {
        let tokens_max = snapshot.limits.tokens_per_day;
        // The rate is the other meter's business.
        let unlimited = Budget { requests_per_s: 1e9, burst: u32::MAX, rows_per_day: tokens_max };
        self.tokens.take(client, unlimited, tokens, self.now()).map_err(|refusal| match refusal {
            Refusal::BudgetUsedUp { .. } => Refusal::TokensUsedUp { tokens_max },
            other => other,
        })?;
        self.meters.take(client, snapshot.budget_of(client), 1, self.now())
    }

    /// The language models that the owner of this key may ask, with the names of their models.
    ///
    /// # Errors
    /// `NoKey`, `BadKey` or `ExpiredKey`.
    pub fn language_models(
        &self,
        credential: Option<&str>,
    ) -> Result<Vec<(SystemId, Vec<String>)>, Box<Refused>> {
        let snapshot = self.snapshot.load();
        let caller =
            self.authenticate(&snapshot, credential).map_err(|r| self.turn_away(&snapshot, r, None, ""))?;
        let may = |id: &SystemId| {
            permit(&snapshot, caller, Action::ReadModel, Resource::System(id.clone())).is_ok()
        };
        let open = snapshot.language.values().filter(|served| may(&served.id));
        Ok(open
            .filter_map(|served| match &served.state {
                LanguageState::Open(version) => Some((served.id.clone(), version.models().to_vec())),
                _ => None,
            })
            .collect())
    }

    /// What bodies to language models may hold now.
    pub fn text_limits(&self) -> openai::Limits {
        self.snapshot.load().limits.text
    }

    /// Looks at the key alone, before a body is read. Counts the refusal.
    ///
    /// # Errors
    /// `NoKey`, `BadKey` or `ExpiredKey`.
    pub fn check_talk_key(&self, credential: Option<&str>) -> Result<(), Box<Refused>> {
        let snapshot = self.snapshot.load();
        let checked = self.authenticate(&snapshot, credential).map(|_| ());
        checked.map_err(|r| self.turn_away(&snapshot, r, None, ""))
    }
}

/// Reads the request, limits first.
fn parse(limits: &Limits, arrival: &TalkArrival<'_>, body: Vec<u8>) -> Result<Request, Refusal> {
    Request::parse(arrival.endpoint, body, &limits.text).map_err(|error| match error {
        openai::WireError::Limit { .. } => Refusal::TooLarge { detail: error.to_string() },
        other => Refusal::Malformed { detail: other.to_string() },
    })
}

/// Which system is meant, and which of its models: the address names the system, or `model` does, alone or in front of a `/`.
fn addressed<'a>(arrival: &TalkArrival<'a>, model: &'a str) -> (&'a str, &'a str) {
    match arrival.system {
        Some(system) => (system, model),
        None => model.split_once('/').unwrap_or((model, "")),
    }
}
