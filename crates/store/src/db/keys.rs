//! API keys: everything but their secrets.

use access::{KEYS_MAX, KeyRecord, KeyTable};
use domain::{KeyId, Timestamp};
use sqlx::any::AnyRow;

use super::row::{Fields, to_json};
use super::{Db, StoreError, WriteTx, sql};

fn record(row: &AnyRow) -> Result<KeyRecord, StoreError> {
    let row = Fields::new("api_key", row);
    Ok(KeyRecord {
        id: row.parsed("id")?,
        client: row.parsed("client")?,
        roles: row.json("roles")?,
        systems: row.json("systems")?,
        created_at: row.at("created_at")?,
        expires_at: row.at_opt("expires_at")?,
        revoked_at: row.at_opt("revoked_at")?,
        hash: row.parsed("hash")?,
        note: row.text("note")?,
    })
}

/// Inserts a key inside a write that counts them too.
async fn insert(tx: &mut WriteTx, key: &KeyRecord) -> Result<(), StoreError> {
    let rows = tx.rows(sql("SELECT COUNT(*) AS n FROM api_key")).await?;
    let found = rows.first().map_or(Ok(0), |row| Fields::new("api_key", row).count("n"))?;
    if found >= KEYS_MAX as u64 {
        return Err(StoreError::Refused(format!("there are {KEYS_MAX} keys: delete expired ones first")));
    }
    let query = sql("INSERT INTO api_key \
         (id, client, roles, systems, created_at, expires_at, revoked_at, hash, note) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
    .bind(key.id.to_string())
    .bind(key.client.to_string())
    .bind(to_json("the roles of a key", &key.roles)?)
    .bind(to_json("the scope of a key", &key.systems)?)
    .bind(key.created_at.as_millis())
    .bind(key.expires_at.map(Timestamp::as_millis))
    .bind(key.revoked_at.map(Timestamp::as_millis))
    .bind(key.hash.to_string())
    .bind(key.note.clone());
    tx.run(query).await.map(|_| ())
}

impl Db {
    /// Adds a key.
    ///
    /// # Errors
    /// `Refused` when its name is taken or there are [`KEYS_MAX`], or when the database fails.
    pub async fn insert_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        insert(&mut tx, key).await?;
        tx.commit().await
    }

    /// All keys, by name.
    ///
    /// # Errors
    /// When the database fails or a row cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let query = sql("SELECT * FROM api_key ORDER BY id LIMIT $1").bind(KEYS_MAX as i64);
        self.read(query).await?.iter().map(record).collect()
    }

    /// All keys as the gateway's table.
    ///
    /// # Errors
    /// As [`Db::keys`].
    pub async fn key_table(&self) -> Result<KeyTable, StoreError> {
        let keys = self.keys().await?;
        KeyTable::new(keys).map_err(|e| StoreError::Row { table: "api_key", detail: e.to_string() })
    }

    /// Revokes a key. False when there is none of this name, or it was revoked before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_key(&self, id: &KeyId, at: Timestamp) -> Result<bool, StoreError> {
        let query = sql("UPDATE api_key SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(at.as_millis())
            .bind(id.to_string());
        Ok(self.write(query).await? == 1)
    }

    /// Puts a successor beside a key in one step: `retired` is the old record with its new end, both from
    /// [`access::rotate_key`].
    ///
    /// # Errors
    /// `Refused` when the old key is gone or revoked, or the new name is taken; then nothing changes.
    pub async fn rotate_key(&self, retired: &KeyRecord, successor: &KeyRecord) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let query = sql("UPDATE api_key SET expires_at = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(retired.expires_at.map(Timestamp::as_millis))
            .bind(retired.id.to_string());
        if tx.run(query).await? != 1 {
            let id = &retired.id;
            return Err(StoreError::Refused(format!(
                "key `{id}` is gone or revoked: make a new key instead"
            )));
        }
        insert(&mut tx, successor).await?;
        tx.commit().await
    }

    /// Deletes keys that expired or were revoked before `before`. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_dead_keys(&self, before: Timestamp) -> Result<u64, StoreError> {
        let query =
            sql("DELETE FROM api_key WHERE expires_at < $1 OR revoked_at < $1").bind(before.as_millis());
        self.write(query).await
    }
}

#[cfg(test)]
mod tests {
    use access::{AuthError, KeyGrant, Role, Scope, Secret, SecretBytes, issue_key, rotate_key};

    use super::super::testing::{NOW, fresh};
    use super::*;

    fn key(id: &str, byte: u8, expires_at: Option<Timestamp>) -> (KeyRecord, Secret) {
        let grant = KeyGrant {
            id: id.parse().unwrap(),
            client: "ward-3".parse().unwrap(),
            roles: [Role::Client, Role::Clinician].into(),
            systems: Scope::only(["breast-mass".parse().unwrap()]).unwrap(),
            expires_at,
            note: "ward 3's \"robot\"; it's new".to_owned(),
        };
        issue_key(grant, SecretBytes::new([byte; 32]), NOW).unwrap()
    }

    #[tokio::test]
    async fn a_key_comes_back_as_it_was_and_opens() {
        let (_folder, db) = fresh().await;
        let (a, secret) = key("a", 1, None);
        let (b, _) = key("b", 2, Some(NOW.plus_days(1)));
        db.insert_key(&b).await.unwrap();
        db.insert_key(&a).await.unwrap();
        assert_eq!(db.keys().await.unwrap(), [a.clone(), b]);
        assert_eq!(db.key_table().await.unwrap().authenticate(secret.expose(), NOW).unwrap(), &a);
    }

    #[tokio::test]
    async fn a_name_is_taken_once() {
        let (_folder, db) = fresh().await;
        db.insert_key(&key("a", 1, None).0).await.unwrap();
        assert!(matches!(db.insert_key(&key("a", 2, None).0).await, Err(StoreError::Refused(_))));
        assert_eq!(db.keys().await.unwrap()[0].hash, key("a", 1, None).0.hash, "the first one stays");
    }

    #[tokio::test]
    async fn a_revoked_key_is_shut_out_and_cannot_be_rotated() {
        let (_folder, db) = fresh().await;
        let (old, secret) = key("a", 1, None);
        db.insert_key(&old).await.unwrap();
        assert!(db.revoke_key(&old.id, NOW).await.unwrap());
        assert!(!db.revoke_key(&old.id, NOW.plus_days(1)).await.unwrap(), "the first time stands");
        let table = db.key_table().await.unwrap();
        assert_eq!(table.authenticate(secret.expose(), NOW), Err(AuthError::Revoked));
        let (retired, new, _) =
            rotate_key(&old, "b".parse().unwrap(), SecretBytes::new([3; 32]), NOW, 1).unwrap();
        assert!(matches!(db.rotate_key(&retired, &new).await, Err(StoreError::Refused(_))));
        assert_eq!(db.keys().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn rotation_is_one_step() {
        let (_folder, db) = fresh().await;
        let (old, _) = key("a", 1, None);
        let (taken, _) = key("b", 2, None);
        db.insert_key(&old).await.unwrap();
        db.insert_key(&taken).await.unwrap();
        let rotate =
            |id: &str| rotate_key(&old, id.parse().unwrap(), SecretBytes::new([3; 32]), NOW, 7).unwrap();
        let (retired, new, _) = rotate("b");
        assert!(db.rotate_key(&retired, &new).await.is_err());
        assert_eq!(db.keys().await.unwrap(), [old.clone(), taken.clone()], "neither half happened");
        let (retired, new, _) = rotate("c");
        db.rotate_key(&retired, &new).await.unwrap();
        assert_eq!(db.keys().await.unwrap(), [retired, taken, new]);
    }

    #[tokio::test]
    async fn dead_keys_are_deleted_and_living_ones_are_not() {
        let (_folder, db) = fresh().await;
        for (id, end) in [("a", Some(NOW.plus_days(1))), ("b", Some(NOW.plus_days(9))), ("c", None)] {
            db.insert_key(&key(id, 1, end).0).await.unwrap();
        }
        assert_eq!(db.delete_dead_keys(NOW.plus_days(5)).await.unwrap(), 1);
        assert_eq!(db.keys().await.unwrap().len(), 2);
    }
}
