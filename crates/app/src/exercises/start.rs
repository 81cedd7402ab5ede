//! Starting an exercise on a system of this hospital, and going on with one that was stopped or cut off.

use std::path::Path;
use std::sync::Arc;

use access::{Action, Principal, Resource};

use super::follow::Running;
use super::order::Placed;
use super::shelf::{self, ORDER, STATE};
use super::{CardId, Order, run};
use crate::hospital::Hospital;
use crate::{AppError, exercises};

/// Exercises kept at once: each is a folder of some megabytes at the most.
pub(super) const JOBS_MAX: usize = 500;
/// Exercises of one system that may begin within one second.
const AGAIN_MAX: u32 = 20;

/// Starts an exercise and gives back its name; it goes on when this has returned.
///
/// # Errors
/// When `who` may not, the order makes no sense, another exercise runs, too many are kept, or nothing can be written.
pub async fn start(hospital: &Arc<Hospital>, who: &Principal, order: Order) -> Result<CardId, AppError> {
    hospital.system(&order.system)?;
    hospital.demand(who, Action::StartExercise, &Resource::System(order.system.clone()))?;
    order.suite()?;
    let desk = hospital.exercises();
    if shelf::names(&desk.jobs()).len() >= JOBS_MAX {
        return Err(AppError::BadInput(format!(
            "{JOBS_MAX} exercises are kept already: remove some that nobody needs"
        )));
    }
    let placed = Placed { order, by: who.id().to_string(), at: hospital.now() };
    let running = place(desk, placed)?;
    begin(hospital, who, &running, "exercise-started", false).await
}

/// Goes on with an exercise that did not come to its end; what was finished is not done again.
///
/// # Errors
/// When `who` may not, there is none of that name, it is finished, another one runs, or nothing can be written.
pub async fn resume(hospital: &Arc<Hospital>, who: &Principal, id: &CardId) -> Result<(), AppError> {
    let desk = hospital.exercises();
    let job = shelf::job(desk, id)?;
    hospital.demand(who, Action::StartExercise, &Resource::System(job.order.system.clone()))?;
    hospital.system(&job.order.system)?;
    if !job.state.runs() && !job.state.can_resume() {
        return Err(AppError::BadInput(format!("`{id}` is finished: there is nothing to go on with")));
    }
    let placed = Placed { order: job.order, by: job.by, at: job.at };
    let running = Arc::new(Running::new(id.clone(), placed, desk.changes.clone()));
    take(desk, &running)?;
    begin(hospital, who, &running, "exercise-resumed", true).await.map(|_| ())
}

/// Takes the only place, or says who has it.
fn take(desk: &exercises::Exercises, running: &Arc<Running>) -> Result<(), AppError> {
    let mut place = desk.running();
    if let Some(other) = place.as_ref() {
        let job = other.job();
        let percent = (100 * job.progress.done).checked_div(job.progress.total).unwrap_or(0);
        return Err(AppError::Busy(format!(
            "`{}` runs, started by {}, {percent} % done, and one at a time leaves room for the traffic: wait for it, or stop it",
            other.id, job.by
        )));
    }
    *place = Some(Arc::clone(running));
    Ok(())
}

/// Makes the folder of a new exercise and takes the place for it.
fn place(desk: &exercises::Exercises, placed: Placed) -> Result<Arc<Running>, AppError> {
    for again in 0..AGAIN_MAX {
        let id = CardId::of_job(placed.at, &placed.order.system, &placed.order.suite, again)?;
        let folder = desk.job_folder(&id);
        if folder.exists() {
            continue;
        }
        let running = Arc::new(Running::new(id, placed, desk.changes.clone()));
        take(desk, &running)?;
        let written = write_order(&folder, &running.placed);
        if let Err(error) = written {
            *desk.running() = None;
            return Err(error);
        }
        return Ok(running);
    }
    Err(AppError::Busy("too many exercises began in this second".to_owned()))
}

fn write_order(folder: &Path, placed: &Placed) -> Result<(), AppError> {
    shelf::make(folder)?;
    shelf::write_json(&folder.join(ORDER), placed)
}

/// Writes into the ledger that it begins, then lets it run on a thread of its own.
async fn begin(
    hospital: &Arc<Hospital>,
    who: &Principal,
    running: &Arc<Running>,
    action: &str,
    resume: bool,
) -> Result<CardId, AppError> {
    let id = running.id.clone();
    let desk = hospital.exercises();
    let begun = async {
        let order = &running.placed.order;
        let request =
            order.request(hospital.system(&order.system)?, desk.job_folder(&id).join(STATE), resume)?;
        hospital.record_action(who.id().as_str(), action, id.as_str(), None).await?;
        run::spawn(hospital, who, running, request)
    };
    if let Err(error) = begun.await {
        *desk.running() = None;
        desk.touch();
        return Err(error);
    }
    desk.touch();
    Ok(id)
}
