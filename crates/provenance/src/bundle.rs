//! The signature file: a Sigstore bundle v0.3 with a DSSE envelope around an in-toto statement.

use serde::Deserialize;

use crate::error::SignatureError;
use crate::json;
use crate::limits::{BUNDLE_BYTES_MAX, CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX, LOG_ENTRIES_MAX};
use crate::name::shown;

/// What the envelope carries.
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The media type that we write.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// An older way to write the same.
const MEDIA_TYPE_BEFORE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

const WHAT: &str = "the signature file";

/// How a bundle says whose signature it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// A key that the reader has; the hint is its fingerprint.
    Key { hint: Option<String> },
    /// Certificates in DER, the signer's first.
    Chain(Vec<Vec<u8>>),
    /// One short-lived certificate of Sigstore.
    Sigstore(Vec<u8>),
}

/// A signature file that was read. Nothing in it is believed before [`Bundle::verify`](crate::Bundle::verify).
#[derive(Debug, Clone)]
pub struct Bundle {
    pub(crate) material: Material,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) log_entries: Vec<LogEntry>,
    pub(crate) timestamps: Vec<Vec<u8>>,
}

/// How a bundle was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleMethod {
    /// With a key.
    Key,
    /// With a key that a certificate names.
    Certificate,
    /// Keyless, with an identity that Sigstore confirms.
    Sigstore,
}

impl BundleMethod {
    /// For messages: `key`, `certificate`, `Sigstore identity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Certificate => "certificate",
            Self::Sigstore => "Sigstore identity",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBundle {
    media_type: String,
    verification_material: Option<RawMaterial>,
    dsse_envelope: Option<RawEnvelope>,
    message_signature: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMaterial {
    public_key: Option<RawKey>,
    x509_certificate_chain: Option<RawChain>,
    certificate: Option<RawBytes>,
    #[serde(default)]
    tlog_entries: Option<Vec<LogEntry>>,
    timestamp_verification_data: Option<RawTimestamps>,
}

#[derive(Deserialize)]
struct RawKey {
    hint: Option<String>,
}

#[derive(Deserialize)]
struct RawChain {
    certificates: Vec<RawBytes>,
}

#[derive(Deserialize, Debug, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawBytes {
    pub(crate) raw_bytes: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTimestamps {
    #[serde(default)]
    rfc3161_timestamps: Vec<RawTimestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTimestamp {
    signed_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSignature {
    sig: String,
    #[serde(rename = "keyid")]
    _keyid: Option<String>,
}

/// One entry of a transparency log, as the bundle has it.
#[derive(Deserialize, Debug, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogEntry {
    #[serde(default, deserialize_with = "json::number")]
    pub(crate) log_index: Option<i64>,
    pub(crate) log_id: Option<LogId>,
    pub(crate) kind_version: Option<KindVersion>,
    #[serde(default, deserialize_with = "json::number")]
    pub(crate) integrated_time: Option<i64>,
    pub(crate) inclusion_promise: Option<Promise>,
    pub(crate) inclusion_proof: Option<Proof>,
    pub(crate) canonicalized_body: Option<String>,
}

#[derive(Deserialize, Debug, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogId {
    pub(crate) key_id: String,
}

#[derive(Deserialize, Debug, Clone)]
pub(crate) struct KindVersion {
    pub(crate) kind: String,
    pub(crate) version: String,
}

#[derive(Deserialize, Debug, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Promise {
    pub(crate) signed_entry_timestamp: String,
}

#[derive(Deserialize, Debug, Clone)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proof {
    #[serde(default, deserialize_with = "json::number")]
    pub(crate) log_index: Option<i64>,
    pub(crate) root_hash: String,
    #[serde(default, deserialize_with = "json::number")]
    pub(crate) tree_size: Option<i64>,
    #[serde(default)]
    pub(crate) hashes: Vec<String>,
    pub(crate) checkpoint: Option<RawCheckpoint>,
}

#[derive(Deserialize, Debug, Clone)]
pub(crate) struct RawCheckpoint {
    pub(crate) envelope: String,
}

impl Bundle {
    /// Reads a signature file.
    ///
    /// # Errors
    /// [`SignatureError::TooLarge`], [`SignatureError::Malformed`], [`SignatureError::Unsupported`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let raw: RawBundle = json::parse(WHAT, bytes, BUNDLE_BYTES_MAX)?;
        if raw.media_type != MEDIA_TYPE && raw.media_type != MEDIA_TYPE_BEFORE {
            return Err(SignatureError::Unsupported {
                what: "the signature file of type",
                found: shown(&raw.media_type),
                remedy: "a Sigstore bundle v0.3 is needed",
            });
        }
        if raw.message_signature.is_some() {
            return Err(SignatureError::Unsupported {
                what: "the bundle with a",
                found: "messageSignature".into(),
                remedy: "a model signature has a dsseEnvelope",
            });
        }
        let material = raw.verification_material.ok_or_else(|| bad("it has no verificationMaterial"))?;
        let envelope = raw.dsse_envelope.ok_or_else(|| bad("it has no dsseEnvelope"))?;
        let (payload, signature) = open(&envelope)?;
        let log_entries = material.tlog_entries.unwrap_or_default();
        let timestamps =
            material.timestamp_verification_data.map(|t| t.rfc3161_timestamps).unwrap_or_default();
        for (what, found) in
            [("the list of log entries", log_entries.len()), ("the list of timestamps", timestamps.len())]
        {
            if found > LOG_ENTRIES_MAX {
                return Err(SignatureError::TooLarge { what, found, max: LOG_ENTRIES_MAX });
            }
        }
        let material = match (material.public_key, material.x509_certificate_chain, material.certificate) {
            (Some(key), None, None) => Material::Key { hint: key.hint.filter(|h| !h.is_empty()) },
            (None, Some(chain), None) => Material::Chain(certificates(&chain.certificates)?),
            (None, None, Some(_)) if log_entries.is_empty() => {
                return Err(bad("a Sigstore certificate without an entry of a public log (tlogEntries)"));
            }
            (None, None, Some(one)) => Material::Sigstore(
                certificates(std::slice::from_ref(&one))?.pop().ok_or_else(|| bad("no certificate"))?,
            ),
            (None, None, None) => {
                return Err(bad(
                    "its verificationMaterial has no publicKey, x509CertificateChain or certificate",
                ));
            }
            _ => return Err(bad("its verificationMaterial names more than one method")),
        };
        let timestamps = timestamps
            .iter()
            .map(|t| json::base64("a timestamp", &t.signed_timestamp))
            .collect::<Result<_, _>>()?;
        Ok(Self { material, payload, signature, log_entries, timestamps })
    }

    /// How it was signed: decides what is needed to check it.
    pub const fn method(&self) -> BundleMethod {
        match self.material {
            Material::Key { .. } => BundleMethod::Key,
            Material::Chain(_) => BundleMethod::Certificate,
            Material::Sigstore(_) => BundleMethod::Sigstore,
        }
    }
}

fn bad(reason: impl Into<String>) -> SignatureError {
    SignatureError::malformed(WHAT, reason.into())
}

fn open(envelope: &RawEnvelope) -> Result<(Vec<u8>, Vec<u8>), SignatureError> {
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(SignatureError::Unsupported {
            what: "the payload of type",
            found: shown(&envelope.payload_type),
            remedy: "an in-toto statement is needed",
        });
    }
    // DSSE allows several; which of them counts would be a choice that a reader cannot see.
    let [signature] = envelope.signatures.as_slice() else {
        return Err(bad(format!("{} signatures, exactly one is needed", envelope.signatures.len())));
    };
    let payload = json::base64("the payload", &envelope.payload)?;
    let signature = json::base64("the signature", &signature.sig)?;
    if payload.is_empty() || signature.is_empty() {
        Err(bad("its payload or signature is empty"))
    } else {
        Ok((payload, signature))
    }
}

fn certificates(raw: &[RawBytes]) -> Result<Vec<Vec<u8>>, SignatureError> {
    if raw.is_empty() {
        return Err(bad("its certificate chain is empty"));
    }
    if raw.len() > CERTIFICATES_MAX {
        return Err(SignatureError::TooLarge {
            what: "the certificate chain",
            found: raw.len(),
            max: CERTIFICATES_MAX,
        });
    }
    raw.iter()
        .map(|one| {
            let der = json::base64("a certificate", &one.raw_bytes)?;
            if der.len() > CERTIFICATE_BYTES_MAX {
                return Err(SignatureError::TooLarge {
                    what: "a certificate",
                    found: der.len(),
                    max: CERTIFICATE_BYTES_MAX,
                });
            }
            Ok(der)
        })
        .collect()
}

/// DSSE's pre-authentication encoding: what is really signed.
pub(crate) fn pae(payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// What release 0.2 of the reference implementation signed by mistake: the payload as Python prints bytes.
pub(crate) fn pae_of_release_0_2(payload: &[u8]) -> Vec<u8> {
    let quote = if payload.contains(&b'\'') && !payload.contains(&b'"') { b'"' } else { b'\'' };
    let mut out = format!("DSSEV1 {} {PAYLOAD_TYPE} {} b", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    out.push(quote);
    for &byte in payload {
        match byte {
            b'\\' => out.extend_from_slice(br"\\"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            _ if byte == quote => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_dsse_is_that_of_its_protocol() {
        // Shape of the example in the protocol, with our type.
        assert_eq!(pae(b"hello world"), b"DSSEv1 28 application/vnd.in-toto+json 11 hello world");
        assert_eq!(
            pae_of_release_0_2(b"{\"a\"\n\xc3'}"),
            br#"DSSEV1 28 application/vnd.in-toto+json 8 b'{"a"\n\xc3\'}'"#
        );
    }
}
