//! Counters and histograms of the data plane, in the Prometheus text exposition format 0.0.4. Labels are names from
//! the configuration only, and the number of series is bounded; no patient's value can become a label.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use domain::{Advice, ClientId, SystemId};

/// Most series of one family; what comes later is counted in one series with the label `other`.
pub const SERIES_MAX: usize = 1_000;

/// Upper bounds of the latency buckets, microseconds: 50 µs to 10 s, about 2.2 apart.
pub const BUCKETS_US: [u64; 17] = [
    50, 100, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 125_000, 250_000, 500_000,
    1_000_000, 4_000_000, 10_000_000,
];

/// The words of `Outcome::word`, in the order of the counters.
pub(crate) const OUTCOMES: [&str; 3] = ["clean", "found", "inconclusive"];

/// A latency histogram in microseconds.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    /// Counts one measurement.
    pub fn record(&self, us: u64) {
        if let Some(bucket) =
            BUCKETS_US.iter().position(|&bound| us <= bound).and_then(|i| self.buckets.get(i))
        {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Number of measurements.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Sum of all measurements, microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }

    /// Their mean, microseconds; 0 before the first.
    pub fn mean_us(&self) -> u64 {
        self.sum_us().checked_div(self.count()).unwrap_or(0)
    }

    fn write(&self, out: &mut String, name: &str) {
        let mut below = 0;
        for (bound, bucket) in BUCKETS_US.iter().zip(&self.buckets) {
            below += bucket.load(Ordering::Relaxed);
            #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
            let seconds = *bound as f64 / 1e6;
            let _ = writeln!(out, "{name}_bucket{{le=\"{seconds}\"}} {below}");
        }
        let count = self.count();
        #[expect(clippy::cast_precision_loss, reason = "a sum of seconds for reading, not for accounts")]
        let sum = self.sum_us() as f64 * 1e-6;
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}");
    }
}

/// A family of counters told apart by a key, bounded by [`SERIES_MAX`].
struct Family<K>(RwLock<HashMap<K, Arc<AtomicU64>>>, Arc<AtomicU64>);

impl<K> Default for Family<K> {
    fn default() -> Self {
        Self(RwLock::default(), Arc::default())
    }
}

impl<K: Eq + Hash + Ord + Clone> Family<K> {
    fn add(&self, key: K, n: u64) {
        if let Some(counter) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            counter.fetch_add(n, Ordering::Relaxed);
            return;
        }
        let mut counters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= SERIES_MAX && !counters.contains_key(&key) {
            self.1.fetch_add(n, Ordering::Relaxed);
            return;
        }
        counters.entry(key).or_default().fetch_add(n, Ordering::Relaxed);
    }

    /// The counter of a key, or the one for all others when there is no room for another series.
    fn counter(&self, key: K) -> Arc<AtomicU64> {
        let mut counters = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= SERIES_MAX && !counters.contains_key(&key) {
            return Arc::clone(&self.1);
        }
        Arc::clone(counters.entry(key).or_default())
    }

    fn sum(&self) -> u64 {
        let counters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counters.values().map(|c| c.load(Ordering::Relaxed)).sum::<u64>() + self.1.load(Ordering::Relaxed)
    }

    fn write(&self, out: &mut String, name: &str, labels: impl Fn(&K) -> String) {
        let counters = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut rows: Vec<_> = counters.iter().map(|(k, c)| (k.clone(), c.load(Ordering::Relaxed))).collect();
        rows.sort();
        for (key, count) in rows {
            let _ = writeln!(out, "{name}{{{}}} {count}", labels(&key));
        }
        let other = self.1.load(Ordering::Relaxed);
        if other > 0 {
            let _ = writeln!(out, "{name}{{series=\"other\"}} {other}");
        }
    }
}

/// All counters of one gateway.
#[derive(Default)]
pub struct Metrics {
    exchanges: Family<(SystemId, ClientId, Advice)>,
    rows: Family<SystemId>,
    refusals: Family<(&'static str, Option<SystemId>)>,
    guards: Family<(SystemId, String, &'static str)>,
    /// From arrival to the answer, commit wait included.
    pub exchange_us: Histogram,
    /// The model alone.
    pub model_us: Histogram,
    /// All guards of an exchange together.
    pub guards_us: Histogram,
    /// Wait for the ledger entries to be durable.
    pub commit_wait_us: Histogram,
    /// Connections open now, kept by the server.
    pub connections: AtomicU64,
    /// Exchanges open now.
    pub open_exchanges: AtomicU64,
    /// Panics caught in guards and models.
    pub panics: AtomicU64,
    /// Number of entries in the ledger, as of the latest append.
    pub ledger_size: AtomicU64,
}

impl Metrics {
    pub(crate) fn answered(&self, system: &SystemId, client: &ClientId, advice: Advice, rows: u32) {
        self.exchanges.add((system.clone(), client.clone(), advice), 1);
        self.rows.add(system.clone(), u64::from(rows));
    }

    pub(crate) fn refused(&self, code: &'static str, system: Option<&SystemId>) {
        self.refusals.add((code, system.cloned()), 1);
    }

    /// The counters of one guard, to be kept at hand: clean, found, inconclusive.
    pub(crate) fn guard_counters(&self, system: &SystemId, instance: &str) -> [Arc<AtomicU64>; 3] {
        OUTCOMES.map(|outcome| self.guards.counter((system.clone(), instance.to_owned(), outcome)))
    }

    pub(crate) fn guard(&self, system: &SystemId, instance: &str, outcome: &'static str) {
        self.guards.add((system.clone(), instance.to_owned(), outcome), 1);
    }

    /// Exchanges that were answered.
    pub fn answered_total(&self) -> u64 {
        self.exchanges.sum()
    }

    /// Requests that were refused, before or after opening.
    pub fn refused_total(&self) -> u64 {
        self.refusals.sum()
    }

    /// The text for Prometheus.
    pub fn exposition(&self) -> String {
        let mut out = String::with_capacity(8 << 10);
        let head = |out: &mut String, name: &str, kind: &str, help: &str| {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        };
        let name = "asepsis_exchanges_total";
        head(&mut out, name, "counter", "Answered exchanges.");
        self.exchanges.write(&mut out, name, |(system, client, advice)| {
            format!("system=\"{system}\",client=\"{client}\",advice=\"{advice}\"")
        });
        let name = "asepsis_rows_total";
        head(&mut out, name, "counter", "Rows answered.");
        self.rows.write(&mut out, name, |system| format!("system=\"{system}\""));
        let name = "asepsis_refusals_total";
        head(&mut out, name, "counter", "Refused requests by code (asepsis explain CODE).");
        self.refusals.write(&mut out, name, |(code, system)| {
            format!("code=\"{code}\",system=\"{}\"", system.as_ref().map_or("", SystemId::as_str))
        });
        let name = "asepsis_guard_verdicts_total";
        head(&mut out, name, "counter", "Verdicts of guards by outcome.");
        self.guards.write(&mut out, name, |(system, instance, outcome)| {
            format!("system=\"{system}\",guard=\"{}\",outcome=\"{outcome}\"", escape(instance))
        });
        for (name, help, histogram) in [
            (
                "asepsis_exchange_seconds",
                "From arrival to the answer, commit wait included.",
                &self.exchange_us,
            ),
            ("asepsis_model_seconds", "Time in the model.", &self.model_us),
            ("asepsis_guards_seconds", "Time in all guards of an exchange.", &self.guards_us),
            ("asepsis_commit_wait_seconds", "Wait for the ledger to be durable.", &self.commit_wait_us),
        ] {
            head(&mut out, name, "histogram", help);
            histogram.write(&mut out, name);
        }
        for (name, kind, help, value) in [
            ("asepsis_connections", "gauge", "Connections open now.", &self.connections),
            ("asepsis_open_exchanges", "gauge", "Exchanges open now.", &self.open_exchanges),
            ("asepsis_panics_total", "counter", "Panics caught in guards and models.", &self.panics),
            ("asepsis_ledger_entries", "gauge", "Entries in the ledger.", &self.ledger_size),
        ] {
            head(&mut out, name, kind, help);
            let _ = writeln!(out, "{name} {}", value.load(Ordering::Relaxed));
        }
        out
    }
}

/// Escapes a label value as the exposition format asks: backslash, quote, line feed.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_series_is_bounded_and_nothing_is_lost() {
        let metrics = Metrics::default();
        let system: SystemId = "s".parse().unwrap();
        for i in 0..=SERIES_MAX {
            metrics.guard(&system, &format!("g{i}"), "clean");
        }
        let text = metrics.exposition();
        assert!(text.contains("asepsis_guard_verdicts_total{series=\"other\"} 1\n"));
        assert_eq!(metrics.guards.sum(), SERIES_MAX as u64 + 1);
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let histogram = Histogram::default();
        [50, 51, 99_000_000].into_iter().for_each(|us| histogram.record(us));
        let mut text = String::new();
        histogram.write(&mut text, "h");
        assert!(text.contains("h_bucket{le=\"0.00005\"} 1\nh_bucket{le=\"0.0001\"} 2\n"), "{text}");
        assert!(text.contains("h_bucket{le=\"+Inf\"} 3\n"));
    }

    #[test]
    fn label_values_cannot_break_out() {
        assert_eq!(escape("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
