//! The specification's own vectors, and fixtures that the reference implementation 1.1.1 signed, with tampered variants.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;

use domain::{Outcome, Severity, Timestamp};
use provenance::{
    Attested, Bundle, BundleMethod, Certificate, CheckOptions, Difference, Identity, Legacy, Method,
    PublicKey, SignatureError, Strictness, Trust, TrustedRoot,
};
use support::{compare, shared};

fn bundle(path: &Path) -> Result<Bundle, SignatureError> {
    Bundle::parse(&fs::read(path).unwrap())
}

fn key(folder: &Path, name: &str) -> PublicKey {
    PublicKey::from_pem(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn attested(folder: &Path, signature: &str, pem: &str) -> Attested {
    let key = key(folder, pem);
    bundle(&folder.join(signature)).unwrap().verify(&Trust::Key(&key), Legacy::Refuse).unwrap()
}

#[test]
fn the_specifications_invalid_vectors_are_refused() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("oms-test-vectors/test-vectors/v1.0/invalid");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let error = bundle(&path).err().unwrap_or_else(|| panic!("{} was read", path.display()));
        assert!(matches!(error, SignatureError::Malformed { .. }), "{}: {error}", path.display());
        assert_eq!(error.outcome().word(), "inconclusive");
        seen += 1;
    }
    assert_eq!(seen, 4);
}

#[test]
fn the_specifications_valid_vectors_are_read_as_their_methods() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("oms-test-vectors/test-vectors/v1.0/valid");
    for (name, method) in [
        ("key", BundleMethod::Key),
        ("certificate", BundleMethod::Certificate),
        ("sigstore", BundleMethod::Sigstore),
    ] {
        assert_eq!(bundle(&folder.join(format!("{name}.bundle.json"))).unwrap().method(), method);
    }
}

#[test]
fn the_certificate_vector_verifies_against_its_authority_only() {
    let Some(shared) = shared() else { return };
    let path = shared.join("oms-test-vectors/test-vectors/v1.0/valid/certificate.bundle.json");
    let raw: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let certificate = |i: usize| {
        let list = &raw["verificationMaterial"]["x509CertificateChain"]["certificates"];
        let packed = list[i]["rawBytes"].as_str().unwrap();
        Certificate::from_der(&unpack(packed)).unwrap()
    };
    // The root itself is not published with the vector; its intermediate is trusted instead.
    let roots = [certificate(1)];
    let at = Timestamp::from_millis(1_760_000_000_000);
    let bundle = bundle(&path).unwrap();
    let trust = Trust::Certificates { roots: &roots, at };
    let attested = bundle.verify(&trust, Legacy::Refuse).unwrap();
    assert_eq!(attested.signed_by().method, "certificate");
    assert_eq!(attested.manifest().resources().len(), 2);

    let long_after = Timestamp::from_millis(2_200_000_000_000);
    let late = bundle.verify(&Trust::Certificates { roots: &roots, at: long_after }, Legacy::Refuse);
    assert!(matches!(late, Err(SignatureError::Expired { .. })), "{late:?}");
    let nobody = bundle.verify(&Trust::Certificates { roots: &[], at }, Legacy::Refuse);
    assert!(matches!(nobody, Err(SignatureError::Untrusted { .. })), "{nobody:?}");
}

fn unpack(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Sigstore's public trusted root, from the Python client that scripts/setup_python.sh installs.
fn public_trusted_root() -> Option<TrustedRoot> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
    let venv = std::env::var("ASEPSIS_VENV").map_or(beside, Into::into);
    let lib = std::path::PathBuf::from(format!("{}-signing", venv.display())).join("lib");
    let found = fs::read_dir(&lib).ok().and_then(|dir| {
        dir.filter_map(Result::ok).find_map(|python| {
            let store = python.path().join("site-packages/sigstore/_store");
            fs::read(store.join("https%3A%2F%2Ftuf-repo-cdn.sigstore.dev/trusted_root.json")).ok()
        })
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "run scripts/setup_python.sh");
        eprintln!("SKIPPED: no Sigstore trusted root under {} (run scripts/setup_python.sh)", lib.display());
    }
    found.map(|bytes| TrustedRoot::parse(&bytes).unwrap())
}

#[test]
fn the_sigstore_vector_verifies_offline_and_for_its_signer_only() {
    let (Some(shared), Some(root)) = (shared(), public_trusted_root()) else { return };
    let path = shared.join("oms-test-vectors/test-vectors/v1.0/valid/sigstore.bundle.json");
    let identity = Identity {
        subject: "stefanb@us.ibm.com".into(),
        issuer: "https://sigstore.verify.ibm.com/oauth2".into(),
    };
    let trust = Trust::Sigstore { root: &root, identity: &identity };
    let attested = bundle(&path).unwrap().verify(&trust, Legacy::Refuse).unwrap();
    assert_eq!(attested.signed_by().at.unwrap().to_string(), "2025-10-10T02:12:20.000Z");
    assert_eq!(attested.signed_by().name, identity.subject);

    for wrong in [
        Identity { subject: "somebody@us.ibm.com".into(), ..identity.clone() },
        Identity { issuer: "https://accounts.example".into(), ..identity.clone() },
    ] {
        let trust = Trust::Sigstore { root: &root, identity: &wrong };
        let error = bundle(&path).unwrap().verify(&trust, Legacy::Refuse).unwrap_err();
        assert!(matches!(error, SignatureError::WrongIdentity { .. }), "{error}");
    }
}

#[test]
fn every_part_of_a_sigstore_bundle_is_bound() {
    let (Some(shared), Some(root)) = (shared(), public_trusted_root()) else { return };
    let path = shared.join("oms-test-vectors/test-vectors/v1.0/valid/sigstore.bundle.json");
    let good: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let identity = Identity {
        subject: "stefanb@us.ibm.com".into(),
        issuer: "https://sigstore.verify.ibm.com/oauth2".into(),
    };
    let trust = Trust::Sigstore { root: &root, identity: &identity };
    let entry = "/verificationMaterial/tlogEntries/0";
    for (place, value) in [
        ("/integratedTime", "1760062341"),
        ("/logIndex", "598151087"),
        ("/inclusionProof/logIndex", "476246823"),
        ("/inclusionProof/treeSize", "476246826"),
        ("/inclusionProof/hashes/3", "RMIhrLfp2BLk66iRNh4DO0I1QdT+xVXblaEquoF2eMB="),
        ("/inclusionProof/rootHash", "V0NA1ekHc4sMtyOk9+rSfb50+v1kFb/0QXYbxrm43gg="),
        (
            "/inclusionPromise/signedEntryTimestamp",
            "MEQCIErVIgUO5ZfOBVXVM8URhnDQ2RXg7H+960ckEz8xKkdoAiBkki5CpODdpZw8GzMNv/nnT1j5OQ6l/Y5k00n7P0AXFA==",
        ),
        ("/logId/keyId", "3T0wasbHETJjGR4cmWc3AqJKXrjePK3/h4pygC8p7o4="),
        ("/kindVersion/version", "0.0.2"),
    ] {
        let mut changed = good.clone();
        *changed.pointer_mut(&format!("{entry}{place}")).unwrap() = value.into();
        let bundle = Bundle::parse(changed.to_string().as_bytes()).unwrap();
        let error = bundle.verify(&trust, Legacy::Refuse).map(|_| ()).unwrap_err();
        let refused = matches!(error, SignatureError::NotLogged { .. } | SignatureError::Expired { .. });
        assert!(refused || matches!(error, SignatureError::Malformed { .. }), "{place}: {error}");
    }
    for place in ["/inclusionProof", "/inclusionPromise", "/canonicalizedBody", "/logId"] {
        let mut changed = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        changed.pointer_mut(&format!("{entry}{parent}")).unwrap().as_object_mut().unwrap().remove(name);
        let bundle = Bundle::parse(changed.to_string().as_bytes()).unwrap();
        let outcome = bundle.verify(&trust, Legacy::Refuse);
        // Without the log's promise the timestamp authority still says when.
        assert_eq!(outcome.is_ok(), place == "/inclusionPromise", "{place}: {outcome:?}");
    }
    for (place, at) in [
        ("/dsseEnvelope/payload", 40),
        ("/dsseEnvelope/signatures/0/sig", 30),
        ("/verificationMaterial/certificate/rawBytes", 500),
    ] {
        let error = verify_with_flip(&good, place, at, &trust);
        assert!(error.is_err(), "{place}");
    }
    let token = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    let packed = good.pointer(token).unwrap().as_str().unwrap();
    let bytes = unpack(packed);
    let time = bytes.windows(15).position(|w| w == b"20251010021220Z").unwrap();
    // The time, the digest in front of it, the signed attributes behind the certificates, the signature at the end.
    for at in [time + 13, time - 40, bytes.len() - 250, bytes.len() - 20] {
        let error = verify_with_flip(&good, token, at, &trust).unwrap_err();
        assert!(matches!(error, SignatureError::NotLogged { .. }), "{at}: {error}");
    }
}

#[test]
fn a_damaged_certificate_or_timestamp_never_makes_a_reader_panic() {
    let (Some(shared), Some(root)) = (shared(), public_trusted_root()) else { return };
    let path = shared.join("oms-test-vectors/test-vectors/v1.0/valid/sigstore.bundle.json");
    let good: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let identity = Identity {
        subject: "stefanb@us.ibm.com".into(),
        issuer: "https://sigstore.verify.ibm.com/oauth2".into(),
    };
    let trust = Trust::Sigstore { root: &root, identity: &identity };
    let certificate = "/verificationMaterial/certificate/rawBytes";
    let token = "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp";
    for place in [certificate, token] {
        let length = unpack(good.pointer(place).unwrap().as_str().unwrap()).len();
        for at in (0..length).step_by(23) {
            let result = verify_with_flip(&good, place, at, &trust);
            // The authority's own certificate in a timestamp may be damaged: the trusted root has it as well.
            assert!(place == token || result.is_err(), "{place} {at}");
        }
    }
    let chain = shared.join("oms-test-vectors/test-vectors/v1.0/valid/certificate.bundle.json");
    let raw: serde_json::Value = serde_json::from_slice(&fs::read(&chain).unwrap()).unwrap();
    let list = &raw["verificationMaterial"]["x509CertificateChain"]["certificates"];
    let der = unpack(list[0]["rawBytes"].as_str().unwrap());
    for at in 0..der.len() {
        let _ = Certificate::from_der(&der[..at]);
        let mut changed = der.clone();
        changed[at] ^= 0xff;
        if let Ok(read) = Certificate::from_der(&changed) {
            let _ = (read.subject(), read.issuer(), read.validity(), read.public_key());
        }
    }
}

/// The verdict after one bit of a Base64 field of the bundle was flipped.
fn verify_with_flip(
    good: &serde_json::Value,
    place: &str,
    at: usize,
    trust: &Trust<'_>,
) -> Result<Attested, SignatureError> {
    use base64::Engine as _;
    let mut changed = good.clone();
    let field = changed.pointer_mut(place).unwrap();
    let mut bytes = unpack(field.as_str().unwrap());
    bytes[at] ^= 1;
    *field = base64::engine::general_purpose::STANDARD.encode(bytes).into();
    Bundle::parse(changed.to_string().as_bytes())?.verify(trust, Legacy::Refuse)
}

#[test]
fn what_the_reference_implementation_signed_verifies() {
    let Some(shared) = shared() else { return };
    for (folder, model, signature, pem, files) in [
        ("fixture1", "tiny-model", "model.sig", "p256.pub.pem", 3),
        ("fixture2", "mödel dir", "model.sig", "p384.pub.pem", 5),
        ("fixture2", "mödel dir", "files-blake2.sig", "p256.pub.pem", 5),
        ("fixture2", "mödel dir", "files-blake3.sig", "p256.pub.pem", 5),
        ("fixture2", "mödel dir", "shards-sha256.sig", "p256.pub.pem", 4),
    ] {
        let attested = attested(&shared, &format!("{folder}/{signature}"), pem);
        let report = compare(&shared.join(folder).join(model), &attested, CheckOptions::default());
        assert!(report.outcome().is_clean(), "{folder}/{signature}: {:?}", report.findings());
        assert_eq!((report.files, report.unchanged), (files, files), "{folder}/{signature}");
        let sharded = matches!(attested.manifest().method(), Method::Shards { .. });
        // 1000.0 and sha256-sharded-1000 are read, and said.
        assert_eq!(attested.notices().len(), if sharded { 2 } else { 0 }, "{:?}", attested.notices());
        if sharded {
            let empty = Difference::EmptyNotCovered { path: "empty.dat".into() };
            assert_eq!(report.differences, [empty], "the empty file is covered by no shard, and said");
        }
    }
}

#[test]
fn every_tampering_of_the_fixture_is_named_by_its_file() {
    let Some(shared) = shared() else { return };
    let attested = attested(&shared, "fixture1/model.sig", "p256.pub.pem");
    let path = |p: &str| p.to_owned();
    let ignored = Difference::Ignored { path: path(".gitattributes"), rule: path(".gitattributes") };
    for (folder, difference) in [
        ("tampered-flip", Difference::Changed { path: path("model.safetensors"), ranges: vec![] }),
        ("tampered-extra", Difference::Added { path: path("extra.py") }),
        ("tampered-missing", Difference::Missing { path: path("config.json") }),
        (
            "tampered-renamed",
            Difference::CaseRenamed { from: path("config.json"), path: path("Config.json"), changed: false },
        ),
    ] {
        let report = compare(&shared.join("fixture1").join(folder), &attested, CheckOptions::default());
        assert_eq!(report.differences, [ignored.clone(), difference], "{folder}");
        assert!(matches!(report.outcome(), Outcome::Found { .. }));
        assert!(report.outcome().worst() >= Some(Severity::High));
    }
}

#[test]
fn content_that_the_reference_verifier_passes_over_is_said_and_refused_when_asked() {
    let Some(shared) = shared() else { return };
    let attested = attested(&shared, "fixture1/model.sig", "p256.pub.pem");
    let model = tempfile::tempdir().unwrap();
    support::copy(&shared.join("fixture1/tiny-model"), model.path());
    fs::create_dir_all(model.path().join(".git/hooks")).unwrap();
    fs::write(model.path().join(".git/hooks/post-checkout"), "payload").unwrap();
    let report = compare(model.path(), &attested, CheckOptions::default());
    assert!(report.outcome().is_clean());
    let said: Vec<_> = report.notices().iter().map(|f| f.location.name.clone().unwrap()).collect();
    assert_eq!(said, [".git/hooks/post-checkout", ".gitattributes"]);
    let strict = CheckOptions { uncovered: Strictness::Refuse, ..CheckOptions::default() };
    let report = compare(model.path(), &attested, strict);
    assert_eq!(report.outcome().findings().len(), 2);
    assert_eq!(report.outcome().worst(), Some(Severity::High));
}

#[test]
fn a_wrong_key_and_a_wrong_signature_are_told_apart() {
    let Some(shared) = shared() else { return };
    let good = bundle(&shared.join("fixture1/model.sig")).unwrap();
    let other = key(&shared, "p384.pub.pem");
    let error = good.verify(&Trust::Key(&other), Legacy::Refuse).unwrap_err();
    assert!(matches!(error, SignatureError::WrongKey { .. }), "{error}");
    assert_eq!(error.outcome().word(), "found");

    let text = fs::read_to_string(shared.join("fixture1/model.sig")).unwrap();
    let mut raw: serde_json::Value = serde_json::from_str(&text).unwrap();
    let payload = String::from_utf8(unpack(raw["dsseEnvelope"]["payload"].as_str().unwrap())).unwrap();
    use base64::Engine as _;
    let packed =
        base64::engine::general_purpose::STANDARD.encode(payload.replace("config.json", "confog.json"));
    raw["dsseEnvelope"]["payload"] = packed.into();
    let own = key(&shared, "p256.pub.pem");
    let changed = Bundle::parse(raw.to_string().as_bytes()).unwrap();
    let error = changed.verify(&Trust::Key(&own), Legacy::Refuse).unwrap_err();
    assert_eq!(error, SignatureError::WrongSignature);

    let roots = Trust::Certificates { roots: &[], at: Timestamp::from_millis(0) };
    let error = good.verify(&roots, Legacy::Refuse).unwrap_err();
    assert!(matches!(error, SignatureError::Method { found: "key", .. }), "{error}");
}
