//! What a guard remembers of past requests, saved so that a restart does not make it forget. The bytes are the guard's own.

use domain::{SystemId, Timestamp};

use super::error::bounded;
use super::row::Fields;
use super::{Db, StoreError, sql};

/// Largest snapshot, in bytes.
pub const HISTORY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Longest name of a guard's instance, in bytes.
const GUARD_BYTES_MAX: usize = 64;

impl Db {
    /// Saves the snapshot of a guard's instance; it replaces the one before.
    ///
    /// # Errors
    /// When it is too large or the database fails; then the one before stays.
    pub async fn save_history(
        &self,
        system: &SystemId,
        guard: &str,
        at: Timestamp,
        snapshot: &[u8],
    ) -> Result<(), StoreError> {
        bounded("the name of a guard", guard.as_bytes(), GUARD_BYTES_MAX)?;
        bounded("the history of a guard", snapshot, HISTORY_BYTES_MAX)?;
        let query = sql("INSERT INTO guard_history (system, guard, saved_at, snapshot) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (system, guard) DO UPDATE SET saved_at = excluded.saved_at, snapshot = excluded.snapshot")
        .bind(system.to_string())
        .bind(guard.to_owned())
        .bind(at.as_millis())
        .bind(snapshot.to_vec());
        self.write(query).await.map(|_| ())
    }

    /// The snapshot saved last, and when.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn history(
        &self,
        system: &SystemId,
        guard: &str,
    ) -> Result<Option<(Timestamp, Vec<u8>)>, StoreError> {
        let query = sql("SELECT saved_at, snapshot FROM guard_history WHERE system = $1 AND guard = $2")
            .bind(system.to_string())
            .bind(guard.to_owned());
        let rows = self.read(query).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let row = Fields::new("guard_history", row);
        Ok(Some((row.at("saved_at")?, row.blob("snapshot")?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn a_snapshot_is_replaced_as_a_whole_and_bounded() {
        let (_folder, db) = fresh().await;
        let a: SystemId = "a".parse().unwrap();
        assert_eq!(db.history(&a, "query-similarity").await.unwrap(), None);
        let bytes: Vec<u8> = (0..=255).cycle().take(HISTORY_BYTES_MAX).collect();
        db.save_history(&a, "query-similarity", NOW, &bytes).await.unwrap();
        assert_eq!(db.history(&a, "query-similarity").await.unwrap(), Some((NOW, bytes.clone())));
        let mut longer = bytes;
        longer.push(0);
        assert!(db.save_history(&a, "query-similarity", NOW, &longer).await.is_err());
        db.save_history(&a, "query-similarity", NOW.plus_days(1), &[]).await.unwrap();
        assert_eq!(db.history(&a, "query-similarity").await.unwrap(), Some((NOW.plus_days(1), vec![])));
        assert_eq!(db.history(&a, "extraction").await.unwrap(), None);
    }
}
