//! Which configuration was loaded when, and by whom.

use domain::{ClientId, Digest, Timestamp};
use sqlx::any::AnyRow;

use super::row::{Fields, to_int};
use super::{Db, StoreError, page, sql};

/// One load of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigLoad {
    /// Digest of its text.
    pub digest: Digest,
    /// When.
    pub at: Timestamp,
    /// Who: a person's account, or `asepsis` at start.
    pub by: ClientId,
}

fn load(row: &AnyRow) -> Result<ConfigLoad, StoreError> {
    let row = Fields::new("config_load", row);
    Ok(ConfigLoad { digest: row.parsed("digest")?, at: row.at("loaded_at")?, by: row.parsed("loaded_by")? })
}

impl Db {
    /// Notes a load.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_config_load(&self, load: &ConfigLoad) -> Result<(), StoreError> {
        let query = sql("INSERT INTO config_load (id, digest, loaded_at, loaded_by) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3 FROM config_load")
        .bind(load.digest.to_string())
        .bind(load.at.as_millis())
        .bind(load.by.to_string());
        self.write(query).await.map(|_| ())
    }

    /// The last loads, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn config_loads(&self, limit: u32) -> Result<Vec<ConfigLoad>, StoreError> {
        let query = sql("SELECT * FROM config_load ORDER BY id DESC LIMIT $1").bind(page(limit));
        self.read(query).await?.iter().map(load).collect()
    }

    /// Keeps the newest `keep` loads. How many went.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_config_loads(&self, keep: u64) -> Result<u64, StoreError> {
        let query = sql("DELETE FROM config_load WHERE id <= \
             (SELECT id FROM config_load ORDER BY id DESC LIMIT 1 OFFSET $1)")
        .bind(to_int("a number of rows", keep)?);
        self.write(query).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn loads_are_listed_newest_first_also_when_the_clock_goes_back() {
        let (_folder, db) = fresh().await;
        let load = |byte: u8, ms| ConfigLoad {
            digest: Digest::of(&[byte]),
            at: NOW.plus_millis(ms),
            by: "asepsis".parse().unwrap(),
        };
        for one in [load(1, 0), load(2, -5_000), load(2, 1)] {
            db.add_config_load(&one).await.unwrap();
        }
        assert_eq!(db.config_loads(2).await.unwrap(), [load(2, 1), load(2, -5_000)]);
        assert_eq!(db.prune_config_loads(1).await.unwrap(), 2);
        assert_eq!(db.config_loads(9).await.unwrap(), [load(2, 1)]);
    }
}
