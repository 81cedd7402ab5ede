//! Server-sent events (WHATWG HTML, 9.2): a reader that takes any split of the bytes and keeps no more than one event, and a writer.

use crate::{Limits, WireError};

/// The data of the event that ends a chat's stream.
pub const DONE: &str = "[DONE]";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its name; empty when it has none.
    pub name: String,
    /// Its data, lines joined by line feeds.
    pub data: String,
}

/// Reads events from bytes as they come.
#[derive(Debug)]
pub struct EventReader {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    after_return: bool,
    started: bool,
    events: usize,
    bytes: usize,
    limits: Limits,
}

impl EventReader {
    /// A reader at the beginning of a stream.
    pub const fn new(limits: Limits) -> Self {
        Self {
            line: Vec::new(),
            event: Event { name: String::new(), data: String::new() },
            has_data: false,
            after_return: false,
            started: false,
            events: 0,
            bytes: 0,
            limits,
        }
    }

    /// Takes the next bytes and puts the events that are complete with them into `out`.
    ///
    /// # Errors
    /// [`WireError`] when an event, their number or all of them together pass a bound, or a line is not UTF-8. The stream cannot be read on.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Event>) -> Result<(), WireError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > self.limits.reply_bytes {
            return Err(WireError::Limit {
                what: "the length of the stream in bytes",
                max: self.limits.reply_bytes,
            });
        }
        while !bytes.is_empty() {
            // The line feed of a pair was cut off from its carriage return.
            if std::mem::take(&mut self.after_return) && bytes.first() == Some(&b'\n') {
                bytes = bytes.get(1..).unwrap_or_default();
                continue;
            }
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + self.event.data.len() + piece.len() > self.limits.event_bytes {
                return Err(WireError::Limit {
                    what: "the length of an event in bytes",
                    max: self.limits.event_bytes,
                });
            }
            self.line.extend_from_slice(piece);
            bytes = rest;
            if end.is_some() {
                self.after_return = bytes.first() == Some(&b'\r');
                bytes = bytes.get(1..).unwrap_or_default();
                self.line_ended(out)?;
            }
        }
        Ok(())
    }

    /// Whether an event has begun that has no end.
    pub const fn is_cut(&self) -> bool {
        self.has_data || !self.line.is_empty()
    }

    fn line_ended(&mut self, out: &mut Vec<Event>) -> Result<(), WireError> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line).map_err(|_| WireError::Event { what: "is not UTF-8" })?;
        let line = if self.started { line } else { line.strip_prefix('\u{FEFF}').unwrap_or(line) };
        self.started = true;
        if line.is_empty() {
            return self.event_ended(out);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event.name),
            // Comments keep a connection alive; numbers and pauses are for readers that come back.
            _ => {}
        }
        Ok(())
    }

    fn event_ended(&mut self, out: &mut Vec<Event>) -> Result<(), WireError> {
        let event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.has_data) {
            self.events += 1;
            if self.events > self.limits.events {
                return Err(WireError::Limit { what: "the number of events", max: self.limits.events });
            }
            out.push(event);
        }
        Ok(())
    }
}

/// Writes an event; `name` may be empty.
pub fn write_event(name: &str, data: &[u8], out: &mut Vec<u8>) {
    if !name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend(name.bytes().filter(|b| !matches!(b, b'\n' | b'\r')));
        out.push(b'\n');
    }
    for line in data.split(|b| *b == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend(line.iter().filter(|b| **b != b'\r'));
        out.push(b'\n');
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut reader, mut out) = (EventReader::new(Limits::default()), Vec::new());
        pieces.iter().for_each(|piece| reader.push(piece, &mut out).unwrap());
        out
    }

    #[test]
    fn any_split_gives_the_same_events() {
        let bytes =
            "\u{FEFF}: hello\r\nevent: a\rdata: é1\r\ndata:2\n\n\ndata\r\r\nid: 7\ndata:  x\n\ndata: cut"
                .as_bytes();
        let whole = read(&[bytes]);
        let event = |name: &str, data: &str| Event { name: name.into(), data: data.into() };
        assert_eq!(whole, [event("a", "é1\n2"), event("", ""), event("", " x")]);
        for at in 0..bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(read(&[left, right]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), whole);
    }

    #[test]
    fn an_event_without_end_is_cut_and_one_without_bounds_is_refused() {
        let limits = Limits { event_bytes: 10, events: 2, ..Limits::default() };
        let (mut reader, mut out) = (EventReader::new(limits), Vec::new());
        reader.push(b"data: abc", &mut out).unwrap();
        assert!(reader.is_cut());
        assert!(matches!(reader.push(b"de", &mut out), Err(WireError::Limit { max: 10, .. })));
        let mut reader = EventReader::new(limits);
        reader.push(b"data: 1\n\ndata: 2\n\n", &mut out).unwrap();
        assert!(!reader.is_cut());
        assert!(matches!(reader.push(b"data: 3\n\n", &mut out), Err(WireError::Limit { max: 2, .. })));
        assert!(EventReader::new(limits).push(b"data: \xff\n", &mut out).is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut bytes = Vec::new();
        write_event("response.completed", b"{\n\"a\":1}", &mut bytes);
        write_event("", DONE.as_bytes(), &mut bytes);
        let read = read(&[&bytes]);
        assert_eq!((read[0].name.as_str(), read[0].data.as_str()), ("response.completed", "{\n\"a\":1}"));
        assert_eq!(read[1].data, DONE);
    }
}
