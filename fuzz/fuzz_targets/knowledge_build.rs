//! A terminology from anywhere: lines are used or reported, and what was built opens.
#![no_main]

use knowledge::{Graph, GraphWriter, NodeKind, build};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let own = build::Provenance { name: "own", version: "1", licence: "own", url: "" };
    let mut writer = GraphWriter::new();
    let kinds = build::types(bytes).expect("no limit is reached").0;
    for built in [
        build::obo(&mut writer, bytes, NodeKind::Disease, &own),
        build::concepts(&mut writer, bytes, "R", &kinds),
        build::relations(&mut writer, bytes, "R", &own),
        build::primekg(&mut writer, bytes, &own),
        build::hetionet_nodes(&mut writer, bytes),
        build::hetionet_edges(&mut writer, bytes, &own),
        build::table(&mut writer, bytes, &build::Mapping::default(), &own),
    ] {
        let built = built.expect("no limit is reached");
        assert!(built.used + built.problems.len() <= built.lines + 1);
    }
    Graph::open(writer.finish().expect("no limit is reached")).expect("what was written opens");
});
