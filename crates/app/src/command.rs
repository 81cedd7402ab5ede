//! Commands of the command line that act on a hospital, as data: performed in this process when nobody else holds the
//! data directory, or sent to the program that does. Both ways run the same functions.

use access::{Action, Principal, Resource, Role};
use domain::{ClientId, KeyId, Stage, SystemId};
use serde::{Deserialize, Serialize};

use crate::gate::GateReport;
use crate::hospital::Hospital;
use crate::{AppError, admit, audit, desk, people, serving};

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "fields are the command line's own, documented there")]
pub enum Command {
    Admit { system: SystemId },
    Gate { system: SystemId, stage: Stage },
    Status,
    AcceptRisk { system: SystemId, control: String, days: u32, reason: String },
    Suspend { system: SystemId, reason: String },
    Resume { system: SystemId },
    Quarantine { client: ClientId, reason: String, hours: Option<u32> },
    LiftQuarantine { client: ClientId },
    Review { system: SystemId },
    Acknowledge { alarm: i64 },
    Flag { receipt: u64, reason: Option<String> },
    Reload,
    KeyCreate { client: ClientId, roles: Vec<Role>, systems: Vec<SystemId>, days: Option<u32>, note: String },
    KeyList,
    KeyRevoke { key: KeyId },
    KeyRotate { key: KeyId, overlap_days: u32 },
    SignIn { person: String },
    ExerciseKeep { system: SystemId, scorecard: std::path::PathBuf },
    AuditVerify,
    AuditShow { first: u64, count: u64 },
    AuditProve { index: u64 },
    AuditKey,
    AuditExport { to: std::path::PathBuf },
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: serde_json::Value,
    /// 0 clean, 1 found, 2 inconclusive or bad input.
    pub exit: u8,
}

impl Reply {
    fn new(text: impl Into<String>, json: impl Serialize, exit: u8) -> Result<Self, AppError> {
        let json = serde_json::to_value(json).map_err(|e| AppError::Internal(e.to_string()))?;
        Ok(Self { text: text.into(), json, exit })
    }

    fn done(text: impl Into<String>) -> Result<Self, AppError> {
        let text = text.into();
        let json = serde_json::json!({ "done": &text });
        Self::new(text, json, 0)
    }
}

/// Performs a command as `who`.
///
/// # Errors
/// Whatever the use case says.
pub async fn perform(
    hospital: &Hospital,
    who: &Principal,
    command: Command,
    progress: admit::Progress<'_>,
) -> Result<Reply, AppError> {
    match command {
        Command::Admit { system } => {
            let admission = admit::admit(hospital, who, &system, progress).await?;
            let exit = u8::from(!admission.gate.open);
            Reply::new(admission_text(&admission), &admission, exit)
        }
        Command::ExerciseKeep { system, scorecard } => {
            let (index, evidence) = crate::exercise::keep(hospital, who, &system, &scorecard).await?;
            let gate = hospital.gate(&system, Stage::Validation)?;
            let word = evidence.outcome.word();
            let text = format!("V014 {word}, ledger entry {index}\n{}", gate_text(&gate));
            Reply::new(text, serde_json::json!({ "entry": index, "evidence": evidence, "gate": gate }), 0)
        }
        Command::Gate { system, stage } => {
            let report = hospital.gate(&system, stage)?;
            Reply::new(gate_text(&report), &report, u8::from(!report.open))
        }
        Command::Status => status(hospital, who).await,
        Command::AuditVerify
        | Command::AuditShow { .. }
        | Command::AuditProve { .. }
        | Command::AuditKey
        | Command::AuditExport { .. } => perform_audit(hospital, who, command, progress).await,
        Command::KeyCreate { .. }
        | Command::KeyList
        | Command::KeyRevoke { .. }
        | Command::KeyRotate { .. }
        | Command::SignIn { .. } => perform_keys(hospital, who, command).await,
        other => perform_desk(hospital, who, other).await,
    }
}

async fn perform_desk(hospital: &Hospital, who: &Principal, command: Command) -> Result<Reply, AppError> {
    match command {
        Command::AcceptRisk { system, control, days, reason } => {
            let index = desk::accept_risk(hospital, who, &system, &control, days, &reason).await?;
            Reply::done(format!("accepted {control} of {system} for {days} days, ledger entry {index}"))
        }
        Command::Suspend { system, reason } => {
            desk::suspend(hospital, who, &system, &reason).await?;
            Reply::done(format!("{system} is stopped; `asepsis resume {system}` lets it answer again"))
        }
        Command::Resume { system } => {
            desk::resume(hospital, who, &system).await?;
            Reply::done(format!("{system} may answer again if its gate is open"))
        }
        Command::Quarantine { client, reason, hours } => {
            desk::quarantine(hospital, who, &client, &reason, hours).await?;
            Reply::done(format!("{client} is shut out"))
        }
        Command::LiftQuarantine { client } => {
            desk::lift_quarantine(hospital, who, &client).await?;
            Reply::done(format!("{client} may ask again"))
        }
        Command::Review { system } => {
            let index = desk::review(hospital, who, &system).await?;
            let gate = hospital.gate(&system, Stage::RoutineUse)?;
            Reply::new(
                format!("reviewed, ledger entry {index}\n{}", gate_text(&gate)),
                &gate,
                u8::from(!gate.open),
            )
        }
        Command::Acknowledge { alarm } => {
            desk::acknowledge(hospital, who, alarm).await?;
            Reply::done(format!("alarm {alarm} acknowledged"))
        }
        Command::Flag { receipt, reason } => {
            desk::flag(hospital, who, receipt, reason.as_deref()).await?;
            Reply::done(format!("answer {receipt} flagged"))
        }
        Command::Reload => {
            desk::reload(hospital, who).await?;
            Reply::done("the configuration is in force")
        }
        _ => Err(AppError::Internal("a command reached the wrong desk".to_owned())),
    }
}

async fn perform_keys(hospital: &Hospital, who: &Principal, command: Command) -> Result<Reply, AppError> {
    match command {
        Command::KeyCreate { client, roles, systems, days, note } => {
            let key = people::create_key(hospital, who, &client, &roles, &systems, days, &note).await?;
            let text =
                format!("{}\n(key {} of {client}; it is shown this once only)", key.secret.expose(), key.id);
            Reply::new(text, serde_json::json!({ "id": key.id, "key": key.secret.expose() }), 0)
        }
        Command::KeyList => {
            hospital.demand(who, Action::ManageKeys, &Resource::Hospital)?;
            let keys = hospital.keys().await?;
            let mut text =
                String::from("KEY          CLIENT                 CREATED                   STATE\n");
            let mut list = Vec::new();
            for key in &keys {
                let state = if key.is_active(hospital.now()) { "active" } else { "ended" };
                text.push_str(&format!("{:<12} {:<22} {}  {state}\n", key.id, key.client, key.created_at));
                list.push(serde_json::json!({ "id": key.id, "client": key.client, "created_at": key.created_at.to_string(), "state": state }));
            }
            Reply::new(text, list, 0)
        }
        Command::KeyRevoke { key } => {
            people::revoke_key(hospital, who, &key).await?;
            Reply::done(format!("key {key} opens nothing any more"))
        }
        Command::KeyRotate { key: old, overlap_days } => {
            let new = people::rotate_key(hospital, who, &old, overlap_days).await?;
            let text = format!(
                "{}\n(key {} takes the place of {old}, which opens for {overlap_days} more days; it is shown this once only)",
                new.secret.expose(),
                new.id
            );
            Reply::new(
                text,
                serde_json::json!({ "id": new.id, "key": new.secret.expose(), "replaces": old }),
                0,
            )
        }
        Command::SignIn { person } => {
            hospital.demand(who, Action::ManageKeys, &Resource::Hospital)?;
            let token = hospital.sign_in_token(&person).await?;
            let link = format!("http://{}/sign-in?token={}", hospital.settings().console, token.expose());
            Reply::new(
                format!("{link}\n(works once, for 15 minutes)"),
                serde_json::json!({ "link": link }),
                0,
            )
        }
        _ => Err(AppError::Internal("a command reached the wrong desk".to_owned())),
    }
}

async fn perform_audit(
    hospital: &Hospital,
    who: &Principal,
    command: Command,
    progress: admit::Progress<'_>,
) -> Result<Reply, AppError> {
    match command {
        Command::AuditVerify => {
            let mut last = 0;
            let report = audit::verify(hospital, who, &mut |done, all| {
                if done == all || done >= last + 50_000 {
                    last = done;
                    progress(&format!("{done} of {all} entries"));
                }
            })
            .await?;
            audit_reply(&report)
        }
        Command::AuditShow { first, count } => {
            let entries = audit::show(hospital, who, first, count)?;
            let text: String = entries.iter().map(|(n, e)| format!("{n} {e}\n")).collect();
            Reply::new(text, entries, 0)
        }
        Command::AuditProve { index } => {
            hospital.demand(who, Action::ViewLedger, &Resource::Hospital)?;
            let proof = audit::prove(hospital, index)?;
            Reply::new(proof.clone(), serde_json::json!({ "proof": proof }), 0)
        }
        Command::AuditKey => {
            let key = hospital.log().verifier_text();
            Reply::new(key.clone(), serde_json::json!({ "key": key }), 0)
        }
        Command::AuditExport { to } => {
            hospital.demand(who, Action::ExportAudit, &Resource::Hospital)?;
            exported(audit::export(hospital, &to)?, &to)
        }
        _ => Err(AppError::Internal("a command reached the wrong desk".to_owned())),
    }
}

/// What can still be done with the ledger of a hospital that could not be opened, because the ledger is damaged: say the full
/// extent, and save what can be saved. `None` for every other command, and when nothing is found wrong after all.
pub fn perform_at_rest(paths: &crate::Paths, command: &Command) -> Option<Result<Reply, AppError>> {
    let key = match audit::key_at_rest(paths) {
        Ok(key) => key,
        Err(error) => return Some(Err(error)),
    };
    let dir = paths.ledger();
    match command {
        Command::AuditVerify => match audit::verify_folder(&dir, &key, None, &mut |_, _| {}) {
            Ok(report) if report.is_clean() => None,
            report => Some(report.and_then(|report| audit_reply(&report))),
        },
        Command::AuditKey => Some(Reply::new(key.clone(), serde_json::json!({ "key": key }), 0)),
        Command::AuditExport { to } => {
            Some(audit::export_folder(&dir, &key, to).and_then(|count| exported(count, to)))
        }
        _ => None,
    }
}

fn exported(count: u64, to: &std::path::Path) -> Result<Reply, AppError> {
    Reply::done(format!(
        "{count} entries, signed head and public key written to {}; check them with `asepsis audit verify --ledger FOLDER --key KEY`",
        to.display()
    ))
}

fn audit_reply(report: &store::log::AuditReport) -> Result<Reply, AppError> {
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let json =
        serde_json::json!({ "size": report.size, "root": hex(report.root.as_bytes()), "findings": findings });
    Reply::new(audit_text(report), json, u8::from(!report.is_clean()))
}

/// The audit in words.
pub fn audit_text(report: &store::log::AuditReport) -> String {
    if report.findings.is_empty() {
        return format!("whole: {} entries, root {}", report.size, hex(report.root.as_bytes()));
    }
    let list: Vec<String> = report.findings.iter().map(|f| format!("  {f}")).collect();
    format!(
        "DAMAGED: {} findings in a ledger of {} entries\n{}",
        report.findings.len(),
        report.size,
        list.join("\n")
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

async fn status(hospital: &Hospital, who: &Principal) -> Result<Reply, AppError> {
    hospital.demand(who, Action::ViewConsole, &Resource::Hospital)?;
    let mut text = String::new();
    let mut json = Vec::new();
    let mut shut = false;
    for id in hospital.settings().systems.keys() {
        let system = hospital.system(id)?;
        let (word, why) = match serving::permission(hospital, id).await? {
            serving::Permission::Present(_) => ("open", String::new()),
            serving::Permission::Fallback(_, because) => ("fallback", because.join(", ")),
            serving::Permission::Shut(because) => ("shut", because.join(", ")),
            serving::Permission::Suspended { by, reason } => ("suspended", format!("{by}: {reason}")),
        };
        shut |= word != "open";
        text.push_str(&format!("{id:<22} {word:<10} {why}\n  {}\n", system.purpose));
        json.push(serde_json::json!({ "system": id, "serving": word, "because": why }));
    }
    let head = hospital.log().head();
    text.push_str(&format!("ledger: {} entries\n", head.size));
    Reply::new(text, serde_json::json!({ "systems": json, "ledger_entries": head.size }), u8::from(shut))
}

/// A gate in words.
pub fn gate_text(report: &GateReport) -> String {
    let word = if report.open { "OPEN" } else { "SHUT" };
    let mut out = format!("{} gate of {}: {word}\n", report.stage, report.system);
    for control in &report.controls {
        let mark = if control.status.passes() { "+" } else { "-" };
        out.push_str(&format!(
            " {mark} {} {:<8} {:<46} {}\n",
            control.control,
            control.status.word(),
            control.title,
            control.status.reason()
        ));
    }
    out
}

fn admission_text(admission: &admit::Admission) -> String {
    let mut out = format!("admission of {}\n", admission.system);
    for (index, evidence) in &admission.evidence {
        let figures: Vec<String> =
            evidence.metrics.iter().take(6).map(|(n, m)| format!("{n} {}", short(m))).collect();
        out.push_str(&format!(
            "  {} {:<13} entry {index:<6} {}\n",
            evidence.check,
            evidence.outcome.word(),
            figures.join(", ")
        ));
        if let domain::Outcome::Inconclusive { doubt, .. } = &evidence.outcome {
            out.push_str(&format!("       {}\n", doubt.reason));
        }
        for finding in evidence.outcome.findings() {
            out.push_str(&format!(
                "       {} {}: {}; {}\n",
                finding.severity, finding.location, finding.message, finding.remedy
            ));
        }
    }
    out + &gate_text(&admission.gate)
}

fn short(metric: &domain::Metric) -> String {
    match metric.unit.as_str() {
        "1" => format!("{:.3}", metric.value),
        _ => format!("{}", metric.value),
    }
}
