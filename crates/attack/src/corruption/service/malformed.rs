//! Requests that are none.

use numeric::Rng;

use super::{Condition, Expected, Facts, Plan, Request};

domain::catalogue_entry! {
    /// Requests are malformed: cut off, wrongly typed, contradictory, enormous where small things belong.
    ///
    /// ## What it is
    /// Some seventy bodies for one model, each with one thing wrong: broken JSON and text, missing and doubled fields, shapes that do not fit their data, numbers that no
    /// type holds, binary parts that do not fit their header, names and nesting without end, wrong content types; and forty cut off or with flipped bytes at places drawn
    /// from the seed. Each says which answers are sound: a fault of the client, named (400 to 499). Never 500, never silence.
    ///
    /// ## Why it matters in care
    /// Interfaces break on a Friday. A gateway that falls over takes the good requests down with the bad ones, and one that guesses answers about a patient who was not sent.
    ///
    /// ## Limits
    /// The REST form of the Open Inference Protocol only. A flipped byte can leave a sound request: such a one may be served.
    ///
    /// ## References
    /// Open Inference Protocol v2 (KServe); RFC 8259; CWE-20.
    pub static ENTRY = { id: "X141", name: "malformed_requests", kind: Attack, since: "0.1.0", maps: ["CWE-20"] };
}

/// In the registry.
pub(super) static CONDITION: Condition = Condition { entry: &ENTRY, plan };

/// Bodies that are cut off, and as many with a flipped byte.
const DRAWN: usize = 20;
const JSON: &str = "application/json";
const LENGTH: &str = "inference-header-content-length";

fn plan(facts: &Facts<'_>, seed: u64) -> Plan {
    let mut all = Vec::new();
    text(facts, &mut all);
    fields(facts, &mut all);
    tensors(facts, &mut all);
    sizes(facts, &mut all);
    binary(facts, &mut all);
    headers(facts, &mut all);
    drawn(facts, seed, &mut all);
    Plan::Requests(all)
}

fn request(what: &str, body: impl Into<Vec<u8>>) -> Request {
    let headers = vec![("content-type", JSON.to_owned())];
    Request { what: what.to_owned(), headers, body: body.into(), expected: Expected::ClientFault }
}

/// Bodies that are not JSON.
fn text(facts: &Facts<'_>, all: &mut Vec<Request>) {
    let valid = facts.valid(1);
    let around = |before: &[u8], after: &[u8]| [before, &valid, after].concat();
    all.push(request("empty body", ""));
    for (what, body) in [
        ("spaces only", "   \r\n\t "),
        ("a bare word", "inputs"),
        ("null", "null"),
        ("a number", "42"),
        ("an array in place of the object", "[]"),
        ("a text in place of the object", "\"inputs\""),
        ("form data", "inputs=1&shape=2"),
        ("XML", "<?xml version=\"1.0\"?><inputs/>"),
        ("single quotes", "{'inputs':[]}"),
        ("keys without quotes", "{inputs:[]}"),
        ("a trailing comma", "{\"inputs\":[],}"),
        ("a comment", "{/* */\"inputs\":[]}"),
        ("an object that is not closed", "{\"inputs\":["),
    ] {
        all.push(request(what, body));
    }
    all.push(request("text behind the object", around(b"", b"{}")));
    all.push(request("zero bytes behind the object", around(b"", b"\0\0")));
    all.push(request("a byte order mark in front", around(b"\xef\xbb\xbf", b"")));
    all.push(request("UTF-16", valid.iter().flat_map(|b| [*b, 0]).collect::<Vec<u8>>()));
    all.push(request("bytes that are no text", vec![0xff, 0xfe, 0x80, 0x00, 0xc3, 0x28]));
    let tensor = facts.input(&facts.shape(1), &facts.data(1));
    all.push(request(
        "a name that is not UTF-8",
        [b"{\"id\":\"\xff\xfe\",\"inputs\":[", tensor.as_bytes(), b"]}"].concat(),
    ));
    all.push(request("half of a surrogate pair", format!(r#"{{"id":"\ud800","inputs":[{tensor}]}}"#)));
    all.push(request("a control character in the id", format!(r#"{{"id":"\u0000","inputs":[{tensor}]}}"#)));
}

/// Fields that are missing, doubled or of the wrong kind.
fn fields(facts: &Facts<'_>, all: &mut Vec<Request>) {
    let (shape, data) = (facts.shape(1), facts.data(1));
    let tensor = facts.input(&shape, &data);
    let name = serde_json::Value::from(facts.tensor);
    for (what, body) in [
        ("no inputs", r#"{"id":"1"}"#.to_owned()),
        ("inputs without a tensor", r#"{"inputs":[]}"#.to_owned()),
        ("inputs as an object", format!(r#"{{"inputs":{tensor}}}"#)),
        ("inputs null", r#"{"inputs":null}"#.to_owned()),
        ("a tensor that is a number", r#"{"inputs":[7]}"#.to_owned()),
        ("the same tensor twice", format!(r#"{{"inputs":[{tensor},{tensor}]}}"#)),
        ("inputs twice", format!(r#"{{"inputs":[{tensor}],"inputs":[{tensor}]}}"#)),
        ("no name", format!(r#"{{"inputs":[{{"shape":{shape},"datatype":"FP32","data":{data}}}]}}"#)),
        ("no shape", format!(r#"{{"inputs":[{{"name":{name},"datatype":"FP32","data":{data}}}]}}"#)),
        ("no datatype", format!(r#"{{"inputs":[{{"name":{name},"shape":{shape},"data":{data}}}]}}"#)),
        ("no data", format!(r#"{{"inputs":[{{"name":{name},"shape":{shape},"datatype":"FP32"}}]}}"#)),
        ("data null", facts_body(&facts.input(&shape, "null"))),
        ("data as a text", facts_body(&facts.input(&shape, "\"0.5\""))),
        ("data as an object", facts_body(&facts.input(&shape, "{}"))),
        ("shape as a text", facts_body(&facts.input("\"1\"", &data))),
        (
            "a name that is a number",
            facts_body(&tensor.replacen(&format!("\"name\":{name}"), "\"name\":1", 1)),
        ),
        ("an unknown datatype", facts_body(&tensor.replacen("FP32", "FLOAT", 1))),
        ("a datatype that is a number", facts_body(&tensor.replacen("\"FP32\"", "32", 1))),
        ("an id that is a number", format!(r#"{{"id":1,"inputs":[{tensor}]}}"#)),
        (
            "an output that does not exist",
            format!(r#"{{"inputs":[{tensor}],"outputs":[{{"name":"no such output"}}]}}"#),
        ),
        (
            "the same output twice",
            format!(r#"{{"inputs":[{tensor}],"outputs":[{{"name":"a"}},{{"name":"a"}}]}}"#),
        ),
    ] {
        all.push(request(what, body));
    }
    let other = tensor.replacen(&format!("\"name\":{name}"), "\"name\":\"no such tensor\"", 1);
    all.push(request("an unknown tensor", facts_body(&other)));
    all.push(request("a tensor too many", format!(r#"{{"inputs":[{tensor},{other}]}}"#)));
}

fn facts_body(tensor: &str) -> String {
    format!(r#"{{"inputs":[{tensor}]}}"#)
}

/// Shapes and elements that do not fit.
fn tensors(facts: &Facts<'_>, all: &mut Vec<Request>) {
    let (shape, data) = (facts.shape(1), facts.data(1));
    let inner = data.trim_start_matches('[').trim_end_matches(']');
    for (what, shape, data) in [
        (
            "a value too few",
            shape.as_str(),
            format!("[{}]", inner.rsplit_once(',').map_or("", |(head, _)| head)),
        ),
        ("a value too many", &shape, format!("[{inner},0]")),
        ("no values", &shape, "[]".to_owned()),
        ("no rows", &facts.shape(0), "[]".to_owned()),
        ("a shape without dimensions", "[]", data.clone()),
        ("a negative dimension", &shape.replacen("[1", "[-1", 1), data.clone()),
        ("a dimension with a fraction", &shape.replacen("[1", "[1.5", 1), data.clone()),
        ("a dimension of 2^64", &shape.replacen("[1", "[18446744073709551616", 1), data.clone()),
        ("dimensions whose product overflows", "[4294967296,4294967296,4294967296]", data.clone()),
        ("a billion rows with the data of one", &shape.replacen("[1", "[1000000000", 1), data.clone()),
        ("a hundred dimensions", &format!("[{}1]", "1,".repeat(99)), data.clone()),
        ("a width of one more", &format!("[1,{}]", facts.width() + 1), format!("[{inner},0]")),
        ("nested unlike its shape", &shape, format!("[[[[[[[[[{inner}]]]]]]]]]")),
    ] {
        all.push(request(what, facts_body(&facts.input(shape, &data))));
    }
    let rest = inner.split_once(',').map_or(String::new(), |(_, rest)| format!(",{rest}"));
    for (what, first) in [
        ("NaN", "NaN"),
        ("Infinity", "-Infinity"),
        ("a number beyond every type", "1e999"),
        ("a text among numbers", "\"0.5\""),
        ("null among numbers", "null"),
        ("true among numbers", "true"),
        ("a number with a leading zero", "00.5"),
        ("a number with a plus", "+0.5"),
        ("a hexadecimal number", "0x10"),
        ("a number of a decimal comma", "0,5"),
    ] {
        all.push(request(what, facts_body(&facts.input(&shape, &format!("[{first}{rest}]")))));
    }
}

/// More of something than anybody needs.
fn sizes(facts: &Facts<'_>, all: &mut Vec<Request>) {
    let tensor = facts.input(&facts.shape(1), &facts.data(1));
    let long = "a".repeat(1 << 16);
    for (what, body) in [
        ("an id of 64 KiB", format!(r#"{{"id":"{long}","inputs":[{tensor}]}}"#)),
        ("an output name of 64 KiB", format!(r#"{{"inputs":[{tensor}],"outputs":[{{"name":"{long}"}}]}}"#)),
        (
            "nesting 100,000 deep",
            format!(r#"{{"x":{}{},"inputs":[{tensor}]}}"#, "[".repeat(100_000), "]".repeat(100_000)),
        ),
        ("nesting that never ends", "[".repeat(100_000)),
        (
            "data nested 10,000 deep",
            facts_body(&facts.input("[1]", &format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)))),
        ),
        (
            "10,000 tensors",
            format!(
                r#"{{"inputs":[{}{tensor}]}}"#,
                numbered(10_000, |n| format!(
                    r#"{{"name":"t{n}","shape":[1],"datatype":"FP32","data":[0]}}"#
                ))
            ),
        ),
        (
            "10,000 parameters",
            format!(
                r#"{{"parameters":{{{}"last":1}},"inputs":[{tensor}]}}"#,
                numbered(10_000, |n| format!(r#""p{n}":1"#))
            ),
        ),
        (
            "10,000 unknown fields",
            format!(r#"{{{}"inputs":[{tensor}]}}"#, numbered(10_000, |n| format!(r#""f{n}":1"#))),
        ),
    ] {
        all.push(request(what, body));
    }
    // A few bytes more than are let in, of spaces, so that nothing but the size is wrong.
    let mut padded = facts.valid(1);
    padded.resize(padded.len().max(facts.body_bytes_max) + 16, b' ');
    all.push(request("a body larger than is let in", padded));
}

fn numbered(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(|at| item(at) + ",").collect()
}

/// Binary parts that do not fit.
fn binary(facts: &Facts<'_>, all: &mut Vec<Request>) {
    let name = serde_json::Value::from(facts.tensor);
    let bytes = facts.width() * 4;
    let head = |size: usize| {
        let shape = facts.shape(1);
        format!(
            r#"{{"inputs":[{{"name":{name},"shape":{shape},"datatype":"FP32","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    let zeros = |n: usize| vec![0; n];
    let mut push = |what: &str, head: String, length: String, tail: Vec<u8>| {
        let mut made = request(what, [head.as_bytes(), &tail].concat());
        made.headers = vec![("content-type", "application/octet-stream".to_owned()), (LENGTH, length)];
        all.push(made);
    };
    let fits = head(bytes);
    let length = fits.len();
    push("binary data a byte short", fits.clone(), length.to_string(), zeros(bytes - 1));
    push("binary data a byte long", fits.clone(), length.to_string(), zeros(bytes + 1));
    push(
        "a binary size that does not fit the shape",
        head(bytes + 4),
        head(bytes + 4).len().to_string(),
        zeros(bytes + 4),
    );
    push("a binary size of an exabyte", head(1 << 60), head(1 << 60).len().to_string(), zeros(bytes));
    push("a header length beyond the body", fits.clone(), (length + bytes + 1).to_string(), zeros(bytes));
    push("a header length in the middle of the JSON", fits.clone(), (length / 2).to_string(), zeros(bytes));
    push("a header length that is negative", fits.clone(), "-1".to_owned(), zeros(bytes));
    push("a header length that is a word", fits.clone(), "all".to_owned(), zeros(bytes));
    push("a header length of 2^64", fits, "18446744073709551616".to_owned(), zeros(bytes));
}

/// Headers that contradict the body.
fn headers(facts: &Facts<'_>, all: &mut Vec<Request>) {
    let mut encoded = request("a body that is not what its encoding says", facts.valid(1));
    encoded.headers.push(("content-encoding", "gzip".to_owned()));
    all.push(encoded);
    // Lenient servers read JSON whatever it is called.
    for kind in ["text/xml", "application/x-www-form-urlencoded", "; ; ;"] {
        let mut named = request(&format!("content type `{kind}`"), facts.valid(1));
        named.headers = vec![("content-type", kind.to_owned())];
        named.expected = Expected::ServedOrClientFault;
        all.push(named);
    }
}

/// A sound body cut off, or with one byte flipped, where the seed says.
fn drawn(facts: &Facts<'_>, seed: u64, all: &mut Vec<Request>) {
    let valid = facts.valid(1);
    let mut rng = Rng::new(seed, 141);
    for _ in 0..DRAWN {
        let at = rng.below(valid.len());
        all.push(request(&format!("cut off after byte {at}"), valid.get(..at).unwrap_or_default()));
    }
    for _ in 0..DRAWN {
        let (at, bit) = (rng.below(valid.len()), rng.below(8));
        let mut flipped = valid.clone();
        if let Some(byte) = flipped.get_mut(at) {
            *byte ^= 1 << bit;
        }
        let mut made = request(&format!("bit {bit} of byte {at} flipped"), flipped);
        made.expected = Expected::ServedOrClientFault;
        all.push(made);
    }
}
