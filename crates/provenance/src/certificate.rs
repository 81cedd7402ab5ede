//! X.509 certificates (RFC 5280), read by the `x509-cert` crate; what they must say is checked here.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use domain::Timestamp;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier,
};

use crate::error::SignatureError;
use crate::key::{Curve, PublicKey};
use crate::limits::{CERTIFICATE_BYTES_MAX, ROOTS_MAX};
use crate::name::shown;
use crate::pem;

const EKU_CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
pub(crate) const EKU_TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
const EKU_ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Critical extensions that are understood here, or that bind nobody but the issuer. Any other refuses the chain.
const UNDERSTOOD: [ObjectIdentifier; 8] = [
    ObjectIdentifier::new_unwrap("2.5.29.14"), // subject key identifier
    ObjectIdentifier::new_unwrap("2.5.29.15"), // key usage
    ObjectIdentifier::new_unwrap("2.5.29.17"), // subject alternative name
    ObjectIdentifier::new_unwrap("2.5.29.19"), // basic constraints
    ObjectIdentifier::new_unwrap("2.5.29.31"), // revocation lists: not looked at, see docs/signing.md
    ObjectIdentifier::new_unwrap("2.5.29.32"), // policies
    ObjectIdentifier::new_unwrap("2.5.29.35"), // authority key identifier
    ObjectIdentifier::new_unwrap("2.5.29.37"), // extended key usage
];

/// A certificate that was read. Nothing about it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    pub(crate) inner: x509_cert::Certificate,
}

/// What a certificate is asked to be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    CodeSigning,
    TimeStamping,
}

impl Purpose {
    pub(crate) const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::CodeSigning => EKU_CODE_SIGNING,
            Self::TimeStamping => EKU_TIME_STAMPING,
        }
    }
}

impl Certificate {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`], [`SignatureError::TooLarge`].
    pub fn from_der(der: &[u8]) -> Result<Self, SignatureError> {
        let what = "a certificate";
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(SignatureError::TooLarge { what, found: der.len(), max: CERTIFICATE_BYTES_MAX });
        }
        let inner = x509_cert::Certificate::from_der(der).map_err(|e| SignatureError::malformed(what, e))?;
        if inner.signature_algorithm != inner.tbs_certificate.signature {
            return Err(SignatureError::malformed(what, "its two signature algorithms differ"));
        }
        Ok(Self { der: der.to_vec(), inner })
    }

    /// Reads all certificates of a PEM file, in their order: a chain, or trusted roots.
    ///
    /// # Errors
    /// As [`Certificate::from_der`]; a file without a certificate is [`SignatureError::Malformed`].
    pub fn all_from_pem(bytes: &[u8]) -> Result<Vec<Self>, SignatureError> {
        let what = "the file of certificates";
        let blocks = pem::blocks(bytes).map_err(|reason| SignatureError::malformed(what, reason))?;
        let of_kind = blocks.iter().filter(|b| b.label == "CERTIFICATE").take(ROOTS_MAX);
        let found = of_kind.map(|b| Self::from_der(&b.der)).collect::<Result<Vec<_>, _>>()?;
        if found.is_empty() {
            return Err(SignatureError::malformed(what, "no `CERTIFICATE` block in it"));
        }
        Ok(found)
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose it is, for people (RFC 4514); the alternative names when the subject is empty.
    pub fn subject(&self) -> String {
        let name = self.inner.tbs_certificate.subject.to_string();
        if name.is_empty() { shown(&self.alternative_names().join(", ")) } else { shown(&name) }
    }

    /// Who issued it, for people.
    pub fn issuer(&self) -> String {
        shown(&self.inner.tbs_certificate.issuer.to_string())
    }

    /// First and last moment of validity.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        let moment = |time: &x509_cert::time::Time| {
            let ms = i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX);
            Timestamp::from_millis(ms)
        };
        let validity = &self.inner.tbs_certificate.validity;
        // Valid until the end of its last second.
        (moment(&validity.not_before), moment(&validity.not_after).plus_millis(999))
    }

    /// The elliptic curve key it names.
    ///
    /// # Errors
    /// [`SignatureError::Unsupported`] for other keys.
    pub fn public_key(&self) -> Result<PublicKey, SignatureError> {
        PublicKey::from_der(&self.spki()?)
    }

    /// SubjectPublicKeyInfo in DER.
    pub(crate) fn spki(&self) -> Result<Vec<u8>, SignatureError> {
        let spki = &self.inner.tbs_certificate.subject_public_key_info;
        spki.to_der().map_err(|e| SignatureError::malformed("a certificate's key", e))
    }

    /// An extension's content, read as `T`.
    pub(crate) fn extension<'a, T>(&'a self) -> Result<Option<T>, SignatureError>
    where
        T: der::oid::AssociatedOid + der::Decode<'a>,
    {
        self.raw_extension(&T::OID)
            .map(|bytes| {
                T::from_der(bytes).map_err(|e| SignatureError::malformed("a certificate's extension", e))
            })
            .transpose()
    }

    /// An extension's bytes.
    pub(crate) fn raw_extension(&self, oid: &ObjectIdentifier) -> Option<&[u8]> {
        let all = self.inner.tbs_certificate.extensions.as_deref().unwrap_or_default();
        all.iter().find(|e| e.extn_id == *oid).map(|e| e.extn_value.as_bytes())
    }

    /// E-mail addresses, addresses and names of the subject alternative name.
    pub(crate) fn alternative_names(&self) -> Vec<String> {
        use x509_cert::ext::pkix::SubjectAltName;
        use x509_cert::ext::pkix::name::GeneralName;
        let Ok(Some(SubjectAltName(names))) = self.extension::<SubjectAltName>() else { return Vec::new() };
        names
            .iter()
            .filter_map(|name| match name {
                GeneralName::Rfc822Name(text) => Some(text.to_string()),
                GeneralName::DnsName(text) => Some(text.to_string()),
                GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
                // Sigstore's user names: a UTF-8 text of its own kind.
                GeneralName::OtherName(other) => other.value.decode_as::<String>().ok(),
                _ => None,
            })
            .collect()
    }

    /// Extensions come once, and those that must be understood are.
    pub(crate) fn check_extensions(&self) -> Result<(), &'static str> {
        let all = self.inner.tbs_certificate.extensions.as_deref().unwrap_or_default();
        for (i, one) in all.iter().enumerate() {
            if one.critical && !UNDERSTOOD.contains(&one.extn_id) {
                return Err("it has a critical extension that is not understood");
            }
            if all.iter().take(i).any(|before| before.extn_id == one.extn_id) {
                return Err("it has an extension twice");
            }
        }
        Ok(())
    }

    /// Whether an issuer may sign certificates, `below` of which stand between it and the signer.
    pub(crate) fn check_authority(&self, below: usize, purpose: Purpose) -> Result<(), &'static str> {
        self.check_extensions()?;
        let broken = "an extension of it cannot be read";
        let constraints = self.extension::<BasicConstraints>().map_err(|_| broken)?;
        match constraints {
            Some(BasicConstraints { ca: true, path_len_constraint: limit }) => {
                if limit.is_some_and(|most| below > usize::from(most)) {
                    return Err("its authority does not reach that far");
                }
            }
            _ => return Err("it is no authority"),
        }
        if self
            .extension::<KeyUsage>()
            .map_err(|_| broken)?
            .is_some_and(|u| !u.0.contains(KeyUsages::KeyCertSign))
        {
            return Err("its key may not sign certificates");
        }
        let limited = self.extension::<ExtendedKeyUsage>().map_err(|_| broken)?;
        if limited.is_some_and(|ExtendedKeyUsage(u)| !u.contains(&purpose.oid()) && !u.contains(&EKU_ANY)) {
            return Err("it may not issue certificates for this purpose");
        }
        Ok(())
    }

    /// Whether the signer's own certificate allows signing code (RFC 5280, sections 4.2.1.3 and 4.2.1.12).
    ///
    /// # Errors
    /// [`SignatureError::NotForSigning`].
    pub(crate) fn check_code_signing(&self) -> Result<(), SignatureError> {
        self.check_purpose(Purpose::CodeSigning)
    }

    pub(crate) fn check_purpose(&self, purpose: Purpose) -> Result<(), SignatureError> {
        let no = |reason| SignatureError::NotForSigning { subject: self.subject(), reason };
        self.check_extensions().map_err(no)?;
        let usage = self.extension::<KeyUsage>()?;
        let extended = self.extension::<ExtendedKeyUsage>()?;
        if usage.is_none() && extended.is_none() {
            return Err(no("it does not say what its key is for"));
        }
        if usage.is_some_and(|u| !u.0.contains(KeyUsages::DigitalSignature)) {
            return Err(no("its key usage lacks digitalSignature"));
        }
        if extended.is_some_and(|ExtendedKeyUsage(u)| !u.contains(&purpose.oid()) && !u.contains(&EKU_ANY)) {
            return Err(no("its extended key usage is for another purpose"));
        }
        Ok(())
    }

    /// Whether names and key identifiers say that `issuer` issued this certificate.
    pub(crate) fn names_issuer(&self, issuer: &Self) -> bool {
        if self.inner.tbs_certificate.issuer != issuer.inner.tbs_certificate.subject {
            return false;
        }
        let ours = self.extension::<AuthorityKeyIdentifier>().ok().flatten().and_then(|a| a.key_identifier);
        let theirs = issuer.extension::<SubjectKeyIdentifier>().ok().flatten();
        ours.zip(theirs).is_none_or(|(a, b)| a == b.0)
    }

    /// Whether `issuer`'s key signed this certificate.
    pub(crate) fn is_signed_by(&self, issuer: &Self) -> bool {
        let (Ok(message), Some(signature)) = (tbs_bytes(&self.der), self.inner.signature.as_bytes()) else {
            return false;
        };
        let algorithm = self.inner.signature_algorithm.oid.to_string();
        issuer.spki().is_ok_and(|spki| verify_with(&spki, &algorithm, message, signature))
    }
}

/// The signed part of a certificate as it stands in its bytes: what was signed, not what would be written again.
fn tbs_bytes(der: &[u8]) -> Result<&[u8], der::Error> {
    use der::Reader as _;
    let mut reader = der::SliceReader::new(der)?;
    let outer = der::Header::decode(&mut reader)?;
    let _ = outer;
    reader.tlv_bytes()
}

/// Checks a signature under an algorithm identifier of certificates.
pub(crate) fn verify_with(spki: &[u8], algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
    use ring::signature as r;
    let ecdsa = |curve: Curve| {
        PublicKey::from_der(spki).is_ok_and(|key| key.verify_prehash(&curve.prehash(message), signature))
    };
    let rsa = |kind: &'static r::RsaParameters| {
        let Ok(info) = x509_cert::spki::SubjectPublicKeyInfoRef::from_der(spki) else { return false };
        let is_rsa = info.algorithm.oid == ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
        let key = info.subject_public_key.as_bytes().unwrap_or_default();
        is_rsa && r::UnparsedPublicKey::new(kind, key).verify(message, signature).is_ok()
    };
    match algorithm {
        // The hash is chosen by the algorithm here, not by the curve of the key.
        "1.2.840.10045.4.3.2" => ecdsa(Curve::P256),
        "1.2.840.10045.4.3.3" => ecdsa(Curve::P384),
        "1.2.840.10045.4.3.4" => ecdsa(Curve::P521),
        "1.2.840.113549.1.1.11" => rsa(&r::RSA_PKCS1_2048_8192_SHA256),
        "1.2.840.113549.1.1.12" => rsa(&r::RSA_PKCS1_2048_8192_SHA384),
        "1.2.840.113549.1.1.13" => rsa(&r::RSA_PKCS1_2048_8192_SHA512),
        "1.3.101.112" => ed25519(spki, message, signature),
        _ => false,
    }
}

/// Ed25519 (RFC 8032) with the key in a SubjectPublicKeyInfo (RFC 8410).
pub(crate) fn ed25519(spki: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(info) = x509_cert::spki::SubjectPublicKeyInfoRef::from_der(spki) else { return false };
    let key = info.subject_public_key.as_bytes().unwrap_or_default();
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    info.algorithm.oid == ObjectIdentifier::new_unwrap("1.3.101.112")
        && ed25519_dalek::VerifyingKey::from_bytes(key).is_ok_and(|key| {
            key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
        })
}
