//! Text that a model reads and a person does not see, or sees as something else.
//!
//! [`find`] names the trick, where it is, and what a model would read there. [`view`] is the whole text as a model
//! reads it, with a way back to the original; the detector of injected orders reads the view, so that a look-alike
//! letter or a zero-width space buys nothing. Characters that languages, medicine and print need stay clean: joiners
//! in Arabic and emoji, marks of direction beside Hebrew, Greek letters at the end of a word, one soft hyphen where a
//! word is divided.

mod chars;
mod decode;
mod disguised;
mod encoded;
mod invisible;
mod keys;
mod letters;
mod markup;
mod punycode;
mod trick;
mod view;

pub(crate) use keys::has_order;
pub use trick::{Family, TRICKS, Trick};
pub use view::{View, view};

use crate::Span;

/// One place where something is hidden.
#[derive(Debug, Clone, PartialEq)]
pub struct Hidden {
    /// Where, in the text as it came.
    pub span: Span,
    /// How.
    pub trick: &'static Trick,
    /// What a model would read there; empty when the trick carries nothing that could be decoded.
    pub decoded: String,
}

/// Most findings of one text.
pub const HIDDEN_MAX: usize = 256;

/// Everything that is hidden in `text`, in order. Findings of one trick in one line are one finding.
pub fn find(text: &str) -> Vec<Hidden> {
    find_in(text, &view(text))
}

/// [`find`] for a caller that has the view already.
pub fn find_in(text: &str, view: &View<'_>) -> Vec<Hidden> {
    let mut found = Vec::new();
    if !chars::plain(text) {
        chars::each_hit(text, |line, hits| {
            if found.len() < HIDDEN_MAX {
                found.extend(joined(line, hits));
            }
        });
    }
    let mut coded = encoded::find(view.text());
    coded.extend(markup::find(view.text()));
    found.extend(coded.into_iter().map(|(start, end, trick, decoded)| Hidden {
        span: view.original(Span::new(start, end)),
        trick,
        decoded,
    }));
    found.sort_by_key(|hidden| hidden.span);
    found.truncate(HIDDEN_MAX);
    found
}

/// Hits of one trick in one line as one finding, from the first to the last; in the order of the line.
fn joined(line: &chars::Line<'_>, hits: Vec<chars::Hit>) -> Vec<Hidden> {
    let mut groups: Vec<(usize, usize, &'static Trick, String)> = Vec::new();
    for hit in hits {
        let said = hit.decoded.unwrap_or_default();
        match groups.iter_mut().find(|group| std::ptr::eq(group.2, hit.trick)) {
            Some(group) => {
                group.0 = group.0.min(hit.first);
                group.1 = group.1.max(hit.end);
                group.3.push_str(&said);
            }
            None => groups.push((hit.first, hit.end, hit.trick, said)),
        }
    }
    groups
        .into_iter()
        .map(|(first, end, trick, said)| {
            let (from, to) = line.words(first, end);
            let decoded = if said.is_empty() { line.read(from, to) } else { said };
            Hidden {
                span: Span::new(line.start + line.byte(first), line.start + line.byte(end)),
                trick,
                decoded,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
