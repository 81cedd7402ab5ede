//! The tiles at the right edge of a growing log, in memory, until they are on disk.

use crate::hash::{Hash, subtree_root};
use crate::proof::TileReader;
use crate::tile::{LEVEL_MAX, TILE_WIDTH, TileId, hashes_at_level};

/// Width of a tile as an index.
const WIDTH: usize = TILE_WIDTH as usize;

#[derive(Clone, Debug, Default)]
struct Level {
    /// Position in the level of the first hash kept, a multiple of 256.
    first: u64,
    hashes: Vec<Hash>,
}

/// Hashes of every level from some tile onwards. Grows with [`push`](Self::push), shrinks with
/// [`forget_before`](Self::forget_before) once full tiles are on disk.
#[derive(Clone, Debug, Default)]
pub struct EdgeTiles {
    levels: Vec<Level>,
    size: u64,
}

impl EdgeTiles {
    /// The edge of the empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a log of `size` entries, from its partial tiles as `read` returns them.
    ///
    /// # Errors
    /// What `read` says, or a text when a tile has the wrong number of hashes.
    pub fn from_partial_tiles<E: From<String>>(
        size: u64,
        mut read: impl FnMut(TileId) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        let mut edge = Self { levels: Vec::new(), size };
        for level in 0..=LEVEL_MAX {
            let count = hashes_at_level(level, size);
            if count == 0 {
                break;
            }
            let mut kept = Level { first: count - count % TILE_WIDTH, hashes: Vec::new() };
            if let Ok(tile) = TileId::new(level, count / TILE_WIDTH, count % TILE_WIDTH) {
                kept.hashes = read(tile)?;
                if kept.hashes.len() as u64 != tile.width() {
                    return Err(format!("tile `{}` has {} hashes", tile.path(), kept.hashes.len()).into());
                }
            }
            edge.levels.push(kept);
        }
        Ok(edge)
    }

    /// Number of entries.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds the leaf hash of the next entry; a tile that becomes full adds its root to the level above.
    pub fn push(&mut self, leaf: Hash) {
        self.size = self.size.saturating_add(1);
        let mut hash = leaf;
        for at in 0..=usize::from(LEVEL_MAX) {
            if self.levels.len() == at {
                self.levels.push(Level::default());
            }
            let Some(level) = self.levels.get_mut(at) else { return };
            level.hashes.push(hash);
            if level.hashes.len() % WIDTH != 0 {
                return;
            }
            let full = level.hashes.len().checked_sub(WIDTH).and_then(|from| level.hashes.get(from..));
            let Some(root) = full.and_then(subtree_root) else { return };
            hash = root;
        }
    }

    /// Drops every tile that is full in a log of `size` entries. Partial ones at that size stay.
    pub fn forget_before(&mut self, size: u64) {
        for (number, level) in (0u8..).zip(self.levels.iter_mut()) {
            let count = hashes_at_level(number, size);
            let keep_from = count - count % TILE_WIDTH;
            let drop = usize::try_from(keep_from.saturating_sub(level.first)).unwrap_or(usize::MAX);
            level.hashes.drain(..drop.min(level.hashes.len()));
            level.first = level.first.max(keep_from);
        }
    }

    /// The first hashes of a tile, as many as its width; `None` when some of them are not kept here.
    pub fn tile(&self, tile: TileId) -> Option<&[Hash]> {
        let level = self.levels.get(usize::from(tile.level()))?;
        let at = tile.index().checked_mul(TILE_WIDTH)?.checked_sub(level.first)?;
        let at = usize::try_from(at).ok()?;
        level.hashes.get(at..at.checked_add(usize::try_from(tile.width()).ok()?)?)
    }
}

impl TileReader for EdgeTiles {
    fn read_tile(&self, tile: TileId) -> Result<Vec<Hash>, String> {
        self.tile(tile)
            .map(<[Hash]>::to_vec)
            .ok_or_else(|| format!("tile `{}` is not in memory", tile.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use crate::proof::root_at;
    use crate::tile::partial_tiles;

    #[test]
    fn an_edge_rebuilt_from_partial_tiles_grows_like_the_original() {
        for cut in [0u64, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000] {
            let mut whole = EdgeTiles::new();
            (0..cut).for_each(|i| whole.push(leaf_hash(&i.to_be_bytes())));
            let mut rebuilt = EdgeTiles::from_partial_tiles(cut, |tile| whole.read_tile(tile)).unwrap();
            let mut forgetful = whole.clone();
            forgetful.forget_before(cut);
            for i in cut..cut + 600 {
                for edge in [&mut whole, &mut rebuilt, &mut forgetful] {
                    edge.push(leaf_hash(&i.to_be_bytes()));
                }
            }
            for tile in partial_tiles(cut + 600) {
                assert_eq!(rebuilt.tile(tile), whole.tile(tile), "{cut}");
                assert_eq!(forgetful.tile(tile), whole.tile(tile), "{cut}");
            }
            assert!(root_at(&whole, cut + 600).is_ok());
        }
    }

    #[test]
    fn forgetting_keeps_memory_flat() {
        let mut edge = EdgeTiles::new();
        for i in 0..200_000u64 {
            edge.push(leaf_hash(&i.to_be_bytes()));
            edge.forget_before(i + 1);
        }
        assert!(edge.levels.iter().all(|level| level.hashes.len() < WIDTH));
        assert_eq!(edge.tile(TileId::new(0, 0, 256).unwrap()), None);
    }
}
