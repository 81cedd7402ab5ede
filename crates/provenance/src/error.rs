//! Why a signature is not accepted. Each way to fail has its own variant, because each asks for another answer.

use domain::{Finding, Location, Outcome, Severity, Timestamp};

use crate::checks::{FORM, SIGNATURE};

/// Why a signature is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Larger than this program reads.
    #[error("{what} has {found}, the most is {max}: ask the signer for a smaller one")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// The most.
        max: usize,
    },
    /// Not of the form that the specification asks for.
    #[error("{what} cannot be read: {reason}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// Well formed, but of a kind that is not understood: nothing can be said about it.
    #[error("{what} `{found}` is not supported: {remedy}")]
    Unsupported {
        /// Which part.
        what: &'static str,
        /// What it says.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Signed by one method, and means for another were given.
    #[error("the signature was made with a {found}, and a {given} was given to check it: give what fits")]
    Method {
        /// How it was signed.
        found: &'static str,
        /// What was given.
        given: &'static str,
    },
    /// The signature names another key.
    #[error(
        "the signature names the key `{found}`, and `{given}` was given: get the signer's key, or doubt the signature"
    )]
    WrongKey {
        /// Fingerprint in the bundle.
        found: String,
        /// Fingerprint of the key that was given.
        given: String,
    },
    /// The signature does not fit the content and the key.
    #[error("the signature does not fit its content: it was changed, or signed with another key")]
    WrongSignature,
    /// No chain leads to a trusted root.
    #[error("the certificate of `{subject}` does not lead to a trusted root: {reason}")]
    Untrusted {
        /// Whose certificate.
        subject: String,
        /// How far it got.
        reason: String,
    },
    /// Outside its time.
    #[error("the certificate of `{subject}` is valid from {from} until {until}, and not at {at}")]
    Expired {
        /// Whose certificate.
        subject: String,
        /// First moment.
        from: Timestamp,
        /// Last moment.
        until: Timestamp,
        /// The moment that was asked for.
        at: Timestamp,
    },
    /// The certificate was not issued for signing code.
    #[error("the certificate of `{subject}` may not sign models: {reason}")]
    NotForSigning {
        /// Whose certificate.
        subject: String,
        /// What is missing.
        reason: &'static str,
    },
    /// Signed by somebody else.
    #[error("signed by `{found}`, expected `{expected}`: doubt the signature")]
    WrongIdentity {
        /// Who signed.
        found: String,
        /// Who was expected.
        expected: String,
    },
    /// What a transparency log should have confirmed is not confirmed.
    #[error("the public log does not confirm the signature: {reason}")]
    NotLogged {
        /// What is missing or wrong.
        reason: String,
    },
    /// The signed list contradicts itself.
    #[error(
        "the signed root digest is `{signed}`, the listed files give `{listed}`: the signature is inconsistent"
    )]
    RootDigest {
        /// What the statement says.
        signed: String,
        /// What its resources give.
        listed: String,
    },
}

impl SignatureError {
    /// A part that cannot be read.
    pub(crate) fn malformed(what: &'static str, reason: impl std::fmt::Display) -> Self {
        // One line, and never longer than a person reads: the reason may quote outside bytes.
        let reason: String =
            reason.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self::Malformed { what, reason: reason.chars().take(300).collect() }
    }

    pub(crate) fn not_logged(reason: impl Into<String>) -> Self {
        Self::NotLogged { reason: reason.into() }
    }

    /// True when nothing can be said: the signature was not understood, or what was given cannot judge it.
    pub const fn is_doubt(&self) -> bool {
        matches!(
            self,
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::Unsupported { .. } | Self::Method { .. }
        )
    }

    /// The answer of a check that met this error: never clean.
    pub fn outcome(&self) -> Outcome {
        if self.is_doubt() {
            return Outcome::inconclusive(FORM.id, self.to_string());
        }
        Outcome::from_findings(vec![Finding {
            check: SIGNATURE.id.to_owned(),
            severity: Severity::Critical,
            location: Location::whole(),
            message: self.to_string(),
            technique: Some("AML.T0010.003".to_owned()),
            remedy: "do not use the model; get it and its signature again from its maker".to_owned(),
        }])
    }
}

/// Why something cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key cannot be read.
    #[error("the key cannot be read: {0}")]
    Key(String),
    /// The key is under a password, and none was given.
    #[error("the key is encrypted: give its password")]
    PasswordNeeded,
    /// The password does not open the key.
    #[error("the password does not open the key")]
    WrongPassword,
    /// The key device did not sign.
    #[error("the key did not sign: {0}")]
    Device(String),
    /// The certificate belongs to another key.
    #[error("the certificate of `{0}` belongs to another key: give the one that was issued for this key")]
    CertificateOfAnotherKey(String),
    /// The certificate cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// Something in the tree cannot be signed.
    #[error("`{path}` cannot be signed: {reason}")]
    Unsignable {
        /// Which entry.
        path: String,
        /// Why.
        reason: String,
    },
    /// Nothing to sign.
    #[error("there is nothing to sign: the folder has no file outside the ignored paths")]
    Empty,
    /// More than a signature may cover.
    #[error("{found} files or shards, the most is {max}: sign in parts, or take larger shards")]
    TooMany {
        /// How many there are.
        found: usize,
        /// The most.
        max: usize,
    },
    /// The caller handed in another number of digests than the plan asked for.
    #[error("{found} digests for {asked} pieces: hand in one for each, in their order")]
    Digests {
        /// How many were handed in.
        found: usize,
        /// How many were asked for.
        asked: usize,
    },
}
