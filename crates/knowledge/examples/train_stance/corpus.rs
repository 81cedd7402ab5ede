//! Pairs of names in the open clean corpora.

use knowledge::Knowledge;
use knowledge::training::slots_at;

use crate::learn::Row;
use crate::make::Dice;

const SETS: [&str; 3] =
    ["clean_medquad_4k.open.jsonl", "clean_pubmedqa_l.open.jsonl", "clean_mtsamples.open.jsonl"];

/// Some of the sentences with any two words do say something.
const WORDS_WEIGHT: f32 = 0.4;

/// Gives every pair: two drugs or not, number of the document, row.
pub fn rows(mut each: impl FnMut(bool, usize, Row)) -> Result<(), Box<dyn std::error::Error>> {
    let core = Knowledge::core()?;
    let shared = std::env::var_os("ASEPSIS_SHARED")
        .map_or_else(|| std::path::PathBuf::from("../shared"), std::path::PathBuf::from);
    let mut document = 0;
    let mut dice = Dice::new(3);
    for set in SETS {
        let text = std::fs::read_to_string(shared.join("data/text").join(set))?;
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line)?;
            let Some(text) = row["text"].as_str() else { continue };
            document += 1;
            for together in [false, true] {
                any_words(text, &mut dice, |row| each(together, document, row));
            }
            core.seen(text, |seen| {
                // What would contradict the graph is, in a clean text, nearly always something else that is said.
                let (answer, weight) = match seen.cue {
                    Some(true) if !seen.for_is_false => (1, if seen.against_is_false { 0.5 } else { 0.1 }),
                    Some(false) if !seen.against_is_false && seen.for_is_false => (2, 0.5),
                    Some(false) if !seen.against_is_false => (2, 0.0),
                    Some(_) => (0, 2.0),
                    None => (0, if seen.for_is_false || seen.against_is_false { 1.0 } else { 0.3 }),
                };
                each(
                    seen.together,
                    document,
                    Row {
                        slots: seen.slots,
                        answer,
                        weight,
                        for_is_false: seen.for_is_false,
                        against_is_false: seen.against_is_false,
                    },
                );
            });
        }
    }
    Ok(())
}

/// Sentences with two words of any kind in place of the names: that is what text looks like in which nothing is said of two names.
fn any_words(text: &str, dice: &mut Dice, mut each: impl FnMut(Row)) {
    for sentence in text.split_inclusive(['.', '\n']).map(str::trim).filter(|s| s.len() > 40 && s.len() < 600)
    {
        let base = sentence.as_ptr() as usize;
        let words: Vec<(usize, usize)> = sentence
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| w.len() > 4)
            .map(|w| (w.as_ptr() as usize - base, w.as_ptr() as usize - base + w.len()))
            .collect();
        if words.len() < 3 {
            continue;
        }
        let first = dice.below(words.len() - 1);
        let second = (first + 1 + dice.below(5)).min(words.len() - 1);
        let (Some(one), Some(two)) = (words.get(first), words.get(second)) else { continue };
        let slots = slots_at(sentence, *one, *two, dice.below(3) > 0);
        if !slots.is_empty() {
            each(Row {
                slots,
                answer: 0,
                weight: WORDS_WEIGHT,
                for_is_false: false,
                against_is_false: false,
            });
        }
    }
}
