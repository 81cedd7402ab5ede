//! What can go wrong between a browser and the control plane, and the page that says so.

use app::AppError;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::view::{self, Shell};

/// A request that gets a message instead of a page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsoleError {
    /// No session, or it is over.
    #[error("{0}")]
    SignIn(String),
    /// The browser came from another site and held the cookie back.
    #[error("the browser comes from another site")]
    FromElsewhere,
    /// The form was not made by this session's own page.
    #[error("the form is older than this session, or comes from another site; nothing was done")]
    Forged,
    /// A field of a form makes no sense.
    #[error("{0}")]
    Form(String),
    /// There is no such page.
    #[error("there is no page at this address")]
    NoPage,
    /// The account may not see this.
    #[error("`{who}` may not {action}")]
    Forbidden {
        /// Who.
        who: String,
        /// Stable name of the action.
        action: &'static str,
    },
    /// All live streams are taken.
    #[error("{0} pages are live already: this one reloads by itself instead")]
    Streams(usize),
    /// The control plane said no.
    #[error(transparent)]
    App(#[from] AppError),
}

impl ConsoleError {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn(_) | Self::FromElsewhere => StatusCode::UNAUTHORIZED,
            Self::Forged | Self::Forbidden { .. } | Self::App(AppError::Forbidden { .. }) => {
                StatusCode::FORBIDDEN
            }
            Self::Form(_) | Self::App(AppError::BadInput(_)) => StatusCode::BAD_REQUEST,
            Self::NoPage
            | Self::App(
                AppError::UnknownSystem(_) | AppError::UnknownId { .. } | AppError::UnknownExercise(_),
            ) => StatusCode::NOT_FOUND,
            Self::Streams(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::App(AppError::Busy(_)) => StatusCode::CONFLICT,
            Self::App(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A title, and what to do next.
    fn words(&self) -> (&'static str, &'static str) {
        match self.status() {
            StatusCode::FORBIDDEN if matches!(self, Self::Forged) => (
                "Nothing was done",
                "Go back, reload the page and try again. If it happens twice, sign in again.",
            ),
            StatusCode::FORBIDDEN => (
                "Not allowed",
                "Ask somebody with the right role; docs/access.md lists which role may do what.",
            ),
            StatusCode::NOT_FOUND => {
                ("Not found", "Start from the live page; it links to everything there is.")
            }
            StatusCode::BAD_REQUEST => {
                ("That cannot be done as asked", "Go back, correct it and send it again. Nothing was done.")
            }
            StatusCode::CONFLICT => ("Not now", "Wait a moment and try again. Nothing was done."),
            _ => (
                "Something failed here",
                "Nothing was hidden: what was written is in the ledger. Look at the log of the server, then try again.",
            ),
        }
    }
}

impl IntoResponse for ConsoleError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::warn!(error = %self, "console could not answer");
        }
        if matches!(self, Self::FromElsewhere) {
            return Html(view::moment_please().into_string()).into_response();
        }
        let main = match &self {
            Self::SignIn(reason) => view::sign_in(reason),
            _ => {
                let (title, next) = self.words();
                view::problem(title, &self.to_string(), next)
            }
        };
        let title = if matches!(self, Self::SignIn(_)) { "Sign in" } else { self.words().0 };
        let page = view::shell(&Shell { title, viewer: None, live: None, notice: None, main });
        let mut response = (status, Html(page.into_string())).into_response();
        if matches!(self, Self::Streams(_)) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
        }
        response
    }
}
