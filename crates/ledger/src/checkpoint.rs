//! Checkpoints of c2sp.org/tlog-checkpoint: origin, size and root of a log, in a signed note.

use crate::hash::Hash;
use crate::note::{Note, NoteError, Signer, Verifier};

/// Most extension lines that are read. We write none: the specification advises against them.
pub const EXTENSION_LINES_MAX: usize = 16;

/// Why a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it is malformed or its signature does not hold.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The signed text is not a checkpoint.
    #[error("the signed text is not a checkpoint: {0}")]
    Malformed(&'static str),
    /// It is of another log.
    #[error("the checkpoint is of log `{found}`, not of `{expected}`; check the directory and the key")]
    Origin {
        /// Log expected.
        expected: String,
        /// Log found.
        found: String,
    },
}

/// A tree head: which log, how many entries, which root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root hash over them.
    pub root: Hash,
    /// Extension lines, each without its newline. Opaque.
    pub extension: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extension: Vec::new() }
    }

    /// The text that is signed.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, self.root);
        for line in &self.extension {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Reads the text of a checkpoint, strictly. It is trustworthy only out of a verified note.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn parse_text(text: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed;
        let body = text.strip_suffix('\n').ok_or(malformed("it does not end in a newline"))?;
        let mut lines = body.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(malformed("no origin line"))?;
        let size =
            lines.next().and_then(parse_decimal).ok_or(malformed("the size line is not a decimal number"))?;
        let root = lines
            .next()
            .and_then(Hash::from_base64)
            .ok_or(malformed("the root line is not base64 of 32 bytes"))?;
        let mut extension = Vec::new();
        for line in lines {
            if line.is_empty() {
                return Err(malformed("an extension line is empty"));
            }
            if extension.len() == EXTENSION_LINES_MAX {
                return Err(malformed("more than 16 extension lines"));
            }
            extension.push(line.to_owned());
        }
        Ok(Self { origin: origin.to_owned(), size, root, extension })
    }

    /// Signs it: the content of the file `checkpoint`.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] when origin or extension lines cannot be in a note.
    pub fn sign(&self, signer: &Signer) -> Result<String, CheckpointError> {
        Ok(signer.sign(&self.to_text())?)
    }

    /// Reads a signed checkpoint of the log whose name is the key's, and checks the signature.
    ///
    /// # Errors
    /// Any [`CheckpointError`]: the checkpoint then says nothing.
    pub fn verify(note: &[u8], verifier: &Verifier) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let checkpoint = Self::parse_text(note.verify(verifier)?)?;
        if checkpoint.origin != verifier.name() {
            return Err(CheckpointError::Origin {
                expected: verifier.name().to_owned(),
                found: checkpoint.origin,
            });
        }
        Ok(checkpoint)
    }
}

/// A decimal number without sign and leading zeroes.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use proptest::prelude::*;

    #[test]
    fn the_specification_example_is_read() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse_text(text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(checkpoint.to_text(), text);
        let note = format!(
            "{text}\n\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        );
        assert_eq!(Note::parse(note.as_bytes()).unwrap().signatures().len(), 1);
    }

    #[test]
    fn other_texts_are_refused() {
        let root = leaf_hash(b"");
        for text in [
            String::new(),
            "\n".into(),
            "o\n".into(),
            "o\n1\n".into(),
            format!("\n1\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n1\n{root}"),
            format!("o\n1\n{root}\n\n"),
            format!("o\n1\n{root}=\n"),
            format!("o\n18446744073709551616\n{root}\n"),
            format!("o\n1\n{root}\na\n\nb\n"),
            format!("o\n1\n{root}\n{}", "e\n".repeat(EXTENSION_LINES_MAX + 1)),
        ] {
            assert!(Checkpoint::parse_text(&text).is_err(), "{text:?}");
        }
        let most = format!("o\n1\n{root}\n{}", "e\n".repeat(EXTENSION_LINES_MAX));
        assert_eq!(Checkpoint::parse_text(&most).unwrap().to_text(), most);
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused() {
        let signer = Signer::from_seed("a.example", &[1; 32]).unwrap();
        let note = Checkpoint::new("b.example", 1, leaf_hash(b"")).sign(&signer).unwrap();
        assert!(matches!(
            Checkpoint::verify(note.as_bytes(), signer.verifier()),
            Err(CheckpointError::Origin { .. })
        ));
    }

    proptest! {
        #[test]
        fn signed_checkpoints_come_back(size in any::<u64>(), seed in any::<[u8; 32]>(), root in any::<[u8; 32]>()) {
            let signer = Signer::from_seed("log.example/a", &seed).unwrap();
            let checkpoint = Checkpoint::new("log.example/a", size, Hash::new(root));
            let note = checkpoint.sign(&signer).unwrap();
            prop_assert_eq!(Checkpoint::verify(note.as_bytes(), signer.verifier()).unwrap(), checkpoint);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let signer = Signer::from_seed("log.example/a", &[1; 32]).unwrap();
            prop_assert!(Checkpoint::verify(&bytes, signer.verifier()).is_err());
        }
    }
}
