//! Dates that can be told by their form alone. Bare months, `3/13` and the like are left to the tagger.

use super::doc::Doc;
use super::kind::Kind;
use super::lexicon::Role;
use super::token::{Shape, Token};

/// A year that a patient's life can touch.
fn year(t: &Token) -> bool {
    t.shape == Shape::Digit4 && (1880..=2120).contains(&t.value)
}

fn short_year(t: &Token) -> bool {
    t.shape == Shape::Digit2
}

fn day(t: &Token) -> bool {
    t.is_number() && t.len() <= 2 && (1..=31).contains(&t.value)
}

fn month(t: &Token) -> bool {
    t.is_number() && t.len() <= 2 && (1..=12).contains(&t.value)
}

/// A day with or without its ending: `2`, `2nd`.
fn ordinal(doc: &Doc<'_>, i: usize) -> bool {
    let Some(token) = doc.at(i) else { return false };
    if day(token) {
        return true;
    }
    let text = doc.text_of(i);
    let end = ["st", "nd", "rd", "th", "ST", "ND", "RD", "TH"].iter().find_map(|e| text.strip_suffix(e));
    token.shape == Shape::SmallCode
        && end.is_some_and(|d| d.parse().is_ok_and(|n: u32| (1..=31).contains(&n)))
}

/// Whether token `i` is the name of a month. `may`, `march`, `mar`, `sat` and the like must have a capital.
pub(super) fn is_month(doc: &Doc<'_>, i: usize) -> bool {
    doc.at(i).is_some_and(|t| t.entry.role == Role::Month && (t.is_capital() || !ambiguous(doc.text_of(i))))
}

fn ambiguous(word: &str) -> bool {
    ["may", "march", "mar", "dec", "jan", "sep", "jun"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// A date in numbers from `i`: `04/12/2023`, `2023-04-25`, `12.4.22`, `20230425`.
pub(super) fn numbers(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let first = *doc.at(i)?;
    if first.shape == Shape::Digit7 && first.len() == 8 {
        return eight(doc, i, first.value);
    }
    let mark = doc.at(i + 1).filter(|t| t.gap == 0 && (t.is('/') || t.is('-') || t.is('.')))?.value;
    let mark = char::from_u32(mark)?;
    if let Some(to) = month_year(doc, i, mark) {
        return Some(to);
    }
    let (second, third) = (*doc.at(i + 2)?, *doc.at(i + 4)?);
    if !doc.glued(i + 3, mark) || second.gap > 0 || third.gap > 0 {
        return None;
    }
    let before = doc.before(i, 1).is_some_and(|t| first.gap == 0 && (t.is(mark) || t.is('.') || t.is('#')));
    let after = doc.glued(i + 5, mark) && doc.at(i + 6).is_some_and(|t| t.gap == 0 && t.has_digit());
    let parts = [first, second];
    let day_month = (month(&first) && day(&second)) || (day(&first) && month(&second));
    let short = short_year(&third) && mark != '.' && parts.iter().all(|t| t.len() <= 2);
    let dotted = short_year(&third) && mark == '.' && parts.iter().all(|t| t.len() == 2);
    let ends_in_year = day_month && (year(&third) || short || dotted);
    let opens_with_year = year(&first) && month(&second) && (day(&third) || third.shape == Shape::SmallCode);
    if before || after || !(ends_in_year || opens_with_year) {
        return None;
    }
    let to = clock(doc, i + 5);
    doc.mark(i, to, Kind::Date, 0.97);
    Some(to)
}

/// `06/2018`: a month and a year of four digits.
fn month_year(doc: &mut Doc<'_>, i: usize, mark: char) -> Option<usize> {
    let (first, second) = (*doc.at(i)?, *doc.at(i + 2)?);
    let goes_on = doc.glued(i + 3, mark) || (i > 0 && first.gap == 0 && doc.is(i - 1, mark));
    if mark == '.'
        || !month(&first)
        || !year(&second)
        || second.gap > 0
        || goes_on
        || (mark == '-' && second.value < 1930)
    {
        return None;
    }
    doc.mark(i, i + 3, Kind::Date, 0.9);
    Some(i + 3)
}

/// `20230425`, and nothing that is not a day of a month.
fn eight(doc: &mut Doc<'_>, i: usize, value: u32) -> Option<usize> {
    let (y, m, d) = (value / 10_000, value / 100 % 100, value % 100);
    let glued = doc.at(i)?.gap == 0 && i > 0;
    if glued || !(1900..=2099).contains(&y) || !(1..=12).contains(&m) || !(1..=31).contains(&d) {
        return None;
    }
    doc.mark(i, i + 1, Kind::Date, 0.85);
    Some(i + 1)
}

/// The token after a time of day that follows a date, by a blank or glued by `T` (ISO 8601), else `to`.
fn clock(doc: &Doc<'_>, to: usize) -> usize {
    let colon = |at: usize| {
        doc.glued(at, ':') && doc.at(at + 1).is_some_and(|t| t.gap == 0 && t.is_number() && t.len() == 2)
    };
    let hour = doc.at(to).is_some_and(|t| t.gap == 1 && t.is_number() && t.len() <= 2);
    if hour && colon(to + 1) {
        return to + if colon(to + 3) { 5 } else { 3 };
    }
    let stamp = doc.at(to - 1).is_some_and(|t| t.shape == Shape::Code || t.shape == Shape::SmallCode)
        && doc.text_of(to - 1).contains(['T', 't']);
    if stamp { doc.run_end(to - 1) } else { to }
}

/// A date around the name of a month at `i`: `April 12th, 2023`, `12 April`, `Apr '23`, `17-Feb-2023`.
pub(super) fn named(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    if !is_month(doc, i) {
        return None;
    }
    let (from, day_before) = day_before(doc, i);
    let mut to = i + 1;
    to += usize::from(doc.glued(to, '.'));
    let glue = |doc: &Doc<'_>, at: usize| usize::from(doc.is(at, '-') || doc.is(at, '/') || doc.is(at, ','));
    let mut day_after = false;
    if !day_before {
        let the = usize::from(doc.text_of(to) == "the");
        let at = to + the + usize::from(doc.glued(to, '-'));
        if ordinal(doc, at) && !followed_by_unit(doc, at + 1) {
            (to, day_after) = (at + 1, true);
            if doc.is(to, '-') && ordinal(doc, to + 1) && !doc.at(to + 1).is_some_and(year) {
                to += 2;
            }
        }
    }
    let (end, dated) = year_after(doc, to, glue(doc, to));
    let of = usize::from(!dated && doc.text_of(to) == "of" && doc.at(to + 1).is_some_and(year));
    let to = if of == 1 { to + 2 } else { end };
    if !(day_before || day_after || dated || of == 1) {
        return None;
    }
    doc.mark(from, to, Kind::Date, 0.97);
    Some(to)
}

/// Where a date begins whose month is at `i`, and whether a day stands before the month.
fn day_before(doc: &Doc<'_>, i: usize) -> (usize, bool) {
    let of = doc.before(i, 1).is_some_and(|_| doc.text_of(i - 1) == "of");
    let dash = doc.before(i, 1).is_some_and(|t| (t.is('-') || t.is('/')) && t.gap == 0);
    let at = i.checked_sub(1 + usize::from(of || dash));
    match at {
        Some(at) if ordinal(doc, at) && !doc.taken(at) && doc.at(i).is_some_and(|t| t.gap < 2) => {
            let the = at.checked_sub(1).filter(|j| doc.text_of(*j) == "the" && of);
            (the.unwrap_or(at), true)
        }
        _ => (i, false),
    }
}

/// The token after a year that follows at `to` (behind `glue` marks), and whether there is one.
fn year_after(doc: &Doc<'_>, to: usize, glue: usize) -> (usize, bool) {
    let at = to + glue;
    if doc.at(at).is_some_and(|t| t.gap >= 2) {
        return (to, false);
    }
    let quote = usize::from(doc.is(at, '\''));
    let short =
        (quote == 1 || (glue == 1 && doc.glued(to, '-'))) && doc.at(at + quote).is_some_and(short_year);
    let long = doc.at(at).is_some_and(year);
    if long || short { (at + 1 + quote, true) } else { (to, false) }
}

fn followed_by_unit(doc: &Doc<'_>, i: usize) -> bool {
    doc.role(i) == Role::Unit || doc.is(i, '%')
}

/// `last Friday`, `last month` beside an institution: when a patient was somewhere. The tokens `i..` open with `last`
/// or `this`; the institution's marks are known. Gives the token after it.
pub(super) fn relative(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let opens = matches!(doc.text_of(i), "last" | "this" | "Last" | "next");
    let spoken =
        matches!(doc.text_of(i + 1), "week" | "month" | "year" | "summer" | "fall" | "spring" | "winter");
    let named = doc.at(i + 1).is_some_and(|t| t.is_capital())
        && matches!(doc.role(i + 1), Role::Month | Role::Weekday);
    if !opens || !(spoken || named) || doc.taken(i) {
        return None;
    }
    let place = |j: usize| doc.ruled.get(j).copied().flatten() == Some(Kind::Place);
    let behind = (1..=2).any(|b| i.checked_sub(b).is_some_and(place));
    let ahead = matches!(doc.text_of(i + 2), "at" | "in") && (3..=4).any(|k| place(i + k));
    if !(behind || ahead) {
        return None;
    }
    doc.mark(i, i + 2, Kind::Date, 0.7);
    Some(i + 2)
}
