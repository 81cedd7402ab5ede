//! What the configuration means: parsed names, resolved paths, typed schemas. Nothing downstream looks at text again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use access::Role;
use domain::{ClientId, Digest, Feature, FeatureKind, InputSchema, Mutability, SystemId, UnitAlternative};

use super::options::{self, Fallback, Options};
use super::secret::{read_small, secret};
use super::{ConfigError, SignatureSettings, nearest};

/// Most systems in one configuration.
const SYSTEMS_MAX: usize = 1_000;
/// Most features of one system.
const FEATURES_MAX: usize = 10_000;

/// An understood configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the hospital.
    pub hospital: String,
    /// Where the gateway listens, HTTP.
    pub gateway: SocketAddr,
    /// Where the gateway listens, gRPC.
    pub grpc: SocketAddr,
    /// Where the console listens.
    pub console: SocketAddr,
    /// Limits.
    pub limits: options::Limits,
    /// Cedar policy text to use instead of the built-in one.
    pub policies: Option<String>,
    /// Whether loopback may read metrics without a key.
    pub open_metrics_on_loopback: bool,
    /// Webhooks, secrets resolved.
    pub webhooks: Vec<WebhookSettings>,
    /// Machine clients.
    pub clients: Vec<ClientSettings>,
    /// People.
    pub people: Vec<PersonSettings>,
    /// Systems by name.
    pub systems: BTreeMap<SystemId, SystemSettings>,
    /// Language models by name.
    pub language: BTreeMap<SystemId, super::LanguageSettings>,
    /// Digest of the text.
    pub digest: Digest,
}

/// A webhook with its token.
#[derive(Clone)]
pub struct WebhookSettings {
    /// Endpoint.
    pub url: String,
    /// Bearer token.
    pub token: Option<String>,
}

impl std::fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhookSettings").field("url", &self.url).finish_non_exhaustive()
    }
}

/// A machine client.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Name.
    pub id: ClientId,
    /// Title.
    pub title: String,
    /// Systems it may ask.
    pub systems: Vec<SystemId>,
}

/// A person.
#[derive(Debug, Clone)]
pub struct PersonSettings {
    /// Account.
    pub id: ClientId,
    /// Name shown.
    pub title: String,
    /// Roles.
    pub roles: Vec<Role>,
}

/// Where a model comes from.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// An ONNX file that runs in process.
    File(PathBuf),
    /// A remote server.
    Remote(Connection),
}

/// A remote Open Inference Protocol v2 server.
#[derive(Clone)]
pub struct Connection {
    /// `http(s)://…` or `grpc(s)://…`.
    pub url: String,
    /// Name of the model there.
    pub name: String,
    /// Its version there.
    pub version: Option<String>,
    /// Bearer token.
    pub token: Option<String>,
    /// Longest wait, in milliseconds.
    pub timeout_ms: u64,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("url", &self.url).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Names of the splits.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Split {
    /// CSV column of the class.
    pub label: String,
    /// CSV column of the split.
    pub column: String,
    /// Split guards are fitted on.
    pub fit: String,
    /// Split thresholds are set on.
    pub calibrate: String,
    /// Split kept for judging.
    pub hold_out: String,
}

/// Where missing reference data can be fetched.
pub type FetchSource = Option<String>;

/// One AI system.
#[derive(Debug, Clone)]
pub struct SystemSettings {
    /// Name.
    pub id: SystemId,
    /// Title.
    pub title: String,
    /// What it is for.
    pub purpose: String,
    /// Who answers for it.
    pub owner: String,
    /// What to do when the gate is shut.
    pub fallback: Fallback,
    /// The model.
    pub model: ModelSource,
    /// Reference data file.
    pub reference: PathBuf,
    /// Where to fetch it.
    pub fetch: FetchSource,
    /// Splits.
    pub split: Split,
    /// Declared input.
    pub schema: InputSchema,
    /// Score tensor.
    pub output: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Who vouches for the model file.
    pub signature: Option<SignatureSettings>,
    /// Bounds of the validation gate.
    pub acceptance: options::AcceptanceBounds,
    /// Guards.
    pub guards: detect::GuardSettings,
}

pub(super) fn wrong(place: impl Into<String>, message: impl std::fmt::Display) -> ConfigError {
    ConfigError::Meaning { place: place.into(), message: message.to_string() }
}

impl Settings {
    /// Understands what was typed.
    pub(super) fn understand(options: Options, base: &Path, text: &str) -> Result<Self, ConfigError> {
        if options.hospital.trim().is_empty() || options.hospital.len() > 200 {
            return Err(wrong("hospital", "give the hospital a name of 1 to 200 bytes"));
        }
        if options.systems.len() > SYSTEMS_MAX {
            return Err(wrong("system", format!("{SYSTEMS_MAX} systems at most in one configuration")));
        }
        let mut systems = BTreeMap::new();
        for system in options.systems {
            let system = understand_system(system, base)?;
            if systems.contains_key(&system.id) {
                return Err(wrong(
                    format!("system {}", system.id),
                    "declared twice: give each system its own name",
                ));
            }
            systems.insert(system.id.clone(), system);
        }
        let mut language = BTreeMap::new();
        for typed in options.language.into_iter().take(SYSTEMS_MAX) {
            let system = super::language::understand(typed, base)?;
            if systems.contains_key(&system.id) || language.contains_key(&system.id) {
                return Err(wrong(
                    format!("language {}", system.id),
                    "declared twice: give each system its own name",
                ));
            }
            language.insert(system.id.clone(), system);
        }
        let ids: Vec<&SystemId> = systems.keys().chain(language.keys()).collect();
        let clients = understand_clients(&options.clients, &ids)?;
        let people = understand_people(&options.people)?;
        if let Some(twice) = people.iter().find(|p| clients.iter().any(|c| c.id == p.id)) {
            return Err(wrong(format!("person {}", twice.id), "a client has the same name: use another"));
        }
        let address = |place: &str, text: &str| -> Result<SocketAddr, ConfigError> {
            text.parse().map_err(|_| {
                wrong(
                    format!("listen.{place}"),
                    format!("`{text}` is not an address: write `127.0.0.1:8470`"),
                )
            })
        };
        let policies = match &options.access.policies {
            None => None,
            Some(path) => {
                let path = base.join(path);
                let text = read_small(&path).map_err(|e| wrong("access.policies", e))?;
                access::Policies::load(&text).map_err(|e| wrong("access.policies", e))?;
                Some(text)
            }
        };
        check_limits(&options.limits)?;
        Ok(Self {
            gateway: address("gateway", &options.listen.gateway)?,
            grpc: address("grpc", &options.listen.grpc)?,
            console: address("console", &options.listen.console)?,
            hospital: options.hospital,
            limits: options.limits,
            policies,
            open_metrics_on_loopback: options.access.open_metrics_on_loopback,
            webhooks: understand_webhooks(&options.alerts.webhooks, base)?,
            clients,
            people,
            systems,
            language,
            digest: Digest::of(text.as_bytes()),
        })
    }
}

fn check_limits(limits: &options::Limits) -> Result<(), ConfigError> {
    let zero = [
        ("body-bytes-max", limits.body_bytes_max == 0),
        ("batch-rows-max", limits.batch_rows_max == 0),
        ("concurrency-max", limits.concurrency_max == 0),
        ("exchange-ms-max", limits.exchange_ms_max == 0),
        ("header-read-ms-max", limits.header_read_ms_max == 0),
        ("connections-max", limits.connections_max == 0),
        ("client-requests-per-second", limits.client_requests_per_second == 0),
        ("client-burst", limits.client_burst == 0),
    ];
    match zero.into_iter().find(|(_, is)| *is) {
        Some((name, _)) => Err(wrong(
            format!("limits.{name}"),
            "must be at least 1; to stop all traffic suspend the systems",
        )),
        None => Ok(()),
    }
}

fn understand_webhooks(hooks: &[options::Webhook], base: &Path) -> Result<Vec<WebhookSettings>, ConfigError> {
    let mut out = Vec::new();
    for (n, hook) in hooks.iter().enumerate() {
        let place = format!("alerts.webhook {}", n + 1);
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        if !hook.url.starts_with("https://") && !local.iter().any(|l| hook.url.starts_with(l)) {
            return Err(wrong(place, "use an https:// address (http:// only on loopback)"));
        }
        let token = secret(&place, hook.token_env.as_ref(), hook.token_file.as_ref(), base)?;
        out.push(WebhookSettings { url: hook.url.clone(), token });
    }
    Ok(out)
}

fn understand_clients(
    clients: &[options::Client],
    systems: &[&SystemId],
) -> Result<Vec<ClientSettings>, ConfigError> {
    let mut out: Vec<ClientSettings> = Vec::new();
    for client in clients {
        let place = format!("client {}", client.id);
        let id: ClientId = client.id.parse().map_err(|e| wrong(&*place, e))?;
        if out.iter().any(|c| c.id == id) {
            return Err(wrong(place, "declared twice: give each client its own name"));
        }
        let mut allowed = Vec::new();
        for name in &client.systems {
            let system: SystemId = name.parse().map_err(|e| wrong(&*place, e))?;
            if !systems.contains(&&system) {
                let hint = nearest::nearest(name, systems.iter().map(|id| id.as_str()))
                    .map_or_else(String::new, |near| format!(": did you mean `{near}`?"));
                return Err(wrong(place, format!("there is no system `{name}`{hint}")));
            }
            allowed.push(system);
        }
        let title = if client.title.is_empty() { client.id.clone() } else { client.title.clone() };
        out.push(ClientSettings { id, title, systems: allowed });
    }
    Ok(out)
}

fn understand_people(people: &[options::Person]) -> Result<Vec<PersonSettings>, ConfigError> {
    let mut out: Vec<PersonSettings> = Vec::new();
    for person in people {
        let place = format!("person {}", person.id);
        let id: ClientId = person.id.parse().map_err(|e| wrong(&*place, e))?;
        if out.iter().any(|p| p.id == id) {
            return Err(wrong(place, "declared twice: give each person one entry with all roles"));
        }
        let roles = person
            .roles
            .iter()
            .map(|role| role.parse::<Role>().map_err(|e| wrong(&*place, e)))
            .collect::<Result<Vec<_>, _>>()?;
        if roles.is_empty() {
            return Err(wrong(place, "has no role: give at least one"));
        }
        let title = if person.title.is_empty() { person.id.clone() } else { person.title.clone() };
        out.push(PersonSettings { id, title, roles });
    }
    Ok(out)
}

fn understand_system(system: options::System, base: &Path) -> Result<SystemSettings, ConfigError> {
    let place = format!("system {}", system.id);
    let id: SystemId = system.id.parse().map_err(|e| wrong(&*place, e))?;
    let schema = understand_schema(&place, system.table, system.image)?;
    let model = understand_model(&place, system.model, base)?;
    if system.output.classes.len() < 2 {
        return Err(wrong(format!("{place}, output.classes"), "name at least two classes"));
    }
    let unit = 0.0..=1.0;
    let bounds = &system.acceptance;
    for (name, value) in [
        ("accuracy-min", bounds.accuracy_min),
        ("auc-min", bounds.auc_min),
        ("false-alarm-max", bounds.false_alarm_max),
    ] {
        if !unit.contains(&value) {
            return Err(wrong(format!("{place}, acceptance.{name}"), "must lie between 0 and 1"));
        }
    }
    let reference = system.reference;
    let signature = system.signature.map(|s| SignatureSettings::understand(&place, s, base)).transpose()?;
    Ok(SystemSettings {
        id,
        title: system.title,
        purpose: system.purpose,
        owner: system.owner,
        fallback: system.fallback,
        model,
        reference: base.join(&reference.file),
        fetch: reference.fetch,
        split: Split {
            label: reference.label,
            column: reference.split,
            fit: reference.fit,
            calibrate: reference.calibrate,
            hold_out: reference.hold_out,
        },
        schema,
        output: system.output.tensor,
        classes: system.output.classes,
        signature,
        acceptance: system.acceptance,
        guards: system.guards,
    })
}

fn understand_model(place: &str, model: options::Model, base: &Path) -> Result<ModelSource, ConfigError> {
    match (model.file, model.remote) {
        (Some(file), None) => Ok(ModelSource::File(base.join(file))),
        (None, Some(url)) => {
            let known = ["http://", "https://", "grpc://", "grpcs://"];
            if !known.iter().any(|scheme| url.starts_with(scheme)) {
                return Err(wrong(
                    format!("{place}, model.remote"),
                    "start with http://, https://, grpc:// or grpcs://",
                ));
            }
            let name = model.name.ok_or_else(|| {
                wrong(format!("{place}, model.name"), "say which model on the remote server")
            })?;
            let token = secret(place, model.token_env.as_ref(), model.token_file.as_ref(), base)?;
            let timeout_ms = model.timeout_ms.unwrap_or(2_000).clamp(1, 600_000);
            Ok(ModelSource::Remote(Connection { url, name, version: model.version, token, timeout_ms }))
        }
        _ => Err(wrong(format!("{place}, model"), "give either `file` or `remote`")),
    }
}

fn understand_schema(
    place: &str,
    table: Option<options::Table>,
    image: Option<options::Image>,
) -> Result<InputSchema, ConfigError> {
    match (table, image) {
        (Some(table), None) => {
            if table.features.is_empty() || table.features.len() > FEATURES_MAX {
                return Err(wrong(
                    format!("{place}, table.features"),
                    format!("declare 1 to {FEATURES_MAX} features"),
                ));
            }
            let mut features: Vec<Feature> = Vec::with_capacity(table.features.len());
            for feature in table.features {
                let feature = understand_feature(place, feature)?;
                if features.iter().any(|f| f.name == feature.name) {
                    return Err(wrong(format!("{place}, feature {}", feature.name), "declared twice"));
                }
                features.push(feature);
            }
            Ok(InputSchema::Table { tensor: table.tensor, features })
        }
        (None, Some(image)) => {
            let values = image.channels.checked_mul(image.height).and_then(|n| n.checked_mul(image.width));
            if !values.is_some_and(|n| (1..=1 << 24).contains(&n)) || image.min >= image.max {
                return Err(wrong(
                    format!("{place}, image"),
                    "give a size of 1 to 16,777,216 values and min below max",
                ));
            }
            Ok(InputSchema::Image {
                tensor: image.tensor,
                channels: image.channels,
                height: image.height,
                width: image.width,
                min: image.min,
                max: image.max,
            })
        }
        _ => Err(wrong(place, "declare either [system.table] or [system.image]")),
    }
}

fn understand_feature(place: &str, feature: options::Feature) -> Result<Feature, ConfigError> {
    let place = format!("{place}, feature {}", feature.name);
    let (kind, min, max) = match feature.kind {
        options::FeatureType::Category => {
            let low = feature.codes.iter().copied().fold(f64::INFINITY, f64::min);
            let high = feature.codes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if !low.is_finite() || !high.is_finite() {
                return Err(wrong(place, "a category needs its `codes`"));
            }
            (FeatureKind::Category { codes: feature.codes }, low, high)
        }
        kind => {
            let (Some(min), Some(max)) = (feature.min, feature.max) else {
                return Err(wrong(place, "declare the clinical range with `min` and `max`"));
            };
            let kind =
                if kind == options::FeatureType::Integer { FeatureKind::Integer } else { FeatureKind::Real };
            (kind, min, max)
        }
    };
    if !(min.is_finite() && max.is_finite() && min <= max) {
        return Err(wrong(place, "`min` must not be above `max`"));
    }
    let mut alternatives = Vec::new();
    for other in feature.alternatives {
        if !other.factor.is_finite() || other.factor == 0.0 || !other.offset.is_finite() {
            return Err(wrong(place, format!("unit `{}` needs a factor other than 0", other.unit)));
        }
        alternatives.push(UnitAlternative { unit: other.unit, factor: other.factor, offset: other.offset });
    }
    let mutability = match feature.mutability {
        options::MutabilityOption::Immutable => Mutability::Immutable,
        options::MutabilityOption::Measured => Mutability::Measured,
        options::MutabilityOption::Reported => Mutability::Reported,
    };
    Ok(Feature { name: feature.name, unit: feature.unit, kind, min, max, mutability, alternatives })
}
