//! What can be looked at: each handler asks the house, hands the answer to a pure view and sends the markup.

use std::sync::Arc;

use access::{Action, Resource};
use app::AppError;
use app::overview::Overview;
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use domain::SystemId;
use http::{HeaderValue, Method, header};
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Duration, Instant};

use crate::error::ConsoleError;
use crate::house::House;
use crate::session::{self, Signed};
use crate::view::{self, Notice, Picture, Shell, View};

/// How long one picture serves all who look, so that many open pages cost the house no more than one.
const FRESH: Duration = Duration::from_millis(400);

/// What the handlers share.
pub(crate) struct Console<H> {
    pub(crate) house: Arc<H>,
    /// Permits for live streams.
    pub(crate) streams: Arc<Semaphore>,
    picture: Mutex<Option<(Instant, Arc<Overview>)>>,
}

/// What handlers get.
pub(crate) type Shared<H> = State<Arc<Console<H>>>;
/// What handlers answer.
pub(crate) type Answer = Result<Response, ConsoleError>;

impl<H: House> Console<H> {
    pub(crate) fn new(house: Arc<H>, streams: usize) -> Self {
        Self { house, streams: Arc::new(Semaphore::new(streams)), picture: Mutex::default() }
    }

    /// The picture, at most [`FRESH`] old.
    pub(crate) async fn recent(&self) -> Result<Arc<Overview>, AppError> {
        let mut picture = self.picture.lock().await;
        if let Some((made, all)) = picture.as_ref().filter(|(made, _)| made.elapsed() < FRESH) {
            let _ = made;
            return Ok(Arc::clone(all));
        }
        let all = Arc::new(self.house.overview().await?);
        *picture = Some((Instant::now(), Arc::clone(&all)));
        Ok(all)
    }

    /// Makes the next look see what an action changed.
    pub(crate) async fn forget(&self) {
        *self.picture.lock().await = None;
    }

    /// The recent picture without what this person may not see: other people's systems, and the clients of all systems for somebody
    /// who sees only some.
    pub(crate) async fn seen_by(&self, who: &Signed) -> Result<Arc<Overview>, ConsoleError> {
        who.need(&*self.house, Action::ViewConsole, &Resource::Hospital)?;
        let all = self.recent().await?;
        let sees = |id: &SystemId| {
            self.house.may(&who.principal, Action::ViewConsole, &Resource::System(id.clone()))
        };
        if all.systems.iter().all(|s| sees(&s.id)) {
            return Ok(all);
        }
        let mut part = Overview::clone(&all);
        part.systems.retain(|s| sees(&s.id));
        part.decisions.retain(|d| sees(&d.system));
        part.alarms.retain(|a| a.system.as_ref().is_some_and(sees));
        part.clients.clear();
        part.rejected.clear();
        Ok(Arc::new(part))
    }

    /// What a page with live parts shows, as this person may see it.
    pub(crate) async fn picture(&self, who: &Signed, view: &View) -> Result<Picture, ConsoleError> {
        match view {
            View::Live | View::System(_) => Ok(Picture::House(self.seen_by(who).await?)),
            View::Exercises(_) => {
                Ok(Picture::Exercises(Box::new(self.house.exercises(&who.principal).await?)))
            }
            View::Exercise(id) => {
                Ok(Picture::Exercise(Box::new(crate::exercises::seen(&*self.house, who, id).await?)))
            }
        }
    }
}

/// What an address may say after its question mark.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    #[serde(default)]
    pub(crate) done: String,
    #[serde(default)]
    pub(crate) system: String,
}

/// `GET /`
pub(crate) async fn live<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Query(said): Query<Said>,
) -> Answer {
    viewed(&console, &who, &View::Live, &said).await
}

/// `GET /systems/{id}`
pub(crate) async fn system<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Path(id): Path<String>,
    Query(said): Query<Said>,
) -> Answer {
    let system = system_of(&id)?;
    viewed(&console, &who, &View::System(system), &said).await
}

pub(crate) async fn viewed<H: House>(console: &Console<H>, who: &Signed, view: &View, said: &Said) -> Answer {
    let picture = console.picture(who, view).await?;
    let page = who.viewing(&*console.house, |viewer| {
        let fragments = view.fragments(&picture, viewer)?;
        let version = view::version(&fragments);
        let title = view.title(&picture);
        let main = view.body(&picture, &fragments, viewer);
        let notice = Notice::parse(&said.done);
        Some(view::shell(&Shell {
            title: &title,
            viewer: Some(viewer),
            live: Some((view, &version)),
            notice,
            main,
        }))
    });
    match (page, view) {
        (Some(page), _) => Ok(Html(page.into_string()).into_response()),
        (None, View::System(id)) => Err(AppError::UnknownSystem(id.to_string()).into()),
        (None, _) => Err(ConsoleError::NoPage),
    }
}

/// `GET /catalogue`
pub(crate) async fn catalogue<H: House>(State(console): Shared<H>, who: Signed) -> Answer {
    Ok(plain(&console, &who, "Catalogue", None, |v| view::catalogue_index(v.catalogue)))
}

/// `GET /catalogue/{id}`, by id or name.
pub(crate) async fn explain<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Path(id): Path<String>,
) -> Answer {
    let same = |p: &&app::catalogue::Page| p.id.eq_ignore_ascii_case(&id) || p.name.eq_ignore_ascii_case(&id);
    let Some(page) = console.house.catalogue().iter().find(same) else {
        return Err(AppError::UnknownId { typed: id.chars().take(80).collect(), hint: String::new() }.into());
    };
    Ok(plain(&console, &who, &page.id, None, |_| view::catalogue_entry(page)))
}

pub(crate) fn plain<H: House>(
    console: &Console<H>,
    who: &Signed,
    title: &str,
    notice: Option<Notice>,
    main: impl FnOnce(&view::Viewer<'_>) -> maud::Markup,
) -> Response {
    let page = who.viewing(&*console.house, |viewer| {
        let main = main(viewer);
        view::shell(&Shell { title, viewer: Some(viewer), live: None, notice, main })
    });
    Html(page.into_string()).into_response()
}

/// `GET /receipts/{index}`. Who may not read the ledger gets what the live page knows of the answer, and can flag it.
pub(crate) async fn receipt<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Path(index): Path<u64>,
    Query(said): Query<Said>,
) -> Answer {
    let notice = Notice::parse(&said.done);
    let title = format!("Ledger entry {index}");
    let all = console.seen_by(&who).await?;
    let entry = console.house.receipt(&who.principal, index).await;
    let known = all.decisions.iter().find(|d| d.ledger_index == index);
    match (entry, known) {
        (Ok(entry), _) => Ok(plain(&console, &who, &title, notice, |viewer| {
            view::receipt_page(&entry, all.ledger.size, viewer)
        })),
        (Err(AppError::Forbidden { .. }), Some(decision)) => {
            Ok(plain(&console, &who, &title, notice, |viewer| view::answer_page(decision, viewer)))
        }
        (Err(error), _) => Err(error.into()),
    }
}

/// `GET /systems/{id}/artefact`
pub(crate) async fn artefact<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Path(id): Path<String>,
) -> Answer {
    let system = system_of(&id)?;
    let view = console.house.artefact(&who.principal, &system)?;
    let title = format!("Model file of {}", view.title);
    Ok(plain(&console, &who, &title, None, |_| view::artefact_page(&view)))
}

/// `GET /systems/{id}/bom`, as a file.
pub(crate) async fn bill<H: House>(State(console): Shared<H>, who: Signed, Path(id): Path<String>) -> Answer {
    let system = system_of(&id)?;
    let mut response = console.house.bill(&who.principal, &system)?.into_response();
    let name = format!("attachment; filename=\"{system}.cdx.json\"");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.cyclonedx+json"));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn system_of(typed: &str) -> Result<SystemId, AppError> {
    typed.parse().map_err(|_| AppError::UnknownSystem(typed.chars().take(80).collect()))
}

/// `GET /receipts/{index}/proof`, as a file.
pub(crate) async fn proof<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Path(index): Path<u64>,
) -> Answer {
    let entry = console.house.receipt(&who.principal, index).await?;
    let mut response = entry.inclusion_proof.into_response();
    let name = format!("attachment; filename=\"asepsis-entry-{index}.proof.txt\"");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// What a sign-in link carries.
#[derive(Debug, Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

/// `GET /sign-in?token=…`. A `HEAD` request, as link previews send it, must not use the token up.
pub(crate) async fn sign_in<H: House>(
    State(console): Shared<H>,
    method: Method,
    Query(link): Query<Link>,
) -> Answer {
    if method != Method::GET || link.token.is_empty() {
        return Err(ConsoleError::SignIn("open the whole link that was printed".to_owned()));
    }
    let (_, secret) =
        console.house.sign_in(&link.token).await.map_err(|e| ConsoleError::SignIn(e.to_string()))?;
    let cookie = session::given(&secret)
        .ok_or_else(|| AppError::Internal("a session secret does not fit a header".into()))?;
    let mut response = Redirect::to("/").into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Any other address.
pub(crate) async fn nothing_here() -> ConsoleError {
    ConsoleError::NoPage
}
