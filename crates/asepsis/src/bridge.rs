//! From what the control plane permits to what the gateway serves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use app::scorer::Scorer;
use app::serving::{self, Loaded, Permission};
use app::{AppError, Hospital};
use detect::History;
use domain::{Digest, SystemId};
use gateway::{Backend, Budget, LocalModel, Served, ServingState, Snapshot, Version, VersionParts};

/// What the guards remember, per system and fit: kept while versions come and go.
#[derive(Default)]
pub struct Memories(Mutex<BTreeMap<(SystemId, Digest), Arc<History>>>);

impl Memories {
    async fn of(&self, hospital: &Hospital, id: &SystemId, loaded: &Loaded) -> Arc<History> {
        let key = (id.clone(), loaded.fitted.digest());
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let history = Arc::new(serving::history(hospital, id, loaded).await);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key).or_insert(history))
    }

    /// Saves everything that is remembered.
    pub async fn save(&self, hospital: &Hospital) -> Result<(), AppError> {
        let all: Vec<_> = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|((id, _), h)| (id.clone(), Arc::clone(h)))
            .collect();
        for (id, history) in all {
            serving::save_history(hospital, &id, &history).await?;
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
    Ok(snapshot)
}

/// Images are looked at through their activations too; tables have none that help.
fn local_model(model: &runtime::Model, schema: &domain::InputSchema) -> LocalModel {
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
    loaded: &Loaded,
    fallback: bool,
) -> ServingState {
    let backend = match &loaded.scorer {
        Scorer::Local(model) => Backend::Local(Arc::new(local_model(model, &loaded.schema))),
        Scorer::Remote(remote) => Backend::Remote(Arc::clone(remote)),
    };
    let version = Version::new(VersionParts {
        model: loaded.model,
        backend,
        guards: Arc::clone(&loaded.guards),
        history: memories.of(hospital, id, loaded).await,
        schema: loaded.schema.clone(),
        inputs: vec![],
        outputs: vec![],
        concurrency_max: gateway::CONCURRENCY_DEFAULT,
    });
    ServingState::Open { version: Arc::new(version), fallback }
}
