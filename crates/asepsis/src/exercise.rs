//! `asepsis exercise`: attack a model, and keep what was seen as a scorecard.

mod cli;
mod follow;
mod gate;
mod harden;
mod service;
mod sick;
mod through;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use app::command::Command;
use app::exercise::{self, Address, Overrides, Request, Target, Watch};
use attack::scorecard::{Scorecard, compare};

use crate::cli::Format;
use crate::local::{self, Place};
use crate::scan::{self, pretty};

pub use cli::{ExerciseVerb, RunArguments};

/// Largest model and data file, bytes.
const BYTES_MAX: u64 = 2 << 30;
/// Largest scorecard that is read, bytes.
const CARD_BYTES_MAX: u64 = 256 << 20;

/// Runs `asepsis exercise …`.
pub fn run(place: &Place, person: &str, verb: &ExerciseVerb, format: Format) -> anyhow::Result<u8> {
    match verb {
        ExerciseVerb::List => list(format),
        ExerciseVerb::Explain { name } => explain(name, format),
        ExerciseVerb::Run(arguments) => exercise(place, person, arguments, format),
        ExerciseVerb::Harden(arguments) => harden::harden(place, arguments, format),
        ExerciseVerb::Service { system, only } => service::service(place, system, only, format),
        ExerciseVerb::Show { scorecard, html } => show(&read_card(scorecard)?, html.as_deref(), None, format),
        ExerciseVerb::Compare { first, second } => compared(first, second, format),
    }
}

fn list(format: Format) -> anyhow::Result<u8> {
    let suites = exercise::shipped_suites()?;
    if format == Format::Json {
        let attacks: Vec<_> = attack::evasion::ATTACKS
            .iter()
            .map(|a| serde_json::json!({ "id": a.entry.id, "name": a.entry.name, "needs": a.needs, "norms": a.norms, "what": a.entry.summary() }))
            .collect();
        let conditions: Vec<_> = attack::corruption::CORRUPTIONS
            .iter()
            .map(|c| {
                serde_json::json!({ "id": c.entry.id, "name": c.entry.name, "for": c.subject, "severities": c.strengths.values, "strength": c.strengths.means, "what": c.entry.summary() })
            })
            .collect();
        print!(
            "{}",
            pretty(&serde_json::json!({ "suites": suites, "attacks": attacks, "conditions": conditions }))?
        );
        return Ok(0);
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header([
        "SUITE",
        "VERSION",
        "PARTS",
        "SAMPLES",
        "WHAT IT IS FOR",
    ]);
    for suite in &suites {
        let parts = suite.steps.len() + suite.conditions.len() + suite.changes.len() + suite.studies.len();
        let (version, steps, samples) =
            (suite.version.to_string(), parts.to_string(), suite.samples.to_string());
        table.add_row([&suite.name, &version, &steps, &samples, &suite.purpose]);
    }
    println!("{table}\n");
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header([
        "ID",
        "ATTACK",
        "NEEDS",
        "NORMS",
        "WHAT IT IS",
    ]);
    for attack in attack::evasion::ATTACKS {
        let norms: Vec<&str> = attack.norms.iter().map(|n| n.as_str()).collect();
        let needs = format!("{:?}", attack.needs).to_lowercase();
        table.add_row([attack.entry.id, attack.entry.name, &needs, &norms.join(" "), attack.entry.summary()]);
    }
    println!("{table}\n");
    println!("{}", conditions());
    Ok(0)
}

/// All families of conditions.
fn conditions() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header([
        "ID",
        "CONDITION",
        "FOR",
        "SEVERITIES",
        "WHAT IT IS",
    ]);
    for family in attack::corruption::CORRUPTIONS {
        let subject = format!("{:?}", family.subject).to_lowercase();
        let severities = format!("1 to {}", family.strengths.values.len());
        table.add_row([family.entry.id, family.entry.name, &subject, &severities, family.entry.summary()]);
    }
    table
}

/// The page of an attack, or what a suite does.
fn explain(name: &str, format: Format) -> anyhow::Result<u8> {
    if attack::suite::shipped(name).is_none() && !Path::new(name).is_file() {
        return crate::cli::explain(Some(name), false, format);
    }
    let suite = exercise::load_suite(name)?;
    if format == Format::Json {
        print!("{}", pretty(&suite)?);
        return Ok(0);
    }
    println!(
        "{} version {}: {}\n\n{}\n\n{} samples, seed {}, {}",
        suite.name,
        suite.version,
        suite.title,
        suite.purpose,
        suite.samples,
        suite.seed,
        suite.digest()
    );
    if suite.chain {
        println!("A sample that fell to one step is spared the later ones of the same norm.");
    }
    if let Some(min) = suite.keeps_min {
        println!("Fails when less than {:.0}% of the right answers stand the smallest budgets.", 100.0 * min);
    }
    println!();
    explain_steps(&suite);
    explain_disturbed(&suite);
    Ok(0)
}

fn explain_steps(suite: &attack::suite::Suite) {
    if suite.steps.is_empty() {
        return;
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(["STEP", "ATTACK", "FOR", "NORM", "BUDGETS"]);
    for step in &suite.steps {
        let kind = if step.subject == attack::suite::Subject::Image { "image" } else { "table" };
        let budgets: Vec<String> =
            step.epsilons.iter().map(|e| attack::scorecard::budget_text(kind, step.norm, *e)).collect();
        let subject = format!("{:?}", step.subject).to_lowercase();
        table.add_row([&step.label, &step.attack, &subject, step.norm.as_str(), &budgets.join(", ")]);
    }
    println!("{table}");
}

/// Conditions and searches of a suite.
fn explain_disturbed(suite: &attack::suite::Suite) {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(["CONDITION", "FAMILY", "FOR", "HOW STRONG"]);
    for condition in &suite.conditions {
        let means = attack::corruption::find(&condition.family).map_or("", |f| f.strengths.means);
        let levels: Vec<String> =
            condition.levels.iter().map(|l| attack::scorecard::trim(l.strength)).collect();
        let subject = format!("{:?}", condition.subject).to_lowercase();
        let strong = format!("{} ({means})", levels.join(", "));
        table.add_row([&condition.label, &condition.family, &subject, &strong]);
    }
    if !suite.conditions.is_empty() {
        println!("\n{table}");
    }
    for change in &suite.changes {
        println!(
            "\n{}: the least plausible change of each patient's row ({}), at most {} queries a patient; trees exactly within {} boxes.",
            change.label,
            change.norm.as_str(),
            change.queries_max,
            change.boxes_max
        );
    }
    print!("{}", studies(suite));
}

/// The studies of a suite, one line each.
fn studies(suite: &attack::suite::Suite) -> String {
    if suite.studies.is_empty() {
        return String::new();
    }
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(["STUDY", "ATTACK", "FOR", "RECIPE", "ROWS"]);
    for study in &suite.studies {
        let subject = format!("{:?}", study.subject).to_lowercase();
        let recipe = study.recipe.network.map_or("by the rows", attack::suite::study::Network::as_str);
        table.add_row([&study.label, &study.attack, &subject, recipe, &study.recipe.rows.to_string()]);
    }
    format!("{table}\n")
}

fn read_card(path: &Path) -> anyhow::Result<Scorecard> {
    let bytes = app::dataset::read_file(path, CARD_BYTES_MAX)
        .map_err(|e| anyhow::anyhow!(e.to_string().replace("reference data", "the scorecard")))?;
    let card: Scorecard = serde_json::from_slice(&bytes).with_context(|| {
        format!("`{}` is not a scorecard: make one with `asepsis exercise run --format json`", path.display())
    })?;
    if card.form != attack::scorecard::FORM {
        bail!(
            "`{}` has the form `{}`, this program reads `{}`",
            path.display(),
            card.form,
            attack::scorecard::FORM
        );
    }
    Ok(card)
}

fn compared(first: &Path, second: &Path, format: Format) -> anyhow::Result<u8> {
    let (a, b) = (read_card(first)?, read_card(second)?);
    match compare(&a, &b) {
        Ok(both) => {
            match format {
                Format::Json => print!("{}", pretty(&both)?),
                _ => print!("{}", exercise::compare_text(&a.subject.kind, &both)),
            }
            Ok(u8::from(both.worse()))
        }
        Err(differs) => {
            bail!("the scorecards come from unequal suites and are not compared:\n  {}", differs.join("\n  "))
        }
    }
}

fn exercise(place: &Place, person: &str, arguments: &RunArguments, format: Format) -> anyhow::Result<u8> {
    let suite = exercise::load_suite(&arguments.suite)?;
    let overrides =
        Overrides { samples: arguments.samples, seed: arguments.seed, queries_max: arguments.budget_queries };
    let suite = overrides.apply(suite)?;
    if arguments.budget_time == Some(0) {
        bail!("a budget of 0 seconds does nothing: give 1 or more");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let bytes_max = BYTES_MAX;
    let gate = through::open(place, arguments, runtime.handle())?;
    let request = Request {
        target: target(place, arguments)?,
        suite,
        reading: exercise::Reading {
            split: arguments.split.clone(),
            label: arguments.label.clone(),
            group: arguments.group.clone(),
            range: arguments.range.as_deref().map(range).transpose()?,
            finding: arguments.finding,
        },
        output: arguments.output_tensor.clone(),
        labels_only: arguments.labels_only,
        threads: arguments
            .threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
            .clamp(1, 64),
        time_max: arguments.budget_time.map(Duration::from_secs),
        state: state(place, arguments),
        resume: arguments.resume,
        exhibits_max: if arguments.no_exhibits { 0 } else { arguments.exhibits },
        bytes_max,
        through: gate.as_ref().map(through::Way::request),
    };
    let following = Arc::new(follow::Follower::new());
    let watch: Arc<dyn Watch> = Arc::<follow::Follower>::clone(&following);
    let card = exercise::run(&request, &watch, runtime.handle());
    following.end();
    drop(request);
    if let Some(gate) = gate {
        runtime.block_on(gate.stop());
    }
    let card = card?;
    let code = show(&card, arguments.html.as_deref(), arguments.output.as_deref(), format)?;
    keep(place, person, arguments, &card)?;
    Ok(code)
}

/// Evidence of an exercise on a hospital's system goes into its ledger.
fn keep(place: &Place, person: &str, arguments: &RunArguments, card: &Scorecard) -> anyhow::Result<()> {
    let Some(system) = arguments.system.as_ref().filter(|_| !arguments.no_evidence) else { return Ok(()) };
    let way = if card.gateway.is_some() { "-gateway" } else { "" };
    let file = place.dir.join("exercises").join(format!("{system}-{}{way}.json", card.suite.name));
    scan::write(Some(&file), &pretty(card)?)?;
    if card.rows.is_empty() && !card.studies.is_empty() {
        // Evidence of an exercise stands for attacks on the model; studies alone would hide that none was run.
        eprintln!(
            "the scorecard is in {}; no evidence was made of it, because no attack on the model was run",
            file.display()
        );
        return Ok(());
    }
    let command = Command::ExerciseKeep { system: system.clone(), scorecard: file };
    let reply =
        local::ask(place, person, command).context("the exercise is done, but its evidence was not kept")?;
    eprint!("{}", reply.text);
    Ok(())
}

fn target(place: &Place, arguments: &RunArguments) -> anyhow::Result<Target> {
    let data =
        || arguments.data.clone().context("name the rows and their classes with --data FILE (.npz or .csv)");
    if let Some(model) = &arguments.model {
        return Ok(Target::File { model: model.clone(), data: data()? });
    }
    if let Some(address) = &arguments.target {
        let token = match &arguments.token_env {
            None => None,
            Some(name) => Some(
                std::env::var(name)
                    .with_context(|| format!("the environment variable `{name}` holds no token"))?,
            ),
        };
        return Ok(Target::Remote { address: Address::parse(address)?, token, data: data()? });
    }
    let Some(id) = &arguments.system else {
        bail!("name what to attack: --system NAME, --model FILE or --target ADDRESS");
    };
    let settings = app::config::load(&place.config)?;
    let system = settings.systems.get(id).ok_or_else(|| app::AppError::UnknownSystem(id.to_string()))?;
    Ok(Target::System(Box::new(system.clone())))
}

fn range(text: &str) -> anyhow::Result<(f64, f64)> {
    let both = text.split_once(':').and_then(|(l, h)| Some((l.trim().parse().ok()?, h.trim().parse().ok()?)));
    match both {
        Some((low, high)) if high > low => Ok((low, high)),
        _ => bail!("`{text}` is not a range: write LOW:HIGH, for example 0:255 or -1:1"),
    }
}

/// Where an exercise keeps what it has finished.
fn state(place: &Place, arguments: &RunArguments) -> Option<PathBuf> {
    if arguments.system.is_some() && place.dir.is_dir() {
        return Some(place.dir.join("exercises"));
    }
    Some(scan::cache_folder()?.join("exercise"))
}

/// Writes the scorecard in the forms asked for; 0 nothing fell, 1 something fell, 2 not complete.
fn show(card: &Scorecard, html: Option<&Path>, output: Option<&Path>, format: Format) -> anyhow::Result<u8> {
    let text = match format {
        Format::Text => exercise::scorecard_text(card),
        Format::Json => pretty(card)?,
        Format::Sarif => pretty(&exercise::scorecard_sarif(card))?,
    };
    scan::write(output, &text)?;
    if let Some(file) = html {
        scan::write(Some(file), &exercise::scorecard_html(card))?;
        eprintln!("the scorecard is in {}", file.display());
    }
    Ok(match (card.complete, card.found()) {
        (false, _) => 2,
        (true, true) => 1,
        (true, false) => 0,
    })
}
