//! Regular expressions whose matching takes exponential time: a repeated group that can match the same text in many
//! ways. Told from the pattern's text, in one pass.

/// Longest pattern looked at, bytes.
const PATTERN_MAX: usize = 4096;
/// Groups inside groups that are followed.
const GROUPS_MAX: usize = 64;
/// Unbounded wildcards of one pattern, above which the time grows with a power that nobody waits for.
const WILDCARDS_MAX: u32 = 4;

/// What a group holds.
#[derive(Default)]
struct Group {
    /// Something repeated without bound.
    repeats: bool,
    /// The same, of any character.
    wild: bool,
    /// Something that must stand there, once: it tells one turn of the group from the next.
    fixed: bool,
    /// An atom that has no quantifier yet.
    pending: bool,
    /// First bytes of its alternatives.
    heads: Vec<u8>,
    /// Whether the next atom begins an alternative.
    begins: bool,
}

impl Group {
    fn new() -> Self {
        Self { begins: true, ..Self::default() }
    }

    /// An atom, an alternative or the end follows.
    fn settle(&mut self) {
        self.fixed |= std::mem::take(&mut self.pending);
    }

    /// What a group that was just closed held, it holds for the one around it too.
    fn holds(&mut self, inner: &mut Self) {
        inner.settle();
        self.repeats |= inner.repeats;
        self.wild |= inner.wild;
        self.pending &= inner.fixed;
    }

    /// Whether text can be matched by repeating the group in many ways.
    fn explodes(&self) -> bool {
        (self.repeats && (!self.fixed || self.wild)) || self.ambiguous()
    }

    fn atom(&mut self, first: u8) {
        self.settle();
        // Any character tells nothing apart.
        self.pending = first != b'.';
        if std::mem::take(&mut self.begins) && self.heads.len() < GROUPS_MAX {
            self.heads.push(first);
        }
    }

    /// Whether two alternatives begin alike, so that repeating them is ambiguous.
    fn ambiguous(&self) -> bool {
        self.heads.iter().enumerate().any(|(i, head)| {
            self.heads[i + 1..].iter().any(|other| other == head || *head == b'.' || *other == b'.')
        })
    }
}

/// Whether matching `pattern` may take time exponential in the text.
pub(super) fn explodes(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    let bytes = bytes.get(..PATTERN_MAX).unwrap_or(bytes);
    let mut groups = vec![Group::new()];
    // What the next quantifier repeats: a group that was just closed, or one character (`wild` for `.`).
    let (mut closed, mut wild, mut wildcards): (Option<Group>, bool, u32) = (None, false, 0);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'(' => {
                if groups.len() >= GROUPS_MAX {
                    return true;
                }
                if let Some(group) = groups.last_mut() {
                    group.atom(b'(');
                }
                groups.push(Group::new());
                (closed, wild) = (None, false);
                at = after_kind(bytes, at);
            }
            b')' if groups.len() > 1 => {
                closed = groups.pop();
                wild = false;
                if let (Some(inner), Some(outer)) = (&mut closed, groups.last_mut()) {
                    outer.holds(inner);
                }
            }
            b'|' => {
                if let Some(group) = groups.last_mut() {
                    group.settle();
                    group.begins = true;
                }
                (closed, wild) = (None, false);
            }
            b'*' | b'+' | b'{' => {
                let (unbounded, after) = quantifier(bytes, byte, at);
                at = after;
                if unbounded {
                    if closed.as_ref().is_some_and(Group::explodes) {
                        return true;
                    }
                    wildcards += u32::from(wild);
                    if let Some(group) = groups.last_mut() {
                        (group.repeats, group.pending) = (true, false);
                        group.wild |= wild;
                    }
                    (closed, wild) = (None, false);
                }
            }
            b'?' => {
                if let Some(group) = groups.last_mut() {
                    group.pending = false;
                }
            }
            b'^' | b'$' => {}
            _ => {
                (closed, wild) = (None, byte == b'.');
                at = after_atom(bytes, byte, at, groups.last_mut());
            }
        }
    }
    wildcards > WILDCARDS_MAX
}

/// After one character, escape or class, which the group holds.
fn after_atom(bytes: &[u8], byte: u8, at: usize, group: Option<&mut Group>) -> usize {
    let head = if byte == b'\\' { bytes.get(at).copied().unwrap_or(byte) | 0x80 } else { byte };
    if let Some(group) = group {
        group.atom(head);
    }
    match byte {
        b'\\' => at + 1,
        b'[' => after_class(bytes, at),
        _ => at,
    }
}

/// After `?:`, `?P<name>`, `?=` and their like.
fn after_kind(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..).unwrap_or_default() {
        [b'?', b'P' | b'<', rest @ ..] if !matches!(rest, [b'=' | b'!', ..]) => {
            at + bytes.get(at..).and_then(|r| r.iter().position(|b| *b == b'>')).map_or(2, |n| n + 1)
        }
        [b'?', _, ..] => at + 2,
        _ => at,
    }
}

/// Whether a quantifier has no upper bound (`{8,}` and more than a thousand count as none), and what is after it.
fn quantifier(bytes: &[u8], byte: u8, at: usize) -> (bool, usize) {
    if byte != b'{' {
        return (true, at);
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(end) = rest.iter().take(24).position(|b| *b == b'}') else { return (false, at) };
    let inside = std::str::from_utf8(&rest[..end]).unwrap_or_default();
    let last = inside.rsplit(',').next().unwrap_or_default();
    (inside.ends_with(',') || last.parse::<u64>().is_ok_and(|n| n > 1000), at + end + 1)
}

/// After the `]` of a character class.
fn after_class(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    if bytes.get(at) == Some(&b'^') {
        at += 1;
    }
    if bytes.get(at) == Some(&b']') {
        at += 1;
    }
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b']' => break,
            _ => {}
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::explodes;

    #[test]
    fn nested_repetition_explodes_and_ordinary_patterns_do_not() {
        for bad in [
            "(a+)+$",
            "(x+x+)+y",
            "([a-z]*)*b",
            "(?:a|a)*b",
            "((ab)+)*c",
            "^(\\w+\\s?)*$",
            "(.*)*",
            "(a{2,})+",
            "((a+))+",
            "(.*a)*",
            "^(([a-z])+.)+[A-Z]$",
        ] {
            assert!(explodes(bad), "{bad}");
        }
        assert!(explodes(&".*".repeat(5)) && explodes(&"(".repeat(70)));
        for plain in [
            r"(?u)\b\w\w+\b",
            "[a-z]+@[a-z]+",
            "(ab)+",
            "(a|b)*",
            r"\d{1,3}(\.\d+)?",
            "[(+]+",
            r"(\d{4})+",
            "",
            r"\d+(\.\d+)*",
            r"(\w+,)*",
            "a**",
        ] {
            assert!(!explodes(plain), "{plain}");
        }
    }
}
