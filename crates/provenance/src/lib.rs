//! Who signed a model, and is it still that model: OpenSSF Model Signing v1.0.
//!
//! A signature is a Sigstore bundle with a DSSE envelope around an in-toto statement that lists the digest of every
//! file. Reading one goes in three steps, and none can be skipped:
//!
//! 1. [`Bundle::parse`] reads the file under limits; nothing in it is believed.
//! 2. [`Bundle::verify`] checks it against what the caller trusts ([`Trust`]) and gives out the list ([`Attested`]).
//! 3. [`Attested::plan`] says what has to be hashed, the caller hashes it ([`hash_piece`], on as many threads as it
//!    likes), and [`CheckPlan::report`] names every difference by file ([`Report`]).
//!
//! Signing is [`SigningPlan`], then [`sign_with_key`] or [`sign_with_certificates`] with any [`Signer`].
//!
//! This crate opens no file, starts no thread, reads no clock and draws no randomness: the caller lists and reads the
//! folder, says what time it is, and brings keys and roots. `docs/signing.md` is the user's page.

mod bundle;
mod cache;
mod certificate;
mod chain;
mod checks;
mod compare;
mod difference;
mod error;
mod hash;
mod json;
mod key;
pub mod limits;
mod listing;
mod manifest;
mod name;
mod nonce;
mod pem;
mod plan;
mod private;
mod rekor;
mod sign;
mod sigstore;
mod statement;
mod timestamp;
mod trusted_root;
mod verify;

pub use bundle::{Bundle, BundleMethod};
pub use cache::DigestCache;
pub use certificate::Certificate;
pub use checks::ENTRIES;
pub use compare::{CheckOptions, CheckPlan, Report, Strictness};
pub use difference::Difference;
pub use error::{SignError, SignatureError};
pub use hash::{ContentDigest, ContentHasher, HashAlgorithm, HashError, hash_piece};
pub use key::{Curve, PublicKey};
pub use listing::{EntryKind, LinkPolicy, Listing, ListingError, Stamp, TreeEntry};
pub use manifest::{IGNORED_BY_DEFAULT, Manifest, Method, Resource, SHARD_BYTES_DEFAULT};
pub use name::name_problem;
pub use plan::{Piece, SignOptions, SigningPlan, largest_first};
pub use private::{PrivateKey, Signer};
pub use sign::{sign_with_certificates, sign_with_key};
pub use sigstore::{Identity, TrustedRoot};
pub use verify::{Attested, Legacy, SignedBy, Trust};
