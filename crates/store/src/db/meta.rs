//! Small facts about the installation, by name.

use super::error::bounded;
use super::row::Fields;
use super::{Db, StoreError, sql};

/// Longest name, in bytes.
pub const META_NAME_BYTES_MAX: usize = 64;

/// Longest value, in bytes.
pub const META_VALUE_BYTES_MAX: usize = 64 * 1024;

impl Db {
    /// The value of `name`, if it was set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        let rows = self.read(sql("SELECT value FROM meta WHERE name = $1").bind(name.to_owned())).await?;
        rows.first().map(|row| Fields::new("meta", row).text("value")).transpose()
    }

    /// Sets the value of `name`.
    ///
    /// # Errors
    /// When name or value is too long, or the database fails.
    pub async fn set_meta(&self, name: &str, value: &str) -> Result<(), StoreError> {
        bounded("a name of a setting", name.as_bytes(), META_NAME_BYTES_MAX)?;
        bounded("a setting", value.as_bytes(), META_VALUE_BYTES_MAX)?;
        let query = sql("INSERT INTO meta (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        .bind(name.to_owned())
        .bind(value.to_owned());
        self.write(query).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::fresh;
    use super::*;

    #[tokio::test]
    async fn a_setting_is_replaced_and_bounded() {
        let (_folder, db) = fresh().await;
        assert_eq!(db.meta("origin").await.unwrap(), None);
        db.set_meta("origin", "a").await.unwrap();
        db.set_meta("origin", "b'; DROP TABLE meta; --").await.unwrap();
        assert_eq!(db.meta("origin").await.unwrap().as_deref(), Some("b'; DROP TABLE meta; --"));
        db.set_meta("x", &"v".repeat(META_VALUE_BYTES_MAX)).await.unwrap();
        assert!(db.set_meta("x", &"v".repeat(META_VALUE_BYTES_MAX + 1)).await.is_err());
        db.set_meta(&"n".repeat(META_NAME_BYTES_MAX), "").await.unwrap();
        assert!(db.set_meta(&"n".repeat(META_NAME_BYTES_MAX + 1), "").await.is_err());
    }
}
