//! Tiles, entry bundles and their paths, as a mirror or a damaged disk may hand them to us.
#![no_main]

use ledger::{TileId, bundle, tile};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(path) = tile::LayoutPath::parse(text)
    {
        assert_eq!(path.path(), text, "a path has one spelling");
    }
    if let Ok(entries) = bundle::parse_entries(bytes, 256) {
        let mut again = Vec::new();
        for entry in entries {
            bundle::push_entry(&mut again, entry).expect("an entry that was read can be written");
        }
        assert_eq!(again, bytes, "a bundle survives");
    }
    let Some(([level, index, width], rest)) = bytes.split_first_chunk::<3>() else { return };
    if let Ok(id) = TileId::new(*level, u64::from(*index), u64::from(*width))
        && let Ok(hashes) = id.parse(rest)
    {
        assert_eq!(tile::tile_bytes(&hashes), rest, "a tile survives");
    }
});
