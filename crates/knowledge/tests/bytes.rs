//! What holds for any bytes and any text: no panic, places inside the text, the same answer twice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use knowledge::{Graph, Knowledge, build};
use proptest::prelude::*;

static CORE: LazyLock<Knowledge<Vec<u8>>> = LazyLock::new(|| Knowledge::core().unwrap());

/// Text with the words that matter mixed into noise.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-zA-Z0-9.,;:/()\u{e9}\u{2019}\u{2013}% \n-]{0,12}",
        prop::sample::select(vec![
            "metformin",
            "type 2 diabetes",
            "asthma",
            "propranolol",
            "should not",
            "is contraindicated in",
            "treats",
            "1,000 mg",
            "q.6h",
            "every",
            "hours",
            "/day",
            "potassium",
            "6.8 mmol/L",
            "normal",
            "vaccines",
            "cause",
            "autism",
            "MS",
            "St. John's wort",
            "with",
            "it is",
            "2 x 500 mg",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn claims_stand_in_the_text_and_are_the_same_twice(text in text()) {
        let claims = CORE.claims(&text);
        for claim in &claims {
            prop_assert!(claim.start < claim.end && text.get(claim.start..claim.end).is_some());
        }
        prop_assert_eq!(&claims, &CORE.claims(&text));
        for mention in CORE.linker().find(&text) {
            prop_assert!(text.get(mention.start..mention.end).is_some());
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read_as_a_graph(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(graph) = Graph::open(bytes) {
            prop_assert!(graph.nodes().all(|n| graph.names(n).count() <= graph.name_count()));
        }
    }

    #[test]
    fn any_bytes_are_built_or_reported(bytes in prop::collection::vec(any::<u8>(), 0..512), tabs in "([a-z]{0,3}[\t|,\"\n]){0,60}") {
        let own = build::Provenance { name: "own", version: "1", licence: "own", url: "" };
        for bytes in [bytes.as_slice(), tabs.as_bytes()] {
            let mut writer = knowledge::GraphWriter::new();
            let kinds = build::types(bytes).unwrap().0;
            let built = [
                build::obo(&mut writer, bytes, knowledge::NodeKind::Disease, &own).unwrap(),
                build::concepts(&mut writer, bytes, "R", &kinds).unwrap(),
                build::relations(&mut writer, bytes, "R", &own).unwrap(),
                build::primekg(&mut writer, bytes, &own).unwrap(),
                build::hetionet_nodes(&mut writer, bytes).unwrap(),
                build::hetionet_edges(&mut writer, bytes, &own).unwrap(),
                build::table(&mut writer, bytes, &build::Mapping::default(), &own).unwrap(),
            ];
            for built in built {
                prop_assert!(built.used + built.problems.len() <= built.lines + 1);
            }
            Graph::open(writer.finish().unwrap()).unwrap();
        }
    }
}
