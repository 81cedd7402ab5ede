//! What every attack must pass, on a model whose true distance to the boundary is known, and on models that are awkward.

use super::*;
use crate::access::{Cotangent, Layout, Replies, Rows, Space};
use crate::evasion::run::Target;
use crate::pace::Quiet;

/// Two or more linear scores: the distance to the boundary is known in every norm.
pub(crate) struct Linear {
    /// Class by class, `width` weights.
    pub(crate) weights: Vec<Vec<f32>>,
    pub(crate) bias: Vec<f32>,
    pub(crate) layout: Layout,
    pub(crate) asked: u64,
}

impl Linear {
    /// Two classes over `width` features: the sum of the first half against that of the second.
    pub(crate) fn halves(width: usize) -> Self {
        let up: Vec<f32> = (0..width).map(|i| if i < width / 2 { 1.0 } else { -1.0 }).collect();
        let down = up.iter().map(|w| -w).collect();
        Self {
            weights: vec![up, down],
            bias: vec![0.0; 2],
            layout: Layout::Table { features: width },
            asked: 0,
        }
    }
}

impl Labels for Linear {
    fn space(&self) -> Space {
        Space { layout: self.layout, classes: self.weights.len() }
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        self.decisions(rows, out)
    }
}

impl Scores for Linear {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        out.reset(rows.len(), self.weights.len());
        self.asked += rows.len() as u64;
        for (row, place) in rows.iter().zip(out.scores.chunks_exact_mut(self.weights.len())) {
            for ((weights, bias), score) in self.weights.iter().zip(&self.bias).zip(place) {
                *score = bias + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f32>();
            }
        }
        Ok(())
    }
}

impl Gradients for Linear {
    fn gradient(
        &mut self,
        rows: Rows<'_>,
        cotangent: &mut Cotangent<'_>,
        replies: &mut Replies,
        gradient: &mut Vec<f32>,
    ) -> Result<(), Fault> {
        self.scores(rows, replies)?;
        gradient.clear();
        let mut slope = vec![0.0; self.weights.len()];
        for at in 0..rows.len() {
            cotangent(at, replies.row(at).unwrap_or_default(), &mut slope);
            gradient.extend(
                (0..rows.width())
                    .map(|i| slope.iter().zip(&self.weights).map(|(s, w)| s * w[i]).sum::<f32>()),
            );
        }
        Ok(())
    }
}

/// Runs the attack `name` on rows of [`Linear::halves`] at known distances from the boundary. It must break all rows within `share` of the budget, and none beyond the
/// budget (which is impossible).
pub(crate) fn check_breaks_the_linear_model(name: &str, share: f64) {
    let registered = find(name).unwrap_or_else(|| panic!("no attack `{name}`"));
    let attack = (registered.build)(&serde_json::Value::Null).unwrap();
    let width = 8;
    for norm in registered.norms {
        // Row i has margin m: sum of the first half minus that of the second. Its distance is m/8 in Linf, m/sqrt(8) in L2, m in L1.
        let margins = [0.1_f32, 0.3, 0.6, 1.2];
        let mut starts = Vec::new();
        for m in margins {
            starts.extend((0..width).map(|i| if i < 4 { 0.5 + m / 8.0 } else { 0.5 - m / 8.0 }));
        }
        let distance = |m: f64| match norm {
            Norm::Linf => m / 8.0,
            Norm::L2 => m / 8.0_f64.sqrt(),
            Norm::L1 => m,
            Norm::L0 => (m / (0.5 + m / 8.0)).ceil(),
        };
        let epsilon = distance(0.45).max(f64::from(u8::from(*norm == Norm::L0)));
        let mut model = Linear::halves(width);
        let task = Task {
            starts: &starts,
            labels: &[0; 4],
            samples: &[0, 1, 2, 3],
            others: &[],
            ball: Ball { norm: *norm, epsilon },
            seed: 7,
            queries_max: None,
            pace: &Quiet,
        };
        let attacked = run(registered, &attack, Target::Gradients(&mut model), &task).unwrap();
        for (outcome, m) in attacked.outcomes.iter().zip(margins) {
            let needed = distance(f64::from(m));
            if needed < epsilon * share * 0.999 {
                assert!(
                    outcome.broken,
                    "{name} {norm:?}: a row at {needed} of {epsilon} stands: {outcome:?}"
                );
            }
            if needed > epsilon * 1.001 {
                assert!(!outcome.broken, "{name} {norm:?}: a row at {needed} fell within {epsilon}");
            }
        }
        let again = run(registered, &attack, Target::Gradients(&mut Linear::halves(width)), &task).unwrap();
        assert_eq!(attacked, again, "{name} {norm:?}: the same seed gave another result");
    }
}

/// Runs the attack `name`, which looks for the smallest change, on the linear model in the box: the change that it finds may be larger than the true one by
/// `excess` at most, also for a row that the box stops on the way.
pub(crate) fn check_finds_the_smallest_change(name: &str, excess: f64) {
    let registered = find(name).unwrap_or_else(|| panic!("no attack `{name}`"));
    assert!(registered.minimal, "{name}");
    let attack = (registered.build)(&serde_json::Value::Null).unwrap();
    let width = 8;
    for norm in registered.norms {
        // Inside the box: a margin of 0.8. At its edge: four values have no room, so the other four carry all of it.
        let inside: Vec<f32> = (0..width).map(|i| if i < 4 { 0.6 } else { 0.4 }).collect();
        let edge: Vec<f32> = [0.0, 0.0, 0.9, 0.9, 0.5, 0.5, 0.0, 0.0].to_vec();
        let needed = |row: usize| match (norm, row) {
            (Norm::Linf, 0) => 0.8 / 8.0,
            (Norm::L2, 0) => 0.8 / 8.0_f64.sqrt(),
            // 0.8 over 2 values that fall and 4 that rise.
            (Norm::Linf, _) => 0.8 / 6.0,
            (Norm::L2, _) => 0.8 / 6.0_f64.sqrt(),
            _ => 0.8,
        };
        let starts = [inside, edge].concat();
        let mut model = Linear::halves(width);
        let task = Task {
            starts: &starts,
            labels: &[0, 0],
            samples: &[0, 1],
            others: &[],
            ball: Ball { norm: *norm, epsilon: 0.01 },
            seed: 3,
            queries_max: None,
            pace: &Quiet,
        };
        let attacked = run(registered, &attack, Target::Gradients(&mut model), &task).unwrap();
        for (row, outcome) in attacked.outcomes.iter().enumerate() {
            let needed = needed(row);
            assert!(outcome.adversarial && !outcome.broken, "{name} {norm:?}: {outcome:?}");
            assert!(
                outcome.distance >= needed * 0.999 && outcome.distance <= needed * (1.0 + excess),
                "{name} {norm:?}: {} of {needed}",
                outcome.distance
            );
        }
    }
}

#[test]
fn every_attack_stands_awkward_models() {
    // A constant model, one that answers NaN, a one-feature model, three classes, a budget of zero.
    for registered in ATTACKS {
        let attack = (registered.build)(&serde_json::Value::Null).unwrap();
        for (weights, bias) in [
            (vec![vec![0.0; 3], vec![0.0; 3]], vec![1.0, 0.0]),
            (vec![vec![f32::NAN; 3], vec![0.0; 3]], vec![1.0, 0.0]),
            (vec![vec![1.0], vec![-1.0]], vec![0.0, 0.5]),
            (vec![vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]], vec![0.2, 0.0, 0.0]),
        ] {
            for norm in registered.norms {
                for epsilon in [0.0, 0.1] {
                    let width = weights[0].len();
                    let mut model = Linear {
                        weights: weights.clone(),
                        bias: bias.clone(),
                        layout: Layout::Table { features: width },
                        asked: 0,
                    };
                    let starts = vec![0.5; width * 2];
                    let task = Task {
                        starts: &starts,
                        labels: &[0, 0],
                        samples: &[0, 1],
                        others: &[],
                        ball: Ball { norm: *norm, epsilon },
                        seed: 1,
                        queries_max: Some(200),
                        pace: &Quiet,
                    };
                    let result = run(registered, &attack, Target::Gradients(&mut model), &task);
                    if let Ok(attacked) = &result {
                        for outcome in &attacked.outcomes {
                            assert!(outcome.queries <= 200, "{}: {outcome:?}", registered.entry.name);
                            assert!(!(outcome.broken && epsilon == 0.0), "{}", registered.entry.name);
                        }
                    }
                    assert!(
                        !matches!(result, Err(Fault::Rules(_) | Fault::Shape(_))),
                        "{} {norm:?}: {result:?}",
                        registered.entry.name
                    );
                }
            }
        }
    }
}

#[test]
fn unknown_parameters_are_refused() {
    for registered in ATTACKS {
        let unknown = serde_json::json!({ "no-such-parameter": 1 });
        assert!((registered.build)(&unknown).is_err(), "{}", registered.entry.name);
    }
}
