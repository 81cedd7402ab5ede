//! Schema steps, in order, each applied once and in one transaction with its note in `schema_history`.
//!
//! A step that has been released is never edited: the digest of each applied step is kept and compared.

use std::path::Path;

use domain::Digest;
use sqlx::{AnyConnection, Row};

use super::dialect::{self, store_error};
use super::{StoreError, sql};

/// The steps: number, name, text.
const STEPS: &[(i64, &str, &str)] = &[(1, "first", include_str!("../../migrations/0001_first.sql"))];

/// The newest schema this program knows.
pub const SCHEMA_VERSION: i64 = STEPS[STEPS.len() - 1].0;

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS schema_history \
    (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, program TEXT NOT NULL)";

/// What the file is, found without changing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing in it.
    Empty,
    /// Ours, this many steps applied.
    Steps(usize),
}

/// Compares what was applied with what this program has.
///
/// # Errors
/// When the database is another program's, newer, or was made by other steps.
pub(crate) async fn inspect(conn: &mut AnyConnection, path: &Path) -> Result<Found, StoreError> {
    let failed = |e| store_error(path, e);
    let tables = dialect::tables(conn).await.map_err(failed)?;
    if tables.is_empty() {
        return Ok(Found::Empty);
    }
    if !tables.iter().any(|name| name == "schema_history") {
        return Err(StoreError::NotADatabase(path.to_owned()));
    }
    let rows = sql("SELECT version, digest FROM schema_history ORDER BY version LIMIT 10000")
        .fetch_all(conn)
        .await
        .map_err(failed)?;
    let mut applied = 0;
    for row in &rows {
        let version: i64 = row.try_get("version").map_err(failed)?;
        let digest: String = row.try_get("digest").map_err(failed)?;
        if version > SCHEMA_VERSION {
            let newest: i64 = rows.last().and_then(|r| r.try_get("version").ok()).unwrap_or(version);
            return Err(StoreError::Newer { path: path.to_owned(), found: newest, known: SCHEMA_VERSION });
        }
        let ours = STEPS.get(applied).filter(|(number, ..)| *number == version);
        if ours.is_none_or(|(_, _, text)| Digest::of(text.as_bytes()).to_string() != digest) {
            return Err(StoreError::OtherSchema { path: path.to_owned(), version });
        }
        applied += 1;
    }
    Ok(Found::Steps(applied))
}

/// Applies what is missing.
pub(crate) async fn apply(conn: &mut AnyConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| store_error(path, e);
    sqlx::raw_sql(dialect::BEGIN_WRITE).execute(&mut *conn).await.map_err(failed)?;
    // Looked at again under the lock: another process may have started at the same moment.
    let applied = match inspect(conn, path).await? {
        Found::Empty => {
            sqlx::raw_sql(HISTORY).execute(&mut *conn).await.map_err(failed)?;
            0
        }
        Found::Steps(applied) => applied,
    };
    for (number, name, text) in STEPS.iter().skip(applied) {
        sqlx::raw_sql(dialect::ddl(text)).execute(&mut *conn).await.map_err(failed)?;
        sql("INSERT INTO schema_history (version, name, digest, program) VALUES ($1, $2, $3, $4)")
            .bind(*number)
            .bind(*name)
            .bind(Digest::of(text.as_bytes()).to_string())
            .bind(env!("CARGO_PKG_VERSION"))
            .execute(&mut *conn)
            .await
            .map_err(failed)?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut *conn).await.map_err(failed)?;
    Ok(())
}
