//! The most that a signature from outside may ask for. Each bound is far above what real signatures hold and far below
//! what would hurt.

/// Bytes of a signature file: 500,000 files with ordinary names take about 110 MiB.
pub const BUNDLE_BYTES_MAX: usize = 160 << 20;
/// Depth of nested JSON: an honest bundle has 8 levels.
pub const JSON_DEPTH_MAX: usize = 32;
/// Files or shards that one signature covers.
pub const RESOURCES_MAX: usize = 500_000;
/// Bytes of one name: what Linux takes for a path.
pub const NAME_BYTES_MAX: usize = 4_096;
/// Paths that a signature declares as not signed.
pub const IGNORED_PATHS_MAX: usize = 1_024;
/// Files, links and other things in a tree.
pub const TREE_ENTRIES_MAX: usize = 1_000_000;
/// Certificates in a chain or a bundle.
pub const CERTIFICATES_MAX: usize = 16;
/// Certificates in a file of trusted roots: a system's store has about 150.
pub const ROOTS_MAX: usize = 1_024;
/// Bytes of one certificate.
pub const CERTIFICATE_BYTES_MAX: usize = 64 << 10;
/// Signature checks while a chain is searched.
pub const CHAIN_CHECKS_MAX: usize = 128;
/// Entries of transparency logs in a bundle, and timestamps.
pub const LOG_ENTRIES_MAX: usize = 16;
/// Bytes of a trusted root file.
pub const TRUSTED_ROOT_BYTES_MAX: usize = 4 << 20;
/// Logs, authorities and signed certificate timestamps in one list.
pub const TRUSTED_PARTIES_MAX: usize = 256;
/// Bytes of a key or certificate file in PEM.
pub const PEM_BYTES_MAX: usize = 4 << 20;
/// Bytes read at once by [`hash_piece`](crate::hash_piece).
pub const CHUNK_BYTES: usize = 1 << 20;
/// Bytes of a digest cache.
pub const CACHE_BYTES_MAX: usize = 256 << 20;
