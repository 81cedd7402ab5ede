//! Admission: read once, check everything, write evidence. Run again, it makes only what is owed or stale, unless all is asked for.

mod artefact;
mod assess;
mod exercised;
mod figures;
mod model;

use std::sync::Arc;

use access::{Action, Principal, Resource};
use detect::{Fitted, GuardSet};
use domain::{Digest, Evidence, Outcome, Record, Stage, Subject, SubjectRole, SystemId};

use crate::config::{ModelSource, SystemSettings};
use crate::dataset::{self, Dataset};
use crate::gate::GateReport;
use crate::hospital::Hospital;
use crate::scorer::Scorer;
use crate::{AppError, checks};

use assess::Scores;
pub(crate) use assess::{Bench, finding, fit_alone};

/// What an admission did.
#[derive(Debug, serde::Serialize)]
pub struct Admission {
    /// Which system.
    pub system: SystemId,
    /// Evidence made, with ledger positions, in order.
    pub evidence: Vec<(u64, Evidence)>,
    /// The deployment gate afterwards.
    pub gate: GateReport,
}

/// Says what is being done, for progress.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Admits the present version of a system: all checks, each ending as evidence in the ledger.
///
/// # Errors
/// When `who` may not, there is no such system, or ledger or state cannot be written. A model or data set that does
/// not pass is no error: it ends as evidence that keeps the gate shut.
pub async fn admit(
    hospital: &Hospital,
    who: &Principal,
    id: &SystemId,
    progress: Progress<'_>,
) -> Result<Admission, AppError> {
    hospital.demand(who, Action::AdmitSystem, &Resource::System(id.clone()))?;
    let _one_at_a_time = hospital.admitting.lock().await;
    let system = hospital.system(id)?;
    let read = Materials::read(hospital, &system);
    let by = who.id().to_string();
    let mut made = Vec::new();
    let found = examine(hospital, &system, read, &by, progress).await;
    for evidence in found.evidence {
        let record = Record::Evidence { evidence: evidence.clone() };
        made.push((hospital.record(record).await?, evidence));
    }
    if let Some(version) = found.version {
        keep_version(hospital, &system, version).await?;
    }
    hospital.refresh_gates().await?;
    hospital.touch_serving();
    Ok(Admission { system: id.clone(), evidence: made, gate: hospital.gate(id, Stage::Deployment)? })
}

/// Checks the callers of every system whose connections changed: a check of the configuration alone, made again with
/// each load, so that a new client or budget does not shut what is otherwise in order.
///
/// # Errors
/// When ledger or state cannot be written.
pub async fn check_callers(hospital: &Hospital, who: &Principal) -> Result<(), AppError> {
    let settings = hospital.settings();
    for system in settings.systems.values() {
        let subjects = hospital.subjects(system);
        let known = hospital.facts().get(&system.id).is_some_and(|facts| {
            let last = facts.evidence.iter().rev().find(|(_, e)| e.check == checks::CALLERS_KNOWN.id);
            last.is_none_or(|(_, e)| e.subjects.iter().all(|s| subjects.contains(s)))
        });
        if !known {
            let by = who.id().to_string();
            let bench = Bench { system, subjects: &subjects, now: hospital.now(), by: &by };
            let evidence = assess::callers(&bench, &settings);
            hospital.record(Record::Evidence { evidence }).await?;
        }
    }
    Ok(())
}

/// Files read once, and the digests of exactly these bytes.
struct Materials {
    model: Option<Result<Vec<u8>, String>>,
    data: Result<Vec<u8>, String>,
    subjects: Vec<Subject>,
}

impl Materials {
    fn read(hospital: &Hospital, system: &SystemSettings) -> Self {
        let limits = &hospital.settings().limits;
        let text = |e: dataset::DatasetError| e.to_string();
        let model = match &system.model {
            ModelSource::File(path) => Some(dataset::read_file(path, limits.model_bytes_max).map_err(|e| {
                text(e)
                    .replace("reference data", "the model file")
                    .replace("reference-bytes-max", "model-bytes-max")
            })),
            ModelSource::Remote(_) => None,
        };
        let data =
            dataset::read_file(&system.reference, limits.reference_bytes_max).map_err(|e| {
                match &system.fetch {
                    Some(name) if !system.reference.exists() => {
                        format!("the reference data are not here: run `asepsis data fetch {name}`")
                    }
                    _ => text(e),
                }
            });
        let mut subjects = hospital.subjects(system);
        // The digests are those of the bytes that were read, whatever the file holds by now.
        subjects.retain(|s| match s.role {
            SubjectRole::Model => model.is_none(),
            SubjectRole::Reference => false,
            _ => true,
        });
        for (role, bytes) in [
            (SubjectRole::Model, model.as_ref().and_then(|m| m.as_ref().ok())),
            (SubjectRole::Reference, data.as_ref().ok()),
        ] {
            if let Some(bytes) = bytes {
                subjects.push(Subject { role, digest: Digest::of(bytes) });
            }
        }
        subjects.sort();
        Self { model, data, subjects }
    }
}

/// A version that can be served.
struct NewVersion {
    model_bytes: Option<Vec<u8>>,
    fitted: Fitted,
    subjects: Vec<Subject>,
}

struct Examination {
    evidence: Vec<Evidence>,
    version: Option<NewVersion>,
}

async fn examine(
    hospital: &Hospital,
    system: &SystemSettings,
    read: Materials,
    by: &str,
    progress: Progress<'_>,
) -> Examination {
    let settings = hospital.settings();
    let bench = Bench { system, subjects: &read.subjects, now: hospital.now(), by };
    let mut evidence = vec![assess::callers(&bench, &settings)];
    let mut may_load = true;
    if let Some(bytes) = &read.model {
        progress("looking what is in the model file");
        let found = artefact::examine(hospital, &bench, bytes);
        may_load = found.may_load;
        evidence.extend(found.evidence);
    }
    progress("loading the model");
    // What was found dangerous is not given to the loader, careful as it is.
    let refused = Some(Err("it was not loaded, because something dangerous was found in it".to_owned()));
    let (loads, scorer) = model::loads(&bench, if may_load { &read.model } else { &refused }).await;
    evidence.push(loads);
    if let Some(scorer) = &scorer {
        evidence.push(model::inputs(&bench, scorer).await);
    }
    progress("checking the reference data");
    let data = read.data.and_then(|bytes| {
        dataset::read(&system.reference, &bytes, &system.schema, &system.split).map_err(|e| e.to_string())
    });
    let data = match data {
        Ok(data) => data,
        Err(why) => {
            evidence.push(unreadable_data(&bench, &why));
            return Examination { evidence, version: None };
        }
    };
    evidence.push(assess::reference_data(&bench, &data));
    let Some(scorer) = scorer else {
        return Examination { evidence, version: None };
    };
    let version = judge_model(&bench, &scorer, &data, &mut evidence, progress).await;
    progress("attacking the model, as a first exercise");
    evidence.push(exercised::exercised(hospital, &bench).await);
    let model_bytes = read.model.and_then(Result::ok);
    let version = version.map(|fitted| NewVersion { model_bytes, fitted, subjects: read.subjects.clone() });
    Examination { evidence, version }
}

/// Everything that needs the model's scores.
async fn judge_model(
    bench: &Bench<'_>,
    scorer: &Scorer,
    data: &Dataset,
    evidence: &mut Vec<Evidence>,
    progress: Progress<'_>,
) -> Option<Fitted> {
    progress("running the model on the reference data");
    let (schema, output) = (&bench.system.schema, &bench.system.output);
    let score = async |inputs| scorer.score(schema, output, inputs).await;
    let scored = async {
        Ok::<_, AppError>(Scores {
            fit: score(&data.fit.inputs).await?,
            calibrate: score(&data.calibrate.inputs).await?,
            hold_out: score(&data.hold_out.inputs).await?,
        })
    };
    let scores = match scored.await {
        Ok(scores) => scores,
        Err(error) => {
            let roles =
                [SubjectRole::Model, SubjectRole::Reference, SubjectRole::Inputs, SubjectRole::Bounds];
            let outcome = Outcome::inconclusive(checks::PERFORMANCE.id, error.to_string());
            evidence.push(bench.evidence(
                &checks::PERFORMANCE,
                &roles,
                outcome,
                Default::default(),
                Default::default(),
            ));
            return None;
        }
    };
    evidence.push(assess::performance(bench, data, &scores));
    progress("repeating runs");
    evidence.push(assess::repeatable(bench, scorer, data).await);
    progress("fitting the guards");
    let (fit, fitted) = assess::fit_guards(bench, data, &scores);
    evidence.push(fit);
    let fitted = fitted?;
    progress("trying the guards on held-out rows");
    match GuardSet::build(&bench.system.guards, schema, &fitted) {
        Ok(set) => evidence.push(assess::try_guards(bench, &set, data, &scores)),
        Err(error) => {
            let roles = [
                SubjectRole::Model,
                SubjectRole::Reference,
                SubjectRole::Guards,
                SubjectRole::Inputs,
                SubjectRole::Bounds,
            ];
            let outcome = Outcome::inconclusive(checks::GUARDS_TRIED.id, error.to_string());
            evidence.push(bench.evidence(
                &checks::GUARDS_TRIED,
                &roles,
                outcome,
                Default::default(),
                Default::default(),
            ));
            return None;
        }
    }
    Some(fitted)
}

fn unreadable_data(bench: &Bench<'_>, why: &str) -> Evidence {
    let roles = [SubjectRole::Reference, SubjectRole::Inputs, SubjectRole::Bounds];
    let outcome = Outcome::inconclusive(checks::REFERENCE_DATA.id, why);
    bench.evidence(&checks::REFERENCE_DATA, &roles, outcome, Default::default(), Default::default())
}

/// Stores the version's model and guards by content, so that it can be served again whatever happens to the files.
async fn keep_version(
    hospital: &Hospital,
    system: &SystemSettings,
    version: NewVersion,
) -> Result<(), AppError> {
    let blob = |bytes: &[u8]| hospital.blobs.put(bytes).map_err(|e| AppError::State(e.to_string()));
    if let Some(bytes) = &version.model_bytes {
        blob(bytes)?;
    }
    let fitted = serde_json::to_vec(&version.fitted).map_err(|e| AppError::Internal(e.to_string()))?;
    let fitted = blob(&fitted)?;
    let recipe = crate::serving::Recipe::of(system);
    let model = version.subjects.iter().find(|s| s.role == SubjectRole::Model).map(|s| s.digest);
    let new = store::db::NewVersion {
        system: system.id.clone(),
        model: model.ok_or_else(|| AppError::Internal("a version without a model".to_owned()))?,
        subjects: version.subjects,
        fitted,
        settings: serde_json::to_string(&recipe).map_err(|e| AppError::Internal(e.to_string()))?,
        admitted_at: hospital.now(),
    };
    hospital.put_version(new).await
}

/// Loads a model from bytes for scoring.
pub(crate) fn load_local(bytes: &[u8]) -> Result<Scorer, String> {
    runtime::Model::load(bytes, &runtime::Limits::default())
        .map(|m| Scorer::Local(Arc::new(m)))
        .map_err(|e| e.to_string())
}
