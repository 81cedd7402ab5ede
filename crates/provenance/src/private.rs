//! Private keys from PEM, and the seam behind which a key may live in a device.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::pkcs8::EncodePrivateKey as _;
use pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};
use zeroize::Zeroizing;

use crate::error::SignError;
use crate::key::PublicKey;
use crate::nonce::Nonces;
use crate::pem;

/// Something that signs: a key in memory, in a PKCS#11 device, or with a signing service.
pub trait Signer {
    /// The public half; says which hash [`Signer::sign`] has to use (SHA-256, SHA-384 or SHA-512 by the curve).
    fn public_key(&self) -> &PublicKey;

    /// Signs `message`, hashed as the curve asks; ECDSA signature in DER.
    ///
    /// # Errors
    /// [`SignError::Device`] when the key does not sign.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

enum Inner {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
}

/// A private key in memory. Wiped when dropped; has no Debug and no way out.
pub struct PrivateKey {
    inner: Inner,
    public: PublicKey,
}

impl PrivateKey {
    /// Reads PKCS#8 (`PRIVATE KEY`, `ENCRYPTED PRIVATE KEY` with PBES2) or SEC 1 (`EC PRIVATE KEY`) in PEM.
    ///
    /// The bytes come from a file or an environment variable: the caller's choice.
    ///
    /// # Errors
    /// [`SignError::PasswordNeeded`], [`SignError::WrongPassword`], [`SignError::Key`] for anything else.
    pub fn from_pem(bytes: &[u8], password: Option<&[u8]>) -> Result<Self, SignError> {
        let blocks = pem::blocks(bytes).map_err(SignError::Key)?;
        for block in &blocks {
            match block.label.as_str() {
                "PRIVATE KEY" => return Self::from_pkcs8(&block.der),
                "EC PRIVATE KEY" => return Self::from_sec1(&block.der),
                "ENCRYPTED PRIVATE KEY" => {
                    let password = password.ok_or(SignError::PasswordNeeded)?;
                    let sealed = EncryptedPrivateKeyInfo::try_from(block.der.as_slice())
                        .map_err(|e| SignError::Key(format!("its encryption is not understood: {e}")))?;
                    let open = sealed.decrypt(password).map_err(|_| SignError::WrongPassword)?;
                    return Self::from_pkcs8(open.as_bytes());
                }
                _ => {}
            }
        }
        Err(SignError::Key("no private key in it: `PRIVATE KEY` or `EC PRIVATE KEY` is needed".into()))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, SignError> {
        let info =
            || PrivateKeyInfo::try_from(der).map_err(|e| SignError::Key(format!("it is no PKCS#8 key: {e}")));
        let kind = info()?.algorithm.oid;
        let inner = p256::SecretKey::try_from(info()?)
            .map(Inner::P256)
            .or_else(|_| p384::SecretKey::try_from(info()?).map(Inner::P384).map_err(|_| no_curve(kind)))
            .or_else(|_: SignError| {
                p521::SecretKey::try_from(info()?).map(Inner::P521).map_err(|_| no_curve(kind))
            })?;
        Ok(Self::new(inner))
    }

    fn from_sec1(der: &[u8]) -> Result<Self, SignError> {
        let inner = p256::SecretKey::from_sec1_der(der)
            .map(Inner::P256)
            .or_else(|_| p384::SecretKey::from_sec1_der(der).map(Inner::P384))
            .or_else(|_| p521::SecretKey::from_sec1_der(der).map(Inner::P521))
            .map_err(|_| SignError::Key("it is no key on P-256, P-384 or P-521".into()))?;
        Ok(Self::new(inner))
    }

    fn new(inner: Inner) -> Self {
        let public = match &inner {
            Inner::P256(key) => PublicKey::of_p256(key.public_key()),
            Inner::P384(key) => PublicKey::of_p384(key.public_key()),
            Inner::P521(key) => PublicKey::of_p521(key.public_key()),
        };
        Self { inner, public }
    }

    /// PKCS#8 in PEM, unencrypted, for whoever makes a new key.
    ///
    /// # Errors
    /// [`SignError::Key`] when it cannot be encoded.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, SignError> {
        let end = p256::pkcs8::LineEnding::LF;
        match &self.inner {
            Inner::P256(key) => key.to_pkcs8_pem(end),
            Inner::P384(key) => key.to_pkcs8_pem(end),
            Inner::P521(key) => key.to_pkcs8_pem(end),
        }
        .map_err(|e| SignError::Key(e.to_string()))
    }

    /// A new P-256 key from 32 bytes of good randomness, which the caller draws.
    ///
    /// # Errors
    /// [`SignError::Key`] for the one in 2³² draws that is no valid scalar: draw again.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        let key = p256::SecretKey::from_slice(seed)
            .map_err(|_| SignError::Key("these bytes give no key: draw again".into()))?;
        Ok(Self::new(Inner::P256(key)))
    }
}

fn no_curve(kind: pkcs8::ObjectIdentifier) -> SignError {
    SignError::Key(format!("it is of kind `{kind}`: keys on P-256, P-384 and P-521 sign models"))
}

fn no_digest() -> SignError {
    SignError::Device("the digest has not 64 bytes".into())
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Deterministic nonces (RFC 6979): the same content and key give the same signature, and no randomness is drawn.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let prehash = self.public.curve().prehash(message);
        let failed = |e: p256::ecdsa::Error| SignError::Device(e.to_string());
        Ok(match &self.inner {
            Inner::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    p256::ecdsa::SigningKey::from(key).sign_prehash(&prehash).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
            Inner::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    p384::ecdsa::SigningKey::from(key).sign_prehash(&prehash).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
            Inner::P521(key) => {
                use p521::ecdsa::signature::hazmat::RandomizedPrehashSigner as _;
                let secret = Zeroizing::new(key.to_bytes());
                let digest: [u8; 64] = prehash.as_slice().try_into().map_err(|_| no_digest())?;
                let mut nonces = Nonces::new(&secret, &digest);
                let signer = p521::ecdsa::SigningKey::from_slice(&secret).map_err(failed)?;
                let signature = signer.sign_prehash_with_rng(&mut nonces, &prehash).map_err(failed)?;
                signature.to_der().as_bytes().to_vec()
            }
        })
    }
}
