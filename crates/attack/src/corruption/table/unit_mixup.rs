//! A value in another unit.

use domain::UnitAlternative;
use numeric::Rng;

use super::super::{Act, Registered, Source, Strengths, Subject};
use super::{CELLS, Column, OnTable, Patient, Table, none_eligible};

domain::catalogue_entry! {
    /// Values arrive in another unit: mmol/L for mg/dL, pounds for kilograms, Fahrenheit for Celsius.
    ///
    /// ## What it is
    /// In each row 1, 2, 3, 5, 8 values (severity 1 to 5, as far as there are) are written in a unit that the feature is often mixed up with, without saying so. The units are
    /// those that the system declares for its features, and besides them the pairs Celsius and Fahrenheit, kilogram and pound, centimetre and inch, mmHg and kPa.
    ///
    /// ## Why it matters in care
    /// Laboratories differ by country, scales by ward. A glucose of 5.5 read as mg/dL is an emergency that is not there; a weight in pounds doubles a dose.
    ///
    /// ## Limits
    /// Needs units: a table without declared features has none to mix up. Counts and codes are left alone.
    ///
    /// ## References
    /// ISMP list of error-prone abbreviations and dose designations (2021); UCUM for unit names.
    pub static ENTRY = { id: "X130", name: "unit_mixup", kind: Attack, since: "0.1.0", maps: [] };
}

/// In the registry.
pub(in super::super) static CORRUPTION: Registered = Registered {
    entry: &ENTRY,
    subject: Subject::Table,
    source: Source::Condition,
    strengths: &Strengths { values: CELLS, low: 1.0, high: 1000.0, means: "cells of a row" },
    make: |cells| Act::Table(Box::new(UnitMixup(cells))),
};

struct UnitMixup(f64);

/// `(unit, other, factor, offset)`: value in `unit` = value in `other` × factor + offset. UCUM; exact by definition, kPa from the conventional mmHg.
const PAIRS: &[(&str, &str, f64, f64)] = &[
    ("Cel", "[degF]", 5.0 / 9.0, -160.0 / 9.0),
    ("[degF]", "Cel", 1.8, 32.0),
    ("kg", "[lb_av]", 0.453_592_37, 0.0),
    ("[lb_av]", "kg", 1.0 / 0.453_592_37, 0.0),
    ("cm", "[in_i]", 2.54, 0.0),
    ("[in_i]", "cm", 1.0 / 2.54, 0.0),
    ("mm[Hg]", "kPa", 7.500_615_758_456_564, 0.0),
    ("kPa", "mm[Hg]", 0.133_322_387_415, 0.0),
];

/// Units that the values of a column may be written in by mistake: declared ones first, then the pairs that any clinic has.
fn alternatives(column: &Column) -> Vec<UnitAlternative> {
    let mut all: Vec<UnitAlternative> = column
        .feature
        .alternatives
        .iter()
        .filter(|a| a.factor.is_finite() && a.factor != 0.0)
        .cloned()
        .collect();
    for (unit, other, factor, offset) in PAIRS {
        if *unit == column.feature.unit && !all.iter().any(|a| a.unit == *other) {
            all.push(UnitAlternative { unit: (*other).to_owned(), factor: *factor, offset: *offset });
        }
    }
    all
}

impl OnTable for UnitMixup {
    fn refuses(&self, table: &Table) -> Option<String> {
        none_eligible(
            table,
            |c| !alternatives(c).is_empty(),
            "no feature declares a unit that it could be mixed up with: add `alternatives` to the features",
        )
    }

    fn corrupt(&self, patient: &mut Patient<'_>, rng: &mut Rng, _site: &mut Rng) {
        patient.change(
            self.0,
            rng,
            |c| !alternatives(c).is_empty(),
            |_, column, value, rng| {
                let all = alternatives(column);
                all.get(rng.below(all.len())).map_or(value, |other| (value - other.offset) / other.factor)
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fever_in_fahrenheit_and_a_weight_in_pounds() {
        for (unit, value, expected) in [
            ("Cel", 37.0, 98.6),
            ("[degF]", 98.6, 37.0),
            ("kg", 70.0, 154.323_583_529_414_3),
            ("mm[Hg]", 120.0, 15.998_686_489_8),
        ] {
            let mut column = Column::plain("x", 0.0, 200.0);
            column.feature.unit = unit.to_owned();
            let table = Table::new(vec![column], &[0.5]).unwrap();
            let mut values = [value];
            let mut patient = Patient { sample: 0, values: &mut values, table: &table };
            UnitMixup(1.0).corrupt(&mut patient, &mut Rng::new(1, 1), &mut Rng::new(1, 2));
            assert!((values[0] - expected).abs() < 1e-9, "{unit}: {}", values[0]);
        }
    }

    #[test]
    fn a_declared_unit_is_used() {
        let mut column = Column::plain("cholesterol", 60.0, 1000.0);
        column.feature.unit = "mg/dL".to_owned();
        column.feature.alternatives =
            vec![UnitAlternative { unit: "mmol/L".to_owned(), factor: 38.67, offset: 0.0 }];
        let table = Table::new(vec![column, Column::plain("y", 0.0, 1.0)], &[0.5, 0.5]).unwrap();
        let mut values = [200.0, 0.5];
        let mut patient = Patient { sample: 0, values: &mut values, table: &table };
        UnitMixup(8.0).corrupt(&mut patient, &mut Rng::new(1, 1), &mut Rng::new(1, 2));
        assert!((values[0] - 5.172).abs() < 1e-3 && values[1] == 0.5, "{values:?}");
    }
}
