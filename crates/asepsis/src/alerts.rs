//! From events to alarms: what a person should look at, said once and not a hundred times.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use app::{Hospital, alarms};
use domain::{ClientId, Severity, SystemId, Timestamp};
use gateway::Exchange;

/// Time before the same alarm for the same system and client is raised again.
const QUIET_MS: i64 = 10 * 60_000;
/// Refusals for impossible values within [`WINDOW_MS`] that raise an alarm.
const BAD_INPUTS: usize = 3;
/// Wrong keys within [`WINDOW_MS`] that raise an alarm.
const BAD_KEYS: usize = 10;
/// Failed calls of a remote server within [`WINDOW_MS`] that raise an alarm.
const FAILURES: usize = 3;
/// Time over which refusals are counted.
const WINDOW_MS: i64 = 5 * 60_000;
/// Most pairs remembered.
const REMEMBERED_MAX: usize = 4_096;

type Who = (Option<SystemId>, Option<ClientId>);

/// What was said and counted.
#[derive(Default)]
pub struct Alerts {
    said: HashMap<(&'static str, Who), Timestamp>,
    counted: HashMap<(&'static str, Who), VecDeque<Timestamp>>,
}

impl Alerts {
    /// Looks at an exchange.
    pub async fn exchange(&mut self, hospital: &Hospital, exchange: &Exchange) {
        let who = (Some(exchange.system.clone()), Some(exchange.client.clone()));
        for message in &exchange.messages {
            let serious = matches!(message.severity.as_str(), "high" | "critical");
            let (alarm, at_once) = match message.check.as_str() {
                "G005" if serious => (alarms::EVASION.id, true),
                "G006" if serious || message.severity == "medium" => (alarms::EXTRACTION.id, true),
                "G001" | "G002" if exchange.refused.is_some() => (alarms::BAD_INPUTS.id, false),
                _ => continue,
            };
            if at_once || self.count(alarm, &who, exchange.at) >= BAD_INPUTS {
                self.say(hospital, alarm, who.clone(), exchange.at, &message.message).await;
            }
        }
        if matches!(exchange.refused, Some("E017" | "E018" | "E019" | "E020")) {
            let system = (Some(exchange.system.clone()), None);
            if self.count(alarms::UPSTREAM_DOWN.id, &system, exchange.at) >= FAILURES {
                let text = "the remote model server does not answer; callers are told to go on without";
                self.say(hospital, alarms::UPSTREAM_DOWN.id, system, exchange.at, text).await;
            }
        }
    }

    /// Looks at a caller that was turned away.
    pub async fn rejected(
        &mut self,
        hospital: &Hospital,
        code: &str,
        client: Option<ClientId>,
        system: Option<SystemId>,
    ) {
        let now = hospital.now();
        if matches!(code, "E005" | "E006" | "E007")
            && self.count(alarms::BAD_KEYS.id, &(None, None), now) >= BAD_KEYS
        {
            let text = "many requests carried no valid key";
            self.say(hospital, alarms::BAD_KEYS.id, (None, None), now, text).await;
        }
        if code == "E011" {
            let text = "the client used up its daily query budget";
            self.say(hospital, alarms::EXTRACTION.id, (system, client), now, text).await;
        }
    }

    fn count(&mut self, alarm: &'static str, who: &Who, at: Timestamp) -> usize {
        if self.counted.len() >= REMEMBERED_MAX {
            self.counted.clear();
        }
        let times = self.counted.entry((alarm, who.clone())).or_default();
        times.push_back(at);
        while times.front().is_some_and(|first| at.millis_since(*first) > WINDOW_MS) || times.len() > 64 {
            times.pop_front();
        }
        times.len()
    }

    async fn say(&mut self, hospital: &Hospital, alarm: &'static str, who: Who, at: Timestamp, text: &str) {
        if self.said.len() >= REMEMBERED_MAX {
            self.said.clear();
        }
        let key = (alarm, who.clone());
        let quiet = self.said.get(&key).is_some_and(|last| (0..QUIET_MS).contains(&at.millis_since(*last)));
        if quiet {
            return;
        }
        self.said.insert(key, at);
        if let Err(error) = hospital.raise(alarm, who.0, who.1, text).await {
            tracing::error!("an alarm could not be written: {error}");
        }
    }
}

/// Sends every new alarm to the configured webhooks.
pub async fn send(hospital: Arc<Hospital>) {
    let Ok(outbound) = upstream::Outbound::new(None) else {
        tracing::error!("webhooks are off: no connection can be set up");
        return;
    };
    let mut changes = hospital.live().subscribe();
    // What was raised while the program started, or was not sent before it was cut off, is sent first.
    loop {
        if let Err(error) = send_fresh(&hospital, &outbound).await {
            tracing::error!("alarms for webhooks could not be read: {error}");
        }
        loop {
            match changes.recv().await {
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                Ok(app::live::Change::Decision(_)) => {}
                _ => break,
            }
        }
    }
}

/// Sends the alarms that the webhooks were not told of yet, oldest first.
async fn send_fresh(hospital: &Hospital, outbound: &upstream::Outbound) -> Result<(), app::AppError> {
    let hooks = hospital.settings().webhooks.clone();
    let last = hospital.told_through().await?;
    for alarm in hospital.alarms_after(last).await? {
        for hook in &hooks {
            send_one(hospital, outbound, hook, &alarm).await;
        }
        hospital.set_told_through(alarm.id).await?;
    }
    Ok(())
}

async fn send_one(
    hospital: &Hospital,
    outbound: &upstream::Outbound,
    hook: &app::config::WebhookSettings,
    alarm: &app::live::AlarmRow,
) {
    let level = if alarm.severity >= Severity::High { "urgent" } else { "notice" };
    let body = serde_json::json!({
        "source": "asepsis", "hospital": hospital.settings().hospital, "level": level, "alarm": alarm.alarm,
        "name": alarm.name, "severity": alarm.severity, "at": alarm.at.to_string(), "system": alarm.system,
        "client": alarm.client, "message": alarm.message,
    });
    let token = hook.token.as_ref().map(|t| upstream::Secret::new(t.clone()));
    let sent =
        outbound.post_json(&hook.url, body.to_string(), token.as_ref(), upstream::Delivery::default()).await;
    if let Err(error) = sent {
        tracing::error!("webhook: {error}");
    }
}
