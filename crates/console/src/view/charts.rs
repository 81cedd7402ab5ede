//! Small charts as SVG with their figures in words beside or inside them. Lengths are attributes, not styles, so the content
//! security policy can forbid inline styles.

use maud::{Markup, html};

use super::words::{count, things};

/// Width of the sparkline's drawing, in its own units.
const SPARK_WIDTH: u32 = 300;
/// Height of the sparkline's drawing.
const SPARK_HEIGHT: u32 = 36;

/// Exchanges a minute as bars, oldest first; the last minute is not over and is drawn lighter.
pub(crate) fn sparkline(per_minute: &[u32]) -> Markup {
    let peak = per_minute.iter().copied().max().unwrap_or(0);
    let present = per_minute.last().copied().unwrap_or(0);
    let minutes = per_minute.len().max(1);
    #[expect(clippy::cast_possible_truncation, reason = "at most 30 minutes")]
    let step = SPARK_WIDTH / minutes as u32;
    let label = format!(
        "Exchanges a minute over {minutes} minutes: {} in this minute so far, at most {}",
        count(u64::from(present)),
        count(u64::from(peak))
    );
    html! {
        figure class="spark" {
            svg viewBox={ "0 0 " (SPARK_WIDTH) " " (SPARK_HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
                line x1="0" y1=(SPARK_HEIGHT) x2=(SPARK_WIDTH) y2=(SPARK_HEIGHT) class="base" {}
                @for (i, value) in per_minute.iter().enumerate() {
                    @let height = bar_height(*value, peak);
                    @if height > 0 {
                        rect x=(i as u32 * step + 1) y=(SPARK_HEIGHT - height) width=(step.saturating_sub(2).max(1)) height=(height)
                            class=[(i + 1 == minutes).then_some("present")] {}
                    }
                }
            }
            figcaption aria-hidden="true" {
                "Exchanges a minute, last " (minutes) " min"
                span { "peak " (count(u64::from(peak))) }
            }
        }
    }
}

/// Height of a bar: linear, and at least 2 units so that a quiet minute is not an empty one.
fn bar_height(value: u32, peak: u32) -> u32 {
    if value == 0 || peak == 0 {
        return 0;
    }
    let scaled = u64::from(value) * u64::from(SPARK_HEIGHT) / u64::from(peak);
    u32::try_from(scaled).unwrap_or(SPARK_HEIGHT).clamp(2, SPARK_HEIGHT)
}

/// A bar of parts that fill it together. Each part: class, count, word.
pub(crate) fn split(parts: &[(&str, u64, &str)], what: &str) -> Markup {
    let total: u64 = parts.iter().map(|p| p.1).sum();
    let label =
        parts.iter().map(|(_, n, word)| format!("{word} {}", count(*n))).collect::<Vec<_>>().join(", ");
    html! {
        div class="split" {
            svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={ (what) ": " (label) } {
                rect class="track" x="0" y="0" width="1000" height="10" {}
                @for (class, x, width) in spans(parts, total) {
                    rect class=(class) x=(x) y="0" width=(width) height="10" {}
                }
            }
            ul class="legend" aria-hidden="true" {
                @for (class, n, word) in parts {
                    li { span class={ "swatch " (class) } {} (word) " " b { (count(*n)) } }
                }
            }
        }
    }
}

/// Where each part begins and how wide it is, of 1000; a part that is not empty gets at least 4, to be seen.
fn spans<'a>(parts: &[(&'a str, u64, &str)], total: u64) -> Vec<(&'a str, u64, u64)> {
    let mut x = 0;
    let mut out = Vec::with_capacity(parts.len());
    for (class, n, _) in parts.iter().filter(|p| p.1 > 0) {
        let width = (u128::from(*n) * 1_000 / u128::from(total.max(1))).max(4);
        let width = u64::try_from(width).unwrap_or(1_000).min(1_000 - x);
        out.push((*class, x, width));
        x += width;
    }
    if let Some(last) = out.last_mut() {
        last.2 = 1_000 - last.1;
    }
    out
}

/// A part of a limit, in words and as a bar.
pub(crate) fn budget(used: u64, limit: u64) -> Markup {
    let share = if limit == 0 { 1_000 } else { (u128::from(used) * 1_000 / u128::from(limit)).min(1_000) };
    let class = match share {
        0..700 => "part-use",
        700..950 => "part-care",
        _ => "part-bad",
    };
    html! {
        div class="budget" {
            svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                rect class="track" x="0" y="0" width="1000" height="10" {}
                rect class=(class) x="0" y="0" width=(share) height="10" {}
            }
            p { (things(used, "row", "rows")) " of " (count(limit)) " today" @if share >= 1_000 { b { " – used up" } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_fills_its_bar_and_hides_no_part() {
        for parts in [vec![1, 0, 999_999], vec![3, 3, 3], vec![0, 0, 0], vec![0, 7, 0]] {
            let named: Vec<(&str, u64, &str)> = parts.iter().map(|&n| ("c", n, "w")).collect();
            let spans = spans(&named, parts.iter().sum());
            assert_eq!(spans.len(), parts.iter().filter(|&&n| n > 0).count());
            if let Some(last) = spans.last() {
                assert_eq!(last.1 + last.2, 1_000);
                assert!(spans.iter().all(|s| s.2 >= 4));
            }
        }
    }

    #[test]
    fn a_quiet_minute_is_seen_and_an_empty_one_is_not() {
        assert_eq!(bar_height(0, 100), 0);
        assert_eq!(bar_height(1, 1_000_000), 2);
        assert_eq!(bar_height(7, 7), SPARK_HEIGHT);
        assert_eq!(bar_height(5, 0), 0);
    }
}
