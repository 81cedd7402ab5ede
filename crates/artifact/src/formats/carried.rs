//! Archives behind a foreign start, as self-extracting ones are, and RAR archives, which are not read here.

use domain::Severity;

use super::zip::{HIDDEN, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::embedded::POLYGLOT;
use crate::unpack::{Codec, Frames};
use crate::{Context, Part, Range, Source};

/// Bytes at the front in which programs look for an archive behind a stub.
const SEARCH_BYTES: u64 = 1 << 20;
/// Places with the first bytes of an archive that are looked at, per kind.
const PLACES_MAX: usize = 16;
/// What both versions of RAR begin with.
const RAR: &[u8] = b"Rar!\x1a\x07";

/// RAR archives.
pub(super) struct Rar;

impl Format for Rar {
    fn name(&self) -> &'static str {
        "rar"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        input.head.starts_with(RAR).then_some(Sure::Certain)
    }

    fn read(&self, _input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        cx.unread(part, Some(0), "RAR archives are not read here; unpack it and scan what is inside");
    }
}

/// Formats behind whose own bytes an archive is no part of them, and that do not report it themselves.
fn is_stub(format: &str) -> bool {
    matches!(format, "unknown" | "program" | "script" | "text")
}

/// Looks for an archive behind a start that is no archive. A RAR archive is looked for behind every format that is no
/// container: what opens those searches any file for them.
pub(crate) fn search(input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
    /// Formats that may hold whole archives.
    const CONTAINERS: [&str; 11] =
        ["zip", "7z", "tar", "rar", "gzip", "bzip2", "xz", "lzma", "zstd", "lz4", "zlib"];
    let holds = |f: &str| CONTAINERS.contains(&f) || f.starts_with("joblib");
    if part.format.split('+').any(holds) {
        return;
    }
    let length = input.source.len().min(SEARCH_BYTES);
    let Ok(bytes) = input.source.bytes(0, length, SEARCH_BYTES) else { return };
    let stub = part.format.split('+').all(is_stub);
    let Some((at, kind)) = first(&bytes, input.source, stub) else { return };
    let byte = Some(at as u64);
    if kind == "RAR" && !stub {
        let message = format!("a RAR archive begins inside of the {} file", part.format);
        let remedy = "do not load it; ask the sender for a file that is one thing only";
        cx.find(part, &POLYGLOT, Severity::Medium, byte, message, remedy);
    } else {
        let message =
            format!("{kind} data begin behind {at} foreign bytes, as in a file that unpacks itself");
        cx.find(part, &HIDDEN, Severity::Medium, byte, message, REMEDY_HIDDEN);
    }
    cx.nested(part, &format!("{kind} at byte {at}"), &Range::from(input.source, at as u64));
}

/// The first archive that begins after byte 0, checked by what follows its signature.
fn first(bytes: &[u8], source: &dyn Source, all: bool) -> Option<(usize, &'static str)> {
    type Check = fn(&[u8]) -> bool;
    let kinds: [(&[u8], &'static str, Check); 4] = [
        (RAR, "RAR", is_rar),
        (b"7z\xbc\xaf\x27\x1c", "7z", is_seven_zip),
        (b"\xfd7zXZ\0", "xz", is_xz),
        (b"BZh", "bzip2", |b| Codec::Bzip2.begins(b)),
    ];
    let mut found: Vec<(usize, &'static str)> = kinds
        .iter()
        .take(if all { kinds.len() } else { 1 })
        .filter_map(|(magic, kind, check)| {
            let places = memchr::memmem::find_iter(bytes, magic).filter(|at| *at > 0).take(PLACES_MAX);
            places.into_iter().find(|at| bytes.get(*at..).is_some_and(check)).map(|at| (at, *kind))
        })
        .collect();
    if all {
        let places = memchr::memmem::find_iter(bytes, b"\x1f\x8b\x08").filter(|at| *at > 0).take(PLACES_MAX);
        found.extend(places.into_iter().find(|at| is_gzip(bytes, *at, source)).map(|at| (at, "gzip")));
    }
    found.into_iter().min()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

/// The checksum of the start header fits.
fn is_seven_zip(bytes: &[u8]) -> bool {
    bytes.get(12..32).is_some_and(|header| word(bytes, 8) == Some(crc32fast::hash(header)))
}

/// The checksum of the stream flags fits.
fn is_xz(bytes: &[u8]) -> bool {
    bytes.get(6..8).is_some_and(|flags| word(bytes, 8) == Some(crc32fast::hash(flags)))
}

/// Version 4 goes on with a main header, version 5 with one whose checksum fits.
fn is_rar(bytes: &[u8]) -> bool {
    /// The main header of version 5 is this short when its length takes one byte.
    const SHORT: u8 = 0x80;
    match bytes.get(RAR.len()..) {
        Some([0, _, _, 0x73, ..]) => true,
        Some([1, 0, _, _, _, _, length, ..]) if *length < SHORT => {
            let header = bytes.get(12..13 + usize::from(*length));
            header.is_some_and(|h| word(bytes, 8) == Some(crc32fast::hash(h)))
        }
        _ => false,
    }
}

/// The fields of the header have values that writers give, and the start decodes.
fn is_gzip(bytes: &[u8], at: usize, source: &dyn Source) -> bool {
    use std::io::Read;
    /// Content that must decode: three bytes and two fields that fit are no proof.
    const TRIAL: u64 = 4096;
    let fits = matches!(
        bytes.get(at + 3..at + 10),
        Some([0..=0x1f, _, _, _, _, 0 | 2 | 4, 0 | 3 | 7 | 10 | 11 | 255])
    );
    let decodes = || {
        let stream = Frames::new(Codec::Gzip, Range::from(source, at as u64));
        std::io::copy(&mut stream.take(TRIAL), &mut std::io::sink()).is_ok_and(|n| n > 0)
    };
    fits && decodes()
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn archives_behind_a_stub_are_read_and_stubs_alone_are_not_archives() {
        const EVIL: &[u8] = b"\x80\x02cposix\nsystem\nX\x02\0\0\0id\x85R.";
        let stub = [b"MZ".as_slice(), &[0; 700]].concat();
        let part = scan("setup.exe", &[stub.as_slice(), &gzip(EVIL)].concat(), &Limits::default());
        assert!(part.all_findings().any(|f| f.check == "S001"), "{part:?}");
        let rar = b"Rar!\x1a\x07\0\xcf\x90\x73\0\0\x0d\0\0\0\0\0\0\0";
        let part = scan("setup.exe", &[stub.as_slice(), rar].concat(), &Limits::default());
        assert_eq!(part.verdict(), Verdict::Found, "{part:?}");
        assert_eq!(scan("a.rar", &rar.as_slice(), &Limits::default()).verdict(), Verdict::Inconclusive);
        for chance in
            [b"7z\xbc\xaf\x27\x1c".as_slice(), b"\x1f\x8b\x08\0", b"Rar!\x1a\x07\x01\0", b"\xfd7zXZ\0"]
        {
            let bytes = [stub.as_slice(), chance, &[9; 64]].concat();
            assert_eq!(scan("setup.exe", &bytes, &Limits::default()).verdict(), Verdict::Inconclusive);
        }
    }
}
