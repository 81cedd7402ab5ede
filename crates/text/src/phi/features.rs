//! What the tagger sees of a token: hashed features of itself and of three tokens on either side.

use super::doc::Doc;
use super::lexicon::{Lexicon, Role};
use super::token::{Shape, Token};

/// Features of one token.
pub const FEATURES: usize = 36;
/// Slots of the table of weights.
pub const SLOTS: usize = 1 << 17;

/// What is known of one place in the window.
#[derive(Clone, Copy, Default)]
struct View {
    word: u32,
    look: u32,
    ruled: u32,
    role: u32,
}

/// Marks and small words that may stand inside a name, a place or a code.
fn bridge(t: &Token) -> bool {
    if t.shape == Shape::Mark {
        return t.gap < 2 && ",.-'&#/(:)".chars().any(|c| t.is(c));
    }
    matches!(t.entry.role, Role::Particle | Role::Facility | Role::Street | Role::PlaceCue | Role::Filler)
        || t.entry.role == Role::Title
        || t.len() <= 3
}

/// Whether the tagger has to look at a token: capitals, digits, and small words that are names or places and nothing else.
fn candidate(t: &Token) -> bool {
    if t.shape == Shape::Mark {
        return false;
    }
    if t.shape != Shape::Small {
        return t.is_capital() || t.shape != Shape::SmallCode || t.len() >= 4;
    }
    t.entry.role == Role::None
        && t.len() >= 4
        && t.entry.on(Lexicon::GIVEN | Lexicon::FAMILY | Lexicon::PLACE)
        && !t.entry.on(Lexicon::COMMON | Lexicon::MEDICAL)
}

/// Fills `active`: which tokens the tagger labels. All others are outside of every identifier.
pub(super) fn activate(doc: &Doc<'_>, active: &mut Vec<bool>) {
    active.clear();
    active.extend(doc.tokens.iter().zip(&doc.ruled).map(|(t, r)| r.is_none() && candidate(t)));
    let n = active.len();
    let mut last: Option<usize> = None;
    for i in 0..n {
        if !doc.tokens.get(i).is_some_and(candidate) {
            continue;
        }
        if let Some(from) = last {
            let inner = from + 1..i;
            if inner.len() <= 3 && doc.tokens.get(inner.clone()).is_some_and(|ts| ts.iter().all(bridge)) {
                for j in inner {
                    if let Some(slot) = active.get_mut(j) {
                        *slot = !doc.taken(j);
                    }
                }
            }
        }
        last = Some(i);
        for j in [i.wrapping_sub(1), i + 1, i + 2] {
            let beside = doc.at(j).is_some_and(bridge) && (j != i + 2 || doc.at(i + 1).is_some_and(bridge));
            if let Some(slot) = active.get_mut(j).filter(|_| beside && !doc.taken(j)) {
                *slot = true;
            }
        }
    }
}

fn view(doc: &Doc<'_>, i: usize) -> View {
    let Some(t) = doc.at(i) else { return View { word: 1, look: 1, ruled: 0, role: 0 } };
    let ruled = doc.ruled.get(i).copied().flatten().map_or(0, |k| k as u32 + 1);
    let mut look = u32::from(t.entry.lists) | ((t.entry.role as u32) << 6) | ((t.shape as u32) << 12);
    look |= (u32::from(t.gap.min(2)) << 16) | (ruled << 18);
    if t.is_number() {
        look |= number_class(t.value) << 24;
    }
    View { word: if ruled == 0 { t.hash } else { ruled }, look, ruled, role: t.entry.role as u32 }
}

fn number_class(value: u32) -> u32 {
    match value {
        1..=12 => 1,
        13..=31 => 2,
        32..=99 => 3,
        1900..=2100 => 4,
        _ => 5,
    }
}

fn mix(template: u32, a: u32, b: u32, c: u32) -> u32 {
    let mut h = template.wrapping_mul(0x9e37_79b1) ^ a;
    h = (h ^ (h >> 15)).wrapping_mul(0x85eb_ca6b) ^ b.rotate_left(11);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35) ^ c.rotate_left(21);
    h = (h ^ (h >> 16)).wrapping_mul(0x27d4_eb2f);
    (h ^ (h >> 15)) & (SLOTS as u32 - 1)
}

/// The first or last `n` letters of a word as a number; 0 for a shorter word or one with marks beyond ASCII.
fn edge(word: &str, n: usize, last: bool) -> u32 {
    let bytes = word.as_bytes();
    let piece = if last { bytes.len().checked_sub(n).and_then(|s| bytes.get(s..)) } else { bytes.get(..n) };
    piece.map_or(0, |p| p.iter().fold(7, |h, b| h << 8 | u32::from(b.to_ascii_lowercase())))
}

/// The role of the nearest cue among the `reach` tokens on one side, with its distance.
fn nearest(doc: &Doc<'_>, i: usize, step: isize) -> u32 {
    let mut at = i;
    for distance in 1..=6u32 {
        let Some(next) = at.checked_add_signed(step) else { return 0 };
        at = next;
        let Some(t) = doc.at(at) else { return 0 };
        if t.entry.role >= Role::Kin && t.entry.role != Role::Filler {
            return ((t.entry.role as u32) << 2) | (distance.min(4) / 2);
        }
    }
    0
}

/// The slots of the features of token `i`.
pub(super) fn features(doc: &Doc<'_>, i: usize) -> [u32; FEATURES] {
    let at = |k: isize| {
        i.checked_add_signed(k).map_or(View { word: 2, look: 2, ruled: 0, role: 0 }, |j| view(doc, j))
    };
    let [p3, p2, p1, s, n1, n2, n3] = [at(-3), at(-2), at(-1), at(0), at(1), at(2), at(3)];
    let text = doc.text_of(i);
    let core = text.get(..text.len() - usize::from(doc.at(i).map_or(0, |t| t.possessive))).unwrap_or(text);
    let shape = (s.look >> 12) & 0xf;
    // Lists and roles without the look, so that one template reads `JOHN SMITH` and `John Smith` alike.
    let bare = |v: View| v.look & 0xfff;
    let length = (core.len() as u32).min(12);
    let wide = |v: View| v.look & !(0xff << 24);
    [
        mix(1, s.word, 0, 0),
        mix(2, s.word, shape, 0),
        mix(3, edge(core, 3, true), 0, shape),
        mix(4, edge(core, 3, false), 0, shape),
        mix(5, edge(core, 2, true), length, 0),
        mix(6, shape, length, (p1.look >> 16) & 3),
        mix(7, s.look, 0, 0),
        mix(8, p1.look, 0, 0),
        mix(9, n1.look, 0, 0),
        mix(10, p1.look, s.look, 0),
        mix(11, s.look, n1.look, 0),
        mix(12, wide(p1), wide(s), wide(n1)),
        mix(13, p1.word, 0, 0),
        mix(14, n1.word, 0, 0),
        mix(15, p2.word, 0, 0),
        mix(16, n2.word, 0, 0),
        mix(17, p1.word, s.look, 0),
        mix(18, s.look, n1.word, 0),
        mix(19, p1.word, s.word, 0),
        mix(20, s.word, n1.word, 0),
        mix(21, p2.word, p1.word, shape),
        mix(22, n1.word, n2.word, shape),
        mix(23, wide(p2), wide(p1), wide(s)),
        mix(24, wide(s), wide(n1), wide(n2)),
        mix(25, p1.ruled, n1.ruled, shape),
        mix(26, p2.ruled, n2.ruled, shape),
        mix(27, p3.word, shape, 0),
        mix(28, n3.word, shape, 0),
        mix(29, nearest(doc, i, -1), bare(s), 0),
        mix(30, nearest(doc, i, 1), bare(s), 0),
        mix(31, p1.role, n1.role, s.look & 0xffff),
        mix(32, p2.role << 8 | p1.role, s.look, 0),
        mix(33, p2.word, p1.look, s.look),
        mix(34, p3.look, p1.look, s.look),
        mix(35, bare(s), bare(n1), bare(n2) ^ bare(n3) << 12),
        mix(36, 0, 0, 0),
    ]
}
