//! One Rust file as text: what is code, what is a comment or a string, what is a test, where functions begin and end.

/// A Rust file in three views of the same length and the same lines.
pub(crate) struct Source {
    /// Path in the repository.
    pub(crate) path: String,
    /// As written.
    pub(crate) raw: String,
    /// Comments, string and character contents are blanks.
    pub(crate) code: String,
    /// As `code`, and everything under `#[cfg(test)]` is blank too; all blank in files that are only tests.
    pub(crate) shipped: String,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: usize,
}

impl Source {
    /// Reads `raw` as the file `path`.
    pub(crate) fn read(path: String, raw: String) -> Self {
        let code = blank_text(&raw);
        let shipped = if is_only_tests(&path) { blank(&code) } else { blank_tests(&code) };
        Self { path, raw, code, shipped }
    }

    /// The crate the file belongs to, if it stands under `crates/`.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Lines of code and comments that ship: everything that is not under `#[cfg(test)]`.
    pub(crate) fn shipped_lines(&self) -> usize {
        let Some(at) = self.code.find("#[cfg(test)]\nmod tests {") else { return self.raw.lines().count() };
        self.raw[..at].lines().count()
    }

    /// Line number, from 1, of a byte position.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        self.raw[..at].matches('\n').count() + 1
    }

    /// Line numbers on which `word` stands in `view`, as a word if it begins or ends with a letter.
    pub(crate) fn lines_with(&self, view: &str, word: &str) -> Vec<usize> {
        positions(view, word).into_iter().map(|at| self.line_of(at)).collect()
    }

    /// Functions with a body, outside tests.
    pub(crate) fn functions(&self) -> Vec<Function> {
        positions(&self.shipped, "fn ").into_iter().filter_map(|at| self.function_at(at)).collect()
    }

    fn function_at(&self, at: usize) -> Option<Function> {
        let rest = &self.shipped[at + 3..];
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            return None; // a function pointer type
        }
        let mut depth = 0_i32;
        for (i, c) in rest.char_indices() {
            match c {
                '(' | '[' => depth += 1,
                ')' | ']' => depth -= 1,
                ';' if depth == 0 => return None, // declared in a trait
                '{' if depth == 0 => {
                    let end = matching_brace(rest, i)?;
                    let lines = rest[..end].matches('\n').count() + 1;
                    return Some(Function { name, lines });
                }
                _ => {}
            }
        }
        None
    }
}

/// Byte positions of `word` in `text`; where it begins or ends with a letter, only as a whole word.
pub(crate) fn positions(text: &str, word: &str) -> Vec<usize> {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (first, last) = (word.chars().next(), word.chars().next_back());
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(|&at| !(is_word(first) && is_word(text[..at].chars().next_back())))
        .filter(|&at| !(is_word(last) && is_word(text[at + word.len()..].chars().next())))
        .collect()
}

/// Position after the brace that closes the one at `open`.
pub(crate) fn matching_brace(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (i, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(open + i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Files that hold nothing but tests: integration tests, and modules named for it.
fn is_only_tests(path: &str) -> bool {
    path.contains("/tests/")
        || path.ends_with("_tests.rs")
        || path.ends_with("/tests.rs")
        || path.starts_with("crates/tidy/")
}

fn blank(text: &str) -> String {
    text.chars().flat_map(blank_char).collect()
}

/// Spaces as long as the character, so that positions stay; line ends stay line ends.
fn blank_char(c: char) -> impl Iterator<Item = char> {
    std::iter::repeat_n(if c == '\n' { '\n' } else { ' ' }, c.len_utf8())
}

/// Blanks every item that is a test or only there for tests: a block to its closing brace, a `mod x;` to its semicolon.
fn blank_tests(code: &str) -> String {
    let mut out = code.to_owned();
    let marks = ["#[cfg(test)]", "#[test]", "#[tokio::test"];
    for at in marks.iter().flat_map(|mark| positions(code, mark)) {
        let body = code[at..].find(['{', ';']).map_or(code.len(), |i| at + i);
        let end = if code[body..].starts_with('{') { matching_brace(code, body) } else { Some(body + 1) };
        let end = end.unwrap_or(code.len());
        out.replace_range(at..end, &blank(&code[at..end]));
    }
    out
}

/// Blanks comments and the insides of strings and character literals.
fn blank_text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        let (kept, skipped) = token(rest, out.chars().next_back());
        out.push_str(&rest[..kept]);
        out.push_str(&blank(&rest[kept..kept + skipped]));
        let step = (kept + skipped).max(c.len_utf8());
        rest = &rest[step..];
    }
    out
}

/// What stands at the start of `text`: how many bytes to keep and how many after them to blank.
fn token(text: &str, before: Option<char>) -> (usize, usize) {
    let c = text.chars().next().unwrap_or(' ');
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("//") {
        return (0, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (0, block_comment(text));
    }
    let raw_hashes = raw_string_hashes(text);
    if let (Some((lead, hashes)), false) = (raw_hashes, in_word) {
        let close = format!("\"{}", "#".repeat(hashes));
        let inside = text[lead..].find(&close).map_or(text.len() - lead, |i| i + close.len());
        return (lead, inside);
    }
    if c == '"' {
        return (1, quoted(&text[1..], '"'));
    }
    if c == '\'' && is_char_literal(text) {
        return (1, quoted(&text[1..], '\''));
    }
    (c.len_utf8(), 0)
}

/// Length of `r"`, `r#"`, `br##"` and the number of hashes, if `text` starts with one.
fn raw_string_hashes(text: &str) -> Option<(usize, usize)> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let lead = text.len() - after.len();
    let hashes = after.bytes().take_while(|b| *b == b'#').count();
    after[hashes..].starts_with('"').then_some((lead + hashes + 1, hashes))
}

/// A character literal, not a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Bytes up to the closing `quote` and over it: the quote is blanked too, so that it cannot open the next literal.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a block comment, which may nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_i32;
    let bytes = text.as_bytes();
    let mut i = 0;
    while i + 1 < bytes.len() {
        match &bytes[i..i + 2] {
            b"/*" => {
                depth += 1;
                i += 2;
            }
            b"*/" => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    text.len()
}

/// The string literal that starts at or after `at` in the raw text, unescaped no further than line joins.
pub(crate) fn literal_after(raw: &str, at: usize) -> Option<String> {
    let open = at + raw[at..].find('"')?;
    let inside = quoted(&raw[open + 1..], '"');
    let text = raw[open + 1..open + inside].to_owned();
    // A backslash at the end of a line joins it with the next, without its indentation.
    let joined: Vec<&str> =
        text.split("\\\n").enumerate().map(|(i, l)| if i == 0 { l } else { l.trim_start() }).collect();
    Some(joined.concat())
}

#[test]
fn comments_and_strings_are_not_code() {
    let raw = "let a = \"fn x() { // \\\" \"; // fn y\nlet b = 'x'; let c: &'static str = r#\"sleep( \" \"#; /* { /* } */ */ end\n";
    let code = blank_text(raw);
    assert_eq!(code.len(), raw.len());
    assert_eq!(code.lines().count(), raw.lines().count());
    for gone in ["fn", "sleep", "{", "}"] {
        assert!(!code.contains(gone), "{gone} in {code}");
    }
    for kept in ["let a =", "let b =", "&'static str", "end"] {
        assert!(code.contains(kept), "{kept} in {code}");
    }
}

#[test]
fn test_items_do_not_ship() {
    let raw = "fn shipped() {\n}\n#[cfg(test)]\nmod other_tests;\nfn also() {}\n#[cfg(test)]\nmod tests {\n    fn helper() {}\n}\n";
    let source = Source::read("crates/x/src/lib.rs".into(), raw.into());
    let names: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.lines)).collect();
    assert_eq!(names, [("shipped".to_owned(), 2), ("also".to_owned(), 1)]);
    assert_eq!(source.shipped_lines(), 5);
}

#[test]
fn signatures_over_lines_and_trait_methods_are_told_apart() {
    let raw = "trait T { fn declared(&self, a: [u8; 4]);\n fn given(&self) -> u8 {\n 1\n } }\nstruct S { f: fn (u8) -> u8 }\nfn long(\n a: u8,\n) -> u8\nwhere u8: Copy,\n{\n a\n}\n";
    let source = Source::read("crates/x/src/lib.rs".into(), raw.into());
    let found: Vec<_> = source.functions().into_iter().map(|f| (f.name, f.lines)).collect();
    assert_eq!(found, [("given".to_owned(), 3), ("long".to_owned(), 7)]);
}

#[test]
fn literals_are_read_with_joined_lines() {
    assert_eq!(literal_after("x(\"a \\\n      b\")", 0).as_deref(), Some("a b"));
}
