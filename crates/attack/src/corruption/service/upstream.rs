//! Model servers that are slow or dying.

use super::{Condition, Expected, Facts, Plan};

domain::catalogue_entry! {
    /// The model server is slow: late with its first byte, or dripping.
    ///
    /// ## What it is
    /// One sound request before a model server that starts its answer after a tenth, a half, all and ten times of the time that an exchange may take, or sends it one byte at a time.
    /// Within the time it is served; beyond it the client hears so (504 or 503) in that time, not later.
    ///
    /// ## Why it matters in care
    /// A clinician waits for the screen. An honest "not available" after ten seconds lets them go on; a spinning wheel does not.
    ///
    /// ## Limits
    /// Needs a model server that can be made slow: not for models in process.
    ///
    /// ## References
    /// Nygard 2018, Release It!, 2nd ed. (slow responses); CWE-400.
    pub static ENTRY_SLOW = { id: "X143", name: "slow_upstream", kind: Attack, since: "0.1.0", maps: ["CWE-400"] };
}

domain::catalogue_entry! {
    /// The model server dies: refuses, hangs up half-way, answers with nonsense.
    ///
    /// ## What it is
    /// One sound request each before a model server that closes at once, closes after the head, after half of its answer, answers 500, sends text that is no answer, sends
    /// an answer of another length than it says, or never stops sending. The client hears of a fault of the model server (502 to 504), and no half answer is passed on.
    ///
    /// ## Why it matters in care
    /// Half of an answer can read like a whole one. What was cut off must never be shown as a result.
    ///
    /// ## Limits
    /// Needs a model server that can be made to fail: not for models in process.
    ///
    /// ## References
    /// Nygard 2018, Release It!, 2nd ed. (integration points); CWE-754.
    pub static ENTRY_DYING = { id: "X144", name: "dying_upstream", kind: Attack, since: "0.1.0", maps: ["CWE-754"] };
}

/// In the registry.
pub(super) static SLOW: Condition = Condition { entry: &ENTRY_SLOW, plan: slow };

/// In the registry.
pub(super) static DYING: Condition = Condition { entry: &ENTRY_DYING, plan: dying };

/// What a model server's answer consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The model's.
    Sound,
    /// Status 500 with a text.
    ServerError,
    /// Status 200 and a text that is no JSON.
    Nonsense,
    /// The model's answer to another request: another `id`, if the request had one, and another model's name.
    Another,
    /// A sound head, then bytes without end.
    Endless,
}

/// How a model server behaves for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upstream {
    /// What it does, in words.
    pub what: &'static str,
    /// Milliseconds before its first byte.
    pub first_byte_after_ms: u64,
    /// Milliseconds between bytes of the body; 0 for all at once.
    pub between_bytes_ms: u64,
    /// Closes the connection after this many thousandths of the answer's bytes (head and body); `None` for not at all.
    pub closes_after_thousandths: Option<u16>,
    /// What it says.
    pub answer: Answer,
    /// What the caller should get from the gateway, within [`Facts::exchange_ms_max`] and a second.
    pub expected: Expected,
}

const SOUND: Upstream = Upstream {
    what: "answers at once",
    first_byte_after_ms: 0,
    between_bytes_ms: 0,
    closes_after_thousandths: None,
    answer: Answer::Sound,
    expected: Expected::Served,
};

fn slow(facts: &Facts<'_>, _seed: u64) -> Plan {
    let all = facts.exchange_ms_max.max(10);
    let late =
        |what, first_byte_after_ms, expected| Upstream { what, first_byte_after_ms, expected, ..SOUND };
    Plan::Upstreams(vec![
        SOUND,
        late("answers after a tenth of the time", all / 10, Expected::Served),
        late("answers after half of the time", all / 2, Expected::ServedOrUpstreamFault),
        late("answers when the time is over", all + 500, Expected::UpstreamFault),
        late("answers after ten times the time", all * 10, Expected::UpstreamFault),
        // Slow enough that a hundred bytes take longer than is allowed.
        Upstream { what: "drips", between_bytes_ms: all / 50, expected: Expected::UpstreamFault, ..SOUND },
        SOUND,
    ])
}

fn dying(_facts: &Facts<'_>, _seed: u64) -> Plan {
    let closes = |what, thousandths| Upstream {
        what,
        closes_after_thousandths: Some(thousandths),
        expected: Expected::UpstreamFault,
        ..SOUND
    };
    let says = |what, answer| Upstream { what, answer, expected: Expected::UpstreamFault, ..SOUND };
    Plan::Upstreams(vec![
        SOUND,
        closes("closes at once", 0),
        closes("closes in the middle of its answer", 500),
        closes("closes just before the end", 990),
        says("answers 500", Answer::ServerError),
        says("answers with nonsense", Answer::Nonsense),
        says("answers another request", Answer::Another),
        says("never stops sending", Answer::Endless),
        // A circuit breaker may still be open after so many failures; that is a fault of the server, said so.
        Upstream { what: "answers again", expected: Expected::ServedOrUpstreamFault, ..SOUND },
    ])
}
