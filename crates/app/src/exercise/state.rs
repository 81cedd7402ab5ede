//! What an exercise has finished, on disk: one file per step and chunk, written beside its place and renamed, so that a cut leaves nothing half.

use std::path::{Path, PathBuf};

use attack::suite::{ChangePiece, ConditionPiece, Piece};
use domain::{Digest, Hasher};

use super::open::Opened;
use super::{CHUNK_ROWS, Request};
use crate::AppError;

/// Largest file of one piece, bytes.
const PIECE_BYTES_MAX: u64 = 256 << 20;

/// A piece of work that is kept: one file each.
pub(super) trait Kept: serde::Serialize + serde::de::DeserializeOwned {
    /// Letter of the kind, place of the item in the suite, chunk.
    fn place(&self) -> (char, usize, usize);

    /// It ended by a fault: it is done again.
    fn failed(&self) -> bool;
}

impl Kept for Piece {
    fn place(&self) -> (char, usize, usize) {
        ('a', self.step, self.chunk)
    }

    fn failed(&self) -> bool {
        self.fault.is_some()
    }
}

impl Kept for ConditionPiece {
    fn place(&self) -> (char, usize, usize) {
        ('c', self.condition, self.chunk)
    }

    fn failed(&self) -> bool {
        self.fault.is_some()
    }
}

impl Kept for ChangePiece {
    fn place(&self) -> (char, usize, usize) {
        ('l', self.change, self.chunk)
    }

    fn failed(&self) -> bool {
        self.fault.is_some()
    }
}

/// Where pieces are kept.
pub(super) struct State {
    folder: Option<PathBuf>,
}

/// What tells one exercise from another.
pub(super) fn key(request: &Request, opened: &Opened) -> Digest {
    let mut hasher = Hasher::new();
    hasher
        .field(b"exercise 2")
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
        .field(format!("{:?} {:?} {CHUNK_ROWS}", opened.rows.low, opened.rows.span).as_bytes())
        .field(format!("{:?}", opened.rows.features).as_bytes());
    if let Some(through) = &request.through {
        hasher.field(
            format!("gateway {} {} {:?}", through.keys, through.limits(), through.guarded.words()).as_bytes(),
        );
    }
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

    fn file(&self, (kind, at, chunk): (char, usize, usize)) -> Option<PathBuf> {
        self.folder.as_ref().map(|f| f.join(format!("{kind}{at:03}-{chunk:05}.json")))
    }

    /// A piece that was finished before; a file that cannot be read is none.
    pub(super) fn read<T: Kept>(&self, place: (char, usize, usize)) -> Option<T> {
        let file = self.file(place)?;
        if std::fs::metadata(&file).ok()?.len() > PIECE_BYTES_MAX {
            return None;
        }
        let piece: T = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
        (piece.place() == place && !piece.failed()).then_some(piece)
    }

    /// Keeps a piece. What failed is not kept: it is tried again.
    pub(super) fn write<T: Kept>(&self, piece: &T) -> Result<(), AppError> {
        let Some(file) = self.file(piece.place()) else { return Ok(()) };
        if piece.failed() {
            return Ok(());
        }
        let bytes = serde_json::to_vec(piece).map_err(|e| AppError::Internal(e.to_string()))?;
        let beside = file.with_extension("part");
        std::fs::write(&beside, bytes).map_err(AppError::files("cannot write", &beside))?;
        std::fs::rename(&beside, &file).map_err(AppError::files("cannot write", &file))
    }

    /// Something else that was finished before, under a name of its own.
    pub(super) fn read_named<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let file = self.folder.as_ref()?.join(format!("{name}.json"));
        if std::fs::metadata(&file).ok()?.len() > PIECE_BYTES_MAX {
            return None;
        }
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    /// Keeps something under a name of its own.
    pub(super) fn write_named<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<(), AppError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let (beside, file) = (folder.join(format!("{name}.part")), folder.join(format!("{name}.json")));
        let bytes = serde_json::to_vec(value).map_err(|e| AppError::Internal(e.to_string()))?;
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
        assert_eq!(again.read(('a', 1, 2)), Some(piece));
        assert_eq!(again.read::<Piece>(('a', 1, 3)), None);
        assert_eq!(
            State::open(Some(dir.path()), Digest::of(b"other"), true).unwrap().read::<Piece>(('a', 1, 2)),
            None
        );
        assert_eq!(State::open(Some(dir.path()), key, false).unwrap().read::<Piece>(('a', 1, 2)), None);
    }

    #[test]
    fn a_damaged_piece_is_done_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(Some(dir.path()), Digest::of(b"k"), false).unwrap();
        state.write(&Piece { step: 0, chunk: 0, ..Piece::default() }).unwrap();
        std::fs::write(state.file(('a', 0, 0)).unwrap(), b"{\"step\":0").unwrap();
        assert_eq!(state.read::<Piece>(('a', 0, 0)), None);
    }
}
