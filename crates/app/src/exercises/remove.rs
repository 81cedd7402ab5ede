//! Taking an exercise or a scorecard from elsewhere off the shelf. Its evidence, and the copy that the evidence names, stay.

use access::{Action, Principal, Resource};

use super::name::unknown;
use super::shelf::{self, Place};
use super::{CardId, system_of};
use crate::AppError;
use crate::hospital::Hospital;

/// Removes it.
///
/// # Errors
/// When `who` may not, there is none of that name, it runs, or it cannot be removed.
pub async fn remove(hospital: &Hospital, who: &Principal, id: &CardId) -> Result<(), AppError> {
    let desk = hospital.exercises();
    let on = match shelf::find(desk, id).ok_or_else(|| unknown(id.as_str()))? {
        Place::Job(_) => Resource::System(shelf::job(desk, id)?.order.system),
        Place::Received(_) => Resource::Hospital,
        Place::CommandLine(file) => {
            let summary = desk.shelf.summary(&file)?;
            system_of(&summary).map_or(Resource::Hospital, Resource::System)
        }
    };
    hospital.demand(who, Action::StartExercise, &on)?;
    if desk.running_as(id).is_some() {
        return Err(AppError::Busy(format!("`{id}` runs: stop it first")));
    }
    hospital.record_action(who.id().as_str(), "scorecard-removed", id.as_str(), None).await?;
    match shelf::find(desk, id).ok_or_else(|| unknown(id.as_str()))? {
        Place::Job(folder) => {
            std::fs::remove_dir_all(&folder).map_err(AppError::files("cannot remove", &folder))?;
        }
        Place::Received(file) => {
            let _ = std::fs::remove_file(file.with_extension("from"));
            std::fs::remove_file(&file).map_err(AppError::files("cannot remove", &file))?;
        }
        Place::CommandLine(file) => {
            std::fs::remove_file(&file).map_err(AppError::files("cannot remove", &file))?;
        }
    }
    desk.touch();
    Ok(())
}
