//! The hospital as the console sees it.

use std::sync::Arc;

use access::{Action, Principal, Resource, Secret, SessionRecord};
use app::artefact::ArtefactView;
use app::catalogue::Page;
use app::live::Live;
use app::overview::Overview;
use app::{AppError, Hospital, ReceiptView, desk};
use console::{Command, House};
use domain::SystemId;

/// The hospital and its catalogue.
pub struct Desk {
    hospital: Arc<Hospital>,
    pages: Vec<Page>,
}

impl Desk {
    /// Joins the catalogue of all crates.
    pub fn new(hospital: Arc<Hospital>) -> Result<Self, AppError> {
        Ok(Self { hospital, pages: app::catalogue::pages(gateway::ENTRIES)? })
    }
}

impl House for Desk {
    fn live(&self) -> &Live {
        self.hospital.live()
    }

    fn catalogue(&self) -> &[Page] {
        &self.pages
    }

    fn may(&self, who: &Principal, action: Action, on: &Resource) -> bool {
        self.hospital.may(who, action, on)
    }

    async fn overview(&self) -> Result<Overview, AppError> {
        self.hospital.overview().await
    }

    async fn sign_in(&self, token: &str) -> Result<(SessionRecord, Secret), AppError> {
        self.hospital.sign_in(token).await
    }

    async fn session(&self, cookie: &str) -> Result<SessionRecord, AppError> {
        self.hospital.session(cookie).await
    }

    async fn sign_out(&self, cookie: &str) -> Result<(), AppError> {
        self.hospital.sign_out(cookie).await
    }

    async fn receipt(&self, who: &Principal, index: u64) -> Result<ReceiptView, AppError> {
        app::audit::receipt(&self.hospital, who, index).await
    }

    fn artefact(&self, who: &Principal, system: &SystemId) -> Result<ArtefactView, AppError> {
        app::artefact::view(&self.hospital, who, system)
    }

    fn bill(&self, who: &Principal, system: &SystemId) -> Result<Vec<u8>, AppError> {
        app::artefact::bill(&self.hospital, who, system)
    }

    async fn act(&self, who: &Principal, command: Command) -> Result<(), AppError> {
        // On its own task: a browser that goes away must not cut an action between ledger and state.
        let (hospital, who) = (Arc::clone(&self.hospital), who.clone());
        let done = tokio::spawn(async move { perform(&hospital, &who, command).await }).await;
        done.unwrap_or_else(|_| Err(AppError::Internal("the action was cut off".to_owned())))
    }
}

async fn perform(hospital: &Hospital, who: &Principal, command: Command) -> Result<(), AppError> {
    match command {
        Command::Acknowledge { alarm } => desk::acknowledge(hospital, who, alarm).await,
        Command::Quarantine { client, reason, hours } => {
            desk::quarantine(hospital, who, &client, &reason, hours).await
        }
        Command::LiftQuarantine { client } => desk::lift_quarantine(hospital, who, &client).await,
        Command::Suspend { system, reason } => desk::suspend(hospital, who, &system, &reason).await,
        Command::Resume { system } => desk::resume(hospital, who, &system).await,
        Command::AcceptRisk { system, control, days, reason } => {
            desk::accept_risk(hospital, who, &system, &control, days, &reason).await.map(|_| ())
        }
        Command::Flag { ledger_index, reason } => {
            desk::flag(hospital, who, ledger_index, reason.as_deref()).await
        }
        Command::Review { system } => desk::review(hospital, who, &system).await.map(|_| ()),
        Command::Readmit { system } => desk::readmit(hospital, who, &system).await.map(|_| ()),
        Command::Reload => desk::reload(hospital, who).await,
    }
}
