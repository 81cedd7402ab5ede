//! What constants look like: commands, code, addresses, paths, packed or encoded payloads.

use super::bytes;
use super::fold;
use super::heap::{Heap, Kind, Val, View};
use super::know::{Effect, is_standard};
use crate::Source;

/// Longest constant that is looked at, bytes.
const LOOKED_MAX: u64 = 4096;

/// Why the arguments of an unknown class make one doubt, when they do.
pub(super) fn suspicious(heap: &Heap, source: &dyn Source, args: Val, levels: u32) -> Option<&'static str> {
    any_text(heap, source, args, levels, &mut |text| {
        if is_code(text) {
            Some("an unknown class that is given code")
        } else if is_command(text) {
            Some("an unknown class that is given a command")
        } else if is_address(text) {
            Some("an unknown class that is given an address")
        } else if is_path(text) {
            Some("an unknown class that is given a path")
        } else {
            None
        }
    })
}

/// Whether a class whose name speaks of an effect is given something that fits: for what executes or connects any
/// text but a plain word, for files a path.
pub(super) fn constructs(heap: &Heap, source: &dyn Source, args: Val, effect: Effect) -> bool {
    if suspicious(heap, source, args, 3).is_some() {
        return true;
    }
    matches!(effect, Effect::Executes | Effect::Network | Effect::Imports | Effect::Deserialises)
        && any_text(heap, source, args, 3, &mut |_| Some("")).is_some()
}

/// Whether one of the arguments is an address on another machine: what opens files by name fetches or sends it then.
pub(super) fn elsewhere(heap: &Heap, source: &dyn Source, args: Val) -> bool {
    any_text(heap, source, args, 2, &mut |text| is_elsewhere(text).then_some("")).is_some()
}

fn is_elsewhere(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| SCHEMES.iter().any(|known| s.eq_ignore_ascii_case(known)))
        || (text.starts_with("\\\\") && text.len() > 4)
}

/// Schemes that file-opening functions of Python's libraries follow to other machines.
const SCHEMES: [&str; 16] = [
    "http", "https", "ftp", "ftps", "sftp", "ssh", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hdfs",
    "webhdfs", "smb",
];

/// Whether the arguments hold nothing but text, bytes, `None` and containers of these: no number, no array, no object.
pub(super) fn only_text(heap: &Heap, value: Val, levels: u32) -> bool {
    match heap.view(value) {
        View::Text(_) | View::Bytes(_) | View::Made(_) | View::None | View::EmptyTuple => true,
        View::Node(node) if matches!(node.kind, Kind::Tuple | Kind::List | Kind::Dict) => {
            levels > 0 && heap.kids(node).iter().all(|kid| only_text(heap, *kid, levels - 1))
        }
        _ => false,
    }
}

/// Whether the arguments are what an enumeration or an empty container of its own class is made with: nothing, or one
/// plain scalar.
pub(super) fn ordinary(heap: &Heap, source: &dyn Source, args: Val) -> bool {
    let one = match heap.items(args) {
        Some([]) => return true,
        Some([one]) => *one,
        _ => return false,
    };
    match heap.view(one) {
        View::Text(_) | View::Made(_) => {
            fold::text(heap, source, one).is_some_and(|text| is_plain(&text))
                && suspicious(heap, source, args, 1).is_none()
        }
        View::Int(_) | View::Float(_) | View::Bool(_) | View::None | View::Long => true,
        _ => false,
    }
}

/// A word or a few: no expression, no dotted path of a module of the standard library.
fn is_plain(text: &str) -> bool {
    let module = text.split_once('.').is_some_and(|(top, rest)| !rest.is_empty() && is_standard(top));
    let called = text.split('(').next().filter(|before| before.len() < text.len());
    text.len() <= 64
        && !module
        && !is_program(text)
        && !called.is_some_and(|before| before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        && !text.chars().any(|c| c.is_control() || ";|$`{}\\".contains(c))
}

/// Whether the arguments name a model on a hub (`owner/name`) and hold nothing but text and switches: loading it
/// downloads and runs what somebody else put there.
pub(super) fn names_hub_model(heap: &Heap, source: &dyn Source, args: Val) -> bool {
    let Some(items) = heap.items(args) else { return false };
    let plain =
        items.iter().all(|v| matches!(heap.view(*v), View::None | View::Bool(_)) || only_text(heap, *v, 0));
    let id = |text: &str| {
        let part = |p: &str| {
            p.len() > 2 && p.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
    };
    plain && items.iter().any(|v| fold::text(heap, source, *v).is_some_and(|t| id(&t)))
}

fn any_text(
    heap: &Heap,
    source: &dyn Source,
    value: Val,
    levels: u32,
    ask: &mut dyn FnMut(&str) -> Option<&'static str>,
) -> Option<&'static str> {
    match heap.view(value) {
        View::Text(at) => bytes::text(source, at, LOOKED_MAX).and_then(|text| ask(&text)),
        View::Made(_) => fold::text(heap, source, value).and_then(|text| ask(&text)),
        View::Bytes(at) => {
            let (_, held, _, _) = bytes::argument(source, at, LOOKED_MAX)?;
            std::str::from_utf8(&held).ok().and_then(ask)
        }
        View::Node(node) if levels > 0 => {
            heap.kids(node).iter().find_map(|kid| any_text(heap, source, *kid, levels - 1, ask))
        }
        _ => None,
    }
}

fn is_code(text: &str) -> bool {
    is_block(text)
        || [
            "__import__",
            "import ",
            "exec(",
            "eval(",
            "os.system",
            "subprocess",
            "lambda ",
            "getattr(",
            "open(",
            "print(",
        ]
        .iter()
        .any(|sign| text.contains(sign))
}

/// Programs that commands of malicious files begin with.
const PROGRAMS: [&str; 30] = [
    "sh",
    "bash",
    "zsh",
    "cmd",
    "cmd.exe",
    "powershell",
    "pwsh",
    "curl",
    "wget",
    "nc",
    "ncat",
    "python",
    "python3",
    "perl",
    "ruby",
    "php",
    "echo",
    "touch",
    "rm",
    "cat",
    "chmod",
    "chown",
    "whoami",
    "id",
    "calc",
    "calc.exe",
    "sudo",
    "ping",
    "nslookup",
    "certutil",
];

/// Whether text is the name of a program and nothing else.
fn is_program(text: &str) -> bool {
    PROGRAMS.contains(&text.trim())
}

/// Whether text holds a block of a language with braces: `void f(){}`, `model { }`, `f() { return 1; }`.
fn is_block(text: &str) -> bool {
    let Some((before, inside)) = text.split_once('{') else { return false };
    let head = before.trim_end();
    let body = inside.rsplit_once('}').map_or(inside, |(body, _)| body);
    let word = head.len() < before.len() && head.ends_with(|c: char| c.is_alphanumeric());
    head.ends_with(')') || (word && (body.contains(';') || (!body.is_empty() && body.trim().is_empty())))
}

fn is_command(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let program = first.rsplit(['/', '\\']).next().unwrap_or(first);
    let has_more = words.next().is_some();
    (PROGRAMS.contains(&program)
        && (has_more || matches!(program, "whoami" | "calc" | "calc.exe" | "cmd.exe" | "bash" | "sh")))
        || text.contains("$(")
        || text.contains(" && ")
        || text.contains("/bin/")
}

fn is_address(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let has_scheme = scheme.is_some_and(|s| {
        !s.is_empty() && s.len() < 12 && s.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
    });
    let text = match text.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    };
    let dotted = text.split('.').count() == 4 && text.split('.').all(|n| n.parse::<u8>().is_ok());
    let (_, top) = text.rsplit_once('.').unwrap_or_default();
    let tops = [
        "com", "org", "net", "io", "example", "invalid", "local", "internal", "ru", "cn", "xyz", "onion",
        "test",
    ];
    let host = tops.contains(&top)
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'));
    has_scheme || dotted || host || text == "localhost"
}

fn is_path(text: &str) -> bool {
    let drive = matches!(text.as_bytes(), [b'A'..=b'Z' | b'a'..=b'z', b':', b'\\' | b'/', ..]);
    let begins = ["/", "./", "../", "~/", "\\\\"].iter().any(|start| text.starts_with(start));
    (drive || begins)
        && text.len() > 2
        && text.len() < 1024
        && !text.contains('\n')
        && !text.starts_with("//")
        && text.chars().skip(1).any(char::is_alphanumeric)
}

/// Whether bytes begin like a pickle, a compressed stream, a zip, or a code object as `marshal` writes it.
#[inline]
pub(super) fn packed(bytes: &[u8]) -> bool {
    match bytes {
        [0x80, protocol, next, ..] => (2..=5).contains(protocol) && *next != 0,
        [0x1f, 0x8b, 8, ..] | [b'P', b'K', 3, 4, ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] => true,
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => true,
        // Protocol 0: an import as the first opcode.
        [b'c', rest @ ..] => {
            let line = rest.iter().take(64).position(|b| *b == b'\n');
            line.is_some_and(|n| {
                n > 1 && rest[..n].iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
            })
        }
        _ => false,
    }
}

/// Whether an import in text form (`cmodule\nname\n`) stands somewhere in the first megabyte: three lines in a row,
/// the first two of them names.
pub(super) fn holds_import(bytes: &[u8]) -> bool {
    let bytes = bytes.get(..1 << 20).unwrap_or(bytes);
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    let mut lines = bytes.split(|b| *b == b'\n');
    let Some(mut before) = lines.next() else { return false };
    for line in lines {
        let module = before.iter().rev().take_while(|b| name(b)).count();
        if module > 2 && line.len() > 1 && line.len() < 100 && line.iter().all(name) {
            let start = before.len() - module;
            if before[start..].iter().any(|b| matches!(b, b'c' | b'i')) {
                return true;
            }
        }
        before = line;
    }
    false
}

/// Whether text begins like a pickle, or something compressed, in base64 or hexadecimal.
#[inline]
pub(super) fn encoded(text: &[u8]) -> bool {
    match text {
        [b'g', b'A', b'I' | b'J' | b'K' | b'L' | b'M' | b'N' | b'O' | b'P' | b'Q'..=b'Z', ..] => true,
        [b'8', b'0', b'0', b'2'..=b'5', ..] => true,
        // Bytes written as Latin-1 text, as protocols 0 to 2 do.
        [0xc2, 0x80, 2..=5, ..] => true,
        [b'H', b'4', b's', b'I', ..] | [b'e', b'J' | b'A' | b'F' | b'N', ..] => {
            text.len() > 24 && is_base64(text)
        }
        [b'Y', b'3' | b'2', ..] => text.len() > 24 && is_base64(text),
        _ => false,
    }
}

fn is_base64(text: &[u8]) -> bool {
    text.iter()
        .take(64)
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_told_apart() {
        for command in ["echo hi", "/bin/sh", "bash -c id", "x $(id)", "whoami"] {
            assert!(is_command(command), "{command}");
        }
        for plain in ["gini", "id of the patient"[3..].trim(), "l2", "k-means++", "echo", "cat"] {
            assert!(!is_command(plain), "{plain}");
        }
        assert!(
            is_elsewhere("S3://b/k") && is_elsewhere(r"\\host\share") && !is_elsewhere("file:///etc/passwd")
        );
        assert!(is_address("https://example.org") && is_address("10.0.0.1") && !is_address("1.2.3"));
        assert!(
            is_path("/etc/passwd")
                && is_path("./x.so")
                && is_path("C:\\x")
                && !is_path("/")
                && !is_path("a/b")
        );
        assert!(
            packed(b"\x80\x04\x95abc") && packed(b"cos\nsystem\n") && !packed(b"hello") && !packed(b"c\n\n")
        );
        assert!(encoded(b"gASVKAAAAAAAAACMAm9z") && encoded(b"80049528") && !encoded(b"gini"));
    }
}
