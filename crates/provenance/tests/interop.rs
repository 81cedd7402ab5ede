//! Both ways with the reference implementation, `model-signing` 1.1.1 for Python: what we sign it verifies, what it signs we
//! verify, for every mode that it supports. Needs the environment that scripts/setup_python.sh makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod support;

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;

use domain::Timestamp;
use provenance::{
    Bundle, Certificate, CheckOptions, HashAlgorithm, Legacy, Method, PrivateKey, PublicKey, SignError,
    SignOptions, SignatureError, Trust, sign_with_certificates, sign_with_key,
};
use support::{compare, manifest};

const PASSWORD: &[u8] = b"a password of several words";
const CURVES: [&str; 3] = ["p256", "p384", "p521"];

/// A model, a folder of keys, and the reference implementation.
struct Bench {
    python: PathBuf,
    folder: tempfile::TempDir,
}

impl Bench {
    /// `None`, said loudly, where the reference implementation is not installed; an error in CI.
    fn new() -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv");
        let venv = std::env::var("ASEPSIS_VENV").map_or(beside, Into::into);
        let python = PathBuf::from(format!("{}-signing/bin/python", venv.display()));
        if !python.exists() {
            assert!(std::env::var_os("CI").is_none(), "run scripts/setup_python.sh");
            eprintln!("SKIPPED: no {} (run scripts/setup_python.sh)", python.display());
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { python, folder };
        let model = bench.model();
        fs::create_dir_all(model.join("Wörter/deep")).unwrap();
        fs::write(model.join("config.json"), "{\"classes\": 3}").unwrap();
        fs::write(model.join("weights.bin"), vec![7; 70_001]).unwrap();
        fs::write(model.join("Wörter/deep/ein name.txt"), "ä\n").unwrap();
        fs::write(model.join("Wörter/empty"), "").unwrap();
        fs::write(model.join(".gitattributes"), "*.bin filter=lfs\n").unwrap();
        bench.python(&["keys", bench.path("")]).unwrap();
        Some(bench)
    }

    fn model(&self) -> PathBuf {
        self.folder.path().join("model")
    }

    fn path(&self, name: &str) -> &'static str {
        // Leaked: a few dozen short texts in a test, and the calls below stay readable.
        Box::leak(self.folder.path().join(name).to_str().unwrap().to_owned().into_boxed_str())
    }

    fn python(&self, arguments: &[&str]) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop.py");
        let output = Command::new(&self.python).arg(script).args(arguments).output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn verify(&self, what: &str, name: &str, signature: &str, more: &[&str]) -> Result<(), String> {
        let fixed = ["verify", what, self.path(""), name, self.path("model"), self.path(signature)];
        self.python(&[&fixed, more].concat())
    }

    fn sign(&self, what: &str, name: &str, signature: &str, more: &[&str]) {
        let fixed = ["sign", what, self.path(""), name, self.path("model"), self.path(signature)];
        self.python(&[&fixed, more].concat()).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }

    fn private(&self, name: &str) -> PrivateKey {
        PrivateKey::from_pem(&self.read(&format!("{name}.pem")), None).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    /// Our verdict on a signature by key.
    fn ours(&self, name: &str, signature: &str) -> Result<usize, SignatureError> {
        let key = PublicKey::from_pem(&self.read(&format!("{name}.pub.pem")))?;
        let attested = Bundle::parse(&self.read(signature))?.verify(&Trust::Key(&key), Legacy::Refuse)?;
        let report = compare(&self.model(), &attested, CheckOptions::default());
        assert!(report.outcome().is_clean(), "{:?}", report.findings());
        assert_eq!(report.files, report.unchanged);
        Ok(report.files)
    }
}

fn options(algorithm: HashAlgorithm) -> SignOptions {
    SignOptions { algorithm, ..SignOptions::new("model") }
}

fn now() -> Timestamp {
    Timestamp::from_millis(support::now_ns() / 1_000_000)
}

#[test]
fn what_we_sign_with_a_key_the_reference_verifies() {
    let Some(bench) = Bench::new() else { return };
    let manifest = manifest(&bench.model(), options(HashAlgorithm::Sha256), 2);
    for curve in CURVES {
        for (form, password) in [("", None), (".sec1", None), (".secret", Some(PASSWORD))] {
            let key = PrivateKey::from_pem(&bench.read(&format!("{curve}{form}.pem")), password).unwrap();
            bench.write("ours.sig", &sign_with_key(&manifest, &key).unwrap());
            bench.verify("key", curve, "ours.sig", &[]).unwrap_or_else(|e| panic!("{curve}{form}: {e}"));
        }
        let sealed = bench.read(&format!("{curve}.secret.pem"));
        assert_eq!(PrivateKey::from_pem(&sealed, None).err(), Some(SignError::PasswordNeeded));
        assert_eq!(PrivateKey::from_pem(&sealed, Some(b"no")).err(), Some(SignError::WrongPassword));
    }
    let error = bench.verify("key", "p384", "ours.sig", &[]).unwrap_err();
    assert!(error.contains("Key mismatch"), "the reference tells the wrong key: {error}");
    fs::write(bench.model().join("weights.bin"), vec![8; 70_001]).unwrap();
    let error = bench.verify("key", "p521", "ours.sig", &[]).unwrap_err();
    assert!(error.contains("Hash mismatch for 'weights.bin'"), "it really compares: {error}");
}

#[test]
fn what_the_reference_signs_with_a_key_we_verify() {
    let Some(bench) = Bench::new() else { return };
    for curve in CURVES {
        bench.sign("key", curve, "theirs.sig", &["sha256"]);
        assert_eq!(bench.ours(curve, "theirs.sig"), Ok(4), "{curve}");
    }
    bench.sign("password", "p256", "theirs.sig", &["sha256"]);
    assert_eq!(bench.ours("p256", "theirs.sig"), Ok(4));
    let error = bench.ours("p384", "theirs.sig").unwrap_err();
    assert!(matches!(error, SignatureError::WrongKey { .. }), "{error}");
}

#[test]
fn every_hash_of_the_reference_goes_both_ways() {
    let Some(bench) = Bench::new() else { return };
    for (algorithm, theirs) in [
        (HashAlgorithm::Sha256, "sha256"),
        (HashAlgorithm::Blake2b, "blake2"),
        (HashAlgorithm::Blake3, "blake3"),
    ] {
        bench.sign("key", "p256", "theirs.sig", &[theirs]);
        assert_eq!(bench.ours("p256", "theirs.sig"), Ok(4), "{theirs}");
        let manifest = manifest(&bench.model(), options(algorithm), 2);
        bench.write("ours.sig", &sign_with_key(&manifest, &bench.private("p256")).unwrap());
        assert_eq!(bench.ours("p256", "ours.sig"), Ok(4));
        // The reference writes `blake2b` and guesses only `blake2`: it has to be told, for its own signatures too.
        let told: &[&str] = if theirs == "blake2" { &[theirs] } else { &[] };
        bench.verify("key", "p256", "ours.sig", told).unwrap_or_else(|e| panic!("{theirs}: {e}"));
    }
}

#[test]
fn shards_of_the_reference_verify_here_and_ours_follow_the_schema_that_it_does_not() {
    let Some(bench) = Bench::new() else { return };
    for hash in ["sha256", "blake2"] {
        bench.sign("key", "p256", "theirs.sig", &[hash, "1000"]);
        assert_eq!(bench.ours("p256", "theirs.sig"), Ok(3), "{hash}: without the empty file");
        bench.verify("key", "p256", "theirs.sig", &[]).expect_err("the reference fails on its own shards");
    }
    let shards = Method::Shards { size: NonZeroU64::new(1_000).unwrap() };
    let manifest = manifest(&bench.model(), SignOptions { method: shards, ..SignOptions::new("model") }, 2);
    bench.write("ours.sig", &sign_with_key(&manifest, &bench.private("p256")).unwrap());
    assert_eq!(bench.ours("p256", "ours.sig"), Ok(3));
    let error = bench.verify("key", "p256", "ours.sig", &[]).unwrap_err();
    assert!(error.contains("sha256-sharded-1000"), "it wants an algorithm that the schema forbids: {error}");
}

#[test]
fn certificates_go_both_ways() {
    let Some(bench) = Bench::new() else { return };
    let manifest = manifest(&bench.model(), options(HashAlgorithm::Sha256), 2);
    for curve in CURVES {
        let pem =
            [bench.read(&format!("{curve}.cert.pem")), bench.read(&format!("{curve}.middle.pem"))].concat();
        let chain = Certificate::all_from_pem(&pem).unwrap();
        bench.write("ours.sig", &sign_with_certificates(&manifest, &bench.private(curve), &chain).unwrap());
        bench.verify("certificate", curve, "ours.sig", &[]).unwrap_or_else(|e| panic!("{curve}: {e}"));

        bench.sign("certificate", curve, "theirs.sig", &["sha256"]);
        let roots = Certificate::all_from_pem(&bench.read(&format!("{curve}.root.pem"))).unwrap();
        for signature in ["ours.sig", "theirs.sig"] {
            let bundle = Bundle::parse(&bench.read(signature)).unwrap();
            let trust = Trust::Certificates { roots: &roots, at: now() };
            let attested = bundle.verify(&trust, Legacy::Refuse).unwrap_or_else(|e| panic!("{curve}: {e}"));
            assert_eq!(attested.signed_by().name, "CN=test signer");
            assert!(compare(&bench.model(), &attested, CheckOptions::default()).outcome().is_clean());
            let later = Trust::Certificates { roots: &roots, at: now().plus_days(31) };
            let error = bundle.verify(&later, Legacy::Refuse).unwrap_err();
            assert!(matches!(error, SignatureError::Expired { .. }), "{error}");
        }
        let other = bench.private(if curve == "p256" { "p384" } else { "p256" });
        let error = sign_with_certificates(&manifest, &other, &chain).unwrap_err();
        assert_eq!(error, SignError::CertificateOfAnotherKey("CN=test signer".into()));
    }
}

#[test]
fn signatures_of_release_0_2_are_read_only_when_allowed() {
    let Some(bench) = Bench::new() else { return };
    fs::remove_file(bench.model().join(".gitattributes")).unwrap();
    bench.python(&["old", bench.path(""), "p256", bench.path("model"), bench.path("old.sig")]).unwrap();
    bench.verify("key", "p256", "old.sig", &["sha256"]).expect("as the reference itself reads it");
    let key = PublicKey::from_pem(&bench.read("p256.pub.pem")).unwrap();
    let bundle = Bundle::parse(&bench.read("old.sig")).unwrap();
    let error = bundle.verify(&Trust::Key(&key), Legacy::Refuse).unwrap_err();
    assert!(matches!(error, SignatureError::Unsupported { .. }), "{error}");
    let attested = bundle.verify(&Trust::Key(&key), Legacy::Accept).unwrap();
    assert!(compare(&bench.model(), &attested, CheckOptions::default()).outcome().is_clean());
    assert_eq!(attested.notices().len(), 2, "no fingerprint, and an old format");
}
