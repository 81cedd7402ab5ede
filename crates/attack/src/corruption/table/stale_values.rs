//! Values of the patient before.

use numeric::Rng;

use super::super::{Act, Registered, Source, Strengths, Subject};
use super::{CELLS, OnTable, Patient, Table};

domain::catalogue_entry! {
    /// Values of the patient before stand in the row.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) are those of the previous row of the reference, going round.
    ///
    /// ## Why it matters in care
    /// A form that was not cleared, a cache that was not refreshed, a device still assigned to the last patient: every value is real and belongs to somebody else.
    ///
    /// ## Limits
    /// Equal values change nothing. Values of the same patient from yesterday are not imitated: the data holds one row per patient.
    ///
    /// ## References
    /// Weiskopf, Weng 2013, doi:10.1136/amiajnl-2011-000681 (currency).
    pub static ENTRY = { id: "X133", name: "stale_values", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &Strengths { values: CELLS, low: 1.0, high: 1000.0, means: "cells of a row" },
    make: |cells| Act::Table(Box::new(StaleValues(cells))),
};

struct StaleValues(f64);

impl OnTable for StaleValues {
    fn refuses(&self, _table: &Table) -> Option<String> {
        None
    }

    fn corrupt(&self, patient: &mut Patient<'_>, rng: &mut Rng, _site: &mut Rng) {
        let before = patient.table.before(patient.sample);
        patient.change(self.0, rng, |_| true, |at, _, value, _| before.get(at).copied().unwrap_or(value));
    }
}
