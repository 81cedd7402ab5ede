//! Entry bundles of c2sp.org/tlog-tiles: up to 256 entries, each behind its length as a big-endian uint16.

use crate::tile::TILE_WIDTH;

/// Largest entry, in bytes: the length prefix has 16 bits.
pub const ENTRY_BYTES_MAX: usize = u16::MAX as usize;
/// Largest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);

/// Why a bundle or an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The entry does not fit its length prefix.
    #[error("entry of {0} bytes is larger than 65535; log a digest of the content instead")]
    EntryTooLarge(usize),
    /// The bytes end inside a length prefix or an entry.
    #[error("entries end in the middle of entry {0}; the file was cut short or changed")]
    Truncated(usize),
    /// There are more entries than asked for.
    #[error("more than {0} entries; the file was changed")]
    TooMany(usize),
}

/// Appends one entry, with its length in front, to `out`.
///
/// # Errors
/// [`BundleError::EntryTooLarge`] above [`ENTRY_BYTES_MAX`]; `out` is then unchanged.
pub fn push_entry(out: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLarge(entry.len()))?;
    out.reserve(2 + entry.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(entry);
    Ok(())
}

/// Splits length-prefixed entries without copying them. At most `entries_max` are read.
///
/// # Errors
/// [`BundleError::Truncated`] and [`BundleError::TooMany`].
pub fn parse_entries(bytes: &[u8], entries_max: usize) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        if entries.len() == entries_max {
            return Err(BundleError::TooMany(entries_max));
        }
        let truncated = BundleError::Truncated(entries.len());
        let (length, body) = rest.split_first_chunk::<2>().ok_or(truncated.clone())?;
        let (entry, after) =
            body.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(truncated)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back() {
        let mut bytes = Vec::new();
        for entry in [&b""[..], b"a", &[7; ENTRY_BYTES_MAX]] {
            push_entry(&mut bytes, entry).unwrap();
        }
        assert_eq!(parse_entries(&bytes, 3).unwrap(), [&b""[..], b"a", &[7; ENTRY_BYTES_MAX]]);
        assert_eq!(parse_entries(&bytes, 2), Err(BundleError::TooMany(2)));
        assert_eq!(parse_entries(&bytes[..bytes.len() - 1], 3), Err(BundleError::Truncated(2)));
        assert_eq!(parse_entries(&bytes[..1], 3), Err(BundleError::Truncated(0)));
    }

    #[test]
    fn an_entry_of_one_byte_too_many_is_refused() {
        let mut out = vec![1];
        assert_eq!(
            push_entry(&mut out, &[0; ENTRY_BYTES_MAX + 1]),
            Err(BundleError::EntryTooLarge(ENTRY_BYTES_MAX + 1))
        );
        assert_eq!(out, [1]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_read_is_written_the_same(bytes in proptest::collection::vec(0u8..4, 0..200)) {
            if let Ok(entries) = parse_entries(&bytes, 256) {
                let mut again = Vec::new();
                entries.iter().for_each(|entry| push_entry(&mut again, entry).unwrap());
                proptest::prop_assert_eq!(again, bytes);
            }
        }
    }
}
