//! Admitted versions of systems: which one is served, and which one to fall back to.

use domain::{Digest, Subject, SystemId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::error::bounded;
use super::row::{Fields, to_int, to_json, to_word};
use super::{Db, StoreError, page, sql};

/// Longest settings of a version (declared inputs, guards), in bytes.
pub const SETTINGS_BYTES_MAX: usize = 1024 * 1024;

/// Whether a version may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionStatus {
    /// May be served while its gate is open.
    Admitted,
    /// Was taken back and is not fallen back to.
    Withdrawn,
}

/// A version as it is admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// Which system.
    pub system: SystemId,
    /// The model.
    pub model: Digest,
    /// Everything it consists of.
    pub subjects: Vec<Subject>,
    /// When.
    pub admitted_at: Timestamp,
    /// Blob with the guards' fitted state.
    pub fitted: Digest,
    /// Settings as JSON; what is in it is the caller's.
    pub settings: String,
}

/// A version that was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counted from 1 within the system.
    pub number: u64,
    /// What was admitted.
    pub admitted: NewVersion,
    /// Whether it may be served.
    pub status: VersionStatus,
}

fn version(row: &AnyRow) -> Result<Version, StoreError> {
    let row = Fields::new("system_version", row);
    Ok(Version {
        number: row.count("number")?,
        admitted: NewVersion {
            system: row.parsed("system")?,
            model: row.parsed("model")?,
            subjects: row.json("subjects")?,
            admitted_at: row.at("admitted_at")?,
            fitted: row.parsed("fitted")?,
            settings: row.text("settings")?,
        },
        status: row.word("status")?,
    })
}

impl Db {
    /// Adds a version; it is the system's newest. Its number.
    ///
    /// # Errors
    /// When its settings are too long or the database fails.
    pub async fn admit_version(&self, new: &NewVersion) -> Result<u64, StoreError> {
        bounded("the settings of a version", new.settings.as_bytes(), SETTINGS_BYTES_MAX)?;
        let mut tx = self.begin().await?;
        let query = sql("INSERT INTO system_version \
             (system, number, model, subjects, admitted_at, fitted, settings, status) \
             SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6, $7 FROM system_version WHERE system = $1 \
             RETURNING number")
        .bind(new.system.to_string())
        .bind(new.model.to_string())
        .bind(to_json("the subjects of a version", &new.subjects)?)
        .bind(new.admitted_at.as_millis())
        .bind(new.fitted.to_string())
        .bind(new.settings.clone())
        .bind(to_word("a status", &VersionStatus::Admitted)?);
        let rows = tx.rows(query).await?;
        let missing =
            || StoreError::Row { table: "system_version", detail: "no number came back".to_owned() };
        let number = Fields::new("system_version", rows.first().ok_or_else(missing)?).count("number")?;
        tx.commit().await?;
        Ok(number)
    }

    /// The newest versions of a system, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn versions(&self, system: &SystemId, limit: u32) -> Result<Vec<Version>, StoreError> {
        let query = sql("SELECT * FROM system_version WHERE system = $1 ORDER BY number DESC LIMIT $2")
            .bind(system.to_string())
            .bind(page(limit));
        self.read(query).await?.iter().map(version).collect()
    }

    /// The newest version that may be served, below number `before` if given: what to fall back to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_admitted(
        &self,
        system: &SystemId,
        before: Option<u64>,
    ) -> Result<Option<Version>, StoreError> {
        let query = sql("SELECT * FROM system_version WHERE system = $1 AND number < $2 AND status = $3 \
             ORDER BY number DESC LIMIT 1")
        .bind(system.to_string())
        .bind(before.map_or(Ok(i64::MAX), |b| to_int("a version number", b))?)
        .bind(to_word("a status", &VersionStatus::Admitted)?);
        self.read(query).await?.first().map(version).transpose()
    }

    /// Names of all systems that ever had a version.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn systems(&self) -> Result<Vec<SystemId>, StoreError> {
        let query = sql("SELECT DISTINCT system FROM system_version ORDER BY system LIMIT $1")
            .bind(super::SYSTEMS_MAX as i64);
        let rows = self.read(query).await?;
        rows.iter().map(|row| Fields::new("system_version", row).parsed("system")).collect()
    }

    /// Says whether a version may be served. False when there is no such version.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_version_status(
        &self,
        system: &SystemId,
        number: u64,
        status: VersionStatus,
    ) -> Result<bool, StoreError> {
        let query = sql("UPDATE system_version SET status = $1 WHERE system = $2 AND number = $3")
            .bind(to_word("a status", &status)?)
            .bind(system.to_string())
            .bind(to_int("a version number", number)?);
        Ok(self.write(query).await? == 1)
    }
}

#[cfg(test)]
mod tests {
    use domain::SubjectRole;

    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn versions_are_counted_per_system_and_a_withdrawn_one_is_skipped() {
        let (_folder, db) = fresh().await;
        let new = |system: &str, model: &[u8]| NewVersion {
            system: system.parse().unwrap(),
            model: Digest::of(model),
            subjects: vec![Subject { role: SubjectRole::Model, digest: Digest::of(model) }],
            admitted_at: NOW,
            fitted: Digest::of(b"fitted"),
            settings: "{\"guards\":[]}".to_owned(),
        };
        for (system, model, number) in [("a", b"1", 1), ("a", b"2", 2), ("b", b"1", 1), ("a", b"3", 3)] {
            assert_eq!(db.admit_version(&new(system, model)).await.unwrap(), number);
        }
        let a: SystemId = "a".parse().unwrap();
        assert_eq!(db.systems().await.unwrap(), ["a".parse().unwrap(), "b".parse().unwrap()]);
        let last = db.last_admitted(&a, None).await.unwrap().unwrap();
        assert_eq!((last.number, &last.admitted), (3, &new("a", b"3")));
        assert!(db.set_version_status(&a, 2, VersionStatus::Withdrawn).await.unwrap());
        assert!(!db.set_version_status(&a, 9, VersionStatus::Withdrawn).await.unwrap());
        assert_eq!(db.last_admitted(&a, Some(3)).await.unwrap().unwrap().number, 1);
        assert_eq!(db.last_admitted(&a, Some(1)).await.unwrap(), None);
        let numbers: Vec<u64> = db.versions(&a, 2).await.unwrap().iter().map(|v| v.number).collect();
        assert_eq!(numbers, [3, 2]);
        let long = NewVersion { settings: "x".repeat(SETTINGS_BYTES_MAX + 1), ..new("a", b"4") };
        assert!(db.admit_version(&long).await.is_err());
    }
}
