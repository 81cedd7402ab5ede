//! Text from templates: `{a|b|}` is one of the alternatives (they nest), `$name` a line of the list of that name.

use numeric::Rng;

/// Lists that templates can name.
pub type Lists = &'static [(&'static str, &'static [&'static str])];

const DEPTH_MAX: usize = 12;

/// One text from `template`.
pub fn expand(template: &str, lists: Lists, rng: &mut Rng) -> String {
    let mut out = String::new();
    put(template, lists, rng, &mut out, 0);
    let mut text = String::with_capacity(out.len());
    for (i, word) in out.split(' ').filter(|w| !w.is_empty()).enumerate() {
        if i > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
    text.replace(" .", ".").replace(" ,", ",").replace(" :", ":").replace(" ?", "?")
}

fn put(template: &str, lists: Lists, rng: &mut Rng, out: &mut String, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    let mut rest = template;
    while let Some(at) = rest.find(['{', '$']) {
        out.push_str(&rest[..at]);
        if rest[at..].starts_with('{') {
            let close = closing(&rest[at..]);
            let parts = alternatives(&rest[at + 1..at + close]);
            put(parts[rng.below(parts.len())], lists, rng, out, depth + 1);
            rest = &rest[at + close + 1..];
        } else {
            let name: &str = &rest[at + 1..];
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            let list = lists.iter().find(|l| l.0 == name).unwrap_or_else(|| panic!("no list {name}"));
            put(list.1[rng.below(list.1.len())], lists, rng, out, depth + 1);
            rest = after;
        }
    }
    out.push_str(rest);
}

fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
    }
    panic!("a template without its closing brace: {text}");
}

fn alternatives(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
