//! Stopping an exercise: by a person, or because the program ends.

use std::time::Duration;

use access::{Action, Principal, Resource};

use super::CardId;
use super::name::unknown;
use crate::AppError;
use crate::hospital::Hospital;

/// Longest wait for the piece of work at hand when the program ends; an unfinished piece is done again.
const WAIT: Duration = Duration::from_secs(5);

/// Asks the exercise to end and keep what is done.
///
/// # Errors
/// When `who` may not, none of that name runs, or it cannot be written down.
pub async fn stop(hospital: &Hospital, who: &Principal, id: &CardId) -> Result<(), AppError> {
    let desk = hospital.exercises();
    let Some(running) = desk.running_as(id) else {
        let known = super::shelf::job(desk, id).map_err(|_| unknown(id.as_str()))?;
        hospital.demand(who, Action::ViewExercise, &Resource::System(known.order.system))?;
        return Err(AppError::BadInput(format!("`{id}` does not run any more")));
    };
    let system = running.placed.order.system.clone();
    hospital.demand(who, Action::StartExercise, &Resource::System(system))?;
    running.ask_to_stop();
    hospital.record_action(who.id().as_str(), "exercise-stopped", id.as_str(), None).await?;
    Ok(())
}

/// Ends what runs because the program ends, so that it can go on at the next start. Waits at most some seconds.
pub async fn end(hospital: &Hospital) {
    let running = hospital.exercises().running().clone();
    if let Some(running) = running {
        running.cut_off();
        let _ = tokio::time::timeout(WAIT, running.wait()).await;
    }
}
