//! Protected health information in English clinical text: the eighteen identifiers of the Safe Harbor method
//! (45 CFR 164.514(b)(2)(i)).
//!
//! Three steps over one tokenisation. Rules take what has a form, a check digit or a word before it (dates,
//! telephone, record numbers, addresses of machines). A tagger decides in context about names, places, dates without
//! a year and codes without a cue. Last, a name that was found surely is found again wherever it stands in the same
//! piece of the text. Drugs, diseases, doses, units and eponyms are told from names by the words around them.
//!
//! ## Limits
//! - English. Names in other scripts are found only beside a cue. Names in small letters are found only when they are on
//!   the lists and are no ordinary words.
//! - Texts are read in pieces of at most 64 KiB: what is known of a name in one piece does not reach the next.
//! - Dates relative to today (`yesterday`, `three weeks ago`) and times of day are not identifiers; `last Friday` is one
//!   beside the name of an institution.
//! - A year alone, a state and a country are not identifiers, by the rule.
//! - Measured figures and what they were measured on: docs/text-phi.md.

mod checks;
mod contacts;
mod cues;
mod dates;
mod doc;
mod features;
mod ids;
mod kind;
pub mod learn;
mod lexicon;
mod merge;
mod rules;
mod tagger;
mod token;

pub use kind::Kind;
pub use lexicon::{Entry, Lexicon, Role, list};
pub use tagger::{Label, Weights};

use crate::Span;
use doc::Doc;

/// Longest piece of a text that is looked at as one, in bytes.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;

/// Something that identifies a person.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Identifier {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// How sure that is, 0 to 1: near 1 for a form with a check digit or a cue, the tagger's margin through a logistic
    /// for the rest. It orders findings; it is no probability.
    pub confidence: f32,
}

/// Where the tagger's threshold lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sensitivity(i32);

/// Where the default lies on the scale of the weights: on the flat part of the curve, where less score finds more
/// identifiers for hardly more false ones.
const DEFAULT_MARGIN: i32 = -40;

impl Sensitivity {
    /// Asks for `margin` more score before something is an identifier (negative: less). 0 is the default; the curve is
    /// in docs/text-phi.md.
    pub const fn with_margin(margin: i32) -> Self {
        Self(margin)
    }
}

/// Finds identifiers, keeping its memory from one text to the next.
#[derive(Debug)]
pub struct Finder<'w> {
    weights: &'w Weights,
    sensitivity: Sensitivity,
    scratch: tagger::Scratch,
    labels: Vec<Label>,
    margins: Vec<i32>,
    words: Vec<u32>,
}

impl Default for Finder<'static> {
    fn default() -> Self {
        Self::new(Weights::shared(), Sensitivity::default())
    }
}

impl<'w> Finder<'w> {
    /// With these weights.
    pub fn new(weights: &'w Weights, sensitivity: Sensitivity) -> Self {
        Self {
            weights,
            sensitivity,
            scratch: tagger::Scratch::default(),
            labels: Vec::new(),
            margins: Vec::new(),
            words: Vec::new(),
        }
    }

    /// What stands in `text`, in order, without overlaps.
    pub fn find(&mut self, text: &str) -> Vec<Identifier> {
        let mut out = Vec::new();
        let mut doc = Doc::default();
        let mut start = 0;
        while start < text.len() {
            let end = piece_end(text, start);
            doc.load(text.get(start..end).unwrap_or_default());
            self.piece(&mut doc);
            out.extend(doc.marks.iter().map(|m| Identifier {
                span: Span::new(start + m.start, start + m.end),
                kind: m.kind,
                confidence: m.confidence,
            }));
            start = end;
        }
        out
    }

    fn piece(&mut self, doc: &mut Doc<'_>) {
        rules::run(doc);
        tagger::tag(
            doc,
            self.weights,
            DEFAULT_MARGIN + self.sensitivity.0,
            &mut self.scratch,
            &mut self.labels,
            &mut self.margins,
        );
        merge::spans(doc, &self.labels, &self.margins);
        merge::titles(doc);
        merge::initials(doc);
        merge::complete(doc);
        for i in 0..doc.tokens.len() {
            if matches!(doc.tokens.get(i), Some(t) if t.len() == 4) {
                dates::relative(doc, i);
            }
        }
        merge::repeat(doc, &mut self.words);
        merge::join(doc);
    }
}

/// Where the piece that starts at `start` ends: at a line's end when there is one in its second half, else at a blank,
/// else inside a word.
fn piece_end(text: &str, start: usize) -> usize {
    let most = start + PIECE_BYTES_MAX;
    if text.len() <= most {
        return text.len();
    }
    let mut end = most;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let half = start + PIECE_BYTES_MAX / 2;
    let tail = text.as_bytes().get(half..end).unwrap_or_default();
    let cut = tail.iter().rposition(|b| *b == b'\n').or_else(|| tail.iter().rposition(|b| *b == b' '));
    cut.map_or(end, |c| half + c + 1)
}

/// What stands in `text`, by the shipped weights.
///
/// ```
/// let found = text::phi::find("Seen by Dr. Okafor on 04/12/2023 for Parkinson's disease.");
/// let kinds: Vec<_> = found.iter().map(|f| f.kind).collect();
/// assert_eq!(kinds, [text::phi::Kind::Name, text::phi::Kind::Date]);
/// ```
pub fn find(text: &str) -> Vec<Identifier> {
    Finder::default().find(text)
}
