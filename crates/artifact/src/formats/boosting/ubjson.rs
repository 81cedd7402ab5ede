//! Universal Binary JSON (draft 12), as XGBoost writes it.

use super::trees::Event;
use crate::{Cursor, ReadError};

/// Containers inside each other.
const DEPTH_MAX: usize = 64;
/// Longest text, bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// Why it is not UBJSON.
#[derive(Debug, thiserror::Error)]
pub(super) enum UbjError {
    /// A marker or length that does not exist.
    #[error("not UBJSON at byte {at}: {what}")]
    Broken {
        /// Where.
        at: u64,
        /// What was wrong.
        what: &'static str,
    },
    /// The bytes could not be had.
    #[error(transparent)]
    Read(#[from] ReadError),
}

struct Level {
    object: bool,
    /// Marker of all elements, when stated once.
    kind: Option<u8>,
    /// Elements left, when stated.
    left: Option<u64>,
    keys: std::collections::HashSet<String>,
}

/// Reads one value, event by event.
pub(super) struct Reader<'a> {
    pub(super) cursor: Cursor<'a>,
    levels: Vec<Level>,
    started: bool,
    value_next: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        Self { cursor, levels: Vec::new(), started: false, value_next: false }
    }

    fn broken<T>(&self, what: &'static str) -> Result<T, UbjError> {
        Err(UbjError::Broken { at: self.cursor.position(), what })
    }

    fn integer(&mut self, marker: u8) -> Result<i64, UbjError> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.cursor.array()?)),
            b'U' => i64::from(self.cursor.byte()?),
            b'I' => i64::from(i16::from_be_bytes(self.cursor.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.cursor.array()?)),
            b'L' => i64::from_be_bytes(self.cursor.array()?),
            _ => return self.broken("a length of an unknown kind"),
        })
    }

    fn length(&mut self) -> Result<u64, UbjError> {
        let marker = self.cursor.byte()?;
        let n = self.integer(marker)?;
        match u64::try_from(n) {
            Ok(n) => Ok(n),
            Err(_) => self.broken("a negative length"),
        }
    }

    fn text(&mut self) -> Result<String, UbjError> {
        let length = self.length()?;
        Ok(String::from_utf8_lossy(self.cursor.take(length, TEXT_BYTES_MAX)?).into_owned())
    }

    /// The next event; `None` after the value.
    pub(super) fn event(&mut self) -> Result<Option<Event>, UbjError> {
        let Some(level) = self.levels.last_mut() else {
            if self.started {
                return Ok(None);
            }
            self.started = true;
            let marker = self.cursor.byte()?;
            return self.value(marker).map(Some);
        };
        if level.left == Some(0) && !self.value_next {
            self.levels.pop();
            return Ok(Some(Event::Close));
        }
        if level.object && !self.value_next {
            return self.key();
        }
        self.value_next = false;
        if let Some(left) = &mut level.left {
            *left = left.saturating_sub(1);
        }
        let (kind, open, object) = (level.kind, level.left.is_none(), level.object);
        let marker = match kind {
            Some(kind) => kind,
            None => loop {
                match self.cursor.byte()? {
                    b'N' => {}
                    b => break b,
                }
            },
        };
        if marker == b']' && open && !object {
            self.levels.pop();
            return Ok(Some(Event::Close));
        }
        self.value(marker).map(Some)
    }

    fn key(&mut self) -> Result<Option<Event>, UbjError> {
        let open = self.levels.last().is_some_and(|l| l.left.is_none());
        let mut marker = self.cursor.byte()?;
        while marker == b'N' {
            marker = self.cursor.byte()?;
        }
        if marker == b'}' && open {
            self.levels.pop();
            return Ok(Some(Event::Close));
        }
        let length = self.integer(marker)?;
        let Ok(length) = u64::try_from(length) else { return self.broken("a negative length") };
        let key = String::from_utf8_lossy(self.cursor.take(length, TEXT_BYTES_MAX)?).into_owned();
        self.value_next = true;
        let twice =
            self.levels.last_mut().is_some_and(|l| l.keys.len() < 1 << 20 && !l.keys.insert(key.clone()));
        Ok(Some(Event::Key(key, twice)))
    }

    fn value(&mut self, marker: u8) -> Result<Event, UbjError> {
        Ok(match marker {
            b'{' | b'[' => {
                self.open(marker == b'{')?;
                Event::Open(marker == b'{')
            }
            b'i' | b'U' | b'I' | b'l' | b'L' => Event::Number(Some(self.integer(marker)?)),
            b'd' => {
                self.cursor.skip(4)?;
                Event::Number(None)
            }
            b'D' => {
                self.cursor.skip(8)?;
                Event::Number(None)
            }
            b'C' => {
                self.cursor.skip(1)?;
                Event::Other
            }
            b'S' => Event::Text(self.text()?),
            b'H' => {
                self.text()?;
                Event::Number(None)
            }
            b'Z' | b'T' | b'F' => Event::Other,
            _ => return self.broken("an unknown marker"),
        })
    }

    /// The head of a container: kind and number of its elements, when they are stated.
    fn open(&mut self, object: bool) -> Result<(), UbjError> {
        if self.levels.len() >= DEPTH_MAX {
            return self.broken("containers nested too deep");
        }
        let mut level = Level { object, kind: None, left: None, keys: std::collections::HashSet::new() };
        let start = self.cursor.position();
        let mut next = self.cursor.byte()?;
        if next == b'$' {
            level.kind = Some(self.cursor.byte()?);
            next = self.cursor.byte()?;
            if next != b'#' {
                return self.broken("a kind without a number");
            }
        }
        if next == b'#' {
            let left = self.length()?;
            // Elements without bytes of their own would be counted without end.
            if left > self.cursor.remaining() {
                return self.broken("more elements than bytes");
            }
            level.left = Some(left);
        } else {
            self.cursor.seek(start);
        }
        self.levels.push(level);
        Ok(())
    }
}
