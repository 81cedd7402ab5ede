//! `asepsis exercise service`: what goes wrong around the model, done to a real gateway with the system's guards; each answer is held against what a sound server
//! says. Times of the gateway's meters and dates are set by the exercise; model servers are slow and die on loopback.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use app::exercise::{self, Door, Guarded, Room};
use attack::corruption::service::{
    Arrival, CONDITIONS, Clock, Condition, Expected, Facts, Plan, Request, Upstream,
};
use attack::scorecard::ServiceRow;
use domain::SystemId;
use gateway::Backend;
use upstream::{Secret, Visitor};

use super::BYTES_MAX;
use super::gate::{Gate, GateLimits, NOW_MS};
use super::sick::{self, Sick};
use crate::cli::Format;
use crate::local::Place;
use crate::scan::pretty;

/// Longest time for an exchange in these exercises, milliseconds: ten times as long is waited for as well, and the point does not depend on it.
const EXCHANGE_MS_MAX: u64 = 2_000;
/// Requests of a burst that fall into this time are sent at once, milliseconds.
const SLOT_MS: u64 = 50;
/// Seed of the plans.
const SEED: u64 = 1;
/// Name of the system in the gateway.
const ROOM: &str = "service";
/// Rows among which one is looked for that the guards let pass.
const TRIES_MAX: usize = 64;

/// What was asked, what a sound server answers, what came.
type Met = (String, Expected, Result<(u16, String), String>);

/// Runs the conditions and shows what came of them; 0 all sound, 1 something was not.
pub fn service(place: &Place, id: &SystemId, only: &[String], format: Format) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let rows = rows(place, id, only, &runtime)?;
    match format {
        Format::Json => print!("{}", pretty(&rows)?),
        _ => show(&rows),
    }
    Ok(u8::from(rows.iter().any(|r| !r.unsound.is_empty())))
}

fn show(rows: &[ServiceRow]) {
    for row in rows {
        println!("{} {:<20} {} of {} answers sound", row.condition, row.name, row.sound.hits, row.sound.of);
        let answers: Vec<String> = row.answers.iter().map(|(got, n)| format!("{got}: {n}")).collect();
        println!("     {}", answers.join(", "));
        for unsound in &row.unsound {
            println!("     {}: {} where {:?} is sound", unsound.what, unsound.got, unsound.expected);
        }
    }
}

/// The conditions called by name, or all.
fn chosen(only: &[String]) -> anyhow::Result<Vec<&'static Condition>> {
    if only.is_empty() {
        return Ok(CONDITIONS.to_vec());
    }
    let find = |name: &String| {
        let names: Vec<&str> = CONDITIONS.iter().map(|c| c.entry.name).collect();
        attack::corruption::service::find(name)
            .with_context(|| format!("there is no condition `{name}`: there are {}", names.join(", ")))
    };
    only.iter().map(find).collect()
}

fn rows(
    place: &Place,
    id: &SystemId,
    only: &[String],
    runtime: &tokio::runtime::Runtime,
) -> anyhow::Result<Vec<ServiceRow>> {
    let chosen = chosen(only)?;
    let settings = app::config::load(&place.config)?;
    let system = settings.systems.get(id).ok_or_else(|| app::AppError::UnknownSystem(id.to_string()))?;
    let guarded = Arc::new(exercise::guarded(system, BYTES_MAX, runtime.handle())?);
    let mut limits = settings.limits.clone();
    limits.exchange_ms_max = limits.exchange_ms_max.min(EXCHANGE_MS_MAX);
    runtime.block_on(async {
        let (row, another) = passing(&guarded, &limits).await?;
        let shape = guarded.schema.shape(1);
        let facts = Facts {
            tensor: guarded.schema.tensor(),
            row_shape: shape.get(1..).unwrap_or_default(),
            rows: &row,
            batch_rows_max: limits.batch_rows_max,
            body_bytes_max: limits.body_bytes_max,
            requests_per_second: limits.client_requests_per_second,
            burst: limits.client_burst,
            exchange_ms_max: limits.exchange_ms_max,
        };
        let bench = Bench { guarded: Arc::clone(&guarded), limits: limits.clone(), facts, another: &another };
        let mut out = Vec::new();
        for condition in chosen {
            let met = match (condition.plan)(&facts, SEED) {
                Plan::Requests(all) => bench.requests(all).await,
                Plan::Arrivals(all) => bench.arrivals(all).await,
                Plan::Upstreams(all) => bench.upstreams(all).await,
                Plan::Clocks(all) => bench.clocks(all).await,
            };
            let met = met.with_context(|| format!("`{}` could not be run", condition.entry.name))?;
            out.push(ServiceRow::of(condition.entry, met));
        }
        Ok(out)
    })
}

/// Two rows that the guards have nothing against: the plans are about requests, not about patients.
async fn passing(
    guarded: &Arc<Guarded>,
    limits: &app::config::Limits,
) -> anyhow::Result<(Vec<f32>, Vec<f32>)> {
    let gate = Gate::start(Arc::clone(guarded), GateLimits { configured: limits.clone(), lifted: true })?;
    let visit = Visit::of(&gate, limits)?;
    let mut first = None;
    for row in guarded.some_rows(TRIES_MAX) {
        let shape: Vec<String> = guarded.schema.shape(1).iter().map(ToString::to_string).collect();
        let values: Vec<String> = row.iter().map(ToString::to_string).collect();
        let body = format!(
            r#"{{"inputs":[{{"name":{},"shape":[{}],"datatype":"FP32","data":[{}]}}]}}"#,
            serde_json::Value::from(guarded.schema.tensor()),
            shape.join(","),
            values.join(",")
        );
        if visit.send(&[], body.into_bytes()).await.is_ok_and(|(status, _)| status == 200) {
            let Some(first) = first.take() else {
                first = Some(row);
                continue;
            };
            gate.stop().await;
            return Ok((first, row));
        }
    }
    bail!(
        "fewer than two of {TRIES_MAX} reference rows are served by this system's gateway: see `asepsis gate`"
    )
}

/// A client of a gate, with its key.
struct Visit {
    visitor: Visitor,
    key: Secret,
}

impl Visit {
    fn of(gate: &Gate, limits: &app::config::Limits) -> anyhow::Result<Self> {
        let room = Room { name: ROOM.to_owned(), clients: vec!["honest".to_owned()] };
        let key = gate.open(&[room])?.pop().and_then(|mut k| k.pop()).context("a room without a key")?;
        // An answer within the time of an exchange and a second; later is silence. Bodies that are huge take their time on a busy machine.
        let visitor = Visitor::new(&gate.address().parse()?, limits.exchange_ms_max * 10 + 10_000)?;
        Ok(Self { visitor, key })
    }

    async fn send(&self, headers: &[(&'static str, String)], body: Vec<u8>) -> Result<(u16, String), String> {
        let reaction = self.visitor.provoke(ROOM, Some(&self.key), headers, body).await;
        reaction.map(|r| (r.status, r.code)).map_err(|e| format!("no answer: {}", e.code()))
    }
}

fn json() -> Vec<(&'static str, String)> {
    vec![("content-type", "application/json".to_owned())]
}

/// What the plans are run against.
struct Bench<'a> {
    guarded: Arc<Guarded>,
    limits: app::config::Limits,
    facts: Facts<'a>,
    another: &'a [f32],
}

impl Bench<'_> {
    fn gate(&self, lifted: bool) -> anyhow::Result<Gate> {
        Gate::start(Arc::clone(&self.guarded), GateLimits { configured: self.limits.clone(), lifted })
    }

    async fn requests(&self, all: Vec<Request>) -> anyhow::Result<Vec<Met>> {
        let gate = self.gate(true)?;
        let visit = Visit::of(&gate, &self.limits)?;
        let mut met = Vec::new();
        for request in all {
            let came = visit.send(&request.headers, request.body).await;
            met.push((request.what, request.expected, came));
        }
        // Another patient: after so many requests around the first one, a guard against searches may rightly refuse it.
        let facts = Facts { rows: self.another, ..self.facts };
        let after = visit.send(&json(), facts.valid(1)).await;
        met.push((
            "a sound request about another patient after all of them".to_owned(),
            Expected::Served,
            after,
        ));
        gate.stop().await;
        Ok(met)
    }

    /// The gateway's stopwatch is set to each slot of the plan; what falls into one slot is sent at once.
    async fn arrivals(&self, all: Vec<Arrival>) -> anyhow::Result<Vec<Met>> {
        let gate = self.gate(false)?;
        let visit = Arc::new(Visit::of(&gate, &self.limits)?);
        let mut met = Vec::new();
        for slot in all.chunk_by(|a, b| a.at_ms / SLOT_MS == b.at_ms / SLOT_MS) {
            let at_ms = slot.last().map_or(0, |a| a.at_ms);
            gate.clock().stand_at(at_ms);
            let mut set = tokio::task::JoinSet::new();
            for arrival in slot {
                let (visit, body, arrival) = (Arc::clone(&visit), self.facts.valid(1), *arrival);
                set.spawn(async move { (arrival, visit.send(&json(), body).await) });
            }
            for (arrival, came) in set.join_all().await {
                met.push((format!("at {} ms", arrival.at_ms), arrival.expected, came));
            }
        }
        gate.stop().await;
        Ok(met)
    }

    async fn clocks(&self, all: Vec<Clock>) -> anyhow::Result<Vec<Met>> {
        let gate = self.gate(true)?;
        let visit = Visit::of(&gate, &self.limits)?;
        let mut met = Vec::new();
        for clock in all {
            gate.clock().set(NOW_MS + clock.ahead_s * 1_000);
            let came = visit.send(&json(), self.facts.valid(1)).await;
            met.push((format!("{} s ahead", clock.ahead_s), clock.expected, came));
        }
        gate.stop().await;
        Ok(met)
    }

    async fn upstreams(&self, all: Vec<Upstream>) -> anyhow::Result<Vec<Met>> {
        let sick = Sick::start(Arc::clone(&self.guarded)).await?;
        let mut config = upstream::Config::new(sick.url().parse()?, sick::MODEL);
        config.timeout_ms = self.limits.exchange_ms_max;
        let remote = Arc::new(upstream::Remote::connect(config)?);
        let limits = GateLimits { configured: self.limits.clone(), lifted: false };
        let gate = Gate::before(Backend::Remote(remote), Arc::clone(&self.guarded), limits)?;
        let visit = Visit::of(&gate, &self.limits)?;
        let late = Duration::from_millis(self.limits.exchange_ms_max + 1_000);
        let mut met = Vec::new();
        for way in all {
            sick.behave(way);
            let headers = json();
            let sent = visit.send(&headers, self.facts.valid(1));
            let came = tokio::time::timeout(late, sent).await;
            let came = came.unwrap_or_else(|_| Err("no answer within the time and a second".to_owned()));
            met.push((way.what.to_owned(), way.expected, came));
        }
        gate.stop().await;
        Ok(met)
    }
}
