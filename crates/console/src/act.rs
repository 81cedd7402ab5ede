//! What people do: each form is one command of the house. Posted, checked, done, and answered with a redirect, so that a reload does
//! nothing twice.

use std::sync::Arc;

use app::AppError;
use axum::extract::{Form, FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Redirect};
use domain::{ClientId, SystemId};
use http::header;
use serde::Deserialize;

use crate::error::ConsoleError;
use crate::house::{Command, House};
use crate::pages::{Answer, Console, Shared};
use crate::session::{self, Signed};
use crate::view::Notice;

/// Longest reason, in characters: some sentences, not an essay.
pub(crate) const REASON_CHARS_MAX: usize = 500;
/// Longest acceptance of a risk, in days: a quarter.
pub(crate) const DAYS_MAX: u32 = 90;
/// Longest quarantine with an end, in hours: four weeks.
const HOURS_MAX: u32 = 24 * 28;

/// The fields that any form may have.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    back: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    hours: String,
    #[serde(default)]
    days: String,
    #[serde(default)]
    control: String,
    #[serde(default)]
    pub(crate) system: String,
    #[serde(default)]
    pub(crate) suite: String,
    #[serde(default)]
    pub(crate) samples: String,
    #[serde(default)]
    pub(crate) seed: String,
    #[serde(default)]
    pub(crate) queries: String,
    #[serde(default)]
    pub(crate) minutes: String,
    #[serde(default)]
    pub(crate) labels_only: String,
    #[serde(default)]
    pub(crate) without_patients: String,
}

impl Fields {
    /// The reason, which must be there.
    fn needed_reason(&self) -> Result<String, ConsoleError> {
        self.reason()?.ok_or_else(|| {
            ConsoleError::Form("a reason is needed: others will read it in the ledger".to_owned())
        })
    }

    /// The reason on one line; none when it is empty.
    fn reason(&self) -> Result<Option<String>, ConsoleError> {
        let plain: String = self.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let plain = plain.trim();
        if plain.chars().count() > REASON_CHARS_MAX {
            return Err(ConsoleError::Form(format!(
                "the reason is too long: write at most {REASON_CHARS_MAX} characters"
            )));
        }
        Ok((!plain.is_empty()).then(|| plain.to_owned()))
    }

    fn hours(&self) -> Result<Option<u32>, ConsoleError> {
        if self.hours.is_empty() {
            return Ok(None);
        }
        number(&self.hours, HOURS_MAX, "hours").map(Some)
    }

    /// Where to go afterwards: an address of this console, or the live page.
    fn back(&self) -> &str {
        let own = self.back.starts_with('/') && !self.back.starts_with("//");
        let plain = self.back.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
        if own && plain && self.back.len() <= 200 { &self.back } else { "/" }
    }
}

fn number(text: &str, max: u32, what: &str) -> Result<u32, ConsoleError> {
    let read: Option<u32> = text.trim().parse().ok().filter(|n| (1..=max).contains(n));
    read.ok_or_else(|| ConsoleError::Form(format!("the number of {what} must be between 1 and {max}")))
}

/// A form of a signed-in person whose token fits. There is no other way to the fields.
pub(crate) struct Checked {
    pub(crate) who: Signed,
    pub(crate) fields: Fields,
}

/// Refuses what another site sent, as far as the browser says where it comes from.
pub(crate) fn from_here(headers: &http::HeaderMap) -> Result<(), ConsoleError> {
    let from = headers.get("sec-fetch-site").and_then(|v| v.to_str().ok()).unwrap_or("same-origin");
    if matches!(from, "same-origin" | "none") { Ok(()) } else { Err(ConsoleError::Forged) }
}

impl<H: House> FromRequest<Arc<Console<H>>> for Checked {
    type Rejection = ConsoleError;

    async fn from_request(request: Request, console: &Arc<Console<H>>) -> Result<Self, ConsoleError> {
        let (mut parts, body) = request.into_parts();
        let who =
            <Signed as axum::extract::FromRequestParts<_>>::from_request_parts(&mut parts, console).await?;
        from_here(&parts.headers)?;
        let form = Form::<Fields>::from_request(Request::from_parts(parts, body), console).await;
        let Form(fields) = form.map_err(|e| ConsoleError::Form(e.body_text()))?;
        if !access::csrf_matches(&who.cookie, &fields.csrf) {
            return Err(ConsoleError::Forged);
        }
        Ok(Self { who, fields })
    }
}

pub(crate) async fn act<H: House>(
    console: &Console<H>,
    form: &Checked,
    command: Command,
    notice: Notice,
) -> Answer {
    console.house.act(&form.who.principal, command).await?;
    console.forget().await;
    console.house.live().touch();
    Ok(Redirect::to(&format!("{}?done={}", form.fields.back(), notice.word())).into_response())
}

pub(crate) fn system(id: &str) -> Result<SystemId, ConsoleError> {
    id.parse().map_err(|_| AppError::UnknownSystem(id.chars().take(80).collect()).into())
}

fn client(id: &str) -> Result<ClientId, ConsoleError> {
    id.parse().map_err(|e: domain::IdError| ConsoleError::Form(e.to_string()))
}

/// `POST /alarms/{id}/acknowledge`
pub(crate) async fn acknowledge<H: House>(
    State(console): Shared<H>,
    Path(alarm): Path<i64>,
    form: Checked,
) -> Answer {
    act(&console, &form, Command::Acknowledge { alarm }, Notice::Acknowledged).await
}

/// `POST /clients/{id}/quarantine`
pub(crate) async fn quarantine<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    let command = Command::Quarantine {
        client: client(&id)?,
        reason: form.fields.needed_reason()?,
        hours: form.fields.hours()?,
    };
    act(&console, &form, command, Notice::Quarantined).await
}

/// `POST /clients/{id}/lift`
pub(crate) async fn lift<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    act(&console, &form, Command::LiftQuarantine { client: client(&id)? }, Notice::Lifted).await
}

/// `POST /systems/{id}/suspend`
pub(crate) async fn suspend<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    let command = Command::Suspend { system: system(&id)?, reason: form.fields.needed_reason()? };
    act(&console, &form, command, Notice::Suspended).await
}

/// `POST /systems/{id}/resume`
pub(crate) async fn resume<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    act(&console, &form, Command::Resume { system: system(&id)? }, Notice::Resumed).await
}

/// `POST /systems/{id}/accept-risk`
pub(crate) async fn accept_risk<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    let command = Command::AcceptRisk {
        system: system(&id)?,
        control: form.fields.control.chars().take(80).collect(),
        days: number(&form.fields.days, DAYS_MAX, "days")?,
        reason: form.fields.needed_reason()?,
    };
    act(&console, &form, command, Notice::Accepted).await
}

/// `POST /systems/{id}/readmit`
pub(crate) async fn readmit<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    act(&console, &form, Command::Readmit { system: system(&id)? }, Notice::Readmitted).await
}

/// `POST /systems/{id}/review`
pub(crate) async fn review<H: House>(
    State(console): Shared<H>,
    Path(id): Path<String>,
    form: Checked,
) -> Answer {
    act(&console, &form, Command::Review { system: system(&id)? }, Notice::Reviewed).await
}

/// `POST /receipts/{index}/flag`
pub(crate) async fn flag<H: House>(
    State(console): Shared<H>,
    Path(ledger_index): Path<u64>,
    form: Checked,
) -> Answer {
    let command = Command::Flag { ledger_index, reason: form.fields.reason()? };
    act(&console, &form, command, Notice::Flagged).await
}

/// `POST /reload`
pub(crate) async fn reload<H: House>(State(console): Shared<H>, form: Checked) -> Answer {
    act(&console, &form, Command::Reload, Notice::Reloaded).await
}

/// `POST /sign-out`
pub(crate) async fn sign_out<H: House>(State(console): Shared<H>, form: Checked) -> Answer {
    console.house.sign_out(&form.who.cookie).await?;
    let mut response = ConsoleError::SignIn("you are signed out".to_owned()).into_response();
    *response.status_mut() = http::StatusCode::OK;
    response.headers_mut().insert(header::SET_COOKIE, session::taken());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(back: &str, reason: &str) -> Fields {
        Fields { back: back.to_owned(), reason: reason.to_owned(), ..Fields::default() }
    }

    #[test]
    fn the_way_back_stays_in_the_house() {
        for good in ["/", "/systems/breast-mass", "/receipts/12"] {
            assert_eq!(fields(good, "").back(), good);
        }
        let long = format!("/{}", "a".repeat(200));
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil", "/a?b=c", "/a\r\nx", &long] {
            assert_eq!(fields(bad, "").back(), "/", "{bad}");
        }
    }

    #[test]
    fn a_reason_is_one_bounded_line() {
        assert_eq!(fields("", " a\r\nb ").reason().unwrap().as_deref(), Some("a  b"));
        assert!(fields("", " \n ").needed_reason().is_err());
        assert!(fields("", &"é".repeat(REASON_CHARS_MAX)).reason().is_ok());
        assert!(fields("", &"é".repeat(REASON_CHARS_MAX + 1)).reason().is_err());
    }

    #[test]
    fn numbers_have_ends() {
        assert_eq!(number("90", DAYS_MAX, "days").unwrap(), 90);
        for bad in ["0", "91", "-1", "", "x", "1e3"] {
            assert!(number(bad, DAYS_MAX, "days").is_err(), "{bad}");
        }
    }
}
