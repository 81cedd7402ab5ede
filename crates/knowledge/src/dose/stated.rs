//! Reads what a sentence states of an amount: `1,000 mg PO four times daily`, `2 g q8h`, `two 500 mg tablets every 6 hours`.

use super::amount;
use crate::kind::{Per, Route, Unit};

/// Most words read behind or before a drug.
const WORDS_MAX: usize = 40;

/// An amount as a text states it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stated {
    /// Place in the sentence.
    pub start: usize,
    pub end: usize,
    /// Smaller and larger end of the amount as written, in `factor` of the base unit.
    pub low: f64,
    pub high: f64,
    pub unit: Unit,
    /// The base unit in one written unit: 1 for mg, 0.001 for mcg.
    pub factor: f64,
    /// How many are given at once.
    pub pieces: f64,
    /// Givings within `per`, where stated; `1 per dose` where not.
    pub times: f64,
    pub per: Per,
    pub route: Route,
}

#[derive(Clone, Debug)]
struct Token {
    start: usize,
    end: usize,
    number: Option<f64>,
    word: String,
}

/// Numbers, words and the signs that matter (`/`, `-`, `%`).
fn tokens(text: &str, from: usize, to: usize) -> Vec<Token> {
    let mut out = Vec::new();
    let part = text.get(from..to).unwrap_or_default();
    let mut rest = part;
    while let Some(first) = rest.chars().next() {
        if out.len() >= WORDS_MAX {
            break;
        }
        let start = from + part.len() - rest.len();
        // The point of `q.12h` is no decimal point.
        let behind_letter = text.get(..start).is_some_and(|t| t.ends_with(char::is_alphabetic));
        let len = match first {
            '.' if behind_letter => 1,
            '0'..='9' | '.' => number_len(rest),
            c if c.is_alphabetic() || c == '\u{b5}' => word_len(rest),
            c => c.len_utf8(),
        };
        let (head, tail) = rest.split_at(len.max(first.len_utf8()));
        rest = tail;
        if first.is_whitespace() {
            continue;
        }
        let number =
            if first.is_ascii_digit() || first == '.' { head.replace(',', "").parse().ok() } else { None };
        let word = if number.is_some() { String::new() } else { head.to_lowercase().replace('.', "") };
        if !word.is_empty() || number.is_some() {
            out.push(Token { start, end: start + head.len(), number, word });
        }
    }
    out
}

/// Length of a number such as `1,000`, `2.5`, `.5`; a comma counts only before three digits.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits =
        |at: usize| bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = digits(0);
    while at > 0 && bytes.get(at) == Some(&b',') && digits(at + 1) == 3 {
        at += 4;
    }
    if bytes.get(at) == Some(&b'.') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    at
}

/// Length of a word; `b.i.d.` and `p.o.` are one.
fn word_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let dotted = bytes.len() > 2 && bytes[1] == b'.' && bytes[2].is_ascii_alphabetic();
    text.char_indices()
        .find(|(at, c)| !(c.is_alphabetic() || *c == '\u{b5}' || dotted && *c == '.' && *at < 6))
        .map_or(text.len(), |(at, _)| at)
}

fn small_number(word: &str) -> Option<f64> {
    let words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight"];
    words.iter().position(|w| *w == word).map(|n| n as f64).or(match word {
        "once" | "a" | "an" => Some(1.0),
        "twice" | "double" => Some(2.0),
        "thrice" => Some(3.0),
        "half" => Some(0.5),
        _ => None,
    })
}

fn route(word: &str) -> Option<Route> {
    Some(match word {
        "oral" | "orally" | "po" | "mouth" | "tablet" | "tablets" | "capsule" | "capsules" | "tab"
        | "tabs" | "pill" | "pills" => Route::Oral,
        "iv" | "intravenous" | "intravenously" | "ivpb" => Route::Intravenous,
        "im" | "intramuscular" | "intramuscularly" => Route::Intramuscular,
        "sc" | "sq" | "subq" | "subcutaneous" | "subcutaneously" | "subcut" => Route::Subcutaneous,
        "inhaled" | "inhaler" | "nebulized" | "nebulised" | "puff" | "puffs" | "inhalation" => Route::Inhaled,
        "patch" | "patches" | "transdermal" => Route::Transdermal,
        "topical" | "topically" | "cream" | "ointment" | "gel" | "drops" | "drop" | "ophthalmic" => {
            Route::Topical
        }
        "nasal" | "intranasal" | "intranasally" | "spray" => Route::Nasal,
        "rectal" | "rectally" | "suppository" => Route::Rectal,
        "sublingual" | "sublingually" | "buccal" => Route::Sublingual,
        _ => return None,
    })
}

/// The first amount of a stretch of a sentence, with frequency and route from the words behind it.
///
/// `None` when there is none, or when it is no amount of drug: a rate, a concentration, an amount by weight or surface, or two
/// amounts with a stroke between them, as combinations have.
pub(crate) fn stated(text: &str, from: usize, to: usize) -> Option<Stated> {
    let tokens = tokens(text, from, to);
    for at in 0..tokens.len() {
        let Some(low) = tokens[at].number else { continue };
        if at > 0 && matches!(tokens[at - 1].word.as_str(), "/" | "q" | "every") {
            continue;
        }
        let (high, unit_at) = range_end(&tokens, at, low);
        let Some((unit, factor)) = tokens.get(unit_at).and_then(|t| amount::unit(&t.word)) else {
            if tokens.get(at + 1).is_some_and(|t| t.word == "/") {
                return None;
            }
            continue;
        };
        let mut found = Stated {
            start: tokens[at].start,
            end: tokens[unit_at].end,
            low,
            high,
            unit,
            factor,
            pieces: pieces_before(&tokens, at),
            times: 1.0,
            per: Per::Dose,
            route: tokens.iter().take(unit_at + 12).find_map(|t| route(&t.word)).unwrap_or(Route::Any),
        };
        return frequency(&tokens, unit_at + 1, &mut found).then_some(found);
    }
    None
}

fn range_end(tokens: &[Token], at: usize, low: f64) -> (f64, usize) {
    let joined = tokens.get(at + 1).is_some_and(|t| matches!(t.word.as_str(), "-" | "to" | "–" | "or"));
    match tokens.get(at + 2).and_then(|t| t.number) {
        Some(high) if joined && high >= low => (high, at + 3),
        // `500 mg to 1,000 mg`
        _ => (low, at + 1),
    }
}

/// `two 500 mg tablets`, `2 x 500 mg`, `2 tablets of 500 mg`.
fn pieces_before(tokens: &[Token], at: usize) -> f64 {
    let word = |back: usize| at.checked_sub(back).and_then(|n| tokens.get(n));
    let count = |t: &Token| {
        t.number
            .or_else(|| small_number(&t.word))
            .filter(|n| *n > 0.0 && *n <= 12.0 && t.word != "a" && t.word != "an")
    };
    let direct = word(1)
        .and_then(|t| small_number(&t.word))
        .filter(|n| *n >= 2.0 && word(1).is_some_and(|t| t.word != "twice"));
    let times =
        word(1).filter(|t| matches!(t.word.as_str(), "x" | "×")).and_then(|_| word(2)).and_then(count);
    let of = word(1)
        .filter(|t| t.word == "of")
        .and_then(|_| word(2))
        .filter(|t| matches!(t.word.as_str(), "tablets" | "capsules" | "pills" | "doses" | "tablet"))
        .and_then(|_| word(3))
        .and_then(count);
    direct.or(times).or(of).unwrap_or(1.0)
}

/// What a word behind an amount says of it.
enum Heard {
    /// Nothing: read on.
    Nothing,
    /// The amount stands as it is; what follows is of something else.
    Enough,
    /// It is a rate, a concentration or an amount by weight.
    NoDose,
    /// So many times within a period, up to this token.
    Often(f64, Per, usize),
}

/// Reads how often; `false` when the amount turns out to be none of drug.
fn frequency(tokens: &[Token], from: usize, found: &mut Stated) -> bool {
    for at in from..tokens.len().min(from + 14) {
        match heard(tokens, at, at == from) {
            Heard::Nothing => {}
            Heard::Enough => return true,
            Heard::NoDose => return false,
            Heard::Often(times, per, end) => {
                (found.times, found.per) = (times, per);
                found.end = tokens.get(end).map_or(found.end, |t| t.end);
                return true;
            }
        }
    }
    true
}

fn heard(tokens: &[Token], at: usize, first: bool) -> Heard {
    let word = |at: usize| tokens.get(at).map_or("", |t| t.word.as_str());
    let number = |at: usize| tokens.get(at).and_then(|t| t.number.or_else(|| small_number(&t.word)));
    match word(at) {
        "/" | "per" => per_unit(word(at + 1), number(at + 1).is_some(), first, at + 1),
        "kg" | "ng" | "%" if first => Heard::NoDose,
        "daily" | "qd" | "od" | "nightly" | "qhs" | "qam" | "qpm" | "bedtime" => {
            Heard::Often(1.0, Per::Day, at)
        }
        "bid" => Heard::Often(2.0, Per::Day, at),
        "tid" => Heard::Often(3.0, Per::Day, at),
        "qid" => Heard::Often(4.0, Per::Day, at),
        "weekly" => Heard::Often(1.0, Per::Week, at),
        "monthly" | "yearly" | "annually" => Heard::Enough,
        "a" | "each" if word(at + 1) == "day" => Heard::Often(1.0, Per::Day, at + 1),
        "a" | "each" if word(at + 1) == "week" => Heard::Often(1.0, Per::Week, at + 1),
        "q" | "every" | "each" => {
            every(tokens, at).map_or(Heard::Nothing, |(times, per, end)| Heard::Often(times, per, end))
        }
        _ => {
            let end = at + usize::from(matches!(word(at + 1), "times" | "x" | "time" | "doses")) + 1;
            let times = number(at).filter(|n| *n >= 1.0 && *n <= 24.0);
            match (times, per_after(tokens, end)) {
                (Some(times), Some((per, end))) => Heard::Often(times, per, end),
                _ if amount::unit(word(at)).is_some() && !first => Heard::Enough,
                _ => Heard::Nothing,
            }
        }
    }
}

/// What stands behind a stroke or `per`.
fn per_unit(word: &str, is_number: bool, first: bool, at: usize) -> Heard {
    match word {
        "day" | "d" | "daily" => Heard::Often(1.0, Per::Day, at),
        "week" | "wk" => Heard::Often(1.0, Per::Week, at),
        "dose" | "tablet" | "tab" | "capsule" => Heard::Nothing,
        "kg" | "m" | "ml" | "l" | "dl" | "hr" | "h" | "hour" | "min" | "minute" | "g" | "mg"
        | "actuation" => Heard::NoDose,
        _ if is_number || first => Heard::NoDose,
        _ => Heard::Nothing,
    }
}

/// `daily`, `a day`, `per day`, `/day`, `a week` after a count.
fn per_after(tokens: &[Token], at: usize) -> Option<(Per, usize)> {
    let word = |at: usize| tokens.get(at).map_or("", |t| t.word.as_str());
    match (word(at), word(at + 1)) {
        ("daily", _) => Some((Per::Day, at)),
        ("weekly", _) => Some((Per::Week, at)),
        ("a" | "per" | "each" | "/" | "every", "day" | "d") => Some((Per::Day, at + 1)),
        ("a" | "per" | "each" | "/" | "every", "week") => Some((Per::Week, at + 1)),
        _ => None,
    }
}

/// `every 6 hours`, `q8h`, `q 4-6 h`, `every day`, `every other day`, `every week`: givings per day or week.
fn every(tokens: &[Token], at: usize) -> Option<(f64, Per, usize)> {
    let word = |at: usize| tokens.get(at).map_or("", |t| t.word.as_str());
    match word(at + 1) {
        "day" | "morning" | "evening" | "night" | "bedtime" => return Some((1.0, Per::Day, at + 1)),
        "week" => return Some((1.0, Per::Week, at + 1)),
        "other" if word(at + 2) == "day" => return Some((0.5, Per::Day, at + 2)),
        _ => {}
    }
    let first = tokens.get(at + 1)?;
    let mut hours = first.number.or_else(|| small_number(&first.word))?;
    let mut unit = at + 2;
    if matches!(word(unit), "-" | "to" | "–")
        && let Some(longest) = tokens.get(unit + 1).and_then(|t| t.number)
    {
        // The shorter interval would be the larger dose; the text allows both, so the milder reading is taken.
        hours = hours.max(longest);
        unit += 2;
    }
    match word(unit) {
        "hours" | "hour" | "h" | "hr" | "hrs" if hours > 0.0 => Some((24.0 / hours, Per::Day, unit)),
        "days" | "d" if hours > 0.0 => Some((1.0 / hours, Per::Day, unit)),
        "weeks" | "wk" if hours > 0.0 => Some((1.0 / hours, Per::Week, unit)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(f64, f64, Per, Route)>) {
        let found = stated(text, 0, text.len());
        assert_eq!(
            found.map(|s| (s.high * s.factor * s.pieces, s.times, s.per, s.route)),
            expected,
            "{text}"
        );
    }

    #[test]
    fn doses_are_read_as_they_are_written() {
        check("1,000 mg PO four times daily", Some((1000.0, 4.0, Per::Day, Route::Oral)));
        check("500 mg b.i.d. for ten days", Some((500.0, 2.0, Per::Day, Route::Any)));
        check("1 g IV q8h", Some((1000.0, 3.0, Per::Day, Route::Intravenous)));
        check("650 mg every 4-6 hours as needed", Some((650.0, 4.0, Per::Day, Route::Any)));
        check("88 mcg by mouth daily", Some((0.088, 1.0, Per::Day, Route::Oral)));
        check("two 500 mg tablets every 6 hours", Some((1000.0, 4.0, Per::Day, Route::Oral)));
        check("2 x 500 mg twice a day", Some((1000.0, 2.0, Per::Day, Route::Any)));
        check("500-1000 mg per day", Some((1000.0, 1.0, Per::Day, Route::Any)));
        check("15 mg once a week", Some((15.0, 1.0, Per::Week, Route::Any)));
        check("10 units subcutaneously at bedtime", Some((10.0, 1.0, Per::Day, Route::Subcutaneous)));
        check(".5 mg", Some((0.5, 1.0, Per::Dose, Route::Any)));
        check("0.5 mg p.o. q.12h p.r.n.", Some((0.5, 2.0, Per::Day, Route::Oral)));
        check("20 mg every other day", Some((20.0, 0.5, Per::Day, Route::Any)));
    }

    #[test]
    fn what_is_no_amount_of_drug_is_not_read() {
        for text in [
            "15 mg/kg every 12 hours",
            "5/325 mg",
            "level of 12 mcg/mL",
            "10 mg/hour",
            "for 3 days",
            "in 2019",
            "100 mg/m2 weekly",
        ] {
            check(text, None);
        }
    }
}
