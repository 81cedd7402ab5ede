//! Opening what is attacked: the model, its rows, and how one is read by the other.

use std::path::Path;
use std::sync::Arc;

use attack::{Fault, Labels as _};
use domain::Digest;
use runtime::Classifier;
use tokio::runtime::Handle;

use super::data::{Rows, Wanted, bad};
use super::remote::{Address, Server};
use super::through_model::Post;
use super::victim::Source;
use super::{Request, Target, Watch};
use crate::AppError;
use crate::config::{ModelSource, SystemSettings};
use crate::dataset;

/// Rows with which the output is found out.
const PROBE_ROWS: usize = 32;

/// What is attacked, ready.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) rows: Rows,
    pub(super) model: String,
    pub(super) model_digest: Digest,
    pub(super) classes: Vec<String>,
}

/// Opens the target.
pub(super) fn open(request: &Request, watch: &Arc<dyn Watch>, handle: &Handle) -> Result<Opened, AppError> {
    let opened = beside(request, watch, handle)?;
    let Some(through) = &request.through else { return Ok(opened) };
    let post = Arc::new(Post::new(through, &opened, &probe(&opened.rows), handle)?);
    let Opened { source, rows, model, model_digest, classes } = opened;
    Ok(Opened {
        source: Source::Through { post, beside: Box::new(source) },
        rows,
        model,
        model_digest,
        classes,
    })
}

/// Opens the target itself, whatever stands before it.
fn beside(request: &Request, watch: &Arc<dyn Watch>, handle: &Handle) -> Result<Opened, AppError> {
    match &request.target {
        Target::File { model, data } => file(request, model, data),
        Target::Remote { address, token, data } => {
            let server = meet(address, token.as_deref(), None, watch, handle)?;
            let rows =
                Rows::read(&name(data), &read(data, request.bytes_max)?, &server.wanted(), &request.reading)?;
            remote(request, server, rows, address, Vec::new())
        }
        Target::System(system) => of_system(request, system, watch, handle),
    }
}

pub(super) fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn read(path: &Path, max: u64) -> Result<Vec<u8>, AppError> {
    dataset::read_file(path, max).map_err(|e| bad(e.to_string().replace("reference data ", "")))
}

/// Loads a model; an operator that is not covered is named with its place.
pub(super) fn load(path: &Path, max: u64) -> Result<(runtime::Model, Digest), AppError> {
    let bytes = read(path, max)?;
    let model = runtime::Model::load(&bytes, &runtime::Limits::default())
        .map_err(|e| bad(format!("`{}` cannot be loaded: {e}", name(path))))?;
    Ok((model, Digest::of(&bytes)))
}

fn file(request: &Request, path: &Path, data: &Path) -> Result<Opened, AppError> {
    let (model, digest) = load(path, request.bytes_max)?;
    let rows = Rows::read(&name(data), &read(data, request.bytes_max)?, &wanted(&model), &request.reading)?;
    local(request, &model, digest, name(path), rows, request.output.clone(), Vec::new())
}

/// What the model declares of its first input.
fn wanted(model: &runtime::Model) -> Wanted {
    let Some(input) = model.inputs().first() else { return Wanted::default() };
    let dims = input.shape.as_ref().and_then(|s| s.get(1..));
    let length = |d: &runtime::Dim| if let runtime::Dim::Fixed(n) = d { Some(*n) } else { None };
    Wanted {
        shape: dims.map(|dims| dims.iter().map(length).collect()),
        bytes: input.data_type == Some(runtime::DataType::U8),
    }
}

pub(super) fn local(
    request: &Request,
    model: &runtime::Model,
    digest: Digest,
    name: String,
    rows: Rows,
    output: Option<String>,
    classes: Vec<String>,
) -> Result<Opened, AppError> {
    let reading = runtime::Reading {
        layout: rows.layout,
        low: rows.low.clone(),
        span: rows.span.clone(),
        output,
        head: None,
    };
    let probe = probe(&rows);
    let refused = |f: Fault| bad(format!("`{name}`: {f}"));
    let mut classifier = Classifier::new(model, &reading, &probe).map_err(refused)?;
    if let Some(finding) = request.reading.finding {
        let head = match classifier.reading().1 {
            runtime::Head::Probabilities | runtime::Head::OneProbability => {
                runtime::Head::FindingProbability(finding)
            }
            _ if between(&mut classifier, &probe) => runtime::Head::FindingProbability(finding),
            _ => runtime::Head::FindingLogit(finding),
        };
        let reading = runtime::Reading { head: Some(head), ..reading };
        classifier = Classifier::new(model, &reading, &probe).map_err(refused)?;
    }
    let count = classifier.space().classes;
    let (source, why) = Source::local(classifier);
    let mut rows = rows;
    rows.notes.extend(why);
    Ok(Opened { source, classes: names(classes, count), rows, model: name, model_digest: digest })
}

/// Whether all scores lie between 0 and 1, as independent probabilities do.
fn between(classifier: &mut Classifier, probe: &[f32]) -> bool {
    use attack::Scores as _;
    let width = classifier.space().layout.len().max(1);
    let numbers: Vec<usize> = (0..probe.len() / width).collect();
    let Ok(rows) = attack::Rows::new(probe, width, &numbers) else { return false };
    let mut replies = attack::Replies::default();
    classifier.scores(rows, &mut replies).is_ok() && replies.scores.iter().all(|s| (0.0..=1.0).contains(s))
}

fn probe(rows: &Rows) -> Vec<f32> {
    rows.choose(PROBE_ROWS).iter().flat_map(|r| rows.row(*r).iter().copied()).collect()
}

fn names(declared: Vec<String>, count: usize) -> Vec<String> {
    if declared.len() == count { declared } else { (0..count).map(|c| format!("class {c}")).collect() }
}

fn meet(
    address: &Address,
    token: Option<&str>,
    timeout_ms: Option<u64>,
    watch: &Arc<dyn Watch>,
    handle: &Handle,
) -> Result<Server, AppError> {
    let target = address.server.parse().map_err(|e: upstream::TargetError| bad(e.to_string()))?;
    let mut config = upstream::Config::new(target, address.model.clone());
    config.version = address.version.clone();
    config.bearer = token.map(upstream::Secret::new);
    // An exercise waits for a server that is asked too much instead of leaving it alone.
    config.failures_max = u32::MAX;
    if let Some(timeout) = timeout_ms {
        config.timeout_ms = timeout;
    }
    let remote = {
        let _inside = handle.enter();
        upstream::Remote::connect(config).map_err(|e| AppError::Upstream(e.to_string()))?
    };
    Server::meet(Arc::new(remote), handle.clone(), Arc::clone(watch))
}

fn remote(
    request: &Request,
    server: Server,
    rows: Rows,
    address: &Address,
    classes: Vec<String>,
) -> Result<Opened, AppError> {
    if request.reading.finding.is_some() {
        return Err(bad(
            "a finding of a model that reports several is chosen on a model file; a served one is read by its first scores (--output)",
        ));
    }
    let ranges = (rows.low.clone(), rows.span.clone());
    let model = server.read(rows.layout, ranges, request.output.clone(), &probe(&rows))?;
    let count = model.space().classes.max(
        rows.labels.iter().max().map_or(0, |m| m + 1)
            * usize::from(classes.is_empty() && model.access() == attack::evasion::Access::Labels),
    );
    let digest =
        crate::subjects::remote_identity(&address.server, &address.model, address.version.as_deref());
    Ok(Opened {
        source: Source::Remote(Box::new(model)),
        classes: names(classes, count),
        rows,
        model: format!("{}/v2/models/{}", address.server, address.model),
        model_digest: digest,
    })
}

fn of_system(
    request: &Request,
    system: &SystemSettings,
    watch: &Arc<dyn Watch>,
    handle: &Handle,
) -> Result<Opened, AppError> {
    let bytes = match (&system.fetch, system.reference.exists()) {
        (Some(name), false) => {
            return Err(bad(format!("the reference data are not here: run `asepsis data fetch {name}`")));
        }
        _ => read(&system.reference, request.bytes_max)?,
    };
    let data = dataset::read(&system.reference, &bytes, &system.schema, &system.split)?;
    let part = &data.hold_out;
    let mut rows =
        Rows::of_part(&system.schema, part, &name(&system.reference), data.digest, &system.split.hold_out)?;
    rows.learn(&data.fit);
    let output = Some(system.output.clone());
    match &system.model {
        ModelSource::File(path) => {
            let (model, digest) = load(path, request.bytes_max)?;
            local(request, &model, digest, name(path), rows, output, system.classes.clone())
        }
        ModelSource::Remote(connection) => {
            let address = Address {
                server: connection.url.clone(),
                model: connection.name.clone(),
                version: connection.version.clone(),
            };
            let server =
                meet(&address, connection.token.as_deref(), Some(connection.timeout_ms), watch, handle)?;
            let request = Request { output, ..request.clone() };
            remote(&request, server, rows, &address, system.classes.clone())
        }
    }
}
