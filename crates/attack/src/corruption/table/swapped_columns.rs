//! Two values in each other's place.

use numeric::Rng;

use super::super::{Act, Registered, Source, Strengths, Subject};
use super::{CELLS, OnTable, Patient, Table, count};

domain::catalogue_entry! {
    /// Two values stand in each other's place.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 pairs of values (severity 1 to 5, as far as there are) are exchanged: neighbours on the form, or columns of the same unit.
    ///
    /// ## Why it matters in care
    /// Systolic typed for diastolic, a mapping that is off by one column after an interface update. Both values are plausible where they stand.
    ///
    /// ## Limits
    /// Pairs are drawn without regard to how likely a person is to confuse them. Exchanged equal values change nothing.
    ///
    /// ## References
    /// Weiskopf, Weng 2013, doi:10.1136/amiajnl-2011-000681.
    pub static ENTRY = { id: "X132", name: "swapped_columns", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &Strengths { values: CELLS, low: 1.0, high: 1000.0, means: "pairs of cells of a row" },
    make: |pairs| Act::Table(Box::new(SwappedColumns(pairs))),
};

struct SwappedColumns(f64);

/// Neighbours, and columns of one unit (no unit is not one).
fn pairs(table: &Table) -> Vec<(usize, usize)> {
    let columns = table.columns();
    let mut found = Vec::new();
    for (a, first) in columns.iter().enumerate() {
        for (b, second) in columns.iter().enumerate().skip(a + 1) {
            let unit = &first.feature.unit;
            if b == a + 1 || (unit != "1" && !unit.is_empty() && *unit == second.feature.unit) {
                found.push((a, b));
            }
        }
    }
    found
}

impl OnTable for SwappedColumns {
    fn refuses(&self, table: &Table) -> Option<String> {
        (table.columns().len() < 2).then(|| "one column has nothing to be exchanged with".to_owned())
    }

    fn corrupt(&self, patient: &mut Patient<'_>, rng: &mut Rng, _site: &mut Rng) {
        let all = pairs(patient.table);
        // A column is exchanged once, so that no exchange undoes another.
        let mut used = vec![false; patient.values.len()];
        let mut left = count(self.0);
        for at in rng.permutation(all.len()) {
            let Some((a, b)) = all.get(at).copied() else { continue };
            let free = used.get(a) == Some(&false) && used.get(b) == Some(&false);
            if left == 0 || !free {
                continue;
            }
            patient.values.swap(a, b);
            [a, b].iter().filter_map(|c| used.get_mut(*c).map(|u| *u = true)).for_each(drop);
            left -= 1;
        }
    }
}
