//! What the application does around this crate: walks a folder, reads its files on threads, and hands the results in.
#![allow(dead_code, reason = "each test file and the bench use their own part")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "support of tests")]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use provenance::{
    Attested, CheckOptions, ContentDigest, DigestCache, EntryKind, HashAlgorithm, Listing, Manifest, Piece,
    Report, SignOptions, SigningPlan, Stamp, TreeEntry, hash_piece, largest_first,
};

/// Everything under `root` but folders. Folders are never entered through a link.
pub fn walk(root: &Path) -> io::Result<Listing> {
    let inside = root.canonicalize()?;
    let mut entries = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let meta = fs::symlink_metadata(&path)?;
            if meta.is_dir() {
                folders.push(path);
                continue;
            }
            entries.push(entry_of(root, &inside, &path, &meta));
        }
    }
    Listing::new(entries).map_err(io::Error::other)
}

fn entry_of(root: &Path, inside: &Path, path: &Path, meta: &fs::Metadata) -> TreeEntry {
    let relative = path.strip_prefix(root).unwrap_or(path);
    let name = relative.to_str().map(|n| n.replace(std::path::MAIN_SEPARATOR, "/"));
    let target = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    let (kind, meta) = match (&name, meta.is_symlink(), target) {
        (None, ..) => (EntryKind::Other("its name is no UTF-8".into()), None),
        (_, true, None) => (EntryKind::Other("a link to a folder or to nothing".into()), None),
        (_, true, Some(target)) => {
            let within = path.canonicalize().is_ok_and(|p| p.starts_with(inside));
            (if within { EntryKind::LinkInside } else { EntryKind::LinkOutside }, Some(target))
        }
        (_, false, _) if meta.is_file() => (EntryKind::File, Some(meta.clone())),
        _ => (EntryKind::Other("a socket, a pipe or a device".into()), None),
    };
    TreeEntry {
        path: name.unwrap_or_else(|| relative.to_string_lossy().into_owned()),
        kind,
        size: meta.as_ref().map_or(0, fs::Metadata::len),
        stamp: meta.as_ref().map(stamp),
    }
}

#[cfg(unix)]
fn stamp(meta: &fs::Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let ns = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Stamp {
        modified_ns: ns(meta.mtime(), meta.mtime_nsec()),
        changed_ns: ns(meta.ctime(), meta.ctime_nsec()),
        inode: meta.ino(),
    }
}

/// Hashes pieces on `threads` threads, the largest first; one result for each, in their order.
pub fn hash_all(
    root: &Path,
    pieces: &[Piece],
    algorithm: HashAlgorithm,
    threads: usize,
) -> Vec<Result<ContentDigest, String>> {
    let order = largest_first(pieces);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Err("it was not read".to_owned()); pieces.len()]);
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut buffer = Vec::new();
                while let Some(&i) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = hash_one(root, &pieces[i], algorithm, &mut buffer);
                    results.lock().unwrap()[i] = result;
                }
            });
        }
    });
    results.into_inner().unwrap()
}

fn hash_one(
    root: &Path,
    piece: &Piece,
    algorithm: HashAlgorithm,
    buffer: &mut Vec<u8>,
) -> Result<ContentDigest, String> {
    use std::os::unix::fs::FileExt as _;
    let file = File::open(root.join(piece.path())).map_err(|e| e.to_string())?;
    hash_piece(piece, algorithm, buffer, |at, into| file.read_at(into, at)).map_err(|e| e.to_string())
}

/// The manifest of a folder.
pub fn manifest(root: &Path, options: SignOptions, threads: usize) -> Manifest {
    let plan = SigningPlan::new(options, &walk(root).unwrap(), None).unwrap();
    plan.manifest(&digests(root, &plan, threads)).unwrap()
}

/// The digests that a plan asks for.
pub fn digests(root: &Path, plan: &SigningPlan, threads: usize) -> Vec<ContentDigest> {
    hash_all(root, plan.pieces(), plan.algorithm(), threads).into_iter().map(Result::unwrap).collect()
}

/// Nanoseconds since 1970 on the clock that stamps files.
pub fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

/// Signs again with a cache: manifest, next cache, and how many pieces had to be hashed.
pub fn again(
    root: &Path,
    options: SignOptions,
    cache: Option<&DigestCache>,
    now: i64,
) -> (Manifest, DigestCache, usize) {
    let plan = SigningPlan::new(options, &walk(root).unwrap(), cache).unwrap();
    let fresh = digests(root, &plan, 2);
    (plan.manifest(&fresh).unwrap(), plan.cache(&fresh, now).unwrap(), plan.pieces().len())
}

/// Compares a folder with what was signed.
pub fn compare(root: &Path, attested: &Attested, options: CheckOptions) -> Report {
    let plan = attested.plan(&walk(root).unwrap(), options);
    let results = hash_all(root, plan.pieces(), plan.algorithm(), 2);
    plan.report(&results)
}

/// The folder with the specification's vectors and fixtures, when it is there. Says so loudly when it is not.
pub fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("ASEPSIS_SHARED").map_or(beside, PathBuf::from);
    let folder = root.join("data/signing");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no test vectors at {} (set ASEPSIS_SHARED)", folder.display());
    None
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
