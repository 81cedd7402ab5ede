//! The syntax tree of a template.

/// A part of a template. Numbers are the byte where the tag begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(usize, Expr),
    /// Branches in order; the last without a condition is `else`.
    If(usize, Vec<(Option<Expr>, Vec<Node>)>),
    For {
        at: usize,
        targets: Vec<Expr>,
        over: Expr,
        only: Option<Expr>,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Set(usize, Vec<Expr>, Expr),
    /// `{% set x | filter %}…{% endset %}`: the expression is the target under its filters.
    SetBlock(usize, Expr, Vec<Node>),
    Macro {
        name: String,
        parameters: Vec<(String, Option<Expr>)>,
        body: Vec<Node>,
    },
    /// `{% call f() %}…`, `{% filter f %}…`, `{% with a = 1 %}…`: expressions to look at, then a body.
    Block(usize, Vec<Expr>, Vec<Node>),
    /// `{% include x %}`, `{% import x as y %}`, `{% extends x %}`.
    Load(usize, Expr),
}

/// An expression and how deep it is nested.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expr {
    pub(super) kind: Kind,
    pub(super) depth: u32,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Text(String),
    Int(i128),
    Float(f64),
    Bool(bool),
    None,
    Name(String),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Vec<Option<Expr>>),
    Call(Box<Expr>, Vec<Arg>),
    Filter(Box<Expr>, String, Vec<Arg>),
    /// Value, name of the test, arguments, negated.
    Test(Box<Expr>, String, Vec<Arg>, bool),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `then if condition else otherwise`.
    Choice(Box<Expr>, Box<Expr>, Option<Box<Expr>>),
}

/// An argument of a call; `*` and `**` are dropped, the value stays.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arg {
    pub(super) name: Option<String>,
    pub(super) value: Expr,
}

impl Kind {
    /// Depth of the deepest expression inside.
    pub(super) fn inner_depth(&self) -> u32 {
        let args = |args: &[Arg]| args.iter().map(|a| a.value.depth).max().unwrap_or(0);
        match self {
            Self::Text(_) | Self::Int(_) | Self::Float(_) | Self::Bool(_) | Self::None | Self::Name(_) => 0,
            Self::List(items) => items.iter().map(|e| e.depth).max().unwrap_or(0),
            Self::Dict(items) => items.iter().map(|(k, v)| k.depth.max(v.depth)).max().unwrap_or(0),
            Self::Attr(e, _) | Self::Not(e) | Self::Minus(e) => e.depth,
            Self::Index(a, b) | Self::Binary(_, a, b) => a.depth.max(b.depth),
            Self::Slice(e, ends) => ends.iter().flatten().map(|e| e.depth).max().unwrap_or(0).max(e.depth),
            Self::Call(e, a) | Self::Filter(e, _, a) | Self::Test(e, _, a, _) => e.depth.max(args(a)),
            Self::Choice(a, b, c) => a.depth.max(b.depth).max(c.as_ref().map_or(0, |c| c.depth)),
        }
    }
}
