//! Gradient-boosted trees: XGBoost, LightGBM, CatBoost.

mod lightgbm;
mod trees;
mod ubjson;
mod xgboost;

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::wire::flat::{Flat, Table};
use crate::{Context, Part, Range, payload};

pub(super) use lightgbm::LightGbm;
pub(super) use xgboost::{XgboostBinary, XgboostJson, XgboostUbj};

catalogue_entry! {
    /// A file of boosted trees contradicts itself.
    ///
    /// ## What it is
    /// A child, feature or count that points outside of its tree, lists of different lengths, or a key that is there twice.
    ///
    /// ## Why it matters in care
    /// The readers of these formats follow such numbers without a check: prediction reads memory that it should not, or
    /// never ends.
    ///
    /// ## Limits
    /// Circles between valid nodes are not searched. Thresholds and leaves are numbers of any value.
    ///
    /// ## References
    /// XGBoost model schema; LightGBM text format; CWE-125 Out-of-bounds Read; CWE-1284.
    pub(crate) static STRUCTURE = {
        id: "S085", name: "boosting-contradiction", kind: Rule, since: "0.1.0",
        maps: ["AML.T0076", "AML.T0029", "CWE-125", "CWE-1284", "CWE-436"],
    };
}

/// Entries of these formats.
pub(crate) const ENTRIES: &[&Entry] = &[&STRUCTURE];

/// Remedy for every contradiction.
const REMEDY: &str = "do not use the file; ask the supplier for a valid export";

fn flaw(part: &mut Part, cx: &mut Context<'_>, at: u64, what: String) {
    cx.find(part, &STRUCTURE, Severity::Medium, Some(at), what, REMEDY);
}

/// CatBoost's binary format.
pub(super) struct CatBoost;

impl Format for CatBoost {
    fn name(&self) -> &'static str {
        "catboost"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        input.head.starts_with(b"CBM1").then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        part.facts.framework = Some("CatBoost".to_owned());
        let length = input.head.get(4..8).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
        let end = 8 + u64::from(length);
        let core = (end <= input.source.len()).then(|| Flat::new(input.source, 8).root()).flatten();
        let Some(core) = core else {
            return flaw(part, cx, 4, format!("the model claims {length} bytes, which it does not have"));
        };
        part.facts.note("format", &core.text(0));
        let entries = core.vector(2, 4, 10_000).into_iter().flat_map(|v| v.tables());
        for (key, value) in entries.map(|t: Table<'_>| (t.text(0), t.text(1))) {
            if key == "catboost_version_info" {
                part.facts.producer = value.lines().next().map(|l| format!("CatBoost {l}"));
            }
            payload::text(&value, &format!("metadata `{key}`"), Some(8), part, cx);
            part.facts.note(key, &value);
        }
        // Tables of counters follow for models with categories; something to load does not.
        payload::bytes(&Range::from(input.source, end), "what follows the model", Some(end), part, cx);
    }
}

#[cfg(test)]
mod tests;
