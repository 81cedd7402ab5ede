//! Graphs built by hand.

use crate::wire::proto::build::{bytes, int, message};
use crate::{Limits, Part, Verdict, scan};

fn text(value: &str) -> Vec<u8> {
    message(5, &[bytes(1, "value"), message(2, &[message(8, &[int(1, 7), bytes(8, value)])])])
}

fn node(number: u32, name: &str, kind: &str, inputs: &[&str], rest: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<Vec<u8>> = inputs.iter().map(|i| bytes(3, i)).collect();
    message(number, &[vec![bytes(1, name), bytes(2, kind)], inputs, rest.to_vec()].concat())
}

fn function(name: &str, nodes: &[Vec<u8>]) -> Vec<u8> {
    message(1, &[vec![message(1, &[bytes(1, name)])], nodes.to_vec()].concat())
}

fn call(name: &str, function: &str, input: &str) -> Vec<u8> {
    let f = message(5, &[bytes(1, "f"), message(2, &[message(10, &[bytes(1, function)])])]);
    node(1, name, "StatefulPartitionedCall", &[input], &[f])
}

/// A saved model with the standard saver, whose graph has `nodes` and whose library has `functions` besides.
fn saved(nodes: &[Vec<u8>], functions: &[Vec<u8>], assets: &[Vec<u8>]) -> Vec<u8> {
    let save = function(
        "__inference__traced_save_1",
        &[
            node(3, "part", "Const", &[], &[text("_temp/part")]),
            node(3, "join", "StringJoin", &["file_prefix", "part:output:0"], &[]),
            node(3, "SaveV2", "SaveV2", &["join:output:0", "a", "b", "c"], &[]),
            node(3, "Pack", "Pack", &["join:output:0"], &[]),
            node(3, "Merge", "MergeV2Checkpoints", &["Pack:output:0", "file_prefix"], &[]),
        ],
    );
    let graph = [
        vec![
            node(1, "saver_filename", "Placeholder", &[], &[]),
            node(1, "x", "Placeholder", &[], &[]),
            call("save", "__inference__traced_save_1", "saver_filename"),
        ],
        nodes.to_vec(),
        vec![message(2, &[vec![save], functions.to_vec()].concat())],
    ]
    .concat();
    let saver = message(3, &[bytes(1, "saver_filename:0"), bytes(2, "save:0"), bytes(3, "restore")]);
    let info = message(1, &[bytes(4, "serve"), bytes(5, "2.21.0")]);
    let meta = [vec![info, message(2, &graph), saver], assets.to_vec()].concat();
    [int(1, 1), message(2, &meta)].concat()
}

fn check(bytes: &[u8], verdict: Verdict, rule: &str) -> Part {
    let part = scan("saved_model.pb", &bytes, &Limits::default());
    assert_eq!(part.verdict(), verdict, "{part:?}");
    assert!(verdict == Verdict::Clean || part.all_findings().any(|f| f.check == rule), "{part:?}");
    part
}

#[test]
fn the_standard_saver_is_clean() {
    let relu = function("f", &[node(3, "r", "Relu", &["x"], &[])]);
    let part = check(&saved(&[call("c", "f", "x")], &[relu], &[]), Verdict::Clean, "");
    assert_eq!(part.facts.producer.as_deref(), Some("TensorFlow 2.21.0"));
    assert_eq!(part.facts.operators["Relu"], 1);
}

#[test]
fn files_and_python_are_found_in_graph_and_functions() {
    let path = node(3, "p", "Const", &[], &[text("/etc/passwd")]);
    let nested = |kind: &str| {
        saved(&[], &[function("f", &[path.clone(), node(3, "n", kind, &["p:output:0"], &[])])], &[])
    };
    for kind in [
        "ReadFile",
        "WriteFile",
        "MatchingFiles",
        "TFRecordDatasetV2",
        "CreateSummaryFileWriter",
        "SaveV2",
        "RestoreV2",
        "RpcClient",
    ] {
        check(&nested(kind), Verdict::Found, "S068");
    }
    check(&nested("EagerPyFunc"), Verdict::Found, "S069");
    check(&nested("ShellRun"), Verdict::Found, "S070");
    let frozen = [node(1, "p", "Const", &[], &[text("x")]), node(1, "w", "WriteFile", &["p"], &[])].concat();
    check(&frozen, Verdict::Found, "S068");
    let url = message(5, &[bytes(1, "debug_urls"), message(2, &[message(1, &[bytes(2, "grpc://a.b:1")])])]);
    check(&saved(&[node(1, "d", "DebugIdentityV2", &["x"], &[url])], &[], &[]), Verdict::Found, "S068");
}

#[test]
fn saving_outside_of_the_saver_is_found() {
    check(&saved(&[call("evil", "__inference__traced_save_1", "x")], &[], &[]), Verdict::Found, "S068");
    let wrapper = function(
        "serve",
        &[node(
            3,
            "c",
            "StatefulPartitionedCall",
            &["x"],
            &[message(
                5,
                &[bytes(1, "f"), message(2, &[message(10, &[bytes(1, "__inference__traced_save_1")])])],
            )],
        )],
    );
    check(&saved(&[call("evil", "serve", "x")], &[wrapper], &[]), Verdict::Found, "S068");
}

#[test]
fn tables_come_from_assets() {
    let fill = function("init", &[node(3, "t", "InitializeTableFromTextFileV2", &["table", "file"], &[])]);
    let path = node(1, "path", "Const", &[], &[text("/tmp/build/assets/vocab.txt")]);
    let asset = |name: &str| message(6, &[message(1, &[bytes(1, "path:0")]), bytes(2, name)]);
    let nodes = [path, call("c", "init", "path")];
    check(&saved(&nodes, std::slice::from_ref(&fill), &[asset("vocab.txt")]), Verdict::Clean, "");
    check(&saved(&nodes, std::slice::from_ref(&fill), &[]), Verdict::Found, "S068");
    check(&saved(&nodes, &[fill], &[asset("../../etc/passwd")]), Verdict::Found, "S071");
}

proptest::proptest! {
    #[test]
    fn survives_anything(flips in proptest::collection::vec((0usize..400, proptest::num::u8::ANY), 0..8)) {
        let mut bytes = saved(&[], &[], &[]);
        for (at, value) in flips {
            if let Some(b) = bytes.get_mut(at) { *b = value; }
        }
        let _ = scan("m", &bytes, &Limits::default());
    }
}
