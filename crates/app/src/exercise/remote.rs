//! A model on a server of the Open Inference Protocol: only its outputs are seen. Waits when the server asks for it, and believes no shape before it is checked.

use std::sync::Arc;
use std::time::Duration;

use attack::evasion::Access;
use attack::{Fault, Labels, Layout, Replies, Rows, Scores, Space};
use domain::DataType;
use tokio::runtime::Handle;
use upstream::{Remote, UpstreamError};

use super::data::{Wanted, bad};
use super::reader::{Picked, Reader};
use super::watch::{Event, Watch};
use crate::AppError;

/// Rows sent at once: a body of a few megabytes at most for images of common sizes.
const ROWS_AT_ONCE: usize = 64;
/// Refusals for overload in a row after which the server is given up.
const WAITS_MAX: u32 = 12;
/// First wait where the server names none, and the longest, in milliseconds.
const WAIT_MS: (u64, u64) = (500, 30_000);
/// How often a wait looks whether it should end.
const LOOK: Duration = Duration::from_millis(100);

/// Where a model is served: address of the server, name, version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// `http(s)://host:port` or `grpc(s)://host:port`.
    pub server: String,
    /// Name of the model there.
    pub model: String,
    /// Version, where one is named.
    pub version: Option<String>,
}

impl Address {
    /// Reads `http://host:port/v2/models/NAME[/versions/V]`.
    ///
    /// # Errors
    /// [`AppError::BadInput`] saying how an address is written.
    pub fn parse(text: &str) -> Result<Self, AppError> {
        let shown: String = text.chars().take(200).collect();
        let wrong =
            || bad(format!("`{shown}` is not a model's address: write http://host:port/v2/models/NAME"));
        let text = text.trim_end_matches('/').trim_end_matches("/infer");
        let (server, rest) = text.split_once("/v2/models/").ok_or_else(wrong)?;
        let (model, version) = match rest.split_once("/versions/") {
            Some((model, version)) => (model, Some(version.to_owned())),
            None => (rest, None),
        };
        let plain = |name: &str| !name.is_empty() && !name.contains('/');
        if server.is_empty() || !plain(model) || version.as_deref().is_some_and(|v| !plain(v)) {
            return Err(wrong());
        }
        Ok(Self { server: server.to_owned(), model: model.to_owned(), version })
    }
}

/// A served model as attacks see it.
#[derive(Clone)]
pub(super) struct RemoteModel {
    remote: Arc<Remote>,
    handle: Handle,
    watch: Arc<dyn Watch>,
    reader: Reader,
}

/// A server before its rows are known.
pub(super) struct Server {
    pub(super) remote: Arc<Remote>,
    pub(super) handle: Handle,
    pub(super) watch: Arc<dyn Watch>,
    metadata: oip::ModelMetadata,
}

impl Server {
    /// Asks the server what its model takes.
    pub(super) fn meet(remote: Arc<Remote>, handle: Handle, watch: Arc<dyn Watch>) -> Result<Self, AppError> {
        let metadata = patiently(&handle, watch.as_ref(), || remote.metadata())
            .map_err(|f| AppError::Upstream(f.to_string()))?;
        if metadata.inputs.len() != 1 {
            return Err(bad(format!(
                "an exercise needs a model with one input, this server says {} of `{}`",
                metadata.inputs.len(),
                metadata.name
            )));
        }
        Ok(Self { remote, handle, watch, metadata })
    }

    /// Declared shape of a row.
    pub(super) fn wanted(&self) -> Wanted {
        let input = self.metadata.inputs.first();
        let shape = input
            .and_then(|i| i.shape.get(1..))
            .map(|dims| dims.iter().map(|d| usize::try_from(*d).ok().filter(|d| *d > 0)).collect());
        Wanted { shape, bytes: input.is_some_and(|i| i.datatype == "UINT8") }
    }

    /// Finds out how the output is read from some rows of the unit box.
    pub(super) fn read(
        self,
        layout: Layout,
        ranges: (Vec<f32>, Vec<f32>),
        output: Option<String>,
        probe: &[f32],
    ) -> Result<RemoteModel, AppError> {
        let input = self.metadata.inputs.first();
        let named = output.or_else(|| {
            let floats = |t: &oip::TensorSpec| t.datatype.starts_with("FP");
            self.metadata.outputs.iter().find(|o| floats(o)).map(|o| o.name.clone())
        });
        let flat = input.is_some_and(|i| i.shape.len() == 2);
        let mut reader = Reader::new(
            input.map_or_else(String::new, |i| i.name.clone()),
            input.and_then(|i| DataType::parse(&i.datatype)).unwrap_or(DataType::Fp32),
            flat,
            named,
            layout,
            ranges,
        );
        let mut model = RemoteModel {
            remote: self.remote,
            handle: self.handle,
            watch: self.watch,
            reader: reader.clone(),
        };
        let rows = probe.len() / layout.len().max(1);
        let picked = model.ask(probe, rows).map_err(|f| AppError::Upstream(f.to_string()))?;
        reader.learn(&picked);
        model.reader = reader;
        Ok(model)
    }
}

/// Calls until there is an answer, waiting where the server asks for it.
fn patiently<T, F: Future<Output = Result<T, UpstreamError>>>(
    handle: &Handle,
    watch: &dyn Watch,
    call: impl Fn() -> F,
) -> Result<T, Fault> {
    let mut next = WAIT_MS.0;
    for _ in 0..WAITS_MAX {
        let error = match handle.block_on(call()) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(asked) = error.wait_ms() else { return Err(Fault::Model(error.to_string())) };
        let wait = if asked > 0 { asked.min(10 * WAIT_MS.1) } else { next };
        next = (next * 2).min(WAIT_MS.1);
        watch.event(Event::Note(format!(
            "the server asks for fewer queries: waiting {:.1} s",
            wait as f64 / 1000.0
        )));
        let mut left = Duration::from_millis(wait);
        while !left.is_zero() {
            if watch.stop() {
                return Err(Fault::Stopped);
            }
            let part = left.min(LOOK);
            std::thread::sleep(part);
            left = left.saturating_sub(part);
        }
    }
    Err(Fault::Model(format!(
        "the server was asked {WAITS_MAX} times in a row and always asked to wait: come back later with --resume, or agree on a rate with its operator"
    )))
}

impl RemoteModel {
    pub(super) const fn access(&self) -> Access {
        self.reader.access()
    }

    /// The output's values, row-major, their number per row, and whether they are whole numbers by type.
    fn ask(&self, unit: &[f32], rows: usize) -> Result<Picked, Fault> {
        let width = self.reader.space.layout.len();
        let (mut all, mut per_row, mut whole) = (Vec::new(), 0, false);
        for start in (0..rows).step_by(ROWS_AT_ONCE) {
            let count = ROWS_AT_ONCE.min(rows - start);
            if self.watch.stop() {
                return Err(Fault::Stopped);
            }
            let part = unit.get(start * width..(start + count) * width).unwrap_or_default();
            let tensor = self.reader.tensor(count, part)?;
            let outputs = patiently(&self.handle, self.watch.as_ref(), || {
                self.remote.probe(std::slice::from_ref(&tensor))
            })?;
            let (values, columns, is_whole) = self.reader.pick(&outputs, count)?;
            if per_row != 0 && columns != per_row {
                return Err(Fault::Model(format!(
                    "the server gave {per_row} scores a row and then {columns}: its answers cannot be used"
                )));
            }
            (per_row, whole) = (columns, is_whole);
            all.extend(values);
        }
        let known = self.reader.columns();
        if known != 0 && per_row != known {
            return Err(Fault::Model(format!(
                "the server gave {known} scores a row and then {per_row}: its answers cannot be used"
            )));
        }
        Ok((all, per_row, whole))
    }
}

impl Labels for RemoteModel {
    fn space(&self) -> Space {
        self.reader.space
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        if self.access() == Access::Labels {
            let (values, columns, _) = self.ask(rows.values(), rows.len())?;
            *out = values.chunks_exact(columns.max(1)).map(Reader::class).collect();
            return Ok(());
        }
        let mut replies = Replies::default();
        self.scores(rows, &mut replies)?;
        *out = (0..rows.len()).map(|at| replies.label(at)).collect();
        Ok(())
    }
}

impl Scores for RemoteModel {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        if self.access() == Access::Labels {
            return Err(Fault::NotApplicable("the server shows classes only, no scores".to_owned()));
        }
        let (values, columns, _) = self.ask(rows.values(), rows.len())?;
        let classes = self.reader.space.classes;
        out.reset(rows.len(), classes);
        for (row, place) in values.chunks_exact(columns.max(1)).zip(out.scores.chunks_exact_mut(classes)) {
            self.reader.scores(row, place);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_server_model_and_version() {
        let a = Address::parse("http://h:8000/v2/models/chest/versions/3").unwrap();
        assert_eq!(
            (a.server.as_str(), a.model.as_str(), a.version.as_deref()),
            ("http://h:8000", "chest", Some("3"))
        );
        assert_eq!(Address::parse("http://h/v2/models/chest/infer").unwrap().model, "chest");
        for text in ["http://h:8000", "http://h/v2/models/", "http://h/v2/models/a/b", "chest"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
