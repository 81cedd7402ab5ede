//! Entries of Sigstore's transparency log: what they are about, when they were made, and that they are in the log.

use domain::Timestamp;
use ledger::{Hash, leaf_hash, verify_inclusion};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::bundle::{Bundle, LogEntry, Proof, pae};
use crate::certificate::{Certificate, ed25519};
use crate::error::SignatureError;
use crate::json;
use crate::key::PublicKey;
use crate::limits::BUNDLE_BYTES_MAX;
use crate::pem;
use crate::trusted_root::{Log, TrustedRoot};

/// Hashes in a proof: a tree of 2⁶⁴ entries needs 64.
const PROOF_HASHES_MAX: usize = 64;
/// Lines of signatures under a checkpoint.
const CHECKPOINT_LINES_MAX: usize = 64;

fn no(reason: impl Into<String>) -> SignatureError {
    SignatureError::not_logged(reason)
}

/// Checks one entry. Returns when the log took it in, where the log signed a promise that says so.
pub(crate) fn check(
    entry: &LogEntry,
    bundle: &Bundle,
    signer: &Certificate,
    root: &TrustedRoot,
) -> Result<Option<Timestamp>, SignatureError> {
    let id = entry.log_id.as_ref().ok_or_else(|| no("an entry without the id of its log"))?;
    let id = json::base64("a log's id", &id.key_id)?;
    let log = root.logs.iter().find(|log| log.id == id);
    let log = log.ok_or_else(|| no("its log is not in the trusted root"))?;
    let body = entry.canonicalized_body.as_ref().ok_or_else(|| no("an entry without its body"))?;
    let body = json::base64("a log entry", body)?;
    check_body(entry, &body, bundle, signer)?;
    let proof = entry.inclusion_proof.as_ref().ok_or_else(|| no("an entry without proof of inclusion"))?;
    check_inclusion(proof, &body, log)?;
    let Some(promise) = &entry.inclusion_promise else { return Ok(None) };
    let at = check_promise(entry, &promise.signed_entry_timestamp, &id, log)?;
    Ok(Some(at))
}

/// The log's signature on body, time and index: JSON in the canonical form of RFC 8785, whose keys are sorted.
fn check_promise(
    entry: &LogEntry,
    signature: &str,
    id: &[u8],
    log: &Log,
) -> Result<Timestamp, SignatureError> {
    let seconds = entry.integrated_time.ok_or_else(|| no("an entry without its time"))?;
    let index = entry.log_index.ok_or_else(|| no("an entry without its index"))?;
    // serde_json sorts the keys of an object; the values are a Base64 text, two numbers and a hexadecimal text.
    let message = json!({
        "body": entry.canonicalized_body,
        "integratedTime": seconds,
        "logID": hex::encode(id),
        "logIndex": index,
    });
    let signature = json::base64("the log's promise", signature)?;
    if !verify(log, message.to_string().as_bytes(), &signature) {
        return Err(no("the log's signature on the time of the entry does not fit"));
    }
    let at = Timestamp::from_millis(seconds.saturating_mul(1_000));
    if log.valid.holds(at) { Ok(at) } else { Err(no("the log was not trusted when it took the entry in")) }
}

fn verify(log: &Log, message: &[u8], signature: &[u8]) -> bool {
    match PublicKey::from_der(&log.spki) {
        // Logs hash with SHA-256 whatever their curve.
        Ok(key) => key.verify_prehash(&Sha256::digest(message), signature),
        Err(_) => ed25519(&log.spki, message, signature),
    }
}

/// The entry is in the tree whose root the log signed.
fn check_inclusion(proof: &Proof, body: &[u8], log: &Log) -> Result<(), SignatureError> {
    let broken = || no("its proof of inclusion cannot be read");
    if proof.hashes.len() > PROOF_HASHES_MAX {
        return Err(broken());
    }
    let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    let index = number(proof.log_index.or(Some(0))).ok_or_else(broken)?;
    let size = number(proof.tree_size).ok_or_else(broken)?;
    let root = Hash::from_base64(&proof.root_hash).ok_or_else(broken)?;
    let hashes: Option<Vec<Hash>> = proof.hashes.iter().map(|h| Hash::from_base64(h)).collect();
    let checkpoint =
        proof.checkpoint.as_ref().ok_or_else(|| no("a proof without the log's signed checkpoint"))?;
    check_checkpoint(&checkpoint.envelope, size, &root, log)?;
    verify_inclusion(&leaf_hash(body), index, size, &root, &hashes.ok_or_else(broken)?)
        .map_err(|_| no("the entry is not in the log's tree"))
}

/// A signed note (C2SP): origin, size and root hash, then a line for each signature.
fn check_checkpoint(note: &str, size: u64, root: &Hash, log: &Log) -> Result<(), SignatureError> {
    let broken = || no("the log's checkpoint cannot be read");
    let (text, signatures) = note.split_once("\n\n").ok_or_else(broken)?;
    let signed = format!("{text}\n");
    let mut lines = text.lines();
    let origin = lines.next().ok_or_else(broken)?;
    let fits = lines.next() == Some(size.to_string().as_str())
        && lines.next().and_then(Hash::from_base64).is_some_and(|h| h == *root);
    // Rekor 1 puts the number of its tree behind its name.
    let named =
        log.origin.is_empty() || origin == log.origin || origin.starts_with(&format!("{} - ", log.origin));
    if !fits || !named {
        return Err(no("the log's checkpoint is about another tree"));
    }
    for line in signatures.lines().take(CHECKPOINT_LINES_MAX) {
        let Some((name, packed)) = line.strip_prefix("— ").and_then(|l| l.rsplit_once(' ')) else {
            continue;
        };
        let Ok(bytes) = json::base64("a checkpoint's signature", packed) else { continue };
        let Some((hint, signature)) = bytes.split_at_checked(4) else { continue };
        let ours = log.id.get(..4) == Some(hint) || name == origin;
        if ours && verify(log, signed.as_bytes(), signature) {
            return Ok(());
        }
    }
    Err(no("the log did not sign the checkpoint"))
}

/// What an entry says about a DSSE envelope, in the forms that Rekor has had.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    kind: String,
    api_version: String,
    spec: serde_json::Value,
}

/// An entry's claim: digest of the content, signature, certificate.
struct Claim {
    /// Whether the digest is of what was signed (payload with its encoding) instead of the payload alone.
    encoded: bool,
    content: Vec<u8>,
    signature: Vec<u8>,
    certificate: Vec<u8>,
}

/// The entry is about this payload, this signature and this certificate.
fn check_body(
    entry: &LogEntry,
    body: &[u8],
    bundle: &Bundle,
    signer: &Certificate,
) -> Result<(), SignatureError> {
    let read: Body = json::parse("a log entry", body, BUNDLE_BYTES_MAX)?;
    if entry.kind_version.as_ref().is_some_and(|k| k.kind != read.kind || k.version != read.api_version) {
        return Err(no("the entry is of another kind than the bundle says"));
    }
    let claim = match (read.kind.as_str(), read.api_version.as_str()) {
        ("dsse", "0.0.1") => dsse_1(&read.spec),
        ("dsse", "0.0.2") => dsse_2(&read.spec),
        ("intoto", "0.0.2") => intoto_2(&read.spec),
        ("hashedrekord", "0.0.1") => hashed_1(&read.spec),
        ("hashedrekord", "0.0.2") => hashed_2(&read.spec),
        (kind, version) => {
            return Err(SignatureError::Unsupported {
                what: "the log entry of kind",
                found: crate::name::shown(&format!("{kind} {version}")),
                remedy: "dsse and hashedrekord (0.0.1, 0.0.2) and intoto 0.0.2 are understood",
            });
        }
    };
    let claim = claim.ok_or_else(|| no("the entry does not say what it is about"))?;
    let content =
        if claim.encoded { Sha256::digest(pae(&bundle.payload)) } else { Sha256::digest(&bundle.payload) };
    if !bool::from(claim.content.as_slice().ct_eq(content.as_slice())) {
        return Err(no("the entry is about another content"));
    }
    if claim.signature != bundle.signature {
        return Err(no("the entry is about another signature"));
    }
    if claim.certificate != signer.der() {
        return Err(no("the entry is about another certificate"));
    }
    Ok(())
}

fn bytes(value: &serde_json::Value) -> Option<Vec<u8>> {
    json::base64("a log entry", value.as_str()?).ok()
}

fn hexadecimal(value: &serde_json::Value) -> Option<Vec<u8>> {
    (value["algorithm"] == "sha256")
        .then(|| value["value"].as_str().and_then(|v| hex::decode(v).ok()))
        .flatten()
}

/// The only element of a list: an entry with several signatures does not say which one is meant.
fn only(value: &serde_json::Value) -> Option<&serde_json::Value> {
    match value.as_array()?.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn certificate(pem_text: &[u8]) -> Option<Vec<u8>> {
    pem::blocks(pem_text).ok()?.first().map(|block| block.der.to_vec())
}

fn dsse_1(spec: &serde_json::Value) -> Option<Claim> {
    let one = only(&spec["signatures"])?;
    Some(Claim {
        encoded: false,
        content: hexadecimal(&spec["payloadHash"])?,
        signature: bytes(&one["signature"])?,
        certificate: certificate(&bytes(&one["verifier"])?)?,
    })
}

fn dsse_2(spec: &serde_json::Value) -> Option<Claim> {
    let spec = &spec["dsseV002"];
    let one = only(&spec["signatures"])?;
    let hash = &spec["payloadHash"];
    if hash["algorithm"] != "SHA2_256" {
        return None;
    }
    Some(Claim {
        encoded: false,
        content: bytes(&hash["digest"])?,
        signature: bytes(&one["content"])?,
        certificate: bytes(&one["verifier"]["x509Certificate"]["rawBytes"])?,
    })
}

fn intoto_2(spec: &serde_json::Value) -> Option<Claim> {
    let content = &spec["content"];
    let one = only(&content["envelope"]["signatures"])?;
    // This kind packs the signature, which is Base64 in the envelope, once more.
    let signature = bytes(&one["sig"])?;
    Some(Claim {
        encoded: false,
        content: hexadecimal(&content["payloadHash"])?,
        signature: json::base64("a log entry", std::str::from_utf8(&signature).ok()?).ok()?,
        certificate: certificate(&bytes(&one["publicKey"])?)?,
    })
}

fn hashed_1(spec: &serde_json::Value) -> Option<Claim> {
    Some(Claim {
        encoded: true,
        content: hexadecimal(&spec["data"]["hash"])?,
        signature: bytes(&spec["signature"]["content"])?,
        certificate: certificate(&bytes(&spec["signature"]["publicKey"]["content"])?)?,
    })
}

fn hashed_2(spec: &serde_json::Value) -> Option<Claim> {
    let spec = &spec["hashedRekordV002"];
    if spec["data"]["algorithm"] != "SHA2_256" {
        return None;
    }
    Some(Claim {
        encoded: true,
        content: bytes(&spec["data"]["digest"])?,
        signature: bytes(&spec["signature"]["content"])?,
        certificate: bytes(&spec["signature"]["verifier"]["x509Certificate"]["rawBytes"])?,
    })
}
