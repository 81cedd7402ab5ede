//! Who is signed in: the cookie, the session behind it, and the token that forms carry.

use std::sync::Arc;

use access::{Action, Principal, Resource, Secret, SessionRecord};
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use crate::error::ConsoleError;
use crate::house::House;
use crate::pages::Console;
use crate::view::Viewer;

/// Name of the cookie.
pub(crate) const COOKIE: &str = "asepsis_session";
/// Longest cookie header looked at, in bytes.
const COOKIE_BYTES_MAX: usize = 8 * 1024;

/// A signed-in person.
pub(crate) struct Signed {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
    pub(crate) principal: Principal,
    record: SessionRecord,
}

impl Signed {
    /// Looks with this person's eyes while `look` runs.
    pub(crate) fn viewing<T>(&self, house: &impl House, look: impl FnOnce(&Viewer<'_>) -> T) -> T {
        let may = |action: Action, on: &Resource| house.may(&self.principal, action, on);
        let roles: Vec<&str> = self.record.roles.iter().map(|r| r.as_str()).collect();
        look(&Viewer {
            account: self.record.account.as_str(),
            roles: roles.join(", "),
            csrf: &self.csrf,
            may: &may,
            catalogue: house.catalogue(),
        })
    }

    /// Asks whether the session still holds, and with which roles: both may change while a page is live.
    pub(crate) async fn ask_again(&mut self, house: &impl House) -> Result<(), ConsoleError> {
        self.record = house.session(&self.cookie).await.map_err(|e| ConsoleError::SignIn(e.to_string()))?;
        self.principal = self.record.principal();
        Ok(())
    }

    /// Goes on only with a permission.
    pub(crate) fn need(&self, house: &impl House, action: Action, on: &Resource) -> Result<(), ConsoleError> {
        if house.may(&self.principal, action, on) {
            return Ok(());
        }
        Err(ConsoleError::Forbidden { who: self.record.account.to_string(), action: action.as_str() })
    }
}

impl<H: House> FromRequestParts<Arc<Console<H>>> for Signed {
    type Rejection = ConsoleError;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console<H>>) -> Result<Self, ConsoleError> {
        let needed = || ConsoleError::SignIn("this page is for people who are signed in".to_owned());
        let Some(cookie) = cookie(&parts.headers) else {
            let from = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
            let page = parts.method == http::Method::GET && parts.uri.path() == "/";
            return Err(if page && from == Some(b"cross-site") {
                ConsoleError::FromElsewhere
            } else {
                needed()
            });
        };
        let csrf = access::csrf_token(&cookie).ok_or_else(needed)?;
        let record = console.house.session(&cookie).await.map_err(|e| ConsoleError::SignIn(e.to_string()))?;
        Ok(Self { principal: record.principal(), record, csrf, cookie })
    }
}

/// The session's cookie among those of a request.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::COOKIE)?.to_str().ok().filter(|t| t.len() <= COOKIE_BYTES_MAX)?;
    let pairs = text.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned()).next()
}

/// The header that gives a browser its session: unreadable for scripts, never sent by other sites.
pub(crate) fn given(secret: &Secret) -> Option<HeaderValue> {
    let seconds = access::SESSION_MS_MAX / 1_000;
    let text = format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}", secret.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The header that takes it away.
pub(crate) fn taken() -> HeaderValue {
    HeaderValue::from_static("asepsis_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_and_a_flood_is_not_read() {
        let mut headers = HeaderMap::new();
        assert_eq!(cookie(&headers), None);
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; asepsis_session=xyz; b=2"));
        assert_eq!(cookie(&headers).as_deref(), Some("xyz"));
        let at_max = format!("asepsis_session={}", "x".repeat(COOKIE_BYTES_MAX - COOKIE.len() - 1));
        headers.insert(header::COOKIE, HeaderValue::from_str(&at_max).unwrap());
        assert!(cookie(&headers).is_some());
        headers.insert(header::COOKIE, HeaderValue::from_str(&format!("{at_max}x")).unwrap());
        assert_eq!(cookie(&headers), None);
    }
}
