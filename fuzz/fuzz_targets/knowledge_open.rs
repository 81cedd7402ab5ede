//! A knowledge graph from anywhere: refused, or every node, name, edge and dose can be read and the linker made.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(graph) = knowledge::Graph::open(bytes) else { return };
    for node in graph.nodes() {
        let _ = (graph.node(node), graph.names(node).count(), graph.doses(node).count());
        let _ = (graph.ancestors(node).len(), graph.descendants(node).len());
        assert!(graph.edges_from(node).count() <= graph.edge_count());
        assert!(graph.edges_to(node).count() <= graph.edge_count());
    }
    let _ = knowledge::Linker::new(&graph).find("metformin in asthma");
});
