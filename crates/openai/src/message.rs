//! A body with its pieces, and the one way to change it: a piece gets another text, the rest stays byte for byte.

use std::borrow::Cow;

use crate::json::{At, Kind, Tree, quoted};
use crate::walk::Walk;
use crate::{Limits, Media, Piece, WireError};

/// A body that was read.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) tree: Tree,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) media: Vec<Media>,
    /// New texts, by number of the piece.
    changed: Vec<(usize, String)>,
}

impl Message {
    /// Reads an object, and walks through it with `walk`.
    pub(crate) fn read(
        bytes: Vec<u8>,
        limits: &Limits,
        walk: impl FnOnce(&mut Walk<'_>) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        if bytes.len() > limits.body_bytes {
            return Err(WireError::Limit { what: "the length of the body in bytes", max: limits.body_bytes });
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| WireError::NotUtf8 { at: error.utf8_error().valid_up_to() })?;
        let tree = Tree::parse(&text, limits)?;
        if tree.kind(Tree::ROOT) != Kind::Object {
            return Err(WireError::Field { field: "body", what: "is not an object; send one in braces" });
        }
        let mut walked = Walk::new(&tree, &text, limits);
        walk(&mut walked)?;
        let Walk { pieces, media, .. } = walked;
        Ok(Self { text, tree, pieces, media, changed: Vec::new() })
    }

    /// What a piece says now.
    pub(crate) fn said(&self, n: usize) -> Cow<'_, str> {
        if let Some((_, text)) = self.changed.iter().find(|(of, _)| *of == n) {
            return Cow::Borrowed(text);
        }
        let piece = self.pieces.get(n);
        piece.and_then(|piece| self.tree.text(piece.at, &self.text)).unwrap_or_default()
    }

    pub(crate) fn set(&mut self, n: usize, text: String) {
        self.changed.retain(|(of, _)| *of != n);
        self.changed.push((n, text));
    }

    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(crate) fn find(&self, path: &[&str]) -> Option<At> {
        self.tree.find(Tree::ROOT, path, &self.text)
    }

    pub(crate) fn text_at(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        self.tree.text(self.find(path)?, &self.text)
    }

    pub(crate) fn number_at(&self, path: &[&str]) -> Option<u64> {
        self.tree.whole_number(self.find(path)?, &self.text)
    }

    pub(crate) fn is_true(&self, path: &[&str]) -> bool {
        self.find(path).is_some_and(|at| self.tree.kind(at) == Kind::Bool(true))
    }

    /// The body with its changed texts, with `others` (a value and the JSON that takes its place) and with `last` (a key and its JSON)
    /// as the last field of the object `into`.
    pub(crate) fn write(&self, others: &[(At, String)], last: Option<(At, &str, &str)>) -> Vec<u8> {
        let mut cuts: Vec<(usize, usize, Cow<'_, str>)> =
            Vec::with_capacity(self.changed.len() + others.len());
        for (n, text) in &self.changed {
            if let Some(piece) = self.pieces.get(*n) {
                let node = self.tree.node(piece.at);
                cuts.push((node.start as usize, node.end as usize, Cow::Owned(quoted(text))));
            }
        }
        for (at, json) in others {
            let node = self.tree.node(*at);
            cuts.push((node.start as usize, node.end as usize, Cow::Borrowed(json)));
        }
        if let Some((into, key, json)) = last {
            match self.tree.get(into, key, &self.text) {
                // What the other side wrote under our name is not believed.
                Some(theirs) => {
                    let node = self.tree.node(theirs);
                    cuts.push((node.start as usize, node.end as usize, Cow::Borrowed(json)));
                }
                None => {
                    let node = self.tree.node(into);
                    let end = (node.end as usize).saturating_sub(1);
                    let empty = self.tree.fields(into, &self.text).next().is_none();
                    let comma = if empty { "" } else { "," };
                    cuts.push((end, end, Cow::Owned(format!("{comma}\"{key}\":{json}"))));
                }
            }
        }
        cuts.sort_by_key(|(start, end, _)| (*start, *end));
        let more: usize = cuts.iter().map(|(_, _, json)| json.len()).sum();
        let mut out = Vec::with_capacity(self.text.len() + more);
        let mut at = 0;
        for (start, end, json) in &cuts {
            // Cuts do not overlap: pieces are texts, and the others are no pieces.
            if *start < at {
                continue;
            }
            out.extend_from_slice(self.text.get(at..*start).unwrap_or_default().as_bytes());
            out.extend_from_slice(json.as_bytes());
            at = *end;
        }
        out.extend_from_slice(self.text.get(at..).unwrap_or_default().as_bytes());
        out
    }
}
