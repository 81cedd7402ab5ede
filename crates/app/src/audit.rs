//! The ledger for people: verify, show, prove, export, and the page behind a receipt.

use std::path::Path;

use access::{Action, Principal, Resource};
use domain::{Evidence, Finding, Location, Metric, Outcome, Record, Severity};
use store::log::AuditReport;

use crate::hospital::{Hospital, Paths};
use crate::{AppError, checks};

/// Name of the file of an export that holds the entries.
const ENTRIES: &str = "entries.jsonl";
/// Most entries shown at once.
pub const SHOW_MAX: u64 = 1_000;

/// An entry of the ledger as people read it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ReceiptView {
    /// Position.
    pub index: u64,
    /// The entry.
    pub record: Record,
    /// The opening entry, when this is a closing one.
    pub opened: Option<Record>,
    /// The entry as stored, indented.
    pub json: String,
    /// An inclusion proof that anybody can check with the ledger's public key.
    pub inclusion_proof: String,
    /// Flags on it: by whom and why.
    pub flags: Vec<(String, Option<String>)>,
}

/// Reads one entry.
///
/// # Errors
/// When there is none, or it is not readable by this version.
pub fn read(hospital: &Hospital, index: u64) -> Result<Record, AppError> {
    if index >= hospital.log().head().size {
        return Err(AppError::BadInput(format!("the ledger has no entry {index}")));
    }
    let bytes = hospital.log().read(index).map_err(|e| AppError::Ledger(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|_| {
        AppError::Ledger(format!("entry {index} was written by another version; see `asepsis audit export`"))
    })
}

/// The page behind a receipt.
///
/// # Errors
/// When `who` may not, or there is no such entry.
pub async fn receipt(hospital: &Hospital, who: &Principal, index: u64) -> Result<ReceiptView, AppError> {
    hospital.demand(who, Action::ViewLedger, &Resource::Hospital)?;
    let record = read(hospital, index)?;
    let opened = match &record {
        Record::Closed { opened, .. } => read(hospital, *opened).ok(),
        _ => None,
    };
    let json = serde_json::to_string_pretty(&record).map_err(|e| AppError::Internal(e.to_string()))?;
    let inclusion_proof = prove(hospital, index)?;
    let flags = hospital.db.flags_of(index).await.map_err(crate::hospital::state)?;
    let flags =
        flags.into_iter().map(|f| (f.by.to_string(), Some(f.reason).filter(|r| !r.is_empty()))).collect();
    Ok(ReceiptView { index, record, opened, json, inclusion_proof, flags })
}

/// An inclusion proof of one entry as text.
///
/// # Errors
/// When there is no such entry.
pub fn prove(hospital: &Hospital, index: u64) -> Result<String, AppError> {
    let failed = |e: store::log::LogError| AppError::Ledger(e.to_string());
    let mut proof = hospital.log().proof_file(index).map_err(failed)?;
    // The entry goes with its proof, so that whoever checks it needs nothing but the public key.
    proof.extra = Some(hospital.log().read(index).map_err(failed)?);
    Ok(proof.to_text())
}

/// Verifies the ledger on disk from end to end and leaves evidence for every system.
///
/// # Errors
/// When the ledger cannot be read at all.
pub async fn verify(
    hospital: &Hospital,
    who: &Principal,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<AuditReport, AppError> {
    hospital.demand(who, Action::ViewLedger, &Resource::Hospital)?;
    hospital.log().flush_tiles().map_err(|e| AppError::Ledger(e.to_string()))?;
    let key = hospital.log().verifier_text();
    let anchor = hospital.anchor().await?;
    let report = verify_folder(&hospital.paths().ledger(), &key, anchor, progress)?;
    let check = &checks::LEDGER_WHOLE;
    let findings: Vec<Finding> = report
        .findings
        .iter()
        .take(20)
        .map(|f| Finding {
            check: check.id.to_owned(),
            severity: Severity::Critical,
            location: Location::whole(),
            message: f.to_string(),
            technique: None,
            remedy: "stop, keep the folder as it is, and compare with a backup or an exported head"
                .to_owned(),
        })
        .collect();
    for system in hospital.settings().systems.keys() {
        let evidence = Evidence {
            check: check.id.to_owned(),
            system: system.clone(),
            subjects: vec![],
            made_at: hospital.now(),
            by: who.id().to_string(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            parameters: Default::default(),
            outcome: Outcome::from_findings(findings.clone()),
            metrics: [("entries".to_owned(), Metric { value: report.size as f64, unit: "items".to_owned() })]
                .into(),
        };
        hospital.record(Record::Evidence { evidence }).await?;
    }
    Ok(report)
}

/// Verifies a ledger folder, or an export of one, without opening the hospital; for auditors with a copy, and for a
/// ledger that is too damaged to be opened.
///
/// # Errors
/// When the key or the folder cannot be read.
pub fn verify_folder(
    dir: &Path,
    key: &str,
    anchor: Option<(u64, ledger::Hash)>,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<AuditReport, AppError> {
    let verifier = verifier(key)?;
    if dir.join(ENTRIES).is_file() && !dir.join("checkpoint").exists() {
        return verify_export(&dir.join(ENTRIES), &verifier);
    }
    store::log::audit(dir, &verifier, anchor.map(|(size, root)| (size, *root.as_bytes())), progress)
        .map_err(|e| AppError::Ledger(e.to_string()))
}

/// Verifies the entries of an export up to the signed head in its last line.
fn verify_export(path: &Path, verifier: &ledger::Verifier) -> Result<AuditReport, AppError> {
    let file = std::fs::File::open(path).map_err(AppError::files("cannot read", path))?;
    let mut report = AuditReport {
        origin: verifier.name().to_owned(),
        size: 0,
        root: ledger::Tree::new().root(),
        published: 0,
        torn_bytes: 0,
        leftovers: 0,
        in_use: false,
        findings: Vec::new(),
    };
    match store::log::check_export(&mut std::io::BufReader::new(file), verifier) {
        Ok(head) => (report.size, report.published, report.root) = (head.size, head.size, head.root),
        Err(store::log::ExportCheckError::Input(error)) => {
            return Err(AppError::files("cannot read", path)(error));
        }
        Err(error) => {
            report.findings.push(store::log::Finding { file: ENTRIES.to_owned(), what: error.to_string() });
        }
    }
    Ok(report)
}

/// Entries `first..first + count` with their positions.
///
/// # Errors
/// When `who` may not, or the ledger cannot be read.
pub fn show(
    hospital: &Hospital,
    who: &Principal,
    first: u64,
    count: u64,
) -> Result<Vec<(u64, serde_json::Value)>, AppError> {
    hospital.demand(who, Action::ViewLedger, &Resource::Hospital)?;
    let size = hospital.log().head().size;
    let count = count.min(SHOW_MAX).min(size.saturating_sub(first));
    let entries = hospital.log().read_range(first, count).map_err(|e| AppError::Ledger(e.to_string()))?;
    let value = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap_or(serde_json::Value::Null);
    Ok((first..).zip(entries.iter().map(value)).collect())
}

/// Writes entries, signed head and public key into a new folder, for an auditor who has nothing else.
///
/// # Errors
/// When the folder exists already, or cannot be written.
pub fn export(hospital: &Hospital, to: &Path) -> Result<u64, AppError> {
    hospital.log().flush_tiles().map_err(|e| AppError::Ledger(e.to_string()))?;
    export_folder(&hospital.paths().ledger(), &hospital.log().verifier_text(), to)
}

/// The same for a ledger folder that is not, or cannot be, opened: of a damaged one the entries before the damage.
///
/// # Errors
/// When the folder exists already or cannot be written, or the ledger is damaged; what was written before stays.
pub fn export_folder(dir: &Path, key: &str, to: &Path) -> Result<u64, AppError> {
    if to.exists() {
        return Err(AppError::BadInput(format!("`{}` exists already: name a new folder", to.display())));
    }
    let verifier = verifier(key)?;
    std::fs::create_dir_all(to).map_err(AppError::files("cannot make the folder", to))?;
    let write = |name: &str, text: &str| {
        let path = to.join(name);
        std::fs::write(&path, text).map_err(AppError::files("cannot write", &path))
    };
    write("ledger.pub", key)?;
    let path = to.join(ENTRIES);
    let file = std::fs::File::create(&path).map_err(AppError::files("cannot write", &path))?;
    let mut out = std::io::BufWriter::new(file);
    let head = store::log::export(dir, &verifier, &mut out, &mut |_, _| {}).map_err(|e| {
        AppError::Ledger(format!(
            "{e}; the entries before it, without a signed head, are in `{}`",
            path.display()
        ))
    })?;
    Ok(head.size)
}

fn verifier(key: &str) -> Result<ledger::Verifier, AppError> {
    ledger::Verifier::from_text(key.trim()).map_err(|e| AppError::BadInput(format!("public key: {e}")))
}

/// The public key of a hospital that is not open.
///
/// # Errors
/// When its signing key cannot be read.
pub fn key_at_rest(paths: &Paths) -> Result<String, AppError> {
    let path = paths.ledger_key();
    let text = std::fs::read_to_string(&path).map_err(AppError::files("cannot read", &path))?;
    let signer = ledger::Signer::from_text(text.trim())
        .map_err(|e| AppError::Ledger(format!("`{}` is not a signing key: {e}", path.display())))?;
    Ok(signer.verifier().to_text())
}
