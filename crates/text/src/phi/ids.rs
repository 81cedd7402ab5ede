//! Numbers that stand for a person or a thing: by their form, by their check digit, or by the words before them.

use super::checks;
use super::doc::Doc;
use super::kind::Kind;
use super::lexicon::Role;
use super::token::{Shape, Token};

/// How far back the words that announce a number are looked for, in tokens.
const CUE_REACH: usize = 6;
/// Most tokens of one number.
const CODE_TOKENS_MAX: usize = 40;

/// `123-45-6789` from `i`.
pub(super) fn ssn(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let [area, group, serial] = [*doc.at(i)?, *doc.at(i + 2)?, *doc.at(i + 4)?];
    let lens = [area.shape, group.shape, serial.shape] == [Shape::Digit3, Shape::Digit2, Shape::Digit4];
    let glued = doc.glued(i + 1, '-') && doc.glued(i + 3, '-') && group.gap == 0 && serial.gap == 0;
    let goes_on = doc.glued(i + 5, '-') || (i > 0 && area.gap == 0 && doc.is(i - 1, '-'));
    if goes_on || !(lens && glued) {
        return None;
    }
    let sure = if checks::ssn_given_out(area.value, group.value, serial.value) { 0.99 } else { 0.9 };
    let from = i - usize::from(i > 0 && doc.is(i - 1, '#'));
    let record = doc.cue_before(i, 3, |r| r == Role::RecordCue);
    doc.mark(from, i + 5, if record { Kind::RecordNumber } else { Kind::SocialSecurity }, sure);
    Some(i + 5)
}

/// Where a code that starts at `i` ends: letters, digits and single joining marks without a blank.
fn code_end(doc: &Doc<'_>, i: usize) -> usize {
    let mut to = i + 1;
    while to - i < CODE_TOKENS_MAX && doc.at(to).is_some_and(|t| t.gap == 0) {
        let joined = doc.at(to).is_some_and(|t| "-/._:".chars().any(|c| t.is(c)));
        if joined && doc.at(to + 1).is_some_and(|t| t.gap == 0 && t.shape != Shape::Mark) {
            to += 2;
        } else if doc.at(to).is_some_and(|t| t.shape != Shape::Mark) {
            to += 1;
        } else {
            break;
        }
    }
    to
}

/// Signs of the code in tokens `from..to`: letters and digits only; with how many are digits.
fn signs(doc: &Doc<'_>, from: usize, to: usize) -> (String, usize) {
    let mut out = String::new();
    for i in from..to {
        if doc.at(i).is_some_and(|t| t.shape != Shape::Mark) {
            out.push_str(doc.text_of(i));
        }
    }
    let digits = out.bytes().filter(u8::is_ascii_digit).count();
    (out, digits)
}

/// A code whose check digit says what it is: payment card, IBAN, vehicle, DEA and NPI numbers.
pub(super) fn checked(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let token = *doc.at(i)?;
    if !(token.is_number() && token.len() >= 4 || matches!(token.shape, Shape::Code | Shape::MixedCase)) {
        return None;
    }
    if let Some(to) = card(doc, i) {
        return Some(to);
    }
    let text = doc.text_of(i);
    let cue = |doc: &Doc<'_>, role: Role| doc.cue_before(i, CUE_REACH, |r| r == role);
    let kind = match text.len() {
        17 if checks::vin(text) || (cue(doc, Role::VehicleCue) && token.shape == Shape::Code) => {
            Kind::Vehicle
        }
        15..=34 if token.shape == Shape::Code && checks::iban(text) => Kind::Account,
        10 if cue(doc, Role::LicenceCue) && checks::npi(text) => Kind::Licence,
        9 if token.shape == Shape::Code && checks::dea(text) => Kind::Licence,
        _ => return None,
    };
    doc.mark(i, i + 1, kind, 0.97);
    Some(i + 1)
}

/// 13 to 19 digits in groups with blanks or dashes, with a right Luhn sum and a first digit that is given out.
fn card(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let mut digits = String::new();
    let mut to = i;
    while to < i + 9 && digits.len() < 19 {
        let Some(group) = doc.at(to).filter(|t| t.is_number() && (to == i || t.gap <= 1)) else { break };
        if group.len() < 3 || (to > i && group.len() > 7) {
            break;
        }
        digits.push_str(doc.text_of(to));
        to += 1;
        if doc.glued(to, '-') && doc.at(to + 1).is_some_and(|t| t.gap == 0 && t.is_number()) {
            to += 1;
        }
    }
    let first = digits.bytes().next()?;
    if !(13..=19).contains(&digits.len()) || !(b'2'..=b'6').contains(&first) || !checks::luhn(&digits) {
        return None;
    }
    doc.mark(i, to, Kind::Account, 0.97);
    Some(to)
}

/// The kind that a role announces.
fn announced(role: Role) -> Option<Kind> {
    Some(match role {
        Role::RecordCue => Kind::RecordNumber,
        Role::PlanCue => Kind::HealthPlan,
        Role::AccountCue => Kind::Account,
        Role::LicenceCue => Kind::Licence,
        Role::VehicleCue => Kind::Vehicle,
        Role::DeviceCue => Kind::Device,
        Role::SsnCue => Kind::SocialSecurity,
        Role::BiometricCue => Kind::Biometric,
        Role::IdCue => Kind::Other,
        _ => return None,
    })
}

/// The kind that the words before `i` announce: the nearest cue counts, a more special one that stands just before a
/// general one (`member ID`, `chart number`) goes first, and nothing but filling words may stand between.
fn cue(doc: &Doc<'_>, i: usize) -> Option<(Kind, bool)> {
    let mut found: Option<Kind> = None;
    let mut strange = 0;
    for back in 1..=CUE_REACH {
        let newline = doc.at(i + 1 - back).is_some_and(|t| t.gap >= 2);
        let Some(token) = doc.before(i, back) else { break };
        if newline && !(back == 1 && token.is(':')) {
            break;
        }
        match (announced(token.entry.role), found) {
            (Some(kind), None) => found = Some(kind),
            (Some(kind), Some(Kind::Other)) => found = Some(kind),
            (Some(_), Some(_)) => break,
            (None, Some(_)) => break,
            (None, None) if filler(token) || token.is('.') => {}
            (None, None) => strange += 1,
        }
        let abbreviated = token.is('.') && doc.before(i, back + 1).is_some_and(|t| filler(t) && t.len() <= 3);
        if strange > 2 || (token.is('.') && !abbreviated) || token.is(';') {
            break;
        }
    }
    found.map(|kind| (kind, strange == 0))
}

fn filler(t: &Token) -> bool {
    t.entry.role == Role::Filler || t.entry.role == Role::PhoneCue || "#:(=-,".chars().any(|c| t.is(c))
}

/// A code that is announced by words before it: `MRN: AB-12345`, `policy number XYZ-98`, `Plate GJS 6102`.
pub(super) fn announced_code(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let token = *doc.at(i)?;
    let starts = token.has_digit()
        || matches!(token.shape, Shape::Capitals | Shape::Letter | Shape::MixedCase | Shape::Capital);
    if !starts
        || (i > 0 && token.gap == 0 && !doc.before(i, 1).is_some_and(|t| "#:(=".chars().any(|c| t.is(c))))
    {
        return None;
    }
    let mut to = code_end(doc, i);
    let (kind, near) = cue(doc, i)?;
    if kind == Kind::Vehicle && to == i + 1 && token.shape == Shape::Capitals && token.len() <= 3 {
        let number = doc.at(i + 1).filter(|t| t.is_number() && t.gap <= 1 && (2..=5).contains(&t.len()));
        to += usize::from(number.is_some());
    }
    let (code, digits) = signs(doc, i, to);
    let letters = code.len() - digits;
    let quantity = doc.role(to) == Role::Unit || doc.is(to, '%') || (to == i + 1 && token.len() <= 3);
    let year = to == i + 1 && token.shape == Shape::Digit4 && (1900..=2100).contains(&token.value);
    let enough = if near { digits >= 4 || (digits >= 3 && letters >= 1) } else { digits >= 5 };
    if !enough || quantity || (year && !near) || code.len() > 64 {
        return None;
    }
    let from = i - usize::from(i > 0 && doc.is(i - 1, '#') && !doc.taken(i - 1));
    doc.mark(from, to, kind, if near { 0.95 } else { 0.75 });
    Some(to)
}

/// A file's name with the ending of a picture: `IMG_2041.jpg`.
pub(super) fn photo(doc: &mut Doc<'_>, i: usize) {
    let ending = doc.text_of(i).to_ascii_lowercase();
    if !matches!(ending.as_str(), "jpg" | "jpeg" | "png" | "heic" | "tif" | "tiff" | "bmp" | "gif") {
        return;
    }
    let mut from = i;
    while from > 0 && i - from < CODE_TOKENS_MAX && doc.at(from).is_some_and(|t| t.gap == 0) {
        from -= 1;
    }
    if from + 1 < i && doc.glued(i - 1, '.') && !doc.taken(from) {
        doc.mark(from, i + 1, Kind::Photo, 0.9);
    }
}

/// A number over 89 that is an age: `92-year-old`, `aged 94`, `age of 101`.
pub(super) fn age(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let token = *doc.at(i).filter(|t| t.is_number() && (90..=125).contains(&t.value) && t.len() <= 3)?;
    let next = i + 1 + usize::from(doc.is(i + 1, '-'));
    let unit =
        matches!(doc.text_of(next), "year" | "years" | "yo" | "y" | "yr" | "yrs" | "Year" | "YO" | "YEAR");
    let after = unit && {
        let old = next + 1 + usize::from(doc.is(next + 1, '-') || doc.is(next + 1, '/'));
        matches!(doc.text_of(old), "old" | "o" | "of" | "OLD" | "Old")
            || doc.text_of(next).eq_ignore_ascii_case("yo")
    };
    let before = (1..=3).any(|back| {
        let role = doc.before(i, back).map(|t| t.entry.role);
        let clear = (1..back).all(|b| {
            doc.before(i, b).is_some_and(|t| t.is(':') || t.is('(') || t.entry.role == Role::Filler)
        });
        role == Some(Role::AgeCue) && clear
    });
    let range = doc.is(i + 1, '-') && doc.at(i + 2).is_some_and(Token::is_number);
    let glued = i > 0 && token.gap == 0 && !doc.is(i - 1, '(') && !doc.is(i - 1, ':');
    if !(after || before) || range || glued || doc.is(i + 1, '%') {
        return None;
    }
    doc.mark(i, i + 1, Kind::AgeOver89, 0.97);
    Some(i + 1)
}

/// The codes of the United States' states, the district and Puerto Rico.
const STATE_CODES: [&str; 52] = [
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY",
    "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND",
    "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC",
    "PR",
];

/// Whether a word is the code of a state.
pub(super) fn is_state_code(word: &str) -> bool {
    word.len() == 2 && STATE_CODES.contains(&word)
}

/// `zip code 94103`, `MA 02115-1234`.
pub(super) fn zip(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    doc.at(i).filter(|t| t.is_number() && t.len() == 5)?;
    let state =
        doc.before(i, 1).is_some_and(|t| t.entry.role == Role::StateCode && t.shape == Shape::Capitals);
    if !state && !doc.cue_before(i, 4, |r| r == Role::ZipCue) {
        return None;
    }
    let plus = doc.glued(i + 1, '-') && doc.at(i + 2).is_some_and(|t| t.shape == Shape::Digit4 && t.gap == 0);
    let to = if plus { i + 3 } else { i + 1 };
    doc.mark(i, to, Kind::Place, 0.95);
    Some(to)
}

/// The rest of a line that opens with `Address:`, up to 24 tokens.
pub(super) fn address_line(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    if !doc.glued(i + 1, ':') {
        return None;
    }
    let word = doc.text_of(i);
    let opens = ["address", "addr", "residence"].iter().any(|w| word.eq_ignore_ascii_case(w));
    let of_machine = doc.at(i).is_some_and(|t| t.gap < 2)
        && i > 0
        && ["email", "mail", "ip", "mac", "web"].iter().any(|w| doc.text_of(i - 1).eq_ignore_ascii_case(w));
    if !opens || of_machine {
        return None;
    }
    let from = i + 2;
    let mut to = from;
    while to < from + 24 && doc.at(to).is_some_and(|t| t.gap < 2) {
        to += 1;
    }
    let ends = doc.at(to).is_none_or(|t| t.gap >= 2);
    let said = (from..to).any(|j| doc.at(j).is_some_and(Token::has_digit));
    let machine = (from..to).any(|j| doc.is(j, '@') || doc.glued(j, ':'));
    if !ends || !said || machine {
        return None;
    }
    doc.mark(from, to, Kind::Place, 0.95);
    Some(to)
}
