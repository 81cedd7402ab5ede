//! The seam to the control plane: what pages ask, and what people do. Two implementations exist: the hospital itself, and the made-up one
//! that previews and browser tests look at.

use std::future::Future;
use std::sync::Arc;

use access::{Action, Principal, Resource, Secret, SessionRecord};
use app::artefact::ArtefactView;
use app::catalogue::Page;
use app::exercises::{Card, CardId, Compared, Job, Listing, Order};
use app::live::Live;
use app::overview::Overview;
use app::{AppError, ReceiptView};
use attack::scorecard::Scorecard;
use domain::{ClientId, SystemId};
use tokio::sync::broadcast;

/// What a person does from a page. Each is one use case of `app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Takes an alarm.
    Acknowledge {
        /// Number of the alarm.
        alarm: i64,
    },
    /// Shuts a client out.
    Quarantine {
        /// Which.
        client: ClientId,
        /// Why.
        reason: String,
        /// For how many hours; none until somebody lifts it.
        hours: Option<u32>,
    },
    /// Lets a client in again.
    LiftQuarantine {
        /// Which.
        client: ClientId,
    },
    /// Stops a system.
    Suspend {
        /// Which.
        system: SystemId,
        /// Why.
        reason: String,
    },
    /// Lets a system answer again.
    Resume {
        /// Which.
        system: SystemId,
    },
    /// Lets a gate open although a control is not met.
    AcceptRisk {
        /// Which system.
        system: SystemId,
        /// Which control.
        control: String,
        /// For how many days.
        days: u32,
        /// Why.
        reason: String,
    },
    /// Says that an answer was wrong.
    Flag {
        /// Position of its closing entry in the ledger.
        ledger_index: u64,
        /// Why, where given.
        reason: Option<String>,
    },
    /// Writes down that the traffic of a system was looked at.
    Review {
        /// Which.
        system: SystemId,
    },
    /// Admits the present files again.
    Readmit {
        /// Which.
        system: SystemId,
    },
    /// Stops an exercise; what is done is kept.
    StopExercise {
        /// Which.
        id: CardId,
    },
    /// Goes on with an exercise.
    ResumeExercise {
        /// Which.
        id: CardId,
    },
    /// Takes an exercise or a scorecard off the shelf.
    RemoveExercise {
        /// Which.
        id: CardId,
    },
    /// Loads the configuration again.
    Reload,
}

/// The hospital as the console sees it.
pub trait House: Send + Sync + 'static {
    /// What is going on, and when it changes.
    fn live(&self) -> &Live;

    /// Everything that pages name.
    fn catalogue(&self) -> &[Page];

    /// Asks the policies.
    fn may(&self, who: &Principal, action: Action, on: &Resource) -> bool;

    /// One moment's picture of everything.
    ///
    /// # Errors
    /// When state or ledger cannot be read.
    fn overview(&self) -> impl Future<Output = Result<Overview, AppError>> + Send;

    /// Turns the token of a sign-in link into a session; works once.
    ///
    /// # Errors
    /// When the link is damaged, unknown, used or too old.
    fn sign_in(&self, token: &str) -> impl Future<Output = Result<(SessionRecord, Secret), AppError>> + Send;

    /// The session of a cookie.
    ///
    /// # Errors
    /// When there is none, or it is over.
    fn session(&self, cookie: &str) -> impl Future<Output = Result<SessionRecord, AppError>> + Send;

    /// Ends a session.
    ///
    /// # Errors
    /// When that cannot be stored.
    fn sign_out(&self, cookie: &str) -> impl Future<Output = Result<(), AppError>> + Send;

    /// A ledger entry with its proof.
    ///
    /// # Errors
    /// When the person may not read the ledger, there is no such entry, or it cannot be read.
    fn receipt(
        &self,
        who: &Principal,
        index: u64,
    ) -> impl Future<Output = Result<ReceiptView, AppError>> + Send;

    /// What is known about the model file of a system.
    ///
    /// # Errors
    /// When the person may not see the system, there is none, or what was stored cannot be read.
    fn artefact(&self, who: &Principal, system: &SystemId) -> Result<ArtefactView, AppError>;

    /// The bill of materials of a system's model, CycloneDX JSON.
    ///
    /// # Errors
    /// As [`House::artefact`]; also when there is none.
    fn bill(&self, who: &Principal, system: &SystemId) -> Result<Vec<u8>, AppError>;

    /// Says when an exercise got farther, began or ended.
    fn exercise_changes(&self) -> impl Future<Output = Result<broadcast::Receiver<()>, AppError>> + Send;

    /// Everything about exercises that this person may see.
    ///
    /// # Errors
    /// When the person may see none at all.
    fn exercises(&self, who: &Principal) -> impl Future<Output = Result<Listing, AppError>> + Send;

    /// One exercise; none for a scorecard that was not made at the desk.
    ///
    /// # Errors
    /// When the person may not see it, or there is none of that name.
    fn exercise(
        &self,
        who: &Principal,
        id: &CardId,
    ) -> impl Future<Output = Result<Option<Job>, AppError>> + Send;

    /// A scorecard, and what is known of it.
    ///
    /// # Errors
    /// When the person may not see it, there is none, or it cannot be read.
    fn scorecard(
        &self,
        who: &Principal,
        id: &CardId,
    ) -> impl Future<Output = Result<(Card, Arc<Scorecard>), AppError>> + Send;

    /// Two scorecards point by point.
    ///
    /// # Errors
    /// As [`House::scorecard`].
    fn compare(
        &self,
        who: &Principal,
        first: &CardId,
        second: &CardId,
    ) -> impl Future<Output = Result<Compared, AppError>> + Send;

    /// Starts an exercise.
    ///
    /// # Errors
    /// When the person may not, the order makes no sense, or another one runs.
    fn start_exercise(
        &self,
        who: &Principal,
        order: Order,
    ) -> impl Future<Output = Result<CardId, AppError>> + Send;

    /// Keeps a scorecard from elsewhere.
    ///
    /// # Errors
    /// When the person may not, or it is not a scorecard.
    fn receive(
        &self,
        who: &Principal,
        from: String,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<CardId, AppError>> + Send;

    /// Does what a person asked; refuses what the person may not.
    ///
    /// # Errors
    /// When the person may not, the input makes no sense, or it cannot be stored.
    fn act(&self, who: &Principal, command: Command) -> impl Future<Output = Result<(), AppError>> + Send;
}
