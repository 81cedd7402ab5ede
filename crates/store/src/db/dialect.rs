//! Everything that differs between database servers, in one file; the rest of `db` is common SQL. Today: SQLite.

use std::path::{Path, PathBuf};

use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Row};

use super::{DbOptions, StoreError};

/// Begins a transaction that will write. `IMMEDIATE` takes the write lock at once: a transaction that reads first and writes
/// later could otherwise find that another process wrote in between, and fail half-way.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Files larger than this are not checked page by page at every start (about a second per GiB); `Db::check` still does it.
pub(crate) const CHECKED_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// First bytes of every SQLite file (file format, section 1.3.1).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// SQLite's primary result codes (sqlite.org/rescode.html) that people can do something about.
mod code {
    pub(super) const PERM: i64 = 3;
    pub(super) const BUSY: i64 = 5;
    pub(super) const LOCKED: i64 = 6;
    pub(super) const READONLY: i64 = 8;
    pub(super) const CORRUPT: i64 = 11;
    pub(super) const FULL: i64 = 13;
    pub(super) const CANTOPEN: i64 = 14;
    pub(super) const NOTADB: i64 = 26;
    /// Extended: I/O error, short read: the file ends before a page does.
    pub(super) const IOERR_SHORT_READ: i64 = 522;
    /// Extended: I/O error, the file system says it is damaged.
    pub(super) const IOERR_CORRUPTFS: i64 = 8458;
}

/// How to connect to the file at `path`, which exists.
pub(crate) fn connect_options(path: &Path) -> Result<AnyConnectOptions, StoreError> {
    let text = path.to_str().ok_or_else(|| StoreError::Failed {
        path: path.to_owned(),
        detail: "the path is not UTF-8".to_owned(),
    })?;
    let mut url = String::from("sqlite://");
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => url.push(char::from(byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url.push_str("?mode=rw");
    url.parse().map_err(|e| store_error(path, e))
}

/// Makes the file, readable and writable by its owner only, if it is not there. An existing file must have the right first bytes.
pub(crate) fn prepare_file(path: &Path) -> Result<PathBuf, StoreError> {
    use std::io::Read as _;
    let name = path.file_name().ok_or_else(|| StoreError::NoDirectory(path.to_owned()))?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = parent.canonicalize().map_err(|_| StoreError::NoDirectory(path.to_owned()))?;
    let path = folder.join(name);
    let failed = |e: std::io::Error| io_error(&path, &e);
    match create_private(&path) {
        Ok(file) => {
            file.sync_all().map_err(failed)?;
            std::fs::File::open(&folder).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
            let mut first = [0; 16];
            let length = file.metadata().map_err(failed)?.len();
            // An empty file is what a crash between creating and filling leaves.
            if length > 0 && (file.read_exact(&mut first).is_err() || &first != MAGIC) {
                return Err(StoreError::NotADatabase(path));
            }
        }
        Err(e) => return Err(failed(e)),
    }
    Ok(path)
}

fn create_private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn io_error(path: &Path, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::IsADirectory => {
            StoreError::ReadOnly(path.to_owned())
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(path.to_owned()),
        _ => StoreError::Failed { path: path.to_owned(), detail: error.to_string() },
    }
}

/// What a fresh connection is told. `FULL` makes a commit wait for the disk, so an acknowledged write survives a power cut.
pub(crate) async fn set_up(conn: &mut AnyConnection, options: DbOptions) -> Result<(), sqlx::Error> {
    let mut text = format!(
        "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 67108864;",
        options.busy_ms
    );
    if let Some(pages) = options.pages_max {
        text.push_str(&format!(" PRAGMA max_page_count = {pages};"));
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(conn).await.map(|_| ())
}

/// Waits at most so long for another process before the first check.
pub(crate) async fn set_patience(conn: &mut AnyConnection, options: DbOptions) -> Result<(), sqlx::Error> {
    let text = format!("PRAGMA busy_timeout = {};", options.busy_ms);
    sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(conn).await.map(|_| ())
}

/// Makes a connection refuse to write.
pub(crate) async fn read_only(conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("PRAGMA query_only = ON;").execute(conn).await.map(|_| ())
}

/// Names of up to 100 tables.
pub(crate) async fn tables(conn: &mut AnyConnection) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name LIMIT 100")
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| row.try_get("name")).collect()
}

/// Looks at the structure of every page; `None` when all is well, else the first thing that is wrong.
pub(crate) async fn first_damage(conn: &mut AnyConnection) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query("PRAGMA quick_check(1)").fetch_one(conn).await?;
    let answer: String = row.try_get(0)?;
    Ok((answer != "ok").then_some(answer))
}

/// A schema step in this server's words. SQLite takes the common form as it is.
pub(crate) const fn ddl(common: &'static str) -> &'static str {
    common
}

/// What an error of the driver means for people.
pub(crate) fn store_error(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let detail = |e: &sqlx::Error| e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::Locked(path),
        sqlx::Error::Database(e) if e.is_unique_violation() => {
            StoreError::Refused("an entry of this name exists already: choose another name".to_owned())
        }
        sqlx::Error::Database(e) => {
            let extended: i64 = e.code().and_then(|c| c.parse().ok()).unwrap_or(0);
            match (extended, extended & 0xff) {
                (code::IOERR_SHORT_READ | code::IOERR_CORRUPTFS, _) | (_, code::CORRUPT) => {
                    StoreError::damaged(&path, e.message())
                }
                (_, code::BUSY | code::LOCKED) => StoreError::Locked(path),
                (_, code::READONLY | code::CANTOPEN | code::PERM) => StoreError::ReadOnly(path),
                (_, code::FULL) => StoreError::Full(path),
                (_, code::NOTADB) => StoreError::NotADatabase(path),
                _ => StoreError::Failed { path, detail: detail(&error) },
            }
        }
        _ => StoreError::Failed { path, detail: detail(&error) },
    }
}
