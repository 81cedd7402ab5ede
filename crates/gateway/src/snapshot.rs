//! What the gateway serves at one moment: an immutable picture made by the control plane and swapped as a whole, so
//! that no exchange sees half of a change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use access::{KeyTable, Policies};
use detect::{GuardSet, History};
use domain::{ClientId, Digest, GuardVerdict, InputSchema, SystemId};
use oip::TensorSpec;
use tokio::sync::Semaphore;

use crate::metrics::OUTCOMES;
use crate::{Budget, Limits, LocalModel, Metrics};

/// Everything that decides over an exchange.
pub struct Snapshot {
    /// The systems, served or not.
    pub systems: BTreeMap<SystemId, Arc<Served>>,
    /// The systems that are language models, by names of their own.
    pub language: BTreeMap<SystemId, Arc<crate::LanguageServed>>,
    /// The API keys.
    pub keys: KeyTable,
    /// Who may do what.
    pub policies: Arc<Policies>,
    /// Limits on single requests and on the gateway.
    pub limits: Limits,
    /// Budget of clients that have none of their own.
    pub budget: Budget,
    /// Budgets of single clients.
    pub budgets: BTreeMap<ClientId, Budget>,
    /// Clients that are shut out, and why.
    pub quarantined: BTreeMap<ClientId, String>,
}

impl Snapshot {
    /// A snapshot without systems: everything is refused.
    pub fn empty(keys: KeyTable, policies: Arc<Policies>) -> Self {
        Self {
            systems: BTreeMap::new(),
            language: BTreeMap::new(),
            keys,
            policies,
            limits: Limits::default(),
            budget: Budget::default(),
            budgets: BTreeMap::new(),
            quarantined: BTreeMap::new(),
        }
    }

    /// The budget of a client.
    pub fn budget_of(&self, client: &ClientId) -> Budget {
        self.budgets.get(client).copied().unwrap_or(self.budget)
    }

    /// Whether at least one system can answer.
    pub fn any_open(&self) -> bool {
        let open = self.systems.values().any(|s| matches!(s.state, ServingState::Open { .. }));
        open || self.language.values().any(|s| s.is_open())
    }
}

/// A system as the gateway knows it.
pub struct Served {
    /// Its name.
    pub id: SystemId,
    /// Its title for people.
    pub title: String,
    /// Whether it answers.
    pub state: ServingState,
}

/// Whether a system answers.
pub enum ServingState {
    /// A version answers.
    Open {
        /// Which.
        version: Arc<Version>,
        /// True when it is the last admitted one, standing in for a newer version whose gate is shut.
        fallback: bool,
    },
    /// The deployment gate is shut.
    Shut {
        /// Ids of the controls that keep it shut.
        because: Vec<String>,
    },
    /// A person stopped it.
    Suspended {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// Where the model computes.
pub enum Backend {
    /// In this process.
    Local(Arc<LocalModel>),
    /// On a model server that speaks the same protocol.
    Remote(Arc<upstream::Remote>),
}

/// How many calls of one system run or wait at a remote server or in the blocking pool at once, unless set otherwise.
pub const CONCURRENCY_DEFAULT: usize = 64;

/// One version of a system, ready to answer.
pub struct Version {
    /// Content digest of the model, or of a remote model's declared identity.
    pub model: Digest,
    /// Where it computes.
    pub backend: Backend,
    /// What screens its requests and replies.
    pub guards: Arc<GuardSet>,
    /// What the guards remember of the traffic; shared by all versions of a system.
    pub history: Arc<History>,
    /// What its inputs mean.
    pub schema: InputSchema,
    /// Inputs as the protocol's metadata shows them.
    pub inputs: Vec<TensorSpec>,
    /// Outputs as the protocol's metadata shows them; may be empty for a remote model.
    pub outputs: Vec<TensorSpec>,
    /// Bounds the calls that leave the worker thread.
    pub(crate) slots: Arc<Semaphore>,
    name: String,
    counters: OnceLock<Vec<GuardCounters>>,
}

/// A guard instance and its counters: clean, found, inconclusive.
type GuardCounters = (&'static str, [Arc<AtomicU64>; 3]);

/// What a version is made of.
pub struct VersionParts {
    /// See [`Version::model`].
    pub model: Digest,
    /// See [`Version::backend`].
    pub backend: Backend,
    /// See [`Version::guards`].
    pub guards: Arc<GuardSet>,
    /// See [`Version::history`].
    pub history: Arc<History>,
    /// See [`Version::schema`].
    pub schema: InputSchema,
    /// See [`Version::inputs`]; empty to derive it from the schema.
    pub inputs: Vec<TensorSpec>,
    /// See [`Version::outputs`]; empty to derive it from a local model.
    pub outputs: Vec<TensorSpec>,
    /// Calls at once, remote or in the blocking pool; at least 1.
    pub concurrency_max: usize,
}

impl Version {
    /// A version of these parts.
    pub fn new(parts: VersionParts) -> Self {
        let VersionParts {
            model,
            backend,
            guards,
            history,
            schema,
            mut inputs,
            mut outputs,
            concurrency_max,
        } = parts;
        if inputs.is_empty() {
            inputs = vec![spec_of(&schema)];
        }
        if outputs.is_empty()
            && let Backend::Local(local) = &backend
        {
            outputs = local.output_specs();
        }
        let slots = Arc::new(Semaphore::new(concurrency_max.clamp(1, Semaphore::MAX_PERMITS)));
        let (name, counters) = (model.short(), OnceLock::new());
        Self { model, backend, guards, history, schema, inputs, outputs, slots, name, counters }
    }

    /// Counts a verdict. The counters are looked up once for a version, not once for a verdict.
    pub(crate) fn count(&self, metrics: &Metrics, system: &SystemId, verdict: &GuardVerdict) {
        let counters = self.counters.get_or_init(|| {
            let instances = self.guards.instances();
            instances.iter().map(|i| (i.name, metrics.guard_counters(system, i.name))).collect()
        });
        let word = verdict.outcome.word();
        let known = counters.iter().find(|(name, _)| *name == verdict.instance);
        let counter = known.and_then(|(_, c)| c.get(OUTCOMES.iter().position(|o| *o == word)?));
        match counter {
            Some(counter) => _ = counter.fetch_add(1, Ordering::Relaxed),
            None => metrics.guard(system, &verdict.instance, word),
        }
    }

    /// The name of the version on the wire: the first 12 digits of the model's digest.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn spec_of(schema: &InputSchema) -> TensorSpec {
    let fixed = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut shape: Vec<i64> = schema.shape(0).into_iter().map(fixed).collect();
    if let Some(batch) = shape.first_mut() {
        *batch = -1;
    }
    TensorSpec { name: schema.tensor().to_owned(), datatype: "FP32".to_owned(), shape }
}
