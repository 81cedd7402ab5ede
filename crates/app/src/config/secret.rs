//! Secrets and small files that the configuration names but never holds.

use std::path::{Path, PathBuf};

use super::ConfigError;
use super::settings::wrong;

/// A small text file, such as policies or a token.
pub(super) fn read_small(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let size = std::fs::metadata(path).map_err(|e| format!("cannot read `{shown}`: {e}"))?.len();
    if size > 1 << 20 {
        return Err(format!("`{shown}` is larger than 1 MiB"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("cannot read `{shown}`: {e}"))
}

/// Reads a secret from the environment or from a file, never from the configuration itself.
pub(super) fn secret(
    place: &str,
    env: Option<&String>,
    file: Option<&PathBuf>,
    base: &Path,
) -> Result<Option<String>, ConfigError> {
    match (env, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(wrong(place, "give token-env or token-file, not both")),
        (Some(name), None) => std::env::var(name)
            .map(|v| Some(v.trim().to_owned()))
            .map_err(|_| wrong(place, format!("the environment variable `{name}` is not set"))),
        (None, Some(path)) => {
            let text = read_small(&base.join(path)).map_err(|e| wrong(place, e))?;
            Ok(Some(text.trim().to_owned()))
        }
    }
}
