//! PEM blocks (RFC 7468) in a file of keys or certificates.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::limits::{PEM_BYTES_MAX, ROOTS_MAX};

/// One block: its label and its content. The content may be a secret, so it is wiped from memory.
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// All blocks of a file; text between them is ignored, as everywhere. The error is a reason.
pub(crate) fn blocks(bytes: &[u8]) -> Result<Vec<Block>, String> {
    if bytes.len() > PEM_BYTES_MAX {
        return Err(format!("{} bytes, the most is {PEM_BYTES_MAX}", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text: give a PEM file".to_owned())?;
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("-----BEGIN ") {
        if found.len() == ROOTS_MAX {
            return Err(format!("more than {ROOTS_MAX} blocks"));
        }
        let after = &rest[at + "-----BEGIN ".len()..];
        let (label, body) = after.split_once("-----").ok_or("a block without the end of its first line")?;
        let end = format!("-----END {label}-----");
        let (inside, next) = body.split_once(end.as_str()).ok_or("a block without its last line")?;
        if inside.contains("Proc-Type:") {
            return Err(
                "an old form of encryption; convert it with `openssl pkcs8 -topk8 -in KEY -out NEW`".into()
            );
        }
        let packed = Zeroizing::new(inside.split_ascii_whitespace().collect::<String>());
        let der = STANDARD.decode(packed.as_bytes()).map_err(|_| "a block that is not base64".to_owned())?;
        found.push(Block { label: label.trim().to_owned(), der: Zeroizing::new(der) });
        rest = next;
    }
    if found.is_empty() { Err("no `-----BEGIN …-----` block in it".into()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_the_blocks_is_ignored_and_broken_ones_are_refused() {
        let two = b"bag\n-----BEGIN A-----\nAAEC\n-----END A-----\nx\n-----BEGIN B C-----\nAw==\n-----END B C-----\n";
        let found = blocks(two).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[1].label.as_str(), found[1].der.as_slice()), ("B C", &[3][..]));
        for broken in [
            "",
            "x",
            "-----BEGIN A-----",
            "-----BEGIN A-----\nAAEC\n",
            "-----BEGIN A-----\n*\n-----END A-----",
        ] {
            assert!(blocks(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
