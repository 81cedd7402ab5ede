//! Secrets: 32 random bytes, written as 43 characters of base64url (RFC 4648, section 5, no padding).
//!
//! What is stored is the plain SHA-256 of the bytes. A slow password hash exists to make guessing a weak password dear;
//! 256 random bits cannot be guessed at any price, and a fast hash lets the gateway check every request and gives nobody
//! a way to keep it busy with hashing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Digest;
use zeroize::Zeroizing;

/// Characters of a written secret: ceil(32 × 8 / 6).
pub const SECRET_CHARS: usize = 43;

/// The 32 bytes of a secret; overwritten when dropped, never printed.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<[u8; 32]>);

impl SecretBytes {
    /// Wraps bytes from the system's random source.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads 43 characters of base64url; `None` for any other text, also for a second way to write the same bytes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != SECRET_CHARS {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()).ok()?;
        (length == 32).then_some(Self(bytes))
    }

    /// The 43 characters.
    pub fn encode(&self) -> Secret {
        Secret(Zeroizing::new(URL_SAFE_NO_PAD.encode(self.as_bytes())))
    }

    /// What is stored instead of the secret.
    pub fn hash(&self) -> Digest {
        Digest::of(self.as_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A secret as text, shown to its owner once. Has no `Display`; `Debug` shows nothing; overwritten when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, to hand to its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_plain_sha_256_of_the_bytes() {
        // printf '\0%.0s' $(seq 32) | sha256sum
        let expected = "sha256:66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        assert_eq!(SecretBytes::new([0; 32]).hash().to_string(), expected);
    }

    #[test]
    fn a_secret_has_exactly_one_spelling() {
        let text = SecretBytes::new([0xff; 32]).encode();
        assert_eq!(text.expose().len(), SECRET_CHARS);
        assert!(SecretBytes::parse(text.expose()).is_some());
        // The last character carries two bits that must be zero.
        let other = format!("{}9", &text.expose()[..42]);
        assert!(SecretBytes::parse(&other).is_none());
        for bad in ["", "=", &"A".repeat(42), &"A".repeat(44), &"+".repeat(43), &"é".repeat(21)] {
            assert!(SecretBytes::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        let secret = SecretBytes::new([7; 32]).encode();
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
}
