//! `asepsis scan`: what is in a model file, before it runs.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use app::scan::{Cache, Policy, Target, Wishes};
use artifact::Limits;
use clap::Args;
use domain::Clock as _;

use crate::cli::Format;
use crate::remote;

/// Largest input on standard input, bytes.
const STANDARD_BYTES_MAX: u64 = 64 << 30;

/// What `asepsis scan` takes.
#[derive(Args)]
pub struct ScanArguments {
    /// Files, folders, https or s3 addresses; `-` for standard input. S3 credentials, region and endpoint come from the
    /// environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL)
    #[arg(required = true, value_name = "FILE|FOLDER|URL|-")]
    pub targets: Vec<String>,
    /// What may pass although it is found, and what counts as found (TOML)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Write the report here instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Threads; all cores if left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Scan again what was scanned before
    #[arg(long)]
    pub no_cache: bool,
    /// Largest part held in memory, MiB
    #[arg(long, default_value_t = 32, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub memory_max: u64,
}

/// Runs `asepsis scan`.
pub fn run(arguments: &ScanArguments, format: Format) -> anyhow::Result<u8> {
    let report = report(arguments)?;
    let text = match format {
        Format::Text => app::scan::text(&report),
        Format::Json => pretty(&report)?,
        Format::Sarif => pretty(&app::scan::sarif(&report))?,
    };
    write(arguments.output.as_deref(), &text)?;
    if let Some(file) = &arguments.output {
        eprintln!("{}: written to {}", report.verdict.as_str(), file.display());
    }
    Ok(report.exit())
}

/// Writes an answer to a file, whole or not at all, or to standard output.
pub fn write(to: Option<&Path>, text: &str) -> anyhow::Result<()> {
    match to {
        None => std::io::stdout().write_all(text.as_bytes()).context("cannot write the answer"),
        // A device or a pipe is written to; replacing it by a file would take it away from everybody.
        Some(file) if file.exists() && !file.is_file() => {
            let mut to = std::fs::OpenOptions::new()
                .write(true)
                .open(file)
                .with_context(|| format!("cannot write to `{}`", file.display()))?;
            to.write_all(text.as_bytes()).with_context(|| format!("cannot write to `{}`", file.display()))
        }
        Some(file) => crate::example::write_whole(file, text.as_bytes()),
    }
}

/// Scans what the arguments name.
pub fn report(arguments: &ScanArguments) -> anyhow::Result<app::scan::Report> {
    let policy = match &arguments.policy {
        None => Policy::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the policy `{}`", file.display()))?;
            Policy::parse(&text).with_context(|| format!("the policy `{}`", file.display()))?
        }
    };
    let mut keep = Keep::default();
    let targets = targets(&arguments.targets, &mut keep)?;
    let stop = stop_on_signal("stopping after the files that are being read; once more ends at once");
    let bar = crate::terminal::bar("scanning");
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let wishes = Wishes {
        limits: Limits { memory_max: arguments.memory_max << 20, ..Limits::default() },
        policy,
        cache: if arguments.no_cache { None } else { cache() },
        threads: threads.clamp(1, 256),
        now: app::SystemClock::default().now(),
        progress: &|done, all| {
            if all > 1 {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            }
        },
        stop: &|| stop.load(Ordering::Relaxed),
    };
    let report = app::scan::scan(&targets, &wishes)?;
    bar.finish_and_clear();
    Ok(report)
}

/// JSON for people and programs.
pub fn pretty(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    Ok(text)
}

/// What must live as long as the scan: temporary files and connections.
#[derive(Default)]
struct Keep {
    spooled: Option<tempfile::NamedTempFile>,
    remote: Option<remote::Opener>,
}

fn targets(named: &[String], keep: &mut Keep) -> anyhow::Result<Vec<Target>> {
    let mut targets = Vec::with_capacity(named.len());
    for name in named {
        targets.push(match name.as_str() {
            "-" if keep.spooled.is_some() => bail!("standard input can be scanned once: name `-` once"),
            "-" => Target::Standard(spool(&mut keep.spooled)?),
            url if url.starts_with("https://") || url.starts_with("http://") || url.starts_with("s3://") => {
                if keep.remote.is_none() {
                    keep.remote = Some(remote::Opener::new()?);
                }
                match &mut keep.remote {
                    Some(opener) => opener.open(url)?,
                    None => bail!("no connection"),
                }
            }
            path => Target::Path(Path::new(path).to_owned()),
        });
    }
    Ok(targets)
}

/// Puts standard input into a file that only this user can read and that ends with the program.
fn spool(spooled: &mut Option<tempfile::NamedTempFile>) -> anyhow::Result<PathBuf> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        bail!("standard input is a terminal: pipe a file into `asepsis scan -`, or name one");
    }
    let mut file = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let copied = std::io::copy(&mut input.by_ref().take(STANDARD_BYTES_MAX + 1), &mut file)
        .context("cannot keep standard input in a temporary file")?;
    if copied > STANDARD_BYTES_MAX {
        bail!("standard input is longer than {STANDARD_BYTES_MAX} bytes");
    }
    let path = file.path().to_owned();
    *spooled = Some(file);
    Ok(path)
}

/// Where this user's caches are.
pub fn cache_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME")
        .filter(|p| p.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("asepsis"))
}

/// Verdicts by digest, for exactly this build of the program.
fn cache() -> Option<Cache> {
    let program = std::env::current_exe().ok()?.metadata().ok()?;
    let build = format!("{} {} {:?}", env!("CARGO_PKG_VERSION"), program.len(), program.modified().ok());
    Some(Cache::new(cache_folder()?.join("scan"), &build))
}

/// Set by the first Ctrl-C, so that what is done is kept and printed; `says` is printed then. The second ends the program at once.
pub fn stop_on_signal(says: &'static str) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                set.store(true, Ordering::Relaxed);
                eprintln!("{says}");
            }
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
    stop
}
