//! A circuit breaker: a server that failed several times in a row is left alone for a while, then tried with one
//! request. Callers get their refusal at once instead of after a timeout, and a struggling server gets air.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The state, as shown on pages and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Requests go through.
    Closed,
    /// Requests are refused for so many more milliseconds.
    Open {
        /// Time left.
        retry_after_ms: u64,
    },
    /// One request is out to see whether the server is back, or may go out now.
    HalfOpen,
}

/// The breaker. Time is handed in, so that tests need not wait.
#[derive(Debug)]
pub struct Circuit {
    failures_max: u32,
    open: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// Until when requests are refused; `None` while closed.
    open_until: Option<Instant>,
    /// When the one trial request went out; it counts as lost after the open time, should its caller have gone.
    trial: Option<Instant>,
}

impl Circuit {
    /// Opens after `failures_max` failures in a row (0 counts as 1), for `open`.
    pub fn new(failures_max: u32, open: Duration) -> Self {
        Self { failures_max: failures_max.max(1), open, inner: Mutex::default() }
    }

    /// May a request go out?
    ///
    /// # Errors
    /// The milliseconds to wait, at least 1.
    pub fn admit(&self, now: Instant) -> Result<(), u64> {
        let mut inner = self.lock();
        let Some(until) = inner.open_until else { return Ok(()) };
        if now < until {
            return Err(left_ms(until, now));
        }
        if let Some(trial) = inner.trial.filter(|t| now.duration_since(*t) < self.open) {
            return Err(left_ms(trial + self.open, now));
        }
        inner.trial = Some(now);
        Ok(())
    }

    /// A request that was admitted ended well, or badly by its own fault.
    pub fn succeeded(&self) {
        *self.lock() = Inner::default();
    }

    /// A request that was admitted ended badly by the server's fault.
    pub fn failed(&self, now: Instant) {
        let mut inner = self.lock();
        inner.failures = inner.failures.saturating_add(1);
        inner.trial = None;
        if inner.failures >= self.failures_max {
            inner.open_until = Some(now + self.open);
        }
    }

    /// The state at `now`.
    pub fn state(&self, now: Instant) -> CircuitState {
        match self.lock().open_until {
            None => CircuitState::Closed,
            Some(until) if now < until => CircuitState::Open { retry_after_ms: left_ms(until, now) },
            Some(_) => CircuitState::HalfOpen,
        }
    }

    /// Nothing inside can panic half-way, so a poisoned lock holds a sound state.
    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn left_ms(until: Instant, now: Instant) -> u64 {
    u64::try_from(until.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Duration = Duration::from_secs(5);

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (circuit, now) = (Circuit::new(3, OPEN), Instant::now());
        for _ in 0..2 {
            circuit.failed(now);
        }
        circuit.succeeded();
        for _ in 0..2 {
            circuit.failed(now);
        }
        assert_eq!(circuit.admit(now), Ok(()));
        circuit.failed(now);
        assert_eq!(circuit.admit(now), Err(5_000));
        assert_eq!(circuit.state(now), CircuitState::Open { retry_after_ms: 5_000 });
    }

    #[test]
    fn one_trial_decides_and_a_lost_trial_does_not_lock_out() {
        let (circuit, start) = (Circuit::new(1, OPEN), Instant::now());
        circuit.failed(start);
        let later = start + OPEN;
        assert_eq!(circuit.state(later), CircuitState::HalfOpen);
        assert_eq!(circuit.admit(later), Ok(()));
        assert!(circuit.admit(later).is_err(), "one at a time");
        assert_eq!(circuit.admit(later + OPEN), Ok(()), "the first trial's caller went away");
        circuit.failed(later + OPEN);
        assert!(matches!(circuit.state(later + OPEN), CircuitState::Open { .. }));
        assert_eq!(circuit.admit(later + OPEN + OPEN), Ok(()));
        circuit.succeeded();
        assert_eq!(circuit.state(later), CircuitState::Closed);
        assert_eq!((circuit.admit(later), circuit.admit(later)), (Ok(()), Ok(())));
    }
}
