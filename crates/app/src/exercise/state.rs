//! What an exercise has finished, on disk: one file per step and chunk, written beside its place and renamed, so that a cut leaves nothing half.

use std::path::{Path, PathBuf};

use attack::suite::Piece;
use domain::{Digest, Hasher};

use super::open::Opened;
use super::{CHUNK_ROWS, Request};
use crate::AppError;

/// Largest file of one piece, bytes.
const PIECE_BYTES_MAX: u64 = 256 << 20;

/// Where pieces are kept.
pub(super) struct State {
    folder: Option<PathBuf>,
}

/// What tells one exercise from another.
pub(super) fn key(request: &Request, opened: &Opened) -> Digest {
    let mut hasher = Hasher::new();
    hasher
        .field(b"exercise 1")
        .field(env!("CARGO_PKG_VERSION").as_bytes())
        .field(request.suite.digest().as_bytes())
        .field(opened.model_digest.as_bytes())
        .field(opened.rows.digest.as_bytes())
        .field(opened.rows.part.as_bytes())
        .field(
            format!(
                "{:?} {:?} {:?}",
                opened.source.access(request.labels_only),
                request.output,
                request.reading.finding
            )
            .as_bytes(),
        )
        .field(format!("{:?} {:?} {CHUNK_ROWS}", opened.rows.low, opened.rows.span).as_bytes());
    hasher.finish()
}

impl State {
    /// Opens the folder of this exercise. What an earlier one left is thrown away unless it is to go on.
    pub(super) fn open(base: Option<&Path>, key: Digest, resume: bool) -> Result<Self, AppError> {
        let folder = base.map(|base| base.join(key.short()));
        if let Some(folder) = &folder {
            if !resume {
                let _ = std::fs::remove_dir_all(folder);
            }
            std::fs::create_dir_all(folder).map_err(AppError::files("cannot make the folder", folder))?;
        }
        Ok(Self { folder })
    }

    fn file(&self, step: usize, chunk: usize) -> Option<PathBuf> {
        self.folder.as_ref().map(|f| f.join(format!("{step:02}-{chunk:05}.json")))
    }

    /// A piece that was finished before; a file that cannot be read is none.
    pub(super) fn read(&self, step: usize, chunk: usize) -> Option<Piece> {
        let file = self.file(step, chunk)?;
        if std::fs::metadata(&file).ok()?.len() > PIECE_BYTES_MAX {
            return None;
        }
        let piece: Piece = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        (piece.step == step && piece.chunk == chunk && piece.fault.is_none()).then_some(piece)
    }

    /// Keeps a piece. What failed is not kept: it is tried again.
    pub(super) fn write(&self, piece: &Piece) -> Result<(), AppError> {
        let Some(file) = self.file(piece.step, piece.chunk) else { return Ok(()) };
        if piece.fault.is_some() {
            return Ok(());
        }
        let bytes = serde_json::to_vec(piece).map_err(|e| AppError::Internal(e.to_string()))?;
        let beside = file.with_extension("part");
        std::fs::write(&beside, bytes).map_err(AppError::files("cannot write", &beside))?;
        std::fs::rename(&beside, &file).map_err(AppError::files("cannot write", &file))
    }

    /// Throws everything away, when the exercise is complete.
    pub(super) fn remove(&self) {
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_kept_until_the_exercise_is_complete_and_failures_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let key = Digest::of(b"k");
        let state = State::open(Some(dir.path()), key, false).unwrap();
        let piece = Piece { step: 1, chunk: 2, ..Piece::default() };
        state.write(&piece).unwrap();
        state.write(&Piece { step: 1, chunk: 3, fault: Some("x".into()), ..Piece::default() }).unwrap();
        let again = State::open(Some(dir.path()), key, true).unwrap();
        assert_eq!(again.read(1, 2), Some(piece));
        assert_eq!(again.read(1, 3), None);
        assert_eq!(State::open(Some(dir.path()), Digest::of(b"other"), true).unwrap().read(1, 2), None);
        assert_eq!(State::open(Some(dir.path()), key, false).unwrap().read(1, 2), None);
    }

    #[test]
    fn a_damaged_piece_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(Some(dir.path()), Digest::of(b"k"), false).unwrap();
        state.write(&Piece { step: 0, chunk: 0, ..Piece::default() }).unwrap();
        std::fs::write(state.file(0, 0).unwrap(), b"{\"step\":0").unwrap();
        assert_eq!(state.read(0, 0), None);
    }
}
