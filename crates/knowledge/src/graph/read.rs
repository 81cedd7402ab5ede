//! Opening a graph and asking it.

use super::CLOSURE_MAX;
use super::layout::{
    HEADER, MAGIC, Part, RECORD, SECTION, SECTIONS, VERSION, WORD, digest, f64_at, u32_at, u64_at,
};
use crate::error::GraphError;
use crate::kind::{EdgeKind, NodeKind, Per, Route, Severity, Unit};

/// A node of an opened graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// What a node is.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// Identifier, unique in the graph, as the source writes it.
    pub id: &'a str,
    /// Preferred name.
    pub name: &'a str,
    /// What it is.
    pub kind: NodeKind,
}

/// What an edge says.
#[derive(Clone, Copy, Debug)]
pub struct Edge<'a> {
    /// The node it is about.
    pub from: NodeId,
    /// What is said.
    pub kind: EdgeKind,
    /// The other node.
    pub to: NodeId,
    /// How much an interaction matters.
    pub severity: Severity,
    /// Number of the source, for [`Graph::source`].
    pub source: u16,
    /// Where in the source it says so.
    pub cite: &'a str,
}

/// Where facts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source<'a> {
    /// Name of the source.
    pub name: &'a str,
    /// Its version or date.
    pub version: &'a str,
    /// Its licence.
    pub licence: &'a str,
    /// Its address.
    pub url: &'a str,
}

/// How much of a drug is given to adults.
#[derive(Clone, Copy, Debug)]
pub struct Dose<'a> {
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
    /// Number of the source, for [`Graph::source`].
    pub source: u16,
    /// Where in the source it says so.
    pub cite: &'a str,
}

/// A graph over bytes that the caller owns, borrows or has mapped.
#[derive(Clone, Debug)]
pub struct Graph<B> {
    bytes: B,
    starts: [usize; SECTIONS],
    counts: [usize; SECTIONS],
}

impl<B: AsRef<[u8]>> Graph<B> {
    /// Checks the header, the digest and every offset.
    ///
    /// # Errors
    /// When the bytes are no graph, of another version, or damaged.
    pub fn open(bytes: B) -> Result<Self, GraphError> {
        let raw = bytes.as_ref();
        if raw.get(..8) != Some(MAGIC.as_slice()) || raw.len() < HEADER + SECTIONS * SECTION {
            return Err(GraphError::NotAGraph);
        }
        match u32_at(raw, 8) {
            VERSION => {}
            other => return Err(GraphError::Version(other)),
        }
        let rest_is_zero = u64_at(raw, 56) == 0;
        if u32_at(raw, 12) as usize != SECTIONS || u64_at(raw, 48) != raw.len() as u64 || !rest_is_zero {
            return Err(GraphError::Damaged("header"));
        }
        if raw.get(16..48) != Some(digest(raw).as_slice()) {
            return Err(GraphError::Digest);
        }
        let (mut starts, mut counts) = ([0; SECTIONS], [0; SECTIONS]);
        for (part, ((start, count), record)) in starts.iter_mut().zip(&mut counts).zip(RECORD).enumerate() {
            let at = HEADER + part * SECTION;
            *count = u32_at(raw, at + 8) as usize;
            *start = usize::try_from(u64_at(raw, at)).unwrap_or(usize::MAX);
            let end = count.checked_mul(record).and_then(|len| start.checked_add(len));
            if end.is_none_or(|end| end > raw.len()) {
                return Err(GraphError::Damaged(WORD[part]));
            }
        }
        let graph = Self { bytes, starts, counts };
        graph.validate()?;
        Ok(graph)
    }

    fn validate(&self) -> Result<(), GraphError> {
        let strings = std::str::from_utf8(self.strings()).map_err(|_| GraphError::Damaged("strings"))?;
        let text = |part: Part, at: usize, offset: usize| {
            let (start, len) = (self.u32(part, at, offset) as usize, self.u32(part, at, offset + 4) as usize);
            let good = start.checked_add(len).is_some_and(|end| strings.get(start..end).is_some());
            if good { Ok(()) } else { Err(GraphError::Damaged(WORD[part as usize])) }
        };
        let check =
            |good: bool, what: &'static str| if good { Ok(()) } else { Err(GraphError::Damaged(what)) };
        let (nodes, sources) = (self.count(Part::Nodes), self.count(Part::Sources));
        for at in 0..sources {
            (0..4).try_for_each(|n| text(Part::Sources, at, n * 8))?;
        }
        for at in 0..nodes {
            text(Part::Nodes, at, 0)?;
            text(Part::Nodes, at, 8)?;
            let kind = u8::try_from(self.u32(Part::Nodes, at, 16)).ok().and_then(NodeKind::from_number);
            check(kind.is_some(), "nodes")?;
            for (offset, part) in [(20, Part::Names), (28, Part::Edges), (36, Part::Inward)] {
                let run = u64::from(self.u32(Part::Nodes, at, offset))
                    + u64::from(self.u32(Part::Nodes, at, offset + 4));
                check(run <= self.count(part) as u64, "nodes")?;
            }
        }
        for at in 0..self.count(Part::Names) {
            text(Part::Names, at, 0)?;
            check((self.u32(Part::Names, at, 8) as usize) < nodes, "names")?;
        }
        for at in 0..self.count(Part::Edges) {
            let ends = [self.u32(Part::Edges, at, 0), self.u32(Part::Edges, at, 4)];
            let [kind, severity, low, high] = self.u32(Part::Edges, at, 8).to_le_bytes();
            let source = usize::from(u16::from_le_bytes([low, high]));
            check(ends.iter().all(|n| (*n as usize) < nodes) && source < sources, "edges")?;
            check(
                EdgeKind::from_number(kind).is_some() && Severity::from_number(severity).is_some(),
                "edges",
            )?;
            text(Part::Edges, at, 12)?;
        }
        for at in 0..self.count(Part::Inward) {
            check((self.u32(Part::Inward, at, 0) as usize) < self.count(Part::Edges), "inward edges")?;
        }
        for at in 0..self.count(Part::Doses) {
            let [route, unit, per, _] = self.u32(Part::Doses, at, 4).to_le_bytes();
            let kinds = Route::from_number(route).is_some() && Unit::from_number(unit).is_some();
            check(kinds && Per::from_number(per).is_some(), "doses")?;
            check((self.u32(Part::Doses, at, 0) as usize) < nodes, "doses")?;
            check((self.u32(Part::Doses, at, 40) as usize) < sources, "doses")?;
            text(Part::Doses, at, 44)?;
        }
        let ids = self.count(Part::Ids);
        check(ids == nodes && (0..ids).all(|at| (self.u32(Part::Ids, at, 0) as usize) < nodes), "ids")
    }

    fn strings(&self) -> &[u8] {
        let start = self.starts[0];
        self.bytes.as_ref().get(start..start + self.counts[0]).unwrap_or_default()
    }

    fn count(&self, part: Part) -> usize {
        self.counts[part as usize]
    }

    fn at(&self, part: Part, row: usize, offset: usize) -> usize {
        self.starts[part as usize] + row * RECORD[part as usize] + offset
    }

    fn u32(&self, part: Part, row: usize, offset: usize) -> u32 {
        u32_at(self.bytes.as_ref(), self.at(part, row, offset))
    }

    fn text(&self, part: Part, row: usize, offset: usize) -> &str {
        let (start, len) = (self.u32(part, row, offset) as usize, self.u32(part, row, offset + 4) as usize);
        let bytes = self.strings().get(start..start + len).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// SHA-256 of everything after the header: what a piece of evidence names.
    pub fn digest(&self) -> [u8; 32] {
        self.bytes.as_ref().get(16..48).and_then(|b| b.try_into().ok()).unwrap_or_default()
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.count(Part::Nodes)
    }

    /// Number of names over all nodes.
    pub fn name_count(&self) -> usize {
        self.count(Part::Names)
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.count(Part::Edges)
    }

    /// Number of dose facts.
    pub fn dose_count(&self) -> usize {
        self.count(Part::Doses)
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<B> {
        (0..self.node_count() as u32).map(NodeId)
    }

    /// All sources, in the order of their numbers.
    pub fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        (0..self.count(Part::Sources) as u16).map(|n| self.source(n))
    }

    /// Id, preferred name and kind of a node.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        let row = id.0 as usize;
        let kind = self.u32(Part::Nodes, row, 16).to_le_bytes()[0];
        Node {
            id: self.text(Part::Nodes, row, 0),
            name: self.text(Part::Nodes, row, 8),
            kind: NodeKind::from_number(kind).unwrap_or(NodeKind::Other),
        }
    }

    /// The node of an identifier.
    pub fn find(&self, id: &str) -> Option<NodeId> {
        let (mut low, mut high) = (0, self.count(Part::Ids));
        while low < high {
            let middle = low.midpoint(high);
            let node = self.u32(Part::Ids, middle, 0);
            match self.text(Part::Nodes, node as usize, 0).cmp(id) {
                std::cmp::Ordering::Equal => return Some(NodeId(node)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn rows(&self, id: NodeId, offset: usize) -> std::ops::Range<usize> {
        let start = self.u32(Part::Nodes, id.0 as usize, offset) as usize;
        start..start + self.u32(Part::Nodes, id.0 as usize, offset + 4) as usize
    }

    /// All names of a node, the preferred one first.
    pub fn names(&self, id: NodeId) -> impl Iterator<Item = &str> {
        self.rows(id, 20).map(|row| self.text(Part::Names, row, 0))
    }

    fn edge(&self, row: usize) -> Edge<'_> {
        let [kind, severity, low, high] = self.u32(Part::Edges, row, 8).to_le_bytes();
        Edge {
            from: NodeId(self.u32(Part::Edges, row, 0)),
            to: NodeId(self.u32(Part::Edges, row, 4)),
            kind: EdgeKind::from_number(kind).unwrap_or(EdgeKind::AssociatedWith),
            severity: Severity::from_number(severity).unwrap_or(Severity::Unstated),
            source: u16::from_le_bytes([low, high]),
            cite: self.text(Part::Edges, row, 12),
        }
    }

    /// Edges that start at a node.
    pub fn edges_from(&self, id: NodeId) -> impl Iterator<Item = Edge<'_>> {
        self.rows(id, 28).map(|row| self.edge(row))
    }

    /// Edges that end at a node.
    pub fn edges_to(&self, id: NodeId) -> impl Iterator<Item = Edge<'_>> {
        self.rows(id, 36).map(|row| self.edge(self.u32(Part::Inward, row, 0) as usize))
    }

    /// A source by its number.
    pub fn source(&self, number: u16) -> Source<'_> {
        let row = usize::from(number);
        Source {
            name: self.text(Part::Sources, row, 0),
            version: self.text(Part::Sources, row, 8),
            licence: self.text(Part::Sources, row, 16),
            url: self.text(Part::Sources, row, 24),
        }
    }

    /// Dose facts of a drug.
    pub fn doses(&self, id: NodeId) -> impl Iterator<Item = Dose<'_>> {
        let count = self.count(Part::Doses);
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if self.u32(Part::Doses, middle, 0) < id.0 { low = middle + 1 } else { high = middle }
        }
        (low..count).take_while(move |row| self.u32(Part::Doses, *row, 0) == id.0).map(|row| self.dose(row))
    }

    fn dose(&self, row: usize) -> Dose<'_> {
        let [route, unit, per, _] = self.u32(Part::Doses, row, 4).to_le_bytes();
        let amount = |n: usize| f64_at(self.bytes.as_ref(), self.at(Part::Doses, row, 8 + n * 8));
        Dose {
            route: Route::from_number(route).unwrap_or(Route::Any),
            unit: Unit::from_number(unit).unwrap_or(Unit::Milligram),
            per: Per::from_number(per).unwrap_or(Per::Day),
            low: amount(0),
            high: amount(1),
            max: amount(2),
            single_max: amount(3),
            source: self.u32(Part::Doses, row, 40) as u16,
            cite: self.text(Part::Doses, row, 44),
        }
    }

    /// The node and everything it is a kind of, nearest first, at most [`CLOSURE_MAX`]. A drug of a product is followed from the
    /// product, too: what holds for an ingredient holds for what contains it.
    pub fn ancestors(&self, id: NodeId) -> Vec<NodeId> {
        let upward = |k| matches!(k, EdgeKind::IsA | EdgeKind::HasIngredient);
        self.closure(id, |id, out| out.extend(self.edges_from(id).filter(|e| upward(e.kind)).map(|e| e.to)))
    }

    /// The node and everything that is a kind of it, nearest first, at most [`CLOSURE_MAX`].
    pub fn descendants(&self, id: NodeId) -> Vec<NodeId> {
        self.closure(id, |id, out| {
            out.extend(self.edges_to(id).filter(|e| e.kind == EdgeKind::IsA).map(|e| e.from))
        })
    }

    fn closure(&self, id: NodeId, next: impl Fn(NodeId, &mut Vec<NodeId>)) -> Vec<NodeId> {
        let mut found = vec![id];
        let mut at = 0;
        let mut more = Vec::new();
        while let Some(node) = found.get(at).copied() {
            at += 1;
            more.clear();
            next(node, &mut more);
            for node in &more {
                if found.len() < CLOSURE_MAX && !found.contains(node) {
                    found.push(*node);
                }
            }
        }
        found
    }
}
