//! Signature files, statements, certificates, trusted roots and caches of model signing, as anybody may hand them to us:
//! nothing that our key did not sign is taken for signed, and no name of a signature is ever opened.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use provenance::{
    Bundle, Certificate, CheckOptions, DigestCache, EntryKind, Identity, Legacy, Listing, PrivateKey, PublicKey,
    Signer as _, TreeEntry, Trust, TrustedRoot,
};

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::from_seed(&[7; 32]).expect("a scalar"));

/// A bundle around any statement, signed by our key: what gets past the signature.
fn signed(payload: &[u8]) -> Vec<u8> {
    let kind = "application/vnd.in-toto+json";
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    let signature = KEY.sign(&message).expect("a signature");
    let (payload, signature) = (STANDARD.encode(payload), STANDARD.encode(signature));
    format!(
        r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{{"publicKey":{{"hint":""}}}},
        "dsseEnvelope":{{"payload":"{payload}","payloadType":"{kind}","signatures":[{{"sig":"{signature}"}}]}}}}"#
    )
    .into_bytes()
}

fn there(path: &str) -> TreeEntry {
    TreeEntry { path: path.to_owned(), kind: EntryKind::File, size: 9, stamp: None }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let trust = Trust::Key(KEY.public_key());
    if let Ok(bundle) = Bundle::parse(bytes) {
        assert!(bundle.verify(&trust, Legacy::Accept).is_err(), "a signature was forged");
        let at = Timestamp::from_millis(1_760_062_340_000);
        assert!(bundle.verify(&Trust::Certificates { roots: &[], at }, Legacy::Accept).is_err());
    }
    if let Ok(bundle) = Bundle::parse(&signed(bytes))
        && let Ok(attested) = bundle.verify(&trust, Legacy::Accept)
    {
        let listing = Listing::new(["a", ".git/x", "b/c"].map(there)).expect("three names");
        let plan = attested.plan(&listing, CheckOptions::default());
        assert!(plan.pieces().iter().all(|p| listing.get(p.path()).is_some()), "a signed name is opened");
        assert!(!plan.report(&[]).outcome().is_clean() || attested.manifest().resources().is_empty());
    }
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let _ = (certificate.subject(), certificate.issuer(), certificate.validity(), certificate.public_key());
    }
    let _ = Certificate::all_from_pem(bytes);
    let _ = PublicKey::from_pem(bytes);
    let _ = PrivateKey::from_pem(bytes, None);
    if let Ok(root) = TrustedRoot::parse(bytes) {
        let identity = Identity { subject: "a".into(), issuer: "b".into() };
        if let Ok(bundle) = Bundle::parse(&signed(bytes)) {
            assert!(bundle.verify(&Trust::Sigstore { root: &root, identity: &identity }, Legacy::Accept).is_err());
        }
    }
    if let Ok(cache) = DigestCache::parse(bytes) {
        assert_eq!(DigestCache::parse(&cache.to_bytes()).as_ref(), Ok(&cache), "a cache survives");
    }
});
