//! Clocks that disagree.

use super::{Condition, Expected, Facts, Plan};

domain::catalogue_entry! {
    /// Clocks are wrong: fast, slow, or jumping back.
    ///
    /// ## What it is
    /// One sound request each while the gateway's clock stands an hour, a day and ten years before and after the true time, and while it jumps back by a minute and forward by an hour between
    /// two requests. Requests are served or refused as out of time; entries of the ledger keep their order by number, whatever their times say.
    ///
    /// ## Why it matters in care
    /// Who knew what when is a question of law. A log that sorts by a wrong clock, or a session that never ends, answers it wrongly.
    ///
    /// ## Limits
    /// Needs a gateway whose clock can be set from outside: a rehearsal, not the live one. Certificates of other machines may expire in between.
    ///
    /// ## References
    /// RFC 5905 (NTP); CWE-367 for checks that depend on time.
    pub static ENTRY = { id: "X146", name: "clock_skew", kind: Attack, since: "0.1.0", maps: ["CWE-367"] };
}

/// In the registry.
pub(super) static CONDITION: Condition = Condition { entry: &ENTRY, plan };

/// How the gateway's clock stands for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Seconds that it is before (negative: behind) the true time.
    pub ahead_s: i64,
    /// What a sound server answers.
    pub expected: Expected,
}

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const YEARS: i64 = 3_652 * DAY;

fn plan(_facts: &Facts<'_>, _seed: u64) -> Plan {
    let right = Clock { ahead_s: 0, expected: Expected::Served };
    // Keys and gates have dates: out of time is a fault that the client is told of. The jump back by a minute must not matter to anybody.
    let open = |ahead_s| Clock { ahead_s, expected: Expected::ServedOrClientFault };
    let near = |ahead_s| Clock { ahead_s, expected: Expected::Served };
    Plan::Clocks(vec![
        right,
        open(HOUR),
        open(-HOUR),
        open(DAY),
        open(-DAY),
        open(YEARS),
        open(-YEARS),
        right,
        near(-60),
        open(HOUR),
        right,
    ])
}
