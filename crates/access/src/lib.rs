//! L1: who may do what: roles, Cedar policies, API keys, sessions. Pure, no I/O.
//!
//! A request is answered in two steps that never mix: [`KeyTable::authenticate`] or a session says who asks, then
//! [`Policies::decide`] says whether this account may do this to that. Clock, random bytes and files come in as
//! arguments; nothing here keeps a secret longer than it must.

mod action;
mod key;
mod policies;
mod principal;
mod resource;
mod role;
mod secret;
mod session;

pub use action::{Action, UnknownAction};
pub use key::{
    AuthError, KEY_NOTE_CHARS_MAX, KEY_OVERLAP_DAYS_MAX, KEYS_MAX, KeyError, KeyGrant, KeyRecord, KeyTable,
    PRESENTED_BYTES_MAX, issue_key, rotate_key,
};
pub use policies::{
    DECISIONS_CACHED_MAX, Decision, NESTING_MAX, POLICIES_MAX, POLICY_BYTES_MAX, Policies, PolicyError,
    SHIPPED_POLICIES, SHIPPED_SCHEMA,
};
pub use principal::{Principal, SCOPE_SYSTEMS_MAX, Scope, ScopeError};
pub use resource::Resource;
pub use role::{Role, UnknownRole};
pub use secret::{SECRET_CHARS, Secret, SecretBytes};
pub use session::{
    CLOCK_SLACK_MS, SESSION_IDLE_MS_MAX, SESSION_MS_MAX, SIGN_IN_MS_MAX, SessionError, SessionRecord,
    SignInError, SignInRecord, csrf_matches, csrf_token, issue_session, issue_sign_in, token_hash,
};
