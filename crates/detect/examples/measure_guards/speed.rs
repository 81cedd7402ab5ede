//! How fast the guards are: G005 against a million stored queries, and a table's whole path.

use std::time::Instant;

use detect::{Context, GuardSet, History, Screening};
use domain::{Clock, InferenceRequest, Phi, Tensor, TensorData, Timestamp};
use numeric::Rng;

use crate::session::Bench;
use crate::{Outcome, SEED};

/// Queries that are stored before the measurement.
const STORED: usize = 1_000_000;

/// Queries that are timed.
const TIMED: usize = 200_000;

/// Rows per request, so that the request's own cost is shared.
const BATCH: usize = 100;

struct Real(Instant);

impl Clock for Real {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// G005 alone with a million stored queries.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a measurement")]
pub fn measure(bench: &Bench) -> Outcome<()> {
    let mut settings = bench.settings.clone();
    settings.schema.enabled = false;
    settings.clinical_range.enabled = false;
    settings.out_of_distribution.enabled = false;
    settings.extraction.enabled = false;
    settings.pixel_noise.enabled = false;
    settings.query_similarity.remembered = u64::try_from(STORED)?.try_into()?;
    settings.query_similarity.budget_us = u64::MAX;
    settings.clinical_range.enabled = false;
    let set = GuardSet::build(&settings, &bench.schema, &bench.fitted)?;
    let history = History::new(&settings, &bench.fitted);
    let (client, clock) = (bench.client("many")?, Real(Instant::now()));
    let cx = Context {
        client: &client,
        at: Timestamp::from_millis(1_795_400_000_000),
        clock: &clock,
        history: &history,
    };
    let inputs = &bench.fit.inputs;
    let mut rng = Rng::new(SEED, 95);
    // New patients as blends of two known ones with noise: as spread out as the real ones.
    let mut batch = || -> Outcome<InferenceRequest> {
        let mut values = Vec::with_capacity(BATCH * inputs.cols);
        for _ in 0..BATCH {
            let (a, b) = (inputs.row(rng.below(inputs.rows)), inputs.row(rng.below(inputs.rows)));
            let t = rng.uniform() as f32;
            let jitter = rng.range(-0.1, 0.1) as f32;
            values.extend(a.iter().zip(b).map(|(x, y)| x + (y - x) * t + jitter));
        }
        let tensor = Tensor::new("input", bench.schema.shape(BATCH), TensorData::Fp32(values))?;
        let system = bench.system()?;
        Ok(InferenceRequest { id: None, system, inputs: Phi::new(vec![tensor]), outputs: Vec::new() })
    };
    for _ in 0..STORED / BATCH {
        let _ = set.screen_request(batch()?, &cx);
    }
    let requests: Vec<InferenceRequest> = (0..TIMED / BATCH).map(|_| batch()).collect::<Outcome<_>>()?;
    let started = Instant::now();
    let mut blocked = 0;
    for request in requests {
        blocked += usize::from(matches!(set.screen_request(request, &cx), Screening::Blocked { .. }));
    }
    let rate = TIMED as f64 / started.elapsed().as_secs_f64();
    println!("\n### Speed, one thread\n");
    println!(
        "query-similarity on images, {} stored: {rate:.0} queries/s ({blocked} blocked).",
        history.len()
    );
    let started = Instant::now();
    let bytes = history.snapshot();
    println!("Snapshot: {} MB in {:.2} s.", bytes.len() / 1_000_000, started.elapsed().as_secs_f64());
    let other = History::new(&settings, &bench.fitted);
    let started = Instant::now();
    other.restore(&bytes)?;
    println!("Restore: {:.2} s.", started.elapsed().as_secs_f64());
    Ok(())
}

/// All request guards on one row of a table.
#[expect(clippy::cast_precision_loss, reason = "a measurement")]
pub fn table_path(bench: &Bench) -> Outcome<()> {
    let set = bench.guards()?;
    let history = History::new(&bench.settings, &bench.fitted);
    let (client, clock) = (bench.client("one")?, Real(Instant::now()));
    let cx = Context {
        client: &client,
        at: Timestamp::from_millis(1_795_400_000_000),
        clock: &clock,
        history: &history,
    };
    let mut rng = Rng::new(SEED, 96);
    let inputs = &bench.fit.inputs;
    let mut requests = Vec::new();
    for _ in 0..20_000 {
        let (a, b) = (inputs.row(rng.below(inputs.rows)), inputs.row(rng.below(inputs.rows)));
        #[expect(clippy::cast_possible_truncation, reason = "drawn in double, used in single precision")]
        let t = rng.uniform() as f32;
        let row: Vec<f32> = a.iter().zip(b).map(|(x, y)| x + (y - x) * t).collect();
        let tensor = Tensor::new(bench.schema.tensor(), bench.schema.shape(1), TensorData::Fp32(row))?;
        let system = bench.system()?;
        requests.push(InferenceRequest {
            id: None,
            system,
            inputs: Phi::new(vec![tensor]),
            outputs: Vec::new(),
        });
    }
    let count = requests.len();
    let started = Instant::now();
    let mut findings = 0;
    for request in requests {
        findings +=
            set.screen_request(request, &cx).verdicts().iter().filter(|v| !v.outcome.is_clean()).count();
    }
    let each = started.elapsed().as_secs_f64() * 1e6 / count as f64;
    println!(
        "All request guards on one row of {} ({} features): {each:.2} µs ({findings} findings).",
        bench.name, inputs.cols
    );
    Ok(())
}
