//! Asking with rows moved along the gradient of the copy.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Replies, Rows};
use crate::evasion::parameters;
use crate::theft::{Registered, Round, Strategy, stream};

domain::catalogue_entry! {
    /// A few rows are asked, then rows moved towards where the copy's answer changes.
    ///
    /// ## What it is
    /// Jacobian-based data set augmentation: a copy is trained on a few answers; each row asked so far is moved by `lambda` along the sign of the copy's gradient of the
    /// answered class, up and down in turn, and asked; a new copy is trained; and so on, doubling the queries each time.
    ///
    /// ## Why it matters in care
    /// The way of a thief with few patients' data: what a hundred rows cannot show is asked for in between.
    ///
    /// ## Limits
    /// On images its copies agree less than those from real images in the same number; it is the classical test case of detectors of theft. Needs a copy with gradients.
    ///
    /// ## References
    /// Papernot et al. 2017, arXiv:1602.02697; Juuti et al. 2019, arXiv:1805.02628.
    pub static ENTRY = { id: "X222", name: "extraction-jacobian", kind: Attack, since: "0.1.0", maps: ["AML.T0024.002", "AML.T0005.001", "NISTAML.031"] };
}

/// In the registry.
pub static STRATEGY: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<Jacobian>(given)?)) };

/// How it begins and how far it goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Jacobian {
    /// Rows asked before the first copy: from the pool, noise when there is none.
    seeds: usize,
    /// Length of a move, in the unit box; 0.1 as in the paper.
    lambda: f32,
}

impl Default for Jacobian {
    fn default() -> Self {
        Self { seeds: 100, lambda: 0.1 }
    }
}

impl Strategy for Jacobian {
    fn next(&self, round: &mut Round<'_>, count: usize) -> Result<Vec<f32>, Fault> {
        let (width, asked) = (round.space.layout.len(), round.asked.len());
        if asked < self.seeds.max(1) {
            let wanted = count.min(self.seeds.max(1) - asked);
            let rows = round.from_pool(wanted);
            return Ok(if rows.is_empty() { round.noise(wanted) } else { rows });
        }
        let order = numeric::Rng::new(round.seed ^ stream::AUGMENT, round.round).permutation(asked);
        let answered = |at: &usize| round.asked.labels.get(*at).copied().flatten().is_some();
        let chosen: Vec<usize> = order.into_iter().filter(answered).take(count).collect();
        let Some(copy) = round.surrogate.as_deref_mut() else { return Ok(Vec::new()) };
        let mut rows: Vec<f32> = Vec::with_capacity(chosen.len() * width);
        for at in &chosen {
            rows.extend_from_slice(round.asked.rows.get(at * width..(at + 1) * width).unwrap_or_default());
        }
        let mut own = |at: usize, _: &[f32], slope: &mut [f32]| {
            slope.fill(0.0);
            let class = chosen.get(at).and_then(|at| round.asked.labels.get(*at).copied().flatten());
            slope.iter_mut().skip(class.unwrap_or(0)).take(1).for_each(|s| *s = 1.0);
        };
        let (mut replies, mut gradient) = (Replies::default(), Vec::new());
        copy.gradient(Rows::new(&rows, width, &chosen)?, &mut own, &mut replies, &mut gradient)?;
        // Down first: towards the other classes.
        let step = if round.round.is_multiple_of(2) { self.lambda } else { -self.lambda };
        for (value, slope) in rows.iter_mut().zip(&gradient) {
            if *slope != 0.0 && slope.is_finite() {
                *value = (*value + step * slope.signum()).clamp(0.0, 1.0);
            }
        }
        Ok(rows)
    }

    fn adaptive(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::theft::tests::steal;

    #[test]
    fn it_goes_on_from_the_seeds_by_doubling() {
        let found = steal("extraction-jacobian", &[100, 700]);
        let last = found.points.last().unwrap();
        assert_eq!(last.queries, 700, "beyond the pool");
        assert!(last.agreement.share > 0.85, "{:?}", found.points);
        assert!(found.trainings >= 4, "a copy each time the rows doubled");
    }
}
