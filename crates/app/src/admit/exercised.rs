//! V014 at admission: the short suite, on every version. Full suites are run by `asepsis exercise run --system`.

use std::sync::Arc;

use domain::{Evidence, Outcome, SubjectRole};

use super::assess::Bench;
use crate::exercise::{self, Reading, Request, Target, Unwatched, Watch};
use crate::hospital::Hospital;
use crate::{AppError, checks};

/// The suite that admission runs.
const SUITE: &str = "admission";
/// Samples shown in the kept scorecard.
const EXHIBITS: usize = 8;

/// Attacks the system with the short suite. Whatever keeps the exercise from running is a doubt, and a doubt is no pass.
pub(super) async fn exercised(hospital: &Hospital, bench: &Bench<'_>) -> Evidence {
    match run(hospital, bench).await {
        Ok(evidence) => evidence,
        Err(error) => {
            let roles = [SubjectRole::Model, SubjectRole::Reference, SubjectRole::Inputs];
            let outcome = Outcome::inconclusive(checks::EXERCISE.id, error.to_string());
            bench.evidence(&checks::EXERCISE, &roles, outcome, Default::default(), Default::default())
        }
    }
}

async fn run(hospital: &Hospital, bench: &Bench<'_>) -> Result<Evidence, AppError> {
    let limits = &hospital.settings().limits;
    let request = Request {
        target: Target::System(Box::new(bench.system.clone())),
        suite: exercise::load_suite(SUITE)?,
        reading: Reading::default(),
        output: None,
        labels_only: false,
        threads: 1,
        time_max: None,
        state: None,
        resume: false,
        exhibits_max: EXHIBITS,
        bytes_max: limits.model_bytes_max.max(limits.reference_bytes_max),
        through: None,
    };
    let handle = tokio::runtime::Handle::current();
    // It computes and waits for servers: not on a thread that answers others.
    let ran = tokio::task::spawn_blocking(move || {
        let watch: Arc<dyn Watch> = Arc::new(Unwatched);
        exercise::run(&request, &watch, &handle)
    });
    let card = ran.await.map_err(|e| AppError::Internal(e.to_string()))??;
    let bytes = serde_json::to_vec(&card).map_err(|e| AppError::Internal(e.to_string()))?;
    let digest = hospital.blobs.put(&bytes).map_err(|e| AppError::State(e.to_string()))?;
    Ok(exercise::evidence_of(bench, &card, digest))
}
