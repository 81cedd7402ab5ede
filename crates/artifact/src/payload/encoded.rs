//! Text that stands for bytes: base64, hexadecimal, `\x` escapes; and what bytes begin as.

/// Decoded bytes.
pub(super) struct Decoded {
    /// How they were written.
    pub(super) how: &'static str,
    /// They.
    pub(super) bytes: Vec<u8>,
}

/// Shortest run that is decoded, characters: 16 bytes of base64.
pub(super) const RUN_MIN: usize = 22;
/// Runs decoded in one text.
const RUNS_MAX: usize = 64;
/// Shortest run of `\x` escapes.
const ESCAPES_MIN: usize = 8;

/// Everything in the text that decodes to something worth a look: text, a program, something that loads.
pub(super) fn find(text: &str) -> Vec<Decoded> {
    let mut all = Vec::new();
    if let Some(bytes) = escapes(text) {
        all.push(Decoded { how: "escaped text", bytes });
    }
    // Encoders break lines every 64 or 76 characters; the joined text is one run then.
    let joined: String =
        if text.contains('\n') { text.split_ascii_whitespace().collect() } else { String::new() };
    let whole = if joined.is_empty() { text } else { &joined };
    for run in whole.split(|c: char| !is_run(c)).filter(|r| r.len() >= RUN_MIN).take(RUNS_MAX) {
        let run = run.trim_matches('=');
        if run.len() % 2 == 0
            && let Some(bytes) = hexadecimal(run)
        {
            if is_worth(&bytes) {
                all.push(Decoded { how: "hexadecimal", bytes });
            }
            continue;
        }
        if let Some(bytes) = base64(run)
            && is_worth(&bytes)
        {
            all.push(Decoded { how: "base64", bytes });
        }
    }
    all
}

fn is_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=')
}

/// Whether decoded bytes are more than the accident of a long word.
fn is_worth(bytes: &[u8]) -> bool {
    program(bytes).is_some()
        || is_loadable(bytes)
        || std::str::from_utf8(bytes).is_ok_and(|t| t.bytes().all(|b| b >= 0x20 || b.is_ascii_whitespace()))
}

/// Runs of `\xNN`, decoded, when there are enough of them.
fn escapes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        let digits = rest.get(at + 2..at + 4)?;
        if let Ok(byte) = u8::from_str_radix(digits, 16) {
            out.push(byte);
        }
        rest = rest.get(at + 2..)?;
    }
    (out.len() >= ESCAPES_MIN).then_some(out)
}

fn hexadecimal(run: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    run.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?))
        .collect()
}

/// Standard or URL alphabet, without padding; a last character that stands for less than a byte is dropped.
pub(crate) fn base64(run: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(run.len() / 4 * 3 + 3);
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in run.bytes().filter(|b| *b != b'=' && !b.is_ascii_whitespace()) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(value)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(((held >> bits) & 0xff) as u8);
        }
    }
    Some(out)
}

/// What program the bytes begin as.
pub(super) fn program(head: &[u8]) -> Option<&'static str> {
    let at = |n: usize| head.get(n).copied().unwrap_or(0);
    let word = |n: usize| u32::from_le_bytes([at(n), at(n + 1), at(n + 2), at(n + 3)]);
    if head.starts_with(b"\x7fELF") {
        return Some("a Linux program (ELF)");
    }
    if head.starts_with(b"MZ") {
        let header = word(0x3c) as usize;
        let pe = head.get(header..).is_some_and(|h| h.starts_with(b"PE\0\0"));
        let stub =
            head.get(..512.min(head.len())).is_some_and(|h| h.windows(14).any(|w| w == b"This program c"));
        if pe || stub || head.starts_with(b"MZ\x90\0\x03\0\0\0") {
            return Some("a Windows program (PE)");
        }
    }
    if matches!(word(0), 0xfeed_face | 0xfeed_facf | 0xcefa_edfe | 0xcffa_edfe) && word(8) != 0 {
        return Some("a macOS program (Mach-O)");
    }
    if head.starts_with(&[0xca, 0xfe, 0xba, 0xbe]) && at(4) == 0 && at(5) == 0 {
        return Some("a macOS program or Java class");
    }
    if head.starts_with(b"#!/") {
        return Some("a script");
    }
    if head.starts_with(b"dex\n03") {
        return Some("an Android program");
    }
    if head.starts_with(b"\0asm\x01\0\0\0") {
        return Some("a WebAssembly program");
    }
    // Marshalled Python code objects: type `c` with the reference flag, four counts of which the first is small.
    let counts = word(1) < 64 && word(5) < 64;
    if matches!(at(0), 0xe3 | 0x63)
        && head.len() > 32
        && counts
        && head.iter().skip(20).take(200).any(|b| matches!(b, b's' | 0xf3))
    {
        return Some("compiled Python code");
    }
    None
}

/// Whether the bytes begin as something that a loader would unpack or unpickle.
pub(super) fn is_loadable(head: &[u8]) -> bool {
    let pickle = head.first() == Some(&0x80) && head.get(1).is_some_and(|v| (1..=5).contains(v));
    let text_pickle = std::str::from_utf8(head).is_ok_and(is_pickle_text);
    let zlib = head.first() == Some(&0x78) && matches!(head.get(1), Some(0x01 | 0x5e | 0x9c | 0xda));
    let magic: &[&[u8]] = &[
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"BZh",
        b"\xfd7zXZ\0",
        b"\x28\xb5\x2f\xfd",
        b"7z\xbc\xaf\x27\x1c",
        b"\x93NUMPY",
        b"\x04\x22\x4d\x18",
    ];
    pickle || text_pickle || zlib || magic.iter().any(|m| head.starts_with(m))
}

/// Protocol 0: an import line at the front or after a mark, and a call.
pub(super) fn is_pickle_text(text: &str) -> bool {
    let body = text.trim_start_matches('(');
    let import = body.strip_prefix('c').or_else(|| body.strip_prefix('i'));
    let lines = import.is_some_and(|t| {
        t.split('\n').take(2).all(|l| {
            !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
        })
    });
    lines && text.contains("\n")
}
