//! What the hospital remembers in the state database, in the words of the use cases.

use std::collections::BTreeMap;

use domain::{Acceptance, ClientId, Digest, Evidence, SystemId, Timestamp};
use ledger::Hash;
use store::db::{Anchor, NewVersion, StoreError, Version};

use super::Hospital;
use crate::AppError;
use crate::gate::GateReport;

/// Versions looked through for one with given subjects.
const VERSIONS_MAX: u32 = 200;
/// Kept decisions; the ledger has all of them.
pub(crate) const DECISIONS_KEPT: u64 = 50_000;

pub(crate) fn state(error: StoreError) -> AppError {
    AppError::State(error.to_string())
}

impl Hospital {
    /// Size and root of the ledger that the state has followed.
    pub(crate) async fn anchor(&self) -> Result<Option<(u64, Hash)>, AppError> {
        Ok(self.db.anchor().await.map_err(state)?.map(|a| (a.size, Hash::new(*a.root.as_bytes()))))
    }

    /// Writes down how far the state database has followed the ledger; not past an entry that is not in it.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn save_anchor(&self) -> Result<(), AppError> {
        if self.unprojected.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let head = self.log.head();
        let anchor =
            Anchor { size: head.size, root: Digest::from_bytes(*head.root.as_bytes()), at: self.now() };
        self.db.set_anchor(&anchor).await.map_err(state)
    }

    pub(crate) async fn known_evidence(&self, system: &SystemId) -> Result<Vec<(u64, Evidence)>, AppError> {
        let all = self.db.latest_evidence(system).await.map_err(state)?;
        Ok(all.into_iter().map(|e| (e.ledger_index, e.evidence)).collect())
    }

    pub(crate) async fn known_acceptances(&self, system: &SystemId) -> Result<Vec<Acceptance>, AppError> {
        let all = self.db.acceptances(system, self.now()).await.map_err(state)?;
        Ok(all.into_iter().filter(|a| a.revoked.is_none()).map(|a| a.acceptance).collect())
    }

    /// Keeps a version, unless it is kept already.
    pub(crate) async fn put_version(&self, new: NewVersion) -> Result<(), AppError> {
        let key = crate::serving::version_key(&new.subjects);
        if let Some(known) = self.version(&new.system, &key).await?
            && known.admitted.fitted == new.fitted
        {
            return Ok(());
        }
        self.db.admit_version(&new).await.map(|_| ()).map_err(state)
    }

    /// The newest version made of these subjects.
    pub(crate) async fn version(&self, system: &SystemId, key: &Digest) -> Result<Option<Version>, AppError> {
        let all = self.db.versions(system, VERSIONS_MAX).await.map_err(state)?;
        Ok(all.into_iter().find(|v| crate::serving::version_key(&v.admitted.subjects) == *key))
    }

    /// Remembers that a version was served with its gate open.
    pub(crate) async fn mark_open(&self, system: &SystemId, number: u64) -> Result<(), AppError> {
        self.db.set_meta(&format!("open.{}", short(system)), &number.to_string()).await.map_err(state)
    }

    /// The version that was last served with its gate open.
    pub(crate) async fn last_open_version(&self, system: &SystemId) -> Result<Option<Version>, AppError> {
        let number = self.db.meta(&format!("open.{}", short(system))).await.map_err(state)?;
        let Some(number) = number.and_then(|n| n.parse::<u64>().ok()) else {
            return Ok(None);
        };
        let all = self.db.versions(system, VERSIONS_MAX).await.map_err(state)?;
        Ok(all.into_iter().find(|v| v.number == number && v.status == store::db::VersionStatus::Admitted))
    }

    /// Who stopped a system and why, if it is stopped.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn suspension(&self, system: &SystemId) -> Result<Option<(String, String)>, AppError> {
        let known = self.db.system_state(system).await.map_err(state)?;
        Ok(known.filter(|s| s.suspended).map(|s| (s.by.to_string(), s.reason)))
    }

    /// Whether the gate was open, and which controls kept it shut, when last written down.
    pub(crate) async fn last_gate(&self, system: &SystemId) -> Result<Option<(bool, Vec<String>)>, AppError> {
        let text = self.db.meta(&format!("gate.{}", short(system))).await.map_err(state)?;
        Ok(text.and_then(|t| serde_json::from_str(&t).ok()))
    }

    pub(crate) async fn set_gate(&self, system: &SystemId, report: &GateReport) -> Result<(), AppError> {
        let text = serde_json::to_string(&(report.open, report.because())).unwrap_or_default();
        self.db.set_meta(&format!("gate.{}", short(system)), &text).await.map_err(state)
    }

    /// Keeps how much of its daily budget each client used: client, UTC day, rows.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn keep_budgets(&self, usage: &[(ClientId, i64, u64)]) -> Result<(), AppError> {
        let mut kept = self.kept_budgets.lock().await;
        let mut by_day: BTreeMap<i64, Vec<(ClientId, u64)>> = BTreeMap::new();
        for (client, day, rows) in usage {
            let before = kept.get(client).filter(|(d, _)| d == day).map_or(0, |(_, rows)| *rows);
            if *rows > before {
                by_day.entry(*day).or_default().push((client.clone(), rows - before));
            }
        }
        for (day, counts) in &by_day {
            self.db.add_budget(*day, counts).await.map_err(state)?;
        }
        for (client, day, rows) in usage {
            kept.insert(client.clone(), (*day, *rows));
        }
        Ok(())
    }

    /// What was kept for today: client, UTC day, rows.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn budgets(&self) -> Result<Vec<(ClientId, i64, u64)>, AppError> {
        let day = self.now().day();
        let all = self.db.budgets(day).await.map_err(state)?;
        let mut kept = self.kept_budgets.lock().await;
        for (client, rows) in &all {
            kept.entry(client.clone()).or_insert((day, *rows));
        }
        Ok(all.into_iter().map(|(client, rows)| (client, day, rows)).collect())
    }

    /// Number of the last alarm that the webhooks were told of.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn told_through(&self) -> Result<i64, AppError> {
        let number = self.db.meta("webhook.told").await.map_err(state)?;
        Ok(number.and_then(|n| n.parse().ok()).unwrap_or(0))
    }

    /// Remembers it.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn set_told_through(&self, alarm: i64) -> Result<(), AppError> {
        self.db.set_meta("webhook.told", &alarm.to_string()).await.map_err(state)
    }

    /// Lets clients in again whose quarantine ran out.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn end_quarantines(&self) -> Result<(), AppError> {
        let now: Timestamp = self.now();
        let count = self.db.quarantines(now).await.map_err(state)?.len();
        let before = self.shut_out.swap(count, std::sync::atomic::Ordering::Relaxed);
        if before != count {
            self.touch_serving();
        }
        Ok(())
    }
}

/// A system's name as a part of a setting's name: settings have at most 64 bytes, names up to 64.
fn short(system: &SystemId) -> String {
    Digest::of(system.as_str().as_bytes()).short()
}
