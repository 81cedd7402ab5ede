//! What is going on right now, in memory and bounded: the last decisions, counts per system and client, the rehearsal.
//!
//! The binary feeds it from the gateway's events; the console and the terminal read it. What must outlive a restart is
//! in the ledger and the state database, not here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{Advice, ClientId, Severity, SystemId, Timestamp};
use serde::Serialize;
use tokio::sync::broadcast;

/// Decisions kept for the live page.
pub const DECISIONS_MAX: usize = 400;
/// Minutes of traffic in the sparkline of a system.
pub const MINUTES_MAX: usize = 30;
/// Latencies kept per system for the median.
const LATENCIES_MAX: usize = 512;
/// Clients shown.
const CLIENTS_MAX: usize = 1_000;

/// What one guard said, for people. Clean guards are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Instance name of the guard.
    pub guard: String,
    /// Catalogue id.
    pub check: String,
    /// `found` or `inconclusive`.
    pub outcome: String,
    /// Worst severity.
    pub severity: Option<Severity>,
    /// What was seen, no values.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// One exchange, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Position of the closing entry in the ledger.
    pub ledger_index: u64,
    /// When.
    pub at: Timestamp,
    /// Which system.
    pub system: SystemId,
    /// Who asked.
    pub client: ClientId,
    /// Advice given.
    pub advice: Advice,
    /// Stable code when it was refused.
    pub refused: Option<String>,
    /// Guards that were not clean.
    pub notes: Vec<Note>,
    /// Time for everything but the wait for the disk, in microseconds.
    pub took_us: u64,
    /// Wait for the group commit, in microseconds.
    pub commit_us: u64,
    /// Part of the rehearsal, not ordinary traffic.
    pub rehearsal: bool,
}

/// An alarm, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlarmRow {
    /// Number in the state database.
    pub id: i64,
    /// Catalogue id.
    pub alarm: String,
    /// Short name.
    pub name: String,
    /// How bad.
    pub severity: Severity,
    /// First seen.
    pub at: Timestamp,
    /// Which system.
    pub system: Option<SystemId>,
    /// Which client.
    pub client: Option<ClientId>,
    /// What was seen.
    pub message: String,
    /// How often since.
    pub count: u32,
    /// Who has looked at it.
    pub acknowledged_by: Option<String>,
}

/// A step of the rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RehearsalStep {
    /// Title: what the attacker or the accident does.
    pub title: String,
    /// What should happen.
    pub expected: String,
    /// `waiting`, `running`, `caught`, `missed` or `skipped`.
    pub state: String,
    /// What did happen, in a sentence with figures.
    pub seen: String,
}

/// Counts of one system since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SystemCounts {
    /// Answered.
    pub answered: u64,
    /// Refused.
    pub refused: u64,
    /// Answers with advice use, use with care, do not use.
    pub advice: [u64; 3],
    /// Median time without the wait for the disk, in microseconds.
    pub took_us_p50: u64,
    /// Exchanges a minute, oldest first, at most [`MINUTES_MAX`].
    pub per_minute: Vec<u32>,
}

/// Counts of one client since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClientCounts {
    /// Answered.
    pub answered: u64,
    /// Refused.
    pub refused: u64,
    /// Guards that found something, by instance name.
    pub found: BTreeMap<String, u64>,
    /// Last seen.
    pub last: Timestamp,
}

/// Something changed; the pages look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new decision.
    Decision(Box<Decision>),
    /// Gates, alarms, keys, quarantine or the rehearsal.
    State,
}

#[derive(Default)]
struct System {
    counts: SystemCounts,
    latencies: VecDeque<u64>,
    minutes: VecDeque<(i64, u32)>,
}

#[derive(Default)]
struct Inner {
    decisions: VecDeque<Decision>,
    systems: BTreeMap<SystemId, System>,
    clients: BTreeMap<ClientId, ClientCounts>,
    rejected: BTreeMap<String, u64>,
    rehearsal: Vec<RehearsalStep>,
}

/// The live picture.
pub struct Live {
    inner: Mutex<Inner>,
    changes: broadcast::Sender<Change>,
}

impl Default for Live {
    fn default() -> Self {
        Self { inner: Mutex::default(), changes: broadcast::channel(1_024).0 }
    }
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows changes; a reader that falls behind is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells readers to look again.
    pub fn touch(&self) {
        let _ = self.changes.send(Change::State);
    }

    /// Adds a decision.
    pub fn decide(&self, decision: Decision) {
        let mut inner = self.lock();
        let system = inner.systems.entry(decision.system.clone()).or_default();
        if decision.refused.is_some() {
            system.counts.refused += 1;
        } else {
            system.counts.answered += 1;
            system.counts.advice[decision.advice as usize] += 1;
        }
        system.latencies.push_back(decision.took_us);
        if system.latencies.len() > LATENCIES_MAX {
            system.latencies.pop_front();
        }
        let minute = decision.at.as_millis().div_euclid(60_000);
        match system.minutes.back_mut() {
            Some((last, count)) if *last >= minute => *count += 1,
            _ => system.minutes.push_back((minute, 1)),
        }
        while system.minutes.len() > MINUTES_MAX {
            system.minutes.pop_front();
        }
        if inner.clients.len() < CLIENTS_MAX || inner.clients.contains_key(&decision.client) {
            let client = inner.clients.entry(decision.client.clone()).or_default();
            client.last = decision.at;
            if decision.refused.is_some() {
                client.refused += 1
            } else {
                client.answered += 1
            }
            for note in &decision.notes {
                *client.found.entry(note.guard.clone()).or_default() += 1;
            }
        }
        inner.decisions.push_front(decision.clone());
        inner.decisions.truncate(DECISIONS_MAX);
        drop(inner);
        let _ = self.changes.send(Change::Decision(Box::new(decision)));
    }

    /// Counts callers turned away before an exchange opened.
    pub fn reject(&self, code: &str, count: u64) {
        *self.lock().rejected.entry(code.to_owned()).or_default() += count;
        self.touch();
    }

    /// Sets the rehearsal's steps.
    pub fn rehearse(&self, steps: Vec<RehearsalStep>) {
        self.lock().rehearsal = steps;
        self.touch();
    }

    /// Newest decisions first, at most `count`, perhaps of one system.
    pub fn decisions(&self, count: usize, system: Option<&SystemId>) -> Vec<Decision> {
        let inner = self.lock();
        inner
            .decisions
            .iter()
            .filter(|d| system.is_none_or(|s| *s == d.system))
            .take(count)
            .cloned()
            .collect()
    }

    /// Counts of one system; `now` moves the sparkline along.
    pub fn system(&self, id: &SystemId, now: Timestamp) -> SystemCounts {
        let inner = self.lock();
        let Some(system) = inner.systems.get(id) else {
            return SystemCounts { per_minute: vec![0; MINUTES_MAX], ..SystemCounts::default() };
        };
        let mut sorted: Vec<u64> = system.latencies.iter().copied().collect();
        sorted.sort_unstable();
        let present = now.as_millis().div_euclid(60_000);
        #[expect(clippy::cast_possible_wrap, reason = "30 minutes")]
        let per_minute = (0..MINUTES_MAX as i64)
            .rev()
            .map(|back| system.minutes.iter().find(|(m, _)| *m == present - back).map_or(0, |(_, n)| *n))
            .collect();
        SystemCounts {
            took_us_p50: sorted.get(sorted.len() / 2).copied().unwrap_or(0),
            per_minute,
            ..system.counts.clone()
        }
    }

    /// Counts of all clients.
    pub fn clients(&self) -> BTreeMap<ClientId, ClientCounts> {
        self.lock().clients.clone()
    }

    /// Callers turned away, by code.
    pub fn rejected(&self) -> BTreeMap<String, u64> {
        self.lock().rejected.clone()
    }

    /// The rehearsal's steps.
    pub fn rehearsal(&self) -> Vec<RehearsalStep> {
        self.lock().rehearsal.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(n: u64, refused: bool) -> Decision {
        Decision {
            ledger_index: n,
            at: Timestamp::from_millis(60_000 * 10 + 1),
            system: "s".parse().unwrap(),
            client: "c".parse().unwrap(),
            advice: Advice::Use,
            refused: refused.then(|| "E001".to_owned()),
            notes: vec![],
            took_us: n,
            commit_us: 0,
            rehearsal: false,
        }
    }

    #[test]
    fn memory_is_bounded_and_counts_go_on() {
        let live = Live::default();
        for n in 0..(DECISIONS_MAX as u64 + 50) {
            live.decide(decision(n, n % 2 == 0));
        }
        assert_eq!(live.decisions(usize::MAX, None).len(), DECISIONS_MAX);
        let counts = live.system(&"s".parse().unwrap(), Timestamp::from_millis(60_000 * 10 + 2));
        assert_eq!(counts.answered + counts.refused, DECISIONS_MAX as u64 + 50);
        assert_eq!(*counts.per_minute.last().unwrap(), DECISIONS_MAX as u32 + 50);
    }
}
