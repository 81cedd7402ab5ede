//! `asepsis data`: data sets from their publishers, and texts that are screened.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use app::dataset::{self, Source};
use clap::Subcommand;

use crate::cli::Format;
use crate::local::{self, Place};

#[derive(Subcommand)]
pub enum DataVerb {
    /// Fetch a data set from its publisher, or take it from a local file; the digest is checked either way
    Fetch {
        /// Name, for example `pneumoniamnist`; `asepsis data list` shows all
        name: String,
        /// Take it from this file instead of the network
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// List data sets that can be fetched
    List,
    /// Screen texts that a language model is to be trained on: poison, hidden text, orders, identifiers
    Screen(crate::screen::ScreenArguments),
}

/// Runs `asepsis data …`.
pub fn run(place: &Place, verb: &DataVerb, person: &str, format: Format) -> anyhow::Result<u8> {
    match verb {
        DataVerb::Screen(arguments) => crate::screen::run(arguments, format),
        DataVerb::List => {
            for source in dataset::SOURCES {
                println!(
                    "{}\n  {}\n  {} bytes, {}, {}",
                    source.name, source.title, source.bytes, source.licence, source.url
                );
            }
            Ok(0)
        }
        DataVerb::Fetch { name, from } => {
            let Some(source) = dataset::source(name) else {
                let known: Vec<&str> = dataset::SOURCES.iter().map(|s| s.name).collect();
                bail!("there is no data set `{name}`; known are {}", known.join(", "));
            };
            let to = target(place, source)?;
            match from {
                Some(file) => {
                    let bytes = dataset::read_file(file, source.bytes + 1)?;
                    dataset::place(source, &bytes, &to)?;
                }
                None => download(source, &to)?,
            }
            println!("{} is in {}", source.title, to.display());
            admit_those_that_waited(place, source, person, format)
        }
    }
}

/// Admits the systems that the data set was for, here or in the program that is running.
fn admit_those_that_waited(
    place: &Place,
    source: &Source,
    person: &str,
    format: Format,
) -> anyhow::Result<u8> {
    let settings = app::config::load(&place.config)?;
    let waited = settings.systems.values().filter(|s| s.fetch.as_deref() == Some(source.name));
    let mut worst = 0;
    for system in waited {
        let command = app::command::Command::Admit { system: system.id.clone() };
        worst = worst.max(local::perform(place, person, format, command)?);
    }
    Ok(worst)
}

/// Where the configuration wants the data set.
fn target(place: &Place, source: &Source) -> anyhow::Result<PathBuf> {
    let settings = app::config::load(&place.config)?;
    let wants = settings.systems.values().find(|s| s.fetch.as_deref() == Some(source.name));
    match wants {
        Some(system) => Ok(system.reference.clone()),
        None => {
            bail!("no system of `{}` asks for `{}` (reference.fetch)", place.config.display(), source.name)
        }
    }
}

fn download(source: &Source, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().context("the data set needs a folder")?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    let wanted = upstream::Wanted {
        bytes_max: source.bytes,
        sha256: format!("sha256:{}", source.sha256).parse().ok(),
        md5: md5_of(source.md5),
    };
    let bar = crate::terminal::bar(source.name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fetched = runtime.block_on(async {
        let outbound = upstream::Outbound::new(None)?;
        outbound
            .download(source.url, &wanted, to, |done, all| {
                bar.set_length(all.unwrap_or(source.bytes));
                bar.set_position(done);
            })
            .await
    });
    bar.finish_and_clear();
    if let Err(error) = fetched {
        bail!(
            "{error}\nWithout a connection: fetch it elsewhere and run `asepsis data fetch {} --from FILE` (sha256 {})",
            source.name,
            source.sha256
        );
    }
    Ok(())
}

fn md5_of(hex: &str) -> Option<[u8; 16]> {
    let mut out = [0; 16];
    for (n, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_has_a_readable_digest() {
        for source in dataset::SOURCES {
            assert!(md5_of(source.md5).is_some() && source.sha256.len() == 64, "{}", source.name);
        }
    }
}
