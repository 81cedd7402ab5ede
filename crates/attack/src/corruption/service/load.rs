//! Too much at once.

use numeric::Rng;

use super::{Condition, Expected, Facts, Plan, Request};

domain::catalogue_entry! {
    /// Batches are huge: as many rows as are let in, one more, and ten times as many.
    ///
    /// ## What it is
    /// Sound requests of 1, a half, all, one more than all and ten times all of the rows that the gateway takes at once. Up to the limit they are served, if the body is
    /// small enough; beyond it they are refused as a fault of the client, before the model sees them.
    ///
    /// ## Why it matters in care
    /// A night job that sends the whole archive in one request must not keep the emergency room waiting.
    ///
    /// ## Limits
    /// One request at a time. Many clients at their limits are another condition (`burst_load`).
    ///
    /// ## References
    /// CWE-770, allocation of resources without limits.
    pub static ENTRY_BATCH = { id: "X142", name: "huge_batches", kind: Attack, since: "0.1.0", maps: ["AML.T0029", "CWE-770"] };
}

domain::catalogue_entry! {
    /// Requests come in bursts, many times what a client may send.
    ///
    /// ## What it is
    /// Ten seconds of sound requests of one client, with random gaps: one second at half of the permitted rate, then bursts of 2, 5, 10 and 20 times that rate for a second each, with
    /// quiet seconds between. Each is served or asked to come again (429 or 503); those in the quiet seconds, after the allowance has filled up again, are served.
    ///
    /// ## Why it matters in care
    /// Shift change, a restarted interface that sends its backlog, a loop in somebody's script. The others' requests must get through.
    ///
    /// ## Limits
    /// One client. What the others see during the burst has to be measured beside it.
    ///
    /// ## References
    /// CWE-770; Kleinrock 1975, Queueing Systems (Poisson arrivals).
    pub static ENTRY_BURST = { id: "X145", name: "burst_load", kind: Attack, since: "0.1.0", maps: ["AML.T0029", "CWE-770"] };
}

/// In the registry.
pub(super) static HUGE_BATCH: Condition = Condition { entry: &ENTRY_BATCH, plan: batches };

/// In the registry.
pub(super) static BURST: Condition = Condition { entry: &ENTRY_BURST, plan: burst };

/// Rows of the largest request that is made: more would only cost memory here.
const ROWS_MAX: usize = 1 << 20;

fn batches(facts: &Facts<'_>, _seed: u64) -> Plan {
    let all = facts.batch_rows_max.clamp(1, ROWS_MAX / 10);
    let mut sizes = vec![1, all.div_ceil(2), all, all + 1, all * 10];
    sizes.dedup();
    let requests = sizes.into_iter().map(|n| {
        let body = facts.valid(n);
        let within = n <= facts.batch_rows_max && body.len() <= facts.body_bytes_max;
        Request {
            what: format!("{n} rows"),
            headers: vec![("content-type", "application/json".to_owned())],
            expected: if within { Expected::Served } else { Expected::ClientFault },
            body,
        }
    });
    Plan::Requests(requests.collect())
}

/// A sound request at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Milliseconds from the start.
    pub at_ms: u64,
    /// What a sound server answers.
    pub expected: Expected,
}

/// Times the permitted rate, second by second.
const SECONDS: [f64; 10] = [0.5, 2.0, 0.0, 0.5, 5.0, 0.0, 10.0, 0.0, 20.0, 0.0];

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds within ten seconds"
)]
fn burst(facts: &Facts<'_>, seed: u64) -> Plan {
    let mut rng = Rng::new(seed, 145);
    let permitted = f64::from(facts.requests_per_second.max(1));
    let mut arrivals = Vec::new();
    for (second, times) in (0..).zip(SECONDS) {
        let start = second * 1_000;
        if times > 0.0 {
            // Below the rate, and before anything was used up, nobody has to wait.
            let calm = second == 0 && permitted <= f64::from(facts.burst);
            let expected = if calm { Expected::Served } else { Expected::ServedOrBusy };
            let mut at = 0.0;
            loop {
                at += -(1.0 - rng.uniform()).ln() * 1_000.0 / (times * permitted);
                if at >= 1_000.0 {
                    break;
                }
                arrivals.push(Arrival { at_ms: start + at as u64, expected });
            }
        }
    }
    // When all is quiet again and the allowance has had time to fill up for one, it must go on as if nothing had been.
    let filled = (1_000.0 / permitted).ceil() as u64 + 1;
    arrivals.push(Arrival { at_ms: 10_000 + filled, expected: Expected::Served });
    Plan::Arrivals(arrivals)
}
