//! Tile paths, tiles and entry bundles from outside: no input panics, and what is read is written the same.
#![no_main]

use ledger::bundle::{parse_entries, push_entry};
use ledger::tile::{LayoutPath, TileId, tile_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entries) = parse_entries(bytes, 256) {
        let mut again = Vec::new();
        for entry in entries {
            assert!(push_entry(&mut again, entry).is_ok());
        }
        assert_eq!(again, bytes);
    }
    if let Ok(hashes) = TileId::new(0, 0, (bytes.len() / 32) as u64).and_then(|tile| tile.parse(bytes)) {
        assert_eq!(tile_bytes(&hashes), bytes);
    }
    if let Some(path) = std::str::from_utf8(bytes).ok().and_then(|text| LayoutPath::parse(text).ok()) {
        assert_eq!(path.path().as_bytes(), bytes);
    }
});
