//! From what the control plane permits to what the gateway serves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use app::config::LanguageSettings;
use app::scorer::Scorer;
use app::serving::{self, Loaded, Permission};
use app::{AppError, Hospital};
use detect::{History, TextGuards};
use domain::{Digest, SystemId};
use gateway::{
    Backend, Budget, LanguageParts, LanguageServed, LanguageState, LanguageVersion, LocalModel, Served,
    ServedUpstream, ServingState, Snapshot, Version, VersionParts,
};
use upstream::Language;

/// A version and what it was made of.
type Made = (Arc<Loaded>, Arc<Version>);

/// What outlives a snapshot: what the guards remember, per system and fit, and the versions that are being served.
#[derive(Default)]
pub struct Memories {
    histories: Mutex<BTreeMap<(SystemId, Digest), Arc<History>>>,
    versions: Mutex<BTreeMap<SystemId, Made>>,
    language: Mutex<BTreeMap<SystemId, (Digest, Arc<LanguageVersion>)>>,
}

impl Memories {
    async fn of(&self, hospital: &Hospital, id: &SystemId, loaded: &Loaded) -> Arc<History> {
        let key = (id.clone(), loaded.fitted.digest());
        if let Some(known) = self.histories.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let history = Arc::new(serving::history(hospital, id, loaded).await);
        let mut all = self.histories.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_insert(history))
    }

    /// The version made of `loaded` before, if it is still the same.
    fn version(&self, id: &SystemId, loaded: &Arc<Loaded>) -> Option<Arc<Version>> {
        let all = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(id).filter(|(of, _)| Arc::ptr_eq(of, loaded)).map(|(_, version)| Arc::clone(version))
    }

    fn keep_version(&self, id: &SystemId, loaded: &Arc<Loaded>, version: &Arc<Version>) {
        let mut all = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id.clone(), (Arc::clone(loaded), Arc::clone(version)));
    }

    /// The language model as it is configured; the same one, with its connections, as long as nothing in its configuration changed.
    fn language(&self, system: &LanguageSettings) -> Result<Arc<LanguageVersion>, AppError> {
        let mut all = self.language.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, version)) = all.get(&system.id).filter(|(of, _)| *of == system.digest) {
            return Ok(Arc::clone(version));
        }
        let mut upstreams = Vec::with_capacity(system.upstreams.len());
        for (config, model) in &system.upstreams {
            let server = Language::connect(config.clone()).map_err(|e| AppError::Upstream(e.to_string()))?;
            upstreams.push(ServedUpstream { server: Arc::new(server), model: model.clone() });
        }
        let version = Arc::new(LanguageVersion::new(LanguageParts {
            models: system.models.clone(),
            upstreams,
            guards: Arc::new(TextGuards::build(&system.guards, system.hold_back)),
            stored: system.stored,
        }));
        all.insert(system.id.clone(), (system.digest, Arc::clone(&version)));
        Ok(version)
    }

    /// Saves everything that is remembered.
    pub async fn save(&self, hospital: &Hospital) -> Result<(), AppError> {
        let all: Vec<_> = self
            .histories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|((id, fit), h)| (id.clone(), *fit, Arc::clone(h)))
            .collect();
        for (id, fit, history) in all {
            serving::save_history(hospital, &id, &fit, &history).await?;
        }
        Ok(())
    }
}

/// Makes the snapshot that the gateway serves from now on.
pub async fn snapshot(hospital: &Hospital, memories: &Memories) -> Result<Snapshot, AppError> {
    let settings = hospital.settings();
    let keys = access::KeyTable::new(hospital.keys().await?).map_err(|e| AppError::State(e.to_string()))?;
    let mut snapshot = Snapshot::empty(keys, hospital.policies());
    let limits = &settings.limits;
    snapshot.limits.rows_max = limits.batch_rows_max;
    snapshot.limits.exchange_ms_max = limits.exchange_ms_max;
    snapshot.limits.open_exchanges_max = limits.concurrency_max as u64;
    snapshot.limits.wire.body_bytes = limits.body_bytes_max;
    snapshot.limits.text.body_bytes = limits.body_bytes_max;
    snapshot.limits.tokens_per_day = limits.client_tokens_per_day;
    snapshot.budget = Budget {
        requests_per_s: f64::from(limits.client_requests_per_second),
        burst: limits.client_burst,
        rows_per_day: limits.client_rows_per_day,
    };
    for (client, reason) in hospital.quarantined().await? {
        snapshot.quarantined.insert(client, reason);
    }
    for (id, system) in &settings.systems {
        let state = match serving::permission(hospital, id).await? {
            Permission::Present(loaded) => open(hospital, memories, id, &loaded, false).await,
            Permission::Fallback(loaded, _) => open(hospital, memories, id, &loaded, true).await,
            Permission::Shut(because) => ServingState::Shut { because },
            Permission::Suspended { by, reason } => ServingState::Suspended { by, reason },
        };
        snapshot
            .systems
            .insert(id.clone(), Arc::new(Served { id: id.clone(), title: system.title.clone(), state }));
    }
    for (id, system) in &settings.language {
        let state = match hospital.suspension(id).await? {
            Some((by, reason)) => LanguageState::Suspended { by, reason },
            None => LanguageState::Open(memories.language(system)?),
        };
        let served = LanguageServed { id: id.clone(), title: system.title.clone(), state };
        snapshot.language.insert(id.clone(), Arc::new(served));
    }
    Ok(snapshot)
}

/// Images are looked at through their activations too; tables have none that help.
pub fn local_model(model: &runtime::Model, schema: &domain::InputSchema) -> LocalModel {
    if matches!(schema, domain::InputSchema::Image { .. })
        && let Ok(tapped) = LocalModel::with_features(model.clone())
    {
        return tapped;
    }
    LocalModel::new(model.clone())
}

async fn open(
    hospital: &Hospital,
    memories: &Memories,
    id: &SystemId,
    loaded: &Arc<Loaded>,
    fallback: bool,
) -> ServingState {
    if let Some(version) = memories.version(id, loaded) {
        return ServingState::Open { version, fallback };
    }
    let backend = match &loaded.scorer {
        Scorer::Local(model) => Backend::Local(Arc::new(local_model(model, &loaded.schema))),
        Scorer::Remote(remote) => Backend::Remote(Arc::clone(remote)),
    };
    let version = Arc::new(Version::new(VersionParts {
        model: loaded.model,
        backend,
        guards: Arc::clone(&loaded.guards),
        history: memories.of(hospital, id, loaded).await,
        schema: loaded.schema.clone(),
        inputs: vec![],
        outputs: vec![],
        concurrency_max: gateway::CONCURRENCY_DEFAULT,
    }));
    memories.keep_version(id, loaded, &version);
    ServingState::Open { version, fallback }
}
