//! What a real server answered to the conditions of the service: malformed requests, loads, sick model servers, wrong clocks.

use serde::{Deserialize, Serialize};

use super::Share;
use crate::corruption::service::Expected;

/// One condition, as it was met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceRow {
    /// Id of the condition.
    pub condition: String,
    /// Its name.
    pub name: String,
    /// Answers that were sound, of all.
    pub sound: Share,
    /// The answers that were not.
    pub unsound: Vec<Unsound>,
    /// How many answers of each kind came: the status and code, or why there was none.
    pub answers: std::collections::BTreeMap<String, usize>,
}

/// An answer that no sound server gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Unsound {
    /// What was asked.
    pub what: String,
    /// What a sound server answers.
    pub expected: Expected,
    /// What came.
    pub got: String,
}

impl ServiceRow {
    /// A row of what was expected and what came.
    pub fn of(
        entry: &domain::Entry,
        met: impl IntoIterator<Item = (String, Expected, Result<(u16, String), String>)>,
    ) -> Self {
        let mut row = Self {
            condition: entry.id.to_owned(),
            name: entry.name.to_owned(),
            sound: Share::default(),
            unsound: Vec::new(),
            answers: std::collections::BTreeMap::new(),
        };
        let (mut all, mut good) = (0, 0);
        for (what, expected, got) in met {
            let sound = got.as_ref().is_ok_and(|(status, _)| expected.allows(*status));
            let got = match got {
                Ok((status, code)) if code.is_empty() => status.to_string(),
                Ok((status, code)) => format!("{status} {code}"),
                Err(why) => why,
            };
            all += 1;
            good += usize::from(sound);
            *row.answers.entry(got.clone()).or_insert(0) += 1;
            if !sound {
                row.unsound.push(Unsound { what, expected, got });
            }
        }
        row.sound = Share::new(good, all);
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_internal_errors_are_never_sound() {
        let entry = crate::corruption::service::CONDITIONS[0].entry;
        let met = [
            ("a".to_owned(), Expected::ClientFault, Ok((400, "E001".to_owned()))),
            ("b".to_owned(), Expected::ClientFault, Ok((500, String::new()))),
            ("c".to_owned(), Expected::Served, Err("no answer".to_owned())),
        ];
        let row = ServiceRow::of(entry, met);
        assert_eq!((row.sound.hits, row.sound.of), (1, 3));
        assert_eq!(row.unsound.iter().map(|u| u.got.as_str()).collect::<Vec<_>>(), ["500", "no answer"]);
        assert_eq!(row.answers["400 E001"], 1);
    }
}
