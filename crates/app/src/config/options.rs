//! The configuration file as it is written: every key with its meaning, its default and the reason for it.
//!
//! These structs are the one source of the parser, of `docs/reference/config.schema.json` and of the messages for
//! unknown keys. They hold what was typed; [`super::Settings`] holds what it means.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `asepsis.toml`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    /// Name of the hospital, shown on pages and written into the ledger's first entry.
    pub hospital: String,
    /// Addresses to listen on.
    #[serde(default)]
    pub listen: Listen,
    /// Limits on what callers may send and use.
    #[serde(default)]
    pub limits: Limits,
    /// Who may do what.
    #[serde(default)]
    pub access: Access,
    /// Where alarms go besides the console and the log.
    #[serde(default)]
    pub alerts: Alerts,
    /// Machine clients of the gateway.
    #[serde(default, rename = "client")]
    pub clients: Vec<Client>,
    /// People who use the console and the command line.
    #[serde(default, rename = "person")]
    pub people: Vec<Person>,
    /// The AI systems.
    #[serde(default, rename = "system")]
    pub systems: Vec<System>,
    /// The systems that are language models.
    #[serde(default)]
    pub language: Vec<super::Language>,
}

/// Addresses. All on loopback by default: putting them on a network is a decision.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Listen {
    /// Open Inference Protocol over HTTP, health and metrics.
    pub gateway: String,
    /// Open Inference Protocol over gRPC.
    pub grpc: String,
    /// The console.
    pub console: String,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            gateway: "127.0.0.1:8470".to_owned(),
            grpc: "127.0.0.1:8471".to_owned(),
            console: "127.0.0.1:8472".to_owned(),
        }
    }
}

/// Limits of the gateway; each is a promise that one caller cannot starve the others.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Largest request body, in bytes. 8 MiB holds 2,600 images of 28 by 28 in binary form.
    pub body_bytes_max: usize,
    /// Most rows in one request.
    pub batch_rows_max: usize,
    /// Exchanges in flight over all callers.
    pub concurrency_max: usize,
    /// Longest time for one exchange, in milliseconds.
    pub exchange_ms_max: u64,
    /// Longest time a caller may take to send headers, in milliseconds (slow-loris).
    pub header_read_ms_max: u64,
    /// Open connections over all callers.
    pub connections_max: usize,
    /// Requests a second for one client, on average.
    pub client_requests_per_second: u32,
    /// Requests in one burst for one client.
    pub client_burst: u32,
    /// Rows a day for one client, all systems together; a query budget is what makes extraction expensive.
    pub client_rows_per_day: u64,
    /// Tokens of language models a day for one client, all systems together: a hundred long conversations.
    pub client_tokens_per_day: u64,
    /// Largest model file, in bytes.
    pub model_bytes_max: u64,
    /// Largest reference data file, in bytes.
    pub reference_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 << 20,
            batch_rows_max: 1_024,
            concurrency_max: 256,
            exchange_ms_max: 10_000,
            header_read_ms_max: 10_000,
            connections_max: 1_024,
            client_requests_per_second: 50,
            client_burst: 100,
            client_rows_per_day: 20_000,
            client_tokens_per_day: 2_000_000,
            model_bytes_max: 512 << 20,
            reference_bytes_max: 256 << 20,
        }
    }
}

/// Authorisation.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Access {
    /// Cedar policies to use instead of the built-in ones (path relative to this file).
    pub policies: Option<PathBuf>,
    /// Let callers on loopback read `/metrics` without a key. Off, so that numbers are not public by accident.
    pub open_metrics_on_loopback: bool,
}

/// Alerts.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Alerts {
    /// Endpoints that get a JSON message for each new alarm.
    #[serde(rename = "webhook")]
    pub webhooks: Vec<Webhook>,
}

/// One webhook. The secret is never written here: name an environment variable or a file.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhook {
    /// `https://…`, or `http://` on loopback.
    pub url: String,
    /// Environment variable that holds the bearer token.
    #[serde(default)]
    pub token_env: Option<String>,
    /// File that holds the bearer token (path relative to this file).
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// A machine client.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// Name in the ledger and on pages.
    pub id: String,
    /// What it is, for people.
    #[serde(default)]
    pub title: String,
    /// Systems it may ask; empty means none.
    #[serde(default)]
    pub systems: Vec<String>,
}

/// A person.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Person {
    /// Account name.
    pub id: String,
    /// Name shown to others.
    #[serde(default)]
    pub title: String,
    /// Roles: clinician, engineer, governance, auditor, administrator.
    pub roles: Vec<String>,
}

/// One AI system.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct System {
    /// Name, stable over all versions.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// What it is for, in a sentence.
    pub purpose: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: String,
    /// What to serve when the gate of the present version is shut.
    #[serde(default)]
    pub fallback: Fallback,
    /// The model.
    pub model: Model,
    /// Data to fit guards on and to check the model against.
    pub reference: Reference,
    /// What the model's answer means.
    pub output: Output,
    /// The inputs of a model over tables.
    #[serde(default)]
    pub table: Option<Table>,
    /// The input of a model over images.
    #[serde(default)]
    pub image: Option<Image>,
    /// Who vouches for the model file.
    #[serde(default)]
    pub signature: Option<Signature>,
    /// What the validation gate asks of the figures.
    #[serde(default)]
    pub acceptance: AcceptanceBounds,
    /// The guards.
    #[serde(default)]
    pub guards: detect::GuardSettings,
}

/// What happens when the present version's gate is shut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// Nothing is served.
    #[default]
    None,
    /// The last version whose deployment gate was open goes on, and says so.
    LastAdmitted,
}

/// A signature over the model file (OpenSSF Model Signing), and what it is verified with: a public key, or the
/// certificate authorities that the signer's certificate must come from.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Signature {
    /// Signature file (path relative to this file).
    pub file: PathBuf,
    /// Public key, PEM (path relative to this file).
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Certificate authorities, PEM (path relative to this file).
    #[serde(default)]
    pub roots: Option<PathBuf>,
}

/// The model: a file that runs in process, or a remote server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Model {
    /// ONNX file (path relative to this file).
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// Remote Open Inference Protocol v2 server, `http(s)://host:port` or `grpc(s)://host:port`.
    #[serde(default)]
    pub remote: Option<String>,
    /// Name of the model on the remote server.
    #[serde(default)]
    pub name: Option<String>,
    /// Version of the model on the remote server.
    #[serde(default)]
    pub version: Option<String>,
    /// Environment variable that holds the remote server's bearer token.
    #[serde(default)]
    pub token_env: Option<String>,
    /// File that holds the remote server's bearer token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Longest wait for the remote server, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// Reference data.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reference {
    /// CSV with a header, or MedMNIST `.npz` (path relative to this file).
    pub file: PathBuf,
    /// Where `asepsis data fetch` gets it when it is not there: a name in the data catalogue.
    #[serde(default)]
    pub fetch: Option<String>,
    /// CSV column with the class, a whole number from 0.
    #[serde(default = "label")]
    pub label: String,
    /// CSV column that names each row's split.
    #[serde(default = "split")]
    pub split: String,
    /// Split that guards are fitted on.
    #[serde(default = "train")]
    pub fit: String,
    /// Split that thresholds are set on.
    #[serde(default = "val")]
    pub calibrate: String,
    /// Split that is kept for judging.
    #[serde(default = "test")]
    pub hold_out: String,
}

fn label() -> String {
    "label".to_owned()
}
fn split() -> String {
    "split".to_owned()
}
fn train() -> String {
    "train".to_owned()
}
fn val() -> String {
    "val".to_owned()
}
fn test() -> String {
    "test".to_owned()
}

/// What the answer means.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Output {
    /// Name of the tensor with one score per class.
    pub tensor: String,
    /// Names of the classes, in order.
    pub classes: Vec<String>,
}

/// Inputs of a model over tables.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Table {
    /// Name of the input tensor.
    pub tensor: String,
    /// The columns, in order.
    pub features: Vec<Feature>,
}

/// One column.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Feature {
    /// Name, as in the reference data's header.
    pub name: String,
    /// Unit in UCUM notation; `1` for none.
    #[serde(default = "one")]
    pub unit: String,
    /// `real` (default), `integer` or `category`.
    #[serde(default, rename = "type")]
    pub kind: FeatureType,
    /// Lowest value that a living patient can have.
    #[serde(default)]
    pub min: Option<f64>,
    /// Highest value that a living patient can have.
    #[serde(default)]
    pub max: Option<f64>,
    /// Codes of a category.
    #[serde(default)]
    pub codes: Vec<f64>,
    /// Whether it can change: `immutable`, `measured` (default) or `reported`.
    #[serde(default)]
    pub mutability: MutabilityOption,
    /// Units it is often mixed up with.
    #[serde(default)]
    pub alternatives: Vec<Alternative>,
}

fn one() -> String {
    "1".to_owned()
}

/// Type of a column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureType {
    /// Any number.
    #[default]
    Real,
    /// Whole numbers.
    Integer,
    /// Listed codes.
    Category,
}

/// Whether a column can change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MutabilityOption {
    /// Never changes: sex, age.
    Immutable,
    /// Comes from a measurement.
    #[default]
    Measured,
    /// Is typed or judged by a person.
    Reported,
}

/// Another unit: declared = value × factor + offset.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Alternative {
    /// The other unit, UCUM notation.
    pub unit: String,
    /// Factor towards the declared unit.
    pub factor: f64,
    /// Offset towards the declared unit.
    #[serde(default)]
    pub offset: f64,
}

/// Input of a model over images.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// Name of the input tensor.
    pub tensor: String,
    /// Channels.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Lowest pixel value as the model takes it.
    #[serde(default)]
    pub min: f64,
    /// Highest pixel value as the model takes it.
    #[serde(default = "unit_max")]
    pub max: f64,
}

fn unit_max() -> f64 {
    1.0
}

/// Bounds of the validation gate.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AcceptanceBounds {
    /// Lowest accuracy on the held-out split, 0 to 1.
    pub accuracy_min: f64,
    /// Lowest area under the ROC curve on the held-out split (two classes), 0 to 1.
    pub auc_min: f64,
    /// Highest share of held-out clean rows that any one guard that blocks may object to, 0 to 1.
    pub false_alarm_max: f64,
}

impl Default for AcceptanceBounds {
    fn default() -> Self {
        Self { accuracy_min: 0.7, auc_min: 0.75, false_alarm_max: 0.05 }
    }
}
