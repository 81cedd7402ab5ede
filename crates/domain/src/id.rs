//! Names of things, parsed once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name accepted, in bytes: fits a DNS label, a file name and a table column.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a {what}: use 1 to 64 of a-z, 0-9, `-`, `_` and `.`, starting with a letter or digit"
)]
pub struct IdError {
    what: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let good = (1..=ID_BYTES_MAX).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
                    && text.as_bytes()[0].is_ascii_alphanumeric();
                if !good {
                    return Err(IdError { what: $what, text: text.chars().take(80).collect() });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// The name of an AI system: stays the same over all its versions, for example `breast-mass`.
    SystemId, "system name"
}
id! {
    /// The name of somebody or something that calls: a person's account or a machine client.
    ClientId, "client name"
}
id! {
    /// The public half of an API key: names the key in logs and pages, opens nothing.
    KeyId, "key name"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_plain() {
        assert!("breast-mass".parse::<SystemId>().is_ok());
        assert!("a".repeat(ID_BYTES_MAX).parse::<SystemId>().is_ok());
        assert!("a".repeat(ID_BYTES_MAX + 1).parse::<SystemId>().is_err());
        for bad in ["", "-x", "Breast", "a/b", "../x", "a b", "é"] {
            assert!(bad.parse::<SystemId>().is_err(), "{bad}");
        }
    }
}
