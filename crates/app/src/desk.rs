//! What a person at the desk can do: stop a system, shut out a client, accept a risk, flag an answer. Each is one
//! function, demands the right, and leaves an entry in the ledger.

use access::{Action, Principal, Resource};
use domain::{Acceptance, ClientId, Evidence, Metric, Outcome, Record, SubjectRole, SystemId};

use store::db::{Flag, Quarantine, SystemState};

use crate::hospital::{Hospital, state};
use crate::{AppError, alarms, checks};

/// Longest time for which a risk may be accepted, in days: long enough for a vendor to answer, short enough to be asked again.
pub const ACCEPT_DAYS_MAX: u32 = 90;
/// Longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// A reason that says something.
fn reason_of(reason: &str) -> Result<String, AppError> {
    let reason = reason.trim();
    if reason.chars().count() < 3 {
        return Err(AppError::BadInput("give a reason that somebody else will understand".to_owned()));
    }
    Ok(reason.chars().take(REASON_CHARS_MAX).collect())
}

/// Marks an alarm as looked at.
///
/// # Errors
/// When `who` may not, or there is no such alarm.
pub async fn acknowledge(hospital: &Hospital, who: &Principal, alarm: i64) -> Result<(), AppError> {
    hospital.demand(who, Action::AcknowledgeAlarm, &Resource::Hospital)?;
    let by = who.id().to_string();
    hospital.record_action(&by, "alarm-acknowledged", &alarm.to_string(), None).await?;
    if !hospital
        .db
        .acknowledge_alarm(u64::try_from(alarm).unwrap_or(0), who.id(), hospital.now())
        .await
        .map_err(state)?
    {
        return Err(AppError::BadInput(format!("there is no open alarm {alarm}")));
    }
    hospital.live().touch();
    Ok(())
}

/// Shuts a client out, for some hours or until lifted.
///
/// # Errors
/// When `who` may not, or the reason is empty.
pub async fn quarantine(
    hospital: &Hospital,
    who: &Principal,
    client: &ClientId,
    reason: &str,
    hours: Option<u32>,
) -> Result<(), AppError> {
    hospital.demand(who, Action::QuarantineClient, &Resource::Client(client.clone()))?;
    let reason = reason_of(reason)?;
    let by = who.id().to_string();
    let until = hours.map(|h| hospital.now().plus_millis(i64::from(h) * 3_600_000));
    // What restricts takes effect before it is written down: a cut in between must not leave the client in.
    let told = reason.clone();
    let entry =
        Quarantine { client: client.clone(), by: who.id().clone(), reason, at: hospital.now(), until };
    hospital.db.add_quarantine(&entry).await.map_err(state)?;
    hospital.touch_serving();
    hospital.record_action(&by, "client-quarantined", client.as_str(), Some(&told)).await?;
    Ok(())
}

/// Lets a client in again.
///
/// # Errors
/// When `who` may not, or the client is not shut out.
pub async fn lift_quarantine(
    hospital: &Hospital,
    who: &Principal,
    client: &ClientId,
) -> Result<(), AppError> {
    hospital.demand(who, Action::QuarantineClient, &Resource::Client(client.clone()))?;
    let by = who.id().to_string();
    hospital.record_action(&by, "quarantine-lifted", client.as_str(), None).await?;
    if !hospital.db.lift_quarantine(client).await.map_err(state)? {
        return Err(AppError::BadInput(format!("`{client}` is not in quarantine")));
    }
    hospital.touch_serving();
    Ok(())
}

async fn set_suspended(
    hospital: &Hospital,
    who: &Principal,
    system: &SystemId,
    suspended: bool,
    reason: String,
) -> Result<(), AppError> {
    let entry =
        SystemState { system: system.clone(), suspended, by: who.id().clone(), reason, at: hospital.now() };
    hospital.db.set_system_state(&entry).await.map_err(state)
}

/// Stops a system at once.
///
/// # Errors
/// When `who` may not, or there is no such system.
pub async fn suspend(
    hospital: &Hospital,
    who: &Principal,
    system: &SystemId,
    reason: &str,
) -> Result<(), AppError> {
    hospital.known(system)?;
    hospital.demand(who, Action::SuspendSystem, &Resource::System(system.clone()))?;
    let reason = reason_of(reason)?;
    let by = who.id().to_string();
    set_suspended(hospital, who, system, true, reason.clone()).await?;
    hospital.touch_serving();
    hospital.record_action(&by, "system-suspended", system.as_str(), Some(&reason)).await?;
    Ok(())
}

/// Lets a stopped system answer again, if its gate is open.
///
/// # Errors
/// When `who` may not, or the system is not stopped.
pub async fn resume(hospital: &Hospital, who: &Principal, system: &SystemId) -> Result<(), AppError> {
    hospital.demand(who, Action::SuspendSystem, &Resource::System(system.clone()))?;
    if hospital.suspension(system).await?.is_none() {
        return Err(AppError::BadInput(format!("`{system}` is not stopped")));
    }
    let by = who.id().to_string();
    hospital.record_action(&by, "system-resumed", system.as_str(), None).await?;
    set_suspended(hospital, who, system, false, String::new()).await?;
    hospital.touch_serving();
    Ok(())
}

/// Accepts that a control is not met, for the present content and a limited time.
///
/// # Errors
/// When `who` may not, the control does not exist or is met, the time is too long or the reason empty.
pub async fn accept_risk(
    hospital: &Hospital,
    who: &Principal,
    system: &SystemId,
    control: &str,
    days: u32,
    reason: &str,
) -> Result<u64, AppError> {
    let settings = hospital.system(system)?;
    hospital.demand(who, Action::AcceptRisk, &Resource::System(system.clone()))?;
    let reason = reason_of(reason)?;
    if days == 0 || days > ACCEPT_DAYS_MAX {
        return Err(AppError::BadInput(format!("a risk can be accepted for 1 to {ACCEPT_DAYS_MAX} days")));
    }
    let known = hospital.controls.iter().find(|c| c.id.eq_ignore_ascii_case(control));
    let known = known.ok_or_else(|| AppError::UnknownId {
        typed: control.chars().take(40).collect(),
        hint: String::new(),
    })?;
    let gate = hospital.gate(system, known.stage)?;
    if gate
        .controls
        .iter()
        .any(|c| c.control == known.id && matches!(c.status, crate::gate::Status::Met { .. }))
    {
        return Err(AppError::BadInput(format!("`{}` is met: there is no risk to accept", known.id)));
    }
    let covers: Vec<SubjectRole> = known.requires.iter().flat_map(|r| r.covers.iter().copied()).collect();
    let present = hospital.subjects(&settings);
    if let Some(missing) = covers.iter().find(|role| !present.iter().any(|s| s.role == **role)) {
        return Err(AppError::BadInput(format!(
            "the {missing} is not here: there is nothing yet to accept a risk of"
        )));
    }
    let subjects = present.into_iter().filter(|s| covers.contains(&s.role)).collect();
    let acceptance = Acceptance {
        system: system.clone(),
        control: known.id.clone(),
        subjects,
        by: who.id().to_string(),
        made_at: hospital.now(),
        until: hospital.now().plus_days(i64::from(days)),
        reason,
    };
    let index = hospital.record(Record::Accepted { acceptance }).await?;
    hospital.refresh_gates().await?;
    hospital.touch_serving();
    Ok(index)
}

/// Flags an answer as wrong.
///
/// # Errors
/// When `who` may not, or there is no such answer.
pub async fn flag(
    hospital: &Hospital,
    who: &Principal,
    index: u64,
    reason: Option<&str>,
) -> Result<(), AppError> {
    let record = crate::audit::read(hospital, index)?;
    let Record::Closed { opened, .. } = record else {
        return Err(AppError::BadInput(format!("ledger entry {index} is not an answer")));
    };
    let Record::Opened { system, client, .. } = crate::audit::read(hospital, opened)? else {
        return Err(AppError::BadInput(format!("ledger entry {index} has no opening entry")));
    };
    hospital.demand(who, Action::FlagAnswer, &Resource::System(system.clone()))?;
    let by = who.id().to_string();
    let reason: Option<String> =
        reason.map(str::trim).filter(|r| !r.is_empty()).map(|r| r.chars().take(REASON_CHARS_MAX).collect());
    hospital.record_action(&by, "answer-flagged", &index.to_string(), reason.as_deref()).await?;
    let reason = reason.unwrap_or_default();
    let entry = Flag { ledger_index: index, by: who.id().clone(), at: hospital.now(), reason };
    hospital.db.add_flag(&entry).await.map_err(state)?;
    let text = format!("{by} flagged the answer with receipt {index}");
    hospital.raise(alarms::FLAGGED.id, Some(system), Some(client), &text).await
}

/// Reviews a system's traffic: evidence that somebody looked, good only while no alarm of it is open.
///
/// # Errors
/// When `who` may not, or there is no such system.
pub async fn review(hospital: &Hospital, who: &Principal, system: &SystemId) -> Result<u64, AppError> {
    let settings = hospital.system(system)?;
    hospital.demand(who, Action::AcknowledgeAlarm, &Resource::System(system.clone()))?;
    let mut open = hospital.db.open_alarms(store::db::PAGE_ROWS_MAX).await.map_err(state)?;
    open.retain(|a| a.seen.system.as_ref().is_none_or(|s| s == system));
    let counts = hospital.live().system(system, hospital.now());
    let check = &checks::TRAFFIC_REVIEWED;
    let bench = crate::admit::Bench {
        system: &settings,
        subjects: &hospital.subjects(&settings),
        now: hospital.now(),
        by: who.id().as_str(),
    };
    let outcome = if open.is_empty() {
        Outcome::Clean
    } else {
        let text = format!("{} alarms are not acknowledged", open.len());
        let place = domain::Location::whole();
        let remedy = "look at each and acknowledge it, then review again";
        Outcome::from_findings(vec![crate::admit::finding(
            check,
            domain::Severity::High,
            place,
            text,
            remedy,
        )])
    };
    let count = |n: u64| Metric { value: n as f64, unit: "items".to_owned() };
    let metrics =
        [("answered".to_owned(), count(counts.answered)), ("refused".to_owned(), count(counts.refused))];
    let evidence: Evidence = bench.evidence(
        check,
        &[SubjectRole::Integration],
        outcome,
        metrics.into_iter().collect(),
        Default::default(),
    );
    let index = hospital.record(Record::Evidence { evidence }).await?;
    hospital.touch_serving();
    Ok(index)
}

/// Admits a system again from the desk.
///
/// # Errors
/// As [`crate::admit::admit`].
pub async fn readmit(
    hospital: &Hospital,
    who: &Principal,
    system: &SystemId,
) -> Result<crate::admit::Admission, AppError> {
    crate::admit::admit(hospital, who, system, &|_| {}).await
}

/// Reads the configuration again. All or nothing: a file with a mistake changes nothing and raises an alarm.
///
/// # Errors
/// When `who` may not, or the file has a mistake.
pub async fn reload(hospital: &Hospital, who: &Principal) -> Result<(), AppError> {
    hospital.demand(who, Action::ReloadConfiguration, &Resource::Hospital)?;
    let fresh = crate::config::load(&hospital.config_path)
        .map_err(AppError::from)
        .and_then(|s| crate::hospital::load_policies(s.policies.as_deref()).map(|p| (s, p)));
    let (settings, policies) = match fresh {
        Ok(fresh) => fresh,
        Err(error) => {
            hospital.raise(alarms::BAD_CONFIGURATION.id, None, None, &error.to_string()).await?;
            return Err(error);
        }
    };
    let before = hospital.settings();
    if settings.gateway != before.gateway
        || settings.grpc != before.grpc
        || settings.console != before.console
    {
        tracing::warn!("listen addresses changed: they take effect at the next start");
    }
    crate::loosening::record(hospital, &before, &settings).await?;
    let digest = settings.digest.to_string();
    hospital.settings.store(std::sync::Arc::new(settings));
    hospital.policies.store(std::sync::Arc::new(policies));
    crate::serving::forget_loaded(hospital);
    hospital.record_action(who.id().as_str(), "configuration-loaded", &digest, None).await?;
    crate::admit::check_callers(hospital, who).await?;
    hospital.refresh_gates().await?;
    hospital.touch_serving();
    Ok(())
}
