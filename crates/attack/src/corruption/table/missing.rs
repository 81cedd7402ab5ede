//! Values that are not there, in the ways that systems write it.

use numeric::Rng;

use super::super::{Act, Registered, Source, Strengths, Subject};
use super::{CELLS, OnTable, Patient, Table};

domain::catalogue_entry! {
    /// Values are missing, written as not a number.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) become NaN.
    ///
    /// ## Why it matters in care
    /// The honest way to say that nothing was measured. A model that answers anyway has guessed; a gateway that lets it through has not looked.
    ///
    /// ## Limits
    /// Cells go missing at random; in care they are missing for a reason, and the reason is information.
    ///
    /// ## References
    /// Rubin 1976, doi:10.1093/biomet/63.3.581.
    pub static ENTRY_NAN = { id: "X134", name: "missing_nan", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Values are missing, written as 0.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) become 0 in their unit.
    ///
    /// ## Why it matters in care
    /// Interfaces fill gaps with zeros; a blood pressure of 0 is a dead patient, a count of 0 looks normal.
    ///
    /// ## Limits
    /// Cells go missing at random. Where 0 is a common value, little changes.
    ///
    /// ## References
    /// Weiskopf, Weng 2013, doi:10.1136/amiajnl-2011-000681 (completeness).
    pub static ENTRY_ZERO = { id: "X135", name: "missing_zero", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Values are missing, written as -1.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) become -1 in their unit.
    ///
    /// ## Why it matters in care
    /// A code of programmers for nothing; a model takes it for a very low value, and a scaled feature hides it well.
    ///
    /// ## Limits
    /// Cells go missing at random.
    ///
    /// ## References
    /// Weiskopf, Weng 2013, doi:10.1136/amiajnl-2011-000681 (completeness).
    pub static ENTRY_MINUS_ONE = { id: "X136", name: "missing_minus_one", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Values are missing, written as 999.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) become 999 in their unit.
    ///
    /// ## Why it matters in care
    /// A code of registries and statistics programs for unknown; an age of 999 is easily seen, a platelet count of 999 is not.
    ///
    /// ## Limits
    /// Cells go missing at random.
    ///
    /// ## References
    /// Weiskopf, Weng 2013, doi:10.1136/amiajnl-2011-000681 (completeness).
    pub static ENTRY_999 = { id: "X137", name: "missing_999", kind: Attack, since: "0.1.0", maps: [] };
}

domain::catalogue_entry! {
    /// Values are missing and were filled in with the median.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) become the median of the reference rows.
    ///
    /// ## Why it matters in care
    /// The usual repair. Every check passes, and the sicker the patient, the more the median flatters.
    ///
    /// ## Limits
    /// Cells go missing at random. Codes get their median code.
    ///
    /// ## References
    /// Rubin 1976, doi:10.1093/biomet/63.3.581.
    pub static ENTRY_MEDIAN = { id: "X138", name: "missing_median", kind: Attack, since: "0.1.0", maps: [] };
}

const STRENGTHS: Strengths = Strengths { values: CELLS, low: 1.0, high: 1000.0, means: "cells of a row" };

/// In the registry.
pub(in super::super) static NAN: Registered = Registered {
    entry: &ENTRY_NAN,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &STRENGTHS,
    make: |cells| Act::Table(Box::new(Missing { cells, fill: Fill::Code(f64::NAN) })),
};

/// In the registry.
pub(in super::super) static ZERO: Registered = Registered {
    entry: &ENTRY_ZERO,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &STRENGTHS,
    make: |cells| Act::Table(Box::new(Missing { cells, fill: Fill::Code(0.0) })),
};

/// In the registry.
pub(in super::super) static MINUS_ONE: Registered = Registered {
    entry: &ENTRY_MINUS_ONE,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &STRENGTHS,
    make: |cells| Act::Table(Box::new(Missing { cells, fill: Fill::Code(-1.0) })),
};

/// In the registry.
pub(in super::super) static NINES: Registered = Registered {
    entry: &ENTRY_999,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &STRENGTHS,
    make: |cells| Act::Table(Box::new(Missing { cells, fill: Fill::Code(999.0) })),
};

/// In the registry.
pub(in super::super) static MEDIAN: Registered = Registered {
    entry: &ENTRY_MEDIAN,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &STRENGTHS,
    make: |cells| Act::Table(Box::new(Missing { cells, fill: Fill::Median })),
};

enum Fill {
    Code(f64),
    Median,
}

struct Missing {
    cells: f64,
    fill: Fill,
}

impl OnTable for Missing {
    fn refuses(&self, _table: &Table) -> Option<String> {
        None
    }

    fn corrupt(&self, patient: &mut Patient<'_>, rng: &mut Rng, _site: &mut Rng) {
        let medians = &patient.table.medians;
        patient.change(
            self.cells,
            rng,
            |_| true,
            |at, _, value, _| match self.fill {
                Fill::Code(code) => code,
                Fill::Median => medians.get(at).copied().unwrap_or(value),
            },
        );
    }
}
