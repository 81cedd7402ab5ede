//! What may be served now: versions loaded from stored content, never from files that may have changed since.

use std::sync::Arc;

use detect::{Fitted, GuardSet, History};
use domain::{Digest, Hasher, InputSchema, Stage, Subject, SubjectRole, SystemId};
use serde::{Deserialize, Serialize};

use crate::AppError;
use crate::config::{Connection, Fallback, ModelSource, SystemSettings};
use crate::hospital::Hospital;
use crate::scorer::Scorer;

/// Loaded versions kept at once.
const LOADED_MAX: usize = 256;
/// Largest blob read for serving, in bytes.
const BLOB_BYTES_MAX: u64 = 1 << 30;

/// What is needed besides model and fitted guards to serve a version again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub(crate) schema: InputSchema,
    pub(crate) guards: detect::GuardSettings,
}

impl Recipe {
    pub(crate) fn of(system: &SystemSettings) -> Self {
        Self { schema: system.schema.clone(), guards: system.guards.clone() }
    }
}

/// The name of a version: the digest over the subjects that make it.
pub(crate) fn version_key(subjects: &[Subject]) -> Digest {
    let mut hasher = Hasher::new();
    for role in [SubjectRole::Model, SubjectRole::Reference, SubjectRole::Guards, SubjectRole::Inputs] {
        match subjects.iter().find(|s| s.role == role) {
            Some(subject) => hasher.field(subject.digest.as_bytes()),
            None => hasher.field(b""),
        };
    }
    hasher.finish()
}

/// A version, loaded.
pub struct Loaded {
    /// Digest of the model.
    pub model: Digest,
    /// Where it runs.
    pub scorer: Scorer,
    /// Its guards.
    pub guards: Arc<GuardSet>,
    /// What its guards learnt.
    pub fitted: Arc<Fitted>,
    /// Settings of its guards.
    pub settings: detect::GuardSettings,
    /// Its input.
    pub schema: InputSchema,
}

/// Whether a system may answer, and with what.
pub enum Permission {
    /// The present version.
    Present(Arc<Loaded>),
    /// The last admitted version stands in.
    Fallback(Arc<Loaded>, Vec<String>),
    /// Nothing, because of these controls.
    Shut(Vec<String>),
    /// Nothing, because somebody stopped it.
    Suspended {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// Makes a client of a remote server.
pub(crate) fn remote(connection: &Connection) -> Result<upstream::Remote, AppError> {
    let target =
        connection.url.parse().map_err(|e: upstream::TargetError| AppError::BadInput(e.to_string()))?;
    let mut config = upstream::Config::new(target, connection.name.clone());
    config.version = connection.version.clone();
    config.timeout_ms = connection.timeout_ms;
    config.bearer = connection.token.clone().map(upstream::Secret::new);
    upstream::Remote::connect(config).map_err(|e| AppError::Upstream(e.to_string()))
}

/// Decides what `id` may serve, and loads it.
///
/// # Errors
/// When the state cannot be read. A stored model that cannot be loaded shuts the system instead.
pub async fn permission(hospital: &Hospital, id: &SystemId) -> Result<Permission, AppError> {
    if let Some((by, reason)) = hospital.suspension(id).await? {
        return Ok(Permission::Suspended { by, reason });
    }
    let system = hospital.system(id)?;
    // One look at the content for both: a file that changes in between must not pair one version's gate with another.
    let subjects = hospital.subjects(&system);
    let gate = hospital.gate_for(id, Stage::Deployment, &subjects);
    let key = version_key(&subjects);
    if gate.open
        && let Some(row) = hospital.version(id, &key).await?
    {
        return Ok(match load_once(hospital, &system, &row) {
            Ok(loaded) => {
                // Only the fallback needs it: what is served must not hang on this note.
                if let Err(error) = hospital.mark_open(id, row.number).await {
                    tracing::error!(system = %id, "the version to fall back to could not be noted: {error}");
                }
                Permission::Present(loaded)
            }
            Err(why) => {
                tracing::error!(system = %id, "an admitted version cannot be loaded: {why}");
                Permission::Shut(vec![format!("the stored version does not load: {why}; admit it again")])
            }
        });
    }
    let mut because = gate.because();
    if because.is_empty() {
        because.push("no version is stored; run `asepsis admit`".to_owned());
    }
    if system.fallback == Fallback::LastAdmitted
        && let Some(row) = hospital.last_open_version(id).await?
        && version_key(&row.admitted.subjects) != key
        && hospital.gate_for(id, Stage::Deployment, &as_admitted(&row.admitted.subjects, &subjects)).open
        && let Ok(loaded) = load_once(hospital, &system, &row)
    {
        return Ok(Permission::Fallback(loaded, because));
    }
    Ok(Permission::Shut(because))
}

/// The content of an admitted version under the present connections: its own gate must still be open to fall back to it.
fn as_admitted(admitted: &[Subject], present: &[Subject]) -> Vec<Subject> {
    let connections = present.iter().filter(|s| s.role == SubjectRole::Integration);
    admitted.iter().filter(|s| s.role != SubjectRole::Integration).chain(connections).copied().collect()
}

/// Loads a version, or takes the one that is loaded already: its connection to a remote server, with what is known of
/// that server's failures, stays the same while other things change.
fn load_once(
    hospital: &Hospital,
    system: &SystemSettings,
    row: &store::db::Version,
) -> Result<Arc<Loaded>, String> {
    let name = (system.id.clone(), row.number);
    let lock = || hospital.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = lock().get(&name) {
        return Ok(Arc::clone(known));
    }
    let loaded = Arc::new(load(hospital, system, row)?);
    let mut all = lock();
    // The present version and the one to fall back to, for each system.
    if all.len() >= LOADED_MAX {
        all.clear();
    }
    all.insert(name, Arc::clone(&loaded));
    Ok(loaded)
}

/// Forgets loaded versions: the configuration may name other remote servers now.
pub(crate) fn forget_loaded(hospital: &Hospital) {
    hospital.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
}

fn load(hospital: &Hospital, system: &SystemSettings, row: &store::db::Version) -> Result<Loaded, String> {
    let read = |digest: &Digest| hospital.blobs.get(digest, BLOB_BYTES_MAX).map_err(|e| e.to_string());
    let recipe: Recipe = serde_json::from_str(&row.admitted.settings).map_err(|e| e.to_string())?;
    let fitted: Fitted = serde_json::from_slice(&read(&row.admitted.fitted)?).map_err(|e| e.to_string())?;
    let guards = GuardSet::build(&recipe.guards, &recipe.schema, &fitted).map_err(|e| e.to_string())?;
    let model = row.admitted.model;
    let scorer = match &system.model {
        ModelSource::File(_) => crate::admit::load_local(&read(&model)?)?,
        ModelSource::Remote(connection) => {
            Scorer::Remote(Arc::new(remote(connection).map_err(|e| e.to_string())?))
        }
    };
    Ok(Loaded {
        model,
        scorer,
        guards: Arc::new(guards),
        fitted: Arc::new(fitted),
        settings: recipe.guards,
        schema: recipe.schema,
    })
}

/// What the guards of a system remember, as saved; a fresh one when nothing was saved or it does not fit any more.
pub async fn history(hospital: &Hospital, id: &SystemId, loaded: &Loaded) -> History {
    let history = History::new(&loaded.settings, &loaded.fitted);
    if let Ok(Some((_, saved))) = hospital.db.history(id, &loaded.fitted.digest().short()).await
        && let Err(error) = history.restore(&saved)
    {
        tracing::warn!(system = %id, "the guards' memory was not restored: {error}");
    }
    history
}

/// Saves what the guards of a system remember.
///
/// # Errors
/// When the state cannot be written.
pub async fn save_history(
    hospital: &Hospital,
    id: &SystemId,
    fit: &Digest,
    history: &History,
) -> Result<(), AppError> {
    let snapshot = history.snapshot();
    hospital
        .db
        .save_history(id, &fit.short(), hospital.now(), &snapshot)
        .await
        .map_err(|e| AppError::State(e.to_string()))
}
