//! The watch: looks at every system's content each second, notices gates that open or shut, and says so.

use domain::{Record, Stage, SystemId};

use crate::AppError;
use crate::gate::GateReport;
use crate::hospital::Hospital;

impl Hospital {
    /// Judges all deployment gates again. A gate that changed goes into the ledger; one that shut raises an alarm.
    /// Returns whether anything changed.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn refresh_gates(&self) -> Result<bool, AppError> {
        let systems: Vec<SystemId> = self.settings().systems.keys().cloned().collect();
        let mut changed = false;
        let mut failed = None;
        for id in systems {
            match self.refresh_gate(&id).await {
                Ok(differs) => changed |= differs,
                // The other systems must not wait for this one; it is tried again with the next look.
                Err(error) => failed = Some(error),
            }
        }
        if changed {
            self.touch_serving();
        }
        failed.map_or(Ok(changed), Err)
    }

    /// Judges one gate again. It counts as known only when it is written down.
    async fn refresh_gate(&self, id: &SystemId) -> Result<bool, AppError> {
        let subjects = self.subjects(&self.system(id)?);
        let report = self.gate_for(id, Stage::Deployment, &subjects);
        let version = crate::serving::version_key(&subjects);
        let lock = || self.gates.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = lock().get(id).cloned();
        let same = before
            .as_ref()
            .is_some_and(|(b, v)| b.open == report.open && b.because() == report.because() && *v == version);
        if same {
            return Ok(false);
        }
        if !report.open {
            // Stop serving first, write it down second.
            self.touch_serving();
        }
        self.record_gate(id, before.as_ref().map(|(b, _)| b), &report).await?;
        lock().insert(id.clone(), (report, version));
        Ok(true)
    }

    async fn record_gate(
        &self,
        id: &SystemId,
        before: Option<&GateReport>,
        report: &GateReport,
    ) -> Result<(), AppError> {
        let last = self.last_gate(id).await?;
        let was_open = before.map(|b| b.open).or_else(|| last.map(|(open, _)| open));
        let subjects = self.subjects(&self.system(id)?);
        let serving = report
            .open
            .then(|| subjects.iter().find(|s| s.role == domain::SubjectRole::Model).map(|s| s.digest))
            .flatten();
        self.record(Record::Gate {
            at: self.now(),
            system: id.clone(),
            stage: Stage::Deployment,
            open: report.open,
            because: report.because(),
            serving,
        })
        .await?;
        self.set_gate(id, report).await?;
        if was_open == Some(true) && !report.open {
            self.raise(crate::alarms::GATE_SHUT.id, Some(id.clone()), None, &why_shut(report)).await?;
        }
        Ok(())
    }

    /// Raises an alarm: ledger, state, log, live page; webhooks follow from the binary.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub async fn raise(
        &self,
        alarm: &str,
        system: Option<SystemId>,
        client: Option<domain::ClientId>,
        message: &str,
    ) -> Result<(), AppError> {
        let message: String = message.chars().take(1_000).collect();
        let at = self.now();
        let system_name = system.as_ref().map_or("-", SystemId::as_str);
        let client_name = client.as_ref().map_or("-", domain::ClientId::as_str);
        tracing::warn!(alarm, system = system_name, client = client_name, "{message}");
        self.record(Record::Alarm { at, alarm: alarm.to_owned(), system, client, message }).await?;
        self.live.touch();
        Ok(())
    }
}

/// Why a gate is shut, in a sentence: what happened, and which controls it keeps from passing.
fn why_shut(report: &GateReport) -> String {
    let failing: Vec<_> = report.controls.iter().filter(|c| !c.status.passes()).collect();
    let mut reasons: Vec<String> = Vec::new();
    for control in &failing {
        // "V001 covered other content: model changed …": the part after the colon is common to all checks.
        let reason = control.status.reason();
        let reason = reason.split_once(": ").map_or(reason.as_str(), |(_, rest)| rest).to_owned();
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let names: Vec<&str> = failing.iter().map(|c| c.control.as_str()).collect();
    format!("{}; no longer met: {}", reasons.join("; "), names.join(", "))
}
