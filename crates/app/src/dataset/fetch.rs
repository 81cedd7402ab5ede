//! Data sets that are fetched from their publisher because they are too large, or not ours, to ship.

use std::path::Path;

use super::DatasetError;

/// A data set and where its publisher keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Name on the command line.
    pub name: &'static str,
    /// Title.
    pub title: &'static str,
    /// The publisher's address.
    pub url: &'static str,
    /// Size, in bytes.
    pub bytes: u64,
    /// MD5 digest that the publisher states (RFC 1321), hexadecimal. Guards against accidents, not against malice.
    pub md5: &'static str,
    /// SHA-256 digest of the same bytes, hexadecimal; the one that is trusted.
    pub sha256: &'static str,
    /// Licence.
    pub licence: &'static str,
}

/// All fetchable data sets.
pub const SOURCES: &[Source] = &[Source {
    name: "pneumoniamnist",
    title: "PneumoniaMNIST 28x28: 5,856 paediatric chest X-rays (Yang et al. 2023, doi:10.1038/s41597-022-01721-8)",
    url: "https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1",
    bytes: 4_170_669,
    md5: "28209eda62fecd6e6a2d98b1501bb15f",
    sha256: "e1792d3f03751cb101e99f19a63b3c1941436c988665f47853417b05be250cd8",
    licence: "CC BY 4.0",
}];

/// The data set of that name.
pub fn source(name: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|s| s.name == name)
}

/// Puts `bytes`, however they came, at `to`, if they are the publisher's. Written beside and renamed, so that a cut
/// leaves nothing half.
///
/// # Errors
/// When the bytes are not the publisher's, or cannot be written.
pub fn place(source: &Source, bytes: &[u8], to: &Path) -> Result<(), DatasetError> {
    let name = source.name.to_owned();
    let digest = domain::Digest::of(bytes).to_string();
    if digest.strip_prefix("sha256:") != Some(source.sha256) {
        let message =
            format!("these are not the publisher's bytes (sha256 {}): fetch it again", &digest[7..19]);
        return Err(DatasetError::Malformed { path: name, message });
    }
    let unreadable = |cause| DatasetError::Unreadable { path: to.display().to_string(), cause };
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(unreadable)?;
    }
    let beside = to.with_extension("part");
    std::fs::write(&beside, bytes).map_err(unreadable)?;
    std::fs::rename(&beside, to).map_err(unreadable)
}
