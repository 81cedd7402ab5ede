//! The command line: what can be typed, and which function of `app` it reaches.

use std::path::PathBuf;

use access::Role;
use anyhow::{Context as _, bail};
use app::command::Command;
use clap::{Parser, Subcommand, ValueEnum};
use domain::{ClientId, KeyId, Stage, SystemId};

use crate::{bom, data, exercise, local, scan, serve, sign};

/// Built-in security for clinical AI, from procurement to routine use.
#[derive(Parser)]
#[command(
    name = "asepsis",
    version,
    about,
    max_term_width = 110,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 clean, 1 found or shut, 2 inconclusive or bad input.\nStart with `asepsis up`; `asepsis explain` lists everything that has a page."
)]
pub struct Arguments {
    /// Data directory [default: $XDG_DATA_HOME/asepsis or ~/.local/share/asepsis]
    #[arg(long, global = true, env = "ASEPSIS_DIR", value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// Configuration file [default: hospital/asepsis.toml in the data directory]
    #[arg(long, global = true, env = "ASEPSIS_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Act as this person of the configuration; without it as whoever holds the data directory
    #[arg(long = "as", global = true, value_name = "PERSON")]
    pub person: Option<String>,
    /// Form of the answer
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(subcommand)]
    pub command: Verb,
}

/// Form of an answer.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For code hosts and security dashboards (scans, exercises).
    Sarif,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Start everything with the example hospital: gateway, console, traffic and a rehearsal
    Up(serve::UpArguments),
    /// Start gateway and console with your configuration
    Serve(serve::ServeArguments),
    /// Check a configuration without acting on it
    CheckConfig {
        /// The file; the one in use if left out
        file: Option<PathBuf>,
        /// Print the JSON Schema of the file instead
        #[arg(long)]
        schema: bool,
    },
    /// Say what is in a model file, folder or archive, and whether it could do harm; nothing of it is run
    Scan(scan::ScanArguments),
    /// Write the bill of materials of a model (CycloneDX), and say where a vendor's papers differ from the file
    Bom(bom::BomArguments),
    /// Sign a model: bind every file of it to a key or certificate (OpenSSF Model Signing v1.0)
    Sign(sign::SignArguments),
    /// Verify a model's signature, and name every file that is not as it was signed
    Verify(sign::VerifyArguments),
    /// Make a key pair for signing models
    SigningKey {
        /// Where the private key goes; the public one goes beside it with `.pub`
        file: PathBuf,
    },
    /// Attack a model as the strongest attackers would, and keep what stood as a scorecard
    #[command(subcommand)]
    Exercise(exercise::ExerciseVerb),
    /// Check the present version of a system and write evidence
    Admit {
        system: SystemId,
        /// Put this model file in the place that the configuration names, then admit
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
    },
    /// Print what is met, owed or stale at a gate, and why
    Gate {
        system: SystemId,
        #[arg(default_value_t = Stage::Deployment)]
        stage: Stage,
    },
    /// Print what is served and what is not
    Status,
    /// Accept that a control is not met, for a limited time
    AcceptRisk {
        system: SystemId,
        control: String,
        #[arg(long, default_value_t = 14, value_name = "DAYS")]
        days: u32,
        #[arg(long)]
        reason: String,
    },
    /// Stop a system at once
    Suspend {
        system: SystemId,
        #[arg(long)]
        reason: String,
    },
    /// Let a stopped system answer again
    Resume { system: SystemId },
    /// Shut a client out
    Quarantine {
        client: ClientId,
        #[arg(long)]
        reason: String,
        /// Until lifted if left out
        #[arg(long)]
        hours: Option<u32>,
        /// Let the client in again
        #[arg(long, conflicts_with_all = ["reason", "hours"])]
        lift: bool,
    },
    /// Review a system's traffic and alarms; evidence for routine use
    Review { system: SystemId },
    /// Mark an alarm as looked at
    Acknowledge { alarm: i64 },
    /// Flag an answer as wrong, by the number of its receipt
    Flag {
        receipt: u64,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Read the configuration again (also on SIGHUP); a file with a mistake changes nothing
    Reload,
    /// API keys of clients
    #[command(subcommand)]
    Key(KeyVerb),
    /// Make a one-time sign-in link for the console
    SignIn { person: String },
    /// The ledger: verify, show, prove, export
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Data sets: fetch from the publisher; screen texts for training
    #[command(subcommand)]
    Data(data::DataVerb),
    /// Explain a guard, check, control, refusal or alarm; without a name list all
    Explain {
        id: Option<String>,
        /// Print the whole reference as Markdown
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

#[derive(Subcommand)]
pub enum KeyVerb {
    /// Make a key for a client; it is shown once
    Create {
        client: ClientId,
        /// Systems it may ask; those of the configuration if left out
        #[arg(long = "system", value_name = "SYSTEM")]
        systems: Vec<SystemId>,
        #[arg(long = "role", value_name = "ROLE", default_value = "client")]
        roles: Vec<Role>,
        /// Days until it ends; a year if left out
        #[arg(long, default_value_t = 365)]
        days: u32,
        #[arg(long, default_value = "")]
        note: String,
    },
    /// List keys
    List,
    /// Take a key away
    Revoke { key: KeyId },
    /// Make the successor of a key; the old one opens for some days more, so that its client can change over
    Rotate {
        key: KeyId,
        /// Days for which both open (0 to 90)
        #[arg(long, default_value_t = 7, value_name = "DAYS")]
        overlap_days: u32,
    },
}

#[derive(Subcommand)]
pub enum AuditVerb {
    /// Verify every entry up to the signed head
    Verify {
        /// Verify this copy of a ledger folder instead, with --key
        #[arg(long, requires = "key", value_name = "FOLDER")]
        ledger: Option<PathBuf>,
        /// Public key of that ledger, as `asepsis audit key` prints it
        #[arg(long, requires = "ledger")]
        key: Option<String>,
    },
    /// Show entries
    Show {
        /// First entry
        #[arg(default_value_t = 0)]
        first: u64,
        /// How many
        #[arg(long, short = 'n', default_value_t = 50)]
        count: u64,
    },
    /// Print a proof that an entry is in the ledger
    Prove { index: u64 },
    /// Check such a proof, with the public key
    CheckProof {
        proof: PathBuf,
        #[arg(long)]
        key: String,
    },
    /// Print the public key
    Key,
    /// Write entries, signed head and public key into a new folder
    Export { folder: PathBuf },
}

/// Runs what was typed.
pub fn run(arguments: Arguments) -> anyhow::Result<u8> {
    let place = local::Place::find(&arguments)?;
    let person = arguments.person.clone().unwrap_or_else(|| app::people::LOCAL.to_owned());
    let format = arguments.format;
    let in_sarif = matches!(
        arguments.command,
        Verb::Scan(_) | Verb::Exercise(exercise::ExerciseVerb::Run(_) | exercise::ExerciseVerb::Show { .. })
    );
    if format == Format::Sarif && !in_sarif {
        bail!(
            "only `asepsis scan` and `asepsis exercise run` and `show` answer in SARIF: use --format text or json"
        );
    }
    match arguments.command {
        Verb::Scan(ref scan) => scan::run(scan, format),
        Verb::Bom(ref bom) => bom::run(bom, format),
        Verb::Exercise(ref verb) => exercise::run(&place, &person, verb, format),
        Verb::Sign(ref sign) => sign::sign(sign, format),
        Verb::Verify(ref verify) => sign::verify(verify, format),
        Verb::SigningKey { ref file } => sign::new_key(file),
        Verb::Up(ref up) => serve::up(&place, up),
        Verb::Serve(ref serve) => serve::serve(&place, serve),
        Verb::CheckConfig { file, schema } => check_config(&place, file, schema),
        Verb::Explain { id, all } => explain(id.as_deref(), all, arguments.format),
        Verb::Data(verb) => data::run(&place, &verb, &person, format),
        Verb::Audit(AuditVerb::Verify { ledger: Some(ledger), key: Some(key) }) => {
            let bar = crate::terminal::bar("verifying");
            let report = app::audit::verify_folder(&ledger, &key, None, &mut |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            })?;
            bar.finish_and_clear();
            println!("{}", app::command::audit_text(&report));
            Ok(u8::from(!report.findings.is_empty()))
        }
        Verb::Audit(AuditVerb::CheckProof { proof, key }) => check_proof(&proof, &key),
        Verb::Admit { ref system, model: Some(ref file) } => {
            local::replace_model(&place, system, file)?;
            local::perform(&place, &person, format, Command::Admit { system: system.clone() })
        }
        ref verb => {
            let command = command(verb, &place)?;
            local::perform(&place, &person, format, command)
        }
    }
}

/// The command behind a verb that acts on the hospital.
fn command(verb: &Verb, place: &local::Place) -> anyhow::Result<Command> {
    Ok(match verb {
        Verb::Admit { system, .. } => Command::Admit { system: system.clone() },
        Verb::Gate { system, stage } => Command::Gate { system: system.clone(), stage: *stage },
        Verb::Status => Command::Status,
        Verb::AcceptRisk { system, control, days, reason } => Command::AcceptRisk {
            system: system.clone(),
            control: control.clone(),
            days: *days,
            reason: reason.clone(),
        },
        Verb::Suspend { system, reason } => {
            Command::Suspend { system: system.clone(), reason: reason.clone() }
        }
        Verb::Resume { system } => Command::Resume { system: system.clone() },
        Verb::Quarantine { client, lift: true, .. } => Command::LiftQuarantine { client: client.clone() },
        Verb::Quarantine { client, reason, hours, .. } => {
            Command::Quarantine { client: client.clone(), reason: reason.clone(), hours: *hours }
        }
        Verb::Review { system } => Command::Review { system: system.clone() },
        Verb::Acknowledge { alarm } => Command::Acknowledge { alarm: *alarm },
        Verb::Flag { receipt, reason } => Command::Flag { receipt: *receipt, reason: reason.clone() },
        Verb::Reload => Command::Reload,
        Verb::SignIn { person } => Command::SignIn { person: person.clone() },
        Verb::Key(KeyVerb::Create { client, systems, roles, days, note }) => Command::KeyCreate {
            client: client.clone(),
            roles: roles.clone(),
            systems: if systems.is_empty() { place.systems_of(client)? } else { systems.clone() },
            days: Some(*days),
            note: note.clone(),
        },
        Verb::Key(KeyVerb::List) => Command::KeyList,
        Verb::Key(KeyVerb::Revoke { key }) => Command::KeyRevoke { key: key.clone() },
        Verb::Key(KeyVerb::Rotate { key, overlap_days }) => {
            Command::KeyRotate { key: key.clone(), overlap_days: *overlap_days }
        }
        Verb::Audit(AuditVerb::Verify { .. }) => Command::AuditVerify,
        Verb::Audit(AuditVerb::Show { first, count }) => Command::AuditShow { first: *first, count: *count },
        Verb::Audit(AuditVerb::Prove { index }) => Command::AuditProve { index: *index },
        Verb::Audit(AuditVerb::Key) => Command::AuditKey,
        Verb::Audit(AuditVerb::Export { folder }) => {
            Command::AuditExport { to: std::path::absolute(folder).context("the folder's path")? }
        }
        _ => anyhow::bail!("this command does not act on a hospital"),
    })
}

fn check_config(place: &local::Place, file: Option<PathBuf>, schema: bool) -> anyhow::Result<u8> {
    if schema {
        print!("{}", app::config::json_schema());
        return Ok(0);
    }
    let file = file.unwrap_or_else(|| place.config.clone());
    match app::config::load(&file) {
        Ok(settings) => {
            let (systems, clients) =
                (settings.systems.len() + settings.language.len(), settings.clients.len());
            println!(
                "{}: good; {systems} systems, {clients} clients, {} people",
                file.display(),
                settings.people.len()
            );
            Ok(0)
        }
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            Ok(2)
        }
    }
}

fn check_proof(proof: &std::path::Path, key: &str) -> anyhow::Result<u8> {
    let text =
        std::fs::read_to_string(proof).with_context(|| format!("cannot read `{}`", proof.display()))?;
    let verifier = ledger::Verifier::from_text(key.trim()).context("the public key")?;
    let parsed = ledger::ProofFile::parse(text.as_bytes()).context("the proof")?;
    let Some(entry) = &parsed.extra else {
        bail!("the proof does not carry its entry: make it with `asepsis audit prove`");
    };
    match parsed.verify_entry(entry, &verifier) {
        Ok(_) => {
            println!("good: entry {} is in the ledger of {}", parsed.index, verifier.name());
            println!("{}", String::from_utf8_lossy(entry));
            Ok(0)
        }
        Err(error) => {
            println!("NOT PROVEN: {error}");
            Ok(1)
        }
    }
}

/// Explains something of the catalogue, or lists all.
pub fn explain(id: Option<&str>, all: bool, format: Format) -> anyhow::Result<u8> {
    let pages = app::catalogue::pages(gateway::ENTRIES)?;
    if all {
        print!("{}", app::catalogue::reference(&pages));
        return Ok(0);
    }
    let Some(id) = id else {
        if format == Format::Json {
            println!("{}", serde_json::to_string_pretty(&pages)?);
            return Ok(0);
        }
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING).set_header(["ID", "KIND", "NAME", "WHAT IT IS"]);
        for page in &pages {
            table.add_row([&page.id, page.kind, &page.name, page.summary()]);
        }
        println!("{table}");
        return Ok(0);
    };
    let page = app::catalogue::find(&pages, id)?;
    if format == Format::Json {
        println!("{}", serde_json::to_string_pretty(&page)?);
    } else {
        println!("{} {} ({}, since {})\n\n{}", page.id, page.name, page.kind, page.since, page.doc.trim());
        if !page.maps.is_empty() {
            println!("\nMaps to: {}", page.maps.join(", "));
        }
    }
    Ok(0)
}
