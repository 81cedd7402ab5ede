//! Images, tables, fonts and documents that lie beside a model: known content, with an end that is looked behind.

use domain::{Severity, catalogue_entry};

use super::zip::{HIDDEN, REMEDY_HIDDEN};
use super::{Format, Input, Sure};
use crate::{Context, Cursor, Part, Range, ReadError, Source, embedded};

catalogue_entry! {
    /// A document beside the model does something when it is opened.
    ///
    /// ## What it is
    /// A PDF with a script, a program to launch, an action on opening, or a file inside.
    ///
    /// ## Why it matters in care
    /// The "instructions for use" are opened by the one who buys the model, on an office machine in the hospital's network.
    ///
    /// ## Limits
    /// Actions inside of compressed object streams are not seen. Links to web pages are not reported.
    ///
    /// ## References
    /// ISO 32000-2, 12.6 Actions; CWE-506; MITRE ATLAS AML.T0011.000.
    pub static ACTIVE = {
        id: "S040", name: "active-document", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "CWE-506"],
    };
}

/// Kinds of files that are known by their first bytes.
const KINDS: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"RIFF", "riff"),
    (b"%PDF-", "pdf"),
    (b"PAR1", "parquet"),
    (b"ARROW1\0\0", "arrow"),
    (b"OTTO\0", "font"),
    (b"\0\x01\0\0\0", "font"),
    (b"wOFF", "font"),
    (b"wOF2", "font"),
    (b"SQLite format 3\0", "sqlite"),
    (b"MATLAB 5.0 MAT-file", "matlab"),
    (b"OggS\0", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    // What macOS adds to archives: resources of a file, the look of a folder.
    (b"\0\x05\x16\x07\0\x02\0\0", "apple-double"),
    (b"\0\0\0\x01Bud1", "ds-store"),
    // Medical images.
    (b"NRRD000", "nrrd"),
    (b"\x5c\x01\0\0", "nifti"),
];

/// Images, tables, fonts, documents.
pub(super) struct Media;

fn kind(input: &Input<'_>) -> Option<&'static str> {
    let head = input.head;
    // A DICOM file begins with 128 bytes that anybody may use.
    if head.get(128..132) == Some(b"DICM") {
        return Some("dicom");
    }
    let (_, kind) = KINDS.iter().find(|(magic, _)| head.starts_with(magic))?;
    let u32 = |at: usize| head.get(at..at + 4).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
    let fits = match *kind {
        // Two letters prove nothing: size of the file and of the header must fit.
        "bmp" => {
            bmp(head).is_some_and(|n| n <= input.source.len())
                && u32(14).is_some_and(|n| matches!(n, 12 | 40 | 52 | 56 | 64 | 108 | 124))
                && u32(6) == Some(0)
        }
        "nifti" => matches!(head.get(344..348), Some(b"n+1\0" | b"ni1\0")),
        "parquet" => input.tail.ends_with(b"PAR1") || input.tail.ends_with(b"PARE"),
        "arrow" => input.tail.ends_with(b"ARROW1"),
        "riff" => matches!(head.get(8..12), Some(b"WEBP" | b"WAVE" | b"AVI ")),
        "font" if head.starts_with(b"\0\x01\0\0") => {
            head.get(4) == Some(&0) && matches!(head.get(5), Some(4..=64))
        }
        _ => true,
    };
    fits.then_some(*kind)
}

impl Format for Media {
    fn name(&self) -> &'static str {
        "media"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        kind(input).map(|_| Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let Some(kind) = kind(input) else { return };
        part.facts.note("kind", kind);
        let end = match kind {
            "png" => png(input.source),
            "jpeg" => jpeg(input.source),
            "gif" => gif(input.source),
            "riff" => riff(input.source),
            "bmp" => Ok(bmp(input.head)),
            "pdf" => pdf(input.source, part, cx),
            _ => Ok(Some(input.source.len())),
        };
        match end {
            Ok(Some(end)) => behind(input.source, end, kind, part, cx),
            Ok(None) => cx.unread(part, None, format!("the {kind} file is damaged or cut off")),
            Err(e) => cx.unread(part, None, format!("the {kind} file is cut off: {e}")),
        }
        embedded::search(input.source, part, cx);
    }
}

fn behind(source: &dyn Source, end: u64, kind: &str, part: &mut Part, cx: &mut Context<'_>) {
    match super::bytes::rest(source, end) {
        Ok(Some(rest)) => {
            let message = format!("{} bytes follow the end of the {kind} file", source.len() - rest);
            cx.find(part, &HIDDEN, Severity::Medium, Some(rest), message, REMEDY_HIDDEN);
            cx.nested(part, "behind the file", &Range::from(source, rest));
        }
        Ok(None) => {}
        Err(e) => cx.unread(part, Some(end), e.to_string()),
    }
}

/// Most chunks or blocks of one image.
const CHUNKS_MAX: u32 = 1_000_000;

fn png(source: &dyn Source) -> Result<Option<u64>, ReadError> {
    let mut cursor = Cursor::new(source, 8);
    for _ in 0..CHUNKS_MAX {
        let head: [u8; 8] = cursor.array()?;
        cursor.skip(u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]])) + 4)?;
        if head.ends_with(b"IEND") {
            return Ok(Some(cursor.position()));
        }
    }
    Ok(None)
}

fn jpeg(source: &dyn Source) -> Result<Option<u64>, ReadError> {
    const STEP: u64 = 64 * 1024;
    let mut cursor = Cursor::new(source, 2);
    for _ in 0..CHUNKS_MAX {
        let marker: [u8; 2] = cursor.array()?;
        match marker {
            [0xff, 0xd9] => return Ok(Some(cursor.position())),
            [0xff, 0xff] => cursor.seek(cursor.position() - 1),
            [0xff, 0x01 | 0xd0..=0xd8] => {}
            [0xff, code] => {
                let length: [u8; 2] = cursor.array()?;
                cursor.skip(u64::from(u16::from_be_bytes(length)).saturating_sub(2))?;
                // Start of scan: coded data up to the next marker that is not part of it.
                while code == 0xda && cursor.remaining() > 0 {
                    let from = cursor.position();
                    let bytes = cursor.take(cursor.remaining().min(STEP), STEP)?;
                    let next = bytes
                        .windows(2)
                        .position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xd0..=0xd7 | 0xff));
                    match next {
                        Some(n) => {
                            cursor.seek(from + n as u64);
                            break;
                        }
                        None if bytes.len() < 2 => break,
                        // A marker may lie across two stretches.
                        None => {
                            let back = bytes.len() as u64 - 1;
                            cursor.seek(from + back);
                        }
                    }
                }
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn gif(source: &dyn Source) -> Result<Option<u64>, ReadError> {
    let mut cursor = Cursor::new(source, 10);
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let flags = cursor.byte()?;
    cursor.skip(2 + table(flags))?;
    for _ in 0..CHUNKS_MAX {
        match cursor.byte()? {
            0x3b => return Ok(Some(cursor.position())),
            0x21 => cursor.skip(1)?,
            0x2c => {
                cursor.skip(8)?;
                let flags = cursor.byte()?;
                cursor.skip(table(flags) + 1)?;
            }
            _ => return Ok(None),
        }
        for _ in 0..CHUNKS_MAX {
            let length = cursor.byte()?;
            if length == 0 {
                break;
            }
            cursor.skip(u64::from(length))?;
        }
    }
    Ok(None)
}

/// The size that a bitmap states.
fn bmp(head: &[u8]) -> Option<u64> {
    head.get(2..6)
        .and_then(|b| b.first_chunk())
        .map(|b| u64::from(u32::from_le_bytes(*b)))
        .filter(|n| *n > 26)
}

fn riff(source: &dyn Source) -> Result<Option<u64>, ReadError> {
    let head: [u8; 8] = Cursor::new(source, 0).array()?;
    let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]])) + 8;
    Ok((length <= source.len()).then_some(length + length % 2))
}

/// Names in a PDF that make it do something.
const ACTIONS: &[(&[u8], &str)] = &[
    (b"/JavaScript", "a script"),
    (b"/JS", "a script"),
    (b"/Launch", "a program to start"),
    (b"/EmbeddedFile", "a file inside"),
    (b"/RichMedia", "a media player"),
    (b"/XFA", "a form with scripts"),
];

fn pdf(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>) -> Result<Option<u64>, ReadError> {
    const STEP: u64 = 256 * 1024;
    let mut last_end = None;
    let mut at = 0;
    while at < source.len() {
        let length = (STEP + 32).min(source.len() - at);
        let bytes = source.bytes(at, length, length)?;
        for (name, what) in ACTIONS {
            let after = <[u8]>::len(name);
            let whole = |n: &usize| bytes.get(n + after).is_none_or(|b| !b.is_ascii_alphanumeric());
            if let Some(n) = memchr::memmem::find_iter(&bytes, name).find(whole) {
                let message = format!("the PDF holds {what}");
                let remedy = "open it only in a viewer without scripts, or ask for a plain document";
                cx.find(part, &ACTIVE, Severity::Medium, Some(at + n as u64), message, remedy);
            }
        }
        if let Some(n) = memchr::memmem::rfind(&bytes, b"%%EOF") {
            last_end = Some(at + n as u64 + 5);
        }
        at += STEP;
    }
    Ok(last_end)
}
