//! Walks of a search along the gradient, in measurement errors, and changes made smaller all together.

use domain::FeatureKind;

use crate::access::Fault;
use crate::norm::Norm;
use crate::pace::Pace;
use crate::tabular::change::{PARTS, Search};
use crate::tabular::rulebook::single;

/// Radii, in measurement errors, of the walks along the gradient.
const RADII: [f64; 7] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
/// Steps of each such walk.
const STEPS: usize = 12;
/// How often the radius of the first walk that turns the class over is narrowed down.
const HALVINGS: usize = 6;

impl Search<'_, '_> {
    /// Walks at growing radii until the class turns over, then narrows the radius down. Without gradients nothing is done.
    pub(super) fn follow_gradients(&mut self, pace: &dyn Pace) -> Result<(), Fault> {
        let (mut within, mut beyond) = (0.0, None);
        for radius in RADII {
            match self.walk(radius, pace)? {
                None => return Ok(()),
                Some(true) => {
                    beyond = Some(radius);
                    break;
                }
                Some(false) => within = radius,
            }
        }
        let Some(mut beyond) = beyond else { return Ok(()) };
        for _ in 0..HALVINGS {
            let radius = f64::midpoint(within, beyond);
            match self.walk(radius, pace)? {
                None => return Ok(()),
                Some(true) => beyond = radius,
                Some(false) => within = radius,
            }
        }
        Ok(())
    }

    /// One walk from the patient's row within `radius` errors; whether it made the best row cheaper. `None` when there is no slope to follow, or it should end.
    fn walk(&mut self, radius: f64, pace: &dyn Pace) -> Result<Option<bool>, Fault> {
        let mut row = self.before.to_vec();
        let before = self.limit();
        for _ in 0..STEPS {
            if pace.stop() {
                return Ok(None);
            }
            let Some(slope) = self.oracle.slope(&row)? else { return Ok(None) };
            row = self.uphill(&row, &slope, radius);
            self.try_rows(std::iter::once(row.clone()))?;
            if self.limit() < before {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }

    /// A step of a quarter of `radius` along the slope, each value by its error, kept within `radius` errors of the patient: of the largest of them where that is the
    /// cost, else of their length.
    fn uphill(&self, row: &[f32], slope: &[f64], radius: f64) -> Vec<f32> {
        let largest = self.settings.norm == Norm::Linf;
        // Another code has a price of its own: not within reach of a smaller radius.
        let fixed = |c: &crate::tabular::rulebook::Column| {
            let code = matches!(c.kind, FeatureKind::Category { .. });
            c.immutable || (largest && code && radius < self.settings.category)
        };
        let columns = self.book.columns();
        let errors: Vec<f64> = columns.iter().map(|c| if fixed(c) { 0.0 } else { c.error }).collect();
        let length = slope.iter().zip(&errors).map(|(g, e)| (g * e).powi(2)).sum::<f64>().sqrt().max(1e-300);
        let mut change: Vec<f64> = Vec::with_capacity(row.len());
        for (((v, b), g), e) in row.iter().zip(self.before).zip(slope).zip(&errors) {
            let now = if *e > 0.0 { (f64::from(*v) - f64::from(*b)) / e } else { 0.0 };
            let up = match g * e {
                steep if !largest => steep / length,
                0.0 => 0.0,
                steep => steep.signum(),
            };
            change.push(now + 0.25 * radius * up);
        }
        if largest {
            change.iter_mut().for_each(|c| *c = c.clamp(-radius, radius));
        }
        let far = change.iter().map(|c| c * c).sum::<f64>().sqrt();
        let keep = if far > radius && !largest { radius / far } else { 1.0 };
        let moved = self.before.iter().zip(&change).zip(&errors).zip(columns);
        moved
            .map(|(((b, c), e), column)| single((f64::from(*b) + c * keep * e).clamp(column.min, column.max)))
            .collect()
    }

    /// Rows with all changes made smaller together: by the same part, and cut to a part of the largest. Codes stay as they are.
    pub(super) fn shrink(&self, row: &[f32], wanted: &mut Vec<Vec<f32>>) {
        let prices =
            || self.axes.iter().zip(row).filter(|(axis, _)| !axis.flat).map(|(axis, v)| axis.price(*v));
        let most = prices().fold(0.0, f64::max);
        if prices().filter(|p| *p > 0.0).count() < 2 {
            return;
        }
        for part in PARTS {
            let made = |cut: bool| -> Vec<f32> {
                let cells = self.axes.iter().zip(self.before).zip(row);
                cells
                    .map(|((axis, before), now)| {
                        let (before, change) = (f64::from(*before), f64::from(*now) - f64::from(*before));
                        let reach = part * most / axis.weight.max(1e-300);
                        match (axis.flat, cut) {
                            (true, _) => *now,
                            (false, false) => single(before + part * change),
                            (false, true) => single(before + change.clamp(-reach, reach)),
                        }
                    })
                    .collect()
            };
            wanted.extend([made(false), made(true)]);
        }
    }
}
