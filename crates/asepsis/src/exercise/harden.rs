//! `asepsis exercise harden`: trains a plain and a hardened model, writes the hardened one, and says what it is worth.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use app::exercise::{self, Hardened, Hardening, Method, Overrides, Request, Target, Watch};
use attack::Norm;
use attack::suite::study::{EPOCHS_MAX, HIDDEN_MAX, Network, ROWS, Recipe};
use clap::{Args, ValueEnum};
use domain::SystemId;

use super::follow;
use crate::cli::Format;
use crate::local::Place;
use crate::scan::{self, pretty};

/// What `asepsis exercise harden` takes.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 written and nothing is worse, 1 written and a figure is worse beyond chance (often the accuracy without an attack), 2 nothing was written."
)]
pub struct HardenArguments {
    /// A system of the configuration: its reference data, splits and ranges
    #[arg(long, value_name = "NAME", conflicts_with = "data", required_unless_present = "data")]
    pub system: Option<SystemId>,
    /// Rows and classes with a split `train`, as `exercise run` takes them
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// What is done
    #[arg(long, value_enum)]
    pub method: Measure,
    /// Where the hardened model goes
    #[arg(long, short, value_name = "MODEL.onnx")]
    pub output: PathBuf,
    /// Write over what is there
    #[arg(long)]
    pub force: bool,
    /// Go on from this model (ONNX, with gradients) instead of training a new one
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// New models: by the rows if left out
    #[arg(long, value_enum, conflicts_with = "model")]
    pub recipe: Option<RecipeName>,
    /// Hidden layers of a perceptron, for example 64,32
    #[arg(long, value_delimiter = ',', value_name = "N,N", conflicts_with = "model")]
    pub hidden: Vec<usize>,
    /// Passes over the training rows
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Length of a step of training
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// Most training rows, drawn with the seed
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub rows: usize,
    /// Radius of adversarial training in the unit box, for example 8/255 or 0.05
    #[arg(long, value_name = "RADIUS", value_parser = fraction)]
    pub epsilon: Option<f64>,
    /// Norm of adversarial training: linf or l2
    #[arg(long, default_value = "linf", value_parser = norm)]
    pub norm: Norm,
    /// Steps of the attack inside adversarial training
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub steps: usize,
    /// Deviation of the noise of smoothing, in the unit box
    #[arg(long, value_parser = fraction)]
    pub sigma: Option<f64>,
    /// Samples of noise from which a radius is proven
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub certify_samples: u64,
    /// Held-out rows that are certified
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub certify_rows: usize,
    /// Suite of the scorecards before and after: a name or a TOML file
    #[arg(long, default_value = "quick", value_name = "NAME|FILE")]
    pub suite: String,
    /// Samples of the scorecards; the suite's number if left out
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Seed; the suite's if left out
    #[arg(long)]
    pub seed: Option<u64>,
    /// Write both scorecards here, as JSON and as pages: before.json, after.json, before.html, after.html
    #[arg(long, value_name = "FOLDER")]
    pub scorecards: Option<PathBuf>,
    /// Threads of the exercises; all cores if left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Held-out split of the data: `test` where there is one
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    /// Column or array with the class
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Range of the model's input values, for example 0:255 or -1:1
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    pub range: Option<String>,
    /// Output tensor with the scores (--model)
    #[arg(long = "output-tensor", value_name = "NAME", requires = "model")]
    pub output_tensor: Option<String>,
}

/// What is done against attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Train on rows that were attacked a moment before
    AdversarialTraining,
    /// Train with noise, ask many times with noise, and prove a radius
    Smoothing,
}

/// Models that can be hardened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RecipeName {
    /// Logistic regression
    Logistic,
    /// Multilayer perceptron
    Mlp,
    /// Small convolutional network, for images
    SmallCnn,
}

fn fraction(text: &str) -> Result<f64, String> {
    let value = match text.split_once('/') {
        None => text.trim().parse::<f64>().ok(),
        Some((above, below)) => {
            above.trim().parse::<f64>().ok().zip(below.trim().parse::<f64>().ok()).map(|(a, b)| a / b)
        }
    };
    value
        .filter(|v| *v > 0.0 && v.is_finite())
        .ok_or_else(|| format!("`{text}` is not above 0: write a number or a fraction such as 8/255"))
}

fn norm(text: &str) -> Result<Norm, String> {
    match text {
        "linf" => Ok(Norm::Linf),
        "l2" => Ok(Norm::L2),
        _ => Err(format!("`{text}` is no norm for training: write linf or l2")),
    }
}

/// Runs `asepsis exercise harden`.
pub fn harden(place: &Place, arguments: &HardenArguments, format: Format) -> anyhow::Result<u8> {
    if format == Format::Sarif {
        bail!("hardening has no findings: write --format json or text");
    }
    let hardening = hardening(place, arguments)?;
    let following = Arc::new(follow::Follower::new());
    let watch: Arc<dyn Watch> = Arc::<follow::Follower>::clone(&following);
    let done = exercise::harden(&hardening, &watch);
    following.end();
    let done = done?;
    if let Some(folder) = &arguments.scorecards {
        keep(folder, &done)?;
    }
    match format {
        Format::Json => print!("{}", pretty(&done)?),
        _ => print!("{}", text(&done)),
    }
    eprintln!("the hardened model is in {}", arguments.output.display());
    Ok(u8::from(done.comparison.worse()))
}

fn hardening(place: &Place, a: &HardenArguments) -> anyhow::Result<Hardening> {
    let overrides = Overrides { samples: a.samples, seed: a.seed, queries_max: None };
    let suite = overrides.apply(exercise::load_suite(&a.suite)?)?;
    let target = match (&a.system, &a.data) {
        (Some(id), _) => {
            let settings = app::config::load(&place.config)?;
            let system = settings.systems.get(id);
            Target::System(Box::new(
                system.ok_or_else(|| app::AppError::UnknownSystem(id.to_string()))?.clone(),
            ))
        }
        (None, Some(data)) => Target::File { model: a.output.clone(), data: data.clone() },
        (None, None) => bail!("name the rows: --data FILE or --system NAME"),
    };
    let method = match a.method {
        Measure::AdversarialTraining => {
            Method::AdversarialTraining { norm: a.norm, epsilon: a.epsilon, steps: a.steps }
        }
        Measure::Smoothing => {
            Method::Smoothing { sigma: a.sigma, samples: a.certify_samples, rows: a.certify_rows }
        }
    };
    match a.method {
        Measure::AdversarialTraining if a.sigma.is_some() => bail!("--sigma belongs to --method smoothing"),
        Measure::Smoothing if a.epsilon.is_some() => {
            bail!("--epsilon belongs to --method adversarial-training")
        }
        _ => {}
    }
    let threads = a.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into));
    let exercise = Request {
        target,
        suite,
        reading: exercise::Reading {
            split: a.split.clone(),
            label: a.label.clone(),
            group: None,
            range: a.range.as_deref().map(super::range).transpose()?,
            finding: None,
        },
        output: a.output_tensor.clone(),
        labels_only: false,
        threads: threads.clamp(1, 64),
        time_max: None,
        state: None,
        resume: false,
        exhibits_max: if a.scorecards.is_some() { 20 } else { 0 },
        bytes_max: 2 << 30,
        through: None,
    };
    let (model, output, force) = (a.model.clone(), a.output.clone(), a.force);
    Ok(Hardening { exercise, model, method, recipe: recipe(a)?, output, force })
}

fn recipe(a: &HardenArguments) -> anyhow::Result<Recipe> {
    if a.epochs.is_some_and(|e| e == 0 || e > EPOCHS_MAX) {
        bail!("--epochs is 1 to {EPOCHS_MAX}");
    }
    if a.learning_rate.is_some_and(|r| !(r > 0.0 && r <= 10.0)) {
        bail!("--learning-rate is above 0 and at most 10");
    }
    if a.hidden.len() > HIDDEN_MAX.0 || a.hidden.iter().any(|h| *h == 0 || *h > HIDDEN_MAX.1) {
        bail!("--hidden is up to {} layers of 1 to {} units", HIDDEN_MAX.0, HIDDEN_MAX.1);
    }
    if !(ROWS.0..=ROWS.1).contains(&a.rows) {
        bail!("--rows is {} to {}", ROWS.0, ROWS.1);
    }
    let network = a.recipe.map(|name| match name {
        RecipeName::Logistic => Network::Logistic,
        RecipeName::Mlp => Network::Mlp,
        RecipeName::SmallCnn => Network::SmallCnn,
    });
    let (hidden, epochs, learning_rate, rows) = (a.hidden.clone(), a.epochs, a.learning_rate, a.rows);
    Ok(Recipe { network, hidden, epochs, learning_rate, rows })
}

/// Both scorecards, as data and as pages.
fn keep(folder: &Path, done: &Hardened) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    for (name, card) in [("before", &done.before), ("after", &done.after)] {
        scan::write(Some(&folder.join(format!("{name}.json"))), &pretty(card)?)?;
        scan::write(Some(&folder.join(format!("{name}.html"))), &exercise::scorecard_html(card))?;
    }
    eprintln!("both scorecards are in {}", folder.display());
    Ok(())
}

fn text(done: &Hardened) -> String {
    let mut out = format!(
        "{} ({})\n{}, {} training rows\n{} {}\n\nFirst: the plain model. Second: the hardened one.\n",
        done.settings, done.method, done.recipe, done.train_rows, done.model, done.model_digest
    );
    out.push_str(&exercise::compare_text(&done.after.subject.kind, &done.comparison));
    let Some(proven) = &done.certificate else { return out };
    let (s, standing) = (&proven.smoothing, &proven.standing);
    let share = |s: &attack::measure::Share| {
        format!("{:.1}% ({:.1} to {:.1})", 100.0 * s.share, 100.0 * s.low, 100.0 * s.high)
    };
    let _ = writeln!(
        out,
        "\nSmoothed with deviation {}: asked {} times a row, {} rows, a radius is wrong with probability {}\n  right {}, abstains {}, mean radius {:.3}",
        s.sigma,
        s.select + s.certify,
        standing.rows.len(),
        s.alpha,
        share(&standing.accuracy),
        share(&standing.abstained),
        standing.radius_mean
    );
    let _ = writeln!(out, "  {:>14}  RIGHT AND PROVEN (95% INTERVAL)", "RADIUS (L2)");
    for at in &standing.curve {
        let _ = writeln!(out, "  {:>14.3}  {}", at.radius, share(&at.accuracy));
    }
    out.push_str("  The proof holds for the smoothed model: ask it with noise and take the commonest answer. One plain answer of the file proves nothing.\n");
    out
}
