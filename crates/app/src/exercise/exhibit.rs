//! Samples shown with what was changed: who flips with the least change comes first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use attack::Layout;
use attack::scorecard::{Cell, Exhibit, Sample, View};
use attack::suite::{Piece, settled};

use super::open::Opened;
use super::{EXHIBITS_MAX, Request};

/// The nearest row found for each sample that fell, least change first within the norm of most falls; one exhibit per sample.
pub(super) fn choose(
    opened: &Opened,
    request: &Request,
    samples: &[Sample],
    pieces: &[Piece],
) -> Vec<Exhibit> {
    let mut best: BTreeMap<usize, Exhibit> = BTreeMap::new();
    let mut sorted: Vec<&Piece> = pieces.iter().collect();
    sorted.sort_by_key(|p| (p.step, p.chunk));
    for piece in sorted {
        let Some(step) = request.suite.steps.get(piece.step) else { continue };
        let largest = step.epsilons.last().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
        for (sample, seen, row) in &piece.nearest {
            let Some(known) = samples.get(*sample) else { continue };
            let start = opened.rows.row(known.row);
            let distance = settled(step.norm.distance(start, row));
            // Norms are compared by the share of their step's largest budget.
            let nearer = best.get(sample).is_none_or(|b| distance / largest < b.distance / scale(request, b));
            if nearer {
                let view = view(opened, known.row, start, row);
                let label = step.label.clone();
                best.insert(
                    *sample,
                    Exhibit { sample: *sample, label, norm: step.norm, distance, seen: *seen, view },
                );
            }
        }
    }
    let mut out: Vec<Exhibit> = best.into_values().collect();
    out.sort_by(|a, b| {
        (a.distance / scale(request, a))
            .total_cmp(&(b.distance / scale(request, b)))
            .then(a.sample.cmp(&b.sample))
    });
    out.truncate(request.exhibits_max.min(EXHIBITS_MAX));
    out
}

fn scale(request: &Request, exhibit: &Exhibit) -> f64 {
    let step = request.suite.steps.iter().find(|s| s.label == exhibit.label && s.norm == exhibit.norm);
    step.and_then(|s| s.epsilons.last()).copied().unwrap_or(1.0).max(f64::MIN_POSITIVE)
}

fn view(opened: &Opened, row: usize, before: &[f32], after: &[f32]) -> View {
    match opened.rows.layout {
        Layout::Image { .. } => View::Image { before: hexadecimal(before), after: hexadecimal(after) },
        Layout::Table { .. } => {
            let ranges = opened.rows.low.iter().cycle().zip(opened.rows.span.iter().cycle());
            let recorded = opened.rows.recorded.get(row * before.len()..).unwrap_or_default();
            let cells = opened.rows.columns.iter().zip(before.iter().zip(after)).zip(ranges).enumerate();
            let cells = cells.map(|(n, ((column, (b, a)), (low, span)))| {
                let recorded = recorded.get(n).map_or(0.0, |v| shortest(*v));
                let after = if a == b {
                    recorded
                } else {
                    clinical(f64::from(*low) + f64::from(*a) * f64::from(*span))
                };
                Cell { name: column.name.clone(), unit: column.unit.clone(), before: recorded, after }
            });
            View::Table { cells: cells.collect() }
        }
    }
}

/// A value in clinical units to six significant digits, which is more than any of them is measured to.
fn clinical(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 10_f64.powf(5.0 - value.abs().log10().floor());
    if digits.is_finite() { (value * digits).round() / digits } else { value }
}

/// A single-precision value as the shortest decimal number that means it.
pub(super) fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn hexadecimal(row: &[f32]) -> String {
    let mut out = String::with_capacity(2 * row.len());
    for value in row {
        let _ = write!(out, "{:02x}", (value * 255.0).round().clamp(0.0, 255.0) as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clinical_values_are_rounded_where_nobody_measures() {
        assert_eq!(clinical(123.456_789), 123.457);
        assert_eq!(clinical(0.000_123_456_78), 0.000_123_457);
        assert_eq!(clinical(0.0), 0.0);
        assert_eq!(shortest(0.1), 0.1);
    }
}
