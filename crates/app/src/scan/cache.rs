//! Verdicts of files that were scanned before, by digest: a second scan of the same bytes costs one digest.
//!
//! The folder belongs to one user and is made readable for that user only; who can write there can also replace the
//! program. Evidence never comes from here: admission always scans.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use artifact::Part;
use domain::Digest;

/// Largest remembered result, bytes.
const RESULT_BYTES_MAX: u64 = 8 << 20;

/// Remembered results.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// A cache in `base`, for exactly the program that `program` names (its version and build).
    pub fn new(base: PathBuf, program: &str) -> Self {
        Self { folder: base.join(Digest::of(program.as_bytes()).short()) }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.to_string().replace("sha256:", ""))
    }

    /// What was found in these bytes, under the name that they have now. Anything odd about the entry counts as none.
    pub(super) fn get(&self, digest: &Digest, name: &str, bytes: u64) -> Option<Part> {
        let path = self.path(digest);
        if std::fs::metadata(&path).ok()?.len() > RESULT_BYTES_MAX {
            return None;
        }
        let part: Part = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        // Findings name their place from the file's name on, so a result is good for that name only.
        (part.bytes == bytes && part.name == name).then_some(part)
    }

    /// Remembers a result; failing to is no harm.
    pub(super) fn put(&self, digest: &Digest, part: &Part) {
        let Ok(text) = serde_json::to_vec(part) else { return };
        if text.len() as u64 > RESULT_BYTES_MAX {
            return;
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
        let temporary = self.path(digest).with_extension(format!("{}.new", std::process::id()));
        if made.is_ok() && std::fs::write(&temporary, text).is_ok() {
            let _ = std::fs::rename(&temporary, self.path(digest));
        }
    }
}
