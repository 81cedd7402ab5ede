//! What can be typed after `asepsis exercise`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::SystemId;

#[derive(Subcommand)]
pub enum ExerciseVerb {
    /// List suites, attacks and conditions
    List,
    /// Explain an attack or a condition, or say what a suite does
    Explain {
        /// Id or name of an attack or condition, name or file of a suite
        name: String,
    },
    /// Attack a model and write its scorecard
    Run(Box<RunArguments>),
    /// Train a hardened model, write it as ONNX, and compare it with the plain one
    Harden(Box<super::harden::HardenArguments>),
    /// Send malformed requests, huge batches, bursts, wrong clocks and sick model servers to a gateway with a system's guards
    Service {
        /// A system of the configuration
        #[arg(long, value_name = "NAME")]
        system: SystemId,
        /// Only this condition, by name or id; may be given several times
        #[arg(long = "only", value_name = "CONDITION")]
        only: Vec<String>,
    },
    /// Show a scorecard again, or make its page
    Show {
        /// Scorecard, as `run --format json` writes it
        scorecard: PathBuf,
        /// Write the page here
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Compare two scorecards of the same suite point by point: two versions, two models, two hospitals
    Compare {
        /// First scorecard (JSON)
        first: PathBuf,
        /// Second scorecard (JSON)
        second: PathBuf,
    },
}

/// What stands between attacker and model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// The gateway with the system's guards.
    Gateway,
}

/// What `asepsis exercise run` takes.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 nothing fell, 1 an answer was flipped by an attack, a condition or a plausible change, 2 not complete or bad input.\nThe same suite, seed, model and data give the same scorecard byte for byte, on any number of threads."
)]
pub struct RunArguments {
    /// A system of the configuration, on its held-out rows; evidence goes to the ledger
    #[arg(long, value_name = "NAME", conflicts_with_all = ["model", "target"])]
    pub system: Option<SystemId>,
    /// An ONNX file, with --data
    #[arg(long, value_name = "FILE", conflicts_with = "target", requires = "data")]
    pub model: Option<PathBuf>,
    /// A served model, http(s)://host:port/v2/models/NAME or grpc(s)://…, with --data; only its outputs are seen
    #[arg(long, value_name = "ADDRESS", requires = "data")]
    pub target: Option<String>,
    /// Environment variable with the bearer token for --target
    #[arg(long, value_name = "NAME", requires = "target")]
    pub token_env: Option<String>,
    /// Rows and classes: NumPy archive (`test_images` and `test_labels`, or `x` and `y`) or CSV with a header
    #[arg(long, value_name = "FILE", conflicts_with = "system")]
    pub data: Option<PathBuf>,
    /// Name of a suite (`asepsis exercise list`) or a TOML file
    #[arg(long, default_value = "quick", value_name = "NAME|FILE")]
    pub suite: String,
    /// Samples, classes as even as the data allow; the suite's number if left out
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Seed; the suite's if left out
    #[arg(long)]
    pub seed: Option<u64>,
    /// Most queries per sample and budget
    #[arg(long, value_name = "N")]
    pub budget_queries: Option<u64>,
    /// Most seconds; what is done is kept, and --resume goes on
    #[arg(long, value_name = "SECONDS")]
    pub budget_time: Option<u64>,
    /// Go on where the same exercise was ended (Ctrl-C, time, a server that went away)
    #[arg(long)]
    pub resume: bool,
    /// Send it as clients would, through a gateway with the system's guards (--system), and report what they saw
    #[arg(long, value_name = "gateway", requires = "system")]
    pub through: Option<Way>,
    /// API keys over which each run spreads its queries (--through)
    #[arg(long, value_name = "N", default_value_t = 1, requires = "through")]
    pub keys: usize,
    /// Let every guard that looks for attacks block, whatever the configuration says (--through)
    #[arg(long, requires = "through")]
    pub block: bool,
    /// Apply the configured rates and daily budgets of clients as well (--through); else they are lifted, so that the guards alone are measured
    #[arg(long, requires = "through")]
    pub client_limits: bool,
    /// Show the attacks decisions only, as a service does that hides its scores
    #[arg(long)]
    pub labels_only: bool,
    /// Threads; all cores if left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Write the page here: one file, no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the scorecard here instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Samples shown with what was changed
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub exhibits: usize,
    /// Keep patients' values out of the scorecard
    #[arg(long)]
    pub no_exhibits: bool,
    /// Write no evidence into the ledger (--system)
    #[arg(long)]
    pub no_evidence: bool,
    /// Split of the data: `test` where there is one
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
    /// Column or array with the class
    #[arg(long, value_name = "NAME")]
    pub label: Option<String>,
    /// Column of subgroups (CSV)
    #[arg(long, value_name = "COLUMN")]
    pub group: Option<String>,
    /// Range of the model's input values, for example 0:255 or -1:1
    #[arg(long, value_name = "LOW:HIGH", allow_hyphen_values = true)]
    pub range: Option<String>,
    /// Output tensor with the scores
    #[arg(long = "output-tensor", value_name = "NAME")]
    pub output_tensor: Option<String>,
    /// Which finding, counted from 0, of a model that reports several
    #[arg(long, value_name = "N")]
    pub finding: Option<usize>,
}
