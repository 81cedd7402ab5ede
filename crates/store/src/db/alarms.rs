//! Alarms that people should look at. One that repeats is counted, not multiplied.

use domain::{ClientId, Severity, SystemId, Timestamp};
use sqlx::any::AnyRow;

use super::error::bounded;
use super::row::{Fields, to_int, to_word};
use super::{Db, StoreError, page, sql};

/// Longest message of an alarm, in bytes.
pub const ALARM_MESSAGE_BYTES_MAX: usize = 2_000;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAlarm {
    /// Catalogue id.
    pub alarm: String,
    /// When.
    pub at: Timestamp,
    /// Which system, where one.
    pub system: Option<SystemId>,
    /// Which client, where one.
    pub client: Option<ClientId>,
    /// How bad.
    pub severity: Severity,
    /// What was seen, no patient's value.
    pub message: String,
}

/// An alarm as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its number, counted from 1.
    pub id: u64,
    /// What was seen: the newest message, the worst severity, the first time in `at`.
    pub seen: NewAlarm,
    /// When it was last seen.
    pub last_at: Timestamp,
    /// How often.
    pub count: u64,
    /// When somebody acknowledged it, and who.
    pub acknowledged: Option<(Timestamp, ClientId)>,
}

/// What became of a raised alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raised {
    /// Its number.
    pub id: u64,
    /// How often it has been seen now; 1 means it is new, and worth a message to people.
    pub count: u64,
}

fn alarm(row: &AnyRow) -> Result<Alarm, StoreError> {
    let row = Fields::new("alarm", row);
    let by: Option<ClientId> = row.parsed_opt("acknowledged_by")?;
    Ok(Alarm {
        id: row.count("id")?,
        seen: NewAlarm {
            alarm: row.text("alarm")?,
            at: row.at("first_at")?,
            system: row.parsed_opt("system")?,
            client: row.parsed_opt("client")?,
            severity: row.word("severity")?,
            message: row.text("message")?,
        },
        last_at: row.at("last_at")?,
        count: row.count("count")?,
        acknowledged: row.at_opt("acknowledged_at")?.zip(by),
    })
}

fn name<T: ToString>(id: Option<&T>) -> String {
    id.map(T::to_string).unwrap_or_default()
}

impl Db {
    /// Raises an alarm. If the same alarm about the same system and client is open and was last seen within `window_ms`, it is
    /// counted there; an acknowledged one is not touched, since its acknowledgement does not speak about what came later.
    ///
    /// # Errors
    /// When the message is too long or the database fails.
    pub async fn raise_alarm(&self, new: &NewAlarm, window_ms: i64) -> Result<Raised, StoreError> {
        bounded("the message of an alarm", new.message.as_bytes(), ALARM_MESSAGE_BYTES_MAX)?;
        let mut tx = self.begin().await?;
        let query = sql("SELECT * FROM alarm WHERE alarm = $1 AND system = $2 AND client = $3 \
             AND acknowledged_at IS NULL AND last_at >= $4 ORDER BY id DESC LIMIT 1")
        .bind(new.alarm.clone())
        .bind(name(new.system.as_ref()))
        .bind(name(new.client.as_ref()))
        .bind(new.at.plus_millis(-window_ms.max(0)).as_millis());
        let open = tx.rows(query).await?.first().map(alarm).transpose()?;
        let raised = if let Some(open) = open {
            let count = open.count.saturating_add(1);
            let query =
                sql("UPDATE alarm SET count = $1, last_at = $2, message = $3, severity = $4 WHERE id = $5")
                    .bind(to_int("a count", count)?)
                    .bind(new.at.max(open.last_at).as_millis())
                    .bind(new.message.clone())
                    .bind(to_word("a severity", &new.severity.max(open.seen.severity))?)
                    .bind(to_int("an alarm's number", open.id)?);
            tx.run(query).await?;
            Raised { id: open.id, count }
        } else {
            let query = sql("INSERT INTO alarm \
                 (id, alarm, system, client, severity, message, first_at, last_at, count) \
                 SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, $6, $6, 1 FROM alarm RETURNING id")
            .bind(new.alarm.clone())
            .bind(name(new.system.as_ref()))
            .bind(name(new.client.as_ref()))
            .bind(to_word("a severity", &new.severity)?)
            .bind(new.message.clone())
            .bind(new.at.as_millis());
            let rows = tx.rows(query).await?;
            let missing = || StoreError::Row { table: "alarm", detail: "no number came back".to_owned() };
            Raised { id: Fields::new("alarm", rows.first().ok_or_else(missing)?).count("id")?, count: 1 }
        };
        tx.commit().await?;
        Ok(raised)
    }

    /// Acknowledges an alarm. False when there is none of this number, or it was acknowledged before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acknowledge_alarm(&self, id: u64, by: &ClientId, at: Timestamp) -> Result<bool, StoreError> {
        let query = sql("UPDATE alarm SET acknowledged_at = $1, acknowledged_by = $2 \
             WHERE id = $3 AND acknowledged_at IS NULL")
        .bind(at.as_millis())
        .bind(by.to_string())
        .bind(to_int("an alarm's number", id)?);
        Ok(self.write(query).await? == 1)
    }

    /// An alarm by its number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn alarm(&self, id: u64) -> Result<Option<Alarm>, StoreError> {
        let query = sql("SELECT * FROM alarm WHERE id = $1").bind(to_int("an alarm's number", id)?);
        self.read(query).await?.first().map(alarm).transpose()
    }

    /// Alarms that nobody has acknowledged, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_alarms(&self, limit: u32) -> Result<Vec<Alarm>, StoreError> {
        let query = sql("SELECT * FROM alarm WHERE acknowledged_at IS NULL ORDER BY id DESC LIMIT $1")
            .bind(page(limit));
        self.read(query).await?.iter().map(alarm).collect()
    }

    /// All alarms, newest first, before number `before` if given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn alarms(&self, before: Option<u64>, limit: u32) -> Result<Vec<Alarm>, StoreError> {
        let query = sql("SELECT * FROM alarm WHERE id < $1 ORDER BY id DESC LIMIT $2")
            .bind(before.map_or(Ok(i64::MAX), |b| to_int("an alarm's number", b))?)
            .bind(page(limit));
        self.read(query).await?.iter().map(alarm).collect()
    }

    /// Keeps the newest `keep` alarms and those nobody has acknowledged, and deletes the others. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_alarms(&self, keep: u64) -> Result<u64, StoreError> {
        let query = sql("DELETE FROM alarm WHERE acknowledged_at IS NOT NULL AND id <= \
             (SELECT id FROM alarm ORDER BY id DESC LIMIT 1 OFFSET $1)")
        .bind(to_int("a number of rows", keep)?);
        self.write(query).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    fn seen(ms: i64, client: Option<&str>, severity: Severity) -> NewAlarm {
        NewAlarm {
            alarm: "A002".to_owned(),
            at: NOW.plus_millis(ms),
            system: Some("a".parse().unwrap()),
            client: client.map(|c| c.parse().unwrap()),
            severity,
            message: format!("seen after {ms} ms"),
        }
    }

    #[tokio::test]
    async fn a_repeated_alarm_is_counted_within_its_window() {
        let (_folder, db) = fresh().await;
        let raise = |new: NewAlarm| {
            let db = db.clone();
            async move { db.raise_alarm(&new, 100).await.map(|r| (r.id, r.count)).unwrap() }
        };
        assert_eq!(raise(seen(0, Some("x"), Severity::High)).await, (1, 1));
        assert_eq!(raise(seen(100, Some("x"), Severity::Low)).await, (1, 2));
        assert_eq!(raise(seen(150, Some("y"), Severity::Low)).await, (2, 1), "another client");
        assert_eq!(raise(seen(150, None, Severity::Low)).await, (3, 1), "no client");
        assert_eq!(raise(seen(160, None, Severity::Low)).await, (3, 2));
        assert_eq!(raise(seen(200, Some("x"), Severity::Low)).await, (1, 3), "the window moves on");
        assert_eq!(raise(seen(301, Some("x"), Severity::Low)).await, (4, 1), "too late");
        let first = db.alarm(1).await.unwrap().unwrap();
        assert_eq!((first.seen.severity, first.count), (Severity::High, 3), "the worst severity stays");
        assert_eq!((first.seen.at, first.last_at), (NOW, NOW.plus_millis(200)));
        assert_eq!(first.seen.message, "seen after 200 ms");
    }

    #[tokio::test]
    async fn an_acknowledged_alarm_that_comes_again_is_new() {
        let (_folder, db) = fresh().await;
        let by: ClientId = "ada".parse().unwrap();
        let first = db.raise_alarm(&seen(0, None, Severity::High), 100).await.unwrap();
        assert!(db.acknowledge_alarm(first.id, &by, NOW).await.unwrap());
        assert!(!db.acknowledge_alarm(first.id, &by, NOW).await.unwrap());
        assert!(!db.acknowledge_alarm(77, &by, NOW).await.unwrap());
        let second = db.raise_alarm(&seen(1, None, Severity::High), 100).await.unwrap();
        assert_eq!((second.id, second.count), (2, 1));
        let open: Vec<u64> = db.open_alarms(10).await.unwrap().iter().map(|a| a.id).collect();
        assert_eq!(open, [2]);
        let all = db.alarms(None, 10).await.unwrap();
        assert_eq!(all.iter().map(|a| a.id).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(all[1].acknowledged, Some((NOW, by)));
        assert_eq!(db.alarms(Some(2), 10).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn pruning_never_takes_an_open_alarm_and_messages_are_bounded() {
        let (_folder, db) = fresh().await;
        let by: ClientId = "ada".parse().unwrap();
        for n in 0..6 {
            let raised = db.raise_alarm(&seen(n * 1_000, None, Severity::Low), 1).await.unwrap();
            if n > 1 {
                db.acknowledge_alarm(raised.id, &by, NOW).await.unwrap();
            }
        }
        assert_eq!(db.prune_alarms(2).await.unwrap(), 2);
        let left: Vec<u64> = db.alarms(None, 10).await.unwrap().iter().map(|a| a.id).collect();
        assert_eq!(left, [6, 5, 2, 1]);
        let long =
            NewAlarm { message: "x".repeat(ALARM_MESSAGE_BYTES_MAX + 1), ..seen(0, None, Severity::Low) };
        assert!(db.raise_alarm(&long, 1).await.is_err());
    }
}
