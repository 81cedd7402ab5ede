//! Documents of a corpus out of files: lines of JSON, or text; plain, gzip or zstd.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::Value;

/// Longest line of JSON.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// A text file is cut at ends of lines into documents of about this size.
const PIECE_BYTES: usize = 1 << 20;
/// Largest window of a zstd stream that is allocated.
const WINDOW_MAX: u64 = 128 << 20;
/// Fields that hold the text of a document, the first that is there.
const TEXT_FIELDS: [&str; 5] = ["text", "content", "body", "document", "abstract"];
/// Fields that say where a document is from.
const SOURCE_FIELDS: [&str; 4] = ["source", "url", "domain", "site"];

/// What stands in the file before it is understood.
#[derive(Debug)]
pub(super) struct Raw {
    /// Number of its first line in the file, from 1.
    pub line: u64,
    /// Its bytes, with the end of the line.
    pub bytes: Vec<u8>,
    /// The line was longer than allowed; `bytes` has its beginning.
    pub cut: bool,
}

/// Form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON value a line.
    Lines,
    /// Text.
    Text,
}

/// Reads documents one after another.
pub(super) struct Documents {
    reader: Box<dyn BufRead + Send>,
    pub form: Form,
    line: u64,
}

impl Documents {
    /// Opens a file; what it is shows in its bytes, not in its name.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut plain = BufReader::with_capacity(1 << 16, File::open(path)?);
        let head = plain.fill_buf()?;
        if head.starts_with(b"PAR1") {
            return Err(io::Error::other("Parquet is not read: write it out as JSON lines"));
        }
        let packed = if head.starts_with(&[0x1f, 0x8b]) {
            Some(Box::new(flate2::bufread::MultiGzDecoder::new(plain)) as Box<dyn Read + Send>)
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Box::new(Frames::open(plain)?) as Box<dyn Read + Send>)
        } else {
            let form = form(plain.fill_buf()?);
            return Ok(Self { reader: Box::new(plain), form, line: 0 });
        };
        let mut reader: Box<dyn BufRead + Send> = match packed {
            Some(packed) => Box::new(BufReader::with_capacity(1 << 16, packed)),
            None => Box::new(io::empty()),
        };
        let form = form(reader.fill_buf()?);
        Ok(Self { reader, form, line: 0 })
    }

    /// The next document as it stands in the file; empty lines between JSON values are passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<Raw>> {
        match self.form {
            Form::Lines => loop {
                let mut bytes = Vec::new();
                let cut = line(&mut self.reader, LINE_BYTES_MAX, &mut bytes)?;
                if bytes.is_empty() {
                    return Ok(None);
                }
                self.line += 1;
                if !bytes.trim_ascii().is_empty() {
                    return Ok(Some(Raw { line: self.line, bytes, cut }));
                }
            },
            Form::Text => {
                let (first, mut bytes) = (self.line + 1, Vec::new());
                while bytes.len() < PIECE_BYTES {
                    let before = bytes.len();
                    // A line without an end is cut where a document would be.
                    line_part(&mut self.reader, PIECE_BYTES, &mut bytes)?;
                    if bytes.len() == before {
                        break;
                    }
                    self.line += 1;
                }
                Ok(if bytes.is_empty() { None } else { Some(Raw { line: first, bytes, cut: false }) })
            }
        }
    }

    /// Reads on without keeping anything, over what was done before.
    pub(super) fn skip(&mut self, documents: u64) -> io::Result<()> {
        for _ in 0..documents {
            if self.next()?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

fn form(head: &[u8]) -> Form {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if head.starts_with(b"{") { Form::Lines } else { Form::Text }
}

/// One line with its end; of a longer one the beginning, and the rest is passed over. Says whether that was so.
fn line(reader: &mut dyn BufRead, most: usize, to: &mut Vec<u8>) -> io::Result<bool> {
    let mut cut = false;
    loop {
        let before = to.len();
        let ended = line_part(reader, most.saturating_sub(before).max(1), to)?;
        if to.len() > most {
            cut = true;
            to.truncate(most);
        }
        if ended || to.len() == before && !cut {
            return Ok(cut);
        }
        if cut && reader.fill_buf()?.is_empty() {
            return Ok(true);
        }
    }
}

/// Up to the end of the line, at most `most` bytes. Says whether the line has ended, or the file.
fn line_part(reader: &mut dyn BufRead, most: usize, to: &mut Vec<u8>) -> io::Result<bool> {
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let read = reader.take(most).read_until(b'\n', to)?;
    Ok(read == 0 || to.last() == Some(&b'\n'))
}

/// All frames of a zstd stream: tools that pack in parallel write several.
struct Frames<R: BufRead> {
    decoder: Option<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Frames<R> {
    fn open(from: R) -> io::Result<Self> {
        Ok(Self { decoder: Some(frame(from)?) })
    }
}

fn frame<R: BufRead>(
    from: R,
) -> io::Result<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>> {
    ruzstd::decoding::StreamingDecoder::new_with_max_window_size(from, WINDOW_MAX)
        .map_err(|e| io::Error::other(e.to_string()))
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.decoder {
            let read = decoder.read(to)?;
            if read > 0 || to.is_empty() {
                return Ok(read);
            }
            let Some(ended) = self.decoder.take() else { break };
            let mut rest = ended.into_inner();
            if rest.fill_buf()?.is_empty() {
                break;
            }
            self.decoder = Some(frame(rest)?);
        }
        Ok(0)
    }
}

/// The text of a document, and where it is from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub text: String,
    pub source: Option<String>,
}

/// Understands a document, or says why not, without its words.
pub(super) fn understand(raw: &Raw, form: Form, field: Option<&str>) -> Result<Document, String> {
    if raw.cut {
        return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
    }
    let text =
        std::str::from_utf8(&raw.bytes).map_err(|e| format!("no UTF-8 from byte {} on", e.valid_up_to()))?;
    if form == Form::Text {
        return Ok(Document { text: text.to_owned(), source: None });
    }
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|e| {
        if e.is_eof() {
            "no JSON: it ends too early".to_owned()
        } else {
            format!("no JSON, at column {}", e.column())
        }
    })?;
    let Value::Object(fields) = &value else { return Err("JSON, but no object".to_owned()) };
    let source = SOURCE_FIELDS.iter().find_map(|f| fields.get(*f)?.as_str()).map(str::to_owned);
    let text = match field {
        Some(field) => match fields.get(field) {
            Some(Value::String(text)) => text.clone(),
            _ => return Err(format!("no text in the field `{field}`: name another with --field")),
        },
        None => match TEXT_FIELDS.iter().find_map(|f| fields.get(*f)?.as_str()) {
            Some(text) => text.to_owned(),
            None => joined(&value),
        },
    };
    if text.trim().is_empty() {
        Err("no text: name its field with --field".to_owned())
    } else {
        Ok(Document { text, source })
    }
}

/// Every text in the value, a line each: questions with answers, messages of a conversation. JSON was read to a bounded depth.
fn joined(value: &Value) -> String {
    fn collect(value: &Value, to: &mut String) {
        match value {
            Value::String(text) => {
                to.push_str(text);
                to.push('\n');
            }
            Value::Array(values) => values.iter().for_each(|v| collect(v, to)),
            Value::Object(fields) => fields.values().for_each(|v| collect(v, to)),
            _ => {}
        }
    }
    let mut out = String::new();
    collect(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn all(bytes: &[u8]) -> (Form, Vec<(u64, usize, bool)>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some name without meaning");
        std::fs::write(&path, bytes).unwrap();
        let mut documents = Documents::open(&path).unwrap();
        let mut out = Vec::new();
        while let Some(raw) = documents.next().unwrap() {
            out.push((raw.line, raw.bytes.len(), raw.cut));
        }
        (documents.form, out)
    }

    #[test]
    fn lines_texts_and_what_they_are_packed_in_are_told_by_their_bytes() {
        let lines = b"{\"text\":\"a\"}\n\n{\"text\":\"b\"}";
        let expected = (Form::Lines, vec![(1, 13, false), (3, 12, false)]);
        assert_eq!(all(lines), expected);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(lines).unwrap();
        assert_eq!(all(&gz.finish().unwrap()), expected);
        let frame = |part: &[u8]| {
            ruzstd::encoding::compress_to_vec(part, ruzstd::encoding::CompressionLevel::Fastest)
        };
        let two = [frame(&lines[..10]), frame(&lines[10..])].concat();
        assert_eq!(all(&two), expected, "two frames");
        assert_eq!(all(b"one\ntwo\n"), (Form::Text, vec![(1, 8, false)]));
        assert_eq!(all(b""), (Form::Text, vec![]));
        let long = "x".repeat(PIECE_BYTES + 5);
        assert_eq!(all(long.as_bytes()).1.iter().map(|d| d.1).collect::<Vec<_>>(), [PIECE_BYTES, 5]);
    }

    #[test]
    fn a_line_longer_than_allowed_is_passed_over_and_the_next_is_read() {
        let mut bytes = b"{".to_vec();
        bytes.resize(LINE_BYTES_MAX + 1, b'x');
        bytes.extend_from_slice(b"\n{\"text\":\"b\"}\n");
        assert_eq!(all(&bytes).1, [(1, LINE_BYTES_MAX, true), (2, 13, false)]);
    }

    #[test]
    fn texts_are_found_in_fields_and_broken_lines_say_where() {
        let raw = |text: &str| Raw { line: 1, bytes: text.as_bytes().to_vec(), cut: false };
        let read = |text: &str, field| understand(&raw(text), Form::Lines, field);
        let found = read(r#"{"url":"https://a.example/b","text":"t"}"#, None).unwrap();
        assert_eq!(found, Document { text: "t".into(), source: Some("https://a.example/b".into()) });
        assert_eq!(read(r#"{"question":"q","answer":["a","b"]}"#, None).unwrap().text.lines().count(), 3);
        assert_eq!(read(r#"{"note":"n","text":"t"}"#, Some("note")).unwrap().text, "n");
        assert!(read(r#"{"text":"t"}"#, Some("note")).unwrap_err().contains("--field"));
        assert!(read(r#"{"text":"#, None).unwrap_err().contains("too early"));
        assert!(read(r#"{"text":}"#, None).unwrap_err().contains("column 9"));
        assert!(read("[1]", None).is_err() && read(r#"{"n":1}"#, None).is_err());
        let broken = Raw { line: 4, bytes: vec![b'{', 0xff], cut: false };
        assert_eq!(understand(&broken, Form::Lines, None).unwrap_err(), "no UTF-8 from byte 1 on");
    }
}
