//! A key in SoftHSM, the software device: signs, and the signature verifies. scripts/setup.sh installs it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use pkcs11::{DeviceKey, KeyUri};
use provenance::{
    Bundle, EntryKind, HashAlgorithm, Legacy, Listing, Manifest, SignError, SignOptions, Signer as _,
    SigningPlan, TreeEntry, Trust, hash_piece, sign_with_key,
};

const CURVES: [&str; 3] = ["P-256", "P-384", "P-521"];

/// SoftHSM's library, where distributions put it.
fn library() -> Option<PathBuf> {
    let known = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    ];
    known.iter().map(PathBuf::from).find(|p| p.exists())
}

fn run(program: &str, arguments: &[&str], configuration: &Path) {
    let output = Command::new(program).args(arguments).env("SOFTHSM2_CONF", configuration).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// SoftHSM finds its configuration through the environment, which a test must not change for its own process: the real
/// test is `in_a_process_of_its_own`, started from here.
#[test]
fn keys_in_a_device_sign_models() {
    if library().is_none() {
        assert!(std::env::var_os("CI").is_none(), "install softhsm2 (scripts/setup.sh)");
        eprintln!("SKIPPED: no SoftHSM here (scripts/setup.sh installs it)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    let make = ["--init-token", "--free", "--label", "ward", "--pin", "1234", "--so-pin", "5678"];
    run("softhsm2-util", &make, &configuration);
    for (i, curve) in CURVES.iter().enumerate() {
        let pem = folder.path().join(format!("{curve}.pem"));
        let pem = pem.to_str().unwrap();
        let kind = format!("ec_paramgen_curve:{curve}");
        run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", &kind, "-out", pem], &configuration);
        let id = format!("0{}", i + 1);
        let import = ["--import", pem, "--token", "ward", "--label", curve, "--id", &id, "--pin", "1234"];
        run("softhsm2-util", &import, &configuration);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_of_its_own", "--nocapture"])
        .env("SOFTHSM2_CONF", &configuration)
        .env("ASEPSIS_TEST_DEVICE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("3 keys signed"), "{said}");
}

fn manifest() -> Manifest {
    let entry = TreeEntry { path: "a".into(), kind: EntryKind::File, size: 0, stamp: None };
    let plan = SigningPlan::new(SignOptions::new("model"), &Listing::new([entry]).unwrap(), None).unwrap();
    let digest =
        hash_piece(&plan.pieces()[0], HashAlgorithm::Sha256, &mut Vec::new(), |_, _| Ok::<_, ()>(0)).unwrap();
    plan.manifest(&[digest]).unwrap()
}

#[test]
fn in_a_process_of_its_own() {
    if std::env::var_os("ASEPSIS_TEST_DEVICE").is_none() {
        return;
    }
    let library = library().unwrap();
    let uri = |text: &str| text.parse::<KeyUri>().unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut keys = Vec::new();
    for (i, curve) in CURVES.iter().enumerate() {
        let by_name = uri(&format!("pkcs11:token=ward;object={curve}"));
        let by_id = uri(&format!("pkcs11:token=ward;id=%0{}?pin-value=1234", i + 1));
        let key = DeviceKey::open(&library, &by_name, Some("1234")).unwrap();
        let same = DeviceKey::open(&library, &by_id, None).unwrap();
        assert_eq!(key.public_key(), same.public_key());
        assert_eq!(key.public_key().curve().as_str(), *curve);
        let bytes = sign_with_key(&manifest(), &key).unwrap();
        let bundle = Bundle::parse(&bytes).unwrap();
        bundle.verify(&Trust::Key(key.public_key()), Legacy::Refuse).unwrap();
        keys.push(key);
    }
    for wrong in ["pkcs11:token=other;object=P-256", "pkcs11:token=ward;object=nobody"] {
        let error = DeviceKey::open(&library, &uri(wrong), Some("1234")).err().unwrap();
        assert!(matches!(error, SignError::Device(_)), "{wrong}: {error}");
    }
    let error = DeviceKey::open(Path::new("/nowhere.so"), &uri("pkcs11:object=a"), None).err().unwrap();
    assert!(matches!(error, SignError::Device(_)), "{error}");
    eprintln!("{} keys signed", keys.len());
}
