//! G006: a client that copies the model by asking systematically.

use domain::{InputSchema, Location, Outcome, Severity, catalogue_entry};
use serde::{Deserialize, Serialize};

use crate::history::{History, Standing};
use crate::out_of_distribution::{OodFit, Work};
use crate::query_similarity::{Asked, Seen};
use crate::reference::Reference;
use crate::rows::{Report, Watch};
use crate::settings::{Count, Rate, guard_settings};
use crate::sketch::{Sketch, SketchWork, Sketcher, is_beyond, squared_distance};

catalogue_entry! {
    /// A client's queries of the day look like a copy being made, or are enough for one.
    ///
    /// ## What it is
    /// Three things happen seldom to honest clients and often to those who copy a model: a query beyond the edge of the
    /// reference data (random and foreign queries), a query nearer to one of the client's own than patients are
    /// (synthetic queries made from earlier ones), and an answer near the decision's edge (queries chosen to learn most).
    /// Each is counted against the share that honest traffic may show at most; the evidence multiplies up query by query
    /// and alarms when an honest client would reach it on fewer than one day in a thousand, at whatever moment one looks. Beside
    /// that stands a budget of different queries per day.
    ///
    /// ## Why it matters in care
    /// A stolen copy lets an attacker look for evasions without being seen, and opens patients in the training data to
    /// inference. It is also the vendor's property.
    ///
    /// ## Limits
    /// A copy made with real patients of the same kind looks like ordinary use, because it is: only the budget stops it,
    /// and a budget low enough to stop it disturbs a busy honest client. An attacker with many keys divides the evidence.
    /// An honest client whose patients differ a lot from the reference data (more than `honest_share` beyond the 95 %
    /// edge) is reported, which is a finding about the deployment. PRADA's normality test was measured and left out: it
    /// gave 0 to 6 false alarms on 11 honest clients depending on its threshold.
    ///
    /// ## References
    /// Juuti et al. 2019 (PRADA), arXiv:1805.02628; Orekondy et al. 2019 (Knockoff Nets), arXiv:1812.02766; Shin, Ramdas
    /// and Rinaldo 2022, arXiv:2203.03532 (e-detectors); Ville 1939.
    pub static ENTRY = {
        id: "G006", name: "extraction", kind: Guard, since: "0.1.0",
        maps: ["AML.T0024.002", "AML.T0024", "AML.T0040", "ML05:2023", "NISTAML.031"],
    };
}

guard_settings! {
    /// Settings of G006.
    pub struct ExtractionSettings { mode: Flag, budget_us: 50_000 }

    /// Largest share of an honest client's queries that may lie beyond an edge which one in twenty reference patients
    /// is beyond. 0.15: the chest X-rays' own test split, taken later, is at 0.1.
    honest_share: Rate = Rate::new(0.15);

    /// Honest client-days with a false alarm, at most.
    false_alarms: Rate = Rate::new(0.001);

    /// Different queries per client and day that are reported: near a copy of the models we measured. Set it to what the
    /// busiest honest client needs.
    queries_per_day: Count<10, 1_000_000> = Count::new(500);
}

/// What the guard learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ExtractionFit {
    /// Squared distance in steps below which one of the client's own queries is suspiciously near.
    near: u32,
    /// Difference of the two highest class probabilities that one in twenty reference answers is below.
    margin: Option<f32>,
}

/// Own queries that a new one is compared with.
pub(crate) const OWN: usize = 96;

/// Share of honest queries that each signal is set to.
const EDGE_RATE: f64 = 0.05;

/// Shares under an attack that the evidence is spread over.
const ATTACK_SHARES: [f64; 3] = [0.3, 0.6, 0.9];

/// Queries per day up to which the rate of false alarms is promised.
const QUERIES_PROMISED: f64 = 10_000.0;

/// Learns the edges.
pub(crate) fn fit(sketcher: &Sketcher, calibration: &Reference) -> ExtractionFit {
    // 1 - (1 - p)^OWN = EDGE_RATE solved for p, times OWN, is the number of chance neighbours.
    let near = sketcher.squared_radius(1, 1.0 - (1.0 - EDGE_RATE).powf(1.0 / 96.0));
    let margin = calibration.scores.as_ref().filter(|s| s.rows > 0).map(|scores| {
        let mut margins: Vec<f64> = scores.iter_rows().map(|row| f64::from(margin(row))).collect();
        margins.sort_unstable_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, reason = "kept in single precision")]
        let edge = numeric::quantile(&margins, EDGE_RATE) as f32;
        edge
    });
    ExtractionFit { near, margin }
}

/// Difference of the two highest probabilities.
fn margin(row: &[f32]) -> f32 {
    let (mut first, mut second) = (0.0_f32, 0.0_f32);
    for &p in row {
        if p > first {
            (first, second) = (p, first);
        } else if p > second {
            second = p;
        }
    }
    first - second
}

/// One of the three things that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Beyond the edge of the reference data.
    Beyond,
    /// Near one of the client's own.
    NearOwn,
    /// Near the decision's edge.
    LowMargin,
}

/// What is known of one client today.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conduct {
    /// UTC day the figures belong to.
    pub(crate) day: i64,
    /// Different queries today.
    pub(crate) queries: u32,
    /// Shiryaev–Roberts evidence per signal and share, as natural logarithms.
    pub(crate) evidence: [[f64; ATTACK_SHARES.len()]; 3],
    /// The newest own sketches, oldest overwritten.
    pub(crate) own: Vec<Sketch>,
    pub(crate) own_next: usize,
}

impl Conduct {
    pub(crate) fn new(day: i64) -> Self {
        Self { day, queries: 0, evidence: [[f64::NEG_INFINITY; 3]; 3], own: Vec::new(), own_next: 0 }
    }

    /// Starts anew when the day has changed; a clock that goes back does not.
    pub(crate) fn turn_day(&mut self, day: i64) {
        if day > self.day {
            self.day = day;
            self.queries = 0;
            self.evidence = [[f64::NEG_INFINITY; 3]; 3];
        }
    }

    /// Counts one event of `signal`: R ← (1 + R) · likelihood ratio.
    pub(crate) fn count(&mut self, signal: Signal, hit: Hit, honest: f64) {
        for (log, share) in self.evidence[signal as usize].iter_mut().zip(ATTACK_SHARES) {
            let share = share.max(honest + 0.05).min(0.99);
            let ratio = match hit {
                Hit::Yes => (share / honest).ln(),
                Hit::No => ((1.0 - share) / (1.0 - honest)).ln(),
            };
            // ln(1 + exp(x)) without overflow.
            let grown = if *log > 30.0 { *log } else { log.exp().ln_1p() };
            *log = (grown + ratio).min(700.0);
        }
    }

    /// Logarithm of the mean evidence.
    pub(crate) fn log_evidence(&self) -> f64 {
        let all = self.evidence.iter().flatten();
        let top = all.clone().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return top;
        }
        top + (all.map(|l| (l - top).exp()).sum::<f64>() / 9.0).ln()
    }

    /// The signal with the most evidence.
    pub(crate) fn strongest(&self) -> usize {
        let best = |k: &usize| self.evidence[*k].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (0..3).max_by(|a, b| best(a).total_cmp(&best(b))).unwrap_or(0)
    }

    /// True when one of the own sketches is within `near`; then remembers this one.
    pub(crate) fn is_near_own(&mut self, sketch: &Sketch, near: u32) -> bool {
        // An equal sketch is a repeat, not a query made from another.
        let found = self.own.iter().any(|own| {
            !is_beyond(own, sketch, near) && own != sketch && squared_distance(own, sketch) <= near
        });
        if self.own.len() < OWN {
            self.own.push(*sketch);
        } else {
            self.own[self.own_next % OWN] = *sketch;
        }
        self.own_next = (self.own_next + 1) % OWN;
        found
    }
}

/// Whether an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    Yes,
    No,
}

impl From<bool> for Hit {
    fn from(happened: bool) -> Self {
        if happened { Self::Yes } else { Self::No }
    }
}

/// What a check needs beside the rows.
pub(crate) struct Setting<'a> {
    pub(crate) settings: &'a ExtractionSettings,
    pub(crate) schema: &'a InputSchema,
    pub(crate) fit: &'a ExtractionFit,
    pub(crate) ood: &'a OodFit,
    pub(crate) sketcher: &'a Sketcher,
}

/// Counts the rows of a request and checks the client.
pub(crate) fn check(
    setting: &Setting<'_>,
    asked: &Asked<'_>,
    ood_scores: &[f32],
    seen: &[Seen],
    history: &History,
    watch: &Watch<'_>,
) -> Outcome {
    let Setting { settings, schema, fit, ood, sketcher } = setting;
    let honest = settings.honest_share.get();
    let mut report = Report::new(ENTRY.id);
    let (mut work, mut sketch_work) = (Work::default(), SketchWork::default());
    for (r, row) in asked.rows.iter_rows().enumerate() {
        if watch.is_over(r) {
            report.out_of_time(r);
            break;
        }
        let score = ood_scores.get(r).copied().unwrap_or_else(|| ood.score(schema, row, &mut work));
        if score.is_nan() {
            report.doubt(format!("row {r} could not be counted"));
            continue;
        }
        let seen = seen.get(r);
        if seen.is_some_and(|s| s.repeated_by_client) {
            continue;
        }
        let known = seen.and_then(|s| s.sketch);
        let sketch = known.unwrap_or_else(|| sketcher.sketch(schema, row, &mut sketch_work));
        history.count_query(
            asked.client,
            asked.at,
            &sketch,
            fit.near,
            (score > ood.threshold.edge).into(),
            honest,
        );
    }
    judge(&mut report, settings, history.standing(asked.client, asked.at));
    report.finish()
}

/// Reports the client's conduct.
fn judge(report: &mut Report, settings: &ExtractionSettings, conduct: Standing) {
    const REMEDY: &str =
        "ask the client what it is doing; lower its budget or suspend its key if it cannot say";
    const TECHNIQUE: Option<&str> = Some("AML.T0024.002");
    let limit = (QUERIES_PROMISED / settings.false_alarms.get()).ln();
    if conduct.log_evidence >= limit {
        let what = match conduct.strongest {
            0 => "most of the client's queries are beyond the reference data",
            1 => "most of the client's queries are made from its earlier ones",
            _ => "most of the client's queries sit near the decision's edge",
        };
        report.find(
            Severity::High,
            Location::whole(),
            TECHNIQUE,
            format!("{what}: the model is being copied"),
            REMEDY,
        );
    }
    let budget = settings.queries_per_day.get();
    if conduct.queries >= budget {
        let message = format!("{} different queries today, enough for a copy of the model", conduct.queries);
        report.find(Severity::Medium, Location::whole(), TECHNIQUE, message, REMEDY);
    } else if conduct.queries >= budget - budget / 5 {
        let message = format!("{} different queries today, four fifths of the budget", conduct.queries);
        report.find(Severity::Low, Location::whole(), TECHNIQUE, message, REMEDY);
    }
}

/// Counts the margins of a reply.
pub(crate) fn note_scores(
    settings: &ExtractionSettings,
    fit: &ExtractionFit,
    answered: &Asked<'_>,
    history: &History,
) {
    let Some(edge) = fit.margin else { return };
    for row in answered.rows.iter_rows() {
        let hit = (margin(row) < edge).into();
        history.count_answer(answered.client, answered.at, hit, settings.honest_share.get());
    }
}

#[cfg(test)]
#[path = "extraction_tests.rs"]
mod tests;
