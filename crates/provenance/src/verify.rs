//! Who signed: checks a bundle against what the caller trusts, and only then lets the signed list out.

use domain::{Finding, Location, Severity, Timestamp};

use crate::bundle::{Bundle, Material, pae, pae_of_release_0_2};
use crate::certificate::{Certificate, Purpose};
use crate::chain;
use crate::checks::FORM;
use crate::error::SignatureError;
use crate::key::PublicKey;
use crate::manifest::Manifest;
use crate::sigstore::{self, Identity, TrustedRoot};
use crate::statement;

/// What the caller trusts.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// A public key that came another way than the model did.
    Key(&'a PublicKey),
    /// Roots of certificate chains.
    Certificates {
        /// The roots. Nothing from the system is added.
        roots: &'a [Certificate],
        /// The moment at which the chain has to be valid: now, or when the model is known to have been signed.
        at: Timestamp,
    },
    /// Sigstore's public parties, and who is expected to have signed.
    Sigstore {
        /// Sigstore's authorities and logs.
        root: &'a TrustedRoot,
        /// Whose signature is accepted. Anybody can have a valid Sigstore signature: without this it says nothing.
        identity: &'a Identity,
    },
}

/// Whether the experimental format of release 0.2 is read. It names no root digest and no ignored paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Legacy {
    /// Refused, with a message that says so.
    #[default]
    Refuse,
    /// Read.
    Accept,
}

/// Who signed, as far as the signature proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// `key`, `certificate` or `Sigstore identity`.
    pub method: &'static str,
    /// Fingerprint of the key, subject of the certificate, or the identity.
    pub name: String,
    /// Who vouches for the name: issuer of the certificate, or the identity provider.
    pub issuer: Option<String>,
    /// When, where a public log or a timestamp says so.
    pub at: Option<Timestamp>,
}

/// A manifest whose signature was checked. Only [`Bundle::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Attested {
    manifest: Manifest,
    signed_by: SignedBy,
    notices: Vec<Finding>,
}

impl Attested {
    /// What was signed.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Who signed.
    pub const fn signed_by(&self) -> &SignedBy {
        &self.signed_by
    }

    /// Departures from the specification that were read all the same.
    pub fn notices(&self) -> &[Finding] {
        &self.notices
    }
}

impl Bundle {
    /// Checks the signature and gives out what it covers.
    ///
    /// The payload is verified as the bytes it came in; it is never written again and compared.
    ///
    /// # Errors
    /// Every way to fail is its own [`SignatureError`].
    pub fn verify(&self, trust: &Trust<'_>, legacy: Legacy) -> Result<Attested, SignatureError> {
        let mut notes = Vec::new();
        let (key, signed_by) = match (&self.material, trust) {
            (Material::Key { hint }, Trust::Key(key)) => self.by_key(hint.as_deref(), key, &mut notes)?,
            (Material::Chain(chain), Trust::Certificates { roots, at }) => by_certificate(chain, roots, *at)?,
            (Material::Sigstore(der), Trust::Sigstore { root, identity }) => {
                sigstore::check(self, der, root, identity)?
            }
            _ => {
                let given = match trust {
                    Trust::Key(_) => "public key",
                    Trust::Certificates { .. } => "root certificate",
                    Trust::Sigstore { .. } => "Sigstore trusted root",
                };
                return Err(SignatureError::Method { found: self.method().as_str(), given });
            }
        };
        let old_encoding = self.check_signature(&key)?;
        let read = statement::parse(&self.payload)?;
        if (read.legacy || old_encoding) && legacy == Legacy::Refuse {
            return Err(SignatureError::Unsupported {
                what: "the format",
                found: "release 0.2 of model-signing".into(),
                remedy: "ask the signer to sign again with v1.0, or allow the old format explicitly",
            });
        }
        if read.legacy {
            notes.push(
                "the experimental format of release 0.2, without root digest and ignored paths".to_owned(),
            );
        }
        notes.extend(read.quirks.iter().map(|q| format!("{q}, which the schema does not allow")));
        let notices = notes.into_iter().map(notice).collect();
        Ok(Attested { manifest: read.manifest, signed_by, notices })
    }

    fn by_key(
        &self,
        hint: Option<&str>,
        key: &PublicKey,
        notes: &mut Vec<String>,
    ) -> Result<(PublicKey, SignedBy), SignatureError> {
        let given = key.fingerprint();
        match hint {
            Some(found) if !found.eq_ignore_ascii_case(&given) => {
                return Err(SignatureError::WrongKey { found: crate::name::shown(found), given });
            }
            Some(_) => {}
            None => notes.push("no fingerprint of the key, as older bundles".to_owned()),
        }
        Ok((key.clone(), SignedBy { method: "key", name: given, issuer: None, at: None }))
    }

    /// True when the signature fits the encoding that release 0.2 used by mistake.
    fn check_signature(&self, key: &PublicKey) -> Result<bool, SignatureError> {
        if key.verify(&pae(&self.payload), &self.signature) {
            return Ok(false);
        }
        let old = pae_of_release_0_2(&self.payload);
        // Release 0.2 used SHA-256 with certificates on any curve.
        let sha256 = crate::key::Curve::P256.prehash(&old);
        if key.verify(&old, &self.signature) || key.verify_prehash(&sha256, &self.signature) {
            return Ok(true);
        }
        Err(SignatureError::WrongSignature)
    }
}

fn by_certificate(
    chain: &[Vec<u8>],
    roots: &[Certificate],
    at: Timestamp,
) -> Result<(PublicKey, SignedBy), SignatureError> {
    let all = chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>()?;
    let (own, between) =
        all.split_first().ok_or_else(|| SignatureError::malformed("the certificate chain", "it is empty"))?;
    let way = chain::find(own, between, roots, at, Purpose::CodeSigning)?;
    let issuer = way.last().map(|root| root.subject());
    let signed_by = SignedBy { method: "certificate", name: own.subject(), issuer, at: None };
    Ok((own.public_key()?, signed_by))
}

fn notice(note: String) -> Finding {
    Finding {
        check: FORM.id.to_owned(),
        severity: Severity::Info,
        location: Location::whole(),
        message: format!("the signature has {note}"),
        technique: None,
        remedy: "nothing to do; the signer's next signature should follow the specification".to_owned(),
    }
}
