//! Who vouches for a model file.

use std::path::{Path, PathBuf};

use super::{ConfigError, options};

/// A signature, and what it is verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureSettings {
    /// Signature file.
    pub file: PathBuf,
    /// What it is verified with.
    pub trust: Trust,
}

/// Whom a hospital believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The holder of this public key (PEM).
    Key(PathBuf),
    /// Whoever has a certificate of these authorities (PEM).
    Roots(PathBuf),
}

impl SignatureSettings {
    pub(super) fn understand(
        place: &str,
        typed: options::Signature,
        base: &Path,
    ) -> Result<Self, ConfigError> {
        let trust = match (typed.key, typed.roots) {
            (Some(key), None) => Trust::Key(base.join(key)),
            (None, Some(roots)) => Trust::Roots(base.join(roots)),
            _ => {
                let message = "name what it is verified with: either `key` or `roots`".to_owned();
                return Err(ConfigError::Meaning { place: format!("{place}, signature"), message });
            }
        };
        Ok(Self { file: base.join(typed.file), trust })
    }

    /// The files that decide what verifying gives.
    pub fn files(&self) -> [&Path; 2] {
        let (Trust::Key(trust) | Trust::Roots(trust)) = &self.trust;
        [&self.file, trust]
    }
}
