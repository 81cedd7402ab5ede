//! What is known about a system's model file: what was found in it, who vouches for it, what it is made of.

use access::{Action, Principal, Resource};
use artifact::{Part, Verdict};
use domain::{Digest, Evidence, Place, SubjectRole, SystemId};

use crate::{AppError, Hospital, checks, scan};

/// Largest stored scan or bill of materials, bytes.
const STORED_BYTES_MAX: u64 = 64 << 20;

/// What the page of an artefact shows.
#[derive(Debug, Clone)]
pub struct ArtefactView {
    /// Which system.
    pub system: SystemId,
    /// Title of the system.
    pub title: String,
    /// Digest of the model file as it is now; none when the file is not there.
    pub model: Option<Digest>,
    /// Whether the evidence below is about that content.
    pub current: bool,
    /// What the verdict means for somebody who buys a model.
    pub says: String,
    /// The verdict; none when the file was never scanned.
    pub verdict: Option<Verdict>,
    /// What is inside.
    pub part: Option<Part>,
    /// Evidence of the scan, the signature and the bill of materials, with ledger positions.
    pub evidence: Vec<(u64, Evidence)>,
    /// Whether a bill of materials is kept.
    pub bill: bool,
}

/// What is known about the model file of `id`.
///
/// # Errors
/// When `who` may not see the system, there is none, or what was stored cannot be read.
pub fn view(hospital: &Hospital, who: &Principal, id: &SystemId) -> Result<ArtefactView, AppError> {
    hospital.demand(who, Action::ViewConsole, &Resource::System(id.clone()))?;
    let system = hospital.system(id)?;
    let evidence = newest(hospital, id);
    let model = hospital.subjects(&system).iter().find(|s| s.role == SubjectRole::Model).map(|s| s.digest);
    let scanned = evidence.iter().map(|(_, e)| e).find(|e| e.check == checks::ARTEFACT_SCANNED.id);
    let covers =
        |e: &Evidence| e.subjects.iter().any(|s| s.role == SubjectRole::Model && Some(s.digest) == model);
    let current = scanned.is_some_and(covers);
    let part: Option<Part> = match scanned.and_then(|e| e.parameters.get("report")) {
        None => None,
        Some(digest) => Some(stored(hospital, digest)?),
    };
    let verdict = part.as_ref().map(Part::verdict);
    let says = match (&part, verdict) {
        (Some(part), Some(verdict)) => scan::plain(part, verdict, &[]),
        _ if hospital.place_of(id) == Place::Remote => {
            "The model runs on somebody else's server. Its file is not here, so nothing can be said about what is in it; ask the vendor for a scan and a signature."
                .to_owned()
        }
        _ => "The model file was not scanned yet: admit the system.".to_owned(),
    };
    let bill = evidence.iter().any(|(_, e)| e.parameters.contains_key("bom"));
    Ok(ArtefactView {
        system: id.clone(),
        title: system.title.clone(),
        model,
        current,
        says,
        verdict,
        part,
        evidence,
        bill,
    })
}

/// The bill of materials of `id`, as it was written at admission: CycloneDX JSON.
///
/// # Errors
/// As [`view`]; also when there is none yet.
pub fn bill(hospital: &Hospital, who: &Principal, id: &SystemId) -> Result<Vec<u8>, AppError> {
    hospital.demand(who, Action::ViewConsole, &Resource::System(id.clone()))?;
    hospital.system(id)?;
    let evidence = newest(hospital, id);
    let digest = evidence.iter().find_map(|(_, e)| e.parameters.get("bom"));
    let none = || AppError::BadInput(format!("`{id}` has no bill of materials yet: admit it first"));
    bytes(hospital, digest.ok_or_else(none)?)
}

/// The newest evidence of each check about the artefact.
fn newest(hospital: &Hospital, id: &SystemId) -> Vec<(u64, Evidence)> {
    let wanted = [&checks::ARTEFACT_SCANNED, &checks::ARTEFACT_SIGNED, &checks::BILL_OF_MATERIALS];
    let facts = hospital.facts();
    let all = facts.get(id).map(|f| f.evidence.as_slice()).unwrap_or_default();
    wanted.iter().filter_map(|check| all.iter().rev().find(|(_, e)| e.check == check.id).cloned()).collect()
}

fn bytes(hospital: &Hospital, digest: &str) -> Result<Vec<u8>, AppError> {
    let digest: Digest =
        digest.parse().map_err(|e: domain::DigestParseError| AppError::State(e.to_string()))?;
    hospital.blobs.get(&digest, STORED_BYTES_MAX).map_err(|e| AppError::State(e.to_string()))
}

fn stored(hospital: &Hospital, digest: &str) -> Result<Part, AppError> {
    serde_json::from_slice(&bytes(hospital, digest)?)
        .map_err(|e| AppError::State(format!("a stored scan: {e}")))
}
