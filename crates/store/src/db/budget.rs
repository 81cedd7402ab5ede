//! How many rows each client asked for on a day, so that a daily budget survives a restart.

use domain::ClientId;

use super::row::{Fields, to_int};
use super::{Db, StoreError, sql};

/// Most clients whose day is loaded, and most in one call of [`Db::add_budget`].
pub const BUDGET_CLIENTS_MAX: usize = 10_000;

impl Db {
    /// Adds to the counts of clients on a UTC day (see [`domain::Timestamp::day`]), all in one write: the gateway collects in
    /// memory and calls this every second or so.
    ///
    /// # Errors
    /// With more than [`BUDGET_CLIENTS_MAX`] clients, or when the database fails; then nothing is added.
    pub async fn add_budget(&self, day: i64, counts: &[(ClientId, u64)]) -> Result<(), StoreError> {
        if counts.len() > BUDGET_CLIENTS_MAX {
            let (what, found) = ("a batch of budgets", counts.len());
            return Err(StoreError::TooLarge { what, found, max: BUDGET_CLIENTS_MAX });
        }
        let mut tx = self.begin().await?;
        for (client, count) in counts {
            let query = sql("INSERT INTO budget (client, day, used) VALUES ($1, $2, $3) \
                 ON CONFLICT (client, day) DO UPDATE SET used = budget.used + excluded.used")
            .bind(client.to_string())
            .bind(day)
            .bind(to_int("a count", *count)?);
            tx.run(query).await?;
        }
        tx.commit().await
    }

    /// The counts of a day, by client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn budgets(&self, day: i64) -> Result<Vec<(ClientId, u64)>, StoreError> {
        let query = sql("SELECT client, used FROM budget WHERE day = $1 ORDER BY client LIMIT $2")
            .bind(day)
            .bind(BUDGET_CLIENTS_MAX as i64);
        let rows = self.read(query).await?;
        let read = |row| {
            let row = Fields::new("budget", row);
            Ok((row.parsed("client")?, row.count("used")?))
        };
        rows.iter().map(read).collect()
    }

    /// Deletes the counts of days before `day`. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_budgets_before(&self, day: i64) -> Result<u64, StoreError> {
        self.write(sql("DELETE FROM budget WHERE day < $1").bind(day)).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::fresh;
    use super::*;

    #[tokio::test]
    async fn counts_add_up_per_client_and_day() {
        let (_folder, db) = fresh().await;
        let (a, b): (ClientId, ClientId) = ("a".parse().unwrap(), "b".parse().unwrap());
        db.add_budget(5, &[(a.clone(), 2), (b.clone(), 3)]).await.unwrap();
        db.add_budget(5, &[(a.clone(), 40), (a.clone(), 100)]).await.unwrap();
        db.add_budget(6, &[(a.clone(), 1)]).await.unwrap();
        assert_eq!(db.budgets(5).await.unwrap(), [(a.clone(), 142), (b.clone(), 3)]);
        assert_eq!(db.budgets(6).await.unwrap(), [(a.clone(), 1)]);
        assert_eq!(db.delete_budgets_before(6).await.unwrap(), 2);
        assert_eq!(db.budgets(5).await.unwrap(), []);
        let half = db.add_budget(7, &[(a.clone(), 1), (b, u64::MAX)]).await;
        assert!(half.is_err());
        assert_eq!(db.budgets(7).await.unwrap(), [], "all or nothing");
        let many = vec![(a, 1); BUDGET_CLIENTS_MAX + 1];
        assert!(matches!(db.add_budget(8, &many).await, Err(StoreError::TooLarge { .. })));
        db.add_budget(8, &many[1..]).await.unwrap();
    }
}
