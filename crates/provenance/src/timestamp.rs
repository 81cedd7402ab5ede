//! Timestamps of an authority (RFC 3161) over a signature: the time for logs that do not state one.
//!
//! Only what a Sigstore timestamp holds is read: one signer, signed attributes, SHA-2.

use der::Decode as _;
use der::asn1::ObjectIdentifier;
use domain::Timestamp;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::certificate::{Certificate, Purpose, verify_with};
use crate::chain;
use crate::error::SignatureError;
use crate::limits::CERTIFICATES_MAX;
use crate::trusted_root::TrustedRoot;

const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;

/// A reader of DER values one after the other; knows no more than lengths.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    /// The next value: tag, content, and all its bytes.
    fn any(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Lengths of one to four bytes.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (
                    bytes
                        .iter()
                        .try_fold(0_usize, |n, b| n.checked_mul(256)?.checked_add(usize::from(*b)))?,
                    rest,
                )
            }
            _ => return None,
        };
        let (content, next) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - next.len())?;
        self.0 = next;
        Some((tag, content, whole))
    }

    /// The content of the next value, which has to have that tag.
    fn next(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, ..)| *found == tag).map(|(_, content, _)| content)
    }

    /// The content of the next value when it has that tag; nothing is taken otherwise.
    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.next(tag) } else { None }
    }

    fn oid(&mut self) -> Option<String> {
        self.next(OID).and_then(|bytes| ObjectIdentifier::from_bytes(bytes).ok()).map(|oid| oid.to_string())
    }

    /// The object identifier of the next AlgorithmIdentifier.
    fn algorithm(&mut self) -> Option<String> {
        Values(self.next(SEQUENCE)?).oid()
    }
}

/// What a token says, and over which bytes its signature goes.
struct Token<'a> {
    content: &'a [u8],
    attributes: Vec<u8>,
    attribute_values: &'a [u8],
    digest: String,
    algorithm: String,
    signature: &'a [u8],
    certificates: Vec<Certificate>,
}

/// Checks a timestamp over `signature`; returns its time.
pub(crate) fn check(token: &[u8], signature: &[u8], root: &TrustedRoot) -> Result<Timestamp, SignatureError> {
    let no = |reason: &str| SignatureError::not_logged(reason.to_owned());
    let read = read(token).ok_or_else(|| no("a timestamp cannot be read"))?;
    let at =
        statement(read.content, signature).ok_or_else(|| no("a timestamp is about another signature"))?;
    let attributes = attributes(&read);
    if attributes.is_none() {
        return Err(no("a timestamp's signature is about another statement"));
    }
    let mut known = false;
    for authority in root.timestampers.iter().filter(|a| a.valid.holds(at)) {
        let Some((top, between)) = authority.chain.split_last() else { continue };
        for signer in read.certificates.iter().chain(authority.chain.first()) {
            if chain::find(signer, between, std::slice::from_ref(top), at, Purpose::TimeStamping).is_err() {
                continue;
            }
            known = true;
            if signer
                .spki()
                .is_ok_and(|spki| verify_with(&spki, &read.algorithm, &read.attributes, read.signature))
            {
                return Ok(at);
            }
        }
    }
    Err(no(if known {
        "a timestamp's signature does not fit"
    } else {
        "a timestamp is of no authority in the trusted root"
    }))
}

/// TimeStampResp, ContentInfo, SignedData, SignerInfo: the way down to the one signature.
fn read(token: &[u8]) -> Option<Token<'_>> {
    let mut response = Values(Values(token).next(SEQUENCE)?);
    let status = Values(response.next(SEQUENCE)?).next(INTEGER)?;
    // Granted, or granted with changes.
    if status != [0] && status != [1] {
        return None;
    }
    let mut info = Values(response.next(SEQUENCE)?);
    if info.oid()? != SIGNED_DATA {
        return None;
    }
    let mut data = Values(Values(info.next(CONTEXT_0)?).next(SEQUENCE)?);
    data.next(INTEGER)?;
    data.next(SET)?;
    let mut inside = Values(data.next(SEQUENCE)?);
    if inside.oid()? != TST_INFO {
        return None;
    }
    let content = Values(inside.next(CONTEXT_0)?).next(OCTETS)?;
    let mut certificates = Vec::new();
    let mut bag = Values(data.optional(CONTEXT_0).unwrap_or_default());
    while let Some((_, _, whole)) = bag.any() {
        if certificates.len() == CERTIFICATES_MAX {
            return None;
        }
        certificates.extend(Certificate::from_der(whole));
    }
    data.optional(0xa1);
    let mut signers = Values(data.next(SET)?);
    let mut signer = Values(signers.next(SEQUENCE)?);
    if !signers.0.is_empty() {
        return None;
    }
    signer.next(INTEGER)?;
    signer.any()?;
    let digest = signer.algorithm()?;
    let attribute_values = signer.next(CONTEXT_0)?;
    // Signed as a SET, stored with an implicit tag (RFC 5652, section 5.4).
    let mut attributes = der_header(SET, attribute_values.len())?;
    attributes.extend_from_slice(attribute_values);
    let algorithm = signer.algorithm()?;
    let signature = signer.next(OCTETS)?;
    Some(Token { content, attributes, attribute_values, digest, algorithm, signature, certificates })
}

fn der_header(tag: u8, length: usize) -> Option<Vec<u8>> {
    let length = der::Length::try_from(length).ok()?;
    let mut out = vec![tag];
    out.extend(der::Encode::to_der(&length).ok()?);
    Some(out)
}

fn hash(algorithm: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        "2.16.840.1.101.3.4.2.1" => Some(Sha256::digest(bytes).to_vec()),
        "2.16.840.1.101.3.4.2.2" => Some(Sha384::digest(bytes).to_vec()),
        "2.16.840.1.101.3.4.2.3" => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}

/// The signed attributes name the statement's type and its digest.
fn attributes(token: &Token<'_>) -> Option<()> {
    let (mut kind, mut digest) = (false, false);
    let mut all = Values(token.attribute_values);
    while let Some(one) = all.next(SEQUENCE) {
        let mut one = Values(one);
        let name = one.oid()?;
        let mut values = Values(one.next(SET)?);
        match name.as_str() {
            CONTENT_TYPE => kind = values.oid()? == TST_INFO,
            MESSAGE_DIGEST => digest = values.next(OCTETS)? == hash(&token.digest, token.content)?,
            _ => {}
        }
    }
    (kind && digest).then_some(())
}

/// TSTInfo: the time, when it is about `signature`.
fn statement(content: &[u8], signature: &[u8]) -> Option<Timestamp> {
    let mut info = Values(Values(content).next(SEQUENCE)?);
    info.next(INTEGER)?;
    info.next(OID)?;
    let mut imprint = Values(info.next(SEQUENCE)?);
    let algorithm = imprint.algorithm()?;
    if imprint.next(OCTETS)? != hash(&algorithm, signature)? {
        return None;
    }
    info.next(INTEGER)?;
    generalized_time(info.next(TIME)?)
}

/// `20251010021220Z`, with or without a fraction; the fraction is dropped.
fn generalized_time(bytes: &[u8]) -> Option<Timestamp> {
    let body = bytes.strip_suffix(b"Z")?;
    let (whole, rest) = body.split_at_checked(14)?;
    let fraction = rest.is_empty() || rest.first() == Some(&b'.');
    if !fraction {
        return None;
    }
    let mut text = vec![TIME, 15];
    text.extend_from_slice(whole);
    text.push(b'Z');
    let time = der::asn1::GeneralizedTime::from_der(&text).ok()?;
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    seconds.checked_mul(1_000).map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_whole_seconds() {
        for (text, shown) in [
            ("20251010021220Z", Some("2025-10-10T02:12:20.000Z")),
            ("20251010021220.25Z", Some("2025-10-10T02:12:20.000Z")),
            ("2025101002122Z", None),
            ("20251010021220", None),
            ("20251310021220Z", None),
        ] {
            assert_eq!(generalized_time(text.as_bytes()).map(|t| t.to_string()).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn lengths_beyond_the_bytes_are_no_value() {
        for bytes in
            [&[][..], &[0x30], &[0x30, 1], &[0x30, 0x80], &[0x30, 0x84, 255, 255, 255, 255], &[0x30, 0x85]]
        {
            assert!(Values(bytes).any().is_none(), "{bytes:?}");
        }
        assert_eq!(Values(&[4, 1, 9, 5]).any(), Some((4, &[9][..], &[4, 1, 9][..])));
    }
}
