//! A bounded JSON reader (RFC 8259) that goes over the text once and builds nothing it is not asked for.
//!
//! Why not `serde_json` on this path: `data` may stand before `datatype`, so elements would have to be collected as
//! generic values first; its numbers are correctly rounded only with a feature that every crate of the workspace
//! would pay for; and its limits are not ours. Tests hold this reader against `serde_json` on the same texts.

use std::borrow::Cow;

use crate::limits::SKIP_DEPTH_MAX;

/// Why reading stopped. Turned into a [`WireError`](crate::WireError) with its place by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The text is not what the grammar or the protocol asks for.
    Syntax(&'static str),
    /// Too many or too long of something.
    Limit(&'static str, usize),
}

/// A place in a JSON text.
#[derive(Clone)]
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// A number as written, and as far as it was cheap to read it.
#[derive(Clone, Copy)]
pub(crate) struct Number<'a> {
    text: &'a str,
    negative: bool,
    /// All digits as one whole number; meaningless unless `exact`.
    mantissa: u64,
    /// Power of ten of the last digit.
    exponent: i32,
    /// `mantissa` holds every digit and `exponent` did not saturate.
    exact: bool,
    /// Neither fraction nor exponent.
    whole: bool,
}

/// Exactly representable powers of ten.
const POWERS_F64: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Exactly representable powers of ten.
const POWERS_F32: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

impl Number<'_> {
    /// The nearest `f64`, ties to even; `None` beyond its range.
    ///
    /// If digits and power are both exact `f64`, one IEEE operation rounds correctly (Clinger 1990,
    /// doi:10.1145/93542.93557); else the standard library does it.
    pub(crate) fn as_f64(self) -> Option<f64> {
        let power = POWERS_F64.get(self.exponent.unsigned_abs() as usize).copied();
        if let Some(power) = power.filter(|_| self.exact && self.mantissa <= 1 << 53) {
            #[expect(clippy::cast_precision_loss, reason = "at most 2^53")]
            let digits = self.mantissa as f64;
            let value = if self.exponent < 0 { digits / power } else { digits * power };
            return Some(if self.negative { -value } else { value });
        }
        self.text.parse().ok().filter(|v: &f64| v.is_finite())
    }

    /// The nearest `f32`, ties to even; `None` beyond its range. Not by way of `f64`, which would round twice.
    pub(crate) fn as_f32(self) -> Option<f32> {
        let power = POWERS_F32.get(self.exponent.unsigned_abs() as usize).copied();
        if let Some(power) = power.filter(|_| self.exact && self.mantissa <= 1 << 24) {
            #[expect(clippy::cast_precision_loss, reason = "at most 2^24")]
            let digits = self.mantissa as f32;
            let value = if self.exponent < 0 { digits / power } else { digits * power };
            return Some(if self.negative { -value } else { value });
        }
        self.text.parse().ok().filter(|v: &f32| v.is_finite())
    }

    /// The whole number, if it is one and fits.
    pub(crate) fn as_whole<T: TryFrom<i128>>(self) -> Option<T> {
        if !self.whole || !self.exact {
            return None;
        }
        let value = i128::from(self.mantissa);
        T::try_from(if self.negative { -value } else { value }).ok()
    }
}

impl<'a> Scan<'a> {
    /// At the start of `text`.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Goes to a place where [`Self::at`] was before.
    pub(crate) const fn go(&mut self, at: usize) {
        self.at = at;
    }

    /// Bytes still to read.
    pub(crate) const fn left(&self) -> usize {
        self.text.len() - self.at
    }

    /// The next byte that is not white space, not consumed; 0 at the end (0 is not valid in JSON either).
    #[inline]
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    /// Steps over the byte just peeked.
    #[inline]
    pub(crate) const fn bump(&mut self) {
        self.at += 1;
    }

    /// Consumes `byte` if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let hit = self.peek() == byte;
        self.at += usize::from(hit);
        hit
    }

    /// Consumes `byte`, which must come next.
    pub(crate) fn need(&mut self, byte: u8, expected: &'static str) -> Result<(), Stop> {
        if self.take(byte) { Ok(()) } else { Err(Stop::Syntax(expected)) }
    }

    /// Consumes white space to the end, where nothing else may stand.
    pub(crate) fn end(&mut self) -> Result<(), Stop> {
        if self.peek() == 0 && self.left() == 0 { Ok(()) } else { Err(Stop::Syntax("the end of the body")) }
    }

    /// Consumes a literal such as `true`.
    fn literal(&mut self, word: &'static str) -> bool {
        let hit = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if hit { word.len() } else { 0 };
        hit
    }

    /// `true` or `false`; `None` if something else comes, which is then not consumed.
    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.peek() {
            b't' if self.literal("true") => Some(true),
            b'f' if self.literal("false") => Some(false),
            _ => None,
        }
    }

    /// Consumes `null` if it comes next.
    pub(crate) fn null(&mut self) -> bool {
        self.peek() == b'n' && self.literal("null")
    }

    /// A number.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Stop> {
        const WANTED: Stop = Stop::Syntax("a number (JSON has no NaN and no Infinity)");
        self.peek();
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start;
        let mut number =
            Number { text: "", negative: false, mantissa: 0, exponent: 0, exact: true, whole: true };
        if bytes.get(at) == Some(&b'-') {
            number.negative = true;
            at += 1;
        }
        let first = at;
        at = digits(bytes, at, &mut number);
        // No digits, or a zero in front of others.
        if at == first || (at - first > 1 && bytes[first] == b'0') {
            return Err(WANTED);
        }
        if bytes.get(at) == Some(&b'.') {
            number.whole = false;
            let first = at + 1;
            at = digits(bytes, first, &mut number);
            if at == first {
                return Err(WANTED);
            }
            number.exponent = i32::try_from(at - first).map_or(i32::MIN + 1, |n| -n);
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            number.whole = false;
            at = exponent(bytes, at + 1, &mut number).ok_or(WANTED)?;
        }
        number.text = &self.text[start..at];
        self.at = at;
        Ok(number)
    }

    /// A text of at most `bytes_max` bytes after its escapes are resolved; borrowed when it has none.
    pub(crate) fn string(&mut self, what: &'static str, bytes_max: usize) -> Result<Cow<'a, str>, Stop> {
        self.need(b'"', "a text in double quotes")?;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut plain = start;
        loop {
            let Some(&byte) = self.text.as_bytes().get(self.at) else {
                return Err(Stop::Syntax("the closing quote of a text"));
            };
            match byte {
                b'"' => break,
                b'\\' => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    let escaped = self.escape()?;
                    text.push(escaped);
                    plain = self.at;
                    if text.len() > bytes_max {
                        return Err(Stop::Limit(what, bytes_max));
                    }
                }
                0..=0x1f => return Err(Stop::Syntax("no control character inside a text")),
                _ => self.at += 1,
            }
        }
        let rest = &self.text[plain..self.at];
        self.at += 1;
        let text = match owned {
            None => Cow::Borrowed(rest),
            Some(mut text) => {
                text.push_str(rest);
                Cow::Owned(text)
            }
        };
        if text.len() > bytes_max { Err(Stop::Limit(what, bytes_max)) } else { Ok(text) }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Result<char, Stop> {
        const WANTED: Stop = Stop::Syntax("a valid escape in a text");
        let byte = *self.text.as_bytes().get(self.at).ok_or(WANTED)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4().ok_or(WANTED)?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    if !self.literal("\\u") {
                        return Err(WANTED);
                    }
                    let low = self.hex4().filter(|l| (0xdc00..0xe000).contains(l)).ok_or(WANTED)?;
                    0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                // A lone low surrogate is refused here.
                char::from_u32(code).ok_or(WANTED)?
            }
            _ => return Err(WANTED),
        })
    }

    /// Four hexadecimal digits.
    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        let mut value = 0;
        for &digit in digits {
            value = value << 4 | char::from(digit).to_digit(16)?;
        }
        self.at += 4;
        Some(value)
    }

    /// Reads an object: `field` is called at each value with its name and must consume it.
    pub(crate) fn object<E: From<Stop>>(
        &mut self,
        fields: (&'static str, usize),
        name_bytes_max: usize,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.need(b'{', "an object")?;
        if self.take(b'}') {
            return Ok(());
        }
        for _ in 0..fields.1 {
            let name = self.string("bytes in a field's name", name_bytes_max)?;
            self.need(b':', "`:`")?;
            field(self, &name)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.need(b',', "`,` or `}`")?;
        }
        Err(Stop::Limit(fields.0, fields.1).into())
    }

    /// Reads an array: `element` is called at each value and must consume it.
    pub(crate) fn array<E: From<Stop>>(
        &mut self,
        what: &'static str,
        max: usize,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.need(b'[', "an array")?;
        if self.take(b']') {
            return Ok(());
        }
        for _ in 0..max {
            element(self)?;
            if self.take(b']') {
                return Ok(());
            }
            self.need(b',', "`,` or `]`")?;
        }
        Err(Stop::Limit(what, max).into())
    }

    /// Steps over any value, checking its grammar.
    pub(crate) fn skip(&mut self) -> Result<(), Stop> {
        self.skip_at(SKIP_DEPTH_MAX)
    }

    /// The recursion is as deep as `levels`, which starts at a constant.
    fn skip_at(&mut self, levels: usize) -> Result<(), Stop> {
        const NESTED: &str = "levels of nesting in an unknown field";
        match self.peek() {
            b'{' | b'[' if levels == 0 => Err(Stop::Limit(NESTED, SKIP_DEPTH_MAX)),
            // The body bounds what is skipped: each field and element has bytes of its own.
            b'{' => {
                self.object(("fields of an object", usize::MAX), usize::MAX, |s, _| s.skip_at(levels - 1))
            }
            b'[' => self.array("elements of an array", usize::MAX, |s| s.skip_at(levels - 1)),
            b'"' => self.string("bytes of a text", usize::MAX).map(drop),
            b't' | b'f' => self.boolean().map(drop).ok_or(Stop::Syntax("`true` or `false`")),
            b'n' => self.null().then_some(()).ok_or(Stop::Syntax("`null`")),
            _ => self.number().map(drop),
        }
    }
}

/// Adds digits from `at` to `number`; returns where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, number: &mut Number<'_>) -> usize {
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        match number.mantissa.checked_mul(10).and_then(|m| m.checked_add(u64::from(digit))) {
            Some(mantissa) => number.mantissa = mantissa,
            None => number.exact = false,
        }
        at += 1;
    }
    at
}

/// Reads the exponent behind `e`; returns where it ends, or `None` if it has no digits.
fn exponent(bytes: &[u8], mut at: usize, number: &mut Number<'_>) -> Option<usize> {
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let first = at;
    let mut value = 0_i32;
    while let Some(digit) = bytes.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        value = value.saturating_mul(10).saturating_add(i32::from(digit));
        at += 1;
    }
    number.exponent = number.exponent.saturating_add(if negative { -value } else { value });
    (at > first).then_some(at)
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
