//! The part of Markdown that catalogue pages use: headings, paragraphs, lists, code, strong words, web links. Everything else is
//! text. All text is escaped by the template; there is no way to pass markup through.

use maud::{Markup, html};

/// Longest page rendered, in bytes; the longest shipped one has 4 KiB.
const PAGE_BYTES_MAX: usize = 256 * 1024;

/// Renders a page. Headings `##` and `###` become `h2` and `h3`.
pub(crate) fn render(text: &str) -> Markup {
    let mut end = text.len().min(PAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let blocks = blocks(text.get(..end).unwrap_or_default());
    html! { @for block in &blocks { (show(block)) } }
}

/// A block of a page.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    Heading(usize, String),
    Paragraph(String),
    List(Vec<String>),
    Code(String),
}

fn blocks(text: &str) -> Vec<Block> {
    let mut out: Vec<Block> = Vec::new();
    let mut open = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|l| !l.trim().starts_with("```")).collect();
            out.push(Block::Code(code.join("\n")));
            open = false;
        } else if trimmed.is_empty() {
            open = false;
        } else if let Some((level, title)) = heading(trimmed) {
            out.push(Block::Heading(level, title.to_owned()));
            open = false;
        } else if let Some(item) = trimmed.strip_prefix("- ").or_else(|| trimmed.strip_prefix("* ")) {
            match out.last_mut() {
                Some(Block::List(items)) => items.push(item.to_owned()),
                _ => out.push(Block::List(vec![item.to_owned()])),
            }
            open = true;
        } else {
            match out.last_mut() {
                Some(Block::Paragraph(text)) if open => {
                    text.push(' ');
                    text.push_str(trimmed);
                }
                Some(Block::List(items)) if open => {
                    if let Some(last) = items.last_mut() {
                        last.push(' ');
                        last.push_str(trimmed);
                    }
                }
                _ => out.push(Block::Paragraph(trimmed.to_owned())),
            }
            open = true;
        }
    }
    out
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.bytes().take_while(|&b| b == b'#').count();
    let title = line.get(level..)?.strip_prefix(' ')?;
    (1..=6).contains(&level).then_some((level, title.trim()))
}

fn show(block: &Block) -> Markup {
    match block {
        Block::Heading(0..=2, title) => html! { h2 { (inline(title)) } },
        Block::Heading(_, title) => html! { h3 { (inline(title)) } },
        Block::Paragraph(text) => html! { p { (inline(text)) } },
        Block::List(items) => html! { ul { @for item in items { li { (inline(item)) } } } },
        Block::Code(code) => html! { pre tabindex="0" { code { (code) } } },
    }
}

/// Code, strong words and links inside a line. Takes the nearest mark each time, so the work is bounded by the line's length
/// times the three kinds of mark.
fn inline(text: &str) -> Markup {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let next = [between(rest, "`", "`"), between(rest, "**", "**"), link(rest)]
            .into_iter()
            .flatten()
            .min_by_key(|m| m.0);
        let Some((at, after, markup)) = next else { break };
        parts.push(html! { (rest.get(..at).unwrap_or_default()) });
        parts.push(markup);
        rest = rest.get(after..).unwrap_or_default();
    }
    html! { @for part in &parts { (part) } (rest) }
}

/// Where a mark begins, where it ends, and what it becomes.
type Mark = (usize, usize, Markup);

fn between(text: &str, open: &str, close: &str) -> Option<Mark> {
    let at = text.find(open)?;
    let inner = at + open.len();
    let length = text.get(inner..)?.find(close).filter(|&n| n > 0)?;
    let body = text.get(inner..inner + length)?;
    let markup = if open == "`" {
        html! { code { (body) } }
    } else {
        html! { strong { (body) } }
    };
    Some((at, inner + length + close.len(), markup))
}

/// `[words](https://…)`; other schemes stay text, so that a page cannot carry a script.
fn link(text: &str) -> Option<Mark> {
    let at = text.find('[')?;
    let middle = at + text.get(at..)?.find("](")?;
    let end = middle + text.get(middle..)?.find(')')?;
    let (words, target) = (text.get(at + 1..middle)?, text.get(middle + 2..end)?);
    let safe = target.starts_with("https://") || (target.starts_with('/') && !target.starts_with("//"));
    safe.then(|| (at, end + 1, html! { a href=(target) rel="noreferrer" { (words) } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(render(text).into_string(), expected, "{text}");
    }

    #[test]
    fn the_subset_becomes_markup() {
        check(
            "One\nline.\n\n## What it is\n- a `b`\n  goes on\n- **c**",
            "<p>One line.</p><h2>What it is</h2><ul><li>a <code>b</code> goes on</li><li><strong>c</strong></li></ul>",
        );
        check(
            "see [the page](https://example.org/a) now",
            "<p>see <a href=\"https://example.org/a\" rel=\"noreferrer\">the page</a> now</p>",
        );
        check("```\n# x < 1\n```", "<pre tabindex=\"0\"><code># x &lt; 1</code></pre>");
        check("## Limits\ntext right below", "<h2>Limits</h2><p>text right below</p>");
    }

    #[test]
    fn nothing_in_a_page_can_become_markup_of_its_own() {
        for evil in [
            "<script>x</script>",
            "[a](javascript:alert(1))",
            "[a](//evil.example)",
            "`<img>`",
            "[<b>](https://x\"onclick=y)",
        ] {
            let html = render(evil).into_string();
            assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"), "{html}");
            assert!(
                !html.contains("href=\"javascript")
                    && !html.contains("href=\"//")
                    && !html.contains("\"onclick"),
                "{html}"
            );
        }
    }

    #[test]
    fn marks_that_never_close_stay_text_and_the_length_is_bounded() {
        check("a `b", "<p>a `b</p>");
        check("a **b [c](", "<p>a **b [c](</p>");
        assert!(render(&"é".repeat(PAGE_BYTES_MAX)).into_string().len() <= PAGE_BYTES_MAX + 16);
    }
}
