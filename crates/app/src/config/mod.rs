//! Configuration: what was typed ([`Options`]), what it means ([`Settings`]), and how one becomes the other.
//!
//! Reading is all or nothing: a file with one mistake changes nothing, and the message names the line and, for an
//! unknown key, the nearest known one.

mod language;
mod nearest;
mod options;
mod secret;
mod settings;
mod signature;

use std::path::{Path, PathBuf};

pub use language::{HoldBackOption, HoldBackWord, Language, LanguageSettings, LanguageUpstream, StyleOption};
pub(crate) use nearest::{nearest as nearest_name, suggest};
pub use options::{AcceptanceBounds, Fallback, Limits, Options};
pub use settings::{
    ClientSettings, Connection, FetchSource, ModelSource, PersonSettings, Settings, Split, SystemSettings,
    WebhookSettings,
};

pub use signature::{SignatureSettings, Trust};

/// Largest configuration file, in bytes: a thousand systems fit.
pub const CONFIG_BYTES_MAX: u64 = 4 << 20;

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {cause}; check the path, or make an example with `asepsis up`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is larger than [`CONFIG_BYTES_MAX`].
    #[error("`{path}` is larger than {CONFIG_BYTES_MAX} bytes: this is not a configuration file")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not TOML, or a key is unknown, missing or of the wrong type.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong and what to write instead.
        message: String,
    },
    /// It reads well but says something impossible.
    #[error("{place}: {message}")]
    Meaning {
        /// Where: the path of keys.
        place: String,
        /// What is wrong and what to write instead.
        message: String,
    },
}

/// Reads and understands the configuration in `path`.
///
/// # Errors
/// [`ConfigError`], naming the line or the key.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let unreadable = |cause| ConfigError::Unreadable { path: path.to_owned(), cause };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    parse(&text, &base)
}

/// Understands configuration text; relative paths are taken from `base`.
///
/// # Errors
/// [`ConfigError`], naming the line or the key.
pub fn parse(text: &str, base: &Path) -> Result<Settings, ConfigError> {
    let options: Options = toml::from_str(text).map_err(|error| syntax(text, &error))?;
    Settings::understand(options, base, text)
}

/// The JSON Schema of the configuration file, for editors; committed as `docs/reference/config.schema.json`.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Options);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Turns the parser's complaint into a line number and a sentence with the nearest known key.
fn syntax(text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes().iter().take(at).filter(|&&b| b == b'\n').count() + 1;
    let message = error.message().lines().next().unwrap_or("not valid TOML").to_owned();
    ConfigError::Syntax { line, message: suggest(&message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text, Path::new("")).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_key_is_refused_with_line_and_nearest_name() {
        let text = "hospital = \"H\"\n[limits]\nbatch-row-max = 3\n";
        let said = message(text);
        assert!(said.starts_with("line 3: "), "{said}");
        assert!(said.contains("`batch-row-max`") && said.contains("did you mean `batch-rows-max`"), "{said}");
    }

    #[test]
    fn half_a_file_is_refused_with_its_line() {
        assert!(message("hospital = \"H\"\n[listen\n").starts_with("line 2: "));
        assert!(message("").contains("hospital"));
    }

    #[test]
    fn a_secret_in_the_file_is_refused() {
        let text = "hospital = \"H\"\n[[alerts.webhook]]\nurl = \"https://a.example\"\ntoken = \"s3cret\"\n";
        let said = message(text);
        assert!(said.contains("did you mean `token-env`"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}
