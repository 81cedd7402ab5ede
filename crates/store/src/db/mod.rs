//! The state database: what the program must remember beside the ledger. One SQLite file; PostgreSQL can follow.
//!
//! **The ledger is the proof, this is the memory.** Everything that must be provable is in the ledger; most of what is here
//! could be made again from it. No patient's value has a column.
//!
//! One connection writes, few read: SQLite has one writer at a time anyway, and a queue in front of it is fairer than retries.
//! A write that returned `Ok` is on disk. All queries are constant text with `$1` parameters, in the common subset of SQLite
//! and PostgreSQL; what differs is in `dialect.rs`. Each other file is one family of tables.

mod acceptances;
mod alarms;
mod anchor;
mod budget;
mod config_loads;
mod decisions;
mod dialect;
mod error;
mod evidence;
mod flags;
mod histories;
mod keys;
mod meta;
mod migrate;
mod quarantine;
mod row;
mod sign_in;
mod system_state;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{Any, AnyArguments, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{AnyConnection, AnyPool, Connection as _};

pub use acceptances::{ACCEPTANCES_MAX, StoredAcceptance};
pub use alarms::{ALARM_MESSAGE_BYTES_MAX, Alarm, NewAlarm, Raised};
pub use anchor::Anchor;
pub use budget::BUDGET_CLIENTS_MAX;
pub use config_loads::ConfigLoad;
pub use decisions::{DECISION_BATCH_MAX, DecisionFilter, DecisionRow, Traffic};
pub use error::StoreError;
pub use evidence::{EVIDENCE_LATEST_MAX, StoredEvidence};
pub use flags::{FLAG_REASON_CHARS_MAX, Flag};
pub use histories::HISTORY_BYTES_MAX;
pub use meta::{META_NAME_BYTES_MAX, META_VALUE_BYTES_MAX};
pub use migrate::SCHEMA_VERSION;
pub use quarantine::{QUARANTINES_MAX, Quarantine};
pub use row::JSON_BYTES_MAX;
pub use system_state::{SYSTEMS_MAX, SystemState};
pub use versions::{NewVersion, SETTINGS_BYTES_MAX, Version, VersionStatus};

/// Most rows on one page of any list.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// Longest free text (a reason, a name of a person), in characters.
pub const REASON_CHARS_MAX: usize = 2_000;

/// Connections that read.
const READERS: u32 = 4;

/// How the database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DbOptions {
    /// How long a write waits for another process, in milliseconds.
    pub busy_ms: u32,
    /// Most pages of 4 KiB the file may grow to; none means until the disk is full.
    pub pages_max: Option<u32>,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self { busy_ms: 5_000, pages_max: None }
    }
}

/// The open state database. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct Db {
    path: Arc<Path>,
    writer: AnyPool,
    readers: AnyPool,
}

/// A query with constant text.
pub(crate) fn sql(text: &'static str) -> Query<'static, Any, AnyArguments> {
    sqlx::query(text)
}

impl Db {
    /// Opens the database at `path`, or makes it; its folder must exist. The file is checked before anything is written to it.
    ///
    /// # Errors
    /// See [`StoreError`]: a missing or read-only folder, a file that is damaged, newer or not ours, or locked.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, DbOptions::default()).await
    }

    /// Opens with other options.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open_with(path: &Path, options: DbOptions) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let path: PathBuf = dialect::prepare_file(path)?;
        let connect = dialect::connect_options(&path)?;
        let failed = |e| dialect::store_error(&path, e);

        let mut first = AnyConnection::connect_with(&connect).await.map_err(failed)?;
        let looked = Self::look(&mut first, &path, options).await;
        first.close().await.map_err(failed)?;
        looked?;

        let pool = |connections: u32| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .acquire_timeout(Duration::from_millis(u64::from(options.busy_ms)) + Duration::from_secs(10))
        };
        let writer = pool(1)
            .after_connect(move |conn, _| Box::pin(dialect::set_up(conn, options)))
            .connect_with(connect.clone())
            .await
            .map_err(failed)?;
        let readers = pool(READERS)
            .after_connect(move |conn, _| {
                Box::pin(async move {
                    dialect::set_up(conn, options).await?;
                    dialect::read_only(conn).await
                })
            })
            .connect_lazy_with(connect);
        let db = Self { path: path.into(), writer, readers };
        let mut conn = db.writer.acquire().await.map_err(|e| db.failed(e))?;
        if let Err(error) = migrate::apply(&mut conn, &db.path).await {
            // A transaction may be open: end it with the connection.
            conn.close().await.map_err(|e| db.failed(e))?;
            return Err(error);
        }
        drop(conn);
        Ok(db)
    }

    /// Looks at the file without changing it.
    async fn look(conn: &mut AnyConnection, path: &Path, options: DbOptions) -> Result<(), StoreError> {
        let failed = |e| dialect::store_error(path, e);
        dialect::set_patience(conn, options).await.map_err(failed)?;
        let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
        if bytes > dialect::CHECKED_BYTES_MAX {
            tracing::warn!(bytes, "the state database is too large to be checked at start");
        } else if let Some(damage) = dialect::first_damage(conn).await.map_err(failed)? {
            return Err(StoreError::damaged(path, damage));
        }
        migrate::inspect(conn, path).await.map(|_| ())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the structure of every page, whatever the size.
    ///
    /// # Errors
    /// `Damaged` with the first thing found.
    pub async fn check(&self) -> Result<(), StoreError> {
        let mut conn = self.readers.acquire().await.map_err(|e| self.failed(e))?;
        match dialect::first_damage(&mut conn).await.map_err(|e| self.failed(e))? {
            Some(damage) => Err(StoreError::damaged(&self.path, damage)),
            None => Ok(()),
        }
    }

    /// Waits for running queries and closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn failed(&self, error: sqlx::Error) -> StoreError {
        dialect::store_error(&self.path, error)
    }

    pub(crate) const fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// Begins a write.
    pub(crate) async fn begin(&self) -> Result<WriteTx, StoreError> {
        let conn = self.writer.acquire().await.map_err(|e| self.failed(e))?;
        // From here on a cancelled task closes the connection: SQLite may have begun although nobody heard of it.
        let mut tx = WriteTx { conn, db: self.clone(), done: false };
        if let Err(error) = sql(dialect::BEGIN_WRITE).execute(&mut *tx.conn).await {
            let error = self.failed(error);
            tx.done = matches!(error, StoreError::Locked(_));
            return Err(error);
        }
        Ok(tx)
    }

    /// One statement that writes, durable when this returns. The number of rows it changed.
    pub(crate) async fn write(&self, query: Query<'static, Any, AnyArguments>) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let done = tx.run(query).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Rows of a query.
    pub(crate) async fn read(
        &self,
        query: Query<'static, Any, AnyArguments>,
    ) -> Result<Vec<sqlx::any::AnyRow>, StoreError> {
        query.fetch_all(self.readers()).await.map_err(|e| self.failed(e))
    }
}

/// An open write. Dropped without a commit, its connection is closed, which undoes it whatever state an error or a cancelled
/// task left it in (after a full disk SQLite may or may not have undone it already); the pool opens another.
pub(crate) struct WriteTx {
    conn: PoolConnection<Any>,
    db: Db,
    done: bool,
}

impl WriteTx {
    /// Runs a statement; the number of rows it changed.
    pub(crate) async fn run(&mut self, query: Query<'static, Any, AnyArguments>) -> Result<u64, StoreError> {
        let result = query.execute(&mut *self.conn).await.map_err(|e| self.db.failed(e))?;
        Ok(result.rows_affected())
    }

    /// Rows of a query, also of one with `RETURNING`.
    pub(crate) async fn rows(
        &mut self,
        query: Query<'static, Any, AnyArguments>,
    ) -> Result<Vec<sqlx::any::AnyRow>, StoreError> {
        query.fetch_all(&mut *self.conn).await.map_err(|e| self.db.failed(e))
    }

    /// Makes it durable.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        sql("COMMIT").execute(&mut *self.conn).await.map_err(|e| self.db.failed(e))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for WriteTx {
    fn drop(&mut self) {
        if !self.done {
            self.conn.close_on_drop();
        }
    }
}

/// A page's length, at least 1 and at most [`PAGE_ROWS_MAX`].
pub(crate) fn page(limit: u32) -> i64 {
    i64::from(limit.clamp(1, PAGE_ROWS_MAX))
}

/// Refuses a free text that is too long.
pub(crate) fn reason(what: &'static str, text: &str) -> Result<(), StoreError> {
    let found = text.chars().count();
    if found > REASON_CHARS_MAX {
        return Err(StoreError::TooLarge { what, found, max: REASON_CHARS_MAX });
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod testing {
    //! A database in a folder that goes away with the test.

    use domain::Timestamp;
    use tempfile::TempDir;

    use super::Db;

    pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_440_000_000);

    pub(crate) async fn fresh() -> (TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("state.db")).await.unwrap();
        (folder, db)
    }
}
