//! Clients that are shut out.

use domain::{ClientId, Timestamp};
use sqlx::any::AnyRow;

use super::row::Fields;
use super::{Db, StoreError, reason, sql};

/// Most clients in quarantine that are returned.
pub const QUARANTINES_MAX: usize = 10_000;

/// A client that is shut out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Which client.
    pub client: ClientId,
    /// Who did it.
    pub by: ClientId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Until when; none means until somebody lifts it.
    pub until: Option<Timestamp>,
}

fn quarantine(row: &AnyRow) -> Result<Quarantine, StoreError> {
    let row = Fields::new("quarantine", row);
    Ok(Quarantine {
        client: row.parsed("client")?,
        by: row.parsed("added_by")?,
        reason: row.text("reason")?,
        at: row.at("added_at")?,
        until: row.at_opt("until")?,
    })
}

impl Db {
    /// Shuts a client out, or changes why and how long.
    ///
    /// # Errors
    /// When the reason is too long or the database fails.
    pub async fn add_quarantine(&self, quarantine: &Quarantine) -> Result<(), StoreError> {
        reason("the reason", &quarantine.reason)?;
        let query = sql("INSERT INTO quarantine \
             (client, added_by, reason, added_at, until) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (client) DO UPDATE SET added_by = excluded.added_by, reason = excluded.reason, \
             added_at = excluded.added_at, until = excluded.until")
        .bind(quarantine.client.to_string())
        .bind(quarantine.by.to_string())
        .bind(quarantine.reason.clone())
        .bind(quarantine.at.as_millis())
        .bind(quarantine.until.map(Timestamp::as_millis));
        self.write(query).await.map(|_| ())
    }

    /// Lets a client in again. False when it was not shut out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lift_quarantine(&self, client: &ClientId) -> Result<bool, StoreError> {
        let query = sql("DELETE FROM quarantine WHERE client = $1").bind(client.to_string());
        Ok(self.write(query).await? == 1)
    }

    /// Clients shut out at `now`, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn quarantines(&self, now: Timestamp) -> Result<Vec<Quarantine>, StoreError> {
        let query =
            sql("SELECT * FROM quarantine WHERE until IS NULL OR until > $1 ORDER BY client LIMIT $2")
                .bind(now.as_millis())
                .bind(QUARANTINES_MAX as i64);
        self.read(query).await?.iter().map(quarantine).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn a_client_is_out_until_its_time_or_until_lifted() {
        let (_folder, db) = fresh().await;
        let shut = |client: &str, until| Quarantine {
            client: client.parse().unwrap(),
            by: "ada".parse().unwrap(),
            reason: "asks along a boundary".to_owned(),
            at: NOW,
            until,
        };
        let (ever, brief) = (shut("ever", None), shut("brief", Some(NOW.plus_millis(5))));
        db.add_quarantine(&ever).await.unwrap();
        db.add_quarantine(&shut("brief", None)).await.unwrap();
        db.add_quarantine(&brief).await.unwrap();
        assert_eq!(db.quarantines(NOW.plus_millis(4)).await.unwrap(), [brief, ever.clone()]);
        assert_eq!(db.quarantines(NOW.plus_millis(5)).await.unwrap(), std::slice::from_ref(&ever));
        assert!(db.lift_quarantine(&ever.client).await.unwrap());
        assert!(!db.lift_quarantine(&ever.client).await.unwrap());
        assert_eq!(db.quarantines(NOW.plus_millis(5)).await.unwrap(), []);
    }
}
