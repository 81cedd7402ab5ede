//! The housekeeping of a running hospital: follows the gateway's events into the live picture and the state, looks at
//! the content of systems, keeps what must survive a restart.

use std::sync::Arc;
use std::time::Duration;

use app::live::{Decision, Note};
use app::{AppError, Hospital};
use gateway::{Event, Exchange, Gateway};
use tokio::sync::broadcast::error::RecvError;

use crate::alerts::Alerts;
use crate::bridge::{self, Memories};

/// Decisions written at once.
const BATCH_MAX: usize = 500;
/// Time between looks at the systems' files.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Time between savings of what the guards remember and of the budgets.
const SAVE_EVERY: Duration = Duration::from_secs(10);

fn decision(exchange: &Exchange) -> Decision {
    Decision {
        ledger_index: exchange.ledger_index,
        at: exchange.at,
        system: exchange.system.clone(),
        client: exchange.client.clone(),
        advice: exchange.advice,
        refused: exchange.refused.map(str::to_owned),
        notes: exchange
            .messages
            .iter()
            .map(|m| Note {
                guard: m.instance.clone(),
                check: m.check.clone(),
                outcome: if m.severity == "inconclusive" { "inconclusive".into() } else { "found".into() },
                severity: serde_json::from_value(serde_json::Value::String(m.severity.clone())).ok(),
                message: m.message.clone(),
                remedy: m.remedy.clone(),
            })
            .collect(),
        took_us: exchange.took_us,
        commit_us: exchange.commit_wait_us,
        rehearsal: exchange.rehearsal,
    }
}

/// Follows the gateway's events until it is gone.
pub async fn follow(hospital: Arc<Hospital>, gateway: Arc<Gateway>, mut alerts: Alerts) {
    let mut events = gateway.subscribe();
    drop(gateway);
    let mut batch: Vec<Exchange> = Vec::new();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = tokio::time::sleep(Duration::from_millis(200)), if !batch.is_empty() => {
                write(&hospital, &mut batch).await;
                continue;
            }
        };
        match event {
            Ok(Event::Exchange(exchange)) => {
                hospital.live().decide(decision(&exchange));
                alerts.exchange(&hospital, &exchange).await;
                batch.push(*exchange);
                if batch.len() >= BATCH_MAX {
                    write(&hospital, &mut batch).await;
                }
            }
            Ok(Event::Rejected { code, client, system, .. }) => {
                hospital.live().reject(code, 1);
                alerts.rejected(&hospital, code, client, system).await;
            }
            Err(RecvError::Lagged(missed)) => {
                // The ledger has them all; only the live page and the recent list skip some.
                tracing::warn!(missed, "the live picture fell behind");
            }
            Err(RecvError::Closed) => break,
        }
    }
    write(&hospital, &mut batch).await;
}

async fn write(hospital: &Hospital, batch: &mut Vec<Exchange>) {
    let rows: Vec<_> = batch
        .drain(..)
        .map(|e| {
            app::hospital::ended(
                e.ledger_index,
                e.at,
                e.system,
                e.client,
                e.advice,
                e.refused,
                e.guards,
                e.took_us,
            )
        })
        .collect();
    report("recent decisions", hospital.keep_decisions(&rows).await);
}

fn report(what: &str, result: Result<(), AppError>) {
    if let Err(error) = result {
        tracing::error!("{what} could not be written: {error}");
    }
}

/// Looks at the systems' content, for ever.
pub async fn watch(hospital: Arc<Hospital>) {
    let mut tick = tokio::time::interval(WATCH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Some(failure) = hospital.log().failure() {
            // A full disk that has room again must not need a restart.
            match hospital.log().reopen() {
                Ok(_) => tracing::warn!("the ledger takes entries again after: {failure}"),
                Err(error) => tracing::error!("the ledger takes no entries: {error}"),
            }
        }
        report("gates", hospital.refresh_gates().await.map(|_| ()));
        report("quarantine", hospital.end_quarantines().await);
    }
}

/// Gives the gateway a new snapshot whenever something changed, for ever.
pub async fn serve_changes(hospital: Arc<Hospital>, gateway: Arc<Gateway>, memories: Arc<Memories>) {
    loop {
        hospital.serving_changed().await;
        // Until it works: a stop or a quarantine that is not served is none.
        loop {
            match bridge::snapshot(&hospital, &memories).await {
                Ok(snapshot) => break gateway.replace(snapshot),
                Err(error) => tracing::error!("what is served could not be refreshed: {error}"),
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }
}

/// Saves what must survive a restart, for ever.
pub async fn save(hospital: Arc<Hospital>, gateway: Arc<Gateway>, memories: Arc<Memories>) {
    let mut tick = tokio::time::interval(SAVE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        save_now(&hospital, &gateway, &memories).await;
    }
}

/// Saves it once.
pub async fn save_now(hospital: &Hospital, gateway: &Gateway, memories: &Memories) {
    gateway.flush_rejections();
    report("the guards' memory", memories.save(hospital).await);
    let usage: Vec<_> = gateway.budget_usage().into_iter().map(|u| (u.client, u.day, u.rows)).collect();
    report("budgets", hospital.keep_budgets(&usage).await);
    report("the ledger's anchor", hospital.save_anchor().await);
}
