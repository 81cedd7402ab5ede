//! What a client may ask for: a rate (token bucket, on the monotonic clock) and a number of rows a day (on the wall
//! clock's UTC day). Attacks on models need thousands of queries, so budgets are a defence, not only fairness.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use domain::ClientId;
use serde::{Deserialize, Serialize};

use crate::Refusal;

/// What one client may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests a second, sustained. Above 0.
    pub requests_per_s: f64,
    /// Requests that may come at once after a pause. At least 1.
    pub burst: u32,
    /// Rows in a UTC day, over all systems.
    pub rows_per_day: u64,
}

impl Default for Budget {
    /// 20 requests a second and 20,000 rows a day: far above what a ward asks for, far below what copying a model takes.
    fn default() -> Self {
        Self { requests_per_s: 20.0, burst: 40, rows_per_day: 20_000 }
    }
}

/// Rows a client has used up on its latest day; kept over restarts by the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetUsage {
    /// Who.
    pub client: ClientId,
    /// UTC day, counted from 1970-01-01.
    pub day: i64,
    /// Rows used on that day.
    pub rows: u64,
}

#[derive(Debug, Clone, Copy)]
struct Meter {
    tokens: f64,
    filled_at_us: u64,
    day: i64,
    rows: u64,
}

/// The meters of all clients. Clients come from the key table, so their number is bounded by it.
#[derive(Default)]
pub(crate) struct Meters(RwLock<HashMap<ClientId, Arc<Mutex<Option<Meter>>>>>);

impl Meters {
    fn meter(&self, client: &ClientId) -> Arc<Mutex<Option<Meter>>> {
        if let Some(meter) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(client) {
            return Arc::clone(meter);
        }
        Arc::clone(self.0.write().unwrap_or_else(PoisonError::into_inner).entry(client.clone()).or_default())
    }

    /// Takes one request and `rows` rows, or says why not; a refusal for the day's rows takes nothing.
    pub(crate) fn take(&self, client: &ClientId, budget: Budget, rows: u64, now: Now) -> Result<(), Refusal> {
        let meter = self.meter(client);
        let mut slot = meter.lock().unwrap_or_else(PoisonError::into_inner);
        let full = f64::from(budget.burst.max(1));
        let meter =
            slot.get_or_insert(Meter { tokens: full, filled_at_us: now.monotonic_us, day: now.day, rows: 0 });
        meter.advance(budget, full, now);
        if meter.tokens < 1.0 {
            let wait_s = ((1.0 - meter.tokens) / budget.requests_per_s.max(1e-9)).ceil().clamp(1.0, 86_400.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to a day of seconds"
            )]
            return Err(Refusal::RateLimited { retry_after_s: wait_s as u32 });
        }
        if meter.rows.saturating_add(rows) > budget.rows_per_day {
            return Err(Refusal::BudgetUsedUp { rows_max: budget.rows_per_day });
        }
        meter.tokens -= 1.0;
        meter.rows += rows;
        Ok(())
    }

    /// Counts rows that were used without having been asked for first: what a reply turned out to cost.
    pub(crate) fn charge(&self, client: &ClientId, rows: u64) {
        let meter = self.meter(client);
        let mut slot = meter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = slot.as_mut() {
            meter.rows = meter.rows.saturating_add(rows);
        }
    }

    /// What has been used.
    pub(crate) fn usage(&self) -> Vec<BudgetUsage> {
        let meters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut usage: Vec<_> = meters
            .iter()
            .filter_map(|(client, meter)| {
                let meter = (*meter.lock().unwrap_or_else(PoisonError::into_inner))?;
                Some(BudgetUsage { client: client.clone(), day: meter.day, rows: meter.rows })
            })
            .collect();
        usage.sort_by(|a, b| a.client.cmp(&b.client));
        usage
    }

    /// Takes up what was used before a restart. Never lowers what is already counted.
    pub(crate) fn restore(&self, usage: &[BudgetUsage], monotonic_us: u64) {
        for used in usage {
            let meter = self.meter(&used.client);
            let mut slot = meter.lock().unwrap_or_else(PoisonError::into_inner);
            let meter = slot.get_or_insert(Meter {
                tokens: f64::INFINITY,
                filled_at_us: monotonic_us,
                day: used.day,
                rows: 0,
            });
            if used.day > meter.day {
                (meter.day, meter.rows) = (used.day, used.rows);
            } else if used.day == meter.day {
                meter.rows = meter.rows.max(used.rows);
            }
        }
    }
}

/// The two clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// UTC day; may go backwards.
    pub(crate) day: i64,
    /// Never goes backwards.
    pub(crate) monotonic_us: u64,
}

impl Meter {
    fn advance(&mut self, budget: Budget, full: f64, now: Now) {
        let elapsed_us = now.monotonic_us.saturating_sub(self.filled_at_us);
        #[expect(
            clippy::cast_precision_loss,
            reason = "microseconds since start stay below 2^53 for 285 years"
        )]
        let earned = elapsed_us as f64 * 1e-6 * budget.requests_per_s.max(0.0);
        self.tokens = (self.tokens + earned).min(full);
        self.filled_at_us = self.filled_at_us.max(now.monotonic_us);
        // A day that went backwards is the clock's fault: the count stays.
        if now.day > self.day {
            (self.day, self.rows) = (now.day, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> ClientId {
        "ward-3".parse().unwrap()
    }

    const BUDGET: Budget = Budget { requests_per_s: 2.0, burst: 2, rows_per_day: 10 };

    fn at(day: i64, seconds: u64) -> Now {
        Now { day, monotonic_us: seconds * 1_000_000 }
    }

    #[test]
    fn a_burst_passes_and_the_next_one_waits_for_a_token() {
        let meters = Meters::default();
        assert!(meters.take(&client(), BUDGET, 1, at(0, 0)).is_ok());
        assert!(meters.take(&client(), BUDGET, 1, at(0, 0)).is_ok());
        assert_eq!(
            meters.take(&client(), BUDGET, 1, at(0, 0)),
            Err(Refusal::RateLimited { retry_after_s: 1 })
        );
        assert!(meters.take(&client(), BUDGET, 1, at(0, 1)).is_ok());
    }

    #[test]
    fn the_day_budget_takes_its_maximum_and_not_one_row_more() {
        let meters = Meters::default();
        assert!(meters.take(&client(), BUDGET, 10, at(5, 0)).is_ok());
        let used_up = Err(Refusal::BudgetUsedUp { rows_max: 10 });
        assert_eq!(meters.take(&client(), BUDGET, 1, at(5, 10)), used_up);
        assert!(meters.take(&client(), BUDGET, 10, at(6, 20)).is_ok(), "the next day renews it");
    }

    #[test]
    fn a_clock_set_back_neither_renews_nor_extends() {
        let meters = Meters::default();
        assert!(meters.take(&client(), BUDGET, 10, at(5, 0)).is_ok());
        for day in [4, 0, -3, 5] {
            assert!(meters.take(&client(), BUDGET, 1, at(day, 100)).is_err(), "day {day}");
        }
        assert_eq!(meters.usage(), vec![BudgetUsage { client: client(), day: 5, rows: 10 }]);
    }

    #[test]
    fn usage_survives_a_restart_and_is_never_lowered() {
        let before = Meters::default();
        before.take(&client(), BUDGET, 7, at(5, 0)).unwrap();
        let after = Meters::default();
        after.restore(&before.usage(), 0);
        assert!(after.take(&client(), BUDGET, 4, at(5, 0)).is_err());
        assert!(after.take(&client(), BUDGET, 3, at(5, 0)).is_ok());
        after.restore(&before.usage(), 0);
        assert_eq!(after.usage()[0].rows, 10);
    }
}
