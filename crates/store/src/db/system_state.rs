//! Which systems people have stopped.

use domain::{ClientId, SystemId, Timestamp};
use sqlx::any::AnyRow;

use super::row::Fields;
use super::{Db, StoreError, reason, sql};

/// Most systems in a hospital that lists return.
pub const SYSTEMS_MAX: usize = 10_000;

/// The last time somebody stopped or released a system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemState {
    /// Which system.
    pub system: SystemId,
    /// Whether it is stopped now.
    pub suspended: bool,
    /// Who did it.
    pub by: ClientId,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

fn state(row: &AnyRow) -> Result<SystemState, StoreError> {
    let row = Fields::new("system_state", row);
    Ok(SystemState {
        system: row.parsed("system")?,
        // Anything but 0 counts as stopped: a damaged value must not release a system.
        suspended: row.int("suspended")? != 0,
        by: row.parsed("changed_by")?,
        reason: row.text("reason")?,
        at: row.at("changed_at")?,
    })
}

impl Db {
    /// Notes that a system was stopped or released.
    ///
    /// # Errors
    /// When the reason is too long or the database fails.
    pub async fn set_system_state(&self, state: &SystemState) -> Result<(), StoreError> {
        reason("the reason", &state.reason)?;
        let query = sql("INSERT INTO system_state \
             (system, suspended, changed_by, reason, changed_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (system) DO UPDATE SET suspended = excluded.suspended, changed_by = excluded.changed_by, \
             reason = excluded.reason, changed_at = excluded.changed_at")
        .bind(state.system.to_string())
        .bind(i64::from(state.suspended))
        .bind(state.by.to_string())
        .bind(state.reason.clone())
        .bind(state.at.as_millis());
        self.write(query).await.map(|_| ())
    }

    /// The state of a system; none when nobody ever stopped it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn system_state(&self, system: &SystemId) -> Result<Option<SystemState>, StoreError> {
        let query = sql("SELECT * FROM system_state WHERE system = $1").bind(system.to_string());
        self.read(query).await?.first().map(state).transpose()
    }

    /// The states of all systems that somebody stopped or released, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn system_states(&self) -> Result<Vec<SystemState>, StoreError> {
        let query = sql("SELECT * FROM system_state ORDER BY system LIMIT $1").bind(SYSTEMS_MAX as i64);
        self.read(query).await?.iter().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn the_last_word_on_a_system_stands() {
        let (_folder, db) = fresh().await;
        let state = |system: &str, suspended| SystemState {
            system: system.parse().unwrap(),
            suspended,
            by: "ada".parse().unwrap(),
            reason: "false alarms on ward 3".to_owned(),
            at: NOW,
        };
        assert_eq!(db.system_state(&"a".parse().unwrap()).await.unwrap(), None);
        for one in [state("a", true), state("b", true), state("a", false)] {
            db.set_system_state(&one).await.unwrap();
            assert_eq!(db.system_state(&one.system).await.unwrap(), Some(one));
        }
        assert_eq!(db.system_states().await.unwrap(), [state("a", false), state("b", true)]);
        let long = SystemState { reason: "x".repeat(super::super::REASON_CHARS_MAX + 1), ..state("a", true) };
        assert!(db.set_system_state(&long).await.is_err());
    }
}
