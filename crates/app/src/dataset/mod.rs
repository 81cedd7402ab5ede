//! Reference data: a CSV with a header, or a MedMNIST `.npz`, read within limits into splits.

mod csv_table;
mod fetch;
mod npz;

use std::path::Path;

use domain::{Digest, InputSchema};
use numeric::Matrix;

use crate::config::Split;

pub use fetch::{SOURCES, Source, place, source};

/// Most rows over all splits.
pub const ROWS_MAX: usize = 2_000_000;
/// Most values over all splits: 4 GiB of `f32`.
pub const VALUES_MAX: usize = 1 << 30;

/// Why reference data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file cannot be read.
    #[error("cannot read reference data `{path}`: {cause}")]
    Unreadable {
        /// File name.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is larger than allowed.
    #[error(
        "reference data `{path}` is larger than {max} bytes; raise limits.reference-bytes-max if that is intended"
    )]
    TooLarge {
        /// File name.
        path: String,
        /// The limit.
        max: u64,
    },
    /// It is not what it should be.
    #[error("reference data `{path}`: {message}")]
    Malformed {
        /// File name.
        path: String,
        /// What is wrong; no value of a patient.
        message: String,
    },
}

/// One split: inputs `[rows, values]` in the model's units, a class for each row.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Inputs.
    pub inputs: Matrix,
    /// Classes, from 0.
    pub labels: Vec<u32>,
}

/// Reference data in its three splits.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Digest of the file.
    pub digest: Digest,
    /// Guards learn from it.
    pub fit: Part,
    /// Thresholds are set on it.
    pub calibrate: Part,
    /// Judged on it.
    pub hold_out: Part,
    /// Missing values that were filled with the median of the fitting split.
    pub filled: usize,
}

impl Dataset {
    /// The three splits with their names.
    pub fn parts(&self) -> [(&'static str, &Part); 3] {
        [("fit", &self.fit), ("calibrate", &self.calibrate), ("hold-out", &self.hold_out)]
    }
}

/// Reads `path` as the schema says. `bytes` are the file's content, read by the caller once, so that digest and
/// content cannot differ.
///
/// # Errors
/// [`DatasetError::Malformed`] naming column and line, never a value.
pub fn read(path: &Path, bytes: &[u8], schema: &InputSchema, split: &Split) -> Result<Dataset, DatasetError> {
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let malformed = |message: String| DatasetError::Malformed { path: name.clone(), message };
    let parts = match schema {
        InputSchema::Table { features, .. } => csv_table::read(bytes, features, split).map_err(malformed)?,
        InputSchema::Image { .. } => npz::read(bytes, schema).map_err(malformed)?,
    };
    let ([fit, calibrate, hold_out], filled) = parts;
    Ok(Dataset { digest: Digest::of(bytes), fit, calibrate, hold_out, filled })
}

/// Reads a whole file, up to `max` bytes.
///
/// # Errors
/// When it is not there, not readable or too large.
pub fn read_file(path: &Path, max: u64) -> Result<Vec<u8>, DatasetError> {
    use std::io::Read as _;
    let shown = || path.display().to_string();
    let unreadable = |cause| DatasetError::Unreadable { path: shown(), cause };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(std::io::Error::other("it is a folder")));
    }
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > max {
        return Err(DatasetError::TooLarge { path: shown(), max });
    }
    Ok(bytes)
}
