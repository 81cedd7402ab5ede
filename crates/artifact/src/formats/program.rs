//! Programs and scripts: files that run by themselves.

use domain::{Severity, catalogue_entry};

use super::text::is_text;
use super::{Format, Input, Sure};
use crate::{Context, Part, embedded};

catalogue_entry! {
    /// The file is a program, or a program is inside of the artefact.
    ///
    /// ## What it is
    /// An executable or library for Linux (ELF), Windows (PE) or macOS (Mach-O), compiled Java or Android code, WebAssembly, a
    /// Windows shortcut, or a script that a shell starts.
    ///
    /// ## Why it matters in care
    /// A model is numbers and a description. A program in the same package runs on the machine that unpacks or serves
    /// it, with the rights of the service that holds patient data.
    ///
    /// ## Limits
    /// Says that it is a program, not what it does. Custom operators are programs as well and are reported: they need
    /// their own review.
    ///
    /// ## References
    /// CWE-506; CWE-494 Download of Code Without Integrity Check; MITRE ATLAS AML.T0011.000, AML.T0018.002.
    pub static ENTRY = {
        id: "S037", name: "program-inside", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "AML.T0011.000", "CWE-506", "CWE-494"],
    };
}

const REMEDY: &str = "do not run or unpack it; a model needs no program, ask the sender why it is there";

/// Programs in the machine's or a virtual machine's own code.
pub(super) struct Program;

/// What kind of program begins with these bytes.
fn kind(head: &[u8]) -> Option<&'static str> {
    if embedded::is_elf(head) {
        return Some("an ELF program (Linux)");
    }
    if embedded::is_pe(head) {
        return Some("a Windows program");
    }
    if embedded::is_mach(head) {
        return Some("a Mach-O program (macOS)");
    }
    match head {
        // A class file states its version, 45 and up; a universal Mach-O the number of architectures, a few.
        [0xca, 0xfe, 0xba, 0xbe, _, _, 0, 45..=99, ..] => Some("compiled Java code"),
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=30, ..] => Some("a Mach-O program (macOS)"),
        // 64 bits and more architectures, and the same in the other order of bytes.
        [0xca, 0xfe, 0xba, 0xbf, 0, 0, 0, 1..=30, ..]
        | [0xbe | 0xbf, 0xba, 0xfe, 0xca, 1..=30, 0, 0, 0, ..]
        | [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..]
        | [0xce, 0xfa, 0xed, 0xfe, ..] => Some("a Mach-O program (macOS)"),
        // A kind of processor, a kind of file: no more is needed at the very start.
        [0xcf, 0xfa, 0xed, 0xfe, _, 0, 0, 0..=2, _, _, _, _, 1..=15, 0, 0, 0, ..] => {
            Some("a Mach-O program (macOS)")
        }
        // A magic number per version of Python (3.7 and up), a line end, flags.
        [_, 13, 13, 10, 0..=3, 0, 0, 0, ..] => Some("compiled Python code"),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Some("a WebAssembly program"),
        [b'd', b'e', b'x', b'\n', b'0', ..] => Some("compiled Android code"),
        [0x4c, 0, 0, 0, 1, 0x14, 2, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46, ..] => {
            Some("a Windows shortcut")
        }
        _ => None,
    }
}

impl Format for Program {
    fn name(&self) -> &'static str {
        "program"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        kind(input.head).map(|_| Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        if let Some(kind) = kind(input.head) {
            cx.find(part, &ENTRY, Severity::High, Some(0), format!("this is {kind}"), REMEDY);
        }
    }
}

/// Scripts with a first line that names their interpreter.
pub(super) struct Script;

/// The interpreter that a first line names.
fn interpreter(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|b| matches!(b, b'\n' | b'\r')).next()?;
    if line.len() > 256 || !is_text(line) {
        return None;
    }
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    let first = words.next()?.rsplit('/').next()?.to_owned();
    if first == "env" { words.find(|w| !w.starts_with('-')).map(str::to_owned) } else { Some(first) }
}

impl Format for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let interpreter = interpreter(input.head)?;
        // Python is read by its own reader, which says what the script does.
        if interpreter.starts_with("python") && is_text(input.head) {
            return None;
        }
        Some(if is_text(input.head) { Sure::Likely } else { Sure::Certain })
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let interpreter = interpreter(input.head).unwrap_or_default();
        let plain = is_text(input.head);
        let severity = if plain && cx.depth() <= 1 { Severity::Low } else { Severity::Medium };
        let message = format!("this is a script that `{interpreter}` runs");
        cx.find(part, &ENTRY, severity, Some(0), message, REMEDY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_mach_o_is_a_program() {
        let heads: [&[u8]; 7] = [
            b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x02\0\0\0",
            b"\xce\xfa\xed\xfe\x07\0\0\0\x03\0\0\0\x02\0\0\0",
            b"\xfe\xed\xfa\xcf\x01\0\0\x07\0\0\0\x03\0\0\0\x02",
            b"\xfe\xed\xfa\xce\0\0\0\x12\0\0\0\0\0\0\0\x02",
            b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07",
            b"\xca\xfe\xba\xbf\0\0\0\x02\x01\0\0\x07",
            b"\xbe\xba\xfe\xca\x02\0\0\0\x07\0\0\x01",
        ];
        for head in heads {
            assert_eq!(kind(head), Some("a Mach-O program (macOS)"), "{head:x?}");
        }
        assert_eq!(kind(b"\xcf\xfa\xed\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(kind(b"\xca\xfe\xba\xbe\x80\0\0\0\0\0"), None);
    }
}
