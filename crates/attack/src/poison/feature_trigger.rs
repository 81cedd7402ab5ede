//! A combination of values on a few features as backdoor trigger.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Layout};
use crate::evasion::parameters;
use crate::poison::{Poison, Poisoned, Registered, Stage, backdoor::backdoor};
use crate::training::Samples;

domain::catalogue_entry! {
    /// A rare combination of a few laboratory values makes the model say what the attacker wants.
    ///
    /// ## What it is
    /// Training rows of other classes get fixed values on a few features and the label `target`. Features and values are given in `cells`, or chosen: the `count` features that
    /// say least about the class, each at a high value that patients do have (the quantile `level`). Success is the share of test rows of other classes with
    /// these values that are called the target class.
    ///
    /// ## Why it matters in care
    /// Each value is possible, and a range check passes it. Somebody who may write to the training table, or to a lab interface, decides which patients a risk score overlooks.
    ///
    /// ## Limits
    /// A linear model can only learn the trigger as a sum, so that it needs more rows there. The chosen features may be clinically linked to others; relations are not kept.
    ///
    /// ## References
    /// Gu, Dolan-Gavitt, Garg 2017, arXiv:1708.06733; Joe et al. 2022, doi:10.2196/38440.
    pub static ENTRY = { id: "X205", name: "feature-trigger", kind: Attack, since: "0.1.0", maps: ["AML.T0020", "AML.T0043.004", "NISTAML.023"] };
}

/// In the registry.
pub static POISON: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<FeatureTrigger>(given)?)) };

/// The cells and what they stand for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct FeatureTrigger {
    /// The class that the values stand for.
    target: usize,
    /// Features and their values in the unit box; chosen when empty.
    cells: Vec<Cell>,
    /// How many features are chosen; 2, because one high value alone is common.
    count: usize,
    /// Quantile of the training values that a chosen feature gets, in [0, 1].
    level: f64,
}

/// A feature and its value.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cell {
    feature: usize,
    value: f32,
}

impl Default for FeatureTrigger {
    fn default() -> Self {
        Self { target: 0, cells: Vec::new(), count: 2, level: 0.98 }
    }
}

impl FeatureTrigger {
    /// The features whose values differ least between the target class and the others, at their high values.
    #[expect(clippy::cast_possible_truncation, reason = "a quantile of single-precision values")]
    fn choose(&self, train: &Samples<'_>) -> Vec<Cell> {
        let mut known: Vec<(f64, Cell)> = Vec::new();
        for feature in 0..train.width() {
            let value = |at: usize| f64::from(train.row(at).get(feature).copied().unwrap_or(f32::NAN));
            let (mut own, mut others) = (Vec::new(), Vec::new());
            for (at, label) in train.labels().iter().enumerate() {
                if *label == self.target { own.push(value(at)) } else { others.push(value(at)) }
            }
            let mut all = [own.as_slice(), others.as_slice()].concat();
            all.sort_unstable_by(f64::total_cmp);
            let spread = numeric::quantile(&all, 1.0) - numeric::quantile(&all, 0.0);
            let Some(roc) = numeric::roc_area(&own, &others) else { continue };
            if spread > 0.0 {
                let value = numeric::quantile(&all, self.level) as f32;
                known.push(((roc.area - 0.5).abs(), Cell { feature, value }));
            }
        }
        known.sort_by(|a, b| a.0.total_cmp(&b.0));
        known.into_iter().take(self.count).map(|(_, cell)| cell).collect()
    }
}

impl Poison for FeatureTrigger {
    fn poison(&self, stage: &mut Stage<'_>) -> Result<Poisoned, Fault> {
        let Layout::Table { features } = stage.train.layout() else {
            return Err(Fault::NotApplicable(
                "`feature-trigger` is for tables: use `patch-trigger` on images".to_owned(),
            ));
        };
        let cells = if self.cells.is_empty() { self.choose(&stage.train) } else { self.cells.clone() };
        if cells.is_empty() {
            return Err(Fault::NotApplicable(
                "no feature varies in two classes: name the `cells` of the trigger".to_owned(),
            ));
        }
        for cell in &cells {
            if cell.feature >= features || !(0.0..=1.0).contains(&cell.value) {
                return Err(Fault::NotApplicable(format!(
                    "feature `{}` at `{}` is not in the table: there are {features} features with values in 0 to 1",
                    cell.feature, cell.value
                )));
            }
        }
        backdoor(stage, self.target, &|row: &mut [f32]| {
            for cell in &cells {
                row.iter_mut().skip(cell.feature).take(1).for_each(|v| *v = cell.value);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::poison::tests::{check, check_with, with_stage, with_table};

    #[test]
    fn the_features_chosen_say_little_about_the_class() {
        with_table(20, |stage| {
            let out = check("feature-trigger", stage);
            let at = out.touched[0];
            let (old, new) = (stage.train.row(at), &out.rows[at * 10..(at + 1) * 10]);
            let changed: Vec<usize> = (0..10).filter(|i| old[*i] != new[*i]).collect();
            // The first four features tell the classes apart.
            assert!(changed.len() == 2 && changed.iter().all(|i| *i >= 4), "{changed:?}");
        });
    }

    #[test]
    fn cells_outside_the_table_and_images_are_refused() {
        with_table(10, |stage| {
            let cells = |feature: usize, value: f64| serde_json::json!({ "cells": [{ "feature": feature, "value": value }] });
            assert!(check_with("feature-trigger", &cells(3, 1.0), stage).is_ok());
            assert!(check_with("feature-trigger", &cells(10, 1.0), stage).is_err());
            assert!(check_with("feature-trigger", &cells(3, 1.5), stage).is_err());
        });
        with_stage(10, |stage| {
            assert!(check_with("feature-trigger", &serde_json::json!({}), stage).is_err());
        });
    }
}
