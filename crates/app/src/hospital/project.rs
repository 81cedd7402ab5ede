//! From the ledger to the state: what each entry changes. Applying an entry twice changes nothing more.

use std::collections::HashMap;

use domain::{ClientId, Record, SystemId};

use super::{EVIDENCE_MAX, Hospital};
use crate::{AppError, alarms};

/// Entries read at once while catching up.
const BATCH: u64 = 1_024;
/// Time within which the same alarm counts up instead of standing twice.
const ALARM_WINDOW_MS: i64 = 24 * 3_600_000;
/// Opened exchanges remembered while catching up, to find their client when they close.
const OPEN_MAX: usize = 100_000;

impl Hospital {
    /// Loads what the state knows and applies the ledger entries that it has not seen.
    pub(super) async fn catch_up(&self, seen: u64) -> Result<(), AppError> {
        for system in self.settings().systems.keys() {
            let evidence = self.known_evidence(system).await?;
            let acceptances = self.known_acceptances(system).await?;
            let mut facts = self.facts();
            let known = facts.entry(system.clone()).or_default();
            known.evidence = evidence;
            known.acceptances = acceptances;
        }
        let size = self.log.head().size;
        let mut open: HashMap<String, (ClientId, SystemId)> = HashMap::new();
        let mut next = seen.min(size);
        while next < size {
            let entries = self
                .log
                .read_range(next, BATCH.min(size - next))
                .map_err(|e| AppError::Ledger(e.to_string()))?;
            if entries.is_empty() {
                return Err(AppError::Ledger(format!(
                    "entry {next} cannot be read; run `asepsis audit verify`"
                )));
            }
            for bytes in entries {
                // Entries of a later version stay in the ledger; this one shows what it understands.
                if let Ok(record) = serde_json::from_slice::<Record>(&bytes) {
                    if let Record::Opened { exchange, client, system, .. } = &record
                        && open.len() < OPEN_MAX
                    {
                        open.insert(exchange.clone(), (client.clone(), system.clone()));
                    }
                    if let Record::Closed { exchange, .. } = &record
                        && let Some((client, system)) = open.remove(exchange)
                    {
                        self.project_closed(next, &record, &client, &system).await?;
                    }
                    self.project(next, &record).await?;
                }
                next += 1;
            }
        }
        self.save_anchor().await
    }

    /// Applies one entry.
    pub(super) async fn project(&self, index: u64, record: &Record) -> Result<(), AppError> {
        let state = crate::hospital::state;
        match record {
            Record::Evidence { evidence } => {
                self.db.insert_evidence(index, evidence).await.map_err(state)?;
                let mut facts = self.facts();
                let known = &mut facts.entry(evidence.system.clone()).or_default().evidence;
                if let Err(place) = known.binary_search_by_key(&index, |(at, _)| *at) {
                    known.insert(place, (index, evidence.clone()));
                }
                if known.len() > EVIDENCE_MAX {
                    known.remove(0);
                }
            }
            Record::Accepted { acceptance } => {
                self.db.insert_acceptance(index, acceptance).await.map_err(state)?;
                let mut facts = self.facts();
                let known = &mut facts.entry(acceptance.system.clone()).or_default().acceptances;
                if !known.contains(acceptance) {
                    known.push(acceptance.clone());
                }
            }
            Record::Alarm { at, alarm, system, client, message } => {
                let raised = store::db::NewAlarm {
                    alarm: alarm.clone(),
                    severity: alarms::severity(alarm),
                    at: *at,
                    system: system.clone(),
                    client: client.clone(),
                    message: message.clone(),
                };
                self.db.raise_alarm(&raised, ALARM_WINDOW_MS).await.map_err(state)?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn project_closed(
        &self,
        index: u64,
        record: &Record,
        client: &ClientId,
        system: &SystemId,
    ) -> Result<(), AppError> {
        let Record::Closed { at, model, advice, refused, guards, took_us, .. } = record else {
            return Ok(());
        };
        let row = store::db::DecisionRow {
            ledger_index: index,
            at: *at,
            system: system.clone(),
            client: client.clone(),
            model: *model,
            advice: *advice,
            refused: refused.clone(),
            guards: guards.clone(),
            took_us: *took_us,
            traffic: super::picture::traffic_of(client),
        };
        self.db.insert_decisions(&[row]).await.map_err(|e| AppError::State(e.to_string()))
    }
}
