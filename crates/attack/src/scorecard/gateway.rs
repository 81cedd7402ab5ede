//! What the guards of a gateway saw of an exercise that was sent through it, and what they said of clean traffic.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Share;
use crate::norm::Norm;
use crate::suite::{Piece, Suite, settled};

/// One run: everything that was asked about one sample under one budget, by clients of its own, before guards that remember clean traffic only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Run {
    /// Which sample.
    pub sample: usize,
    /// Budget of the run, counted from 0; a search for the smallest change has one run for all budgets.
    pub budget: usize,
    /// Rows sent.
    pub queries: u64,
    /// Of these, flagged by a guard that looks for attacks, and answered.
    pub flagged: u64,
    /// Of these, refused by a guard: the attacker got no answer.
    pub blocked: u64,
    /// Number of the first query that each guard flagged or blocked, counted from 1.
    pub guards: BTreeMap<String, u64>,
    /// The same of guards that only observe, and of those that doubt the answer instead of looking for attacks.
    pub beside: BTreeMap<String, u64>,
    /// Per budget, counted from 0: number of the first query that was answered with another class and lay within the budget.
    pub succeeded: BTreeMap<usize, u64>,
}

impl Run {
    /// Number of the first query that any guard flagged or blocked, and that guard.
    pub fn first_seen(&self) -> Option<(u64, &str)> {
        self.guards.iter().map(|(guard, at)| (*at, guard.as_str())).min()
    }
}

/// One adversarial row sent once, by a client that never asked before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Single {
    /// Which sample it was made from.
    pub sample: usize,
    /// Guards that flagged or blocked it.
    pub guards: BTreeSet<String>,
    /// Guards that only observe, or doubt the answer.
    pub beside: BTreeSet<String>,
    /// It was refused.
    pub blocked: bool,
}

/// What the guards saw of one piece of an exercise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sighted {
    /// The runs, by budget and sample.
    pub runs: Vec<Run>,
    /// The adversarial rows that were found, each sent once.
    pub singles: Vec<Single>,
}

impl Sighted {
    /// True when nothing went through a gateway.
    pub const fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.singles.is_empty()
    }
}

/// How an exercise went through a gateway, and what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gateway {
    /// API keys over which each run spread its queries in turn.
    pub keys: usize,
    /// Clean queries that the guards remembered before each run.
    pub remembered: usize,
    /// `lifted` when rates and daily budgets of clients were not applied, so that the guards alone are measured; `configured` when they were.
    pub limits: String,
    /// The guards and what each may do, by name.
    pub guards: BTreeMap<String, String>,
    /// One per step and budget that was asked through the gateway.
    pub rows: Vec<Seen>,
    /// Adversarial rows sent once by a fresh client, per step and smallest budget at which they were found.
    pub singles: Vec<SeenOnce>,
    /// What was said of clean traffic.
    pub clean: Vec<Clean>,
}

/// What the guards saw of one step at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Seen {
    /// Which step of the suite, counted from 0.
    pub step: usize,
    /// How the suite calls it.
    pub label: String,
    /// Norm of the budget.
    pub norm: Norm,
    /// Budget in the unit box.
    pub epsilon: f64,
    /// Runs in which a guard flagged or blocked a query.
    pub seen: Share,
    /// Runs that were seen at or before the first answer of another class within the budget, or seen and never successful.
    pub before_success: Share,
    /// Runs that got an answer of another class within the budget.
    pub succeeded: Share,
    /// Runs that succeeded and were not seen until then.
    pub slipped: Share,
    /// The samples of the runs that slipped through.
    pub slipped_samples: Vec<usize>,
    /// Number of the query at which runs were first seen: lower quartile, median, upper quartile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Quartiles>,
    /// Runs first seen by each guard.
    pub by: BTreeMap<String, usize>,
    /// Runs about which a guard spoke that only observes or doubts the answer; not counted as seen.
    pub beside: BTreeMap<String, usize>,
    /// Queries of all runs.
    pub queries: u64,
    /// Share of the queries that were flagged and answered.
    pub flagged: f64,
    /// Share of the queries that were refused.
    pub blocked: f64,
}

/// Lower quartile, median, upper quartile, nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Quartiles {
    /// A quarter of the runs was seen by this query.
    pub low: u64,
    /// Half.
    pub median: u64,
    /// Three quarters.
    pub high: u64,
}

/// Adversarial rows sent once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SeenOnce {
    /// Which step of the suite, counted from 0.
    pub step: usize,
    /// How the suite calls it.
    pub label: String,
    /// Norm of the budget.
    pub norm: Norm,
    /// Smallest budget of the step at which the row was found.
    pub epsilon: f64,
    /// Rows that a guard flagged or blocked.
    pub seen: Share,
    /// Rows that were refused.
    pub blocked: usize,
    /// Rows per guard.
    pub by: BTreeMap<String, usize>,
    /// Rows about which a guard spoke that only observes or doubts the answer; not counted as seen.
    pub beside: BTreeMap<String, usize>,
}

/// What the guards said of clean rows: false alarms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Clean {
    /// Who asked: `a client for each row`, or `one busy client`.
    pub who: String,
    /// Held-out rows among which the requests were drawn; where there are more requests, rows came again.
    pub rows: usize,
    /// Requests that a guard flagged or blocked.
    pub alarms: Share,
    /// Requests that were refused.
    pub blocked: usize,
    /// Requests per guard.
    pub by: BTreeMap<String, usize>,
    /// Requests about which a guard spoke that only observes or doubts the answer; not counted as alarms.
    pub beside: BTreeMap<String, usize>,
    /// Number of the first request with an alarm, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// How an exercise went through a gateway; the sightings are in its pieces.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// See [`Gateway::keys`].
    pub keys: usize,
    /// See [`Gateway::remembered`].
    pub remembered: usize,
    /// See [`Gateway::limits`].
    pub limits: String,
    /// See [`Gateway::guards`].
    pub guards: BTreeMap<String, String>,
    /// See [`Gateway::clean`].
    pub clean: Vec<Clean>,
}

impl Passage {
    /// With what the pieces hold, sorted by step and chunk.
    pub(super) fn with(self, suite: &Suite, pieces: &[Piece]) -> Gateway {
        let (mut rows, mut singles) = (Vec::new(), Vec::new());
        for (at, step) in suite.steps.iter().enumerate() {
            let of: Vec<&Piece> = pieces.iter().filter(|p| p.step == at && p.skipped.is_none()).collect();
            let minimal = crate::evasion::find(&step.attack).is_some_and(|r| r.minimal);
            for (n, epsilon) in step.epsilons.iter().enumerate() {
                let budget = if minimal { 0 } else { n };
                let runs: Vec<&Run> =
                    of.iter().flat_map(|p| &p.sighted.runs).filter(|r| r.budget == budget).collect();
                if !runs.is_empty() {
                    rows.push(seen(at, step, *epsilon, n, &runs));
                }
                let found: Vec<&Single> = of.iter().flat_map(|p| found_at(p, n)).collect();
                if !found.is_empty() {
                    singles.push(seen_once(at, step, *epsilon, &found));
                }
            }
        }
        Gateway {
            keys: self.keys,
            remembered: self.remembered,
            limits: self.limits,
            guards: self.guards,
            rows,
            singles,
            clean: self.clean,
        }
    }
}

/// The rows sent once of the samples that fell at budget `n` first.
fn found_at(piece: &Piece, n: usize) -> impl Iterator<Item = &Single> {
    let fell = move |n: usize, sample: usize| {
        piece.budgets.get(n).is_some_and(|b| b.iter().any(|f| f.sample == sample && f.fell.is_some()))
    };
    piece.sighted.singles.iter().filter(move |s| fell(n, s.sample) && (0..n).all(|m| !fell(m, s.sample)))
}

fn count<'a>(names: impl Iterator<Item = &'a String>) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for name in names {
        *out.entry(name.clone()).or_insert(0) += 1;
    }
    out
}

fn seen(at: usize, step: &crate::suite::Step, epsilon: f64, n: usize, runs: &[&Run]) -> Seen {
    let all = runs.len();
    let share = |keep: &dyn Fn(&Run) -> bool| Share::new(runs.iter().filter(|r| keep(r)).count(), all);
    let success = |r: &Run| r.succeeded.get(&n).copied();
    let before =
        |r: &Run| r.first_seen().is_some_and(|(seen, _)| success(r).is_none_or(|success| seen <= success));
    let slipped = |r: &Run| success(r).is_some() && !before(r);
    let mut firsts: Vec<u64> = runs.iter().filter_map(|r| Some(r.first_seen()?.0)).collect();
    firsts.sort_unstable();
    let mut slipped_samples: Vec<usize> = runs.iter().filter(|r| slipped(r)).map(|r| r.sample).collect();
    slipped_samples.sort_unstable();
    let queries: u64 = runs.iter().map(|r| r.queries).sum();
    let first_guards: Vec<String> = runs.iter().filter_map(|r| Some(r.first_seen()?.1.to_owned())).collect();
    Seen {
        step: at,
        label: step.label.clone(),
        norm: step.norm,
        epsilon,
        seen: share(&|r| r.first_seen().is_some()),
        before_success: share(&before),
        succeeded: share(&|r| success(r).is_some()),
        slipped: share(&slipped),
        slipped_samples,
        first_seen: Quartiles::of(&firsts),
        by: count(first_guards.iter()),
        beside: count(runs.iter().flat_map(|r| r.beside.keys())),
        queries,
        flagged: part(runs.iter().map(|r| r.flagged).sum(), queries),
        blocked: part(runs.iter().map(|r| r.blocked).sum(), queries),
    }
}

fn seen_once(at: usize, step: &crate::suite::Step, epsilon: f64, found: &[&Single]) -> SeenOnce {
    SeenOnce {
        step: at,
        label: step.label.clone(),
        norm: step.norm,
        epsilon,
        seen: Share::new(found.iter().filter(|s| !s.guards.is_empty()).count(), found.len()),
        blocked: found.iter().filter(|s| s.blocked).count(),
        by: count(found.iter().flat_map(|s| &s.guards)),
        beside: count(found.iter().flat_map(|s| &s.beside)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn part(some: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { settled(some as f64 / all as f64) }
}

impl Quartiles {
    /// Of sorted numbers; none of nothing.
    pub fn of(sorted: &[u64]) -> Option<Self> {
        let at = |quarter: usize| sorted.get((sorted.len() * quarter).div_ceil(4).saturating_sub(1)).copied();
        Some(Self { low: at(1)?, median: at(2)?, high: at(3)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorecard::assemble::{assemble, tests::assembly};

    fn run(sample: usize, budget: usize, seen: Option<u64>, success: Option<u64>) -> Run {
        Run {
            sample,
            budget,
            queries: 100,
            flagged: 3,
            blocked: 1,
            guards: seen.map(|at| ("query-similarity".to_owned(), at)).into_iter().collect(),
            beside: BTreeMap::from([("uncertainty".to_owned(), 1)]),
            succeeded: success.map(|at| (budget, at)).into_iter().collect(),
        }
    }

    #[test]
    fn what_is_seen_after_it_succeeded_slipped_through() {
        let mut given = assembly();
        given.passage = Some(Passage {
            keys: 1,
            remembered: 200,
            limits: "lifted".to_owned(),
            guards: BTreeMap::new(),
            clean: Vec::new(),
        });
        for piece in given.pieces.iter_mut().filter(|p| p.step == 0 && p.chunk == 0) {
            piece.sighted.runs = vec![
                run(0, 0, Some(5), Some(9)),
                run(1, 0, Some(9), Some(8)),
                run(2, 0, None, Some(7)),
                run(3, 0, Some(6), None),
                run(1, 1, Some(4), Some(4)),
            ];
            piece.sighted.singles = vec![
                Single {
                    sample: 0,
                    blocked: true,
                    guards: ["pixel-noise".to_owned()].into(),
                    ..Single::default()
                },
                Single { sample: 1, ..Single::default() },
            ];
        }
        let card = assemble(given);
        let gateway = card.gateway.unwrap();
        let first = &gateway.rows[0];
        assert_eq!((first.seen.hits, first.seen.of), (3, 4));
        assert_eq!((first.before_success.hits, first.succeeded.hits, first.slipped.hits), (2, 3, 2));
        assert_eq!(first.slipped_samples, [1, 2]);
        assert_eq!(first.first_seen, Some(Quartiles { low: 5, median: 6, high: 9 }));
        assert_eq!(first.by["query-similarity"], 3);
        assert_eq!(first.beside["uncertainty"], 4);
        assert!((first.flagged - 0.03).abs() < 1e-9 && (first.blocked - 0.01).abs() < 1e-9);
        // Sample 0 fell at the first budget, sample 1 at the second.
        assert_eq!(
            gateway.singles.iter().map(|s| (s.seen.hits, s.seen.of)).collect::<Vec<_>>(),
            [(1, 1), (0, 1)]
        );
        assert_eq!(gateway.rows[1].before_success.hits, 1, "seen by the successful query itself");
    }

    #[test]
    fn quartiles_are_of_the_nearest_rank() {
        assert_eq!(Quartiles::of(&[]), None);
        assert_eq!(Quartiles::of(&[7]), Some(Quartiles { low: 7, median: 7, high: 7 }));
        assert_eq!(Quartiles::of(&[1, 2, 3, 4, 5, 6, 7, 8]), Some(Quartiles { low: 2, median: 4, high: 6 }));
    }
}
