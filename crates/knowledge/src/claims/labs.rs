//! Measurements: whether a value is possible at all, and whether what is said of it (normal, high, low) fits its range.

use serde::Deserialize;

use super::cues::{Cue, CueHit};
use super::{Claim, ClaimKind, Context, Ground, Verdict};
use crate::lexicon::{Hit, Lexicon};

/// A value stands within so many bytes behind its name.
const VALUE_BYTES: usize = 28;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    #[serde(default)]
    test: Vec<Test>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    name: String,
    #[serde(default)]
    also: Vec<String>,
    /// Units in which the ranges hold, lower case.
    unit: Vec<String>,
    /// Adult reference range; both sexes together.
    normal: [f64; 2],
    /// Beyond these a value is a slip of unit or decimal point.
    possible: [f64; 2],
    source: String,
}

/// The measurements that are shipped, ready to be found.
#[derive(Clone, Debug, Default)]
pub(super) struct Labs {
    lexicon: Lexicon,
    tests: Vec<Test>,
}

/// A measurement named in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct TestHit {
    pub start: usize,
    end: usize,
    test: u32,
}

struct Value {
    low: f64,
    high: f64,
    end: usize,
}

impl Labs {
    pub(super) fn shipped() -> Self {
        let sheet: Sheet = toml::from_str(crate::shipped::TESTS).unwrap_or_default();
        let phrases = sheet.test.iter().zip(0..).flat_map(|(t, n)| {
            std::iter::once(t.name.as_str())
                .chain(t.also.iter().map(String::as_str))
                .map(move |name| (name, n))
        });
        let lexicon = Lexicon::build(phrases);
        Self { lexicon, tests: sheet.test }
    }

    pub(super) fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The measurement that a phrase of the lexicon names, if a number stands behind it.
    pub(super) fn test(text: &str, hit: &Hit<'_>) -> Option<TestHit> {
        let near = text
            .as_bytes()
            .get(hit.end..)
            .unwrap_or_default()
            .iter()
            .take(VALUE_BYTES)
            .any(u8::is_ascii_digit);
        hit.payloads.first().filter(|_| near).map(|test| TestHit {
            start: hit.start,
            end: hit.end,
            test: *test,
        })
    }

    /// Adds what is claimed of measurements in a sentence that starts at `at` of the text.
    pub(super) fn judge(
        &self,
        text: &str,
        at: usize,
        hits: &[TestHit],
        cues: &[CueHit],
        out: &mut Vec<Claim>,
    ) {
        if cues.iter().any(|c| c.cue == Cue::Child) {
            return;
        }
        for (place, hit) in hits.iter().enumerate() {
            let Some(test) = self.tests.get(hit.test as usize) else { continue };
            let limit = hits.get(place + 1).map_or(text.len(), |next| next.start - at);
            let Some(value) = value(text, hit.end - at, limit, &test.unit) else { continue };
            let [least, most] = test.possible;
            let quality = if hits.len() == 1 { quality(cues, hit.start - at, value.end) } else { None };
            let (verdict, fact) = if value.low < least || value.high > most {
                (
                    Verdict::Contradicted,
                    format!(
                        "{} of {} {} is beyond {least} to {most}: a slip of unit or decimal point",
                        test.name,
                        value.high,
                        test.unit_word()
                    ),
                )
            } else if let Some(quality) = quality {
                let (fits, word) = fits(quality, &value, test.normal);
                let verdict = if fits { Verdict::Supported } else { Verdict::Contradicted };
                let [low, high] = test.normal;
                (
                    verdict,
                    format!(
                        "{} of {} {} called {word}; adult reference range {low} to {high}",
                        test.name,
                        value.high,
                        test.unit_word()
                    ),
                )
            } else {
                continue;
            };
            out.push(Claim {
                kind: ClaimKind::TestValue,
                start: hit.start,
                end: at + value.end,
                subject: None,
                object: None,
                context: Context::default(),
                verdict,
                ground: Some(Ground { fact, source: test.source.clone(), licence: "own words".to_owned() }),
            });
        }
    }
}

impl Test {
    fn unit_word(&self) -> &str {
        self.unit.first().map_or("", String::as_str)
    }
}

/// The nearest word of quality in the sentence, not turned round by a negation.
fn quality(cues: &[CueHit], from: usize, to: usize) -> Option<Cue> {
    let near = cues.iter().filter(|c| matches!(c.cue, Cue::High | Cue::Low | Cue::Normal));
    let near = near.filter(|c| c.end + 12 >= from && c.start <= to + 28);
    let chosen =
        near.min_by_key(|c| if c.end <= from { from - c.end } else { c.start.saturating_sub(to) })?;
    let turned = cues.iter().any(|c| c.cue == Cue::Not && c.start + 24 >= from.min(chosen.start));
    (!turned).then_some(chosen.cue)
}

/// Whether a quality fits; values within a tenth of the limit are left the benefit of the doubt, since laboratories differ.
fn fits(quality: Cue, value: &Value, [low, high]: [f64; 2]) -> (bool, &'static str) {
    let slack = (high - low) * 0.1;
    match quality {
        Cue::High => (value.high > high - slack, "high"),
        Cue::Low => (value.low < low + slack, "low"),
        _ => (value.low >= low - slack && value.high <= high + slack, "normal"),
    }
}

/// A number with one of the units, behind the name.
fn value(text: &str, from: usize, to: usize, units: &[String]) -> Option<Value> {
    let rest = text.get(from..to)?;
    let digit = rest.find(|c: char| c.is_ascii_digit())?;
    if digit > VALUE_BYTES || rest.get(..digit)?.contains([';', '.', '(']) {
        return None;
    }
    let number = |text: &str| -> Option<(f64, usize)> {
        let len = text.bytes().take_while(|b| b.is_ascii_digit() || matches!(b, b'.' | b',')).count();
        let written = text.get(..len)?.trim_end_matches(['.', ',']);
        Some((written.replace(',', "").parse().ok()?, written.len()))
    };
    let (low, len) = number(rest.get(digit..)?)?;
    let mut at = digit + len;
    let mut high = low;
    let tail = rest.get(at..)?;
    let dash = tail
        .trim_start()
        .trim_start_matches(['-', '–'])
        .trim_start_matches(" to ")
        .trim_start_matches("to ")
        .trim_start();
    if dash.len() < tail.trim_start().len()
        && let Some((upper, len)) = number(dash)
    {
        high = upper;
        at += tail.len() - dash.len() + len;
    }
    let unit = rest.get(at..)?.trim_start().to_lowercase();
    let skipped = rest.get(at..)?.len() - rest.get(at..)?.trim_start().len();
    let found = units.iter().find(|u| {
        unit.starts_with(u.as_str())
            && !unit
                .get(u.len()..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '/'))
    })?;
    (high >= low).then_some(Value { low, high, end: from + at + skipped + found.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_measurements_are_whole() {
        let sheet: Sheet = toml::from_str(crate::shipped::TESTS).unwrap();
        for test in &sheet.test {
            let ([low, high], [least, most]) = (test.normal, test.possible);
            assert!(least <= low && low < high && high <= most, "{}", test.name);
            assert!(
                test.unit.iter().all(|u| *u == u.to_lowercase()) && !test.source.is_empty(),
                "{}",
                test.name
            );
        }
        assert!(sheet.test.len() >= 40, "only {}", sheet.test.len());
    }
}
