//! A decimal point in the wrong place.

use numeric::Rng;

use super::super::{Act, Registered, Source, Strengths, Subject};
use super::{CELLS, Column, OnTable, Patient, Table, none_eligible};

domain::catalogue_entry! {
    /// The decimal point slips: values become ten times or a tenth.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) are multiplied by 10 or divided by it, each with equal chances; whole numbers stay whole.
    ///
    /// ## Why it matters in care
    /// Typing 0.5 for 5 and 45 for 4.5 are among the commonest slips in prescribing and charting; tenfold errors harm children above all.
    ///
    /// ## Limits
    /// Codes are left alone, zeros cannot slip. Where a keyboard allows it, other digits slip too.
    ///
    /// ## References
    /// Lesar 2002, doi:10.1345/aph.1C032; ISMP list of error-prone abbreviations and dose designations (2021).
    pub static ENTRY = { id: "X131", name: "decimal_shift", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &Strengths { values: CELLS, low: 1.0, high: 1000.0, means: "cells of a row" },
    make: |cells| Act::Table(Box::new(DecimalShift(cells))),
};

struct DecimalShift(f64);

impl OnTable for DecimalShift {
    fn refuses(&self, table: &Table) -> Option<String> {
        none_eligible(table, |c| !c.is_code(), "all columns are codes")
    }

    fn corrupt(&self, patient: &mut Patient<'_>, rng: &mut Rng, _site: &mut Rng) {
        let not_code = |c: &Column| !c.is_code();
        patient.change(self.0, rng, not_code, |_, column, value, rng| {
            column.whole(if rng.below(2) == 0 { value * 10.0 } else { value / 10.0 })
        });
    }
}
