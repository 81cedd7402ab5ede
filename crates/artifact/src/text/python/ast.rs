//! Python's expressions as a bounded tree.

use super::lexer::HOLE;

/// An expression and how deep it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expr {
    pub(super) kind: Kind,
    pub(super) depth: u32,
    /// Byte where it begins.
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Text(String, Vec<Expr>),
    Int(i128),
    Attr(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    /// The three ends, as far as they are written.
    Slice(Vec<Option<Expr>>),
    Call(Box<Expr>, Vec<(Option<String>, Expr)>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// A tuple, list or set.
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// `[item for name in over if …]`: item, names, over, conditions.
    Each(Box<Expr>, Vec<String>, Box<Expr>, Vec<Expr>),
    Lambda(Vec<String>, Box<Expr>),
    /// `then if condition else otherwise`.
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Several that are only looked at.
    Group(Vec<Expr>),
}

/// Depth of the deepest expression inside.
pub(super) fn inner_depth(kind: &Kind) -> u32 {
    let most = |items: &[Expr]| items.iter().map(|e| e.depth).max().unwrap_or(0);
    match kind {
        Kind::Name(_) | Kind::Int(_) => 0,
        Kind::Text(_, items) | Kind::List(items) | Kind::Group(items) => most(items),
        Kind::Attr(e, _) | Kind::Lambda(_, e) => e.depth,
        Kind::Index(a, b) | Kind::Binary(_, a, b) => a.depth.max(b.depth),
        Kind::Slice(ends) => ends.iter().flatten().map(|e| e.depth).max().unwrap_or(0),
        Kind::Call(f, args) => args.iter().map(|(_, e)| e.depth).max().unwrap_or(0).max(f.depth),
        Kind::Dict(items) => items.iter().map(|(a, b)| a.depth.max(b.depth)).max().unwrap_or(0),
        Kind::Each(a, _, b, c) => a.depth.max(b.depth).max(most(c)),
        Kind::Choice(a, b, c) => a.depth.max(b.depth).max(c.depth),
    }
}

impl Expr {
    /// A text without holes.
    pub(super) fn is_plain_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text, _) if !text.contains(HOLE) => Some(text),
            _ => None,
        }
    }
}
