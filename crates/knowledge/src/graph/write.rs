//! Building a graph in memory and writing it.

use std::collections::HashMap;

use super::layout::{HEADER, MAGIC, SECTION, SECTIONS, VERSION, seal};
use super::{EDGES_MAX, NAME_BYTES_MAX, NAMES_MAX, NODES_MAX, SOURCES_MAX};
use crate::error::GraphError;
use crate::kind::{EdgeKind, NodeKind, Per, Route, Severity, Unit};

/// A node of a graph under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRef(pub(super) u32);

/// A source of a graph under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceRef(pub(super) u16);

/// One edge to be written.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    from: NodeRef,
    kind: EdgeKind,
    to: NodeRef,
    severity: Severity,
    source: SourceRef,
    cite: &'a str,
}

impl<'a> Fact<'a> {
    /// `from` stands in this relation to `to`, says the source.
    pub fn new(from: NodeRef, kind: EdgeKind, to: NodeRef, source: SourceRef) -> Self {
        Self { from, kind, to, severity: Severity::Unstated, source, cite: "" }
    }

    /// Where in the source it says so.
    #[must_use]
    pub fn cite(self, cite: &'a str) -> Self {
        Self { cite, ..self }
    }

    /// How much an interaction matters.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// How much of a drug is given to adults.
#[derive(Clone, Copy, Debug)]
pub struct DoseFact<'a> {
    /// The drug.
    pub drug: NodeRef,
    /// How it is given.
    pub route: Route,
    /// Unit of all amounts.
    pub unit: Unit,
    /// What `low`, `high` and `max` are counted over.
    pub per: Per,
    /// Least usual amount.
    pub low: f64,
    /// Largest usual amount.
    pub high: f64,
    /// Most that the source allows; infinite where it names none.
    pub max: f64,
    /// Most in one giving; infinite where the source names none.
    pub single_max: f64,
    /// Who says so.
    pub source: SourceRef,
    /// Where in the source.
    pub cite: &'a str,
}

type Text = (u32, u32);

struct NodeRow {
    id: Text,
    name: Text,
    kind: NodeKind,
}

struct EdgeRow {
    from: u32,
    to: u32,
    kind: u8,
    severity: u8,
    source: u16,
    cite: Text,
}

struct DoseRow {
    drug: u32,
    kinds: [u8; 4],
    amounts: [f64; 4],
    source: u16,
    cite: Text,
}

/// Collects nodes, names, edges and doses; [`GraphWriter::finish`] gives the bytes. Same input in the same order, same bytes.
#[derive(Default)]
pub struct GraphWriter {
    strings: Vec<u8>,
    known: HashMap<Box<str>, Text>,
    sources: Vec<[Text; 4]>,
    nodes: Vec<NodeRow>,
    ids: HashMap<Box<str>, u32>,
    names: Vec<(u32, Text)>,
    seen_names: std::collections::HashSet<(u32, Text)>,
    edges: Vec<EdgeRow>,
    doses: Vec<DoseRow>,
}

fn limit(len: usize, limit: usize, what: &'static str) -> Result<(), GraphError> {
    if len >= limit { Err(GraphError::TooMany { what, limit }) } else { Ok(()) }
}

impl GraphWriter {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    fn text(&mut self, text: &str) -> Result<Text, GraphError> {
        if let Some(known) = self.known.get(text) {
            return Ok(*known);
        }
        let too_many = |_| GraphError::TooMany { what: "bytes of names", limit: u32::MAX as usize };
        let start = u32::try_from(self.strings.len()).map_err(too_many)?;
        let len = u32::try_from(text.len()).map_err(too_many)?;
        start
            .checked_add(len)
            .ok_or(GraphError::TooMany { what: "bytes of names", limit: u32::MAX as usize })?;
        self.strings.extend_from_slice(text.as_bytes());
        self.known.insert(text.into(), (start, len));
        Ok((start, len))
    }

    /// A source: name, version, licence, address. The same four give the same source again.
    ///
    /// # Errors
    /// When there are more than [`SOURCES_MAX`].
    pub fn source(
        &mut self,
        name: &str,
        version: &str,
        licence: &str,
        url: &str,
    ) -> Result<SourceRef, GraphError> {
        let row = [self.text(name)?, self.text(version)?, self.text(licence)?, self.text(url)?];
        if let Some(at) = self.sources.iter().position(|s| *s == row) {
            return Ok(SourceRef(at as u16));
        }
        limit(self.sources.len(), SOURCES_MAX, "sources")?;
        self.sources.push(row);
        Ok(SourceRef((self.sources.len() - 1) as u16))
    }

    /// A node; the same id gives the same node again, and its first name and kind stay.
    ///
    /// # Errors
    /// When there are more than [`NODES_MAX`].
    pub fn node(&mut self, id: &str, name: &str, kind: NodeKind) -> Result<NodeRef, GraphError> {
        if let Some(known) = self.ids.get(id) {
            return Ok(NodeRef(*known));
        }
        limit(self.nodes.len(), NODES_MAX, "nodes")?;
        let number = self.nodes.len() as u32;
        let row = NodeRow { id: self.text(id)?, name: self.text(cut(name))?, kind };
        self.nodes.push(row);
        self.ids.insert(id.into(), number);
        self.name(NodeRef(number), name)?;
        Ok(NodeRef(number))
    }

    /// The node of an id, if it was written already.
    pub fn known(&self, id: &str) -> Option<NodeRef> {
        self.ids.get(id).copied().map(NodeRef)
    }

    /// Another name of a node. Names longer than [`NAME_BYTES_MAX`] are cut, empty and repeated ones are left out.
    ///
    /// # Errors
    /// When there are more than [`NAMES_MAX`].
    pub fn name(&mut self, node: NodeRef, name: &str) -> Result<(), GraphError> {
        let name = cut(name.trim());
        if name.is_empty() {
            return Ok(());
        }
        limit(self.names.len(), NAMES_MAX, "names")?;
        let text = self.text(name)?;
        if self.seen_names.insert((node.0, text)) {
            self.names.push((node.0, text));
        }
        Ok(())
    }

    /// An edge.
    ///
    /// # Errors
    /// When there are more than [`EDGES_MAX`].
    pub fn edge(&mut self, fact: Fact<'_>) -> Result<(), GraphError> {
        limit(self.edges.len(), EDGES_MAX, "edges")?;
        let cite = self.text(fact.cite)?;
        self.edges.push(EdgeRow {
            from: fact.from.0,
            to: fact.to.0,
            kind: fact.kind.number(),
            severity: fact.severity.number(),
            source: fact.source.0,
            cite,
        });
        Ok(())
    }

    /// A dose fact.
    ///
    /// # Errors
    /// When there are more than [`EDGES_MAX`].
    pub fn dose(&mut self, fact: DoseFact<'_>) -> Result<(), GraphError> {
        limit(self.doses.len(), EDGES_MAX, "doses")?;
        let cite = self.text(fact.cite)?;
        self.doses.push(DoseRow {
            drug: fact.drug.0,
            kinds: [fact.route.number(), fact.unit.number(), fact.per.number(), 0],
            amounts: [fact.low, fact.high, fact.max, fact.single_max],
            source: fact.source.0,
            cite,
        });
        Ok(())
    }

    /// Number of nodes so far.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Number of edges so far.
    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// The file.
    ///
    /// # Errors
    /// When the file would be longer than its offsets can say.
    pub fn finish(mut self) -> Result<Vec<u8>, GraphError> {
        self.edges.sort_by_key(|e| (e.from, e.kind, e.to));
        self.names.sort_by_key(|(node, _)| *node);
        self.doses.sort_by_key(|d| d.drug);
        let mut inward: Vec<u32> = (0..self.edges.len() as u32).collect();
        inward.sort_by_key(|e| self.edges.get(*e as usize).map(|e| (e.to, e.kind, e.from)));
        let mut ids: Vec<(&str, u32)> = self.ids.iter().map(|(id, n)| (&**id, *n)).collect();
        ids.sort_unstable();

        let mut sections: [(Vec<u8>, usize); SECTIONS] = Default::default();
        sections[1] = records(&self.sources, |s, out| s.iter().for_each(|t| push_text(out, *t)));
        sections[2] = self.node_records(&inward);
        sections[3] = records(&self.names, |(node, text), out| {
            push_text(out, *text);
            push(out, *node);
        });
        sections[4] = records(&self.edges, |e, out| {
            push(out, e.from);
            push(out, e.to);
            out.extend([e.kind, e.severity]);
            out.extend(e.source.to_le_bytes());
            push_text(out, e.cite);
        });
        sections[5] = records(&inward, |e, out| push(out, *e));
        sections[6] = records(&self.doses, |d, out| {
            push(out, d.drug);
            out.extend(d.kinds);
            d.amounts.iter().for_each(|a| out.extend(a.to_le_bytes()));
            push(out, u32::from(d.source));
            push_text(out, d.cite);
            push(out, 0);
        });
        sections[7] = records(&ids, |(_, n), out| push(out, *n));
        let strings = std::mem::take(&mut self.strings);
        let count = strings.len();
        sections[0] = (strings, count);
        Ok(assemble(&sections))
    }

    fn node_records(&self, inward: &[u32]) -> (Vec<u8>, usize) {
        let (mut name, mut out_edge, mut in_edge) = (0_usize, 0_usize, 0_usize);
        let mut number = 0_u32;
        records(&self.nodes, |row, out| {
            push_text(out, row.id);
            push_text(out, row.name);
            push(out, u32::from(row.kind.number()));
            run(out, &mut name, |at| self.names.get(at).is_some_and(|(n, _)| *n == number));
            run(out, &mut out_edge, |at| self.edges.get(at).is_some_and(|e| e.from == number));
            run(out, &mut in_edge, |at| {
                inward.get(at).and_then(|e| self.edges.get(*e as usize)).is_some_and(|e| e.to == number)
            });
            number += 1;
        })
    }
}

/// Start and length of the run of rows that belong to a node.
fn run(out: &mut Vec<u8>, at: &mut usize, belongs: impl Fn(usize) -> bool) {
    let start = *at;
    while belongs(*at) {
        *at += 1;
    }
    push(out, start as u32);
    push(out, (*at - start) as u32);
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

fn push(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_le_bytes());
}

fn push_text(out: &mut Vec<u8>, text: Text) {
    push(out, text.0);
    push(out, text.1);
}

fn records<T>(rows: &[T], mut write: impl FnMut(&T, &mut Vec<u8>)) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    rows.iter().for_each(|row| write(row, &mut out));
    (out, rows.len())
}

fn assemble(sections: &[(Vec<u8>, usize); SECTIONS]) -> Vec<u8> {
    let mut out = vec![0_u8; HEADER];
    out.splice(0..8, *MAGIC);
    out.splice(8..12, VERSION.to_le_bytes());
    out.splice(12..16, (SECTIONS as u32).to_le_bytes());
    let mut at = HEADER + SECTIONS * SECTION;
    for (bytes, count) in sections {
        out.extend((at as u64).to_le_bytes());
        push(&mut out, *count as u32);
        push(&mut out, 0);
        at += bytes.len().next_multiple_of(8);
    }
    for (bytes, _) in sections {
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(8), 0);
    }
    seal(&mut out);
    out
}
