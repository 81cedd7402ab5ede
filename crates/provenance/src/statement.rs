//! Reads the signed in-toto statement: v1.0 of the specification, and the experimental 0.2 where the caller allows it.

use std::num::NonZeroU64;

use serde::Deserialize;

use crate::error::SignatureError;
use crate::hash::{ContentDigest, HashAlgorithm};
use crate::json;
use crate::limits::{BUNDLE_BYTES_MAX, IGNORED_PATHS_MAX, NAME_BYTES_MAX, RESOURCES_MAX};
use crate::manifest::{LEGACY_PREDICATE_TYPE, Manifest, Method, PREDICATE_TYPE, Resource, STATEMENT_TYPE};
use crate::name::shown;

const WHAT: &str = "the signed statement";

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

#[derive(Deserialize)]
struct RawStatement {
    subject: Vec<RawSubject>,
    predicate: RawPredicate,
}

#[derive(Deserialize)]
struct LegacyStatement {
    subject: Vec<RawSubject>,
}

#[derive(Deserialize)]
struct RawSubject {
    #[serde(default)]
    name: String,
    digest: RawDigest,
}

#[derive(Deserialize)]
struct RawDigest {
    sha256: String,
}

#[derive(Deserialize)]
struct RawPredicate {
    resources: Vec<RawResource>,
    serialization: RawSerialization,
}

#[derive(Deserialize)]
struct RawResource {
    name: String,
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
struct RawSerialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    #[serde(default)]
    ignore_paths: Vec<String>,
    #[serde(default)]
    shard_size: Option<serde_json::Number>,
}

/// A statement that was read, and where it departs from the schema.
pub(crate) struct Read {
    pub(crate) manifest: Manifest,
    pub(crate) quirks: Vec<String>,
    pub(crate) legacy: bool,
}

/// Reads the payload bytes as they were signed.
pub(crate) fn parse(payload: &[u8]) -> Result<Read, SignatureError> {
    let head: Head = json::parse(WHAT, payload, BUNDLE_BYTES_MAX)?;
    if head.kind != STATEMENT_TYPE {
        return Err(unsupported("the statement of type", &head.kind, "an in-toto statement v1 is needed"));
    }
    match head.predicate_type.as_str() {
        PREDICATE_TYPE => current(json::parse(WHAT, payload, BUNDLE_BYTES_MAX)?),
        LEGACY_PREDICATE_TYPE => legacy(json::parse(WHAT, payload, BUNDLE_BYTES_MAX)?),
        other => Err(unsupported(
            "the predicate",
            other,
            "this is no model signature: `https://model_signing/signature/v1.0` is needed",
        )),
    }
}

fn unsupported(what: &'static str, found: &str, remedy: &'static str) -> SignatureError {
    SignatureError::Unsupported { what, found: shown(found), remedy }
}

fn bad(reason: impl Into<String>) -> SignatureError {
    SignatureError::malformed(WHAT, reason.into())
}

fn check_counts(resources: usize) -> Result<(), SignatureError> {
    if resources > RESOURCES_MAX {
        return Err(SignatureError::TooLarge {
            what: "the signed list",
            found: resources,
            max: RESOURCES_MAX,
        });
    }
    if resources == 0 { Err(bad("it lists no file, so it says nothing")) } else { Ok(()) }
}

fn check_name(name: &str) -> Result<(), SignatureError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(bad(format!("a name of {} bytes, 1 to {NAME_BYTES_MAX} are allowed", name.len())));
    }
    Ok(())
}

fn digest(algorithm: HashAlgorithm, name: &str, text: &str) -> Result<ContentDigest, SignatureError> {
    ContentDigest::from_hex(algorithm, text)
        .ok_or_else(|| bad(format!("the digest of `{}` is no {} digest", shown(name), algorithm.as_str())))
}

fn current(raw: RawStatement) -> Result<Read, SignatureError> {
    let mut quirks = Vec::new();
    let [subject] = raw.subject.as_slice() else {
        return Err(bad(format!("{} subjects, exactly one is needed", raw.subject.len())));
    };
    let RawPredicate { resources: lines, serialization } = raw.predicate;
    check_counts(lines.len())?;
    let (algorithm, quirk) = HashAlgorithm::parse_tolerant(&serialization.hash_type)?;
    if quirk {
        quirks.push(format!("hash_type `{}`", shown(&serialization.hash_type)));
    }
    let method = method(&serialization, &mut quirks)?;
    if serialization.ignore_paths.len() > IGNORED_PATHS_MAX {
        return Err(SignatureError::TooLarge {
            what: "the list of ignored paths",
            found: serialization.ignore_paths.len(),
            max: IGNORED_PATHS_MAX,
        });
    }
    serialization.ignore_paths.iter().try_for_each(|path| check_name(path))?;
    let mut resources = Vec::with_capacity(lines.len());
    let mut odd = None;
    for line in lines {
        check_name(&line.name)?;
        let (own, quirk) = HashAlgorithm::parse_tolerant(&line.algorithm)?;
        if own != algorithm {
            return Err(bad(format!(
                "`{}` is hashed by {}, and the list by {}",
                shown(&line.name),
                own.as_str(),
                algorithm.as_str()
            )));
        }
        if quirk && odd.is_none() {
            odd = Some(line.algorithm.clone());
        }
        let digest = digest(algorithm, &line.name, &line.digest)?;
        resources.push(Resource { name: line.name, digest });
    }
    quirks.extend(odd.map(|text| format!("algorithm `{}`", shown(&text))));
    let manifest = Manifest {
        subject: shown(&subject.name),
        method,
        algorithm,
        allow_symlinks: serialization.allow_symlinks,
        ignore_paths: serialization.ignore_paths,
        resources,
    };
    let listed = hex::encode(manifest.root().as_bytes());
    if listed != subject.digest.sha256 {
        return Err(SignatureError::RootDigest { signed: shown(&subject.digest.sha256), listed });
    }
    Ok(Read { manifest, quirks, legacy: false })
}

/// The size of a shard comes as `1000.0` from the reference implementation, whose protobuf knows no whole numbers.
fn method(raw: &RawSerialization, quirks: &mut Vec<String>) -> Result<Method, SignatureError> {
    match (raw.method.as_str(), &raw.shard_size) {
        ("files", None) => Ok(Method::Files),
        ("files", Some(_)) => {
            quirks.push("a shard_size beside the method `files`".into());
            Ok(Method::Files)
        }
        ("shards", None) => Err(bad("the method `shards` without a shard_size")),
        ("shards", Some(number)) => {
            let whole = number.as_u64().and_then(NonZeroU64::new);
            if let Some(size) = whole {
                return Ok(Method::Shards { size });
            }
            let size = number.as_f64().filter(|f| f.fract() == 0.0 && (1.0..=9e15).contains(f));
            // Exact: a whole number below 2⁵³, written without its fraction.
            let size = size.and_then(|f| format!("{f:.0}").parse().ok());
            quirks.push(format!("shard_size `{number}`"));
            size.map(|size| Method::Shards { size })
                .ok_or_else(|| bad(format!("shard_size `{number}` is no number of bytes")))
        }
        (other, _) => {
            Err(unsupported("the serialisation method", other, "`files` and `shards` are understood"))
        }
    }
}

/// Release 0.2: the digests stand in `subject`, always SHA-256 of whole files; nothing else is said.
fn legacy(raw: LegacyStatement) -> Result<Read, SignatureError> {
    check_counts(raw.subject.len())?;
    let mut resources = Vec::with_capacity(raw.subject.len());
    for subject in raw.subject {
        check_name(&subject.name)?;
        let digest = digest(HashAlgorithm::Sha256, &subject.name, &subject.digest.sha256)?;
        resources.push(Resource { name: subject.name, digest });
    }
    let manifest = Manifest {
        subject: "not named".into(),
        method: Method::Files,
        algorithm: HashAlgorithm::Sha256,
        allow_symlinks: false,
        ignore_paths: Vec::new(),
        resources,
    };
    Ok(Read { manifest, quirks: Vec::new(), legacy: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_lines_is_bounded_at_both_ends() {
        assert!(check_counts(RESOURCES_MAX).is_ok());
        assert!(check_counts(1).is_ok());
        assert!(matches!(check_counts(RESOURCES_MAX + 1), Err(SignatureError::TooLarge { .. })));
        assert!(matches!(check_counts(0), Err(SignatureError::Malformed { .. })));
    }
}
