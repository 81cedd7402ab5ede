//! Who asks: an account with its roles and the systems it is limited to.

use std::collections::BTreeSet;

use domain::{ClientId, Digest, Hasher, SystemId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Role;

/// Most systems that a scope may list; who needs more has the scope `all`.
pub const SCOPE_SYSTEMS_MAX: usize = 1_000;

/// The systems an account is limited to. There is no empty default: `all` is said, or systems are listed.
/// Written as the word `"all"` or as a list of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every system, those that come later too.
    All,
    /// These only; an empty list opens nothing.
    Only(BTreeSet<SystemId>),
}

/// Why something is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A word other than `all`.
    #[error("`{0}` is not a scope: write `all` or a list of systems")]
    Word(String),
    /// Too long a list.
    #[error("a scope of {0} systems is too long: list at most 1000, or write `all`")]
    TooMany(usize),
}

impl Scope {
    /// These systems only.
    ///
    /// # Errors
    /// With more than [`SCOPE_SYSTEMS_MAX`].
    pub fn only(systems: impl IntoIterator<Item = SystemId>) -> Result<Self, ScopeError> {
        let systems: BTreeSet<_> = systems.into_iter().collect();
        if systems.len() > SCOPE_SYSTEMS_MAX {
            return Err(ScopeError::TooMany(systems.len()));
        }
        Ok(Self::Only(systems))
    }

    /// Whether `system` is inside. A convenience for pages; the decision is the policies'.
    pub fn contains(&self, system: &SystemId) -> bool {
        match self {
            Self::All => true,
            Self::Only(systems) => systems.contains(system),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Only(systems) => systems.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(String),
            List(Vec<SystemId>),
        }
        match Written::deserialize(deserializer)? {
            Written::Word(word) if word == "all" => Ok(Self::All),
            Written::Word(word) => {
                Err(serde::de::Error::custom(ScopeError::Word(word.chars().take(80).collect())))
            }
            Written::List(systems) => Self::only(systems).map_err(serde::de::Error::custom),
        }
    }
}

/// An account that has been authenticated. Its digest is computed once, so that a decision can be looked up without
/// walking roles and systems again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    id: ClientId,
    roles: BTreeSet<Role>,
    scope: Scope,
    digest: Digest,
}

impl Principal {
    /// An account with these roles, limited to `scope`.
    pub fn new(id: ClientId, roles: BTreeSet<Role>, scope: Scope) -> Self {
        let mut hasher = Hasher::new();
        hasher.field(id.as_str().as_bytes());
        hasher.field(&(roles.len() as u64).to_be_bytes());
        for role in &roles {
            hasher.field(role.as_str().as_bytes());
        }
        match &scope {
            Scope::All => {
                hasher.field(b"all");
            }
            Scope::Only(systems) => {
                hasher.field(b"only");
                for system in systems {
                    hasher.field(system.as_str().as_bytes());
                }
            }
        }
        Self { id, roles, scope, digest: hasher.finish() }
    }

    /// The account's name.
    pub const fn id(&self) -> &ClientId {
        &self.id
    }

    /// Its roles.
    pub const fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }

    /// The systems it is limited to.
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Digest of name, roles and scope: two accounts with the same digest get the same decisions.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<SystemId> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn a_scope_is_the_word_all_or_a_list() {
        for (json, expected) in [
            ("\"all\"", Scope::All),
            ("[]", Scope::only([]).unwrap()),
            ("[\"a\",\"b\"]", Scope::only(names(&["b", "a"])).unwrap()),
        ] {
            let scope: Scope = serde_json::from_str(json).unwrap();
            assert_eq!(scope, expected);
            assert_eq!(serde_json::to_string(&scope).unwrap(), json);
        }
        for bad in ["\"everything\"", "null", "{}", "[\"../x\"]", "[1]"] {
            assert!(serde_json::from_str::<Scope>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scope_is_bounded() {
        let many = |n: usize| (0..n).map(|i| format!("s{i}").parse::<SystemId>().unwrap());
        assert!(Scope::only(many(SCOPE_SYSTEMS_MAX)).is_ok());
        assert!(Scope::only(many(SCOPE_SYSTEMS_MAX + 1)).is_err());
    }

    #[test]
    fn roles_and_systems_cannot_stand_in_for_each_other_in_the_digest() {
        let account = |roles: &[Role], scope: Scope| {
            *Principal::new("a".parse().unwrap(), roles.iter().copied().collect(), scope).digest()
        };
        let all = [
            account(&[], Scope::All),
            account(&[], Scope::only(names(&["all"])).unwrap()),
            account(&[], Scope::only([]).unwrap()),
            account(&[Role::Client], Scope::All),
            account(&[], Scope::only(names(&["client"])).unwrap()),
            account(&[Role::Client, Role::Engineer], Scope::All),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b), "{i}");
        }
    }
}
