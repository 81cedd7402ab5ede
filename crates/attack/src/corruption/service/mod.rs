//! What goes wrong around the model: requests that are none, loads, servers and clocks. Nothing is sent from here: a [`Plan`] is data, and whoever runs it
//! asks [`Expected::allows`] about each answer.

mod clock;
mod load;
mod malformed;
mod upstream;

use domain::Entry;
use serde::{Deserialize, Serialize};

pub use clock::Clock;
pub use load::Arrival;
pub use upstream::{Answer, Upstream};

/// All conditions of the service.
pub static CONDITIONS: &[&Condition] = &[
    &malformed::CONDITION,
    &load::HUGE_BATCH,
    &upstream::SLOW,
    &upstream::DYING,
    &load::BURST,
    &clock::CONDITION,
];

/// A condition in the registry.
pub struct Condition {
    /// Its page.
    pub entry: &'static Entry,
    /// What is to be done, for a model and a gateway. The same facts and seed give the same plan.
    pub plan: fn(&Facts<'_>, u64) -> Plan,
}

/// What a plan has to know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts<'a> {
    /// Name of the input tensor.
    pub tensor: &'a str,
    /// Its shape without the batch, for example `[1, 28, 28]`.
    pub row_shape: &'a [usize],
    /// Rows that the model takes, in its own units, one after another; at least one. They are sent as `FP32`.
    pub rows: &'a [f32],
    /// Largest number of rows that the gateway takes at once.
    pub batch_rows_max: usize,
    /// Largest body that the gateway takes, in bytes.
    pub body_bytes_max: usize,
    /// Requests per second that one client may send, and how many at once.
    pub requests_per_second: u32,
    /// See `requests_per_second`.
    pub burst: u32,
    /// Longest time for one exchange, in milliseconds.
    pub exchange_ms_max: u64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// These requests, one after another, each on a connection that works. After the last, [`Facts::valid`] must still be served.
    Requests(Vec<Request>),
    /// Valid requests at these times.
    Arrivals(Vec<Arrival>),
    /// One valid request before a model server that behaves so, for each.
    Upstreams(Vec<Upstream>),
    /// One valid request while the clocks stand so, for each.
    Clocks(Vec<Clock>),
}

/// A request to `POST /v2/models/MODEL/infer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is wrong with it, in words.
    pub what: String,
    /// Headers besides length and authorisation.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What a sound server answers.
    pub expected: Expected,
}

/// The answers that are sound. Everything else is a finding: above all 500, a closed connection and silence beyond [`Facts::exchange_ms_max`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Served: 200.
    Served,
    /// A fault of the client, said so: 400 to 499.
    ClientFault,
    /// Served, or refused as a fault of the client: the protocol leaves it open.
    ServedOrClientFault,
    /// Served, or asked to come again: 200, 429, 503.
    ServedOrBusy,
    /// A fault of the model server, said so: 502, 503, 504.
    UpstreamFault,
    /// Served, or a fault of the model server.
    ServedOrUpstreamFault,
}

impl Expected {
    /// Whether an answer with this HTTP status is sound.
    pub const fn allows(self, status: u16) -> bool {
        let (served, client) = (status == 200, status >= 400 && status < 500);
        let (busy, upstream) = (status == 429 || status == 503, status >= 502 && status <= 504);
        match self {
            Self::Served => served,
            Self::ClientFault => client,
            Self::ServedOrClientFault => served || client,
            Self::ServedOrBusy => served || busy,
            Self::UpstreamFault => upstream,
            Self::ServedOrUpstreamFault => served || upstream,
        }
    }
}

impl Facts<'_> {
    /// Values in a row.
    fn width(&self) -> usize {
        self.row_shape.iter().product()
    }

    /// `[n, …]` as JSON.
    fn shape(&self, n: usize) -> String {
        let sizes: Vec<String> =
            std::iter::once(n).chain(self.row_shape.iter().copied()).map(|d| d.to_string()).collect();
        format!("[{}]", sizes.join(","))
    }

    /// The values of `n` rows as a JSON array, the given rows over and over.
    fn data(&self, n: usize) -> String {
        let mut text = String::from("[");
        // Values that JSON cannot carry are sent as 0: the plan is about the request, not about them.
        let values = self.rows.iter().cycle().take(if self.rows.is_empty() { 0 } else { n * self.width() });
        for (at, value) in values.enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&if value.is_finite() { *value } else { 0.0 }.to_string());
        }
        text.push(']');
        text
    }

    /// The input tensor as JSON, with this shape and these data.
    fn input(&self, shape: &str, data: &str) -> String {
        let name = serde_json::Value::from(self.tensor);
        format!(r#"{{"name":{name},"shape":{shape},"datatype":"FP32","data":{data}}}"#)
    }

    /// The body of a sound request of `n` rows.
    pub fn valid(&self, n: usize) -> Vec<u8> {
        format!(r#"{{"inputs":[{}]}}"#, self.input(&self.shape(n), &self.data(n))).into_bytes()
    }
}

/// The condition called `typed`, by id or name.
pub fn find(typed: &str) -> Option<&'static Condition> {
    let same =
        |c: &&&Condition| c.entry.id.eq_ignore_ascii_case(typed) || c.entry.name.eq_ignore_ascii_case(typed);
    CONDITIONS.iter().find(same).copied()
}

#[cfg(test)]
mod tests;
