//! What the desk has: suites to start, exercises that run or can go on, and the scorecards that are kept. Each person sees those of their systems.

use std::sync::Arc;

use access::{Action, Principal, Resource};
use attack::scorecard::Scorecard;
use attack::suite::Suite;
use domain::SystemId;

use super::name::unknown;
use super::shelf::{self, Place};
use super::{Card, CardId, Job, JobState, Source, system_of};
use crate::AppError;
use crate::exercise::shipped_suites;
use crate::hospital::Hospital;

/// A system on which this person may start an exercise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub system: SystemId,
    /// Its title.
    pub title: String,
}

/// Everything about exercises that one person may see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Systems that may be exercised.
    pub offers: Vec<Offer>,
    /// Shipped suites.
    pub suites: Vec<Suite>,
    /// Exercises that run, or can go on; newest first.
    pub jobs: Vec<Job>,
    /// Scorecards, newest first.
    pub cards: Vec<Card>,
}

/// Lists.
///
/// # Errors
/// When `who` may see no exercises at all, or a shipped suite does not read. What cannot be read on the shelf is left out.
pub fn listing(hospital: &Hospital, who: &Principal) -> Result<Listing, AppError> {
    hospital.demand(who, Action::ViewExercise, &Resource::Hospital)?;
    let sees = |system: &SystemId| hospital.may(who, Action::ViewExercise, &Resource::System(system.clone()));
    let settings = hospital.settings();
    let offers = settings
        .systems
        .values()
        .filter(|s| hospital.may(who, Action::StartExercise, &Resource::System(s.id.clone())));
    let offers = offers.map(|s| Offer { system: s.id.clone(), title: s.title.clone() }).collect();
    let desk = hospital.exercises();
    let mut jobs = shelf::jobs(desk);
    jobs.retain(|j| sees(&j.order.system));
    let mut cards: Vec<Card> = jobs.iter().filter(|j| !j.state.runs()).filter_map(card_of).collect();
    cards.extend(shelf::files(desk).into_iter().filter(|c| match c.source {
        Source::Elsewhere { .. } => true,
        _ => system_of(&c.summary).is_none_or(|s| sees(&s)),
    }));
    cards.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.id.cmp(&b.id)));
    jobs.retain(|j| j.state != JobState::Finished);
    Ok(Listing { offers, suites: shipped_suites()?, jobs, cards })
}

/// The scorecard of an exercise, if it has one.
fn card_of(job: &Job) -> Option<Card> {
    let ended = job.ended.as_ref()?;
    let summary = ended.summary.clone()?;
    Some(Card { id: job.id.clone(), source: Source::Desk, at: ended.at, summary })
}

/// One exercise, as it stands. `None` for a scorecard that was not made at the desk.
///
/// # Errors
/// When `who` may not see it, or there is none of that name.
pub fn job(hospital: &Hospital, who: &Principal, id: &CardId) -> Result<Option<Job>, AppError> {
    hospital.demand(who, Action::ViewExercise, &Resource::Hospital)?;
    let desk = hospital.exercises();
    match shelf::find(desk, id).ok_or_else(|| unknown(id.as_str()))? {
        Place::Job(_) => {
            let job = shelf::job(desk, id)?;
            hospital.demand(who, Action::ViewExercise, &Resource::System(job.order.system.clone()))?;
            Ok(Some(job))
        }
        _ => Ok(None),
    }
}

/// A scorecard of the shelf, and what is known of it.
///
/// # Errors
/// When `who` may not see it, there is none of that name, or it cannot be read.
pub fn scorecard(
    hospital: &Hospital,
    who: &Principal,
    id: &CardId,
) -> Result<(Card, Arc<Scorecard>), AppError> {
    hospital.demand(who, Action::ViewExercise, &Resource::Hospital)?;
    let desk = hospital.exercises();
    let card = match shelf::find(desk, id).ok_or_else(|| unknown(id.as_str()))? {
        Place::Job(_) => {
            let job = job(hospital, who, id)?;
            job.as_ref().and_then(card_of).ok_or_else(|| {
                AppError::BadInput(format!("`{id}` has no scorecard yet: look at the exercise itself"))
            })?
        }
        Place::Received(file) => shelf::card(desk, id.clone(), &file, true)?,
        Place::CommandLine(file) => shelf::card(desk, id.clone(), &file, false)?,
    };
    if let (Source::Desk | Source::CommandLine, Some(system)) = (&card.source, system_of(&card.summary)) {
        hospital.demand(who, Action::ViewExercise, &Resource::System(system))?;
    }
    let file = shelf::card_file(desk, id).ok_or_else(|| unknown(id.as_str()))?;
    Ok((card, desk.shelf.card(&file)?))
}
