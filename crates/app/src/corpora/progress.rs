//! What of a corpus has been judged: a small file beside the verdicts.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use corpus::Identifiers;
use domain::Digest;
use serde::{Deserialize, Serialize};

use super::{CorpusError, file_error};

/// Name in the output folder.
const PROGRESS: &str = "progress.json";

/// What the verdicts depend on beside the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Wishes {
    pub version: String,
    pub knowledge: String,
    pub field: Option<String>,
    pub identifiers: Identifiers,
}

/// One file of the corpus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct FileDone {
    /// Path below the folder, or the name.
    pub name: String,
    /// Its bytes as it lies there.
    pub bytes: u64,
    /// Documents judged.
    pub documents: u64,
    /// Whether it is done.
    pub complete: bool,
    /// Digest of its bytes, once it is done.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Digest>,
    /// Why it could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unread: Option<String>,
}

/// How far a run is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Progress {
    pub(super) wishes: Wishes,
    pub(super) files: Vec<FileDone>,
    /// Bytes of the verdicts that count.
    pub(super) written: u64,
    #[serde(skip)]
    pub(super) since_note: u64,
}

impl Progress {
    /// Of a new run, or of the one to be resumed.
    pub(super) fn begin(
        out: &Path,
        wishes: Wishes,
        found: &[(Option<String>, PathBuf)],
        resume: bool,
    ) -> Result<Self, CorpusError> {
        let mut files = Vec::new();
        for (below, path) in found {
            let bytes = std::fs::metadata(path).map_err(file_error(path))?.len();
            let own = || path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let name = below.clone().unwrap_or_else(own);
            files.push(FileDone { name, bytes, documents: 0, complete: false, digest: None, unread: None });
        }
        let path = out.join(PROGRESS);
        let kept = match std::fs::read(&path) {
            Ok(kept) => kept,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self { wishes, files, written: 0, since_note: 0 });
            }
            Err(cause) => return Err(file_error(&path)(cause)),
        };
        if !resume {
            return Err(CorpusError::Taken(out.display().to_string()));
        }
        let kept: Self = serde_json::from_slice(&kept)
            .map_err(|_| CorpusError::Other(format!("`{}` is damaged", path.display())))?;
        if kept.wishes != wishes {
            return Err(CorpusError::Other(
                "version, knowledge or settings are not those of the run before".to_owned(),
            ));
        }
        let same = kept.files.len() == files.len()
            && kept.files.iter().zip(&files).all(|(k, f)| (&k.name, k.bytes) == (&f.name, f.bytes));
        if !same {
            return Err(CorpusError::Other("the files of the corpus have changed since".to_owned()));
        }
        Ok(kept)
    }

    /// Writes down what is done; the verdicts are on the disk before.
    pub(super) fn note(&mut self, out: &Path, verdicts: &mut BufWriter<File>) -> Result<(), CorpusError> {
        let (path, new) = (out.join(PROGRESS), out.join(format!("{PROGRESS}.new")));
        verdicts.flush().and_then(|()| verdicts.get_ref().sync_data()).map_err(file_error(&path))?;
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| file_error(&path)(e.into()))?;
        std::fs::write(&new, bytes).map_err(file_error(&new))?;
        std::fs::rename(&new, &path).map_err(file_error(&path))?;
        self.since_note = 0;
        Ok(())
    }

    pub(super) fn add(&mut self, at: usize, written: u64) {
        self.written += written;
        self.since_note += 1;
        if let Some(file) = self.files.get_mut(at) {
            file.documents += 1;
        }
    }

    pub(super) fn unread(&mut self, at: usize, why: String) {
        if let Some(file) = self.files.get_mut(at) {
            file.unread = Some(why);
        }
    }

    pub(super) fn finish(&mut self, at: usize, digest: Digest) {
        if let Some(file) = self.files.get_mut(at) {
            (file.complete, file.digest) = (true, Some(digest));
        }
    }

    /// Documents judged.
    pub fn documents(&self) -> u64 {
        self.files.iter().map(|f| f.documents).sum()
    }

    pub(super) fn bytes_all(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }

    pub(super) fn bytes_done(&self) -> u64 {
        self.files.iter().filter(|f| f.complete).map(|f| f.bytes).sum()
    }
}
