//! Signed notes of c2sp.org/signed-note with Ed25519 keys, and the key texts of golang.org/x/mod/sumdb/note.
//!
//! A note is text, an empty line, and signature lines `— NAME BASE64`. Names and key ids only select the key; the signature is what
//! counts. Nothing here is secret except the signing key, so comparisons need not be constant-time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use std::fmt;

/// Largest note that is read, in bytes. The specification asks for at least 16 signatures of up to 5 kB.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;
/// Most signature lines that are read; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 32;
/// Longest key name, in bytes.
pub const NAME_BYTES_MAX: usize = 512;

const ALGORITHM_ED25519: u8 = 1;
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why a note or a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The name is empty, too long, or has a space, a control character or a plus in it.
    #[error(
        "key name `{0}` is empty, too long or holds a space, control character or plus; choose one like `ledger.hospital.example`"
    )]
    Name(String),
    /// The key text is malformed.
    #[error("not a {0} key text; expected `{expected}`", expected = if *.0 == "signing" { "PRIVATE+KEY+NAME+ID+BASE64" } else { "NAME+ID+BASE64" })]
    KeyText(&'static str),
    /// The key id does not belong to name and key.
    #[error(
        "the key id in the key text of `{0}` does not fit its name and key; the text was changed or cut short"
    )]
    KeyId(String),
    /// Too large.
    #[error("note of {0} bytes is larger than 262144; it is not a checkpoint")]
    TooLarge(usize),
    /// Not text, or malformed.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// No signature of the known key.
    #[error("no signature of key `{0}`; check that this is the key of this log")]
    Unsigned(String),
    /// The signature of the known key is wrong.
    #[error("the signature of `{0}` does not fit the text; the note was changed or signed by another key")]
    BadSignature(String),
}

/// Whether `name` may name a key: not empty, no Unicode space, no plus, no control character.
fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(bad) {
        return Err(NoteError::Name(name.chars().filter(|c| !c.is_control()).take(80).collect()));
    }
    Ok(())
}

/// SHA-256(name || 0x0A || 0x01 || public key), first four bytes, big-endian.
fn key_id(name: &str, key: &VerifyingKey) -> u32 {
    let mut sha = Sha256::new();
    sha.update(name.as_bytes());
    sha.update([b'\n', ALGORITHM_ED25519]);
    sha.update(key.as_bytes());
    let digest: [u8; 32] = sha.finalize().into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}

/// Splits `NAME+ID+BASE64` into its parts: name, id, 32 key bytes.
fn parse_key(text: &str, kind: &'static str) -> Result<(String, u32, [u8; 32]), NoteError> {
    let malformed = NoteError::KeyText(kind);
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed);
    };
    check_name(name)?;
    if id.len() != 8 || !id.bytes().all(|b| b.is_ascii_hexdigit()) || key.len() > 64 {
        return Err(malformed);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| malformed.clone())?;
    let bytes = STANDARD.decode(key).map_err(|_| malformed.clone())?;
    let (algorithm, key) = bytes.split_first().ok_or(malformed.clone())?;
    if *algorithm != ALGORITHM_ED25519 {
        return Err(malformed);
    }
    Ok((name.to_owned(), id, key.try_into().map_err(|_| malformed)?))
}

/// A named Ed25519 signing key. Its seed is wiped from memory when dropped and never shown by `Debug`.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    verifier: Verifier,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier.to_text())
    }
}

impl Signer {
    /// A signing key from its name and its 32-byte seed (RFC 8032), which must come from a cryptographic random source.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = Verifier::new(name, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Reads `PRIVATE+KEY+NAME+ID+BASE64`.
    ///
    /// # Errors
    /// [`NoteError::KeyText`], [`NoteError::KeyId`], [`NoteError::Name`]; none of them repeats the secret.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(NoteError::KeyText("signing"))?;
        let (name, id, seed) = parse_key(rest, "signing")?;
        let signer = Self::from_seed(&name, &seed)?;
        if signer.verifier.id != id {
            return Err(NoteError::KeyId(name));
        }
        Ok(signer)
    }

    /// Writes `PRIVATE+KEY+NAME+ID+BASE64`. **Secret**: keep it in a file only the service can read.
    pub fn to_secret_text(&self) -> String {
        format!("PRIVATE+KEY+{}", key_text(&self.verifier.name, self.verifier.id, self.key.as_bytes()))
    }

    /// The public half.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs `text` (which must end in a newline and hold no control characters but newlines) into a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end in a newline"));
        }
        let mut signature = self.verifier.id.to_be_bytes().to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n{SIGNATURE_PREFIX}{} {}\n", self.verifier.name, STANDARD.encode(signature)))
    }
}

fn key_text(name: &str, id: u32, key: &[u8; 32]) -> String {
    let mut bytes = vec![ALGORITHM_ED25519];
    bytes.extend_from_slice(key);
    format!("{name}+{id:08x}+{}", STANDARD.encode(bytes))
}

/// A named Ed25519 public key: what another party needs to check our checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: u32,
    key: VerifyingKey,
}

impl Verifier {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), id: key_id(name, &key), key })
    }

    /// Reads `NAME+ID+BASE64`.
    ///
    /// # Errors
    /// [`NoteError::KeyText`], [`NoteError::KeyId`], [`NoteError::Name`].
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let (name, id, key) = parse_key(text, "verifier")?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| NoteError::KeyText("verifier"))?;
        let verifier = Self::new(&name, key)?;
        if verifier.id != id {
            return Err(NoteError::KeyId(name));
        }
        Ok(verifier)
    }

    /// Writes `NAME+ID+BASE64`.
    pub fn to_text(&self) -> String {
        key_text(&self.name, self.id, self.key.as_bytes())
    }

    /// The key's name; for a log the checkpoint's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key's id.
    pub const fn id(&self) -> u32 {
        self.id
    }
}

/// One signature line of a note that was read but not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub id: u32,
    /// Signature bytes after the id.
    pub signature: Vec<u8>,
}

/// A note that was read. Its text must be ignored until [`Note::verify`] returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// Reads a note, strictly; no signature is checked.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`], [`NoteError::Malformed`], [`NoteError::Name`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge(bytes.len()));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("not UTF-8"))?;
        check_text(note)?;
        let at =
            note.rfind("\n\n").ok_or(NoteError::Malformed("no empty line between text and signatures"))?;
        let (text, rest) = note.split_at_checked(at + 1).ok_or(NoteError::Malformed("no text"))?;
        let lines = rest
            .strip_prefix('\n')
            .and_then(|rest| rest.strip_suffix('\n'))
            .ok_or(NoteError::Malformed("the last line does not end in a newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::Malformed("more than 32 signatures"));
            }
            signatures.push(parse_signature(line)?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, once the signature of the known key was found and fits it. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`], [`NoteError::BadSignature`].
    pub fn verify(&self, verifier: &Verifier) -> Result<&str, NoteError> {
        let mut verified = false;
        for line in self.signatures.iter().filter(|line| line.name == verifier.name && line.id == verifier.id)
        {
            let bad = || NoteError::BadSignature(verifier.name.clone());
            let signature = Signature::from_slice(&line.signature).map_err(|_| bad())?;
            // Strict: refuses small-order keys and non-canonical encodings, so that two checkers never disagree.
            verifier.key.verify_strict(self.text.as_bytes(), &signature).map_err(|_| bad())?;
            verified = true;
        }
        if verified { Ok(&self.text) } else { Err(NoteError::Unsigned(verifier.name.clone())) }
    }

    /// The signature lines, unverified.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|b| b < 0x20 && b != b'\n') {
        return Err(NoteError::Malformed("it holds control characters"));
    }
    Ok(())
}

fn parse_signature(line: &str) -> Result<SignatureLine, NoteError> {
    let malformed = NoteError::Malformed("a signature line is not `\u{2014} NAME BASE64`");
    let (name, base64) =
        line.strip_prefix(SIGNATURE_PREFIX).and_then(|rest| rest.split_once(' ')).ok_or(malformed.clone())?;
    check_name(name)?;
    let bytes = STANDARD.decode(base64).map_err(|_| malformed.clone())?;
    let (id, signature) = bytes.split_first_chunk::<4>().ok_or(malformed.clone())?;
    if signature.is_empty() {
        return Err(malformed);
    }
    Ok(SignatureLine { name: name.to_owned(), id: u32::from_be_bytes(*id), signature: signature.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example keys of golang.org/x/mod/sumdb/note, published for tests.
    const SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn published_example_is_made_and_verified() {
        let signer = Signer::from_text(SKEY).unwrap();
        assert_eq!(signer.to_secret_text(), SKEY);
        assert_eq!(signer.verifier().to_text(), VKEY);
        let note = signer.sign(TEXT).unwrap();
        assert_eq!(note, format!("{TEXT}\n{SIGNATURE}"));
        let verifier = Verifier::from_text(VKEY).unwrap();
        assert_eq!(Note::parse(note.as_bytes()).unwrap().verify(&verifier), Ok(TEXT));
    }

    #[test]
    fn debug_never_shows_the_seed() {
        let shown = format!("{:?}", Signer::from_text(SKEY).unwrap());
        assert!(!shown.contains("AYEKFALVFGyNhPJEMzD1QIDr"), "{shown}");
    }

    #[test]
    fn any_changed_bit_is_refused() {
        let verifier = Verifier::from_text(VKEY).unwrap();
        let note = format!("{TEXT}\n{SIGNATURE}").into_bytes();
        for at in 0..note.len() * 8 {
            let mut changed = note.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let read = Note::parse(&changed).and_then(|note| note.verify(&verifier).map(str::to_owned));
            assert!(read.is_err(), "bit {at}");
        }
        for end in 0..note.len() {
            assert!(Note::parse(&note[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn signatures_of_other_keys_are_ignored_but_one_of_ours_must_be_there() {
        let verifier = Verifier::from_text(VKEY).unwrap();
        let other = Signer::from_seed("other.example", &[3; 32]).unwrap();
        let by_other = other.sign(TEXT).unwrap();
        let note = Note::parse(by_other.as_bytes()).unwrap();
        assert_eq!(note.verify(&verifier), Err(NoteError::Unsigned("PeterNeumann".into())));
        let both = format!("{by_other}{SIGNATURE}");
        assert_eq!(Note::parse(both.as_bytes()).unwrap().verify(&verifier), Ok(TEXT));
    }

    #[test]
    fn limits_hold_at_and_above() {
        let line = "\u{2014} a AAAAAAAA\n";
        assert!(Note::parse(format!("t\n\n{}", line.repeat(SIGNATURES_MAX)).as_bytes()).is_ok());
        assert!(Note::parse(format!("t\n\n{}", line.repeat(SIGNATURES_MAX + 1)).as_bytes()).is_err());
        let filler = NOTE_BYTES_MAX - line.len() - 2;
        assert!(Note::parse(format!("{}\n\n{line}", "t".repeat(filler)).as_bytes()).is_ok());
        assert!(Note::parse(format!("{}\n\n{line}", "t".repeat(filler + 1)).as_bytes()).is_err());
        assert!(Signer::from_seed(&"n".repeat(NAME_BYTES_MAX), &[1; 32]).is_ok());
        assert!(Signer::from_seed(&"n".repeat(NAME_BYTES_MAX + 1), &[1; 32]).is_err());
    }

    #[test]
    fn malformed_keys_are_refused_without_repeating_them() {
        for text in [
            "",
            "PRIVATE+KEY+",
            "a+b",
            "PeterNeumann+c74f20a3+",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
            "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(Verifier::from_text(text).is_err(), "{text}");
        }
        let wrong = SKEY.replace("c74f20a3", "c74f20a4");
        let message = Signer::from_text(&wrong).unwrap_err().to_string();
        assert!(!message.contains("AYEKF"), "{message}");
        for name in ["", "a b", "a+b", "a\u{2003}b", "a\nb"] {
            assert!(Signer::from_seed(name, &[0; 32]).is_err(), "{name:?}");
        }
    }
}
