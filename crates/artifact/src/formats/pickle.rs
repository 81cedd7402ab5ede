//! Python pickles: the format behind most of what machine learning saves. The work is done in [`crate::pickle`].

use domain::Entry;

use super::{Format, Input, Sure};
use crate::pickle::{self, Probe};
use crate::{Context, Limits, Part, Range};

/// Catalogue entries of everything the pickle machine can find, wherever the pickle stands.
pub(super) static ENTRIES: &[&Entry] = pickle::rules::ENTRIES;

/// Pickle streams, protocols 0 to 5.
pub(super) struct Pickle;

/// What PyTorch's old format begins with: a pickle of a magic number, read by its own reader.
const TORCH: &[u8] = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";
/// Longest first line that recognition follows, bytes.
const LINE_MAX: u64 = 8 << 20;
/// Bytes that recognition runs through.
const PROBED: usize = 16 * 1024;

impl Format for Pickle {
    fn name(&self) -> &'static str {
        "pickle"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        if input.head.get(2..).is_some_and(|rest| rest.starts_with(TORCH)) || input.head.starts_with(TORCH) {
            return None;
        }
        let limits = Limits::default();
        let head = input.head.get(..PROBED).unwrap_or(input.head);
        let mut cx = Context::new(&limits);
        let probe = match head {
            // A first line longer than the head: a number or text as protocol 0 writes them.
            [b'I' | b'L' | b'F' | b'S' | b'V', ..] if !head.contains(&b'\n') => {
                pickle::probe_source(&Range::new(input.source, 0, LINE_MAX), &mut cx)
            }
            _ => pickle::probe(head, &mut cx),
        };
        match probe {
            Probe::Harmful => Some(Sure::Certain),
            Probe::Whole(_) | Probe::Open if input.head.first() == Some(&0x80) => Some(Sure::Certain),
            Probe::Whole(end) if end == input.source.len() => Some(Sure::Certain),
            Probe::Whole(_) | Probe::Open | Probe::Header => Some(Sure::Likely),
            Probe::No => None,
        }
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let mut arrays = super::joblib::Arrays::new(input.source);
        if let Err(e) = pickle::read_streams(input.source, 0, &mut arrays, part, cx) {
            cx.unread(part, None, e.to_string());
        }
        arrays.facts(part);
    }
}
