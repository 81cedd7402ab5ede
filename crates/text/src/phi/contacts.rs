//! Addresses of machines and people that have a form of their own: e-mail, web, internet, telephone.

use super::doc::Doc;
use super::kind::Kind;
use super::lexicon::Role;
use super::token::Shape;

/// Last labels of domain names that are taken for one without `www` or a scheme before it.
const TOP: [&str; 26] = [
    "com", "org", "net", "edu", "gov", "mil", "io", "info", "health", "us", "uk", "ca", "de", "fr", "eu",
    "nl", "ch", "es", "it", "se", "no", "dk", "fi", "au", "int", "biz",
];

/// Most tokens of one address.
const ADDRESS_TOKENS_MAX: usize = 400;

/// An e-mail address around the `@` at `i`.
pub(super) fn email(doc: &mut Doc<'_>, i: usize) {
    let part = |t: &super::token::Token| t.shape != Shape::Mark || "._%+-".contains(char_of(t.value));
    let mut from = i;
    while from > 0
        && i - from < ADDRESS_TOKENS_MAX
        && doc.at(from).is_some_and(|t| t.gap == 0)
        && doc.before(from, 1).is_some_and(part)
    {
        from -= 1;
    }
    let mut to = i + 1;
    while to - i < ADDRESS_TOKENS_MAX
        && doc.at(to).is_some_and(|t| t.gap == 0 && (t.shape != Shape::Mark || t.is('.') || t.is('-')))
    {
        to += 1;
    }
    while to > i + 1 && doc.at(to - 1).is_some_and(|t| t.shape == Shape::Mark) {
        to -= 1;
    }
    if from < i && to > i + 1 {
        doc.mark(from, to, Kind::Email, 0.99);
    }
}

fn char_of(value: u32) -> char {
    char::from_u32(value).unwrap_or(' ')
}

/// A web address from the scheme or `www` at `i`. Gives the token after it.
pub(super) fn url(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let scheme = matches!(doc.text_of(i), "http" | "https" | "ftp" | "HTTP" | "HTTPS")
        && doc.glued(i + 1, ':')
        && doc.glued(i + 2, '/');
    let www = doc.text_of(i).eq_ignore_ascii_case("www") && doc.glued(i + 1, '.');
    if !(scheme || www) {
        return None;
    }
    let to = address_end(doc, i);
    doc.mark(i, to, Kind::Url, 0.99);
    Some(to)
}

/// The token after an address that starts at `i`: up to a blank, a quote or a closing mark; a full stop at its end
/// belongs to the sentence.
fn address_end(doc: &Doc<'_>, i: usize) -> usize {
    let mut to = i + 1;
    while to - i < ADDRESS_TOKENS_MAX
        && doc
            .at(to)
            .is_some_and(|t| t.gap == 0 && !(t.shape == Shape::Mark && "<>\"')]}".contains(char_of(t.value))))
    {
        to += 1;
    }
    while to > i + 1
        && doc.at(to - 1).is_some_and(|t| t.shape == Shape::Mark && ".,;:!?".contains(char_of(t.value)))
    {
        to -= 1;
    }
    to
}

/// `portal.example.org/p/1` from its last label at `i`, which stands after a full stop.
pub(super) fn domain(doc: &mut Doc<'_>, i: usize) {
    let small = |j: usize| {
        doc.at(j).is_some_and(|t| {
            matches!(t.shape, Shape::Small | Shape::SmallCode | Shape::Capital | Shape::MixedCase)
        })
    };
    if !TOP.contains(&doc.text_of(i)) || i < 2 || !doc.glued(i - 1, '.') {
        return;
    }
    let mut from = i;
    while from >= 2
        && i - from < ADDRESS_TOKENS_MAX
        && doc.at(from).is_some_and(|t| t.gap == 0)
        && (doc.glued(from - 1, '.') || doc.glued(from - 1, '-'))
        && small(from - 2)
    {
        from -= 2;
    }
    let labels_long = doc.at(i - 2).is_some_and(|t| t.len() >= 3);
    let goes_on = doc.at(i + 1).is_some_and(|t| t.gap == 0 && t.shape != Shape::Mark);
    if from < i && labels_long && !goes_on && !doc.taken(from) {
        let slash = doc.glued(i + 1, '/');
        let to = if slash { address_end(doc, i) } else { i + 1 };
        doc.mark(from, to, Kind::Url, 0.9);
    }
}

/// Four numbers below 256 with full stops between them, from `i`.
pub(super) fn ip(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let part = |j: usize| doc.at(j).is_some_and(|t| t.is_number() && t.len() <= 3 && t.value < 256);
    let dots = (0..3).all(|k| doc.glued(i + 1 + 2 * k, '.'));
    let parts = (0..4).all(|k| part(i + 2 * k) && (k == 0 || doc.at(i + 2 * k).is_some_and(|t| t.gap == 0)));
    let alone = !(doc.glued(i + 7, '.') && doc.at(i + 8).is_some_and(|t| t.gap == 0 && t.is_number()));
    let before = doc.before(i, 1).is_some_and(|t| t.is('.') && doc.at(i).is_some_and(|t| t.gap == 0));
    if !(dots && parts && alone) || before {
        return None;
    }
    doc.mark(i, i + 7, Kind::Ip, 0.97);
    Some(i + 7)
}

/// Groups of hexadecimal digits with colons from `i`: six of two are a network card, eight (or fewer with `::`) an
/// internet address of version 6.
pub(super) fn colons(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let hex = |j: usize| {
        doc.at(j).is_some_and(|t| t.len() <= 4 && t.shape != Shape::Mark)
            && doc.text_of(j).bytes().all(|b| b.is_ascii_hexdigit())
    };
    if !hex(i) || !doc.glued(i + 1, ':') {
        return None;
    }
    let (mut to, mut groups, mut double, mut pairs) = (i + 1, 1, false, doc.at(i)?.len() == 2);
    while doc.glued(to, ':') && groups < 9 {
        let skip = if doc.glued(to + 1, ':') && !double { 2 } else { 1 };
        double |= skip == 2;
        if hex(to + skip) && doc.at(to + skip)?.gap == 0 {
            pairs &= doc.at(to + skip)?.len() == 2;
            groups += 1;
            to += skip + 1;
        } else {
            break;
        }
    }
    let kind = match groups {
        6 if pairs && !double => Kind::Device,
        8 => Kind::Ip,
        3..=7 if double => Kind::Ip,
        _ => return None,
    };
    doc.mark(i, to, kind, 0.95);
    Some(to)
}

/// A telephone number from `i` (a number, `+` or an opening bracket). Gives the token after it.
pub(super) fn phone(doc: &mut Doc<'_>, i: usize) -> Option<usize> {
    let cue = |r: Role| matches!(r, Role::PhoneCue | Role::FaxCue);
    let fax = doc.cue_before(i, 7, |r| r == Role::FaxCue);
    let told = fax || doc.cue_before(i, 7, cue);
    let (to, groups, digits, plus) = groups(doc, i)?;
    let lens = groups.as_slice();
    let formed = match lens {
        [3, 3, 4] | [1, 3, 3, 4] => true,
        _ if plus => (8..=15).contains(&digits),
        [3, 4] | [10] | [7] | [5] | [4] => told && doc.cue_before(i, if digits < 7 { 3 } else { 7 }, cue),
        [5, 6] | [3, 4, 4] | [4, 3, 4] | [2, 4, 4] | [4, 3, 3] | [2, 3, 4] | [2, 2, 2, 2, 2] => told,
        _ => false,
    };
    if !formed {
        return None;
    }
    let to = extension(doc, to);
    doc.mark(i, to, if fax { Kind::Fax } else { Kind::Phone }, if told { 0.98 } else { 0.9 });
    Some(to)
}

/// The lengths of the groups of digits of a number that starts at `i`, with the token after it, how many digits it
/// has and whether a `+` opens it.
fn groups(doc: &Doc<'_>, i: usize) -> Option<(usize, Vec<usize>, usize, bool)> {
    let mut at = i;
    let plus = doc.is(at, '+');
    at += usize::from(plus);
    let (mut lens, mut digits) = (Vec::with_capacity(5), 0);
    loop {
        let open = doc.is(at, '(') && lens.len() <= 1;
        at += usize::from(open);
        let Some(group) = doc.at(at).filter(|t| t.is_number() && !(plus && lens.is_empty() && t.gap > 0))
        else {
            break;
        };
        lens.push(group.len());
        digits += group.len();
        at += 1;
        let closed = open && doc.is(at, ')');
        if open && !closed {
            return None;
        }
        at += usize::from(closed);
        if lens.len() >= 6 {
            break;
        }
        let Some(next) = doc.at(at).map(|t| t.gap) else { break };
        if next == 0
            && (doc.is(at, '-') || doc.is(at, '.'))
            && doc.at(at + 1).is_some_and(|t| t.gap == 0 && t.is_number())
        {
            at += 1;
        } else if !(next <= 1
            && (closed || next == 1 || doc.is(at, '('))
            && (doc.at(at).is_some_and(|t| t.is_number()) || (lens.len() == 1 && doc.is(at, '('))))
        {
            break;
        }
    }
    (digits >= 4).then_some((at, lens, digits, plus))
}

/// The token after `ext. 12` or `x12` at `to`, else `to`.
fn extension(doc: &Doc<'_>, to: usize) -> usize {
    let word = doc.text_of(to);
    if matches!(word, "ext" | "Ext" | "x" | "extension") {
        let number = to + 1 + usize::from(doc.is(to + 1, '.'));
        if doc.at(number).is_some_and(|t| t.is_number() && t.len() <= 6) {
            return number + 1;
        }
    }
    let short = doc.at(to).is_some_and(|t| t.shape == Shape::SmallCode && t.gap <= 1);
    if short && word.starts_with('x') && word.bytes().skip(1).all(|b| b.is_ascii_digit()) {
        to + 1
    } else {
        to
    }
}
