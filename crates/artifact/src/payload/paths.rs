//! Paths and locations that a model file states: inside its own folder, or elsewhere.

/// Why a path leads out of the folder of the model; `None` when it stays inside.
pub(crate) fn outside(path: &str) -> Option<&'static str> {
    let bytes = path.as_bytes();
    if path.contains('\0') {
        return Some("a path with a null byte");
    }
    if path.contains("://") || ["file:", "data:", "jar:"].iter().any(|s| starts_with(path, s)) {
        return Some("an address instead of a file");
    }
    if matches!(bytes.first(), Some(b'/' | b'\\')) {
        return Some("an absolute path");
    }
    if bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':') {
        return Some("an absolute path");
    }
    if matches!(bytes.first(), Some(b'~' | b'$' | b'%')) {
        return Some("a path of the user's or the system's folders");
    }
    if path.split(['/', '\\']).any(|c| c.trim() == "..") {
        return Some("a path that leaves the model's folder");
    }
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2e%2e") || lower.contains("..%2f") || lower.contains("..%5c") {
        return Some("an encoded path that leaves the model's folder");
    }
    None
}

fn starts_with(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::outside;

    #[test]
    fn only_paths_inside_pass() {
        for inside in ["model.bin", "weights/a.bin", "./a.bin", "a..b/c", "données.bin"] {
            assert_eq!(outside(inside), None, "{inside}");
        }
        for out in [
            "../a",
            "a/../../b",
            "..\\a",
            "/etc/passwd",
            "C:\\x",
            "\\\\host\\share",
            "file:///x",
            "s3://b/k",
            "~/.ssh/id",
            "a\0b",
            "a/%2e%2e/b",
        ] {
            assert!(outside(out).is_some(), "{out}");
        }
    }
}
