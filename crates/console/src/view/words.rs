//! Figures and times as people read them. Pure.

use domain::{Advice, Severity, Timestamp};
use maud::{Markup, html};

/// What a colour means. Each tone is always shown with an icon and a word, never by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Needs a second look.
    Care,
    /// Wrong, or dangerous.
    Bad,
    /// Stopped by a guard or a person, on purpose.
    Stop,
    /// Happening now.
    Now,
    /// Nothing to say.
    Quiet,
}

impl Tone {
    /// The class in the style sheet.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Good => "tone-good",
            Self::Care => "tone-care",
            Self::Bad => "tone-bad",
            Self::Stop => "tone-stop",
            Self::Now => "tone-now",
            Self::Quiet => "tone-quiet",
        }
    }

    /// How a severity looks.
    pub(crate) const fn of_severity(severity: Severity) -> Self {
        match severity {
            Severity::Info | Severity::Low => Self::Quiet,
            Severity::Medium => Self::Care,
            Severity::High | Severity::Critical => Self::Bad,
        }
    }

    /// How an advice looks.
    pub(crate) const fn of_advice(advice: Advice) -> Self {
        match advice {
            Advice::Use => Self::Good,
            Advice::UseWithCare => Self::Care,
            Advice::DoNotUse => Self::Bad,
        }
    }
}

/// A count with commas between thousands.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things: `1 alarm`, `3 alarms`.
pub(crate) fn things(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A duration given in microseconds, with its unit.
pub(crate) fn micros(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let ms = us as f64 / 1_000.0;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{ms:.2} ms"),
        10_000..1_000_000 => format!("{ms:.1} ms"),
        _ => format!("{:.1} s", ms / 1_000.0),
    }
}

/// The first letter in upper case: findings are written in lower case, a sentence on a page is not.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A message with what stands between backticks as code.
pub(crate) fn coded(text: &str) -> Markup {
    html! {
        @for (n, part) in text.split('`').enumerate() {
            @if n % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Hours, minutes and seconds; the script shows them in the reader's own zone.
pub(crate) fn clock(at: Timestamp) -> Markup {
    let text = at.to_string();
    html! { time datetime=(text) data-time="clock" { (text.get(11..19).unwrap_or(&text)) } }
}

/// Date, hours and minutes, with the zone.
pub(crate) fn moment(at: Timestamp) -> Markup {
    let text = at.to_string();
    let (date, hours) = (text.get(..10).unwrap_or(&text), text.get(11..16).unwrap_or_default());
    html! { time datetime=(text) data-time="moment" { (date) " " (hours) " UTC" } }
}

/// The first and last digits of a long hexadecimal text.
pub(crate) fn ends(hex: &str) -> String {
    let plain = hex.strip_prefix("sha256:").unwrap_or(hex);
    match (plain.get(..8), plain.get(plain.len().saturating_sub(8)..)) {
        (Some(head), Some(tail)) if plain.len() > 20 => format!("{head}…{tail}"),
        _ => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(things(1, "alarm", "alarms"), "1 alarm");
        assert_eq!(micros(0), "0 µs");
        assert_eq!(micros(999), "999 µs");
        assert_eq!(micros(1_000), "1.00 ms");
        assert_eq!(micros(12_345), "12.3 ms");
        assert_eq!(micros(2_500_000), "2.5 s");
        assert_eq!(sentence("éa"), "Éa");
        assert_eq!(ends("sha256:0123456789abcdef0123456789abcdef"), "01234567…89abcdef");
    }

    #[test]
    fn code_is_marked_and_stays_text() {
        assert_eq!(coded("`<b>` is odd").into_string(), "<code>&lt;b&gt;</code> is odd");
    }

    #[test]
    fn times_carry_their_full_moment() {
        let html = clock(Timestamp::from_millis(3_723_000)).into_string();
        assert!(
            html.contains("datetime=\"1970-01-01T01:02:03.000Z\"") && html.contains(">01:02:03<"),
            "{html}"
        );
    }
}
