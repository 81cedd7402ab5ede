//! One running exercise: how far it is, the steps that are finished, and the wish to stop it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attack::scorecard::Row;
use tokio::sync::broadcast;

use super::order::Placed;
use super::{CardId, Job, JobState, Progress};
use crate::exercise::{Event, Watch};

/// Notes kept.
const NOTES_MAX: usize = 50;
/// Rows kept: every budget of every step of the largest suite.
const ROWS_MAX: usize = attack::suite::STEPS_MAX * attack::suite::BUDGETS_MAX;
/// Moments by which the pace is judged, and the shortest time between two of them: half a minute in all.
const MOMENTS_MAX: usize = 30;
const MOMENT_MS: u128 = 1_000;
/// Time in which what an earlier run finished comes back.
const EARLY: Duration = Duration::from_secs(5);

const ON: u8 = 0;
const STOPPED: u8 = 1;
const CUT_OFF: u8 = 2;

#[derive(Default)]
struct Seen {
    done: u64,
    total: u64,
    step: String,
    notes: Vec<String>,
    kind: String,
    rows: Vec<Row>,
    said: Vec<(String, String)>,
    moments: VecDeque<(Instant, u64)>,
}

/// A running exercise.
pub(super) struct Running {
    pub(super) id: CardId,
    pub(super) placed: Placed,
    wish: AtomicU8,
    seen: Mutex<Seen>,
    changes: broadcast::Sender<()>,
    /// Set when the thread is over.
    over: tokio::sync::watch::Sender<bool>,
}

impl Running {
    pub(super) fn new(id: CardId, placed: Placed, changes: broadcast::Sender<()>) -> Self {
        let (over, _) = tokio::sync::watch::channel(false);
        Self { id, placed, wish: AtomicU8::new(ON), seen: Mutex::default(), changes, over }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it to stop and keep what is done.
    pub(super) fn ask_to_stop(&self) {
        let _ = self.wish.compare_exchange(ON, STOPPED, Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.changes.send(());
    }

    /// Asks it to end with the program: what is done stays, and nothing more is written.
    pub(super) fn cut_off(&self) {
        self.wish.store(CUT_OFF, Ordering::Relaxed);
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.wish.load(Ordering::Relaxed) == CUT_OFF
    }

    /// Says that the thread is over.
    pub(super) fn is_over(&self) {
        self.over.send_replace(true);
    }

    /// Waits until the thread is over.
    pub(super) async fn wait(&self) {
        let mut over = self.over.subscribe();
        let _ = over.wait_for(|over| *over).await;
    }

    /// How it stands now.
    pub(super) fn job(&self) -> Job {
        let seen = self.lock();
        let state =
            if self.wish.load(Ordering::Relaxed) == ON { JobState::Running } else { JobState::Stopping };
        let remaining_s = remaining(&seen.moments, seen.total.saturating_sub(seen.done));
        Job {
            id: self.id.clone(),
            order: self.placed.order.clone(),
            by: self.placed.by.clone(),
            at: self.placed.at,
            state,
            progress: Progress { done: seen.done, total: seen.total, step: seen.step.clone(), remaining_s },
            notes: seen.notes.clone(),
            kind: seen.kind.clone(),
            rows: seen.rows.clone(),
            said: seen.said.clone(),
            ended: None,
        }
    }
}

/// Seconds for `left` more units by the pace between the first and the last moment.
fn remaining(moments: &VecDeque<(Instant, u64)>, left: u64) -> Option<u64> {
    let (first, last) = (moments.front()?, moments.back()?);
    let (units, ms) = (last.1.saturating_sub(first.1), last.0.duration_since(first.0).as_millis());
    if units == 0 || ms == 0 {
        return None;
    }
    u64::try_from((u128::from(left) * ms / u128::from(units)).div_ceil(1_000)).ok()
}

impl Watch for Running {
    fn event(&self, event: Event) {
        let mut seen = self.lock();
        match event {
            Event::Note(text) => {
                if seen.notes.len() < NOTES_MAX && !seen.notes.contains(&text) {
                    seen.notes.push(text);
                }
            }
            Event::Progress { done, total, step } => {
                // What an earlier run finished comes back at once and says nothing of the pace.
                let now = Instant::now();
                let early = seen.moments.front().is_some_and(|m| now.duration_since(m.0) < EARLY);
                if early && done.saturating_sub(seen.done) > total / 20 {
                    seen.moments.clear();
                }
                (seen.done, seen.total, seen.step) = (done.max(seen.done), total, step);
                if seen.moments.back().is_none_or(|m| now.duration_since(m.0).as_millis() >= MOMENT_MS) {
                    seen.moments.push_back((now, done));
                    if seen.moments.len() > MOMENTS_MAX {
                        seen.moments.pop_front();
                    }
                }
            }
            Event::Said { step, text } => {
                if seen.said.len() < ROWS_MAX {
                    seen.said.push((step, text));
                }
            }
            Event::Rows { kind, rows } => {
                seen.kind = kind;
                let room = ROWS_MAX.saturating_sub(seen.rows.len());
                seen.rows.extend(rows.into_iter().take(room));
                seen.rows.sort_by(|a, b| a.step.cmp(&b.step).then(a.epsilon.total_cmp(&b.epsilon)));
            }
        }
        drop(seen);
        let _ = self.changes.send(());
    }

    fn stop(&self) -> bool {
        self.wish.load(Ordering::Relaxed) != ON
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_follows_the_pace() {
        let start = Instant::now();
        let at = |s: u64, done: u64| (start + Duration::from_secs(s), done);
        assert_eq!(remaining(&VecDeque::new(), 100), None);
        assert_eq!(remaining(&VecDeque::from([at(0, 5)]), 100), None);
        assert_eq!(remaining(&VecDeque::from([at(0, 5), at(9, 5)]), 100), None);
        assert_eq!(remaining(&VecDeque::from([at(0, 10), at(4, 20), at(10, 60)]), 100), Some(20));
        assert_eq!(remaining(&VecDeque::from([at(0, 10), at(10, 60)]), 0), Some(0));
    }
}
