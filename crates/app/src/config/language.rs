//! Systems that are language models: what `[[language]]` may say, and what it means.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use detect::{HoldBack, TextGuardSettings};
use domain::{Digest, SystemId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use upstream::{LanguageConfig, Secret, Style, Target};

use super::ConfigError;
use super::secret::secret;
use super::settings::wrong;

/// Most servers of one system.
const UPSTREAMS_MAX: usize = 16;
/// Most models of one system.
const MODELS_MAX: usize = 64;

/// A system that is a language model, asked with OpenAI's protocol.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Language {
    /// Name, stable over all versions; what callers send as `model`.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// What it is for, in a sentence.
    pub purpose: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// Names of models that callers may ask for, as `ID/NAME`; the first answers when only ID is sent.
    pub models: Vec<String>,
    /// The servers, in the order in which they are tried.
    #[serde(rename = "upstream")]
    pub upstreams: Vec<LanguageUpstream>,
    /// Characters of a streamed reply that are held back for the guards, 24 to 64, or `whole-reply`. 64 by default: longer than a name, a
    /// number or a date.
    #[serde(default)]
    pub hold_back: HoldBackOption,
    /// Let requests go on with conversations that the server keeps (`previous_response_id`). Off, because one caller could go on with
    /// another's.
    #[serde(default)]
    pub stored_conversations: bool,
    /// The guards over texts.
    #[serde(default)]
    pub guards: TextGuardSettings,
}

/// A server that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp, OpenAI, Azure.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LanguageUpstream {
    /// Up to and with `/v1`, for Azure up to the host: `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The model's name there, if it is not the one that callers use.
    #[serde(default)]
    pub model: Option<String>,
    /// Environment variable that holds its key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// File that holds its key (path relative to this file).
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// `openai` (default) or `azure`: how paths are built and where the key goes.
    #[serde(default)]
    pub style: StyleOption,
    /// Version of Azure's interface, as `2024-10-21`.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Longest wait for a whole reply, or for the first event of a stream, in milliseconds. 60,000 by default.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Longest pause between two pieces of a stream, in milliseconds. 30,000 by default.
    #[serde(default)]
    pub idle_ms: Option<u64>,
    /// Longest stream, in milliseconds. 600,000 by default.
    #[serde(default)]
    pub stream_ms_max: Option<u64>,
    /// Certificate authorities to trust instead of the public ones, PEM (path relative to this file).
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// How a server is addressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StyleOption {
    /// As OpenAI's own.
    #[default]
    Openai,
    /// As Azure's deployments.
    Azure,
}

/// How much of a stream is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum HoldBackOption {
    /// So many characters.
    Characters(u8),
    /// A word.
    Word(HoldBackWord),
}

/// The words of [`HoldBackOption`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldBackWord {
    /// Nothing leaves before the reply is complete.
    WholeReply,
}

impl Default for HoldBackOption {
    fn default() -> Self {
        Self::Characters(64)
    }
}

/// An understood language model.
#[derive(Clone)]
pub struct LanguageSettings {
    /// Name.
    pub id: SystemId,
    /// Title.
    pub title: String,
    /// What it is for.
    pub purpose: String,
    /// Who answers for it.
    pub owner: String,
    /// Names of models.
    pub models: Vec<String>,
    /// Its servers, and the model's name there.
    pub upstreams: Vec<(LanguageConfig, Option<String>)>,
    /// How much of a stream is held back.
    pub hold_back: HoldBack,
    /// Whether servers may keep conversations.
    pub stored: bool,
    /// The guards.
    pub guards: TextGuardSettings,
    /// Digest of what was typed: equal when nothing changed.
    pub digest: Digest,
}

impl std::fmt::Debug for LanguageSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanguageSettings").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Understands one language model.
pub(super) fn understand(typed: Language, base: &Path) -> Result<LanguageSettings, ConfigError> {
    let place = format!("language {}", typed.id);
    let digest = Digest::of(&serde_json::to_vec(&typed).unwrap_or_default());
    let id: SystemId = typed.id.parse().map_err(|e| wrong(&*place, e))?;
    let names: BTreeSet<&String> = typed.models.iter().collect();
    let named = |name: &String| !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
    if !(1..=MODELS_MAX).contains(&typed.models.len())
        || names.len() != typed.models.len()
        || !typed.models.iter().all(named)
    {
        return Err(wrong(place, format!("name 1 to {MODELS_MAX} different `models`")));
    }
    if !(1..=UPSTREAMS_MAX).contains(&typed.upstreams.len()) {
        return Err(wrong(place, format!("give 1 to {UPSTREAMS_MAX} servers as [[language.upstream]]")));
    }
    let hold_back = match typed.hold_back {
        HoldBackOption::Characters(n) if (24..=64).contains(&n) => HoldBack::Characters(n),
        HoldBackOption::Characters(_) => {
            return Err(wrong(format!("{place}, hold-back"), "give 24 to 64 characters, or \"whole-reply\""));
        }
        HoldBackOption::Word(HoldBackWord::WholeReply) => HoldBack::WholeReply,
    };
    let mut upstreams = Vec::with_capacity(typed.upstreams.len());
    for (n, server) in typed.upstreams.into_iter().enumerate() {
        let place = format!("{place}, upstream {}", n + 1);
        let model = server.model.clone();
        upstreams.push((understand_upstream(&place, server, base)?, model));
    }
    Ok(LanguageSettings {
        id,
        title: typed.title,
        purpose: typed.purpose,
        owner: typed.owner,
        models: typed.models,
        upstreams,
        hold_back,
        stored: typed.stored_conversations,
        guards: typed.guards,
        digest,
    })
}

fn understand_upstream(
    place: &str,
    typed: LanguageUpstream,
    base: &Path,
) -> Result<LanguageConfig, ConfigError> {
    let target: Target = typed.url.parse().map_err(|e| wrong(place, e))?;
    let mut config = LanguageConfig::new(target);
    config.style = match (typed.style, typed.api_version) {
        (StyleOption::Openai, None) => Style::OpenAi,
        (StyleOption::Azure, Some(api_version)) => Style::Azure { api_version },
        (StyleOption::Openai, Some(_)) => {
            return Err(wrong(place, "`api-version` goes with `style = \"azure\"`"));
        }
        (StyleOption::Azure, None) => return Err(wrong(place, "give the `api-version`, as 2024-10-21")),
    };
    config.key = secret(place, typed.key_env.as_ref(), typed.key_file.as_ref(), base)?.map(Secret::new);
    for (name, typed, value) in [
        ("timeout-ms", typed.timeout_ms, &mut config.timeout_ms),
        ("idle-ms", typed.idle_ms, &mut config.idle_ms),
        ("stream-ms-max", typed.stream_ms_max, &mut config.stream_ms_max),
    ] {
        if let Some(ms) = typed {
            if !(1..=86_400_000).contains(&ms) {
                return Err(wrong(format!("{place}, {name}"), "give 1 millisecond to a day"));
            }
            *value = ms;
        }
    }
    if let Some(file) = typed.ca_file {
        let path = base.join(file);
        let pem = std::fs::read(&path);
        config.ca_pem =
            Some(pem.map_err(|e| wrong(place, format!("cannot read `{}`: {e}", path.display())))?);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const START: &str = "hospital = \"H\"\n[[client]]\nid = \"ward\"\nsystems = [\"chat\"]\n";

    fn with(language: &str) -> Result<crate::config::Settings, ConfigError> {
        let head = "[[language]]\nid = \"chat\"\ntitle = \"Chat\"\npurpose = \"Drafts letters.\"\n";
        parse(&format!("{START}{head}{language}"), Path::new(""))
    }

    #[test]
    fn a_language_model_is_understood_with_its_servers_in_order() {
        let settings = with("models = [\"small\", \"large\"]\n[[language.upstream]]\nurl = \"http://127.0.0.1:8000/v1\"\nmodel = \"m\"\n[[language.upstream]]\nurl = \"https://a.example\"\nstyle = \"azure\"\napi-version = \"2024-10-21\"\nidle-ms = 5\n").unwrap();
        let system = settings.language.values().next().unwrap();
        assert_eq!((system.models.len(), system.upstreams.len()), (2, 2));
        assert_eq!(system.upstreams[0].1.as_deref(), Some("m"));
        assert_eq!(system.upstreams[1].0.idle_ms, 5);
        assert_eq!(settings.clients[0].systems[0].as_str(), "chat");
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_place() {
        let server = "[[language.upstream]]\nurl = \"http://127.0.0.1:8000/v1\"\n";
        for (text, said) in [
            (format!("models = []\n{server}"), "models"),
            (format!("models = [\"a\", \"a\"]\n{server}"), "different"),
            ("models = [\"a\"]\nupstream = []\n".to_owned(), "[[language.upstream]]"),
            (format!("models = [\"a\"]\nhold-back = 3\n{server}"), "24 to 64"),
            (format!("models = [\"a\"]\n{server}style = \"azure\"\n"), "api-version"),
            (format!("models = [\"a\"]\n{server}key = \"s3cret\"\n"), "key-env"),
            ("models = [\"a\"]\n[[language.upstream]]\nurl = \"ftp://a\"\n".to_owned(), "http"),
        ] {
            let message = with(&text).unwrap_err().to_string();
            assert!(message.contains(said) && !message.contains("s3cret"), "{text}: {message}");
        }
    }
}
