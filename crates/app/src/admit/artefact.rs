//! V011 to V013: what is in the model file, who vouches for it, and its bill of materials; from the bytes that admission
//! has read already.

use std::collections::BTreeMap;

use artifact::bom::{Materials, Signature, Spec};
use artifact::{Limits, Part, Verdict};
use domain::{Digest, Evidence, Metric, Outcome, Severity, SubjectRole};

use super::assess::Bench;
use crate::checks;
use crate::config::Trust;
use crate::hospital::Hospital;
use crate::signing;

/// Findings that go into the evidence; the stored report has all.
const FINDINGS_MAX: usize = 20;

/// What looking gave.
pub(super) struct Looked {
    pub evidence: Vec<Evidence>,
    /// Whether the bytes may be given to a loader.
    pub may_load: bool,
}

/// Scans the bytes and writes their bill of materials. Both documents are kept by content; the evidence names them.
pub(super) fn examine(hospital: &Hospital, bench: &Bench<'_>, bytes: &Result<Vec<u8>, String>) -> Looked {
    let name = match &bench.system.model {
        crate::config::ModelSource::File(path) => {
            path.file_name().map_or_else(|| "model".to_owned(), |n| n.to_string_lossy().into_owned())
        }
        crate::config::ModelSource::Remote(_) => "model".to_owned(),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(why) => {
            let unread = |check: &'static domain::Entry| {
                let outcome = Outcome::inconclusive(check.id, why.clone());
                bench.evidence(check, &[SubjectRole::Model], outcome, BTreeMap::new(), BTreeMap::new())
            };
            let evidence = vec![
                unread(&checks::ARTEFACT_SCANNED),
                unread(&checks::ARTEFACT_SIGNED),
                unread(&checks::BILL_OF_MATERIALS),
            ];
            return Looked { evidence, may_load: true };
        }
    };
    let part = artifact::scan(&name, bytes, &Limits::default());
    let scanned = scanned(hospital, bench, &part);
    let (signed, signature) = signed(bench, &name, bytes);
    let bill = bill(hospital, bench, &part, bytes, signature);
    Looked { evidence: vec![scanned, signed, bill], may_load: part.verdict() != Verdict::Found }
}

fn scanned(hospital: &Hospital, bench: &Bench<'_>, part: &Part) -> Evidence {
    let check = &checks::ARTEFACT_SCANNED;
    let findings: Vec<_> =
        part.all_findings().filter(|f| f.severity >= Severity::Medium).take(FINDINGS_MAX).cloned().collect();
    let unread =
        part.walk().into_iter().find_map(|p| p.unread.first().map(|u| format!("`{}`: {}", p.name, u.reason)));
    let outcome = match (part.verdict(), unread) {
        (Verdict::Clean, _) => Outcome::Clean,
        (Verdict::Inconclusive, why) => {
            Outcome::inconclusive(check.id, why.unwrap_or_else(|| "not all of it could be read".to_owned()))
        }
        (Verdict::Found, _) => Outcome::from_findings(findings),
    };
    let metrics = BTreeMap::from([
        ("parts".to_owned(), Metric::count(part.walk().len())),
        ("rules".to_owned(), Metric::count(artifact::entries().count())),
    ]);
    let report = serde_json::to_vec(part).ok().and_then(|bytes| hospital.blobs.put(&bytes).ok());
    let mut parameters = BTreeMap::from([("format".to_owned(), part.format.clone())]);
    parameters.extend(report.map(|digest| ("report".to_owned(), digest.to_string())));
    bench.evidence(check, &[SubjectRole::Model], outcome, metrics, parameters)
}

/// V012: does a signature that the hospital trusts cover these bytes?
fn signed(bench: &Bench<'_>, name: &str, bytes: &[u8]) -> (Evidence, Option<Signature>) {
    let check = &checks::ARTEFACT_SIGNED;
    let mut parameters = BTreeMap::new();
    let mut found = None;
    let outcome = match &bench.system.signature {
        None => Outcome::from_findings(vec![signing::finding(
            "no signature is configured for this model ([system.signature])",
        )]),
        Some(settings) => {
            let believe = match &settings.trust {
                Trust::Key(path) => signing::Believe::Key(path.clone()),
                Trust::Roots(path) => signing::Believe::Roots(path.clone(), bench.now),
            };
            let judge = signing::Judge { believe: &believe, legacy: provenance::Legacy::Refuse };
            let attested = signing::read_signature(&settings.file)
                .and_then(|bytes| judge.attested(&bytes).map(|attested| (attested, Digest::of(&bytes))));
            match attested {
                Err(signing::SigningError::Signature(error)) => match error.is_doubt() {
                    true => Outcome::inconclusive(check.id, error.to_string()),
                    false => Outcome::from_findings(vec![signing::finding(&error.to_string())]),
                },
                Err(error) => Outcome::inconclusive(check.id, error.to_string()),
                Ok((attested, digest)) => {
                    let by = attested.signed_by();
                    parameters.insert("signed-by".to_owned(), format!("{} {}", by.method, by.name));
                    let outcome = signing::covers(&attested, name, bytes);
                    if outcome == Outcome::Clean {
                        let url = settings
                            .file
                            .file_name()
                            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
                        let says = format!("verified: signed with {} {}", by.method, by.name);
                        found = Some(Signature { url, digest, says });
                    }
                    outcome
                }
            }
        }
    };
    let roles = [SubjectRole::Model, SubjectRole::Origin];
    (bench.evidence(check, &roles, outcome, BTreeMap::new(), parameters), found)
}

fn bill(
    hospital: &Hospital,
    bench: &Bench<'_>,
    part: &Part,
    bytes: &[u8],
    signature: Option<Signature>,
) -> Evidence {
    let check = &checks::BILL_OF_MATERIALS;
    let document = artifact::bom::document(
        Spec::V17,
        &Materials {
            name: bench.system.id.as_str(),
            version: None,
            part,
            digest: Some(Digest::of(bytes)),
            digests: &BTreeMap::new(),
            signature,
            metrics: &[],
            vulnerable: &[],
            made_at: bench.now,
            tool: env!("CARGO_PKG_VERSION"),
        },
    );
    let kept = serde_json::to_vec_pretty(&document).map_err(|e| e.to_string());
    let kept = kept.and_then(|bytes| hospital.blobs.put(&bytes).map_err(|e| e.to_string()));
    let components = document["components"].as_array().map_or(0, Vec::len);
    let metrics = BTreeMap::from([("components".to_owned(), Metric::count(components))]);
    let (outcome, parameters) = match kept {
        Ok(digest) => (Outcome::Clean, BTreeMap::from([("bom".to_owned(), digest.to_string())])),
        Err(why) => (Outcome::inconclusive(check.id, why), BTreeMap::new()),
    };
    bench.evidence(check, &[SubjectRole::Model], outcome, metrics, parameters)
}
