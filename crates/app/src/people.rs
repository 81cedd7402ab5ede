//! People and keys: one-time sign-in links, sessions, API keys of clients.

use std::collections::BTreeSet;

use access::{
    Action, KeyGrant, KeyRecord, Principal, Resource, Role, Scope, Secret, SecretBytes, SessionRecord,
};
use domain::{ClientId, KeyId, SystemId};

use crate::AppError;
use crate::hospital::{Hospital, random, state};

/// Time between notes that a session is in use.
const TOUCH_MS: i64 = 60_000;

fn fresh() -> Result<SecretBytes, AppError> {
    Ok(SecretBytes::new(random()?))
}

impl Hospital {
    /// The principal of a configured person; `local` is whoever holds the data directory.
    ///
    /// # Errors
    /// When nobody of that name is configured.
    pub fn person(&self, name: &str) -> Result<Principal, AppError> {
        let unknown = || {
            AppError::BadInput(format!("there is no person `{name}` in the configuration: add a [[person]]"))
        };
        let id: ClientId = name.parse().map_err(|_| unknown())?;
        if name == LOCAL {
            return Ok(Principal::new(id, BTreeSet::from([Role::Administrator, Role::Engineer]), Scope::All));
        }
        let settings = self.settings();
        let person = settings.people.iter().find(|p| p.id == id).ok_or_else(unknown)?;
        Ok(Principal::new(id, person.roles.iter().copied().collect(), Scope::All))
    }

    /// A one-time token with which `name` can sign in to the console.
    ///
    /// # Errors
    /// When nobody of that name is configured.
    pub async fn sign_in_token(&self, name: &str) -> Result<Secret, AppError> {
        let person = self.person(name)?;
        let (record, secret) = access::issue_sign_in(
            person.id().clone(),
            person.roles().clone(),
            Scope::All,
            &fresh()?,
            self.now(),
        );
        self.db.insert_sign_in(&record).await.map_err(state)?;
        self.record_action(name, "sign-in-link-made", name, None).await?;
        Ok(secret)
    }

    /// Turns a one-time token into a session; the secret is the cookie.
    ///
    /// # Errors
    /// When the token is unknown, used or too old.
    pub async fn sign_in(&self, token: &str) -> Result<(SessionRecord, Secret), AppError> {
        let refused = || {
            AppError::BadInput(
                "this sign-in link is not valid any more: make a new one with `asepsis sign-in`".to_owned(),
            )
        };
        let hash = access::token_hash(token).ok_or_else(refused)?;
        let record = self
            .db
            .redeem_sign_in(&hash, self.now())
            .await
            .map_err(state)?
            .map_err(|e| AppError::BadInput(e.to_string()))?;
        let (session, cookie) = access::issue_session(&record, &fresh()?, self.now());
        self.db.insert_session(&session).await.map_err(state)?;
        self.record_action(session.account.as_str(), "signed-in", session.account.as_str(), None).await?;
        Ok((session, cookie))
    }

    /// The session behind a cookie. Its roles are those configured now, so that taking a role away works at once.
    ///
    /// # Errors
    /// When there is none, or it ended.
    pub async fn session(&self, cookie: &str) -> Result<SessionRecord, AppError> {
        let ended = || AppError::BadInput("you are signed out: open a new sign-in link".to_owned());
        let hash = access::token_hash(cookie).ok_or_else(ended)?;
        let mut session = self.db.session(&hash).await.map_err(state)?.ok_or_else(ended)?;
        session.check(self.now()).map_err(|_| ended())?;
        let person = self.person(session.account.as_str()).map_err(|_| ended())?;
        session.roles = person.roles().clone();
        if self.now().millis_since(session.seen_at) > TOUCH_MS {
            self.db.touch_session(&hash, self.now()).await.map_err(state)?;
        }
        Ok(session)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn sign_out(&self, cookie: &str) -> Result<(), AppError> {
        match access::token_hash(cookie) {
            Some(hash) => self.db.end_session(&hash, self.now()).await.map(|_| ()).map_err(state),
            None => Ok(()),
        }
    }

    /// All keys.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, AppError> {
        self.db.keys().await.map_err(state)
    }
}

/// The account of whoever holds the data directory.
pub const LOCAL: &str = "local";

/// A new key as its owner gets it, once.
pub struct NewKey {
    /// Its name.
    pub id: KeyId,
    /// What to send; it is not stored and cannot be shown again.
    pub secret: Secret,
}

fn fresh_id() -> Result<KeyId, AppError> {
    let tail: String = random()?.iter().take(5).map(|b| format!("{b:02x}")).collect();
    format!("k{tail}").parse().map_err(|_| AppError::Internal("key name".to_owned()))
}

/// Makes the successor of a key, for the same client, roles and systems. The old one opens for `overlap_days` more.
///
/// # Errors
/// When `who` may not, there is no such key, it has ended, or the overlap is too long.
pub async fn rotate_key(
    hospital: &Hospital,
    who: &Principal,
    old: &KeyId,
    overlap_days: u32,
) -> Result<NewKey, AppError> {
    let keys = hospital.keys().await?;
    let known = keys.iter().find(|k| k.id == *old);
    let known = known.ok_or_else(|| AppError::BadInput(format!("there is no key `{old}`")))?;
    hospital.demand(who, Action::ManageKeys, &Resource::Client(known.client.clone()))?;
    let id = fresh_id()?;
    let (retired, successor, secret) =
        access::rotate_key(known, id.clone(), fresh()?, hospital.now(), overlap_days)
            .map_err(|e| AppError::BadInput(e.to_string()))?;
    let what = format!("{old} by {id} for {}", known.client);
    hospital.record_action(who.id().as_str(), "key-rotated", &what, None).await?;
    hospital.db.rotate_key(&retired, &successor).await.map_err(state)?;
    hospital.touch_serving();
    Ok(NewKey { id, secret })
}

/// Makes an API key for a client.
///
/// # Errors
/// When `who` may not, or a system does not exist.
pub async fn create_key(
    hospital: &Hospital,
    who: &Principal,
    client: &ClientId,
    roles: &[Role],
    systems: &[SystemId],
    days: Option<u32>,
    note: &str,
) -> Result<NewKey, AppError> {
    hospital.demand(who, Action::ManageKeys, &Resource::Client(client.clone()))?;
    for system in systems {
        hospital.system(system)?;
    }
    let scope = Scope::only(systems.iter().cloned()).map_err(|e| AppError::BadInput(e.to_string()))?;
    let id = fresh_id()?;
    let grant = KeyGrant {
        id: id.clone(),
        client: client.clone(),
        roles: roles.iter().copied().collect(),
        systems: scope,
        expires_at: days.map(|d| hospital.now().plus_days(i64::from(d))),
        note: note.chars().take(200).collect(),
    };
    let (record, secret) =
        access::issue_key(grant, fresh()?, hospital.now()).map_err(|e| AppError::BadInput(e.to_string()))?;
    hospital.record_action(who.id().as_str(), "key-created", &format!("{id} for {client}"), None).await?;
    hospital.db.insert_key(&record).await.map_err(state)?;
    hospital.touch_serving();
    Ok(NewKey { id, secret })
}

/// Takes a key away.
///
/// # Errors
/// When `who` may not, or there is no such key.
pub async fn revoke_key(hospital: &Hospital, who: &Principal, key: &KeyId) -> Result<(), AppError> {
    hospital.demand(who, Action::ManageKeys, &Resource::Hospital)?;
    if !hospital.db.revoke_key(key, hospital.now()).await.map_err(state)? {
        return Err(AppError::BadInput(format!("there is no key `{key}`")));
    }
    hospital.touch_serving();
    hospital.record_action(who.id().as_str(), "key-revoked", key.as_str(), None).await?;
    Ok(())
}
