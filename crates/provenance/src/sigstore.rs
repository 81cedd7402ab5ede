//! Signatures without a key of one's own: a short-lived certificate of Sigstore that names who signed, and a public log
//! that says when. Checked offline, against a trusted root that the caller brings.
//!
//! What has to hold, all of it: the certificate leads to an authority of the trusted root and was valid when the log
//! took the entry in; a certificate log promised to publish it (RFC 6962); the log's entry is about this payload, this
//! signature and this certificate; the log's signature on its promise or a timestamp gives the time; the entry is proven to
//! be in the tree whose root the log signed; and the certificate's identity is the expected one.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use domain::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::bundle::Bundle;
use crate::certificate::{Certificate, Purpose};
use crate::chain;
use crate::error::SignatureError;
use crate::key::PublicKey;
use crate::name::shown;
use crate::rekor;
use crate::timestamp;
pub use crate::trusted_root::TrustedRoot;
use crate::verify::SignedBy;

/// Fulcio's extension with the identity provider, as an UTF8String.
const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
/// The same as bare bytes, in certificates before 2023.
const ISSUER_BEFORE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
/// Signed certificate timestamps (RFC 6962, section 3.3).
const TIMESTAMPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// Who is expected to have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The e-mail address or the workflow's address, exactly as in the certificate.
    pub subject: String,
    /// The identity provider's address, exactly.
    pub issuer: String,
}

/// Checks everything but the signature over the payload, whose key it returns.
pub(crate) fn check(
    bundle: &Bundle,
    der: &[u8],
    root: &TrustedRoot,
    identity: &Identity,
) -> Result<(PublicKey, SignedBy), SignatureError> {
    let signer = Certificate::from_der(der)?;
    let at = moment(bundle, &signer, root)?;
    let issuer = authority(&signer, root, at)?;
    check_promise(&signer, &issuer, root)?;
    let (names, provider) = (signer.alternative_names(), provider(&signer));
    if !names.contains(&identity.subject) || provider.as_deref() != Some(identity.issuer.as_str()) {
        let provider = provider.unwrap_or_else(|| "nobody".to_owned());
        return Err(SignatureError::WrongIdentity {
            found: shown(&format!("{} by {provider}", names.join(", "))),
            expected: shown(&format!("{} by {}", identity.subject, identity.issuer)),
        });
    }
    let signed_by = SignedBy {
        method: "Sigstore identity",
        name: identity.subject.clone(),
        issuer: Some(identity.issuer.clone()),
        at: Some(at),
    };
    Ok((signer.public_key()?, signed_by))
}

/// When it was signed, by every log entry and timestamp that can be checked; all of them have to agree with the certificate.
fn moment(bundle: &Bundle, signer: &Certificate, root: &TrustedRoot) -> Result<Timestamp, SignatureError> {
    let mut moments = Vec::new();
    for entry in &bundle.log_entries {
        moments.extend(rekor::check(entry, bundle, signer, root)?);
    }
    for token in &bundle.timestamps {
        moments.push(timestamp::check(token, &bundle.signature, root)?);
    }
    for at in &moments {
        chain::check_time(signer, *at)?;
    }
    moments.into_iter().min().ok_or_else(|| {
        SignatureError::not_logged("neither the log nor a timestamp authority says when it was signed")
    })
}

/// The certificate that issued the signer's, on a way to an authority of the trusted root at that moment.
fn authority(signer: &Certificate, root: &TrustedRoot, at: Timestamp) -> Result<Certificate, SignatureError> {
    let mut why = None;
    for authority in root.authorities.iter().filter(|a| a.valid.holds(at)) {
        let Some((top, between)) = authority.chain.split_last() else { continue };
        match chain::find(signer, between, std::slice::from_ref(top), at, Purpose::CodeSigning) {
            Ok(way) => {
                if let Some(&issuer) = way.first() {
                    return Ok(issuer.clone());
                }
            }
            Err(error) => why = Some(error),
        }
    }
    Err(why.unwrap_or_else(|| SignatureError::Untrusted {
        subject: signer.subject(),
        reason: "the trusted root has no authority for the time of signing".to_owned(),
    }))
}

fn provider(signer: &Certificate) -> Option<String> {
    match signer.raw_extension(&ISSUER) {
        Some(bytes) => String::from_der(bytes).ok(),
        None => signer.raw_extension(&ISSUER_BEFORE).and_then(|b| String::from_utf8(b.to_vec()).ok()),
    }
}

/// One signed certificate timestamp, version 1.
struct Promise<'a> {
    log: &'a [u8],
    at_ms: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

/// Checks that a certificate log of the trusted root promised to publish the certificate (RFC 6962, section 3.2).
fn check_promise(
    signer: &Certificate,
    issuer: &Certificate,
    root: &TrustedRoot,
) -> Result<(), SignatureError> {
    let missing = || SignatureError::not_logged("no certificate log promised to publish the certificate");
    let broken = || SignatureError::not_logged("the certificate's promise of a log cannot be read");
    let bytes = signer.raw_extension(&TIMESTAMPS).ok_or_else(missing)?;
    let list = der::asn1::OctetStringRef::from_der(bytes).map_err(|_| broken())?;
    let promises = promises(list.as_bytes()).ok_or_else(broken)?;
    let signed = signed_part(signer).map_err(|_| broken())?;
    let key = Sha256::digest(issuer.spki()?);
    for promise in promises {
        let at = Timestamp::from_millis(i64::try_from(promise.at_ms).unwrap_or(i64::MAX));
        let log = root.certificate_logs.iter().find(|log| log.id == promise.log && log.valid.holds(at));
        let Some(log) = log else { continue };
        let mut message = vec![0, 0];
        message.extend(promise.at_ms.to_be_bytes());
        message.extend([0, 1]);
        message.extend(key);
        let length = u32::try_from(signed.len()).map_err(|_| broken())?.to_be_bytes();
        message.extend(length.iter().skip(1));
        message.extend(&signed);
        message.extend(u16::try_from(promise.extensions.len()).map_err(|_| broken())?.to_be_bytes());
        message.extend(promise.extensions);
        if PublicKey::from_der(&log.spki)
            .is_ok_and(|k| k.verify_prehash(&Sha256::digest(&message), promise.signature))
        {
            return Ok(());
        }
        return Err(SignatureError::not_logged(
            "the promise of the certificate log does not fit the certificate",
        ));
    }
    Err(SignatureError::not_logged(
        "no certificate log of the trusted root promised to publish the certificate",
    ))
}

/// The certificate's signed part as the log saw it: without the promises.
fn signed_part(signer: &Certificate) -> Result<Vec<u8>, der::Error> {
    let mut tbs = signer.inner.tbs_certificate.clone();
    if let Some(extensions) = tbs.extensions.as_mut() {
        extensions.retain(|e| e.extn_id != TIMESTAMPS);
    }
    tbs.to_der()
}

/// Reads a SignedCertificateTimestampList; promises of other versions are left out.
fn promises(bytes: &[u8]) -> Option<Vec<Promise<'_>>> {
    /// Promises in one certificate.
    const PROMISES_MAX: usize = 32;
    let (mut rest, end) = vector(bytes)?;
    if !end.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (one, next) = vector(rest)?;
        rest = next;
        if found.len() == PROMISES_MAX {
            return None;
        }
        let (version, one) = one.split_first()?;
        if *version != 0 {
            continue;
        }
        let (log, one) = one.split_at_checked(32)?;
        let (at, one) = one.split_at_checked(8)?;
        let (extensions, one) = vector(one)?;
        // SHA-256 and ECDSA, the only pair that Sigstore's logs use.
        let signature = one.strip_prefix(&[4, 3])?;
        let (signature, end) = vector(signature)?;
        if !end.is_empty() {
            return None;
        }
        found.push(Promise { log, at_ms: u64::from_be_bytes(at.try_into().ok()?), extensions, signature });
    }
    Some(found)
}

/// A TLS vector with a length of two bytes, and what follows it.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(2)?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lists_of_promises_are_no_list() {
        for bytes in [&[][..], &[0], &[0, 1], &[0, 1, 0], &[0, 3, 0, 1, 0], &[0, 0, 9]] {
            assert!(promises(bytes).is_none(), "{bytes:?}");
        }
        assert_eq!(promises(&[0, 0]).map(|p| p.len()), Some(0));
    }
}
