//! Risks that people accepted for a limited time.

use domain::{Acceptance, ClientId, SystemId, Timestamp};
use sqlx::any::AnyRow;

use super::row::{Fields, to_int, to_json};
use super::{Db, StoreError, reason, sql};

/// Most acceptances returned for one system.
pub const ACCEPTANCES_MAX: usize = 1_000;

/// An acceptance, where it stands in the ledger, and whether somebody took it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAcceptance {
    /// Position in the ledger.
    pub ledger_index: u64,
    /// The acceptance.
    pub acceptance: Acceptance,
    /// When it was taken back, and by whom.
    pub revoked: Option<(Timestamp, ClientId)>,
}

impl StoredAcceptance {
    /// Whether it holds at `now`, as far as time and revocation go; whether its subjects are still the present ones is the gate's to say.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && now < self.acceptance.until
    }
}

fn stored(row: &AnyRow) -> Result<StoredAcceptance, StoreError> {
    let row = Fields::new("acceptance", row);
    let by: Option<ClientId> = row.parsed_opt("revoked_by")?;
    Ok(StoredAcceptance {
        ledger_index: row.count("ledger_index")?,
        acceptance: row.json("body")?,
        revoked: row.at_opt("revoked_at")?.zip(by),
    })
}

impl Db {
    /// Adds an acceptance that stands at `ledger_index`. Adding the same position again changes nothing.
    ///
    /// # Errors
    /// When its reason is too long or the database fails.
    pub async fn insert_acceptance(
        &self,
        ledger_index: u64,
        acceptance: &Acceptance,
    ) -> Result<(), StoreError> {
        reason("the reason of an acceptance", &acceptance.reason)?;
        let query = sql("INSERT INTO acceptance \
             (ledger_index, system, until, body, revoked_at, revoked_by) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (ledger_index) DO NOTHING")
        .bind(to_int("a ledger position", ledger_index)?)
        .bind(acceptance.system.to_string())
        .bind(acceptance.until.as_millis())
        .bind(to_json("an acceptance", acceptance)?)
        .bind(None::<i64>)
        .bind(None::<String>);
        self.write(query).await.map(|_| ())
    }

    /// Acceptances for a system that end after `now`, revoked ones too, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acceptances(
        &self,
        system: &SystemId,
        now: Timestamp,
    ) -> Result<Vec<StoredAcceptance>, StoreError> {
        let query =
            sql("SELECT * FROM acceptance WHERE system = $1 AND until > $2 ORDER BY ledger_index LIMIT $3")
                .bind(system.to_string())
                .bind(now.as_millis())
                .bind(ACCEPTANCES_MAX as i64);
        self.read(query).await?.iter().map(stored).collect()
    }

    /// Takes an acceptance back. False when there is none at this position, or it was taken back before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_acceptance(
        &self,
        ledger_index: u64,
        by: &ClientId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = sql("UPDATE acceptance SET revoked_at = $1, revoked_by = $2 \
             WHERE ledger_index = $3 AND revoked_at IS NULL")
        .bind(at.as_millis())
        .bind(by.to_string())
        .bind(to_int("a ledger position", ledger_index)?);
        Ok(self.write(query).await? == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn an_acceptance_holds_until_its_end_or_until_taken_back() {
        let (_folder, db) = fresh().await;
        let acceptance = |days| Acceptance {
            system: "a".parse().unwrap(),
            control: "C003".to_owned(),
            subjects: vec![],
            by: "grace".to_owned(),
            made_at: NOW,
            until: NOW.plus_days(days),
            reason: "vendor's fix comes on Monday; \"see\" ticket".to_owned(),
        };
        db.insert_acceptance(1, &acceptance(1)).await.unwrap();
        db.insert_acceptance(2, &acceptance(9)).await.unwrap();
        let system = "a".parse().unwrap();
        let now = db.acceptances(&system, NOW).await.unwrap();
        assert_eq!(now.len(), 2);
        assert_eq!(now[0].acceptance, acceptance(1));
        assert!(now.iter().all(|a| a.holds(NOW)));
        let later = db.acceptances(&system, NOW.plus_days(1)).await.unwrap();
        assert_eq!(later.iter().map(|a| a.ledger_index).collect::<Vec<_>>(), [2]);
        let by: ClientId = "ada".parse().unwrap();
        assert!(db.revoke_acceptance(2, &by, NOW).await.unwrap());
        assert!(!db.revoke_acceptance(2, &by, NOW).await.unwrap());
        assert!(!db.revoke_acceptance(3, &by, NOW).await.unwrap());
        let after = db.acceptances(&system, NOW).await.unwrap();
        assert_eq!(after[1].revoked, Some((NOW, by)));
        assert!(!after[1].holds(NOW));
        let long = Acceptance { reason: "x".repeat(super::super::REASON_CHARS_MAX + 1), ..acceptance(1) };
        assert!(matches!(db.insert_acceptance(9, &long).await, Err(StoreError::TooLarge { .. })));
    }
}
