//! Training and evaluation data: the open halves of the sets under `$ASEPSIS_SHARED/data/text`, and the generator.
#![allow(dead_code, reason = "two programs share this, each uses its part")]
#![allow(clippy::expect_used, clippy::panic, reason = "programs for developers")]

pub mod fill;
pub mod generate;
pub mod templates;
pub mod words;

use std::path::PathBuf;

use text::phi::learn::{Example, Settings, train};
use text::phi::{Label, Weights};

/// A text of a set with its gold spans, in bytes.
#[derive(Clone, Debug)]
pub struct Row {
    pub text: String,
    pub gold: Vec<(usize, usize, String)>,
}

fn folder() -> PathBuf {
    PathBuf::from(std::env::var("ASEPSIS_SHARED").unwrap_or_else(|_| "../shared".to_owned()))
        .join("data/text")
}

/// Rows of a set; spans there count characters. `suffix` is `open` here, another where other data is judged.
pub fn rows(name: &str, suffix: &str) -> Vec<Row> {
    let path = folder().join(format!("{name}.{suffix}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| row(&serde_json::from_str(line).expect("a line of JSON"))).collect()
}

fn row(value: &serde_json::Value) -> Row {
    let text = value["text"].as_str().unwrap_or_default().to_owned();
    let mut offsets: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
    offsets.push(text.len());
    let at = |v: &serde_json::Value| {
        let index = usize::try_from(v.as_u64().unwrap_or(0)).unwrap_or(0);
        offsets.get(index).copied().unwrap_or(text.len())
    };
    let spans = value["spans"].as_array().cloned().unwrap_or_default();
    let gold = spans
        .iter()
        .map(|s| (at(&s["start"]), at(&s["end"]), s["type"].as_str().unwrap_or_default().to_owned()))
        .collect();
    Row { text, gold }
}

/// Which label a set's own type has; the inner `None` where the rule does not ask for it to be hidden, or where the
/// set marks more than the rule (countries, companies), so that no lesson is drawn.
fn label(kind: &str) -> Option<Label> {
    Some(match kind {
        "NAME" | "PERSON" | "PATIENT" | "DOCTOR" => Label::Name,
        "GEOGRAPHIC_LOCATION" | "LOC" | "ADDRESS" | "STREET_ADDRESS" | "ZIP_CODE" | "HOSPITAL" => {
            Label::Place
        }
        "DATE" => Label::Date,
        "AGE90" => return Some(Label::Outside),
        "GPE" | "LOCATION" | "ORGANIZATION" | "NRP" | "TITLE" | "PREFIX" | "AGE" | "DATE_TIME"
        | "DOMAIN_NAME" => {
            return None;
        }
        _ => Label::Id,
    })
}

/// As a training example.
pub fn example(row: &Row) -> Example {
    let mut spans: Vec<_> = row.gold.iter().map(|(s, e, k)| (*s, *e, label(k))).collect();
    // Where nothing is known it must not undo what is.
    spans.sort_by_key(|(_, _, l)| l.is_some());
    Example { text: row.text.clone(), spans }
}

/// A text with nobody in it.
pub fn clean(text: &str) -> Example {
    Example { text: text.to_owned(), spans: Vec::new() }
}

/// Sentences of a text, roughly.
pub fn sentences(text: &str) -> Vec<String> {
    text.split_inclusive(". ").map(|s| s.trim().to_owned()).filter(|s| s.len() > 20).collect()
}

/// Whether a sentence of a text written about the world may name real people, places or days.
fn may_name(sentence: &str) -> bool {
    const WORDS: [&str; 12] = [
        "University",
        "Hospital",
        "Clinic",
        "Center",
        "County",
        "Medical School",
        "Registry",
        "Centre",
        "Institut",
        "Dr.",
        "City",
        "Department",
    ];
    WORDS.iter().any(|w| sentence.contains(w)) || words::MONTHS.split(' ').any(|m| sentence.contains(m))
}

/// All sets, by name, that training may use.
pub const SETS: [&str; 6] = [
    "phi_asq",
    "phi_clin_surrogate",
    "phi_philter_sample_notes",
    "phi_presidio_synth_v2",
    "phi_presidio_generated_large",
    "misinfo_medec_ms",
];

/// What a training leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Without<'a> {
    /// This set.
    pub set: Option<&'a str>,
    /// Rows whose number modulo five is this.
    pub fold: Option<usize>,
}

/// How often the rows of a set are given, so that small ones are heard.
fn weight(set: &str) -> usize {
    match set {
        "phi_asq" => 6,
        "phi_philter_sample_notes" => 8,
        "phi_clin_surrogate" => 2,
        _ => 1,
    }
}

/// How many texts the generator makes.
pub const GENERATED: usize = 24_000;

/// Everything a training sees.
pub fn examples(without: Without<'_>) -> Vec<Example> {
    let mut out = Vec::new();
    let mut clean_notes = Vec::new();
    for set in SETS {
        if without.set == Some(set) {
            continue;
        }
        for (i, row) in rows(set, "open").iter().enumerate() {
            if without.fold == Some(i % 5) {
                continue;
            }
            if set == "misinfo_medec_ms" {
                clean_notes.push(sentences(&row.text));
                out.extend((0..2).map(|_| clean(&row.text)));
            } else {
                out.extend(std::iter::repeat_n(example(row), weight(set)));
            }
        }
    }
    for set in ["clean_pubmedqa_l", "clean_medquad_4k"] {
        for row in rows(set, "open") {
            let kept: Vec<String> =
                sentences(&row.text).into_iter().filter(|s| !may_name(s)).take(8).collect();
            out.push(clean(&kept.join(" ")));
        }
    }
    out.extend(generate::generate(20_261_124, GENERATED, &clean_notes));
    out
}

/// Trains on all but what is left out.
pub fn weights(without: Without<'_>, settings: Settings) -> Weights {
    let mut rng = numeric::Rng::new(5, 2);
    train(&examples(without), settings, |n| rng.permutation(n))
}
