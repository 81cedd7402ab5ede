//! The hospital as the console sees it.

use std::sync::Arc;

use access::{Action, Principal, Resource, Secret, SessionRecord};
use app::artefact::ArtefactView;
use app::catalogue::Page;
use app::exercises::{self, Card, CardId, Compared, Job, Listing, Order};
use app::live::Live;
use app::overview::Overview;
use app::{AppError, Hospital, ReceiptView, desk};
use attack::scorecard::Scorecard;
use console::{Command, House};
use domain::SystemId;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

/// The hospital and its catalogue.
pub struct Desk {
    hospital: Arc<Hospital>,
    pages: Vec<Page>,
    /// The program's own runtime. The console has one thread for its pages, and may end before what they began.
    runtime: Handle,
}

impl Desk {
    /// Joins the catalogue of all crates. To be called on the program's own runtime.
    pub fn new(hospital: Arc<Hospital>) -> Result<Self, AppError> {
        Ok(Self { hospital, pages: app::catalogue::pages(gateway::ENTRIES)?, runtime: Handle::current() })
    }

    /// Reads the disk where waiting for it holds up no page.
    async fn off_the_loop<T: Send + 'static>(
        &self,
        who: &Principal,
        read: impl FnOnce(&Hospital, &Principal) -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let (hospital, who) = (Arc::clone(&self.hospital), who.clone());
        let done = self.runtime.spawn_blocking(move || read(&hospital, &who)).await;
        done.unwrap_or_else(|_| Err(cut_off()))
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

    async fn exercise_changes(&self) -> Result<broadcast::Receiver<()>, AppError> {
        Ok(self.hospital.exercises().subscribe())
    }

    async fn exercises(&self, who: &Principal) -> Result<Listing, AppError> {
        self.off_the_loop(who, exercises::listing).await
    }

    async fn exercise(&self, who: &Principal, id: &CardId) -> Result<Option<Job>, AppError> {
        exercises::job(&self.hospital, who, id)
    }

    async fn scorecard(&self, who: &Principal, id: &CardId) -> Result<(Card, Arc<Scorecard>), AppError> {
        let id = id.clone();
        self.off_the_loop(who, move |hospital, who| exercises::scorecard(hospital, who, &id)).await
    }

    async fn compare(&self, who: &Principal, first: &CardId, second: &CardId) -> Result<Compared, AppError> {
        let (first, second) = (first.clone(), second.clone());
        self.off_the_loop(who, move |hospital, who| exercises::compare(hospital, who, &first, &second)).await
    }

    async fn start_exercise(&self, who: &Principal, order: Order) -> Result<CardId, AppError> {
        let (hospital, who) = (Arc::clone(&self.hospital), who.clone());
        let inside = self.runtime.spawn(async move { exercises::start(&hospital, &who, order).await });
        inside.await.unwrap_or_else(|_| Err(cut_off()))
    }

    async fn receive(&self, who: &Principal, from: String, bytes: Vec<u8>) -> Result<CardId, AppError> {
        let (hospital, who) = (Arc::clone(&self.hospital), who.clone());
        let inside =
            self.runtime.spawn(async move { exercises::receive(&hospital, &who, &from, &bytes).await });
        inside.await.unwrap_or_else(|_| Err(cut_off()))
    }

    async fn act(&self, who: &Principal, command: Command) -> Result<(), AppError> {
        // On its own task: a browser that goes away must not cut an action between ledger and state.
        let (hospital, who) = (Arc::clone(&self.hospital), who.clone());
        let done = self.runtime.spawn(async move { perform(&hospital, &who, command).await }).await;
        done.unwrap_or_else(|_| Err(cut_off()))
    }
}

fn cut_off() -> AppError {
    AppError::Internal("the action was cut off".to_owned())
}

async fn perform(hospital: &Arc<Hospital>, who: &Principal, command: Command) -> Result<(), AppError> {
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
        Command::StopExercise { id } => exercises::stop(hospital, who, &id).await,
        Command::ResumeExercise { id } => exercises::resume(hospital, who, &id).await,
        Command::RemoveExercise { id } => exercises::remove(hospital, who, &id).await,
        Command::Reload => desk::reload(hospital, who).await,
    }
}
