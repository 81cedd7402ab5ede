//! The present content of a system, as digests: what evidence is compared with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use domain::{Digest, Hasher, Subject, SubjectRole};

use crate::config::{ModelSource, Settings, SystemSettings};

/// How often a file is hashed again although its size and time look the same: a change that hides its time is found
/// within this many looks.
const LOOKS_BEFORE_REHASH: u32 = 30;

/// What is known about a file from the last look.
#[derive(Debug, Clone)]
struct Seen {
    bytes: u64,
    modified: Option<SystemTime>,
    digest: Digest,
    looks: u32,
}

/// Digests of files, hashed again when size or time changed, and every so often in any case.
#[derive(Debug, Default)]
pub struct FileDigests(Mutex<BTreeMap<PathBuf, Seen>>);

impl FileDigests {
    /// The digest of the file, or `None` when it is not there or not readable.
    pub fn of(&self, path: &Path) -> Option<Digest> {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Ok(meta) = std::fs::metadata(path) else {
            seen.remove(path);
            return None;
        };
        let (bytes, modified) = (meta.len(), meta.modified().ok());
        if let Some(known) = seen.get_mut(path) {
            known.looks += 1;
            if known.bytes == bytes && known.modified == modified && known.looks < LOOKS_BEFORE_REHASH {
                return Some(known.digest);
            }
        }
        let digest = hash_file(path)?;
        seen.insert(path.to_owned(), Seen { bytes, modified, digest, looks: 0 });
        Some(digest)
    }
}

fn hash_file(path: &Path) -> Option<Digest> {
    use std::io::Read as _;
    let mut file = std::fs::File::open(path).ok()?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

/// The subjects of `system` as they are now. A part that is not there has no subject.
pub fn present(settings: &Settings, system: &SystemSettings, files: &FileDigests) -> Vec<Subject> {
    let model = match &system.model {
        ModelSource::File(path) => files.of(path),
        ModelSource::Remote(remote) => {
            Some(remote_identity(&remote.url, &remote.name, remote.version.as_deref()))
        }
    };
    let mut out = Vec::with_capacity(7);
    let mut push = |role, digest: Option<Digest>| {
        if let Some(digest) = digest {
            out.push(Subject { role, digest });
        }
    };
    push(SubjectRole::Model, model);
    push(SubjectRole::Reference, files.of(&system.reference));
    push(SubjectRole::Guards, json_digest(&system.guards));
    push(SubjectRole::Inputs, json_digest(&(&system.schema, &system.output, &system.classes)));
    push(SubjectRole::Integration, Some(integration(settings, system)));
    push(SubjectRole::Origin, Some(origin(system, files)));
    push(SubjectRole::Bounds, json_digest(&(&system.acceptance, &system.split)));
    out
}

/// The digest that stands for a remote model: where it is asked for, since its bytes are not ours to see.
pub fn remote_identity(url: &str, name: &str, version: Option<&str>) -> Digest {
    let mut hasher = Hasher::new();
    hasher
        .field(b"remote")
        .field(url.as_bytes())
        .field(name.as_bytes())
        .field(version.unwrap_or("").as_bytes());
    hasher.finish()
}

fn json_digest<T: serde::Serialize>(value: &T) -> Option<Digest> {
    serde_json::to_vec(value).ok().map(|bytes| Digest::of(&bytes))
}

/// Who vouches for the model: content of signature and key, or that nobody does.
fn origin(system: &SystemSettings, files: &FileDigests) -> Digest {
    let mut hasher = Hasher::new();
    for path in system.signature.iter().flat_map(|s| s.files()) {
        match files.of(path) {
            Some(digest) => hasher.field(digest.as_bytes()),
            None => hasher.field(b"not there"),
        };
    }
    hasher.finish()
}

/// Who may ask and within which limits.
fn integration(settings: &Settings, system: &SystemSettings) -> Digest {
    let mut hasher = Hasher::new();
    hasher.field(system.id.as_str().as_bytes());
    for client in settings.clients.iter().filter(|c| c.systems.contains(&system.id)) {
        hasher.field(client.id.as_str().as_bytes());
    }
    let limits = &settings.limits;
    for number in [
        u64::from(limits.client_requests_per_second),
        u64::from(limits.client_burst),
        limits.client_rows_per_day,
        limits.batch_rows_max as u64,
    ] {
        hasher.field(&number.to_be_bytes());
    }
    hasher.field(settings.policies.as_deref().unwrap_or("built-in").as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_seen_even_when_the_file_keeps_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.onnx");
        std::fs::write(&path, b"abc").unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        let digests = FileDigests::default();
        let before = digests.of(&path).unwrap();
        std::fs::write(&path, b"abd").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        let changed = (0..LOOKS_BEFORE_REHASH).any(|_| digests.of(&path) != Some(before));
        assert!(changed);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(digests.of(&path), None);
    }
}
