//! Tile coordinates and paths of c2sp.org/tlog-tiles: tile height 8, three-digit path elements.
//!
//! A tile at level L and index N holds up to 256 consecutive hashes, each the root of 256^L entries.

use crate::hash::{HASH_BYTES, Hash};

/// Levels of the binary tree in one tile.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;
/// Highest level a tree of fewer than 2^64 entries can have. The specification's own bound, 63, leaves room for larger trees.
pub const LEVEL_MAX: u8 = 7;
/// Longest path text that is read: 8 path elements of 5 characters and the rest around them.
pub const PATH_BYTES_MAX: usize = 64;
/// File name of the signed checkpoint.
pub const CHECKPOINT_PATH: &str = "checkpoint";

/// Why a tile or a path cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The text is not a path of this layout.
    #[error(
        "`{0}` is not a tile path; expected `tile/LEVEL/INDEX` or `tile/entries/INDEX`, partial ones with `.p/WIDTH`"
    )]
    Path(String),
    /// The level is above [`LEVEL_MAX`] or the width outside 1..=256.
    #[error("tile level {level} or width {width} is out of range; levels are 0 to 7, widths 1 to 256")]
    Range {
        /// Level asked for.
        level: u8,
        /// Width asked for.
        width: u64,
    },
    /// The file has the wrong number of bytes.
    #[error("tile `{path}` has {found} bytes instead of {expected}; restore the file from a copy")]
    Length {
        /// Path of the tile.
        path: String,
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        found: usize,
    },
}

/// Where a file of the layout belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayoutPath {
    /// A tile of hashes.
    Tile(TileId),
    /// A bundle of entries: index of the bundle, number of entries in it (1..=256).
    Entries {
        /// Index of the bundle.
        index: u64,
        /// Entries in it, 1..=256.
        width: u64,
    },
}

/// A tile of hashes: its level, its index in the level, and how many hashes it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u64,
}

impl TileId {
    /// A tile with checked level (0..=7) and width (1..=256).
    ///
    /// # Errors
    /// [`LayoutError::Range`].
    pub fn new(level: u8, index: u64, width: u64) -> Result<Self, LayoutError> {
        if level > LEVEL_MAX || width == 0 || width > TILE_WIDTH {
            return Err(LayoutError::Range { level, width });
        }
        Ok(Self { level, index, width })
    }

    /// The tile `index` of `level` as it is in a tree of `size` entries; `None` when it does not exist there.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let first = index.checked_mul(TILE_WIDTH)?;
        let width = hashes_at_level(level, size).checked_sub(first)?.min(TILE_WIDTH);
        Self::new(level, index, width).ok()
    }

    /// Level, 0..=7.
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Index in the level.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Hashes held, 1..=256.
    pub const fn width(&self) -> u64 {
        self.width
    }

    /// Whether it holds fewer than 256 hashes.
    pub const fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Its path below the log's directory, such as `tile/0/x001/234.p/5`.
    pub fn path(&self) -> String {
        format!("tile/{}/{}{}", self.level, index_path(self.index), partial_suffix(self.width))
    }

    /// Splits the bytes of this tile's file into its hashes.
    ///
    /// # Errors
    /// [`LayoutError::Length`] unless there are exactly `width` times 32 bytes.
    pub fn parse(&self, bytes: &[u8]) -> Result<Vec<Hash>, LayoutError> {
        let expected = usize::try_from(self.width).unwrap_or(usize::MAX).saturating_mul(HASH_BYTES);
        if bytes.len() != expected {
            return Err(LayoutError::Length { path: self.path(), expected, found: bytes.len() });
        }
        Ok(bytes.chunks_exact(HASH_BYTES).filter_map(Hash::from_slice).collect())
    }
}

/// The bytes of a tile's file.
pub fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// How many hashes level `level` holds in a tree of `size` entries: floor(size / 256^level).
pub fn hashes_at_level(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * TILE_HEIGHT).unwrap_or(0)
}

/// The partial tiles a checkpoint of `size` needs, lowest level first: at most one a level.
pub fn partial_tiles(size: u64) -> Vec<TileId> {
    (0..=LEVEL_MAX)
        .filter_map(|level| {
            let count = hashes_at_level(level, size);
            TileId::new(level, count / TILE_WIDTH, count % TILE_WIDTH).ok()
        })
        .collect()
}

/// Path of the entry bundle `index` holding `width` entries (256 for a full one), such as `tile/entries/x001/234`.
pub fn entries_path(index: u64, width: u64) -> String {
    format!("tile/entries/{}{}", index_path(index), partial_suffix(width))
}

impl LayoutPath {
    /// Reads a path, strictly: exactly what [`TileId::path`] and [`entries_path`] write.
    ///
    /// # Errors
    /// [`LayoutError::Path`] for anything else.
    pub fn parse(path: &str) -> Result<Self, LayoutError> {
        Self::parse_inner(path)
            .filter(|parsed| parsed.path() == path)
            .ok_or_else(|| LayoutError::Path(path.chars().take(PATH_BYTES_MAX).collect()))
    }

    /// The path itself.
    pub fn path(&self) -> String {
        match self {
            Self::Tile(tile) => tile.path(),
            Self::Entries { index, width } => entries_path(*index, *width),
        }
    }

    fn parse_inner(path: &str) -> Option<Self> {
        if path.len() > PATH_BYTES_MAX {
            return None;
        }
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (digits, width) = match rest.split_once(".p/") {
            Some((digits, width)) => (digits, width.parse::<u64>().ok().filter(|w| *w < TILE_WIDTH)?),
            None => (rest, TILE_WIDTH),
        };
        let mut index = 0u64;
        for element in digits.split('/') {
            let number = element.strip_prefix('x').unwrap_or(element).parse::<u64>().ok()?;
            index = index.checked_mul(1000)?.checked_add(number)?;
        }
        if level == "entries" {
            (width > 0).then_some(Self::Entries { index, width })
        } else {
            TileId::new(level.parse().ok()?, index, width).ok().map(Self::Tile)
        }
    }
}

fn partial_suffix(width: u64) -> String {
    if width == TILE_WIDTH { String::new() } else { format!(".p/{width}") }
}

fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(TileId::new(0, 1_234_067, 256).unwrap().path(), "tile/0/x001/x234/067");
        assert_eq!(TileId::new(0, 1_234, 5).unwrap().path(), "tile/0/x001/234.p/5");
        assert_eq!(entries_path(0, 256), "tile/entries/000");
        assert_eq!(entries_path(1_000, 8), "tile/entries/x001/000.p/8");
    }

    #[test]
    fn a_tree_of_70_000_has_the_tiles_the_specification_counts() {
        let partial: Vec<_> =
            partial_tiles(70_000).iter().map(|t| (t.level(), t.index(), t.width())).collect();
        assert_eq!(partial, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        assert_eq!(TileId::in_tree(1, 0, 70_000).unwrap().width(), 256);
        let at_256: Vec<_> = partial_tiles(256).iter().map(TileId::path).collect();
        assert_eq!(at_256, ["tile/1/000.p/1"]);
        assert_eq!(TileId::in_tree(0, 1, 256), None);
        assert!(partial_tiles(0).is_empty());
    }

    #[test]
    fn every_written_path_is_read_back() {
        for index in [0, 1, 999, 1000, 1_234_067, u64::MAX] {
            for width in [1, 255, 256] {
                for path in [
                    LayoutPath::Tile(TileId::new(7, index, width).unwrap()),
                    LayoutPath::Entries { index, width },
                ] {
                    assert_eq!(LayoutPath::parse(&path.path()), Ok(path));
                }
            }
        }
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/1",
            "tile/0/0001",
            "tile/00/001",
            "tile/8/001",
            "tile/0/001/002",
            "tile/0/x000/001",
            "tile/0/001.p/0",
            "tile/0/001.p/256",
            "tile/0/001.p/05",
            "tile/0/+01",
            "tile/-1/001",
            "tile/data/001",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/001.p/5.p/5",
            "tile/0/001 ",
            "/tile/0/001",
            "tile/entries/../../x",
        ] {
            assert!(LayoutPath::parse(path).is_err(), "{path}");
        }
        assert!(LayoutPath::parse(&format!("tile/0/{}001", "x000/".repeat(60))).is_err());
    }

    #[test]
    fn tile_files_have_exactly_their_width() {
        let tile = TileId::new(0, 0, 2).unwrap();
        assert!(tile.parse(&[0; 63]).is_err());
        assert!(tile.parse(&[0; 65]).is_err());
        assert_eq!(tile.parse(&[0; 64]).unwrap().len(), 2);
        assert!(TileId::new(8, 0, 1).is_err());
        assert!(TileId::new(0, 0, 257).is_err());
        assert!(TileId::new(0, 0, 0).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_path_panics_and_what_is_read_is_written_the_same(path in "(tile/)?([0-9]{1,3}|entries)(/x?[0-9]{2,4}){0,8}(\\.p/[0-9]{1,4})?") {
            if let Ok(read) = LayoutPath::parse(&path) {
                proptest::prop_assert_eq!(read.path(), path);
            }
        }
    }
}
