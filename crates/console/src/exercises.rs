//! Exercises: looking at them, starting and stopping them, bringing in scorecards from elsewhere, comparing two.

use std::sync::Arc;

use app::AppError;
use app::exercises::{CardId, Order, RECEIVED_BYTES_MAX};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::response::{IntoResponse, Redirect};
use http::{HeaderValue, header};
use serde::Deserialize;

use crate::act::{self, Checked, Fields};
use crate::error::ConsoleError;
use crate::house::{Command, House};
use crate::pages::{self, Answer, Console, Said, Shared};
use crate::session::Signed;
use crate::view::{self, Notice, Seen, View};

/// Parts of one upload: token, name, file, and room for what a browser adds.
const PARTS_MAX: usize = 8;
/// Longest text field of an upload, bytes.
const TEXT_BYTES_MAX: usize = 1_024;

fn card_id(text: &str) -> Result<CardId, ConsoleError> {
    Ok(text.parse()?)
}

/// An exercise or scorecard as a page shows it.
pub(crate) async fn seen<H: House>(house: &H, who: &Signed, id: &CardId) -> Result<Seen, ConsoleError> {
    let job = house.exercise(&who.principal, id).await?;
    let ended = job.as_ref().is_none_or(|j| j.ended.as_ref().is_some_and(|e| e.summary.is_some()));
    let card = if ended { Some(house.scorecard(&who.principal, id).await?) } else { None };
    let mut others = Vec::new();
    if let Some((mine, _)) = &card {
        others = house.exercises(&who.principal).await?.cards;
        others.retain(|c| c.id != *id && c.summary.suite_digest == mine.summary.suite_digest);
    }
    Ok(Seen { id: id.clone(), job, card, others })
}

/// `GET /exercises`
pub(crate) async fn list<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Query(said): Query<Said>,
) -> Answer {
    pages::viewed(&console, &who, &View::Exercises(said.system.parse().ok()), &said).await
}

/// `GET /exercises/{id}`
pub(crate) async fn one<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Path(id): Path<String>,
    Query(said): Query<Said>,
) -> Answer {
    pages::viewed(&console, &who, &View::Exercise(card_id(&id)?), &said).await
}

/// `GET /exercises/{id}/scorecard`: the page that stands for itself, under its own policy, which allows its own style and nothing else.
pub(crate) async fn page<H: House>(State(console): Shared<H>, who: Signed, Path(id): Path<String>) -> Answer {
    let (_, card) = console.house.scorecard(&who.principal, &card_id(&id)?).await?;
    let policy = format!("{}; frame-ancestors 'none'", app::exercise::scorecard_policy());
    let mut response = axum::response::Html(app::exercise::scorecard_html(&card)).into_response();
    let policy = HeaderValue::from_str(&policy).map_err(|e| AppError::Internal(e.to_string()))?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// `GET /exercises/{id}/json`, as a file.
pub(crate) async fn json<H: House>(State(console): Shared<H>, who: Signed, Path(id): Path<String>) -> Answer {
    let id = card_id(&id)?;
    let (_, card) = console.house.scorecard(&who.principal, &id).await?;
    let mut response = axum::Json(card.as_ref()).into_response();
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{id}.json\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// Which two.
#[derive(Debug, Deserialize)]
pub(crate) struct Pair {
    #[serde(default)]
    a: String,
    #[serde(default)]
    b: String,
}

/// `GET /exercises/compare?a=…&b=…`
pub(crate) async fn compare<H: House>(
    State(console): Shared<H>,
    who: Signed,
    Query(pair): Query<Pair>,
) -> Answer {
    let both = console.house.compare(&who.principal, &card_id(&pair.a)?, &card_id(&pair.b)?).await?;
    Ok(pages::plain(&console, &who, "Two scorecards", None, |_| view::compared_page(&both)))
}

/// A number that may be left out.
fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<Option<T>, ConsoleError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let refused =
        || ConsoleError::Form(format!("`{}` is not a {what}", text.chars().take(40).collect::<String>()));
    text.parse().map(Some).map_err(|_| refused())
}

/// The order that a form makes.
fn order(fields: &Fields) -> Result<Order, ConsoleError> {
    Ok(Order {
        system: act::system(&fields.system)?,
        suite: fields.suite.chars().take(80).collect(),
        samples: number(&fields.samples, "number of samples")?,
        seed: number(&fields.seed, "seed (0 or a positive whole number)")?,
        queries_max: number(&fields.queries, "number of queries")?,
        minutes_max: number(&fields.minutes, "number of minutes")?,
        labels_only: !fields.labels_only.is_empty(),
        without_patients: !fields.without_patients.is_empty(),
    })
}

fn to(id: &CardId, notice: Notice) -> Answer {
    Ok(Redirect::to(&format!("/exercises/{id}?done={}", notice.word())).into_response())
}

/// `POST /exercises`
pub(crate) async fn start<H: House>(State(console): Shared<H>, form: Checked) -> Answer {
    let id = console.house.start_exercise(&form.who.principal, order(&form.fields)?).await?;
    to(&id, Notice::Started)
}

/// `POST /exercises/{id}/stop`
pub(crate) async fn stop<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    act::act(&console, &form, Command::StopExercise { id: card_id(&id)? }, Notice::Stopped).await
}

/// `POST /exercises/{id}/resume`
pub(crate) async fn resume<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    act::act(&console, &form, Command::ResumeExercise { id: card_id(&id)? }, Notice::GoesOn).await
}

/// `POST /exercises/{id}/remove`
pub(crate) async fn remove<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    act::act(&console, &form, Command::RemoveExercise { id: card_id(&id)? }, Notice::Removed).await
}

/// A file of a signed-in person whose token fits. The token is read before the file is.
pub(crate) struct Upload {
    who: Signed,
    from: String,
    bytes: Vec<u8>,
}

impl<H: House> FromRequest<Arc<Console<H>>> for Upload {
    type Rejection = ConsoleError;

    async fn from_request(request: Request, console: &Arc<Console<H>>) -> Result<Self, ConsoleError> {
        let (mut parts, body) = request.into_parts();
        let who = <Signed as FromRequestParts<_>>::from_request_parts(&mut parts, console).await?;
        act::from_here(&parts.headers)?;
        let form = Multipart::from_request(Request::from_parts(parts, body), console).await;
        let mut form = form.map_err(|e| ConsoleError::Form(e.body_text()))?;
        let (mut checked, mut from, mut bytes) = (false, String::new(), None);
        for _ in 0..PARTS_MAX {
            let Some(mut field) = form.next_field().await.map_err(unread)? else { break };
            match field.name().unwrap_or_default() {
                "csrf" => {
                    checked = access::csrf_matches(&who.cookie, &text(&mut field).await?);
                    if !checked {
                        return Err(ConsoleError::Forged);
                    }
                }
                _ if !checked => return Err(ConsoleError::Forged),
                "from" => from = text(&mut field).await?,
                "card" => bytes = Some(field.bytes().await.map_err(unread)?.to_vec()),
                _ => {}
            }
        }
        if !checked {
            return Err(ConsoleError::Forged);
        }
        let bytes = bytes.filter(|b| !b.is_empty());
        let bytes = bytes.ok_or_else(|| ConsoleError::Form("choose the file of a scorecard".to_owned()))?;
        Ok(Self { who, from, bytes })
    }
}

/// A short text of an upload.
async fn text(field: &mut Field<'_>) -> Result<String, ConsoleError> {
    let mut out = Vec::new();
    while let Some(part) = field.chunk().await.map_err(unread)? {
        if out.len() + part.len() > TEXT_BYTES_MAX {
            return Err(ConsoleError::Form("a field of the form is too long".to_owned()));
        }
        out.extend_from_slice(&part);
    }
    String::from_utf8(out).map_err(|_| ConsoleError::Form("a field of the form is not UTF-8 text".to_owned()))
}

fn unread(error: MultipartError) -> ConsoleError {
    ConsoleError::Form(if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        format!("the file is larger than {} MiB", RECEIVED_BYTES_MAX >> 20)
    } else {
        "the file did not arrive whole".to_owned()
    })
}

/// `POST /exercises/received`
pub(crate) async fn receive<H: House>(State(console): Shared<H>, upload: Upload) -> Answer {
    let id = console.house.receive(&upload.who.principal, upload.from, upload.bytes).await?;
    to(&id, Notice::Received)
}
