//! API keys: `asepsis_{key id}_{43 characters}`. The prefix lets secret scanners find a key that leaked into a repository,
//! the id names it in logs, the last part is the secret.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{ClientId, Digest, KeyId, SystemId, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq};

use crate::{Principal, Role, SECRET_CHARS, Scope, Secret, SecretBytes};

/// What every key begins with.
const PREFIX: &str = "asepsis_";

/// Longest key as text: prefix, longest id, underscore, secret.
pub const PRESENTED_BYTES_MAX: usize = PREFIX.len() + domain_id_max() + 1 + SECRET_CHARS;

/// Most keys in a table: a hospital has some hundred clients, each with a key or two.
pub const KEYS_MAX: usize = 10_000;

/// Longest note on a key, in characters.
pub const KEY_NOTE_CHARS_MAX: usize = 200;

/// Longest time that an old key stays valid beside its successor, in days.
pub const KEY_OVERLAP_DAYS_MAX: u32 = 90;

const fn domain_id_max() -> usize {
    64
}

/// A key as it is stored: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its public name.
    pub id: KeyId,
    /// Whose key it is.
    pub client: ClientId,
    /// What its owner may do.
    pub roles: BTreeSet<Role>,
    /// The systems it is limited to.
    pub systems: Scope,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is no longer accepted; none means until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// When somebody revoked it.
    pub revoked_at: Option<Timestamp>,
    /// SHA-256 of the secret's 32 bytes.
    pub hash: Digest,
    /// What it is for, in its maker's words.
    pub note: String,
}

/// What a new key is to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyGrant {
    /// Its public name.
    pub id: KeyId,
    /// Whose key it is.
    pub client: ClientId,
    /// What its owner may do.
    pub roles: BTreeSet<Role>,
    /// The systems it is limited to.
    pub systems: Scope,
    /// From when on it is no longer accepted.
    pub expires_at: Option<Timestamp>,
    /// What it is for.
    pub note: String,
}

/// Why a key cannot be made, rotated or loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It could do nothing.
    #[error("key `{0}` has no role: give it at least one, `client` for a machine")]
    NoRole(KeyId),
    /// It would be refused at once.
    #[error("key `{0}` would expire before it starts: choose a later time")]
    ExpiresInThePast(KeyId),
    /// A long note.
    #[error("the note of key `{0}` is too long: use at most 200 characters on one line")]
    Note(KeyId),
    /// The successor needs a name of its own.
    #[error("key `{0}` cannot follow itself: give the new key another name")]
    SameId(KeyId),
    /// Only a valid key has a successor.
    #[error("key `{0}` is revoked or expired: make a new key instead of rotating it")]
    NotActive(KeyId),
    /// Two keys for too long.
    #[error("an overlap of {0} days is too long: use at most 90")]
    Overlap(u32),
    /// Two records of one name.
    #[error("key `{0}` is there twice: revoke one and make it again under another name")]
    Duplicate(KeyId),
    /// More than the table takes.
    #[error("{0} keys are too many: delete expired ones, at most 10000 are loaded")]
    TooMany(usize),
}

/// Why a caller is not let in. For the log and the ledger; the caller hears [`AuthError::public_message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not of the form of a key.
    #[error("the key is malformed: it has the form asepsis_NAME_SECRET")]
    Malformed,
    /// No such key, or a wrong secret: deliberately the same.
    #[error("the key is not known")]
    Unknown,
    /// It was good until it expired. Said only to who has the secret.
    #[error("the key has expired: ask an administrator to rotate it")]
    Expired,
    /// It was good until somebody revoked it. Said only to who has the secret.
    #[error("the key has been revoked: ask an administrator for a new one")]
    Revoked,
}

impl AuthError {
    /// What the caller hears. A wrong secret, an unknown name and a malformed key sound the same, so that nobody can find
    /// out which keys exist; that a key is expired or revoked is said, since only its owner gets that far.
    pub const fn public_message(self) -> &'static str {
        match self {
            Self::Malformed | Self::Unknown => {
                "the API key is not valid: check that it was copied whole, or ask an administrator for a key"
            }
            Self::Expired => "the API key has expired: ask an administrator to rotate it",
            Self::Revoked => "the API key has been revoked: ask an administrator for a new one",
        }
    }
}

impl KeyRecord {
    /// Its owner as the policies see it.
    pub fn principal(&self) -> Principal {
        Principal::new(self.client.clone(), self.roles.clone(), self.systems.clone())
    }

    /// Whether the key would be accepted at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.standing(now).is_ok()
    }

    fn standing(&self, now: Timestamp) -> Result<(), AuthError> {
        if self.revoked_at.is_some() {
            return Err(AuthError::Revoked);
        }
        if self.expires_at.is_some_and(|at| now >= at) {
            return Err(AuthError::Expired);
        }
        Ok(())
    }
}

/// Makes a key from 32 bytes of the system's random source. The secret is returned once and not kept.
///
/// # Errors
/// Without a role, with an end before its beginning, or with a note that is too long.
pub fn issue_key(
    grant: KeyGrant,
    random: SecretBytes,
    now: Timestamp,
) -> Result<(KeyRecord, Secret), KeyError> {
    let KeyGrant { id, client, roles, systems, expires_at, note } = grant;
    if roles.is_empty() {
        return Err(KeyError::NoRole(id));
    }
    if expires_at.is_some_and(|at| at <= now) {
        return Err(KeyError::ExpiresInThePast(id));
    }
    if note.chars().count() > KEY_NOTE_CHARS_MAX || note.chars().any(char::is_control) {
        return Err(KeyError::Note(id));
    }
    let secret = Secret::new(format!("{PREFIX}{id}_{}", random.encode().expose()));
    let hash = random.hash();
    let record =
        KeyRecord { id, client, roles, systems, created_at: now, expires_at, revoked_at: None, hash, note };
    Ok((record, secret))
}

/// Makes the successor of `old` for the same client, roles and systems. Returns `old` with its new end (`overlap_days`
/// from now, or its own end if that is sooner), the new record and its secret. A key with a limited life gets a
/// successor with the same length of life.
///
/// # Errors
/// When `old` is no longer valid, `new_id` is its name, or the overlap is longer than [`KEY_OVERLAP_DAYS_MAX`].
pub fn rotate_key(
    old: &KeyRecord,
    new_id: KeyId,
    random: SecretBytes,
    now: Timestamp,
    overlap_days: u32,
) -> Result<(KeyRecord, KeyRecord, Secret), KeyError> {
    if overlap_days > KEY_OVERLAP_DAYS_MAX {
        return Err(KeyError::Overlap(overlap_days));
    }
    if !old.is_active(now) {
        return Err(KeyError::NotActive(old.id.clone()));
    }
    if old.id == new_id {
        return Err(KeyError::SameId(new_id));
    }
    let life_ms = old.expires_at.map(|end| end.millis_since(old.created_at).max(1));
    let grant = KeyGrant {
        id: new_id,
        client: old.client.clone(),
        roles: old.roles.clone(),
        systems: old.systems.clone(),
        expires_at: life_ms.map(|ms| now.plus_millis(ms)),
        note: old.note.clone(),
    };
    let (record, secret) = issue_key(grant, random, now)?;
    let mut retired = old.clone();
    let end = now.plus_days(i64::from(overlap_days));
    retired.expires_at = Some(old.expires_at.map_or(end, |own| own.min(end)));
    Ok((retired, record, secret))
}

/// A key as a caller presents it, taken apart.
struct Presented<'a> {
    id: &'a str,
    secret: SecretBytes,
}

impl<'a> Presented<'a> {
    /// The id may hold `_` and so may the secret: the secret is the last 43 characters, whatever comes before.
    fn parse(text: &'a str) -> Option<Self> {
        if text.len() > PRESENTED_BYTES_MAX || !text.is_ascii() {
            return None;
        }
        let rest = text.strip_prefix(PREFIX)?;
        let (front, secret) = rest.split_at_checked(rest.len().checked_sub(SECRET_CHARS)?)?;
        let id = front.strip_suffix('_')?;
        if id.is_empty() {
            return None;
        }
        Some(Self { id, secret: SecretBytes::parse(secret)? })
    }
}

/// All keys in memory, looked up by name; the gateway holds one as a snapshot and replaces it when keys change.
#[derive(Debug, Clone, Default)]
pub struct KeyTable {
    keys: BTreeMap<KeyId, (KeyRecord, Arc<Principal>)>,
}

impl KeyTable {
    /// A table of these records.
    ///
    /// # Errors
    /// When a name is there twice, or with more than [`KEYS_MAX`].
    pub fn new(records: impl IntoIterator<Item = KeyRecord>) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for record in records {
            if keys.len() == KEYS_MAX {
                return Err(KeyError::TooMany(KEYS_MAX + 1));
            }
            let principal = Arc::new(record.principal());
            if let Some((twice, _)) = keys.insert(record.id.clone(), (record, principal)) {
                return Err(KeyError::Duplicate(twice.id));
            }
        }
        Ok(Self { keys })
    }

    /// Says whose key `presented` is. The secret is hashed and compared in constant time even when the name is unknown, so
    /// that the time taken does not tell which names exist.
    ///
    /// # Errors
    /// See [`AuthError`]; `Expired` and `Revoked` only come with the right secret.
    pub fn authenticate(&self, presented: &str, now: Timestamp) -> Result<&KeyRecord, AuthError> {
        self.find(presented, now).map(|(record, _)| record)
    }

    /// Like [`KeyTable::authenticate`], with the owner as the policies see it, made when the table was.
    ///
    /// # Errors
    /// As there.
    pub fn authenticate_principal(
        &self,
        presented: &str,
        now: Timestamp,
    ) -> Result<(&KeyRecord, &Arc<Principal>), AuthError> {
        self.find(presented, now).map(|(record, principal)| (record, principal))
    }

    fn find(&self, presented: &str, now: Timestamp) -> Result<&(KeyRecord, Arc<Principal>), AuthError> {
        let presented = Presented::parse(presented).ok_or(AuthError::Malformed)?;
        let hash = presented.secret.hash();
        let found = self.keys.get(presented.id);
        let stored = found.map_or(&[0; 32], |(record, _)| record.hash.as_bytes());
        let matches = hash.as_bytes().ct_eq(stored) & Choice::from(u8::from(found.is_some()));
        match found {
            Some(entry) if bool::from(matches) => entry.0.standing(now).map(|()| entry),
            _ => Err(AuthError::Unknown),
        }
    }

    /// The record of a key.
    pub fn get(&self, id: &KeyId) -> Option<&KeyRecord> {
        self.keys.get(id).map(|(record, _)| record)
    }

    /// All records, by name.
    pub fn iter(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.values().map(|(record, _)| record)
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// True when some key that is accepted at `now` opens `system`; pages say so.
    pub fn opens(&self, system: &SystemId, now: Timestamp) -> bool {
        self.iter().any(|key| key.is_active(now) && key.systems.contains(system))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn grant(id: &str) -> KeyGrant {
        KeyGrant {
            id: id.parse().unwrap(),
            client: "ward-3".parse().unwrap(),
            roles: [Role::Client].into(),
            systems: Scope::All,
            expires_at: None,
            note: String::new(),
        }
    }

    fn key(id: &str, byte: u8, expires_at: Option<Timestamp>) -> (KeyRecord, Secret) {
        issue_key(KeyGrant { expires_at, ..grant(id) }, SecretBytes::new([byte; 32]), NOW).unwrap()
    }

    #[test]
    fn a_key_opens_and_its_record_does_not_hold_the_secret() {
        let (record, secret) = key("ward-3.2026", 7, None);
        let stored = serde_json::to_string(&record).unwrap();
        assert!(!stored.contains(&secret.expose()[secret.expose().len() - SECRET_CHARS..]));
        let table = KeyTable::new([record.clone()]).unwrap();
        assert_eq!(table.authenticate(secret.expose(), NOW).unwrap(), &record);
        let (_, principal) = table.authenticate_principal(secret.expose(), NOW).unwrap();
        assert_eq!(principal.digest(), record.principal().digest());
    }

    #[test]
    fn ids_with_underscores_are_told_from_the_secret() {
        for id in ["a_b", "a_", "a__", "asepsis_a"] {
            // 0xff encodes to `_` throughout, the worst case for taking the text apart.
            let (record, secret) = key(id, 0xff, None);
            let table = KeyTable::new([record]).unwrap();
            assert_eq!(table.authenticate(secret.expose(), NOW).unwrap().id.as_str(), id);
        }
    }

    #[test]
    fn an_unknown_name_and_a_wrong_secret_are_the_same_answer() {
        let (record, _) = key("known", 1, Some(NOW.plus_days(1)));
        let (_, wrong) = key("known", 2, None);
        let (_, absent) = key("absent", 1, None);
        let (_, zero) = key("absent", 0, None);
        let mut revoked = record;
        revoked.revoked_at = Some(NOW);
        let table = KeyTable::new([revoked]).unwrap();
        for secret in [wrong, absent, zero] {
            let error = table.authenticate(secret.expose(), NOW.plus_days(9)).unwrap_err();
            assert_eq!(error, AuthError::Unknown, "neither revocation nor expiry shows without the secret");
            assert_eq!(error.public_message(), AuthError::Malformed.public_message());
        }
    }

    #[test]
    fn a_key_ends_at_its_time_and_when_revoked() {
        let (mut record, secret) = key("k", 1, Some(NOW.plus_millis(10)));
        let table = KeyTable::new([record.clone()]).unwrap();
        assert!(table.authenticate(secret.expose(), NOW.plus_millis(9)).is_ok());
        assert_eq!(table.authenticate(secret.expose(), NOW.plus_millis(10)), Err(AuthError::Expired));
        record.revoked_at = Some(NOW);
        let table = KeyTable::new([record]).unwrap();
        assert_eq!(table.authenticate(secret.expose(), NOW), Err(AuthError::Revoked));
    }

    #[test]
    fn rotation_leaves_both_keys_valid_for_the_overlap() {
        let (old, old_secret) = key("k-1", 1, Some(NOW.plus_days(30)));
        let later = NOW.plus_days(10);
        let (retired, new, new_secret) =
            rotate_key(&old, "k-2".parse().unwrap(), SecretBytes::new([2; 32]), later, 7).unwrap();
        assert_eq!(retired.expires_at, Some(later.plus_days(7)));
        assert_eq!(new.expires_at, Some(later.plus_days(30)), "same length of life");
        assert_eq!((&new.client, &new.roles, &new.systems), (&old.client, &old.roles, &old.systems));
        let table = KeyTable::new([retired, new]).unwrap();
        let (within, after) = (later.plus_days(6), later.plus_days(8));
        assert!(table.authenticate(old_secret.expose(), within).is_ok());
        assert!(table.authenticate(new_secret.expose(), within).is_ok());
        assert_eq!(table.authenticate(old_secret.expose(), after), Err(AuthError::Expired));
        assert!(table.authenticate(new_secret.expose(), after).is_ok());
    }

    #[test]
    fn rotation_never_lengthens_the_old_key_and_refuses_dead_ones() {
        let (old, _) = key("k-1", 1, Some(NOW.plus_days(3)));
        let rotate = |old: &KeyRecord, id: &str, now, days| {
            rotate_key(old, id.parse().unwrap(), SecretBytes::new([2; 32]), now, days)
        };
        let (retired, ..) = rotate(&old, "k-2", NOW, KEY_OVERLAP_DAYS_MAX).unwrap();
        assert_eq!(retired.expires_at, old.expires_at);
        assert!(matches!(rotate(&old, "k-2", NOW, KEY_OVERLAP_DAYS_MAX + 1), Err(KeyError::Overlap(91))));
        assert!(matches!(rotate(&old, "k-1", NOW, 1), Err(KeyError::SameId(_))));
        assert!(matches!(rotate(&old, "k-2", NOW.plus_days(3), 1), Err(KeyError::NotActive(_))));
    }

    #[test]
    fn a_grant_that_makes_no_sense_is_refused() {
        let issue = |grant| issue_key(grant, SecretBytes::new([0; 32]), NOW).map(|_| ());
        assert!(matches!(issue(KeyGrant { roles: [].into(), ..grant("k") }), Err(KeyError::NoRole(_))));
        let past = KeyGrant { expires_at: Some(NOW), ..grant("k") };
        assert!(matches!(issue(past), Err(KeyError::ExpiresInThePast(_))));
        let note = |n: usize| KeyGrant { note: "é".repeat(n), ..grant("k") };
        assert!(issue(note(KEY_NOTE_CHARS_MAX)).is_ok());
        assert!(issue(note(KEY_NOTE_CHARS_MAX + 1)).is_err());
        assert!(issue(KeyGrant { note: "a\nb".into(), ..grant("k") }).is_err());
    }

    #[test]
    fn a_table_is_bounded_and_has_no_duplicates() {
        let (record, _) = key("k", 1, None);
        assert!(matches!(KeyTable::new([record.clone(), record.clone()]), Err(KeyError::Duplicate(_))));
        let many = |n: usize| {
            let record = record.clone();
            (0..n).map(move |i| KeyRecord { id: format!("k{i}").parse().unwrap(), ..record.clone() })
        };
        assert_eq!(KeyTable::new(many(KEYS_MAX)).unwrap().len(), KEYS_MAX);
        assert!(matches!(KeyTable::new(many(KEYS_MAX + 1)), Err(KeyError::TooMany(_))));
    }

    #[test]
    fn the_longest_key_is_read_and_a_longer_one_is_not() {
        let (record, secret) = key(&"a".repeat(64), 1, None);
        assert_eq!(secret.expose().len(), PRESENTED_BYTES_MAX);
        let table = KeyTable::new([record]).unwrap();
        assert!(table.authenticate(secret.expose(), NOW).is_ok());
        let longer = secret.expose().replace("asepsis_", "asepsis_a");
        assert_eq!(table.authenticate(&longer, NOW), Err(AuthError::Malformed));
    }

    proptest! {
        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC{0,200}") {
            let table = KeyTable::default();
            let error = table.authenticate(&text, NOW).unwrap_err();
            prop_assert!(matches!(error, AuthError::Malformed | AuthError::Unknown));
        }

        #[test]
        fn texts_close_to_a_key_are_answered(id in "[a-z0-9._-]{0,70}", secret in "[A-Za-z0-9_-]{40,46}") {
            let table = KeyTable::default();
            let key = format!("asepsis_{id}_{secret}");
            prop_assert!(table.authenticate(&key, NOW).is_err());
        }

        #[test]
        fn every_issued_key_opens_and_no_changed_one_does(
            id in "[a-z0-9][a-z0-9._-]{0,63}", random in any::<[u8; 32]>(), at in 0_usize..200, flip in 1_u8..128,
        ) {
            let (record, secret) =
                issue_key(grant(&id), SecretBytes::new(random), NOW).unwrap();
            let table = KeyTable::new([record]).unwrap();
            prop_assert!(table.authenticate(secret.expose(), NOW).is_ok());
            let mut changed = secret.expose().as_bytes().to_vec();
            let at = at % changed.len();
            changed[at] ^= flip;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert!(table.authenticate(&changed, NOW).is_err(), "{changed}");
        }
    }
}
