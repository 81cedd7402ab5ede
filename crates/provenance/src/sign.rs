//! Writes a signature file, strictly by the schema of the specification.

use serde_json::{Value, json};

use crate::bundle::{MEDIA_TYPE, PAYLOAD_TYPE, pae};
use crate::certificate::Certificate;
use crate::error::{SignError, SignatureError};
use crate::json::to_base64;
use crate::limits::{BUNDLE_BYTES_MAX, CERTIFICATES_MAX};
use crate::manifest::Manifest;
use crate::private::Signer;

/// Signs a manifest with a key. The verifier needs the public key.
///
/// The same manifest and key in memory give the same bytes.
///
/// # Errors
/// [`SignError::Device`] when the key does not sign, [`SignError::TooMany`] when the file would be larger than a verifier reads.
pub fn sign_with_key(manifest: &Manifest, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
    let hint = signer.public_key().fingerprint();
    bundle(manifest, signer, &json!({ "publicKey": { "hint": hint }, "tlogEntries": [] }))
}

/// Signs a manifest with a key that the first certificate names; the rest leads towards a root. The verifier needs that root.
///
/// The root itself may stay out: a verifier never takes it from the signature.
///
/// # Errors
/// [`SignError::CertificateOfAnotherKey`], [`SignError::Certificate`], and as [`sign_with_key`].
pub fn sign_with_certificates(
    manifest: &Manifest,
    signer: &dyn Signer,
    chain: &[Certificate],
) -> Result<Vec<u8>, SignError> {
    let refused = |e: SignatureError| SignError::Certificate(e.to_string());
    let own = chain.first().ok_or_else(|| SignError::Certificate("there is none".into()))?;
    if chain.len() > CERTIFICATES_MAX {
        return Err(SignError::Certificate(format!(
            "{} of them, the most is {CERTIFICATES_MAX}",
            chain.len()
        )));
    }
    if own.public_key().map_err(refused)? != *signer.public_key() {
        return Err(SignError::CertificateOfAnotherKey(own.subject()));
    }
    own.check_code_signing().map_err(refused)?;
    let certificates: Vec<Value> = chain.iter().map(|c| json!({ "rawBytes": to_base64(c.der()) })).collect();
    let material = json!({ "x509CertificateChain": { "certificates": certificates }, "tlogEntries": [] });
    bundle(manifest, signer, &material)
}

fn bundle(manifest: &Manifest, signer: &dyn Signer, material: &Value) -> Result<Vec<u8>, SignError> {
    let payload = manifest.to_payload();
    let signature = signer.sign(&pae(&payload))?;
    // A device that signs with another key than it says would make signatures that nobody can verify.
    if !signer.public_key().verify(&pae(&payload), &signature) {
        return Err(SignError::Device("its signature does not fit its public key".into()));
    }
    let document = json!({
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": to_base64(&payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "sig": to_base64(&signature), "keyid": "" }],
        },
    });
    let mut out = serde_json::to_vec(&document).map_err(|e| SignError::Device(e.to_string()))?;
    out.push(b'\n');
    if out.len() > BUNDLE_BYTES_MAX {
        return Err(SignError::TooMany {
            found: manifest.resources().len(),
            max: manifest.resources().len() / 2,
        });
    }
    Ok(out)
}
