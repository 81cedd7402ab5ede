//! Hostile and broken files: refused with a reason, never a panic, never much memory.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "test code")]

mod common;

use common::{goldens, read};
use runtime::{Limits, LoadError, Model, RunError, Scratch, TensorView, fuzz_load};

/// Highest resident memory of this process so far, in bytes; `None` where the system does not say.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

// ---- a small writer of the wire format --------------------------------------------------------------------------
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn int(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(number << 3, &mut out);
    varint(value, &mut out);
    out
}

fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(number << 3 | 2, &mut out);
    varint(value.len() as u64, &mut out);
    out.extend(value);
    out
}

fn text(number: u64, value: &str) -> Vec<u8> {
    bytes(number, value.as_bytes())
}

fn node(operator: &str, inputs: &[&str], outputs: &[&str], more: &[Vec<u8>]) -> Vec<u8> {
    let mut out: Vec<u8> = inputs.iter().flat_map(|i| text(1, i)).collect();
    out.extend(outputs.iter().flat_map(|o| text(2, o)));
    out.extend(text(4, operator));
    out.extend(more.iter().flatten());
    bytes(1, &out)
}

fn value(number: u64, name: &str, dims: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|d| bytes(1, &int(1, *d))).collect();
    let tensor = [int(1, 1), bytes(2, &dims)].concat();
    bytes(number, &[text(1, name), bytes(2, &bytes(1, &tensor))].concat())
}

fn floats(name: &str, dims: &[u64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut out: Vec<u8> = dims.iter().flat_map(|d| int(1, *d)).collect();
    out.extend([int(2, 1), text(8, name), bytes(9, &raw)].concat());
    bytes(5, &out)
}

fn model(graph: &[Vec<u8>]) -> Vec<u8> {
    [int(1, 8), bytes(8, &[text(1, ""), int(2, 17)].concat()), bytes(7, &graph.concat())].concat()
}

/// `x [1, 3]` through some nodes to `y`.
fn small(nodes: &[Vec<u8>]) -> Vec<u8> {
    let mut graph = nodes.to_vec();
    graph.push(value(11, "x", &[1, 3]));
    graph.push(value(12, "y", &[1, 3]));
    model(&graph)
}

fn refusal(bytes: &[u8]) -> String {
    Model::load(bytes, &Limits::default()).unwrap_err().to_string()
}

#[test]
fn the_small_writer_makes_models_that_load() {
    let model = Model::load(&small(&[node("Relu", &["x"], &["y"], &[])]), &Limits::default()).unwrap();
    let out = model.run(&[("x", TensorView::f32(&[1, 3], &[-1.0, 0.0, 2.0]))], &mut Scratch::new()).unwrap();
    assert_eq!(out[0].1.as_f32(), Some(&[0.0, 0.0, 2.0][..]));
}

#[test]
fn bytes_that_are_no_model_are_refused_with_a_reason() {
    assert!(refusal(b"not a model at all").starts_with("not a readable ONNX file"));
    assert_eq!(
        refusal(b""),
        "not a readable ONNX file: no graph in the file at byte 0; export the model again"
    );
    let bytes = std::fs::read(goldens().join("sklearn/tree.onnx")).unwrap();
    // The last fields are the operator set imports; a file cut between two of them is still whole.
    for end in 0..bytes.len() - 32 {
        assert!(Model::load(&bytes[..end], &Limits::default()).is_err(), "cut at {end}");
    }
}

#[test]
fn unsupported_operator_is_named_with_its_node() {
    let text = refusal(&small(&[node("Frobnicate", &["x"], &["y"], &[text(3, "head/7")])]));
    assert_eq!(
        text,
        "unsupported operator `Frobnicate` (node `head/7`, opset 17); docs/runtime.md lists those covered"
    );
}

#[test]
fn custom_domains_and_subgraphs_and_external_data_are_refused() {
    let custom = small(&[node("Relu", &["x"], &["y"], &[text(7, "com.example")])]);
    assert!(refusal(&custom).contains("custom domain `com.example`"));
    let branch = bytes(5, &[text(1, "then_branch"), bytes(6, &[]), int(20, 5)].concat());
    assert!(refusal(&small(&[node("If", &["x"], &["y"], &[branch])])).contains("contains a subgraph"));
    let outside = [int(1, 3), int(2, 1), text(8, "w"), bytes(13, &[]), int(14, 1)].concat();
    let mut graph = vec![node("Add", &["x", "w"], &["y"], &[]), bytes(5, &outside)];
    graph.extend([value(11, "x", &[1, 3]), value(12, "y", &[1, 3])]);
    assert!(matches!(Model::load(&model(&graph), &Limits::default()), Err(LoadError::ExternalData { .. })));
}

#[test]
fn cycles_dangling_inputs_and_duplicates_are_found() {
    let cycle = small(&[
        node("Add", &["x", "b"], &["a"], &[]),
        node("Relu", &["a"], &["b"], &[]),
        node("Relu", &["b"], &["y"], &[]),
    ]);
    assert!(refusal(&cycle).contains("is part of a cycle"));
    assert!(
        refusal(&small(&[node("Add", &["x", "ghost"], &["y"], &[])]))
            .contains("`ghost` is used but nothing produces it")
    );
    let twice = small(&[node("Relu", &["x"], &["y"], &[]), node("Abs", &["x"], &["y"], &[])]);
    assert!(refusal(&twice).contains("`y` is produced twice"));
}

#[test]
fn shape_mismatch_is_found_while_loading() {
    let graph = [
        node("MatMul", &["x", "w"], &["y"], &[text(3, "fc")]),
        floats("w", &[4, 2], &[0.0; 8]),
        value(11, "x", &[1, 3]),
        value(12, "y", &[1, 2]),
    ];
    assert_eq!(refusal(&model(&graph)), "operator `MatMul` (node `fc`): cannot multiply shape [1, 3] by 4x2");
}

#[test]
fn each_limit_holds_at_its_maximum_and_not_beyond() {
    let file = small(&[node("Relu", &["x"], &["a"], &[]), node("Abs", &["a"], &["y"], &[])]);
    let at = |change: fn(&mut Limits, usize), max: usize| {
        let mut limits = Limits::default();
        change(&mut limits, max);
        Model::load(&file, &limits).map(|_| ())
    };
    type Case = (fn(&mut Limits, usize), usize);
    let cases: [Case; 6] = [
        (|l, m| l.file_bytes_max = m, file.len()),
        (|l, m| l.nodes_max = m, 2),
        (|l, m| l.depth_max = m, 2),
        (|l, m| l.rank_max = m, 2),
        (|l, m| l.tensor_elements_max = m, 3),
        (|l, m| l.node_ports_max = m, 1),
    ];
    for (at_case, (change, max)) in cases.into_iter().enumerate() {
        assert_eq!(at(change, max), Ok(()), "case {at_case}");
        assert!(at(change, max - 1).is_err(), "case {at_case}");
    }
}

#[test]
fn declared_sizes_do_not_allocate() {
    let before = peak_bytes();
    let graph = [
        node("Add", &["x", "w"], &["y"], &[]),
        floats("w", &[1 << 20, 100], &[0.0; 2]),
        value(11, "x", &[1, 3]),
        value(12, "y", &[1, 2]),
    ];
    assert!(refusal(&model(&graph)).contains("does not hold"));
    let graph = [node("ConstantOfShape", &["s"], &["y"], &[]), value(11, "x", &[1, 3]), value(12, "y", &[1])];
    let shape = [int(1, 3), int(2, 7), text(8, "s"), bytes(7, &[0x80, 0x80, 0x80, 0x08].repeat(3))].concat();
    let text = refusal(&model(&[graph.concat(), bytes(5, &shape)]));
    assert!(text.contains("tensor_elements_max") || text.contains("overflows"), "{text}");
    let grown = peak_bytes().unwrap_or(0).saturating_sub(before.unwrap_or(0));
    assert!(grown < 256 << 20, "grew by {grown} bytes");
}

#[test]
fn inputs_that_do_not_fit_are_refused_by_name() {
    let model = Model::load(&small(&[node("Relu", &["x"], &["y"], &[])]), &Limits::default()).unwrap();
    let mut scratch = Scratch::new();
    let mut run = |inputs: &[(&str, TensorView<'_>)]| model.run(inputs, &mut scratch).unwrap_err();
    let good = TensorView::f32(&[1, 3], &[0.0; 3]);
    assert!(matches!(run(&[]), RunError::MissingInput { .. }));
    assert!(matches!(run(&[("x", good), ("x", good)]), RunError::DuplicateInput { .. }));
    assert!(matches!(run(&[("x", good), ("z", good)]), RunError::UnknownInput { .. }));
    let wrong = run(&[("x", TensorView::f32(&[3, 1], &[0.0; 3]))]).to_string();
    assert_eq!(wrong, "input `x` does not fit: expected float32 [1, 3], got float32 [3, 1] with 3 values");
    assert!(matches!(run(&[("x", TensorView::f32(&[1, 3], &[0.0; 2]))]), RunError::InputMismatch { .. }));
    assert!(matches!(run(&[("x", TensorView::f32(&[usize::MAX, 3], &[]))]), RunError::InputMismatch { .. }));
}

/// A small generator (xorshift64*), so that every run mutates alike.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

fn mutate(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at] = [0x00, 0xff, 0x7f, 0x80][random.below(4)],
            3 => drop(bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()))),
            4 => {
                let end = (at + 1 + random.below(40)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => bytes.truncate(at.max(1)),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

#[test]
fn thousands_of_mutated_models_never_panic_and_stay_small() {
    let file = read("operators.json");
    let models = std::fs::read(goldens().join("operators.onnxs")).unwrap();
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        let from = case["model_at"].as_u64().unwrap() as usize;
        let part = &models[from..from + case["model_bytes"].as_u64().unwrap() as usize];
        if part.len() < 4_000 {
            seeds.push(part.to_vec());
        }
    }
    for entry in std::fs::read_dir(goldens().join("sklearn")).unwrap() {
        seeds.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    seeds.sort();
    let mut random = Random(20_261_123);
    for round in 0..40 {
        for seed in &seeds {
            let bytes = mutate(seed, &mut random);
            fuzz_load(&bytes);
        }
        // The limits of `fuzz_load` allow 64 MiB of activations; the process holds seeds and test runner besides.
        let peak = peak_bytes().unwrap_or(0);
        assert!(peak < 512 << 20, "round {round}: peak of {peak} bytes");
    }
}
