//! From the signer's certificate to a trusted root.

use domain::Timestamp;

use crate::certificate::{Certificate, Purpose};
use crate::error::SignatureError;
use crate::limits::CHAIN_CHECKS_MAX;

/// Certificates between the signer and the root, at most.
const INTERMEDIATES_MAX: usize = 6;

/// One search; the budget bounds it whatever the bundle holds.
struct Search<'a> {
    between: &'a [Certificate],
    roots: &'a [Certificate],
    at: Timestamp,
    purpose: Purpose,
    budget: usize,
    /// Why the furthest attempt ended.
    why: Option<SignatureError>,
}

/// Finds a way from `signer` over `between` to one of `roots`, all valid at that moment.
///
/// A root is whatever the caller trusts: it need not sign itself. It has to be valid too, and to be an authority.
/// Returns the way, the root last.
pub(crate) fn find<'a>(
    signer: &'a Certificate,
    between: &'a [Certificate],
    roots: &'a [Certificate],
    at: Timestamp,
    purpose: Purpose,
) -> Result<Vec<&'a Certificate>, SignatureError> {
    let mut search = Search { between, roots, at, purpose, budget: CHAIN_CHECKS_MAX, why: None };
    let mut way = vec![signer];
    if search.step(&mut way) {
        check_time(signer, at)?;
        signer.check_purpose(purpose)?;
        return Ok(way.split_off(1));
    }
    Err(search.why.unwrap_or_else(|| SignatureError::Untrusted {
        subject: signer.subject(),
        reason: format!(
            "nobody who is trusted is called `{}`; give the root certificate of its maker",
            signer.issuer()
        ),
    }))
}

impl<'a> Search<'a> {
    fn step(&mut self, way: &mut Vec<&'a Certificate>) -> bool {
        let Some(&last) = way.last() else { return false };
        // A root may end the way at any length; others only prolong it.
        for root in self.roots {
            if self.fits(last, root, way.len() - 1) {
                way.push(root);
                return true;
            }
        }
        if way.len() > INTERMEDIATES_MAX {
            return false;
        }
        for next in self.between {
            if way.contains(&next) || !self.fits(last, next, way.len() - 1) {
                continue;
            }
            way.push(next);
            if self.step(way) {
                return true;
            }
            way.pop();
        }
        false
    }

    /// Whether `issuer` may stand above `below`.
    fn fits(&mut self, below: &Certificate, issuer: &Certificate, intermediates: usize) -> bool {
        if !below.names_issuer(issuer) || self.budget == 0 {
            return false;
        }
        self.budget -= 1;
        let untrusted = |reason: &str| SignatureError::Untrusted {
            subject: below.subject(),
            reason: format!("its issuer `{}` does not fit: {reason}", issuer.subject()),
        };
        let verdict = if below.is_signed_by(issuer) {
            match issuer.check_authority(intermediates, self.purpose) {
                Ok(()) => check_time(issuer, self.at),
                Err(reason) => Err(untrusted(reason)),
            }
        } else {
            Err(untrusted(
                "the signature on the certificate is not its own, or of a kind that is not supported",
            ))
        };
        match verdict {
            Ok(()) => true,
            Err(why) => {
                self.why = Some(why);
                false
            }
        }
    }
}

/// Whether a certificate is valid at a moment.
pub(crate) fn check_time(certificate: &Certificate, at: Timestamp) -> Result<(), SignatureError> {
    let (from, until) = certificate.validity();
    if (from..=until).contains(&at) {
        return Ok(());
    }
    Err(SignatureError::Expired { subject: certificate.subject(), from, until, at })
}
