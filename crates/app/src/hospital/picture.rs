//! The overview: everything at one moment, for console and terminal. Also what the binary keeps in the state.

use domain::{Advice, ClientId, Stage, SystemId, Timestamp};
use store::db::{Alarm, DecisionRow, Traffic, Version};

use super::Hospital;
use super::memory::{DECISIONS_KEPT, state};
use crate::AppError;
use crate::config::{Fallback, ModelSource, SystemSettings};
use crate::live::AlarmRow;
use crate::overview::{ClientCard, GuardLine, LedgerHead, Overview, Serving, SystemCard};

/// Alarms on the overview.
const ALARMS_MAX: u32 = 40;
/// Decisions written between two prunings of the state.
const PRUNE_EVERY: u64 = 1_000;
/// Decisions on the overview.
const DECISIONS_SHOWN: usize = 40;

/// Clients whose name starts so only rehearse.
pub(super) fn traffic_of(client: &ClientId) -> Traffic {
    if client.as_str().starts_with("rehearsal-") { Traffic::Rehearsal } else { Traffic::Routine }
}

/// The row of an ended exchange.
#[expect(clippy::too_many_arguments, reason = "one row, field by field")]
pub fn ended(
    ledger_index: u64,
    at: Timestamp,
    system: SystemId,
    client: ClientId,
    advice: Advice,
    refused: Option<&str>,
    guards: Vec<domain::GuardNote>,
    took_us: u64,
) -> DecisionRow {
    let (refused, traffic) = (refused.map(str::to_owned), traffic_of(&client));
    DecisionRow { ledger_index, at, system, client, model: None, advice, refused, guards, took_us, traffic }
}

impl Hospital {
    /// Everything at this moment.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn overview(&self) -> Result<Overview, AppError> {
        let settings = self.settings();
        let now = self.now();
        let mut systems = Vec::new();
        for system in settings.systems.values() {
            systems.push(self.card(system).await?);
        }
        let head = self.log.head();
        Ok(Overview {
            hospital: settings.hospital.clone(),
            at: now,
            ledger: LedgerHead {
                size: head.size,
                root: head.root.as_bytes().iter().map(|b| format!("{b:02x}")).collect(),
                verified_at: self.verified_at(),
            },
            systems,
            clients: self.client_cards().await?,
            alarms: self.alarms(ALARMS_MAX).await?,
            decisions: self.live.decisions(DECISIONS_SHOWN, None),
            rejected: self.live.rejected().into_iter().collect(),
            rehearsal: self.live.rehearsal(),
        })
    }

    fn verified_at(&self) -> Option<Timestamp> {
        let facts = self.facts();
        let of = crate::checks::LEDGER_WHOLE.id;
        facts
            .values()
            .flat_map(|f| &f.evidence)
            .filter(|(_, e)| e.check == of && e.outcome.is_clean())
            .map(|(_, e)| e.made_at)
            .max()
    }

    async fn card(&self, system: &SystemSettings) -> Result<SystemCard, AppError> {
        let gate = self.gate(&system.id, Stage::RoutineUse)?;
        let stage = Stage::ALL
            .into_iter()
            .take_while(|s| gate.controls.iter().filter(|c| c.stage <= *s).all(|c| c.status.passes()))
            .last();
        let (serving, model) = self.serving_state(system).await?;
        let guards = system
            .guards
            .modes()
            .into_iter()
            .filter(|(_, common)| common.enabled)
            .map(|(name, common)| GuardLine {
                name: name.to_owned(),
                check: detect::ENTRIES
                    .iter()
                    .find(|e| e.name == name)
                    .map_or_else(String::new, |e| e.id.to_owned()),
                mode: mode_word(common.mode).to_owned(),
            })
            .collect();
        Ok(SystemCard {
            id: system.id.clone(),
            title: system.title.clone(),
            purpose: system.purpose.clone(),
            owner: system.owner.clone(),
            serving,
            model,
            place: match &system.model {
                ModelSource::File(_) => "in process".to_owned(),
                ModelSource::Remote(remote) => remote.url.clone(),
            },
            stage,
            gate,
            guards,
            counts: self.live.system(&system.id, self.now()),
        })
    }

    /// Whether a system answers, without loading anything, and the first digits of the model that does.
    async fn serving_state(&self, system: &SystemSettings) -> Result<(Serving, Option<String>), AppError> {
        let id = &system.id;
        if let Some((by, reason)) = self.suspension(id).await? {
            return Ok((Serving::Suspended { by, reason }, None));
        }
        let gate = self.gate(id, Stage::Deployment)?;
        let model_of = |row: &Version| Some(row.admitted.model.short());
        let key = crate::serving::version_key(&self.subjects(system));
        if gate.open
            && let Some(row) = self.version(id, &key).await?
        {
            return Ok((Serving::Open, model_of(&row)));
        }
        let because = gate.because();
        if system.fallback == Fallback::LastAdmitted
            && let Some(row) = self.last_open_version(id).await?
            && crate::serving::version_key(&row.admitted.subjects) != key
        {
            return Ok((Serving::Fallback { because }, model_of(&row)));
        }
        Ok((Serving::Shut { because }, None))
    }

    async fn client_cards(&self) -> Result<Vec<ClientCard>, AppError> {
        let settings = self.settings();
        let counts = self.live.clients();
        let quarantine = self.db.quarantines(self.now()).await.map_err(state)?;
        let budgets = self.db.budgets(self.now().day()).await.map_err(state)?;
        let mut ids: Vec<ClientId> = settings.clients.iter().map(|c| c.id.clone()).collect();
        ids.extend(counts.keys().filter(|id| !settings.clients.iter().any(|c| c.id == **id)).cloned());
        Ok(ids
            .into_iter()
            .map(|id| ClientCard {
                title: settings
                    .clients
                    .iter()
                    .find(|c| c.id == id)
                    .map_or_else(|| id.to_string(), |c| c.title.clone()),
                counts: counts.get(&id).cloned().unwrap_or_default(),
                quarantined_by: quarantine
                    .iter()
                    .find(|q| q.client == id)
                    .map(|q| format!("{}: {}", q.by, q.reason)),
                rows_today: budgets.iter().find(|(c, _)| *c == id).map_or(0, |(_, rows)| *rows),
                rows_per_day: settings.limits.client_rows_per_day,
                id,
            })
            .collect())
    }

    /// The newest alarms, open ones first.
    async fn alarms(&self, count: u32) -> Result<Vec<AlarmRow>, AppError> {
        let mut all: Vec<AlarmRow> =
            self.db.alarms(None, count).await.map_err(state)?.into_iter().map(alarm_row).collect();
        all.sort_by(|a, b| {
            a.acknowledged_by.is_some().cmp(&b.acknowledged_by.is_some()).then(b.id.cmp(&a.id))
        });
        Ok(all)
    }

    /// Alarms with a number above `last`, oldest first.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn alarms_after(&self, last: i64) -> Result<Vec<AlarmRow>, AppError> {
        let all = self.db.alarms(None, 1_000).await.map_err(state)?;
        let mut fresh: Vec<AlarmRow> = all.into_iter().map(alarm_row).filter(|a| a.id > last).collect();
        fresh.sort_by_key(|a| a.id);
        Ok(fresh)
    }

    /// Clients that are shut out now, and why.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn quarantined(&self) -> Result<Vec<(ClientId, String)>, AppError> {
        let all = self.db.quarantines(self.now()).await.map_err(state)?;
        Ok(all.into_iter().map(|q| (q.client, q.reason)).collect())
    }

    /// Keeps ended exchanges for the recent list.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub async fn keep_decisions(&self, rows: &[DecisionRow]) -> Result<(), AppError> {
        self.db.insert_decisions(rows).await.map_err(state)?;
        let written = u64::try_from(rows.len()).unwrap_or(0);
        let before = self.kept_decisions.fetch_add(written, std::sync::atomic::Ordering::Relaxed);
        let now_and_then = before / PRUNE_EVERY != (before + written) / PRUNE_EVERY;
        if now_and_then {
            self.db.prune_decisions(DECISIONS_KEPT).await.map_err(state)?;
        }
        Ok(())
    }

    /// Closes ledger and state; what is on disk afterwards is complete.
    ///
    /// # Errors
    /// When something could not be written.
    pub async fn close(&self) -> Result<(), AppError> {
        self.save_anchor().await?;
        self.log.flush_tiles().map_err(|e| AppError::Ledger(e.to_string()))?;
        self.db.close().await;
        Ok(())
    }
}

fn alarm_row(alarm: Alarm) -> AlarmRow {
    let name = crate::alarms::ENTRIES.iter().find(|e| e.id == alarm.seen.alarm);
    AlarmRow {
        id: i64::try_from(alarm.id).unwrap_or(i64::MAX),
        name: name.map_or_else(|| alarm.seen.alarm.clone(), |e| e.name.to_owned()),
        alarm: alarm.seen.alarm,
        severity: alarm.seen.severity,
        at: alarm.seen.at,
        system: alarm.seen.system,
        client: alarm.seen.client,
        message: alarm.seen.message,
        count: u32::try_from(alarm.count).unwrap_or(u32::MAX),
        acknowledged_by: alarm.acknowledged.map(|(_, by)| by.to_string()),
    }
}

const fn mode_word(mode: domain::GuardMode) -> &'static str {
    match mode {
        domain::GuardMode::Observe => "observe",
        domain::GuardMode::Flag => "flag",
        domain::GuardMode::Block => "block",
    }
}
