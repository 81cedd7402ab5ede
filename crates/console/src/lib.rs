//! L5: the pages people look at: server-rendered, live by server-sent events.
//!
//! [`router`] is all that the binary needs. A request goes through `session` (who?), a handler in `pages`, `act` or `events` (what?), and a
//! pure function in `view` (how does it look?). No page knows the database, no view waits for anything. See docs/console.md.

mod act;
mod assets;
mod error;
mod events;
mod exercises;
mod headers;
mod house;
mod pages;
mod session;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

pub use events::STREAMS_MAX;
pub use house::{Command, House};
pub use view::{Viewer, page};

/// Largest form, in bytes: the longest reason in four-byte characters, percent-encoded, and its neighbours.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// Largest upload, in bytes: a scorecard and the fields beside it.
pub const UPLOAD_BYTES_MAX: usize = app::exercises::RECEIVED_BYTES_MAX + FORM_BYTES_MAX;

/// The console of a house, with at most [`STREAMS_MAX`] live pages.
pub fn router<H: House>(house: Arc<H>) -> Router {
    router_with(house, STREAMS_MAX)
}

/// The console of a house, with at most `streams` live pages.
pub fn router_with<H: House>(house: Arc<H>, streams: usize) -> Router {
    Router::new()
        .route("/", get(pages::live::<H>))
        .route("/exercises", get(exercises::list::<H>).post(exercises::start::<H>))
        .route("/exercises/compare", get(exercises::compare::<H>))
        .route(
            "/exercises/received",
            post(exercises::receive::<H>).layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX)),
        )
        .route("/exercises/{id}", get(exercises::one::<H>))
        .route("/exercises/{id}/scorecard", get(exercises::page::<H>))
        .route("/exercises/{id}/json", get(exercises::json::<H>))
        .route("/exercises/{id}/stop", post(exercises::stop::<H>))
        .route("/exercises/{id}/resume", post(exercises::resume::<H>))
        .route("/exercises/{id}/remove", post(exercises::remove::<H>))
        .route("/systems/{id}", get(pages::system::<H>))
        .route("/systems/{id}/artefact", get(pages::artefact::<H>))
        .route("/systems/{id}/bom", get(pages::bill::<H>))
        .route("/receipts/{index}", get(pages::receipt::<H>))
        .route("/receipts/{index}/proof", get(pages::proof::<H>))
        .route("/catalogue", get(pages::catalogue::<H>))
        .route("/catalogue/{id}", get(pages::explain::<H>))
        .route("/events", get(events::follow::<H>))
        .route("/sign-in", get(pages::sign_in::<H>))
        .route("/sign-out", post(act::sign_out::<H>))
        .route("/alarms/{id}/acknowledge", post(act::acknowledge::<H>))
        .route("/clients/{id}/quarantine", post(act::quarantine::<H>))
        .route("/clients/{id}/lift", post(act::lift::<H>))
        .route("/systems/{id}/suspend", post(act::suspend::<H>))
        .route("/systems/{id}/resume", post(act::resume::<H>))
        .route("/systems/{id}/accept-risk", post(act::accept_risk::<H>))
        .route("/systems/{id}/readmit", post(act::readmit::<H>))
        .route("/systems/{id}/review", post(act::review::<H>))
        .route("/receipts/{index}/flag", post(act::flag::<H>))
        .route("/reload", post(act::reload::<H>))
        .route("/assets/{name}", get(assets::serve))
        .fallback(pages::nothing_here)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn(headers::add))
        .with_state(Arc::new(pages::Console::new(house, streams)))
}
