//! Where the hospital is, and how a command reaches it: in this process when the data directory is free, else through
//! the program that holds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use app::command::{Command, Reply};
use app::{AppError, Hospital, Opening, SystemClock};
use domain::{ClientId, SystemId};

use crate::cli::{Arguments, Format};
use crate::{control, example};

/// Data directory and configuration.
pub struct Place {
    /// Data directory.
    pub dir: PathBuf,
    /// Configuration file.
    pub config: PathBuf,
    /// Whether the configuration was named by the user.
    pub named: bool,
}

impl Place {
    /// From flags, environment and the XDG convention.
    pub fn find(arguments: &Arguments) -> anyhow::Result<Self> {
        let dir = match &arguments.dir {
            Some(dir) => std::path::absolute(dir)?,
            None => default_dir()?,
        };
        let named = arguments.config.is_some();
        let config = match &arguments.config {
            Some(config) => std::path::absolute(config)?,
            None => app::Paths::new(dir.clone()).example().join("asepsis.toml"),
        };
        Ok(Self { dir, config, named })
    }

    /// Opens the hospital in this process.
    pub async fn open(&self) -> Result<Arc<Hospital>, AppError> {
        let clock = Arc::new(SystemClock::default());
        Hospital::open(Opening { dir: self.dir.clone(), config: self.config.clone(), clock }).await
    }

    /// Systems that the configuration lets a client ask.
    pub fn systems_of(&self, client: &ClientId) -> anyhow::Result<Vec<SystemId>> {
        let settings = app::config::load(&self.config)?;
        let found = settings.clients.iter().find(|c| c.id == *client);
        match found {
            Some(client) => Ok(client.systems.clone()),
            None => bail!(
                "`{client}` is not a configured client: add a [[client]], or name systems with --system"
            ),
        }
    }
}

fn default_dir() -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(base) = set("XDG_DATA_HOME").filter(|p| p.is_absolute()) {
        return Ok(base.join("asepsis"));
    }
    let home = set("HOME").context("no home folder is known: name a data directory with --dir")?;
    Ok(home.join(".local/share/asepsis"))
}

/// Performs a command and prints the answer.
pub fn perform(place: &Place, person: &str, format: Format, command: Command) -> anyhow::Result<u8> {
    let reply = ask(place, person, command)?;
    print_reply(&reply, format)?;
    Ok(reply.exit)
}

/// Performs a command.
pub fn ask(place: &Place, person: &str, command: Command) -> anyhow::Result<Reply> {
    if !place.config.exists() && !place.named {
        bail!(
            "there is no hospital in `{}`: start with `asepsis up`, or name a configuration with --config",
            place.dir.display()
        );
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let spinner = crate::terminal::spinner();
        let say = {
            let spinner = spinner.clone();
            move |text: &str| spinner.set_message(text.to_owned())
        };
        let reply = match place.open().await {
            Ok(hospital) => {
                let who = hospital.person(person)?;
                let reply = app::command::perform(&hospital, &who, command, &say).await;
                hospital.close().await?;
                reply
            }
            Err(error) => without_opening(place, person, &command, error).await,
        };
        spinner.finish_and_clear();
        anyhow::Ok(reply?)
    })
}

/// What can be done when the hospital cannot be opened here. A running program answers, also when the configuration on disk has
/// a mistake by now: a system must be stoppable then too. And a damaged ledger can be looked at.
async fn without_opening(
    place: &Place,
    person: &str,
    command: &Command,
    error: AppError,
) -> Result<Reply, AppError> {
    let paths = app::Paths::new(place.dir.clone());
    if matches!(error, AppError::Ledger(_)) {
        return app::command::perform_at_rest(&paths, command).unwrap_or(Err(error));
    }
    match (control::send(&paths.control_socket(), person, command).await, error) {
        (Ok(reply), _) => reply.map_err(AppError::BadInput),
        (Err(silent), AppError::Busy(why)) => Err(AppError::Busy(format!("{why} ({silent})"))),
        (Err(_), error) => Err(error),
    }
}

fn print_reply(reply: &Reply, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => println!("{}", reply.text.trim_end()),
        Format::Json | Format::Sarif => println!("{}", serde_json::to_string_pretty(&reply.json)?),
    }
    Ok(())
}

/// Puts a model file where the configuration expects the system's model. The old one is kept beside it.
pub fn replace_model(place: &Place, system: &SystemId, file: &Path) -> anyhow::Result<()> {
    let settings = app::config::load(&place.config)?;
    let known = settings.systems.get(system).ok_or_else(|| AppError::UnknownSystem(system.to_string()))?;
    let app::config::ModelSource::File(target) = &known.model else {
        bail!("`{system}` is served by a remote server: change model.remote in the configuration instead");
    };
    let bytes = app::dataset::read_file(file, settings.limits.model_bytes_max)
        .with_context(|| format!("the model `{}`", file.display()))?;
    if let Err(error) = runtime::Model::load(&bytes, &runtime::Limits::default()) {
        bail!("`{}` is not a model that can be served: {error}; nothing was changed", file.display());
    }
    if target.exists() {
        let old = std::fs::read(target)?;
        if old == bytes {
            return Ok(());
        }
        let kept = target.with_extension(format!("{}.onnx", domain::Digest::of(&old).short()));
        std::fs::write(&kept, &old)
            .with_context(|| format!("cannot keep the old model as `{}`", kept.display()))?;
        eprintln!("the model before is kept as {}", kept.display());
    }
    example::write_whole(target, &bytes)
}
