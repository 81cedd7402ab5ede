//! Calls whose result can be told: names put together from pieces, attributes of what was imported, text decoded.
//! Nothing is run; each is done here, on bounded text.

use super::heap::{Heap, Kind, Made, Node, Val, View};
use super::know::canonical;
use super::{bytes, decode};
use crate::Source;

/// What a call gives.
pub(super) enum Folded {
    Value(Val),
    /// `copyreg.add_extension`: the code now stands for the global.
    Extension(i64, Val),
}

/// Longest text or bytes that are folded, bytes.
pub(super) const FOLD_MAX: u64 = 1 << 20;

/// Modules that have something which is folded.
const FOLDED: [&str; 14] = [
    "builtins",
    "importlib",
    "pkgutil",
    "pydoc",
    "logging.config",
    "operator",
    "_operator",
    "copyreg",
    "sys",
    "_codecs",
    "codecs",
    "base64",
    "binascii",
    "dill._dill",
];

/// A constant in hand.
enum Constant {
    Text(String),
    Bytes(Vec<u8>),
}

pub(super) fn fold(heap: &mut Heap, source: &dyn Source, callee: Val, args: Val, at: u64) -> Option<Folded> {
    if let View::Global(global) = heap.view(callee)
        && !FOLDED.contains(&canonical(&global.module, &global.name).0)
    {
        return None;
    }
    let items = heap.items(args)?.to_vec();
    match heap.view(callee) {
        View::Global(global) => {
            let (module, name) = canonical(&global.module, &global.name);
            let (module, name) = (module.to_owned(), name.to_owned());
            of_global(heap, source, (&module, &name), &items, at)
        }
        View::Node(node @ Node { kind: Kind::Attribute, .. }) => {
            let (object, name) = (node.head, *heap.kids(node).first()?);
            let name = text(heap, source, name)?;
            let mut all = vec![object];
            all.extend(items);
            method(heap, source, &name, &all)
        }
        // operator.attrgetter("a.b")(object)
        View::Node(node @ Node { kind: Kind::Call, .. }) => {
            let View::Global(maker) = heap.view(node.head) else { return None };
            let (_, name) = canonical(&maker.module, &maker.name);
            let (name, wanted) = (name.to_owned(), *heap.kids(node).first()?);
            match (name.as_str(), items.as_slice()) {
                ("attrgetter", [object]) => attribute(heap, source, *object, wanted, at),
                ("itemgetter", [object]) => item(heap, source, *object, wanted, at),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_global(
    heap: &mut Heap,
    source: &dyn Source,
    callee: (&str, &str),
    items: &[Val],
    at: u64,
) -> Option<Folded> {
    match (callee, items) {
        (("builtins", "getattr"), [object, name] | [object, name, _]) => {
            attribute(heap, source, *object, *name, at)
        }
        (("builtins", "__import__") | ("importlib", "import_module"), [name, ..]) => {
            let name = text(heap, source, *name)?;
            Some(Folded::Value(heap.import(&name, "", at, true)))
        }
        (
            ("pkgutil", "resolve_name") | ("pydoc", "locate" | "resolve") | ("logging.config", "_resolve"),
            [path, ..],
        ) => {
            let path = text(heap, source, *path)?;
            let (module, name) =
                path.split_once(':').or_else(|| path.rsplit_once('.')).unwrap_or((&path, ""));
            Some(Folded::Value(heap.import(module, name, at, true)))
        }
        (("operator" | "_operator", "getitem") | ("builtins", "dict.__getitem__"), [object, key]) => {
            item(heap, source, *object, *key, at)
        }
        (("copyreg", "add_extension"), [module, name, code]) => {
            let (module, name) = (text(heap, source, *module)?, text(heap, source, *name)?);
            let View::Int(code) = heap.view(*code) else { return None };
            let global = heap.import(&module, &name, at, true);
            Some(Folded::Extension(code, global))
        }
        (("copyreg", "_reconstructor"), [class, _, state]) => {
            Some(Folded::Value(heap.node(Kind::New, *class, &[*state])))
        }
        (("copyreg", "__newobj__" | "__newobj_ex__"), [class, rest @ ..]) => {
            Some(Folded::Value(heap.node(Kind::New, *class, rest)))
        }
        // dill's names of types.
        (("dill._dill", "_load_type"), [name]) => {
            let name = text(heap, source, *name)?;
            let module = if name.ends_with("Type") { "types" } else { "builtins" };
            let (module, name) =
                if name == "PartialType" { ("functools", "partial") } else { (module, name.as_str()) };
            Some(Folded::Value(heap.import(module, name, at, false)))
        }
        (("builtins", "str") | ("sys", "intern"), [one]) => {
            let text = text(heap, source, *one)?;
            made(heap, Constant::Text(text))
        }
        (("builtins", "str"), [bytes, encoding, ..]) => decoded(heap, source, *bytes, Some(*encoding)),
        (("_codecs" | "codecs", "encode"), [value, encoding, ..]) => encoded(heap, source, *value, *encoding),
        (("_codecs" | "codecs", "decode"), [value, encoding, ..]) => {
            decoded(heap, source, *value, Some(*encoding))
        }
        (("operator" | "_operator", "add" | "concat" | "iadd" | "iconcat"), [a, b]) => {
            joined(heap, source, *a, *b)
        }
        (("base64" | "binascii", name), [value, ..]) => unwrapped(heap, source, name, *value),
        (("builtins", name), _) => of_builtin(heap, source, name, items, at),
        _ => None,
    }
}

/// Builtins that make text, bytes or lists of their one argument, and methods of the types of constants.
fn of_builtin(heap: &mut Heap, source: &dyn Source, name: &str, items: &[Val], at: u64) -> Option<Folded> {
    match (name, items) {
        ("type", [Val::NONE]) => Some(Folded::Value(heap.import("types", "NoneType", at, false))),
        ("list" | "tuple" | "iter", [one]) => heap.items(*one).map(|_| Folded::Value(*one)),
        ("reversed", [one]) => {
            if let Some(items) = heap.items(*one) {
                let reversed: Vec<Val> = items.iter().rev().copied().collect();
                return Some(Folded::Value(heap.node(Kind::List, Val::ABSENT, &reversed)));
            }
            let reversed: String = text(heap, source, *one)?.chars().rev().collect();
            made(heap, Constant::Text(reversed))
        }
        ("chr", [code]) => {
            let View::Int(code) = heap.view(*code) else { return None };
            let c = char::from_u32(u32::try_from(code).ok()?)?;
            made(heap, Constant::Text(c.to_string()))
        }
        ("bytes" | "bytearray", [list]) if heap.items(*list).is_some() => {
            let ints = heap.items(*list)?.iter().map(|v| match heap.view(*v) {
                View::Int(int) => u8::try_from(int).ok(),
                _ => None,
            });
            let ints: Option<Vec<u8>> = ints.collect();
            made(heap, Constant::Bytes(ints?))
        }
        (name, _) if name.starts_with("str.") || name.starts_with("bytes.") => {
            method(heap, source, name.split_once('.')?.1, items)
        }
        _ => None,
    }
}

/// Bytes out of base64 or hexadecimal.
fn unwrapped(heap: &mut Heap, source: &dyn Source, name: &str, value: Val) -> Option<Folded> {
    let value = constant(heap, source, value)?;
    let bytes = match &value {
        Constant::Text(text) => text.as_bytes(),
        Constant::Bytes(bytes) => bytes,
    };
    let bytes = match name {
        "b64decode" | "standard_b64decode" | "urlsafe_b64decode" | "decodebytes" | "a2b_base64" => {
            decode::base64(bytes)?
        }
        "unhexlify" | "a2b_hex" | "b16decode" => decode::hex(bytes)?,
        _ => return None,
    };
    made(heap, Constant::Bytes(bytes))
}

/// A method of a constant: the first item is the object.
fn method(heap: &mut Heap, source: &dyn Source, name: &str, items: &[Val]) -> Option<Folded> {
    match (name, items) {
        ("join", [between, list]) => {
            let between = text(heap, source, *between)?;
            let pieces = match heap.items(*list) {
                Some(items) => {
                    let pieces: Option<Vec<String>> = items.iter().map(|v| text(heap, source, *v)).collect();
                    pieces?
                }
                None => text(heap, source, *list)?.chars().map(String::from).collect(),
            };
            made(heap, Constant::Text(pieces.join(&between)))
        }
        ("format", [template, values @ ..]) => {
            let mut out = String::new();
            let template = text(heap, source, *template)?;
            let mut values = values.iter();
            for (i, piece) in template.split("{}").enumerate() {
                if i > 0 {
                    out.push_str(&text(heap, source, *values.next()?)?);
                }
                out.push_str(piece);
            }
            made(heap, Constant::Text(out))
        }
        ("replace", [value, from, to]) => {
            let (value, from, to) =
                (text(heap, source, *value)?, text(heap, source, *from)?, text(heap, source, *to)?);
            if value.len().saturating_mul(to.len() + 1) as u64 > FOLD_MAX {
                return None;
            }
            made(heap, Constant::Text(value.replace(&from, &to)))
        }
        ("lower" | "casefold", [value]) => {
            let value = text(heap, source, *value)?.to_lowercase();
            made(heap, Constant::Text(value))
        }
        ("strip", [value]) => {
            let value = text(heap, source, *value)?.trim().to_owned();
            made(heap, Constant::Text(value))
        }
        ("__add__", [a, b]) => joined(heap, source, *a, *b),
        ("decode", [value]) => decoded(heap, source, *value, None),
        ("decode", [value, encoding, ..]) => decoded(heap, source, *value, Some(*encoding)),
        ("encode", [value, ..]) => {
            let value = text(heap, source, *value)?.into_bytes();
            made(heap, Constant::Bytes(value))
        }
        ("fromhex", [value]) => {
            let value = decode::hex(text(heap, source, *value)?.as_bytes())?;
            made(heap, Constant::Bytes(value))
        }
        _ => None,
    }
}

/// `object.name`: a longer name for what was imported, else a node that remembers both.
fn attribute(heap: &mut Heap, source: &dyn Source, object: Val, name: Val, at: u64) -> Option<Folded> {
    let attribute = text(heap, source, name)?;
    if let View::Global(global) = heap.view(object) {
        let (module, name) = (global.module.to_string(), global.name.to_string());
        let name = if name.is_empty() { attribute } else { format!("{name}.{attribute}") };
        return Some(Folded::Value(heap.import(&module, &name, at, false)));
    }
    Some(Folded::Value(heap.node(Kind::Attribute, object, &[name])))
}

/// `object[key]`, where the object is the namespace of something imported, or a constant.
fn item(heap: &mut Heap, source: &dyn Source, object: Val, key: Val, at: u64) -> Option<Folded> {
    if let View::Node(node @ Node { kind: Kind::Call, .. }) = heap.view(object)
        && let View::Global(global) = heap.view(node.head)
        && &*global.name == "vars"
    {
        let of = *heap.kids(node).first()?;
        return attribute(heap, source, of, key, at);
    }
    if let View::Global(global) = heap.view(object)
        && let Some(of) = global.name.strip_suffix("__dict__")
    {
        let (module, of) = (global.module.to_string(), of.trim_end_matches('.').to_owned());
        let key = text(heap, source, key)?;
        let name = if of.is_empty() { key } else { format!("{of}.{key}") };
        return Some(Folded::Value(heap.import(&module, &name, at, true)));
    }
    let View::Int(index) = heap.view(key) else {
        // text[::-1]
        let View::Node(slice) = heap.view(key) else { return None };
        let reversing = matches!(heap.kids(slice), [Val::NONE, Val::NONE, step] if *step == Val::int(-1));
        let reversed: String = text(heap, source, object).filter(|_| reversing)?.chars().rev().collect();
        return made(heap, Constant::Text(reversed));
    };
    let index = usize::try_from(index).ok()?;
    if let Some(items) = heap.items(object) {
        return items.get(index).map(|v| Folded::Value(*v));
    }
    let c = text(heap, source, object)?.chars().nth(index)?;
    made(heap, Constant::Text(c.to_string()))
}

fn joined(heap: &mut Heap, source: &dyn Source, a: Val, b: Val) -> Option<Folded> {
    match (constant(heap, source, a)?, constant(heap, source, b)?) {
        (Constant::Text(a), Constant::Text(b)) => made(heap, Constant::Text(a + &b)),
        (Constant::Bytes(mut a), Constant::Bytes(b)) => {
            a.extend(b);
            made(heap, Constant::Bytes(a))
        }
        _ => None,
    }
}

fn encoded(heap: &mut Heap, source: &dyn Source, value: Val, encoding: Val) -> Option<Folded> {
    let encoding = text(heap, source, encoding)?.to_lowercase();
    // The common one: protocol 2 writes bytes as Latin-1 text. Bytes they are, wherever they stand.
    if matches!(encoding.as_str(), "latin1" | "latin-1" | "iso-8859-1") {
        let length = match heap.view(value) {
            View::Text(at) => bytes::argument(source, at, 1)?.3,
            _ => 0,
        };
        if length > 4096 {
            return Some(Folded::Value(Val::UNSEEN));
        }
        let bytes =
            text(heap, source, value)?.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        return made(heap, Constant::Bytes(bytes));
    }
    let value = constant(heap, source, value)?;
    decode::by_name(&encoding, value.bytes()).and_then(|b| made(heap, Constant::Text(lossy(b))))
}

fn decoded(heap: &mut Heap, source: &dyn Source, value: Val, encoding: Option<Val>) -> Option<Folded> {
    let encoding = match encoding {
        Some(encoding) => text(heap, source, encoding)?.to_lowercase(),
        None => "utf-8".to_owned(),
    };
    let value = constant(heap, source, value)?;
    match encoding.as_str() {
        "utf-8" | "utf8" | "ascii" | "latin1" | "latin-1" | "us-ascii" => {
            made(heap, Constant::Text(lossy(value.bytes())))
        }
        _ => {
            let bytes = decode::by_name(&encoding, value.bytes())?;
            if encoding.starts_with("rot") {
                return made(heap, Constant::Text(lossy(bytes)));
            }
            made(heap, Constant::Bytes(bytes))
        }
    }
}

impl Constant {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| super::literal::latin1(e.as_bytes()))
}

fn made(heap: &mut Heap, constant: Constant) -> Option<Folded> {
    let made = match constant {
        Constant::Text(text) => Made::Text(text),
        Constant::Bytes(bytes) => Made::Bytes(bytes),
    };
    match heap.make(made) {
        Val::UNSEEN => None,
        value => Some(Folded::Value(value)),
    }
}

/// The text that a value is, when it is one and not too long.
pub(super) fn text(heap: &Heap, source: &dyn Source, value: Val) -> Option<String> {
    match constant(heap, source, value)? {
        Constant::Text(text) => Some(text),
        Constant::Bytes(_) => None,
    }
}

fn constant(heap: &Heap, source: &dyn Source, value: Val) -> Option<Constant> {
    match heap.view(value) {
        View::Text(at) => {
            let (_, _, _, length) = bytes::argument(source, at, 1)?;
            if length > FOLD_MAX {
                return None;
            }
            bytes::text(source, at, FOLD_MAX).map(Constant::Text)
        }
        View::Bytes(at) => {
            let (_, held, _, length) = bytes::argument(source, at, FOLD_MAX)?;
            (length <= FOLD_MAX).then(|| Constant::Bytes(held.into_owned()))
        }
        View::Made(Made::Text(text)) => Some(Constant::Text(text.clone())),
        View::Made(Made::Bytes(bytes)) => Some(Constant::Bytes(bytes.clone())),
        _ => None,
    }
}
