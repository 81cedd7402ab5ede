//! Another hospital.

use numeric::Rng;

use super::super::{Act, Registered, Source, Strengths, Subject};
use super::{OnTable, Patient, Table, none_eligible};

domain::catalogue_entry! {
    /// Another site measures otherwise: half of the columns are shifted and stretched, the same way for all patients.
    ///
    /// ## What it is
    /// Half of the columns, drawn once per exercise, are shifted by 0.25, 0.5, 0.75, 1.0, 1.5 standard deviations of the reference (severity 1 to 5), up or down, and
    /// stretched about their median by a tenth of that. Whole numbers stay whole.
    ///
    /// ## Why it matters in care
    /// Other assays, devices and populations. A model that was bought does not know yours; accuracy at the vendor's site says nothing about it.
    ///
    /// ## Limits
    /// Shifts of single columns; correlations, prevalence and coding practice change too when a hospital does. Use another site's data where there is any. Codes are
    /// left alone.
    ///
    /// ## References
    /// Subbaswamy, Saria 2020, doi:10.1093/biostatistics/kxz041; the severities are our own.
    pub static ENTRY = { id: "X140", name: "site_shift", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &Strengths {
        values: &[0.25, 0.5, 0.75, 1.0, 1.5],
        low: 0.0,
        high: 10.0,
        means: "shift, in standard deviations of the reference",
    },
    make: |shift| Act::Table(Box::new(SiteShift(shift))),
};

struct SiteShift(f64);

impl OnTable for SiteShift {
    fn refuses(&self, table: &Table) -> Option<String> {
        none_eligible(table, |c| !c.is_code(), "all columns are codes")
    }

    fn corrupt(&self, patient: &mut Patient<'_>, _rng: &mut Rng, site: &mut Rng) {
        let table = patient.table;
        let columns: Vec<usize> =
            table.columns.iter().enumerate().filter(|(_, c)| !c.is_code()).map(|(at, _)| at).collect();
        for place in site.permutation(columns.len()).into_iter().take(columns.len().div_ceil(2)) {
            let (shift, stretch) = (site.sign(), site.sign());
            let Some(at) = columns.get(place).copied() else { continue };
            let (Some(value), Some(column)) = (patient.values.get_mut(at), table.columns.get(at)) else {
                continue;
            };
            let of = |list: &[f64]| list.get(at).copied().unwrap_or(0.0);
            let (median, deviation) = (of(&table.medians), of(&table.deviations));
            let stretched = median + (*value - median) * (1.0 + 0.1 * stretch * self.0).max(0.0);
            *value = column.whole(stretched + shift * self.0 * deviation);
        }
    }
}
