//! The published files of a log, read-only: what its checkpoint says must be there.

use super::audit::AuditError;
use super::error::Damage;
use super::files::{self, FILE_BYTES_MAX};
use super::recover::load_checkpoint;
use ledger::bundle::parse_entries;
use ledger::tile::entries_path;
use ledger::{Checkpoint, Hash, TILE_WIDTH, TileId, Verifier, leaf_hash};
use std::path::{Path, PathBuf};

const WIDTH: usize = TILE_WIDTH as usize;

/// A log's published files, read-only.
pub struct LogFiles {
    /// The log's directory.
    pub dir: PathBuf,
    /// The verified checkpoint.
    pub checkpoint: Checkpoint,
    /// Its signed text.
    pub note: String,
}

impl LogFiles {
    /// Reads and verifies the checkpoint; everything else is read when asked for.
    pub fn open(dir: &Path, verifier: &Verifier) -> Result<Self, AuditError> {
        let checkpoint = load_checkpoint(dir, verifier)?;
        let path = dir.join(files::CHECKPOINT);
        let io = |source| AuditError::Io { path: path.clone(), source };
        let note = files::read(&path, FILE_BYTES_MAX).map_err(io)?.unwrap_or_default();
        // Read twice, and the service may publish in between: what counts is the one kept here.
        let checkpoint = Checkpoint::verify(&note, verifier).unwrap_or(checkpoint);
        Ok(Self { dir: dir.to_owned(), checkpoint, note: String::from_utf8_lossy(&note).into_owned() })
    }

    /// Number of entry bundles, the partial one included.
    pub fn bundles(&self) -> u64 {
        self.checkpoint.size.div_ceil(TILE_WIDTH)
    }

    /// Entries in a bundle.
    pub fn width(&self, bundle: u64) -> u64 {
        (self.checkpoint.size - bundle * TILE_WIDTH).min(TILE_WIDTH)
    }

    /// Reads a file; `None` when it is not there.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AuditError> {
        let path = self.dir.join(name);
        files::read(&path, FILE_BYTES_MAX).map_err(|source| AuditError::Io { path, source })
    }

    /// A tile as the checkpoint needs it, from the fuller file when a publication has replaced the partial one meanwhile.
    pub fn tile(&self, tile: TileId) -> Result<Vec<Hash>, AuditError> {
        if let Some(bytes) = self.read(&tile.path())? {
            return Ok(tile.parse(&bytes).map_err(|error| Damage::new(tile.path(), error.to_string()))?);
        }
        let missing = || Damage::new(tile.path(), "it is missing");
        let full = TileId::new(tile.level(), tile.index(), TILE_WIDTH).map_err(|_| missing())?;
        let bytes = self.read(&full.path())?.filter(|_| tile.is_partial()).ok_or_else(missing)?;
        let mut hashes = full.parse(&bytes).map_err(|error| Damage::new(full.path(), error.to_string()))?;
        hashes.truncate(usize::try_from(tile.width()).unwrap_or(WIDTH));
        Ok(hashes)
    }

    /// The entries of a bundle.
    pub fn bundle(&self, bundle: u64) -> Result<Vec<Vec<u8>>, AuditError> {
        let width = self.width(bundle);
        let mut name = entries_path(bundle, width);
        let mut bytes = self.read(&name)?;
        if bytes.is_none() && width < TILE_WIDTH {
            name = entries_path(bundle, TILE_WIDTH);
            bytes = self.read(&name)?;
        }
        let bytes = bytes.ok_or_else(|| Damage::new(entries_path(bundle, width), "it is missing"))?;
        let entries = parse_entries(&bytes, WIDTH).map_err(|error| Damage::new(&name, error.to_string()))?;
        let wanted = usize::try_from(width).unwrap_or(WIDTH);
        let exact = name == entries_path(bundle, width);
        if entries.len() < wanted || (exact && entries.len() != wanted) {
            return Err(
                Damage::new(name, format!("it has {} entries instead of {width}", entries.len())).into()
            );
        }
        Ok(entries.into_iter().take(wanted).map(<[u8]>::to_vec).collect())
    }

    /// The entries of a bundle, each checked against its leaf hash.
    pub fn checked_bundle(&self, bundle: u64) -> Result<Vec<Vec<u8>>, AuditError> {
        let entries = self.bundle(bundle)?;
        let missing = || Damage::new(files::TILES, "a leaf tile is missing");
        let tile = TileId::new(0, bundle, self.width(bundle)).map_err(|_| missing())?;
        let leaves: Vec<Hash> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        if self.tile(tile)? != leaves {
            return Err(Damage::new(
                entries_path(bundle, tile.width()),
                "its entries do not fit their leaf hashes",
            )
            .into());
        }
        Ok(entries)
    }
}
