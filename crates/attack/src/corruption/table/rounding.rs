//! Rounded values.

use numeric::Rng;

use super::super::{Act, Registered, Source, Strengths, Subject};
use super::{Column, OnTable, Patient, Table, none_eligible};

domain::catalogue_entry! {
    /// All values are rounded to round numbers.
    ///
    /// ## What it is
    /// Every value is rounded to a multiple of a round number (1, 2 or 5 times a power of ten): the largest that is not above 0.01, 0.02, 0.05, 0.10, 0.20 of the column's range (severity
    /// 1 to 5). Deterministic.
    ///
    /// ## Why it matters in care
    /// People write 120 over 80 and weights in tens. A model that hangs on decimals which the ward never records looks better in the study than at the bedside.
    ///
    /// ## Limits
    /// Codes are left alone. People round some digits more than others (digit preference), this rounds all alike.
    ///
    /// ## References
    /// Wen et al. 1993, doi:10.1016/0895-4356(93)90118-K (terminal digit preference).
    pub static ENTRY = { id: "X139", name: "rounding", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.01, 0.02, 0.05, 0.10, 0.20],
        low: 1e-6,
        high: 1.0,
        means: "step, as a share of the column's range, made round downwards",
    },
    make: |share| Act::Table(Box::new(Rounding(share))),
};

struct Rounding(f64);

/// The largest of 1, 2, 5 times a power of ten that is not above `wanted`, which is above 0.
fn round_step(wanted: f64) -> f64 {
    let power = 10.0_f64.powf(wanted.log10().floor());
    let times = [5.0, 2.0, 1.0].into_iter().find(|t| t * power <= wanted * (1.0 + 1e-9)).unwrap_or(1.0);
    times * power
}

impl OnTable for Rounding {
    fn refuses(&self, table: &Table) -> Option<String> {
        none_eligible(table, |c| !c.is_code(), "all columns are codes")
    }

    fn corrupt(&self, patient: &mut Patient<'_>, _rng: &mut Rng, _site: &mut Rng) {
        let not_code = |(_, c): &(&mut f64, &Column)| !c.is_code();
        for (value, column) in patient.values.iter_mut().zip(patient.table.columns()).filter(not_code) {
            let step = round_step(self.0 * (column.high - column.low));
            *value = column.whole((*value / step).round() * step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_numbers() {
        for (wanted, step) in
            [(1.0, 1.0), (1.99, 1.0), (2.0, 2.0), (0.23, 0.2), (49.0, 20.0), (0.007, 0.005), (0.1, 0.1)]
        {
            assert!((round_step(wanted) - step).abs() < 1e-12, "{wanted}: {}", round_step(wanted));
        }
    }
}
