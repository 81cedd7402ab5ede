//! Perturbation budgets: a norm, a radius, and the unit box around everything.

use serde::{Deserialize, Serialize};

/// How the size of a perturbation is measured, in the unit box.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Largest change of one value.
    Linf,
    /// Root of the sum of squares.
    L2,
    /// Sum of absolute changes.
    L1,
    /// Number of values changed (for images: of values, not of pixels with all their channels).
    L0,
}

impl Norm {
    /// Name as written in suites and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
            Self::L1 => "l1",
            Self::L0 => "l0",
        }
    }

    /// Size of `x - start`; NaN when a value is NaN. The lengths must be equal.
    pub fn distance(self, start: &[f32], x: &[f32]) -> f64 {
        let changes = start.iter().zip(x).map(|(a, b)| (f64::from(*b) - f64::from(*a)).abs());
        match self {
            Self::Linf => changes.fold(0.0, |m, c| if c.is_nan() || c > m { c } else { m }),
            Self::L2 => changes.map(|c| c * c).sum::<f64>().sqrt(),
            Self::L1 => changes.sum(),
            Self::L0 => changes.map(|c| if c.is_nan() { c } else { f64::from(u8::from(c > 0.0)) }).sum(),
        }
    }
}

/// All rows within `epsilon` of a start, in the unit box.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ball {
    /// How distance is measured.
    pub norm: Norm,
    /// Radius, in the unit box: 8/255 is eight grey levels. For L0, the number of values.
    pub epsilon: f64,
}

/// Rounding that a distance may exceed the radius by: single precision over a row of a few thousand values.
pub const EPSILON_SLACK: f64 = 2e-6;

impl Ball {
    /// Whether `x` is within the radius of `start` and in the unit box, up to rounding.
    pub fn contains(&self, start: &[f32], x: &[f32]) -> bool {
        let inside = x.iter().all(|v| (0.0..=1.0).contains(v));
        inside && self.norm.distance(start, x) <= self.epsilon * (1.0 + EPSILON_SLACK) + EPSILON_SLACK
    }
}
