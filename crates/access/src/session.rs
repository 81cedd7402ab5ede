//! Signing in to the console: a link that works once, then a session with a cookie.
//!
//! Both hold 256 random bits and are stored as their SHA-256 (see `secret.rs`), so a copy of the database opens nothing.
//! A lookup by hash needs no constant time: who could steer the hash could already find the secret.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ClientId, Digest, Timestamp};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{Principal, Role, Scope, Secret, SecretBytes};

/// How long a sign-in link works: 15 minutes, enough to carry it from the terminal to the browser.
pub const SIGN_IN_MS_MAX: i64 = 15 * 60 * 1_000;

/// How long a session lives without a request: 30 minutes (NIST SP 800-63B-4, section 2.2.3, AAL2: at most 1 hour).
pub const SESSION_IDLE_MS_MAX: i64 = 30 * 60 * 1_000;

/// How long a session lives at all: 12 hours, a long shift (NIST SP 800-63B-4: at most 24 hours).
pub const SESSION_MS_MAX: i64 = 12 * 60 * 60 * 1_000;

/// How far the clock may go back before links and sessions made "in the future" are refused: 5 minutes. Without this, a
/// clock set back would make every old session young again.
pub const CLOCK_SLACK_MS: i64 = 5 * 60 * 1_000;

/// What the CSRF token is the keyed hash of.
const CSRF_LABEL: &[u8] = b"asepsis console csrf 1";

/// A one-time sign-in link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInRecord {
    /// SHA-256 of the token's 32 bytes.
    pub hash: Digest,
    /// Who signs in with it.
    pub account: ClientId,
    /// Roles of the session that follows.
    pub roles: BTreeSet<Role>,
    /// Systems that the session is limited to.
    pub systems: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it no longer works.
    pub expires_at: Timestamp,
    /// When it was used; it works once.
    pub used_at: Option<Timestamp>,
}

/// Why a sign-in link does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Not a token.
    #[error("the sign-in link is damaged: copy it whole")]
    Malformed,
    /// No such link.
    #[error("the sign-in link is not known: make a new one with `asepsis sign-in`")]
    Unknown,
    /// Too late.
    #[error("the sign-in link has expired: make a new one with `asepsis sign-in`")]
    Expired,
    /// Somebody has signed in with it.
    #[error("the sign-in link was used already: make a new one, and ask who used it if it was not you")]
    Used,
}

/// Makes a sign-in link's token from 32 random bytes. The secret is shown once.
pub fn issue_sign_in(
    account: ClientId,
    roles: BTreeSet<Role>,
    systems: Scope,
    random: &SecretBytes,
    now: Timestamp,
) -> (SignInRecord, Secret) {
    let record = SignInRecord {
        hash: random.hash(),
        account,
        roles,
        systems,
        created_at: now,
        expires_at: now.plus_millis(SIGN_IN_MS_MAX),
        used_at: None,
    };
    (record, random.encode())
}

/// The hash under which a presented token or cookie value is stored; `None` for anything else than 43 characters of base64url.
pub fn token_hash(presented: &str) -> Option<Digest> {
    SecretBytes::parse(presented).map(|secret| secret.hash())
}

impl SignInRecord {
    /// Whether the link works at `now`. The store marks it used in the same step, so that it works once.
    ///
    /// # Errors
    /// `Used`, or `Expired` (also for a link from the future, after the clock went back).
    pub fn check(&self, now: Timestamp) -> Result<(), SignInError> {
        if self.used_at.is_some() {
            return Err(SignInError::Used);
        }
        if now >= self.expires_at || self.created_at.millis_since(now) > CLOCK_SLACK_MS {
            return Err(SignInError::Expired);
        }
        Ok(())
    }
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// SHA-256 of the cookie value's 32 bytes.
    pub hash: Digest,
    /// Who is signed in.
    pub account: ClientId,
    /// With which roles.
    pub roles: BTreeSet<Role>,
    /// Limited to which systems.
    pub systems: Scope,
    /// When it began.
    pub created_at: Timestamp,
    /// Its last request.
    pub seen_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
    /// When the person signed out, or somebody ended it.
    pub ended_at: Option<Timestamp>,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Half an hour without a request.
    #[error("the session was idle for too long: sign in again")]
    Idle,
    /// Twelve hours.
    #[error("the session has expired: sign in again")]
    Expired,
    /// Signed out.
    #[error("the session was ended: sign in again")]
    Ended,
}

/// Begins the session that a sign-in link leads to. The secret is the cookie's value.
pub fn issue_session(from: &SignInRecord, random: &SecretBytes, now: Timestamp) -> (SessionRecord, Secret) {
    let record = SessionRecord {
        hash: random.hash(),
        account: from.account.clone(),
        roles: from.roles.clone(),
        systems: from.systems.clone(),
        created_at: now,
        seen_at: now,
        expires_at: now.plus_millis(SESSION_MS_MAX),
        ended_at: None,
    };
    (record, random.encode())
}

impl SessionRecord {
    /// Whether the session is good at `now`.
    ///
    /// # Errors
    /// See [`SessionError`]; a session from the future, after the clock went back, counts as expired.
    pub fn check(&self, now: Timestamp) -> Result<(), SessionError> {
        if self.ended_at.is_some() {
            return Err(SessionError::Ended);
        }
        if now >= self.expires_at || self.created_at.millis_since(now) > CLOCK_SLACK_MS {
            return Err(SessionError::Expired);
        }
        if now.millis_since(self.seen_at) >= SESSION_IDLE_MS_MAX {
            return Err(SessionError::Idle);
        }
        Ok(())
    }

    /// Who is signed in, as the policies see it.
    pub fn principal(&self) -> Principal {
        Principal::new(self.account.clone(), self.roles.clone(), self.systems.clone())
    }
}

/// The token that each form of the console carries: HMAC-SHA256 (RFC 2104) of a fixed label under the session's secret, in base64url.
/// Another site can make a browser send the cookie, but cannot read it to compute this. `None` for a malformed cookie.
pub fn csrf_token(cookie: &str) -> Option<String> {
    let secret = SecretBytes::parse(cookie)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(CSRF_LABEL);
    Some(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// Whether a form's token belongs to the session with this cookie; compared in constant time.
pub fn csrf_matches(cookie: &str, presented: &str) -> bool {
    csrf_token(cookie).is_some_and(|token| token.as_bytes().ct_eq(presented.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn link() -> (SignInRecord, Secret) {
        let secret = SecretBytes::new([1; 32]);
        issue_sign_in("ada".parse().unwrap(), [Role::Engineer].into(), Scope::All, &secret, NOW)
    }

    #[test]
    fn a_link_works_for_15_minutes_and_once() {
        let (mut record, secret) = link();
        assert_eq!(token_hash(secret.expose()), Some(record.hash));
        assert_eq!(record.check(NOW.plus_millis(SIGN_IN_MS_MAX - 1)), Ok(()));
        assert_eq!(record.check(NOW.plus_millis(SIGN_IN_MS_MAX)), Err(SignInError::Expired));
        record.used_at = Some(NOW);
        assert_eq!(record.check(NOW), Err(SignInError::Used));
    }

    #[test]
    fn a_session_ends_by_idling_by_age_and_by_signing_out() {
        let (record, _) = link();
        let (mut session, cookie) = issue_session(&record, &SecretBytes::new([2; 32]), NOW);
        assert_eq!(token_hash(cookie.expose()), Some(session.hash));
        assert_eq!(session.check(NOW.plus_millis(SESSION_IDLE_MS_MAX - 1)), Ok(()));
        assert_eq!(session.check(NOW.plus_millis(SESSION_IDLE_MS_MAX)), Err(SessionError::Idle));
        session.seen_at = NOW.plus_millis(SESSION_MS_MAX - 1);
        assert_eq!(session.check(session.seen_at), Ok(()));
        assert_eq!(session.check(NOW.plus_millis(SESSION_MS_MAX)), Err(SessionError::Expired));
        session.ended_at = Some(NOW);
        assert_eq!(session.check(NOW), Err(SessionError::Ended));
    }

    #[test]
    fn a_clock_set_back_does_not_make_old_links_and_sessions_young() {
        let (record, _) = link();
        let (session, _) = issue_session(&record, &SecretBytes::new([2; 32]), NOW);
        let (near, far) = (NOW.plus_millis(-CLOCK_SLACK_MS), NOW.plus_millis(-CLOCK_SLACK_MS - 1));
        assert_eq!((record.check(near), session.check(near)), (Ok(()), Ok(())));
        assert_eq!(record.check(far), Err(SignInError::Expired));
        assert_eq!(session.check(far), Err(SessionError::Expired));
    }

    #[test]
    fn a_csrf_token_fits_its_session_only() {
        let cookie = SecretBytes::new([2; 32]).encode();
        let other = SecretBytes::new([3; 32]).encode();
        let token = csrf_token(cookie.expose()).unwrap();
        assert!(csrf_matches(cookie.expose(), &token));
        for (cookie, token) in [
            (other.expose(), token.as_str()),
            (cookie.expose(), ""),
            (cookie.expose(), cookie.expose()),
            ("", ""),
            ("", token.as_str()),
        ] {
            assert!(!csrf_matches(cookie, token));
        }
    }

    #[test]
    fn the_csrf_token_is_hmac_sha_256() {
        // python3: hmac.new(b"\x02" * 32, b"asepsis console csrf 1", "sha256"), base64url without padding.
        let cookie = SecretBytes::new([2; 32]).encode();
        assert_eq!(csrf_token(cookie.expose()).unwrap(), "g0HNDOS-ETkSHpFXHFF0LjerC83EuPCOdCQXZbfYw3g");
    }

    proptest! {
        #[test]
        fn any_token_is_answered_without_panic(text in "\\PC{0,80}", other in "\\PC{0,80}") {
            let _ = token_hash(&text);
            prop_assert!(!csrf_matches(&text, &other));
        }
    }
}
