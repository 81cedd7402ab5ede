//! The text as a model reads it, with a way back to where each piece stands.

use std::borrow::Cow;

use super::chars::{self, Reading};
use crate::Span;

/// A text with invisible characters gone and letters in disguise replaced, and where each piece of it stands in the
/// original. A text of plain ASCII is its own view and costs nothing.
#[derive(Debug, Clone)]
pub struct View<'a> {
    text: Cow<'a, str>,
    pieces: Vec<Piece>,
}

/// A stretch of the view.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// First byte in the view.
    here: usize,
    /// First byte in the original.
    there: usize,
    /// Bytes of the character that was replaced; 0 for a stretch that is the same in both.
    replaced: usize,
}

impl<'a> View<'a> {
    /// The text as a model reads it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the view is the original, byte for byte.
    pub fn is_original(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Where `span` of the view stands in the original, whole characters.
    pub fn original(&self, span: Span) -> Span {
        if self.is_original() {
            return span;
        }
        let start = self.piece(span.start());
        let from = if start.replaced > 0 { start.there } else { start.there + (span.start() - start.here) };
        if span.is_empty() {
            return Span::new(from, from);
        }
        let end = self.piece(span.end() - 1);
        let to =
            if end.replaced > 0 { end.there + end.replaced } else { end.there + (span.end() - end.here) };
        Span::new(from, to)
    }

    /// The piece that byte `at` of the view is in.
    fn piece(&self, at: usize) -> Piece {
        let next = self.pieces.partition_point(|piece| piece.here <= at);
        let found = next.checked_sub(1).and_then(|i| self.pieces.get(i));
        found.copied().unwrap_or(Piece { here: 0, there: 0, replaced: 0 })
    }

    fn plain(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), pieces: Vec::new() }
    }
}

/// The view of `text`.
pub fn view(text: &str) -> View<'_> {
    if chars::plain(text) {
        return View::plain(text);
    }
    let mut builder =
        Builder { text: String::with_capacity(text.len()), pieces: Vec::new(), same_until: usize::MAX };
    chars::each_line(text, |start, line, readings| match readings {
        None => builder.keep(start, line),
        Some(readings) => {
            for ((at, c), reading) in line.char_indices().zip(readings) {
                let mut buffer = [0; 4];
                match *reading {
                    Reading::Drop => {}
                    Reading::Keep => builder.keep(start + at, c.encode_utf8(&mut buffer)),
                    Reading::As(other) => builder.replace(start + at, c, other.encode_utf8(&mut buffer)),
                    Reading::Text(other) => builder.replace(start + at, c, other),
                }
            }
        }
    });
    if builder.text == text {
        return View::plain(text);
    }
    View { text: Cow::Owned(builder.text), pieces: builder.pieces }
}

struct Builder {
    text: String,
    pieces: Vec<Piece>,
    /// The byte of the original up to which the last piece is the same in both; `MAX` when it is a replaced character.
    same_until: usize,
}

impl Builder {
    fn keep(&mut self, there: usize, text: &str) {
        if self.same_until != there {
            self.pieces.push(Piece { here: self.text.len(), there, replaced: 0 });
        }
        self.text.push_str(text);
        self.same_until = there + text.len();
    }

    fn replace(&mut self, there: usize, c: char, text: &str) {
        self.pieces.push(Piece { here: self.text.len(), there, replaced: c.len_utf8() });
        self.text.push_str(text);
        self.same_until = usize::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_its_own_view() {
        let view = view("BP 120/80, stop metformin.\n");
        assert!(view.is_original());
        assert_eq!(view.original(Span::new(3, 9)), Span::new(3, 9));
    }

    #[test]
    fn every_word_of_a_view_is_found_in_the_original() {
        let original = "ｉｇｎｏｒｅ a\u{200b}ll “ﬁne” 𝐫𝐮𝐥𝐞𝐬 β-blocker é ok";
        let view = view(original);
        assert_eq!(view.text(), "ignore all \"fine\" rules β-blocker é ok");
        let place = |word: &str| {
            let at = view.text().find(word).unwrap();
            view.original(Span::new(at, at + word.len())).of(original).to_owned()
        };
        assert_eq!(place("ignore"), "ｉｇｎｏｒｅ");
        assert_eq!(place("all"), "a\u{200b}ll");
        assert_eq!(place("rules"), "𝐫𝐮𝐥𝐞𝐬");
        assert_eq!(place("β-blocker"), "β-blocker");
        assert_eq!(place("ok"), "ok");
    }

    #[test]
    fn spans_never_cut_a_character() {
        let original = "\u{feff}x\u{200b}\u{200b}éé ⓘⓖⓝ\u{e0041}";
        let view = view(original);
        for start in 0..=view.text().len() {
            for end in start..=view.text().len() {
                if view.text().is_char_boundary(start) && view.text().is_char_boundary(end) {
                    let span = view.original(Span::new(start, end));
                    assert!(original.is_char_boundary(span.start()) && original.is_char_boundary(span.end()));
                }
            }
        }
    }
}
