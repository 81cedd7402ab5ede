//! An exercise sent as real clients would send it: through a gateway with the system's own guards, in rooms of its own. What is asked, by whom and in which order is
//! decided here; the gateway itself stands above this crate and comes in as a [`Door`].
//!
//! **Rooms.** The guards remember queries, so what they say of one depends on all before it. Every run of an attack (one sample, one budget) therefore gets a *room*:
//! the same version of the system behind the same gateway under a name of its own, with keys of its own, whose guards remember the same clean queries and nothing
//! else. Inside a room the order of queries is the attack's. So no run sees another, and neither threads nor speed change the report. Alarms by guards that
//! remember are then those of one attack on one patient; attacks that share a gateway are seen sooner, not later.

use std::collections::BTreeMap;
use std::sync::Arc;

use detect::{Fitted, GuardSet, GuardSettings};
use domain::{Digest, GuardMode, InputSchema};
use tokio::runtime::Handle;
use upstream::Secret;

use super::data::bad;
use crate::AppError;
use crate::admit;
use crate::config::{ModelSource, SystemSettings};
use crate::dataset::{self, Part};
use crate::scorer::Scorer;

/// Most keys over which a run may spread its queries.
pub const KEYS_MAX: usize = 100;
/// Guards that doubt answers instead of looking for attacks: they speak of one patient in ten by design, so a run is not seen by them.
const DOUBTING: [&str; 1] = ["uncertainty"];

/// A version of the system under a name of its own, for one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Name of the system in the gateway; opening a room that is there empties it first.
    pub name: String,
    /// Who may ask; a key is made for each.
    pub clients: Vec<String>,
}

/// A gateway made for one exercise.
pub trait Door: Send + Sync {
    /// Address of its REST interface, `http://host:port`.
    fn address(&self) -> String;

    /// Opens rooms whose guards remember what was kept by [`Door::remember`]; gives the keys of each, in the order of its clients.
    ///
    /// # Errors
    /// When a room cannot be made.
    fn open(&self, rooms: &[Room]) -> Result<Vec<Vec<Secret>>, AppError>;

    /// Keeps what the guards of this room remember now for all rooms that are opened from here on.
    ///
    /// # Errors
    /// When there is no such room.
    fn remember(&self, room: &str) -> Result<(), AppError>;

    /// Closes rooms.
    fn close(&self, rooms: &[String]);
}

/// The way through a gateway.
#[derive(Clone)]
pub struct Through {
    /// The gateway.
    pub door: Arc<dyn Door>,
    /// What stands behind it.
    pub guarded: Arc<Guarded>,
    /// API keys over which each run spreads its queries in turn, 1 to [`KEYS_MAX`].
    pub keys: usize,
    /// Whether rates and daily budgets of clients are lifted, so that the guards alone are measured.
    pub limits_lifted: bool,
}

impl std::fmt::Debug for Through {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, lifted) = (self.keys, self.limits_lifted);
        f.debug_struct("Through").field("keys", &keys).field("limits_lifted", &lifted).finish_non_exhaustive()
    }
}

impl Through {
    /// `lifted` or `configured`.
    pub(super) const fn limits(&self) -> &'static str {
        if self.limits_lifted { "lifted" } else { "configured" }
    }
}

/// A system as admission would put it behind its gateway: model, and guards fitted on its reference data.
pub struct Guarded {
    /// Digest of the model.
    pub model: Digest,
    /// Where it runs.
    pub scorer: Scorer,
    /// Its guards.
    pub guards: Arc<GuardSet>,
    /// What they learnt.
    pub fitted: Arc<Fitted>,
    /// Their settings.
    pub settings: GuardSettings,
    /// Its input.
    pub schema: InputSchema,
    /// Name of the output with the scores.
    pub output: String,
    /// Rows that the guards remember when an attack begins: the calibration split.
    pub(super) before: Part,
}

/// Fits the guards of `system` as admission does, from the same files, rows and seed, without touching the hospital's state.
///
/// # Errors
/// When model or reference data cannot be used, or a guard cannot be fitted.
pub fn guarded(system: &SystemSettings, bytes_max: u64, handle: &Handle) -> Result<Guarded, AppError> {
    let read = |path: &std::path::Path| {
        dataset::read_file(path, bytes_max).map_err(|e| bad(e.to_string().replace("reference data ", "")))
    };
    if let (Some(name), false) = (&system.fetch, system.reference.exists()) {
        return Err(bad(format!("the reference data are not here: run `asepsis data fetch {name}`")));
    }
    let data = dataset::read(&system.reference, &read(&system.reference)?, &system.schema, &system.split)?;
    let (scorer, model) = match &system.model {
        ModelSource::File(path) => {
            let bytes = read(path)?;
            (admit::load_local(&bytes).map_err(bad)?, Digest::of(&bytes))
        }
        ModelSource::Remote(connection) => {
            let _inside = handle.enter();
            let remote = crate::serving::remote(connection)?;
            let version = connection.version.as_deref();
            let identity = crate::subjects::remote_identity(&connection.url, &connection.name, version);
            (Scorer::Remote(Arc::new(remote)), identity)
        }
    };
    let fitted = handle.block_on(admit::fit_alone(system, &scorer, &data))?;
    let guards = GuardSet::build(&system.guards, &system.schema, &fitted).map_err(|e| bad(e.to_string()))?;
    Ok(Guarded {
        model,
        scorer,
        guards: Arc::new(guards),
        fitted: Arc::new(fitted),
        settings: system.guards.clone(),
        schema: system.schema.clone(),
        output: system.output.clone(),
        before: data.calibrate,
    })
}

/// How a guard's words count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It looks for attacks and may speak.
    Sees,
    /// It may refuse.
    Refuses,
    /// It only observes, or doubts the answer.
    Beside,
}

impl Guarded {
    /// Some rows of the calibration split, in the model's units.
    pub fn some_rows(&self, count: usize) -> Vec<Vec<f32>> {
        self.before.inputs.iter_rows().take(count).map(<[f32]>::to_vec).collect()
    }

    /// The guards that run, by name, and what each may do.
    pub(super) fn modes(&self) -> BTreeMap<String, GuardMode> {
        self.guards.instances().iter().map(|i| (i.name.to_owned(), i.mode)).collect()
    }

    /// The same in words.
    pub(super) fn words(&self) -> BTreeMap<String, String> {
        let word = |mode| match mode {
            GuardMode::Observe => "observe",
            GuardMode::Flag => "flag",
            GuardMode::Block => "block",
        };
        self.modes().into_iter().map(|(name, mode)| (name, word(mode).to_owned())).collect()
    }
}

/// How the word of a guard in this mode counts.
pub(super) fn weight(guard: &str, mode: Option<GuardMode>) -> Weight {
    match mode {
        Some(GuardMode::Block) => Weight::Refuses,
        Some(GuardMode::Observe) => Weight::Beside,
        _ if DOUBTING.contains(&guard) => Weight::Beside,
        _ => Weight::Sees,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_only_observes_or_doubts_does_not_see() {
        assert_eq!(weight("query-similarity", Some(GuardMode::Flag)), Weight::Sees);
        assert_eq!(weight("query-similarity", Some(GuardMode::Observe)), Weight::Beside);
        assert_eq!(weight("uncertainty", Some(GuardMode::Flag)), Weight::Beside);
        assert_eq!(weight("uncertainty", Some(GuardMode::Block)), Weight::Refuses);
    }
}
