//! From labels of tokens to identifiers: whole spans, what the first mention says of the later ones, one list.

use super::doc::{Doc, Mark};
use super::ids::is_state_code;
use super::kind::Kind;
use super::lexicon::{Lexicon, Role};
use super::tagger::Label;
use super::token::{Shape, Token};

/// A margin of the tagger's score that counts as an even chance added to certainty: the logistic of margin / this.
const MARGIN_SCALE: f32 = 120.0;

/// Turns the tagger's labels into marks of `doc`.
pub(super) fn spans(doc: &mut Doc<'_>, labels: &[Label], margins: &[i32]) {
    let mut i = 0;
    while let Some(label) = labels.get(i) {
        if *label == Label::Outside {
            i += 1;
            continue;
        }
        let mut end = i + 1;
        while labels.get(end) == Some(label) && doc.at(end).is_some_and(|t| t.gap < 3) {
            end += 1;
        }
        add(doc, i, end, *label, margins.get(i..end).unwrap_or_default());
        i = end;
    }
}

fn add(doc: &mut Doc<'_>, from: usize, to: usize, label: Label, margins: &[i32]) {
    let (mut from, mut to) = (from, to);
    let edge = |t: &Token| t.shape == Shape::Mark && !t.is('#');
    while from < to && doc.at(from).is_some_and(edge) {
        from += 1;
    }
    while to > from && doc.at(to - 1).is_some_and(edge) {
        to -= 1;
    }
    let said = (from..to).any(|i| doc.at(i).is_some_and(|t| t.shape != Shape::Mark));
    if !said {
        return;
    }
    if label == Label::Name {
        (from, to) = name_core(doc, from, to);
    }
    if from >= to || spoken_of_generally(doc, from, to, label) || implausible(doc, from, to, label) {
        return;
    }
    let kind = match label {
        Label::Name => Kind::Name,
        Label::Place => Kind::Place,
        Label::Date => Kind::Date,
        _ => Kind::Other,
    };
    if kind == Kind::Other && !(from..to).any(|i| doc.at(i).is_some_and(Token::has_digit)) {
        return;
    }
    if kind == Kind::Other {
        while to < doc.tokens.len()
            && doc.at(to).is_some_and(|t| t.gap == 0 && (t.shape != Shape::Mark || t.is('-')))
        {
            to += 1;
        }
    }
    let mean = margins.iter().sum::<i32>() as f32 / margins.len().max(1) as f32;
    let confidence = 1.0 / (1.0 + (-mean / MARGIN_SCALE).exp());
    doc.mark(from, to, kind, confidence);
}

/// A name without the ordinary small words and numbers at its ends; empty when only a letter is left.
fn name_core(doc: &Doc<'_>, from: usize, to: usize) -> (usize, usize) {
    let (mut from, mut to) = (from, to);
    let ordinary = |t: &Token| {
        let small = t.shape == Shape::Small
            && (t.entry.on(Lexicon::COMMON) || t.len() < 3)
            && !matches!(t.entry.role, Role::Particle | Role::Title);
        small || t.has_digit() || t.shape == Shape::Mark
    };
    let start = from;
    while from < to && doc.at(from).is_some_and(ordinary) {
        from += 1;
    }
    while to > from && doc.at(to - 1).is_some_and(|t| ordinary(t) && t.shape == Shape::Small) {
        to -= 1;
    }
    let word = |i: usize| doc.at(i).is_some_and(|t| t.shape != Shape::Mark);
    let eponym = (from..to).filter(|i| word(*i)).all(|i| doc.role(i) == Role::Medical);
    let titled = (1..=2).any(|b| doc.before(from, b).is_some_and(|t| t.entry.role == Role::Title));
    // `H. pylori`: the letter of a genus before a species.
    let species = doc
        .at(to + 1)
        .is_some_and(|t| t.shape == Shape::Small && !t.entry.on(Lexicon::COMMON) && t.len() > 3);
    let genus = to == from + 1
        && doc.at(from).is_some_and(|t| t.shape == Shape::Letter)
        && doc.glued(to, '.')
        && species;
    if (eponym && !titled) || genus {
        return (to, to);
    }
    let letter = to == from + 1 && from > start && doc.at(from).is_some_and(|t| t.shape == Shape::Letter);
    if letter { (to, to) } else { (from, to) }
}

/// A name or place that has no word that could be one: ordinary words without a given name among them, one small word or
/// one to three capitals without a cue, a letter alone, a number alone.
fn implausible(doc: &Doc<'_>, from: usize, to: usize, label: Label) -> bool {
    let words: Vec<&Token> = (from..to).filter_map(|i| doc.at(i)).filter(|t| t.is_word()).collect();
    let cue = |wanted: &[Role]| {
        (1..=3).any(|back| {
            let near = (1..back).all(|b| {
                doc.before(from, b).is_some_and(|t| t.shape == Shape::Mark || t.entry.role == Role::Filler)
            });
            near && doc.before(from, back).is_some_and(|t| wanted.contains(&t.entry.role))
        })
    };
    let only = words.first().filter(|_| words.len() == 1);
    match label {
        Label::Name => {
            let named = cue(&[Role::Title, Role::NameCue, Role::Kin])
                || words.iter().any(|t| t.entry.role == Role::Title);
            let ordinary = words.iter().all(|t| t.entry.on(Lexicon::COMMON) && !t.entry.on(Lexicon::GIVEN));
            let thin = only.is_some_and(|t| {
                t.shape == Shape::Letter
                    || (t.shape == Shape::Small && !t.entry.on(Lexicon::GIVEN))
                    || (t.shape == Shape::MixedCase && t.value == 0)
                    || (t.shape == Shape::Capitals && t.len() <= 3)
            });
            !named && (ordinary || thin)
        }
        Label::Place => {
            let capital = words.iter().any(|t| t.is_capital() || !t.entry.on(Lexicon::COMMON));
            let institution = words.iter().any(|t| t.entry.role == Role::Facility && t.is_capital());
            let ordinary = words.iter().all(|t| t.entry.on(Lexicon::COMMON) && !t.entry.on(Lexicon::PLACE));
            let unit = words.iter().all(|t| t.entry.role == Role::Unit || t.shape == Shape::Small);
            let alone = only.is_some_and(|t| {
                t.entry.role == Role::Facility
                    || (t.shape == Shape::Capitals
                        && t.len() <= 4
                        && !cue(&[Role::PlaceCue, Role::DateCue, Role::NameCue]))
            });
            !capital
                || (ordinary && !(institution && words.len() > 1) && !cue(&[Role::PlaceCue]))
                || (unit && only.is_some())
                || alone
        }
        _ => false,
    }
}

/// States and countries of more than one word; one word has [`Role::Large`]. `New York` is a city, too.
const LARGE: [&str; 34] = [
    "New Jersey",
    "New Mexico",
    "New Hampshire",
    "New Zealand",
    "New England",
    "North Carolina",
    "South Carolina",
    "North Dakota",
    "South Dakota",
    "West Virginia",
    "Rhode Island",
    "Puerto Rico",
    "Hong Kong",
    "South Africa",
    "North Africa",
    "West Africa",
    "East Africa",
    "South America",
    "North America",
    "Central America",
    "Latin America",
    "South Korea",
    "North Korea",
    "Saudi Arabia",
    "Sri Lanka",
    "Costa Rica",
    "El Salvador",
    "Dominican Republic",
    "United States",
    "United Kingdom",
    "Middle East",
    "Southeast Asia",
    "Sierra Leone",
    "Burkina Faso",
];

/// What the tagger takes for a place or a date and the rule does not: a state or country, a date without month, day of the
/// week or number, a fraction that no calendar has or that grades strength.
fn spoken_of_generally(doc: &Doc<'_>, from: usize, to: usize, label: Label) -> bool {
    let roles = |wanted: &[Role]| (from..to).any(|i| wanted.contains(&doc.role(i)));
    let digits = (from..to).any(|i| doc.at(i).is_some_and(Token::has_digit));
    match label {
        Label::Place => {
            let word = |i: usize| doc.at(i).is_some_and(|t| t.shape != Shape::Mark);
            let all = (from..to).filter(|i| word(*i)).all(|i| {
                doc.role(i) == Role::Large
                    || matches!(doc.text_of(i), "the" | "of" | "in" | "and" | "New" | "North" | "South")
            });
            let end =
                doc.at(to).filter(|_| doc.text_of(from) == "New" && to == from + 1).map_or(to, |_| to + 1);
            let (Some(a), Some(b)) = (doc.at(from), doc.at(end - 1)) else { return false };
            let text = doc.text.get(a.start as usize..b.end as usize).unwrap_or_default();
            LARGE.contains(&text) || (all && doc.role(to - 1) == Role::Large && text != "New York")
        }
        Label::Date => {
            let slash = to == from + 3 && doc.is(from + 1, '/');
            let (a, b) = (doc.at(from).map_or(0, |t| t.value), doc.at(from + 2).map_or(0, |t| t.value));
            let impossible = slash && (a == 0 || a > 12 || b == 0);
            let alone = !slash && to == from + 1 && doc.at(from).is_some_and(Token::is_number);
            let graded = slash
                && matches!(b, 5 | 6 | 10)
                && doc.cue_before(from, 10, |r| r == Role::Finding)
                && doc.before(from, 1).is_none_or(|t| t.entry.role != Role::DateCue);
            let named = roles(&[Role::Month, Role::Weekday]);
            impossible || alone || graded || !(digits || named)
        }
        _ => false,
    }
}

/// A capital word after a title is a name, whatever it is: `Dr. Vault`, `Mr. W.`.
pub(super) fn titles(doc: &mut Doc<'_>) {
    for i in 0..doc.tokens.len() {
        if doc.role(i) != Role::Title || doc.taken(i) {
            continue;
        }
        let next = i + 1 + usize::from(doc.glued(i + 1, '.'));
        let Some(word) = doc.at(next).copied() else { continue };
        let strong = !matches!(doc.text_of(i), "Sir" | "Madam" | "Nurse" | "Doctor" | "Professor" | "Miss");
        let capital = doc.at(i).is_some_and(Token::is_capital);
        let fits = capital && word.is_capital() && word.gap <= 1 && word.gap > 0;
        let role = matches!(
            word.entry.role,
            Role::None | Role::Medical | Role::Street | Role::Month | Role::Large | Role::EponymHead
        );
        let ruled = doc.ruled.get(next).copied().flatten();
        if ruled == Some(Kind::Name) {
            doc.mark(i, next + 1, Kind::Name, 0.95);
        } else if fits && ruled.is_none() && strong && (role || word.shape == Shape::Letter) {
            doc.mark(i, next + 1, Kind::Name, 0.9);
        }
    }
}

/// The foot of a dictation: initials, a colon, the typist, alone on a line (`XGT:holmes`).
pub(super) fn initials(doc: &mut Doc<'_>) {
    for i in 0..doc.tokens.len() {
        let opens = doc.at(i).is_some_and(|t| t.shape == Shape::Capitals && t.gap >= 2 && t.len() <= 4);
        if !opens
            || !(doc.glued(i + 1, ':') || doc.glued(i + 1, '/'))
            || doc.at(i + 3).is_some_and(|t| t.gap < 2)
        {
            continue;
        }
        let typist = doc.at(i + 2).is_some_and(|t| {
            t.gap == 0
                && t.len() >= 4
                && t.entry.role == Role::None
                && t.entry.on(Lexicon::GIVEN | Lexicon::FAMILY)
                && !t.entry.on(Lexicon::COMMON)
        });
        if typist && !doc.taken(i + 2) {
            doc.mark(i + 2, i + 3, Kind::Name, 0.7);
        }
    }
}

/// Completes names and places at their ends: the full stop of an initial, a hyphenated second name, the town after an
/// institution, `clinic` after a town.
pub(super) fn complete(doc: &mut Doc<'_>) {
    for i in 0..doc.tokens.len() {
        let Some(kind) = doc.ruled.get(i).copied().flatten() else { continue };
        let next_free = |doc: &Doc<'_>, j: usize| j < doc.tokens.len() && !doc.taken(j);
        match kind {
            Kind::Name => {
                let suffix = usize::from(doc.is(i + 1, ','));
                let generation =
                    matches!(doc.text_of(i + 1 + suffix), "II" | "III" | "IV" | "Jr" | "Sr" | "JR" | "SR");
                if generation && next_free(doc, i + 1 + suffix) {
                    let dot = usize::from(doc.glued(i + 2 + suffix, '.'));
                    doc.mark(i, i + 2 + suffix + dot, Kind::Name, 0.8);
                }
                let initial = doc.at(i).is_some_and(|t| matches!(t.shape, Shape::Letter));
                if initial && doc.glued(i + 1, '.') && next_free(doc, i + 1) {
                    doc.mark(i, i + 2, Kind::Name, 0.8);
                }
                let second = doc.at(i + 2).is_some_and(|t| t.gap == 0 && t.is_capital());
                let mark = doc.glued(i + 1, '-') || doc.glued(i + 1, '\'');
                if mark && second && next_free(doc, i + 2) {
                    doc.mark(i, i + 3, Kind::Name, 0.8);
                }
            }
            Kind::Place => {
                let second = doc.at(i + 2).is_some_and(|t| t.gap == 0 && t.is_capital());
                if doc.glued(i + 1, '-') && second && next_free(doc, i + 2) {
                    doc.mark(i, i + 3, Kind::Place, 0.7);
                }
                let first = doc.before(i, 2).is_some_and(|t| t.is_capital() && t.is_word());
                let glued = i >= 2 && doc.glued(i - 1, '-') && doc.at(i).is_some_and(|t| t.gap == 0);
                if glued && first && !doc.taken(i - 2) {
                    doc.mark(i - 2, i + 1, Kind::Place, 0.7);
                }
                place(doc, i);
            }
            _ => {}
        }
    }
}

fn place(doc: &mut Doc<'_>, i: usize) {
    let place = |doc: &Doc<'_>, j: usize| doc.ruled.get(j).copied().flatten() == Some(Kind::Place);
    let word = |t: &Token| t.entry.role == Role::Facility && t.gap <= 1;
    let local = ["office", "facility", "campus", "site", "location", "branch"];
    if place(doc, i + 1) {
        return;
    }
    let mut to = i + 1;
    let comma = usize::from(doc.glued(to, ','));
    if let Some(end) = unit_or_postcode(doc, i, to + comma) {
        doc.mark(i, end, Kind::Place, 0.8);
        return;
    }
    if doc.at(to).is_some_and(word) || local.contains(&doc.text_of(to)) {
        while !doc.taken(to) && (doc.at(to).is_some_and(word) || local.contains(&doc.text_of(to))) {
            to += 1;
        }
    } else if doc.glued(to, '.') && doc.at(i).is_some_and(|t| t.len() <= 4 && t.entry.role != Role::None) {
        let ends_sentence = doc.at(to + 1).is_none_or(|t| t.gap >= 2);
        to += usize::from(!ends_sentence || doc.at(i).is_some_and(|t| t.len() <= 4));
    } else if matches!(doc.text_of(to), "in" | "at" | "," | "of" | "-" | "&") {
        let comma = doc.is(to, ',');
        let state = comma
            && doc.at(to + 1).is_some_and(|t| {
                t.gap <= 1 && (is_state_code(doc.text_of(to + 1)) || t.entry.role == Role::Large)
            });
        let the = usize::from(doc.text_of(to + 1) == "the");
        if state {
            to += 2;
        } else if place(doc, to + 1 + the) && doc.at(to).is_some_and(|t| t.gap <= 1) {
            to += 1 + the;
        }
    }
    if to > i + 1 && !(i + 1..to).any(|j| doc.taken(j)) {
        doc.mark(i, to, Kind::Place, 0.7);
    }
}

/// After a place: `Apt 3B`, `Suite 12`, `LS1 4AP`, `K1A 0B1`. The token after it.
fn unit_or_postcode(doc: &Doc<'_>, last: usize, at: usize) -> Option<usize> {
    let short = |j: usize| {
        doc.at(j).is_some_and(|t| t.gap <= 1 && t.len() <= 5 && t.shape != Shape::Mark && !doc.taken(j))
    };
    let unit = |j: usize| {
        matches!(doc.text_of(j), "Apt" | "apt" | "Suite" | "suite" | "Unit" | "Ste" | "Floor" | "Rm")
    };
    let numbered =
        |j: usize| short(j) && doc.at(j).is_some_and(|t| t.has_digit() || t.shape == Shape::Letter);
    if unit(last) && numbered(at) {
        return Some(at + 1);
    }
    let dot = usize::from(doc.glued(at + 1, '.') || doc.is(at + 1, '#'));
    if unit(at) && numbered(at + 1 + dot) {
        return Some(at + 2 + dot);
    }
    let code = |j: usize| short(j) && doc.at(j).is_some_and(|t| t.shape == Shape::Code);
    let inward = doc.at(at + 1).is_some_and(|t| t.len() == 3)
        && doc.text_of(at + 1).starts_with(|c: char| c.is_ascii_digit());
    (code(at) && code(at + 1) && inward && doc.at(at).is_some_and(|t| t.len() <= 4)).then_some(at + 2)
}

/// Marks every further mention of the words of names found surely in this piece.
pub(super) fn repeat(doc: &mut Doc<'_>, words: &mut Vec<u32>) {
    words.clear();
    for mark in &doc.marks {
        if mark.kind != Kind::Name || mark.confidence < 0.75 {
            continue;
        }
        let from = doc.tokens.partition_point(|t| (t.start as usize) < mark.start);
        for t in doc.tokens.iter().skip(from).take_while(|t| (t.end as usize) <= mark.end) {
            let name = t.is_capital() && t.len() >= 3 && t.is_word();
            let known = t.entry.on(Lexicon::GIVEN | Lexicon::FAMILY)
                || !t.entry.on(Lexicon::COMMON | Lexicon::CAPITAL);
            let plain = matches!(t.entry.role, Role::None | Role::Street | Role::Large | Role::EponymHead);
            if name && known && plain && !(t.entry.on(Lexicon::COMMON) && t.shape == Shape::Capitals) {
                words.push(t.hash);
            }
        }
    }
    words.sort_unstable();
    words.dedup();
    if words.is_empty() {
        return;
    }
    for i in 0..doc.tokens.len() {
        let Some(t) = doc.at(i) else { continue };
        let named = t.is_capital() && t.len() >= 3 && words.binary_search(&t.hash).is_ok();
        let begins = i == 0 || doc.is(i - 1, '.') || t.gap >= 2;
        let ordinary = begins && t.entry.on(Lexicon::COMMON);
        if named && !ordinary && !doc.taken(i) && doc.role(i + 1) != Role::EponymHead {
            doc.mark(i, i + 1, Kind::Name, 0.8);
        }
    }
}

/// One list, sorted, of spans that do not overlap: what overlaps or touches with the same kind is joined, and takes
/// the kind of its surest part.
pub(super) fn join(doc: &mut Doc<'_>) {
    doc.marks.sort_by(|a, b| (a.start, b.end).cmp(&(b.start, a.end)));
    let mut out: Vec<Mark> = Vec::with_capacity(doc.marks.len());
    for mark in &doc.marks {
        if let Some(last) = out.last_mut() {
            let between = doc.text.get(last.end..mark.start).unwrap_or_default();
            let near = mark.start >= last.end && last.kind == mark.kind && between.chars().all(|c| c == ' ');
            if mark.start < last.end || (near && between.len() <= 2) {
                let longer = mark.end - mark.start > last.end - last.start;
                if mark.confidence > last.confidence && (longer || mark.kind == last.kind) {
                    (last.kind, last.confidence) = (mark.kind, mark.confidence);
                }
                last.end = last.end.max(mark.end);
                continue;
            }
        }
        out.push(*mark);
    }
    doc.marks = out;
    for mark in &mut doc.marks {
        if mark.kind == Kind::Name {
            mark.end = without_possessive(doc.text, mark.start, mark.end);
        }
    }
}

fn without_possessive(text: &str, start: usize, end: usize) -> usize {
    let span = text.get(start..end).unwrap_or_default();
    let cut = ["'s", "\u{2019}s", "'S"].iter().find_map(|s| span.strip_suffix(s));
    start + cut.unwrap_or(span).len()
}
