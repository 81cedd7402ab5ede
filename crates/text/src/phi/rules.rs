//! One pass of the rules over the tokens of a piece: what can be told by form, check digit or the word before it.

use super::doc::Doc;
use super::lexicon::Role;
use super::token::Shape;
use super::{contacts, dates, ids};

/// Marks all that the rules find.
pub(super) fn run(doc: &mut Doc<'_>) {
    let mut i = 0;
    while i < doc.tokens.len() {
        i = step(doc, i).unwrap_or(i + 1).max(i + 1);
    }
}

/// What starts at token `i`; the token after it when something was found.
fn step(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let token = *doc.at(i)?;
    match token.shape {
        Shape::Mark => match token.value {
            0x40 => {
                contacts::email(doc, i);
                None
            }
            0x28 | 0x2b => contacts::phone(doc, i),
            _ => None,
        },
        Shape::Small | Shape::MixedCase | Shape::Capitals | Shape::Capital | Shape::Letter => word(doc, i),
        _ => number(doc, i),
    }
}

fn word(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let token = *doc.at(i)?;
    if token.entry.role == Role::Month
        && let Some(to) = dates::named(doc, i)
    {
        return Some(to);
    }
    if (doc.glued(i + 1, ':') || doc.glued(i + 1, '.'))
        && let Some(to) = contacts::url(doc, i).or_else(|| contacts::colons(doc, i))
    {
        return Some(to);
    }
    if token.gap == 0 && i > 1 && doc.is(i - 1, '.') {
        contacts::domain(doc, i);
        ids::photo(doc, i);
    }
    if doc.taken(i) {
        return None;
    }
    if let Some(to) = ids::address_line(doc, i) {
        return Some(to);
    }
    let capital = token.shape != Shape::Small;
    let code = capital && doc.at(i + 1).is_some_and(|t| t.gap == 0 && (t.is('-') || t.is('/') || t.is('_')));
    let plate = token.shape == Shape::Capitals && token.len() <= 3;
    if code || plate { ids::announced_code(doc, i) } else { None }
}

fn number(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    if doc.taken(i) {
        return None;
    }
    let pure = doc.at(i)?.is_number();
    if pure {
        let found = contacts::ip(doc, i)
            .or_else(|| ids::ssn(doc, i))
            .or_else(|| dates::numbers(doc, i))
            .or_else(|| ids::age(doc, i))
            .or_else(|| ids::zip(doc, i));
        if found.is_some() {
            return found;
        }
    }
    if doc.glued(i + 1, ':')
        && let Some(to) = contacts::colons(doc, i)
    {
        return Some(to);
    }
    if let Some(to) = ids::checked(doc, i) {
        return Some(to);
    }
    // A number after `MRN` is that, though it has the form of a telephone number; one after `phone` is not.
    let phone_first = pure && doc.cue_before(i, 4, |r| matches!(r, Role::PhoneCue | Role::FaxCue));
    if phone_first {
        contacts::phone(doc, i).or_else(|| ids::announced_code(doc, i))
    } else {
        let code = ids::announced_code(doc, i);
        if code.is_none() && pure { contacts::phone(doc, i) } else { code }
    }
}
