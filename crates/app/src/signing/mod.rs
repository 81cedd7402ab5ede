//! Signing models and verifying signatures: the files, threads and clock around the crate `provenance`.

mod tree;

use std::path::{Path, PathBuf};

use domain::{Digest, Finding, Outcome, Timestamp};
use provenance::{
    Attested, Bundle, Certificate, CheckOptions, ContentDigest, Difference, DigestCache, EntryKind, Identity,
    Legacy, LinkPolicy, Listing, ListingError, PublicKey, Report, SignError, SignOptions, SignatureError,
    SignedBy, Signer, SigningPlan, Strictness, TreeEntry, Trust, TrustedRoot, hash_piece,
};

use crate::dataset::{DatasetError, read_file};
use tree::Root;

/// Largest key, certificate or trusted-root file, bytes.
const KEY_BYTES_MAX: u64 = 1 << 20;

/// Why a model cannot be signed or a signature not be judged.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A file that is needed.
    #[error(transparent)]
    Unreadable(#[from] DatasetError),
    /// The folder.
    #[error("cannot read `{path}`: {cause}")]
    Folder {
        /// The path.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Its content makes no listing.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The signature, key or certificate.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A file could not be hashed.
    #[error("`{path}`: {reason}")]
    Content {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Whom a verifier believes, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Believe {
    /// The holder of this public key.
    Key(PathBuf),
    /// Whoever has a certificate of these authorities, valid at that moment.
    Roots(PathBuf, Timestamp),
    /// This identity, vouched for by Sigstore's authorities.
    Sigstore {
        /// Sigstore's `trusted_root.json`.
        root: PathBuf,
        /// Who is expected to have signed.
        identity: Identity,
    },
}

/// A signature file and what it is judged with.
pub struct Judge<'a> {
    /// Whom to believe.
    pub believe: &'a Believe,
    /// Whether the format of release 0.2 is read.
    pub legacy: Legacy,
}

impl Judge<'_> {
    /// Checks a signature file and gives out what it covers.
    ///
    /// # Errors
    /// [`SigningError`]; [`SignatureError::outcome`] says which of them are doubts and which refuse.
    pub fn attested(&self, signature: &[u8]) -> Result<Attested, SigningError> {
        let bundle = Bundle::parse(signature)?;
        let read = |path: &Path| read_file(path, KEY_BYTES_MAX);
        Ok(match self.believe {
            Believe::Key(path) => {
                let key = PublicKey::from_pem(&read(path)?)?;
                bundle.verify(&Trust::Key(&key), self.legacy)?
            }
            Believe::Roots(path, at) => {
                let roots = Certificate::all_from_pem(&read(path)?)?;
                bundle.verify(&Trust::Certificates { roots: &roots, at: *at }, self.legacy)?
            }
            Believe::Sigstore { root, identity } => {
                let root = TrustedRoot::parse(&read(root)?)?;
                bundle.verify(&Trust::Sigstore { root: &root, identity }, self.legacy)?
            }
        })
    }
}

/// Reads a signature file.
///
/// # Errors
/// When it cannot be read or is larger than a signature can be.
pub fn read_signature(path: &Path) -> Result<Vec<u8>, SigningError> {
    Ok(read_file(path, provenance::limits::BUNDLE_BYTES_MAX as u64)?)
}

/// Told how many bytes of how many are hashed.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// What verifying a folder gave.
#[derive(Debug)]
pub struct Verified {
    /// Who signed.
    pub by: SignedBy,
    /// Departures of the signature from its specification.
    pub notices: Vec<Finding>,
    /// The comparison with the folder.
    pub report: Report,
}

/// Verifies a file or folder against a signature.
///
/// # Errors
/// [`SigningError`] when the signature itself does not hold or the folder cannot be read.
pub fn verify(
    model: &Path,
    signature: &Path,
    judge: &Judge<'_>,
    options: CheckOptions,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Verified, SigningError> {
    let attested = judge.attested(&read_signature(signature)?)?;
    let root = Root::of(model)?;
    let options = CheckOptions { signature_file: root.below(signature), ..options };
    let plan = attested.plan(&root.listing()?, options);
    let results = root.hash_all(plan.pieces(), attested.manifest().algorithm(), threads, progress);
    let report = plan.report(&results);
    Ok(Verified { by: attested.signed_by().clone(), notices: attested.notices().to_vec(), report })
}

/// What signing did.
#[derive(Debug)]
pub struct Signed {
    /// The signature file's content.
    pub signature: Vec<u8>,
    /// Files or shards that it covers.
    pub lines: usize,
    /// Of these, how many were not hashed again.
    pub reused: usize,
    /// Empty files that it does not cover.
    pub uncovered: Vec<String>,
    /// Digests for the next time, when a cache is kept.
    pub cache: DigestCache,
}

/// What is signed, where the signature goes, and how.
pub struct Order<'a> {
    /// File or folder of the model.
    pub model: &'a Path,
    /// Where the signature file will be; it is left out of itself.
    pub signature: &'a Path,
    /// The key.
    pub signer: &'a dyn Signer,
    /// Certificates of the key, its own first; none signs with the bare key.
    pub certificates: &'a [Certificate],
    /// Hash, pieces, links, ignored paths.
    pub options: SignOptions,
    /// Digests of the last time.
    pub cache: Option<&'a DigestCache>,
    /// Threads that hash.
    pub threads: usize,
    /// Now, on the clock that stamps files.
    pub now: Timestamp,
}

/// Signs a file or folder.
///
/// # Errors
/// [`SigningError`].
pub fn sign(order: Order<'_>, progress: Progress<'_>) -> Result<Signed, SigningError> {
    let Order { model, signature, signer, certificates, mut options, cache, threads, now } = order;
    let root = Root::of(model)?;
    options.signature_file = root.below(signature);
    let plan = SigningPlan::new(options, &root.listing()?, cache)?;
    let results = root.hash_all(plan.pieces(), plan.algorithm(), threads, progress);
    let mut digests: Vec<ContentDigest> = Vec::with_capacity(results.len());
    for (piece, result) in plan.pieces().iter().zip(results) {
        digests
            .push(result.map_err(|reason| SigningError::Content { path: piece.path().to_owned(), reason })?);
    }
    let manifest = plan.manifest(&digests)?;
    let signature = if certificates.is_empty() {
        provenance::sign_with_key(&manifest, signer)?
    } else {
        provenance::sign_with_certificates(&manifest, signer, certificates)?
    };
    let now_ns = now.as_millis().saturating_mul(1_000_000);
    Ok(Signed {
        signature,
        lines: manifest.resources().len(),
        reused: plan.reused(),
        uncovered: plan.uncovered().to_vec(),
        cache: plan.cache(&digests, now_ns)?,
    })
}

/// Does the signature cover exactly these bytes, as one of its files? For a model of one file that admission has read
/// already; what else the signature lists may be somewhere else.
pub fn covers(attested: &Attested, file_name: &str, bytes: &[u8]) -> Outcome {
    let manifest = attested.manifest();
    let named = |r: &&provenance::Resource| {
        let path = match manifest.method() {
            provenance::Method::Files => r.name.as_str(),
            provenance::Method::Shards { .. } => r.name.rsplitn(3, ':').last().unwrap_or(&r.name),
        };
        path.rsplit('/').next() == Some(file_name)
    };
    // Under its own name, else the only file that the signature lists (it was renamed on the way).
    let path = match (manifest.resources().iter().find(named), manifest.resources()) {
        (Some(found), _) | (None, [found]) => found.name.clone(),
        _ => {
            return Outcome::from_findings(vec![finding(&format!(
                "the signature lists no file `{file_name}`"
            ))]);
        }
    };
    let path = match manifest.method() {
        provenance::Method::Files => path,
        provenance::Method::Shards { .. } => path.rsplitn(3, ':').last().unwrap_or(&path).to_owned(),
    };
    let size = bytes.len() as u64;
    let entry = TreeEntry { path: path.clone(), kind: EntryKind::File, size, stamp: None };
    let Ok(listing) = Listing::new([entry]) else {
        return Outcome::inconclusive(crate::checks::ARTEFACT_SIGNED.id, "its name makes no listing");
    };
    let options =
        CheckOptions { links: LinkPolicy::Refuse, uncovered: Strictness::Report, signature_file: None };
    let plan = attested.plan(&listing, options);
    let mut buffer = Vec::new();
    let hashed: Vec<_> = plan
        .pieces()
        .iter()
        .map(|piece| {
            hash_piece(piece, manifest.algorithm(), &mut buffer, |at, into| {
                artifact::Source::read_at(bytes, at, into)
            })
            .map_err(|e| e.to_string())
        })
        .collect();
    let report = plan.report(&hashed);
    // Other files of the vendor's folder are not here and need not be.
    let own = |d: &&Difference| d.path() == path;
    let wrong = report.differences.iter().find(own);
    match (wrong, report.doubts.first()) {
        (None, None) => Outcome::Clean,
        (Some(_), _) => Outcome::from_findings(vec![finding(&format!(
            "`{file_name}` does not hold what was signed as `{path}`"
        ))]),
        (None, Some(doubt)) => Outcome::inconclusive(crate::checks::ARTEFACT_SIGNED.id, doubt.reason.clone()),
    }
}

/// A finding of V012.
pub(crate) fn finding(message: &str) -> Finding {
    Finding {
        check: crate::checks::ARTEFACT_SIGNED.id.to_owned(),
        severity: domain::Severity::High,
        location: domain::Location::whole(),
        message: message.to_owned(),
        technique: Some("AML.T0010.003".to_owned()),
        remedy: "get the file and its signature again from the maker, or sign it yourself after your own checks (asepsis sign)"
            .to_owned(),
    }
}

/// The digest that names the cache of a folder.
pub fn cache_name(model: &Path) -> String {
    let path = std::fs::canonicalize(model).unwrap_or_else(|_| model.to_owned());
    Digest::of(path.as_os_str().as_encoded_bytes()).short()
}

#[cfg(test)]
mod tests {
    use super::*;
    use provenance::PrivateKey;

    fn signed(folder: &Path, name: &str) -> (Vec<u8>, PathBuf) {
        let key = PrivateKey::from_seed(&[7; 32]).unwrap();
        let public = folder.join("key.pub");
        std::fs::write(&public, key.public_key().to_pem()).unwrap();
        let options = SignOptions::new("m");
        let (model, signature) = (folder.join(name), folder.join("model.sig"));
        let order = Order {
            model: &model,
            signature: &signature,
            signer: &key,
            certificates: &[],
            options,
            cache: None,
            threads: 2,
            now: Timestamp::from_millis(0),
        };
        let made = sign(order, &|_, _| ());
        (made.unwrap().signature, public)
    }

    #[test]
    fn a_signature_covers_exactly_the_signed_bytes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("m.onnx"), b"model").unwrap();
        let (signature, public) = signed(dir.path(), "m.onnx");
        let believe = Believe::Key(public);
        let attested = Judge { believe: &believe, legacy: Legacy::Refuse }.attested(&signature).unwrap();
        assert_eq!(covers(&attested, "m.onnx", b"model"), Outcome::Clean);
        assert_eq!(covers(&attested, "renamed.onnx", b"model"), Outcome::Clean);
        assert!(!covers(&attested, "m.onnx", b"modeL").findings().is_empty());
        assert!(!covers(&attested, "m.onnx", b"model+").findings().is_empty());
        assert!(!covers(&attested, "m.onnx", b"").findings().is_empty());
    }

    #[test]
    fn a_folder_is_signed_and_every_change_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        std::fs::create_dir_all(model.join("sub")).unwrap();
        std::fs::write(model.join("a"), b"a").unwrap();
        std::fs::write(model.join("sub/b"), b"b").unwrap();
        let (signature, public) = signed(dir.path(), "model");
        let file = dir.path().join("model.sig");
        std::fs::write(&file, signature).unwrap();
        let believe = Believe::Key(public);
        let check = || {
            let judge = Judge { believe: &believe, legacy: Legacy::Refuse };
            verify(&model, &file, &judge, CheckOptions::default(), 2, &|_, _| ()).unwrap().report
        };
        assert!(check().findings().is_empty());
        std::fs::write(model.join("c"), b"c").unwrap();
        std::fs::rename(model.join("sub/b"), model.join("sub/B2")).unwrap();
        let found = check().findings();
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
