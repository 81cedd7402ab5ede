//! Answers that a clinician said were wrong.

use domain::{ClientId, Timestamp};
use sqlx::any::AnyRow;

use super::row::{Fields, to_int};
use super::{Db, StoreError, page, sql};

/// Longest reason, in characters. It is a person's free text: forms ask not to name the patient.
pub const FLAG_REASON_CHARS_MAX: usize = 500;

/// Somebody's word on an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Position of the answer's closing entry in the ledger.
    pub ledger_index: u64,
    /// Who says so.
    pub by: ClientId,
    /// When.
    pub at: Timestamp,
    /// What was wrong.
    pub reason: String,
}

fn flag(row: &AnyRow) -> Result<Flag, StoreError> {
    let row = Fields::new("answer_flag", row);
    Ok(Flag {
        ledger_index: row.count("ledger_index")?,
        by: row.parsed("flagged_by")?,
        at: row.at("flagged_at")?,
        reason: row.text("reason")?,
    })
}

impl Db {
    /// Adds a flag; the same person flagging the same answer again changes time and reason.
    ///
    /// # Errors
    /// When the reason is too long or the database fails.
    pub async fn add_flag(&self, flag: &Flag) -> Result<(), StoreError> {
        let found = flag.reason.chars().count();
        if found > FLAG_REASON_CHARS_MAX {
            return Err(StoreError::TooLarge { what: "the reason", found, max: FLAG_REASON_CHARS_MAX });
        }
        let query = sql("INSERT INTO answer_flag (ledger_index, flagged_by, flagged_at, reason) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (ledger_index, flagged_by) DO UPDATE SET flagged_at = excluded.flagged_at, reason = excluded.reason")
        .bind(to_int("a ledger position", flag.ledger_index)?)
        .bind(flag.by.to_string())
        .bind(flag.at.as_millis())
        .bind(flag.reason.clone());
        self.write(query).await.map(|_| ())
    }

    /// Flags, those on the newest answers first, on answers before position `before` if given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn flags(&self, before: Option<u64>, limit: u32) -> Result<Vec<Flag>, StoreError> {
        let query = sql("SELECT * FROM answer_flag WHERE ledger_index < $1 \
             ORDER BY ledger_index DESC, flagged_by LIMIT $2")
        .bind(before.map_or(Ok(i64::MAX), |b| to_int("a ledger position", b))?)
        .bind(page(limit));
        self.read(query).await?.iter().map(flag).collect()
    }

    /// The flags on one answer, by who.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn flags_of(&self, ledger_index: u64) -> Result<Vec<Flag>, StoreError> {
        let query = sql("SELECT * FROM answer_flag WHERE ledger_index = $1 ORDER BY flagged_by LIMIT $2")
            .bind(to_int("a ledger position", ledger_index)?)
            .bind(page(u32::MAX));
        self.read(query).await?.iter().map(flag).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn each_person_flags_an_answer_once() {
        let (_folder, db) = fresh().await;
        let make = |ledger_index, by: &str, reason: &str| Flag {
            ledger_index,
            by: by.parse().unwrap(),
            at: NOW,
            reason: reason.to_owned(),
        };
        for one in
            [make(7, "ada", "?"), make(7, "bo", "wrong side"), make(7, "ada", "not this"), make(9, "bo", "x")]
        {
            db.add_flag(&one).await.unwrap();
        }
        assert_eq!(db.flags_of(7).await.unwrap(), [make(7, "ada", "not this"), make(7, "bo", "wrong side")]);
        assert_eq!(db.flags(None, 10).await.unwrap().len(), 3);
        assert_eq!(db.flags(Some(9), 1).await.unwrap(), [make(7, "ada", "not this")]);
        db.add_flag(&make(1, "ada", &"é".repeat(FLAG_REASON_CHARS_MAX))).await.unwrap();
        assert!(db.add_flag(&make(1, "ada", &"é".repeat(FLAG_REASON_CHARS_MAX + 1))).await.is_err());
    }
}
