//! The graph as a file: everything is read by offset from one slice of bytes, so a caller may map the file instead of reading it.
//!
//! Layout, little-endian: 64 bytes of header (`ASEPKG` 0 1, version, number of sections, SHA-256 of everything after the header,
//! length), a table of sections, then the sections as arrays of records of fixed size. Strings are offset and length into one
//! section. [`Graph::open`] checks the digest and every offset once; after that no access can fail, and none allocates.

mod layout;
mod read;
mod write;

pub use read::{Dose, Edge, Graph, Node, NodeId, Source};
pub use write::{DoseFact, Fact, GraphWriter, NodeRef, SourceRef};

/// Most nodes that a graph may have.
pub const NODES_MAX: usize = 20_000_000;
/// Most names over all nodes.
pub const NAMES_MAX: usize = 80_000_000;
/// Most edges.
pub const EDGES_MAX: usize = 200_000_000;
/// Most sources.
pub const SOURCES_MAX: usize = 4_096;
/// Most ancestors or descendants that a closure visits.
pub const CLOSURE_MAX: usize = 4_096;
/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::GraphError;
    use crate::kind::{EdgeKind, NodeKind, Per, Route, Severity, Unit};

    pub(crate) fn small() -> Vec<u8> {
        let mut w = GraphWriter::new();
        let label = w.source("FDA label", "2026", "public domain", "https://dailymed.nlm.nih.gov").unwrap();
        let metformin = w.node("drug:metformin", "metformin", NodeKind::Drug).unwrap();
        let dm = w.node("disease:diabetes-mellitus", "diabetes mellitus", NodeKind::Disease).unwrap();
        let t2 = w.node("disease:t2dm", "type 2 diabetes mellitus", NodeKind::Disease).unwrap();
        w.name(metformin, "Glucophage").unwrap();
        w.name(t2, "T2DM").unwrap();
        w.edge(Fact::new(t2, EdgeKind::IsA, dm, label)).unwrap();
        w.edge(Fact::new(metformin, EdgeKind::Indicates, t2, label).cite("section 1")).unwrap();
        w.edge(Fact::new(metformin, EdgeKind::Interacts, dm, label).severity(Severity::Severe)).unwrap();
        w.dose(DoseFact {
            drug: metformin,
            route: Route::Oral,
            unit: Unit::Milligram,
            per: Per::Day,
            low: 500.0,
            high: 2000.0,
            max: 2550.0,
            single_max: f64::INFINITY,
            source: label,
            cite: "section 2",
        })
        .unwrap();
        w.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = small();
        let graph = Graph::open(bytes.as_slice()).unwrap();
        assert_eq!((graph.node_count(), graph.edge_count()), (3, 3));
        let metformin = graph.find("drug:metformin").unwrap();
        assert_eq!(graph.node(metformin).name, "metformin");
        assert_eq!(graph.names(metformin).collect::<Vec<_>>(), ["metformin", "Glucophage"]);
        let edge = graph.edges_from(metformin).find(|e| e.kind == EdgeKind::Indicates).unwrap();
        assert_eq!(graph.node(edge.to).name, "type 2 diabetes mellitus");
        assert_eq!((edge.cite, graph.source(edge.source).name), ("section 1", "FDA label"));
        let diabetes = graph.find("disease:diabetes-mellitus").unwrap();
        assert_eq!(graph.ancestors(edge.to), [edge.to, diabetes]);
        assert_eq!(graph.descendants(diabetes), [diabetes, edge.to]);
        assert_eq!(graph.edges_to(edge.to).count(), 1);
        let dose = graph.doses(metformin).next().unwrap();
        assert_eq!((dose.max, dose.per, dose.cite), (2550.0, Per::Day, "section 2"));
    }

    #[test]
    fn order_of_writing_does_not_change_the_bytes_of_the_same_graph() {
        assert_eq!(small(), small());
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let bytes = small();
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x41;
            assert!(Graph::open(wrong.as_slice()).is_err(), "byte {at}");
        }
        for len in 0..bytes.len() {
            assert!(Graph::open(&bytes[..len]).is_err(), "cut to {len}");
        }
    }

    #[test]
    fn offsets_are_checked_even_when_the_digest_was_made_to_fit() {
        let bytes = small();
        for at in 64..bytes.len() {
            for bit in [0x01_u8, 0x80, 0xFF] {
                let mut wrong = bytes.clone();
                wrong[at] ^= bit;
                layout::seal(&mut wrong);
                // Whatever opens can be read all over without a panic.
                if let Ok(graph) = Graph::open(wrong.as_slice()) {
                    for id in graph.nodes() {
                        let _ = (
                            graph.node(id),
                            graph.names(id).count(),
                            graph.ancestors(id),
                            graph.descendants(id),
                        );
                        let _ = (
                            graph.edges_from(id).count(),
                            graph.edges_to(id).count(),
                            graph.doses(id).count(),
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn another_version_says_so() {
        let mut bytes = small();
        bytes[8] = 9;
        assert_eq!(Graph::open(bytes.as_slice()).err(), Some(GraphError::Version(9)));
    }
}
