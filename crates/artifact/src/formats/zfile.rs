//! The compressed files of joblib before version 0.10: `ZF`, the length of the content in hexadecimal, a zlib stream.

use super::{Format, Input, Sure};
use crate::unpack::{Codec, Packed, Pool};
use crate::{Context, Part, Range};

/// Characters of the length: those of `hex(2**64)`.
const LENGTH: usize = 19;

/// Old compressed joblib files.
pub(super) struct Zfile;

/// The stated length, and where the stream begins.
fn header(head: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(head.strip_prefix(b"ZF")?.get(..LENGTH)?).ok()?;
    let length = u64::from_str_radix(text.trim().trim_end_matches('L').strip_prefix("0x")?, 16).ok()?;
    // Python 2 wrote one space more.
    let begin = if head.get(2 + LENGTH) == Some(&b' ') { 3 + LENGTH } else { 2 + LENGTH };
    Some((length, begin as u64))
}

impl Format for Zfile {
    fn name(&self) -> &'static str {
        "joblib-zfile"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        header(input.head).map(|_| Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let Some((length, begin)) = header(input.head) else { return };
        let pool = Pool::new(cx.budget(), cx.limits);
        let packed = Packed::new(Range::from(input.source, begin), Codec::Zlib, &pool);
        cx.nested(part, "content", &packed);
        super::compressed::stopped(&packed, "zlib", begin, input.source, part, cx);
        if packed.decoded().stop.is_none() && packed.decoded().length != length {
            let message =
                format!("the header promises {length} bytes, there are {}", packed.decoded().length);
            cx.unread(part, Some(2), message);
        }
    }
}
