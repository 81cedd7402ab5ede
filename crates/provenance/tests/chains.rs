//! Certificate chains that must not be believed, each with its own error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

use domain::Timestamp;
use provenance::{
    Bundle, Certificate, EntryKind, HashAlgorithm, Legacy, Listing, Manifest, PrivateKey, SignError,
    SignOptions, SignatureError, SigningPlan, TreeEntry, Trust, hash_piece, sign_with_certificates,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// Middle of the year in which all test certificates are valid unless a test says otherwise.
const JUNE: Timestamp = Timestamp::from_millis(1_780_000_000_000);

fn manifest() -> Manifest {
    let entry = TreeEntry { path: "a".into(), kind: EntryKind::File, size: 0, stamp: None };
    let listing = Listing::new([entry]).unwrap();
    let plan = SigningPlan::new(SignOptions::new("model"), &listing, None).unwrap();
    let digest =
        hash_piece(&plan.pieces()[0], HashAlgorithm::Sha256, &mut Vec::new(), |_, _| Ok::<_, ()>(0)).unwrap();
    plan.manifest(&[digest]).unwrap()
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 31);
    params
}

fn signer() -> CertificateParams {
    let mut params = authority("signer");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    params
}

fn read(certificate: &rcgen::Certificate) -> Certificate {
    Certificate::from_der(certificate.der()).unwrap()
}

/// Root, authority and signer, with the signer's key.
struct Chain {
    root: Certificate,
    all: Vec<Certificate>,
    key: PrivateKey,
}

fn chain(root: CertificateParams, middle: CertificateParams, own: CertificateParams) -> Chain {
    let root_key = KeyPair::generate().unwrap();
    let root_certificate = root.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(root, root_key);
    let middle_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let middle_certificate = middle.signed_by(&middle_key, &root_issuer).unwrap();
    let middle_issuer = Issuer::new(middle, middle_key);
    let own_key = KeyPair::generate().unwrap();
    let own_certificate = own.signed_by(&own_key, &middle_issuer).unwrap();
    let key = PrivateKey::from_pem(own_key.serialize_pem().as_bytes(), None).unwrap();
    Chain { root: read(&root_certificate), all: vec![read(&own_certificate), read(&middle_certificate)], key }
}

fn check(chain: &Chain, at: Timestamp) -> Result<(), SignatureError> {
    let bytes = sign_with_certificates(&manifest(), &chain.key, &chain.all).unwrap();
    let roots = [chain.root.clone()];
    let trust = Trust::Certificates { roots: &roots, at };
    Bundle::parse(&bytes).unwrap().verify(&trust, Legacy::Refuse).map(|_| ())
}

#[test]
fn a_good_chain_is_believed_within_its_time_only() {
    let good = chain(authority("root"), authority("authority"), signer());
    assert_eq!(check(&good, JUNE), Ok(()));
    for day in [-365, 365] {
        let error = check(&good, JUNE.plus_days(day)).unwrap_err();
        assert!(matches!(error, SignatureError::Expired { .. }), "{error}");
        assert_eq!(error.outcome().word(), "found");
    }
}

#[test]
fn each_link_of_the_chain_counts() {
    let expired = |mut params: CertificateParams| {
        params.not_after = date_time_ymd(2026, 2, 1);
        params
    };
    let no_ca = |mut params: CertificateParams| {
        params.is_ca = IsCa::ExplicitNoCa;
        params
    };
    let narrow = |mut params: CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params
    };
    let other_use = |mut params: CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params
    };
    let no_certificates = |mut params: CertificateParams| {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params
    };
    let unknown = |mut params: CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
        params
    };
    let (root, middle) = (authority("root"), authority("authority"));
    let untrusted = [
        ("middle is no authority", chain(root.clone(), no_ca(middle.clone()), signer())),
        ("root reaches no further", chain(narrow(root.clone()), middle.clone(), signer())),
        ("authority for another purpose", chain(root.clone(), other_use(middle.clone()), signer())),
        (
            "authority may not sign certificates",
            chain(root.clone(), no_certificates(middle.clone()), signer()),
        ),
        ("critical extension", chain(root.clone(), unknown(middle.clone()), signer())),
    ];
    for (what, chain) in untrusted {
        let error = check(&chain, JUNE).unwrap_err();
        assert!(matches!(error, SignatureError::Untrusted { .. }), "{what}: {error}");
    }
    for (what, chain) in [
        ("authority", chain(root.clone(), expired(middle.clone()), signer())),
        ("root", chain(expired(root.clone()), middle.clone(), signer())),
        ("signer", chain(root.clone(), middle.clone(), expired(signer()))),
    ] {
        let error = check(&chain, JUNE).unwrap_err();
        assert!(matches!(error, SignatureError::Expired { .. }), "{what}: {error}");
    }
}

#[test]
fn a_certificate_for_something_else_signs_and_verifies_nothing() {
    let mut server = signer();
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut agreement = signer();
    agreement.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    let mut silent = signer();
    silent.key_usages = vec![];
    silent.extended_key_usages = vec![];
    for (what, own) in [("server", server), ("agreement", agreement), ("silent", silent)] {
        let chain = chain(authority("root"), authority("authority"), own);
        let error = sign_with_certificates(&manifest(), &chain.key, &chain.all).unwrap_err();
        assert!(matches!(error, SignError::Certificate(_)), "{what}: {error}");
    }
}

#[test]
fn a_stranger_with_the_right_names_is_not_trusted() {
    let good = chain(authority("root"), authority("authority"), signer());
    let stranger = chain(authority("root"), authority("authority"), signer());
    let mixed = Chain { root: good.root.clone(), ..stranger };
    let error = check(&mixed, JUNE).unwrap_err();
    assert!(matches!(error, SignatureError::Untrusted { .. }), "{error}");
    // The root in the bundle itself proves nothing.
    let mut with_root = chain(authority("root"), authority("authority"), signer());
    with_root.all.push(with_root.root.clone());
    with_root.root = good.root;
    assert!(matches!(check(&with_root, JUNE), Err(SignatureError::Untrusted { .. })));
}

#[test]
fn a_search_among_look_alikes_ends() {
    // Fourteen authorities of one name that all issued each other: without a budget, a search of 14! ways.
    let keys: Vec<KeyPair> = (0..14).map(|_| KeyPair::generate().unwrap()).collect();
    let twin = || {
        let mut params = authority("twin");
        params.use_authority_key_identifier_extension = false;
        params
    };
    let first = Issuer::new(twin(), &keys[0]);
    let own_key = KeyPair::generate().unwrap();
    let mut own = signer();
    own.use_authority_key_identifier_extension = false;
    let mut all = vec![read(&own.signed_by(&own_key, &first).unwrap())];
    all.extend(keys.iter().map(|key| read(&twin().signed_by(key, &first).unwrap())));
    let key = PrivateKey::from_pem(own_key.serialize_pem().as_bytes(), None).unwrap();
    let root = chain(authority("root"), authority("authority"), signer()).root;
    let error = check(&Chain { root, all, key }, JUNE).unwrap_err();
    assert!(matches!(error, SignatureError::Untrusted { .. }), "{error}");
}
