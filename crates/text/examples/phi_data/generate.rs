//! Queries and notes with slots filled, and clean clinical sentences among them.

use numeric::Rng;
use text::phi::Label;
use text::phi::learn::Example;

use super::fill::{Lists, pick, slot};
use super::templates::{ASK, HAS, NOBODY, NOTES, NUMBERS, SEEN, WHO};

/// Adds `template` to `out` with its slots filled.
fn fill(rng: &mut Rng, lists: &Lists, template: &str, out: &mut Example) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.text += before;
        let Some((name, tail)) = after.split_once('}') else { return };
        if name == "ask" {
            let opening = pick(rng, &ASK);
            fill(rng, lists, opening, out);
        } else {
            let (small, first) = (name.to_lowercase(), name.chars().next().is_some_and(char::is_uppercase));
            let (mut text, label) = slot(rng, lists, &small);
            if name.len() > 2 && name.chars().all(char::is_uppercase) {
                text = text.to_uppercase();
            } else if first {
                let mut chars = text.chars();
                text = chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect());
            }
            let start = out.text.len();
            out.text += &text;
            // A possessive of a place or an eponym belongs to it; the full stop after an initial to the name.
            if label != Label::Outside {
                out.spans.push((start, out.text.len(), Some(label)));
            }
        }
        rest = tail;
    }
    out.text += rest;
}

fn line(rng: &mut Rng, lists: &Lists, from: &[&str], out: &mut Example) {
    let chosen = pick(rng, from);
    fill(rng, lists, chosen, out);
}

fn piece(rng: &mut Rng, lists: &Lists, from: &[&str], out: &mut Example) {
    let chosen = pick(rng, from);
    if chosen.is_empty() {
        return;
    }
    if !out.text.is_empty() {
        out.text += if rng.below(9) == 0 { ", " } else { " " };
    }
    fill(rng, lists, chosen, out);
}

/// A question to an assistant.
fn query(rng: &mut Rng, lists: &Lists) -> Example {
    let mut out = Example::default();
    if rng.below(10) < 4 {
        line(rng, lists, &NOBODY, &mut out);
        return out;
    }
    piece(rng, lists, &ASK, &mut out);
    piece(rng, lists, &WHO, &mut out);
    for _ in 0..1 + rng.below(2) {
        piece(rng, lists, &HAS, &mut out);
    }
    for _ in 0..rng.below(3) {
        piece(rng, lists, &SEEN, &mut out);
    }
    if rng.below(2) == 0 {
        piece(rng, lists, &NUMBERS, &mut out);
    }
    out.text += pick(rng, &["?", ".", "", "?"]);
    out
}

/// A note: lines and sentences about somebody between clean ones.
fn note(rng: &mut Rng, lists: &Lists, clean: &[Vec<String>]) -> Example {
    let mut out = Example::default();
    for _ in 0..rng.below(4) {
        line(rng, lists, &NOTES, &mut out);
        out.text += pick(rng, &["\n", "\n", "   ", "\n\n", " | "]);
    }
    let sentences = &clean[rng.below(clean.len())];
    let from = rng.below(sentences.len().max(1));
    for sentence in sentences.iter().skip(from).take(4) {
        match rng.below(5) {
            0 | 1 => line(rng, lists, &NOTES, &mut out),
            2 => line(rng, lists, &NOBODY, &mut out),
            _ => {}
        }
        out.text += pick(rng, &[" ", " ", "\n"]);
        out.text += sentence;
        out.text += " ";
    }
    out
}

/// `count` made-up texts, half questions, half notes.
pub fn generate(seed: u64, count: usize, clean: &[Vec<String>]) -> Vec<Example> {
    let (mut rng, lists) = (Rng::new(seed, 1), Lists::new());
    (0..count)
        .map(|i| {
            let mut example = if i % 2 == 0 || clean.is_empty() {
                query(&mut rng, &lists)
            } else {
                note(&mut rng, &lists, clean)
            };
            if i % 19 == 0 {
                // Sometimes all in small letters, as people type; only what was filled in is longer than before.
                let small = example.text.to_lowercase();
                if small.len() == example.text.len() {
                    example.text = small;
                }
            }
            example
        })
        .collect()
}
