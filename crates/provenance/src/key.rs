//! Public keys: ECDSA over P-256, P-384 and P-521 (FIPS 186-5), the three that OpenSSF Model Signing asks for.

use der::Decode as _;
use ecdsa_of::{p256, p384, p521};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::error::SignatureError;
use crate::pem;

/// The three curves have crates of one shape.
mod ecdsa_of {
    pub(super) use {::p256, ::p384, ::p521};
}

/// A curve and the hash that goes with it in a model signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256 with SHA-256.
    P256,
    /// NIST P-384 with SHA-384.
    P384,
    /// NIST P-521 with SHA-512.
    P521,
}

impl Curve {
    /// The name people use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The digest that a model signature with this curve signs: SHA-256, SHA-384 or SHA-512 of the message.
    pub fn prehash(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256 => Sha256::digest(message).to_vec(),
            Self::P384 => Sha384::digest(message).to_vec(),
            Self::P521 => Sha512::digest(message).to_vec(),
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
enum Inner {
    P256(p256::PublicKey),
    P384(p384::PublicKey),
    P521(p521::PublicKey),
}

/// A public key that can check model signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(Inner);

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({} {})", self.curve().as_str(), self.fingerprint())
    }
}

impl PublicKey {
    /// Reads a key from PEM (`PUBLIC KEY`, or the key of a `CERTIFICATE`).
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] for bytes that are no such key, [`SignatureError::Unsupported`] for other curves.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, SignatureError> {
        let what = "the public key";
        let blocks = pem::blocks(bytes).map_err(|reason| SignatureError::malformed(what, reason))?;
        for block in &blocks {
            match block.label.as_str() {
                "PUBLIC KEY" => return Self::from_der(&block.der),
                "CERTIFICATE" => return crate::Certificate::from_der(&block.der)?.public_key(),
                _ => {}
            }
        }
        Err(SignatureError::malformed(what, "no `PUBLIC KEY` block in it"))
    }

    /// Reads a SubjectPublicKeyInfo in DER (RFC 5480).
    ///
    /// # Errors
    /// As [`PublicKey::from_pem`].
    pub fn from_der(der: &[u8]) -> Result<Self, SignatureError> {
        let found = p256::PublicKey::from_public_key_der(der)
            .map(Inner::P256)
            .or_else(|_| p384::PublicKey::from_public_key_der(der).map(Inner::P384))
            .or_else(|_| p521::PublicKey::from_public_key_der(der).map(Inner::P521));
        found.map(Self).map_err(|_| match SubjectPublicKeyInfoRef::from_der(der) {
            Ok(spki) => SignatureError::Unsupported {
                what: "the key of kind",
                found: spki.algorithm.oid.to_string(),
                remedy: "model signatures use elliptic curve keys on P-256, P-384 or P-521",
            },
            Err(error) => SignatureError::malformed("the public key", error),
        })
    }

    pub(crate) fn of_p256(key: p256::PublicKey) -> Self {
        Self(Inner::P256(key))
    }

    pub(crate) fn of_p384(key: p384::PublicKey) -> Self {
        Self(Inner::P384(key))
    }

    pub(crate) fn of_p521(key: p521::PublicKey) -> Self {
        Self(Inner::P521(key))
    }

    /// Reads a point as devices give it: SEC 1, uncompressed or compressed.
    ///
    /// # Errors
    /// [`SignatureError::Malformed`] for bytes that are no point of the curve.
    pub fn from_point(curve: Curve, point: &[u8]) -> Result<Self, SignatureError> {
        let found = match curve {
            Curve::P256 => p256::PublicKey::from_sec1_bytes(point).map(Inner::P256),
            Curve::P384 => p384::PublicKey::from_sec1_bytes(point).map(Inner::P384),
            Curve::P521 => p521::PublicKey::from_sec1_bytes(point).map(Inner::P521),
        };
        found
            .map(Self)
            .map_err(|_| SignatureError::malformed("the public key", "it is no point of its curve"))
    }

    /// A signature as devices give it, the numbers r and s one after the other, in DER; `None` when it has another length.
    pub fn signature_to_der(&self, raw: &[u8]) -> Option<Vec<u8>> {
        match &self.0 {
            Inner::P256(_) => {
                p256::ecdsa::Signature::from_slice(raw).ok().map(|s| s.to_der().as_bytes().to_vec())
            }
            Inner::P384(_) => {
                p384::ecdsa::Signature::from_slice(raw).ok().map(|s| s.to_der().as_bytes().to_vec())
            }
            Inner::P521(_) => {
                p521::ecdsa::Signature::from_slice(raw).ok().map(|s| s.to_der().as_bytes().to_vec())
            }
        }
    }

    /// The curve.
    pub const fn curve(&self) -> Curve {
        match self.0 {
            Inner::P256(_) => Curve::P256,
            Inner::P384(_) => Curve::P384,
            Inner::P521(_) => Curve::P521,
        }
    }

    /// SubjectPublicKeyInfo in PEM with a final line feed.
    pub fn to_pem(&self) -> String {
        let text = match &self.0 {
            Inner::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Inner::P384(key) => key.to_public_key_pem(LineEnding::LF),
            Inner::P521(key) => key.to_public_key_pem(LineEnding::LF),
        };
        // Encoding a valid point cannot fail; an empty text would fit no signature.
        text.unwrap_or_default()
    }

    /// The `hint` of a bundle: hexadecimal SHA-256 of the PEM **text**, as the reference implementation writes it.
    pub fn fingerprint(&self) -> String {
        hex::encode(Sha256::digest(self.to_pem().as_bytes()))
    }

    /// Checks an ECDSA signature in DER over `message`, hashed as the curve asks.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify_prehash(&self.curve().prehash(message), signature)
    }

    /// Checks an ECDSA signature in DER over a digest made elsewhere.
    pub(crate) fn verify_prehash(&self, prehash: &[u8], signature: &[u8]) -> bool {
        use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
        match &self.0 {
            Inner::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|s| p256::ecdsa::VerifyingKey::from(key).verify_prehash(prehash, &s).is_ok()),
            Inner::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|s| p384::ecdsa::VerifyingKey::from(key).verify_prehash(prehash, &s).is_ok()),
            Inner::P521(key) => {
                let Ok(signature) = p521::ecdsa::Signature::from_der(signature) else { return false };
                // The crate refuses digests of less than half the order's length; leading zeros do not change the number.
                let mut padded = vec![0; 64_usize.saturating_sub(prehash.len())];
                padded.extend_from_slice(prehash);
                p521::ecdsa::VerifyingKey::from_affine(*key.as_affine())
                    .is_ok_and(|verifier| verifier.verify_prehash(&padded, &signature).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_unsupported_and_garbage_is_malformed() {
        // SubjectPublicKeyInfo of an Ed25519 key (RFC 8410).
        let mut ed25519 = hex::decode("302a300506032b6570032100").unwrap();
        ed25519.extend([7; 32]);
        assert!(matches!(PublicKey::from_der(&ed25519), Err(SignatureError::Unsupported { .. })));
        assert!(matches!(PublicKey::from_der(b"x"), Err(SignatureError::Malformed { .. })));
        assert!(matches!(PublicKey::from_pem(b"x"), Err(SignatureError::Malformed { .. })));
    }
}
