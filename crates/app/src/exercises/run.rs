//! The thread of an exercise: one, of low priority, so that the gateway's answers come first; and what is kept when it ends.

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use access::Principal;
use attack::scorecard::Scorecard;
use tokio::runtime::Handle;

use super::follow::Running;
use super::shelf::{self, CARD, END, STATE};
use super::{Ended, Summary};
use crate::AppError;
use crate::exercise::{self, Request, Watch};
use crate::hospital::Hospital;

/// How much the thread gives way: 19 is the most a system knows.
#[cfg(target_os = "linux")]
const NICE: i32 = 15;

/// Starts the thread.
pub(super) fn spawn(
    hospital: &Arc<Hospital>,
    who: &Principal,
    running: &Arc<Running>,
    request: Request,
) -> Result<(), AppError> {
    let handle = Handle::current();
    let (hospital, who, running) = (Arc::clone(hospital), who.clone(), Arc::clone(running));
    let work = move || {
        give_way();
        let watch: Arc<dyn Watch> = Arc::<Running>::clone(&running);
        // A defect in an attack must not leave the place taken for ever.
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| exercise::run(&request, &watch, &handle)));
        let result = result.unwrap_or_else(|_| Err(AppError::Internal("the exercise broke off".to_owned())));
        if !running.is_cut_off() {
            handle.block_on(finish(&hospital, &who, &running, result));
        }
        let desk = hospital.exercises();
        *desk.running() = None;
        desk.touch();
        running.is_over();
    };
    std::thread::Builder::new()
        .name("exercise".to_owned())
        .spawn(work)
        .map(|_| ())
        .map_err(|e| AppError::Internal(format!("no thread for the exercise: {e}")))
}

/// Lowers the priority of this thread. On Linux that is a property of a thread; elsewhere it would be the whole program's, so nothing is done.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!("the exercise runs with ordinary priority: {error}");
    }
}

/// Keeps the scorecard, the evidence of what is complete, and how it ended.
async fn finish(
    hospital: &Hospital,
    who: &Principal,
    running: &Running,
    result: Result<Scorecard, AppError>,
) {
    let folder = hospital.exercises().job_folder(&running.id);
    let ended = match result {
        Ok(card) => kept(hospital, who, running, &folder, &card).await,
        Err(error) => Err(error),
    };
    let ended = ended.unwrap_or_else(|error| {
        tracing::warn!(exercise = %running.id, "exercise failed: {error}");
        Ended {
            at: hospital.now(),
            why: Some(error.to_string()),
            failed: true,
            evidence: None,
            summary: None,
        }
    });
    if let Err(error) = shelf::write_json(&folder.join(END), &ended) {
        tracing::error!(exercise = %running.id, "how the exercise ended could not be written: {error}");
    }
    if ended.why.is_none() {
        let _ = std::fs::remove_dir_all(folder.join(STATE));
    }
}

async fn kept(
    hospital: &Hospital,
    who: &Principal,
    running: &Running,
    folder: &Path,
    card: &Scorecard,
) -> Result<Ended, AppError> {
    let mut bytes = serde_json::to_vec_pretty(card).map_err(|e| AppError::Internal(e.to_string()))?;
    bytes.push(b'\n');
    shelf::write(&folder.join(CARD), &bytes)?;
    let why = (!card.complete).then(|| {
        let fault = card.faults.first().map_or_else(|| "not complete".to_owned(), |f| f.text.clone());
        fault.replace(": go on with --resume", "")
    });
    // Stopping is everybody's right who may start; it must not shut a gate by evidence that is only half made.
    let evidence = match card.complete {
        true => Some(exercise::keep_bytes(hospital, who, &running.placed.order.system, &bytes).await?.0),
        false => None,
    };
    Ok(Ended { at: hospital.now(), why, failed: false, evidence, summary: Some(Summary::of(card)) })
}
