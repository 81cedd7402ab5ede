//! Any tampering with a signed folder is named, and no bytes make a reader panic. Folders are in memory here: this crate
//! opens no file anyway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use proptest::prelude::*;
use provenance::{
    Attested, Bundle, Certificate, CheckOptions, ContentDigest, Difference, DigestCache, EntryKind,
    HashAlgorithm, Identity, Legacy, LinkPolicy, Listing, Method, Piece, PrivateKey, PublicKey, Report,
    SignError, SignOptions, SignatureError, Signer as _, SigningPlan, Stamp, Strictness, TreeEntry, Trust,
    TrustedRoot, hash_piece, limits, sign_with_key,
};

type Folder = BTreeMap<String, Vec<u8>>;

fn listing(folder: &Folder) -> Listing {
    let entry = |(path, bytes): (&String, &Vec<u8>)| TreeEntry {
        path: path.clone(),
        kind: EntryKind::File,
        size: bytes.len() as u64,
        stamp: None,
    };
    Listing::new(folder.iter().map(entry)).unwrap()
}

fn hash(folder: &Folder, piece: &Piece, algorithm: HashAlgorithm) -> Result<ContentDigest, String> {
    let bytes = folder.get(piece.path()).ok_or("it is gone")?;
    hash_piece(piece, algorithm, &mut Vec::new(), |at, into| {
        let rest = bytes.get(usize::try_from(at).unwrap()..).unwrap_or_default();
        // Short reads, as a network file system may give.
        let n = rest.len().min(into.len()).min(5);
        into[..n].copy_from_slice(&rest[..n]);
        Ok::<_, String>(n)
    })
    .map_err(|e| e.to_string())
}

fn key() -> PrivateKey {
    PrivateKey::from_seed(&[9; 32]).unwrap()
}

fn signed(folder: &Folder, method: Method, algorithm: HashAlgorithm) -> Attested {
    let options = SignOptions { method, algorithm, ..SignOptions::new("model") };
    let plan = SigningPlan::new(options, &listing(folder), None).unwrap();
    let digests: Vec<_> = plan.pieces().iter().map(|p| hash(folder, p, algorithm).unwrap()).collect();
    let bytes = sign_with_key(&plan.manifest(&digests).unwrap(), &key()).unwrap();
    let key = key();
    let trust = Trust::Key(key.public_key());
    Bundle::parse(&bytes).unwrap().verify(&trust, Legacy::Refuse).unwrap()
}

fn check(folder: &Folder, attested: &Attested, options: CheckOptions) -> Report {
    let plan = attested.plan(&listing(folder), options);
    let algorithm = plan.algorithm();
    let results: Vec<_> = plan.pieces().iter().map(|p| hash(folder, p, algorithm)).collect();
    plan.report(&results)
}

fn methods() -> [Method; 2] {
    [Method::Files, Method::Shards { size: NonZeroU64::new(4).unwrap() }]
}

/// Folders of two to eight files with one to eleven bytes each; the contents differ.
fn folders() -> impl Strategy<Value = Folder> {
    let names = proptest::collection::btree_set("[a-d]{1,2}(/[a-dA-D]{1,2}){0,2}", 2..8);
    (names, any::<u64>()).prop_map(|(names, seed)| {
        let files = names.into_iter().enumerate();
        files
            .map(|(i, name)| {
                let length = 1 + (seed as usize).wrapping_add(i * 7) % 11;
                let mut bytes = vec![0; length];
                bytes.iter_mut().enumerate().for_each(|(j, b)| *b = (seed >> (j % 8)) as u8 ^ (i as u8));
                bytes.push(i as u8);
                (name, bytes)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_untouched_folder_is_clean(folder in folders()) {
        for method in methods() {
            for algorithm in [HashAlgorithm::Sha256, HashAlgorithm::Blake2b, HashAlgorithm::Blake3] {
                let report = check(&folder, &signed(&folder, method, algorithm), CheckOptions::default());
                prop_assert!(report.outcome().is_clean(), "{:?}", report.differences);
                prop_assert_eq!(report.unchanged, folder.len());
            }
        }
    }

    #[test]
    fn any_tampering_is_named_by_its_file(folder in folders(), one: prop::sample::Index, two: prop::sample::Index, place: prop::sample::Index) {
        let names: Vec<String> = folder.keys().cloned().collect();
        let (a, b) = (one.get(&names).clone(), two.get(&names).clone());
        let mut cases: Vec<(Folder, Difference)> = Vec::new();
        let mut flip = folder.clone();
        let bytes = flip.get_mut(&a).unwrap();
        *place.get_mut(bytes) ^= 0x80;
        cases.push((flip, Difference::Changed { path: a.clone(), ranges: vec![] }));
        let mut longer = folder.clone();
        longer.get_mut(&a).unwrap().push(0);
        cases.push((longer, Difference::Changed { path: a.clone(), ranges: vec![] }));
        let mut emptied = folder.clone();
        emptied.get_mut(&a).unwrap().clear();
        cases.push((emptied, Difference::Changed { path: a.clone(), ranges: vec![] }));
        let mut added = folder.clone();
        added.insert("zz.py".into(), b"import os".to_vec());
        cases.push((added, Difference::Added { path: "zz.py".into() }));
        let mut missing = folder.clone();
        missing.remove(&a);
        cases.push((missing, Difference::Missing { path: a.clone() }));
        let mut renamed = folder.clone();
        let content = renamed.remove(&a).unwrap();
        renamed.insert("other name".into(), content.clone());
        cases.push((renamed, Difference::Renamed { from: a.clone(), path: "other name".into() }));
        let mut shouted = folder.clone();
        shouted.remove(&a);
        if shouted.insert(a.to_uppercase(), content.clone()).is_none() && a.to_uppercase() != a {
            let twins = folder.keys().filter(|n| n.to_lowercase() == a.to_lowercase()).count() > 1;
            if !twins {
                cases.push((shouted, Difference::CaseRenamed { from: a.clone(), path: a.to_uppercase(), changed: false }));
            }
        }
        if a != b {
            let mut swapped = folder.clone();
            swapped.insert(a.clone(), folder[&b].clone());
            swapped.insert(b.clone(), content);
            let (first, second) = if a < b { (&a, &b) } else { (&b, &a) };
            cases.push((swapped, Difference::Swapped { path: first.clone(), with: second.clone() }));
            let mut copied = folder.clone();
            copied.insert(a.clone(), folder[&b].clone());
            cases.push((copied, Difference::HoldsOther { path: a.clone(), signed_as: b.clone() }));
        }
        for method in methods() {
            let attested = signed(&folder, method, HashAlgorithm::Sha256);
            for (tampered, expected) in &cases {
                let report = check(tampered, &attested, CheckOptions::default());
                prop_assert_eq!(report.outcome().word(), "found");
                let found: Vec<Difference> = report.differences.iter().map(|d| match d {
                    Difference::Changed { path, .. } => Difference::Changed { path: path.clone(), ranges: vec![] },
                    other => other.clone(),
                }).collect();
                prop_assert_eq!(&found, std::slice::from_ref(expected), "{:?}", method);
            }
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Bundle::parse(&bytes);
        let _ = Certificate::from_der(&bytes);
        let _ = Certificate::all_from_pem(&bytes);
        let _ = PublicKey::from_pem(&bytes);
        let _ = PublicKey::from_der(&bytes);
        let _ = PrivateKey::from_pem(&bytes, Some(b"x"));
        let _ = TrustedRoot::parse(&bytes);
        let _ = DigestCache::parse(&bytes);
    }

    #[test]
    fn no_changed_byte_of_a_signature_file_is_believed(at: prop::sample::Index, bit in 0..8_u8) {
        let folder = Folder::from([("a".to_owned(), b"x".to_vec())]);
        let plan = SigningPlan::new(SignOptions::new("model"), &listing(&folder), None).unwrap();
        let digests: Vec<_> = plan.pieces().iter().map(|p| hash(&folder, p, HashAlgorithm::Sha256).unwrap()).collect();
        let manifest = plan.manifest(&digests).unwrap();
        let mut bytes = sign_with_key(&manifest, &key()).unwrap();
        *at.get_mut(&mut bytes) ^= 1 << bit;
        let read = Bundle::parse(&bytes).and_then(|b| b.verify(&Trust::Key(key().public_key()), Legacy::Refuse));
        // What is not signed may change (white space, the name of the key in another case): never what it says.
        if let Ok(attested) = read {
            prop_assert_eq!(attested.manifest(), &manifest);
        }
    }
}

/// A statement of any text, signed by our key.
fn statement(text: &str) -> Result<Attested, SignatureError> {
    use base64::Engine as _;
    let pack = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let kind = "application/vnd.in-toto+json";
    let message = format!("DSSEv1 {} {kind} {} {text}", kind.len(), text.len());
    let signature = key().sign(message.as_bytes()).unwrap();
    let document = serde_json::json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": key().public_key().fingerprint() } },
        "dsseEnvelope": {
            "payload": pack(text.as_bytes()), "payloadType": kind, "signatures": [{ "sig": pack(&signature) }],
        },
    });
    Bundle::parse(document.to_string().as_bytes())?.verify(&Trust::Key(key().public_key()), Legacy::Refuse)
}

/// A statement over files with these names, all with the digest of nothing, and more in its serialisation.
fn naming(names: &[&str], more: serde_json::Value) -> String {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let resources: Vec<_> = names
        .iter()
        .map(|name| serde_json::json!({ "name": name, "algorithm": "sha256", "digest": empty }))
        .collect();
    let raw = hex::decode(empty).unwrap().repeat(names.len());
    let root = domain::Digest::of(&raw).to_string().replace("sha256:", "");
    let mut serialization =
        serde_json::json!({ "method": "files", "hash_type": "sha256", "allow_symlinks": false });
    more.as_object().unwrap().iter().for_each(|(k, v)| serialization[k] = v.clone());
    serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "model", "digest": { "sha256": root } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": { "serialization": serialization, "resources": resources },
    })
    .to_string()
}

#[test]
fn names_that_escape_are_findings_and_never_opened() {
    let bad = ["../secret", "/etc/passwd", "a/../../b", "..\\b", "C:b", "a\0b"];
    let attested = statement(&naming(&bad, serde_json::json!({}))).unwrap();
    let folder = Folder::from([("ok".to_owned(), Vec::new())]);
    let plan = attested.plan(&listing(&folder), CheckOptions::default());
    assert!(plan.pieces().is_empty(), "nothing of the signature is opened: {:?}", plan.pieces());
    let report = plan.report(&[]);
    let unsafe_names = report.findings().iter().filter(|f| f.check == "V026").count();
    assert_eq!(unsafe_names, bad.len());
    assert_eq!(report.outcome().word(), "found");
}

#[test]
fn a_name_signed_twice_is_a_finding_even_with_the_same_content() {
    let attested = statement(&naming(&["a", "a"], serde_json::json!({}))).unwrap();
    let folder = Folder::from([("a".to_owned(), Vec::new())]);
    let report = check(&folder, &attested, CheckOptions::default());
    assert_eq!(report.differences, [Difference::Duplicate { path: "a".into() }]);
}

#[test]
fn a_rule_that_ignores_everything_hides_nothing_signed_and_says_what_it_hides() {
    let attested = statement(&naming(&["a"], serde_json::json!({ "ignore_paths": ["."] }))).unwrap();
    let folder = Folder::from([("a".to_owned(), b"changed".to_vec()), ("evil.py".to_owned(), b"x".to_vec())]);
    let report = check(&folder, &attested, CheckOptions::default());
    assert_eq!(
        report.differences,
        [
            Difference::Changed { path: "a".into(), ranges: vec![] },
            Difference::Ignored { path: "evil.py".into(), rule: ".".into() },
        ]
    );
}

#[test]
fn statements_that_contradict_themselves_are_refused() {
    let good = naming(&["a"], serde_json::json!({}));
    assert!(statement(&good).is_ok());
    let refused = |text: &str| statement(text).err().unwrap_or_else(|| panic!("{text}"));
    let root = refused(&good.replacen("sha256\":\"", "sha256\":\"0", 1).replacen("0e3", "e3", 0));
    assert!(matches!(root, SignatureError::RootDigest { .. }), "{root}");
    for (from, to) in [
        ("https://model_signing/signature/v1.0", "https://example.com/other/v1"),
        ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"),
        ("\"files\"", "\"folders\""),
        ("\"hash_type\":\"sha256\"", "\"hash_type\":\"md5\""),
    ] {
        let error = refused(&good.replace(from, to));
        assert!(matches!(error, SignatureError::Unsupported { .. }), "{error}");
        assert_eq!(error.outcome().word(), "inconclusive");
    }
    for more in [
        serde_json::json!({ "method": "shards" }),
        serde_json::json!({ "method": "shards", "shard_size": 0 }),
        serde_json::json!({ "method": "shards", "shard_size": 10.5 }),
        serde_json::json!({ "method": "shards", "shard_size": -1 }),
        serde_json::json!({ "hash_type": "blake3" }),
    ] {
        let error = refused(&naming(&["a"], more));
        assert!(matches!(error, SignatureError::Malformed { .. }), "{error}");
    }
    let error = refused(&good.replace("\"digest\":\"e3", "\"digest\":\"E3"));
    assert!(matches!(error, SignatureError::Malformed { .. }), "{error}");
    let error = refused(&naming(&[], serde_json::json!({})));
    assert!(matches!(error, SignatureError::Malformed { .. }), "{error}");
}

#[test]
fn limits_hold_at_their_edges() {
    let long = "n".repeat(limits::NAME_BYTES_MAX);
    assert!(statement(&naming(&[&long], serde_json::json!({}))).is_ok());
    assert!(statement(&naming(&[&format!("{long}n")], serde_json::json!({}))).is_err());
    let rules = |n: usize| serde_json::json!({ "ignore_paths": vec!["x"; n] });
    assert!(statement(&naming(&["a"], rules(limits::IGNORED_PATHS_MAX))).is_ok());
    let error = statement(&naming(&["a"], rules(limits::IGNORED_PATHS_MAX + 1))).unwrap_err();
    assert!(matches!(error, SignatureError::TooLarge { .. }), "{error}");
    let chain = |n: usize| {
        let certificates = vec![serde_json::json!({ "rawBytes": "AA==" }); n];
        let material = serde_json::json!({ "x509CertificateChain": { "certificates": certificates } });
        let envelope = serde_json::json!({
            "payload": "AA==", "payloadType": "application/vnd.in-toto+json", "signatures": [{ "sig": "AA==" }],
        });
        let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
        let all = serde_json::json!({ "mediaType": kind, "verificationMaterial": material, "dsseEnvelope": envelope });
        Bundle::parse(all.to_string().as_bytes())
    };
    assert!(chain(limits::CERTIFICATES_MAX).is_ok());
    assert!(matches!(chain(limits::CERTIFICATES_MAX + 1), Err(SignatureError::TooLarge { .. })));
}

#[test]
fn links_are_findings_unless_signer_and_reader_both_allow_them() {
    let link = |kind: EntryKind| TreeEntry { path: "a".into(), kind, size: 0, stamp: None };
    let with =
        |allow: bool| statement(&naming(&["a"], serde_json::json!({ "allow_symlinks": allow }))).unwrap();
    for (signer, reader, kind, clean) in [
        (false, LinkPolicy::Anywhere, EntryKind::LinkInside, false),
        (true, LinkPolicy::Refuse, EntryKind::LinkInside, false),
        (true, LinkPolicy::Inside, EntryKind::LinkInside, true),
        (true, LinkPolicy::Inside, EntryKind::LinkOutside, false),
        (true, LinkPolicy::Anywhere, EntryKind::LinkOutside, true),
        (true, LinkPolicy::Anywhere, EntryKind::Other("a link to nothing".into()), false),
    ] {
        let attested = with(signer);
        let listing = Listing::new([link(kind.clone())]).unwrap();
        let plan = attested.plan(&listing, CheckOptions { links: reader, ..CheckOptions::default() });
        let empty = Folder::from([("a".to_owned(), Vec::new())]);
        let results: Vec<_> = plan.pieces().iter().map(|p| hash(&empty, p, HashAlgorithm::Sha256)).collect();
        let report = plan.report(&results);
        assert_eq!(report.outcome().is_clean(), clean, "{signer} {reader:?} {kind:?}");
        assert!(report.findings().iter().chain(&report.notices()).any(|f| f.check == "V027"));
    }
}

#[test]
fn what_cannot_be_read_is_a_doubt_and_never_a_pass() {
    let folder = Folder::from([("a".to_owned(), b"x".to_vec()), ("b".to_owned(), b"y".to_vec())]);
    let attested = signed(&folder, Method::Files, HashAlgorithm::Sha256);
    let plan = attested.plan(&listing(&folder), CheckOptions::default());
    let first = hash(&folder, &plan.pieces()[0], HashAlgorithm::Sha256);
    for results in [vec![first.clone(), Err("permission denied".to_owned())], vec![first], vec![]] {
        let report = plan.clone().report(&results);
        assert_eq!(report.outcome().word(), "inconclusive");
        assert!(report.differences.is_empty(), "an unread file is not called missing or changed");
    }
    // An unsigned file that cannot be read beside a missing one: it may be the renamed one, and nobody signed it.
    let moved = Folder::from([("a".to_owned(), b"x".to_vec()), ("c".to_owned(), b"y".to_vec())]);
    let plan = attested.plan(&listing(&moved), CheckOptions::default());
    assert_eq!(plan.pieces().len(), 2);
    let report =
        plan.clone().report(&[hash(&moved, &plan.pieces()[0], HashAlgorithm::Sha256), Err("no".to_owned())]);
    assert_eq!(report.outcome().word(), "inconclusive");
    let (missing, added) = (Difference::Missing { path: "b".into() }, Difference::Added { path: "c".into() });
    assert_eq!(report.differences, [missing, added]);
}

#[test]
fn a_file_that_changes_while_it_is_read_has_no_digest() {
    let folder = Folder::from([("a".to_owned(), b"four".to_vec())]);
    let plan = SigningPlan::new(SignOptions::new("model"), &listing(&folder), None).unwrap();
    for now in ["fou", "four4"] {
        let changed = Folder::from([("a".to_owned(), now.as_bytes().to_vec())]);
        let error = hash(&changed, &plan.pieces()[0], HashAlgorithm::Sha256).unwrap_err();
        assert!(error.contains("changed while it was read"), "{error}");
    }
}

#[test]
fn what_cannot_be_signed_is_named() {
    let sign = |entry: TreeEntry| {
        SigningPlan::new(SignOptions::new("m"), &Listing::new([entry]).unwrap(), None).map(|_| ())
    };
    let entry = |path: &str, kind: EntryKind| TreeEntry { path: path.into(), kind, size: 1, stamp: None };
    for bad in [
        entry("a\\b", EntryKind::File),
        entry("a", EntryKind::LinkInside),
        entry("a", EntryKind::Other("a socket".into())),
    ] {
        assert!(matches!(sign(bad), Err(SignError::Unsignable { .. })));
    }
    assert_eq!(sign(entry(".git/config", EntryKind::File)), Err(SignError::Empty));
    assert_eq!(sign(entry("a", EntryKind::File)), Ok(()));
}

#[test]
fn signing_again_hashes_only_what_changed() {
    let stamp = |n: i64| Some(Stamp { modified_ns: n, changed_ns: n, inode: 1 });
    let entry =
        |path: &str, size: u64, stamp| TreeEntry { path: path.into(), kind: EntryKind::File, size, stamp };
    let mut folder = Folder::from([("big".to_owned(), vec![1; 64]), ("small".to_owned(), b"x".to_vec())]);
    let day = 86_400_000_000_000;
    for method in methods() {
        let options = SignOptions { method, ..SignOptions::new("m") };
        folder.insert("small".into(), b"x".to_vec());
        let before = Listing::new([entry("big", 64, stamp(1)), entry("small", 1, stamp(2))]).unwrap();
        let plan = SigningPlan::new(options.clone(), &before, None).unwrap();
        let digests: Vec<_> =
            plan.pieces().iter().map(|p| hash(&folder, p, HashAlgorithm::Sha256).unwrap()).collect();
        let cache = plan.cache(&digests, day).unwrap();
        let cache = DigestCache::parse(&cache.to_bytes()).unwrap();
        folder.insert("small".into(), b"y".to_vec());
        let after = Listing::new([entry("big", 64, stamp(1)), entry("small", 1, stamp(day))]).unwrap();
        let again = SigningPlan::new(options.clone(), &after, Some(&cache)).unwrap();
        assert!(again.pieces().iter().all(|p| p.path() == "small") && again.pieces().len() == 1);
        let few: Vec<_> =
            again.pieces().iter().map(|p| hash(&folder, p, HashAlgorithm::Sha256).unwrap()).collect();
        let whole = SigningPlan::new(options.clone(), &after, None).unwrap();
        let all: Vec<_> =
            whole.pieces().iter().map(|p| hash(&folder, p, HashAlgorithm::Sha256).unwrap()).collect();
        assert_eq!(
            again.manifest(&few).unwrap(),
            whole.manifest(&all).unwrap(),
            "the same as hashing everything"
        );
        // Written within the clock's step of the listing: a second write would leave the same stamp.
        let fresh = again.cache(&few, day + 1_000_000).unwrap();
        assert_eq!(fresh.len(), again.reused(), "only what was settled is kept");
        // Another hash, a changed size or inode: nothing is reused.
        let other = SignOptions { algorithm: HashAlgorithm::Blake3, ..options };
        assert_eq!(SigningPlan::new(other, &before, Some(&cache)).unwrap().reused(), 0);
    }
}

#[test]
fn unsigned_content_refuses_only_when_asked() {
    let mut folder = Folder::from([("a".to_owned(), b"x".to_vec())]);
    let attested = signed(&folder, Method::Files, HashAlgorithm::Sha256);
    folder.insert(".git/hooks/post-checkout".into(), b"payload".to_vec());
    folder.insert("model.sig".into(), b"{}".to_vec());
    let own = |uncovered| CheckOptions {
        uncovered,
        signature_file: Some("model.sig".into()),
        ..CheckOptions::default()
    };
    let report = check(&folder, &attested, own(Strictness::Report));
    assert!(report.outcome().is_clean());
    assert_eq!(report.notices().len(), 1);
    assert_eq!(check(&folder, &attested, own(Strictness::Refuse)).outcome().word(), "found");
    let not_told = check(&folder, &attested, CheckOptions::default());
    assert_eq!(not_told.findings()[0].check, "V022", "the signature file itself is nothing special");
}

#[test]
fn a_signature_is_the_same_every_time() {
    let folder = Folder::from([("a".to_owned(), b"x".to_vec())]);
    let plan = SigningPlan::new(SignOptions::new("model"), &listing(&folder), None).unwrap();
    let digest = hash(&folder, &plan.pieces()[0], HashAlgorithm::Sha256).unwrap();
    let manifest = plan.manifest(&[digest]).unwrap();
    assert_eq!(sign_with_key(&manifest, &key()).unwrap(), sign_with_key(&manifest, &key()).unwrap());
    let text = String::from_utf8(manifest.to_payload()).unwrap();
    assert!(!text.contains("shard_size"), "the schema forbids it beside `files`");
}

#[test]
fn a_bundle_of_one_method_is_not_judged_by_another() {
    let folder = Folder::from([("a".to_owned(), b"x".to_vec())]);
    let plan = SigningPlan::new(SignOptions::new("model"), &listing(&folder), None).unwrap();
    let digest = hash(&folder, &plan.pieces()[0], HashAlgorithm::Sha256).unwrap();
    let bundle = Bundle::parse(&sign_with_key(&plan.manifest(&[digest]).unwrap(), &key()).unwrap()).unwrap();
    let root =
        TrustedRoot::parse(br#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#)
            .unwrap();
    let identity = Identity { subject: "a".into(), issuer: "b".into() };
    let error =
        bundle.verify(&Trust::Sigstore { root: &root, identity: &identity }, Legacy::Refuse).unwrap_err();
    assert!(matches!(error, SignatureError::Method { .. }), "{error}");
    assert_eq!(error.outcome().word(), "inconclusive");
}
