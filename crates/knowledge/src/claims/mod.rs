//! What a text claims about drugs, diseases, doses and measurements, and what the graph says to it.
//!
//! Negation, hedging, whose condition and when are found by trigger words with a scope, after ConText (Harkema et al. 2009,
//! doi 10.1016/j.jbi.2009.05.002). Nothing is a claim merely because two names stand in one sentence, and what the graph does
//! not hold is *not known*: an absent edge is weak evidence, since even the union of four indication resources misses a fifth of
//! physicians' true pairs when ontologies are not joined (docs/knowledge.md).

mod cues;
mod find;
mod judge;
mod labs;
mod myths;
mod sentence;
mod spoken;
mod stance;
mod statistic;
pub mod training;
mod words;

pub use find::{CLAIMS_MAX, Knowledge};

use crate::graph::NodeId;

/// What kind of thing is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimKind {
    /// The drug is right (or wrong) for the condition.
    Treats,
    /// The drug prevents the condition.
    Prevents,
    /// The drug brings the condition about.
    Causes,
    /// The drug must (or need) not be avoided with the condition.
    Contraindicated,
    /// Two drugs go (or do not go) together.
    Together,
    /// How much of a drug is given.
    Dose,
    /// What a measurement is, or means.
    TestValue,
    /// A statement of the catalogue of false claims.
    Misinformation,
}

impl ClaimKind {
    /// The word for it in output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Treats => "treats",
            Self::Prevents => "prevents",
            Self::Causes => "causes",
            Self::Contraindicated => "contraindicated",
            Self::Together => "together",
            Self::Dose => "dose",
            Self::TestValue => "test-value",
            Self::Misinformation => "misinformation",
        }
    }
}

/// How a claim is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The relation is denied.
    pub negated: bool,
    /// Said with doubt.
    pub hedged: bool,
    /// About a relative.
    pub family: bool,
    /// About the past.
    pub past: bool,
    /// A question, a condition, a plan.
    pub hypothetical: bool,
}

/// The verdict on a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The graph has an edge that says so.
    Supported,
    /// The graph has an edge that says the opposite.
    Contradicted,
    /// The graph says nothing to it.
    NotKnown,
}

impl Verdict {
    /// The words for it in output.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Contradicted => "contradicted",
            Self::NotKnown => "not known",
        }
    }
}

/// What a verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The fact in words: `metformin indicates type 2 diabetes mellitus`, or the arithmetic of a dose.
    pub fact: String,
    /// Who says so: source, and where in it.
    pub source: String,
    /// Licence of the source.
    pub licence: String,
}

/// A claim with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub kind: ClaimKind,
    /// First byte of the sentence part that makes it.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// What it is about.
    pub subject: Option<NodeId>,
    /// The other thing, where there is one.
    pub object: Option<NodeId>,
    /// How it is said.
    pub context: Context,
    /// The verdict.
    pub verdict: Verdict,
    /// What the verdict rests on; for *not known*, why nothing could be said, if there is more to say than that.
    pub ground: Option<Ground>,
}
