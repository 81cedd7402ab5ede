//! Bills of materials: a scan, what the file says about itself, and what a vendor's papers say about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use artifact::bom::{self, Advisory, Materials, Measured, Paper, Signature, Spec, Vulnerable};
use domain::{Digest, Timestamp};
use serde_json::Value;

use crate::dataset::{DatasetError, read_file};
use crate::scan::Scanned;

/// Advisories read from one export.
const ADVISORIES_MAX: usize = 500_000;

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BomError {
    /// A file or folder.
    #[error(transparent)]
    Unreadable(#[from] DatasetError),
    /// A folder of advisories.
    #[error("cannot read `{path}`: {cause}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("`{path}`: {reason}")]
    Wrong {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Beside the scan.
#[derive(Default)]
pub struct Beside<'a> {
    /// Name of the model; the file's name if left out.
    pub name: Option<&'a str>,
    /// Version of the model.
    pub version: Option<&'a str>,
    /// Verified signature.
    pub signature: Option<Signature>,
    /// Measured figures.
    pub metrics: &'a [Measured],
    /// An offline export of OSV: a folder or a zip of advisories.
    pub osv: Option<&'a Path>,
    /// A vendor's papers: CycloneDX JSON or a CHAI model card.
    pub papers: &'a [PathBuf],
}

/// The document, and what the papers lack or say differently.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The CycloneDX document.
    pub document: Value,
    /// Known vulnerabilities of libraries that the file names.
    pub vulnerable: Vec<Vulnerable>,
    /// Per paper.
    pub papers: Vec<Compared>,
}

/// One paper beside the file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    /// The paper.
    pub paper: String,
    /// What it does not say.
    pub missing: Vec<String>,
    /// Where it says something else than the file.
    pub contradicts: Vec<String>,
}

/// Makes the bill of materials of one scanned target.
///
/// # Errors
/// [`BomError`] for papers and advisories that cannot be read.
pub fn make(spec: Spec, scanned: &Scanned, beside: &Beside<'_>, now: Timestamp) -> Result<Made, BomError> {
    let facts = bom::whole(&scanned.part);
    let advisories = match beside.osv {
        None => Vec::new(),
        Some(path) => advisories(path)?,
    };
    let vulnerable = bom::affected(&facts.libraries, &advisories);
    let document = bom::document(
        spec,
        &Materials {
            name: beside.name.unwrap_or(&scanned.part.name),
            version: beside.version,
            part: &scanned.part,
            digest: scanned.digest,
            digests: &scanned.digests,
            signature: beside.signature.clone(),
            metrics: beside.metrics,
            vulnerable: &vulnerable,
            made_at: now,
            tool: env!("CARGO_PKG_VERSION"),
        },
    );
    let sha256 = hexadecimal(scanned.digest.as_ref(), &scanned.digests);
    let mut papers = Vec::new();
    for path in beside.papers {
        let paper = read_paper(path)?;
        papers.push(Compared {
            paper: path.display().to_string(),
            missing: bom::missing(&paper),
            contradicts: bom::compare(&paper, &scanned.part, &sha256),
        });
    }
    Ok(Made { document, vulnerable, papers })
}

fn hexadecimal(one: Option<&Digest>, many: &BTreeMap<String, Digest>) -> Vec<String> {
    one.into_iter()
        .chain(many.values())
        .map(|d| d.to_string().trim_start_matches("sha256:").to_owned())
        .collect()
}

fn read_paper(path: &Path) -> Result<Paper, BomError> {
    let bytes = read_file(path, bom::VENDOR_BYTES_MAX as u64)?;
    let wrong = |reason| BomError::Wrong { path: path.display().to_string(), reason };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('<') && !text.contains("cyclonedx.org/schema") {
        return bom::read_chai(text).map(Paper::Chai).map_err(wrong);
    }
    bom::read_vendor(text.as_bytes()).map(Paper::Bom).map_err(wrong)
}

/// All advisories of an export: a zip as OSV publishes it, a folder of JSON files, or one JSON file.
fn advisories(path: &Path) -> Result<Vec<Advisory>, BomError> {
    let wrong = |reason: String| BomError::Wrong { path: path.display().to_string(), reason };
    let folder = |cause| BomError::Folder { path: path.display().to_string(), cause };
    let mut out = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(folder)?.take(ADVISORIES_MAX) {
            let file = entry.map_err(folder)?.path();
            if file.extension().is_some_and(|e| e == "json") {
                out.push(bom::read_osv(&read_file(&file, bom::OSV_BYTES_MAX)?).map_err(wrong)?);
            }
        }
    } else if path.extension().is_some_and(|e| e == "zip") {
        let file = std::fs::File::open(path).map_err(folder)?;
        let mut archive = zip::ZipArchive::new(file).map_err(|e| wrong(e.to_string()))?;
        for n in 0..archive.len().min(ADVISORIES_MAX) {
            use std::io::Read as _;
            let member = archive.by_index(n).map_err(|e| wrong(e.to_string()))?;
            if member.name().ends_with(".json") {
                let mut bytes = Vec::new();
                member.take(bom::OSV_BYTES_MAX).read_to_end(&mut bytes).map_err(folder)?;
                out.push(bom::read_osv(&bytes).map_err(wrong)?);
            }
        }
    } else {
        out.push(bom::read_osv(&read_file(path, bom::OSV_BYTES_MAX)?).map_err(wrong)?);
    }
    if out.is_empty() {
        return Err(wrong(
            "it holds no advisories: name the folder or zip of an OSV export (PyPI)".to_owned(),
        ));
    }
    Ok(out)
}
