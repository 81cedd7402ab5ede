//! What the graph says to a claim.

use super::stance::{Relation, Stance};
use super::{Ground, Verdict};
use crate::graph::{Edge, Graph, NodeId};
use crate::kind::{EdgeKind, Severity};

/// How far below a claimed condition an indication may lie: who says a drug treats `diabetes` means the kind it treats.
const BELOW_MAX: usize = 64;

/// An edge that speaks to a pair, and how far it is from the pair that was named: 0 is exactly it.
struct Found<'a> {
    edge: Edge<'a>,
    distance: usize,
}

/// The nearest edges of each kind between a drug (or what it is a kind of) and a condition (or what it is a kind of).
struct Between<'a> {
    suits: Option<Found<'a>>,
    prevents: Option<Found<'a>>,
    against: Option<Found<'a>>,
    rejected: Option<Found<'a>>,
    causes: Option<Found<'a>>,
}

fn between<'a, B: AsRef<[u8]>>(graph: &'a Graph<B>, drug: NodeId, condition: NodeId) -> Between<'a> {
    let above = graph.ancestors(condition);
    let below = graph.descendants(condition);
    let mut out = Between { suits: None, prevents: None, against: None, rejected: None, causes: None };
    for (steps, substance) in graph.ancestors(drug).into_iter().enumerate() {
        for edge in graph.edges_from(substance) {
            let up = above.iter().position(|n| *n == edge.to);
            let down = below.iter().take(BELOW_MAX).position(|n| *n == edge.to);
            let slot = match edge.kind {
                EdgeKind::Indicates | EdgeKind::TreatsSymptom => &mut out.suits,
                EdgeKind::Prevents => &mut out.prevents,
                EdgeKind::Contraindicated => &mut out.against,
                EdgeKind::NotIndicated => &mut out.rejected,
                EdgeKind::Causes => &mut out.causes,
                _ => continue,
            };
            let may_be_below =
                matches!(edge.kind, EdgeKind::Indicates | EdgeKind::TreatsSymptom | EdgeKind::Prevents);
            // Physicians who reject a drug for a condition do not judge every kind of that condition.
            let judged_exactly =
                edge.kind == EdgeKind::NotIndicated && edge.cite == crate::formulary::PHYSICIANS;
            let up = up.filter(|steps| !judged_exactly || *steps == 0);
            let Some(distance) = up.or(down.filter(|_| may_be_below)) else { continue };
            let distance = distance * 2 + steps.min(8);
            if slot.as_ref().is_none_or(|known| distance < known.distance) {
                *slot = Some(Found { edge, distance });
            }
        }
    }
    out
}

fn ground<B: AsRef<[u8]>>(graph: &Graph<B>, edge: &Edge<'_>) -> Ground {
    let source = graph.source(edge.source);
    let severity =
        if edge.kind == EdgeKind::Interacts { format!(" ({})", edge.severity.word()) } else { String::new() };
    let words = match edge.kind {
        EdgeKind::Contraindicated => "is contraindicated in",
        EdgeKind::NotIndicated => "is not indicated for",
        EdgeKind::Indicates => "is indicated for",
        EdgeKind::TreatsSymptom => "eases symptoms of",
        EdgeKind::Interacts => "interacts with",
        other => other.word(),
    };
    let cite = if edge.cite.is_empty() { source.version } else { edge.cite };
    Ground {
        fact: format!("{} {words} {}{severity}", graph.node(edge.from).name, graph.node(edge.to).name),
        source: format!("{}: {cite}", source.name),
        licence: source.licence.to_owned(),
    }
}

/// A verdict with what it rests on.
pub(super) struct Answer {
    pub verdict: Verdict,
    /// Kind of the edge that decided.
    pub by: Option<EdgeKind>,
    pub ground: Option<Ground>,
}

impl Answer {
    /// Nothing can be said.
    pub(super) const OPEN: Self = Self { verdict: Verdict::NotKnown, by: None, ground: None };
}

fn with<B: AsRef<[u8]>>(graph: &Graph<B>, verdict: Verdict, found: Option<&Found<'_>>) -> Answer {
    found.map_or(Answer::OPEN, |found| Answer {
        verdict,
        by: Some(found.edge.kind),
        ground: Some(ground(graph, &found.edge)),
    })
}

/// The verdict on what is said of a drug and a condition.
pub(super) fn condition<B: AsRef<[u8]>>(
    graph: &Graph<B>,
    drug: NodeId,
    condition: NodeId,
    stance: Stance,
) -> Answer {
    use Verdict::{Contradicted, Supported};
    let known = between(graph, drug, condition);
    // What speaks for the drug: an indication, unless a contraindication is nearer to what was named.
    let pro = [&known.suits, &known.prevents].into_iter().flatten().min_by_key(|f| f.distance);
    let con = [&known.against, &known.rejected].into_iter().flatten().min_by_key(|f| f.distance);
    let (pro, con) = match (pro, con) {
        (Some(pro), Some(con)) if con.distance < pro.distance => (None, Some(con)),
        (Some(pro), Some(_)) => (Some(pro), None),
        other => other,
    };
    match (stance.relation, stance.holds) {
        (Relation::Causes, true) if known.causes.is_some() => with(graph, Supported, known.causes.as_ref()),
        (Relation::Causes, true) => {
            with(graph, Contradicted, known.suits.as_ref().filter(|f| f.edge.kind == EdgeKind::Indicates))
        }
        (Relation::Causes, false) => with(graph, Contradicted, known.causes.as_ref()),
        (Relation::Prevents, true) if known.against.is_some() && known.rejected.is_none() => Answer::OPEN,
        (_, true) if con.is_some() => with(graph, Contradicted, con),
        (Relation::Suits, true) if pro.is_some() => with(graph, Supported, pro),
        (Relation::Prevents, true) if pro.is_some() => with(graph, Supported, pro),
        (_, true) => with(graph, Contradicted, known.causes.as_ref().filter(|_| !stance.care)),
        (Relation::Suits, false) if con.is_some() => with(graph, Supported, con),
        (Relation::Suits, false) if pro.is_some() => with(graph, Contradicted, pro.filter(|_| !stance.care)),
        (Relation::Suits, false) => {
            with(graph, Supported, known.causes.as_ref().filter(|_| stance.against_word))
        }
        (Relation::Prevents, false) => with(graph, Contradicted, known.prevents.as_ref()),
    }
}

/// The verdict on what is said of two drugs.
pub(super) fn together<B: AsRef<[u8]>>(
    graph: &Graph<B>,
    one: NodeId,
    other: NodeId,
    go: bool,
) -> (Verdict, Option<Ground>) {
    let others = graph.ancestors(other);
    let mut worst: Option<Edge<'_>> = None;
    for substance in graph.ancestors(one) {
        for edge in
            graph.edges_from(substance).filter(|e| e.kind == EdgeKind::Interacts && others.contains(&e.to))
        {
            if worst.is_none_or(|w| edge.severity > w.severity) {
                worst = Some(edge);
            }
        }
    }
    match worst {
        Some(edge) if go && edge.severity >= Severity::Severe => {
            (Verdict::Contradicted, Some(ground(graph, &edge)))
        }
        Some(edge) if !go => (Verdict::Supported, Some(ground(graph, &edge))),
        _ => (Verdict::NotKnown, None),
    }
}
