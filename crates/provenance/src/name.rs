//! Names of files in a signature: relative, with `/`, and inside the root on every operating system.

use crate::limits::NAME_BYTES_MAX;

/// Why a name cannot be one of a signed file, `None` when it can.
///
/// What Windows would read differently is refused everywhere: a model that verifies here and lands elsewhere there
/// would not be verified at all.
pub fn name_problem(name: &str) -> Option<&'static str> {
    let drive =
        name.as_bytes().get(1) == Some(&b':') && name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > NAME_BYTES_MAX {
        Some("it is longer than 4,096 bytes")
    } else if name.contains('\0') {
        Some("it holds a NUL character")
    } else if name.chars().any(char::is_control) {
        Some("it holds a control character")
    } else if name.contains('\\') {
        Some("it holds a backslash, which is a folder separator on Windows")
    } else if name.starts_with('/') {
        Some("it is absolute")
    } else if drive {
        Some("it starts with a drive letter")
    } else if name.split('/').any(|part| part == "..") {
        Some("it leaves the folder with `..`")
    } else if name.split('/').any(|part| part.is_empty() || part == ".") {
        Some("it has an empty part or a `.`")
    } else {
        None
    }
}

/// Whether `path` is `rule` or lies under it, the way a signature's ignored paths are meant.
pub(crate) fn is_under(path: &str, rule: &str) -> bool {
    let rule = rule.strip_prefix("./").unwrap_or(rule).trim_end_matches('/');
    rule == "."
        || rule.is_empty()
        || path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A shard's name `path:start:end` as its parts; the path may itself hold colons.
pub(crate) fn shard_parts(name: &str) -> Option<(&str, u64, u64)> {
    let number = |text: &str| -> Option<u64> {
        // As it would be written: no sign, no leading zero.
        let parsed: u64 = text.parse().ok()?;
        (parsed.to_string() == text).then_some(parsed)
    };
    let (rest, end) = name.rsplit_once(':')?;
    let (path, start) = rest.rsplit_once(':')?;
    let (start, end) = (number(start)?, number(end)?);
    (start < end).then_some((path, start, end))
}

/// A name for a message: one line, bounded.
pub(crate) fn shown(name: &str) -> String {
    let clean: String = name.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if clean.len() < name.len() && name.chars().count() > 200 { clean + "…" } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_anywhere_are_refused() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/..",
            "..",
            "a\\b",
            "C:x",
            "c:/x",
            "a\0b",
            "a//b",
            "./a",
            "a/.",
            "a/",
            "a\nb",
            &long,
        ] {
            assert!(name_problem(bad).is_some(), "{bad:?}");
        }
        for good in ["a", "a/b.c", "..a", "a..", "a/...", "é/ü b", "xy:1", &long[1..]] {
            assert_eq!(name_problem(good), None, "{good:?}");
        }
    }

    #[test]
    fn a_rule_covers_itself_and_what_lies_under_it_only() {
        for (path, rule, under) in [
            (".git", ".git", true),
            (".git/x", ".git", true),
            (".git/x", "./.git/", true),
            (".gitignore", ".git", false),
            ("a/.git", ".git", false),
            ("a", ".", true),
            ("a", "../a", false),
        ] {
            assert_eq!(is_under(path, rule), under, "{path} {rule}");
        }
    }

    #[test]
    fn shards_are_read_from_the_right() {
        assert_eq!(shard_parts("a:b:0:5"), Some(("a:b", 0, 5)));
        for bad in ["a", "a:1", "a:5:5", "a:6:5", "a:01:5", "a:+1:5", "a:-1:5", "a:1:99999999999999999999"] {
            assert_eq!(shard_parts(bad), None, "{bad}");
        }
    }
}
