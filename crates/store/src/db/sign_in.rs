//! One-time sign-in links and console sessions, by the hash of their secret.

use access::{SessionRecord, SignInError, SignInRecord};
use domain::{ClientId, Digest, Timestamp};
use sqlx::any::AnyRow;

use super::row::{Fields, to_json};
use super::{Db, StoreError, sql};

fn link(row: &AnyRow) -> Result<SignInRecord, StoreError> {
    let row = Fields::new("sign_in", row);
    Ok(SignInRecord {
        hash: row.parsed("hash")?,
        account: row.parsed("account")?,
        roles: row.json("roles")?,
        systems: row.json("systems")?,
        created_at: row.at("created_at")?,
        expires_at: row.at("expires_at")?,
        used_at: row.at_opt("used_at")?,
    })
}

fn session(row: &AnyRow) -> Result<SessionRecord, StoreError> {
    let row = Fields::new("console_session", row);
    Ok(SessionRecord {
        hash: row.parsed("hash")?,
        account: row.parsed("account")?,
        roles: row.json("roles")?,
        systems: row.json("systems")?,
        created_at: row.at("created_at")?,
        seen_at: row.at("seen_at")?,
        expires_at: row.at("expires_at")?,
        ended_at: row.at_opt("ended_at")?,
    })
}

impl Db {
    /// Stores a sign-in link.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_sign_in(&self, link: &SignInRecord) -> Result<(), StoreError> {
        let query = sql("INSERT INTO sign_in \
             (hash, account, roles, systems, created_at, expires_at, used_at) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(link.hash.to_string())
        .bind(link.account.to_string())
        .bind(to_json("the roles of a sign-in link", &link.roles)?)
        .bind(to_json("the scope of a sign-in link", &link.systems)?)
        .bind(link.created_at.as_millis())
        .bind(link.expires_at.as_millis())
        .bind(link.used_at.map(Timestamp::as_millis));
        self.write(query).await.map(|_| ())
    }

    /// Uses a sign-in link: checks it and marks it used in one transaction, so that of two who try at once one gets in.
    /// The outer error is the database's, the inner one says why the link does not work.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redeem_sign_in(
        &self,
        hash: &Digest,
        now: Timestamp,
    ) -> Result<Result<SignInRecord, SignInError>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = tx.rows(sql("SELECT * FROM sign_in WHERE hash = $1").bind(hash.to_string())).await?;
        let Some(row) = rows.first() else { return Ok(Err(SignInError::Unknown)) };
        let mut link = link(row)?;
        if let Err(why) = link.check(now) {
            return Ok(Err(why));
        }
        let query = sql("UPDATE sign_in SET used_at = $1 WHERE hash = $2 AND used_at IS NULL")
            .bind(now.as_millis())
            .bind(hash.to_string());
        if tx.run(query).await? != 1 {
            return Ok(Err(SignInError::Used));
        }
        tx.commit().await?;
        link.used_at = Some(now);
        Ok(Ok(link))
    }

    /// Stores a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_session(&self, session: &SessionRecord) -> Result<(), StoreError> {
        let query = sql("INSERT INTO console_session \
             (hash, account, roles, systems, created_at, seen_at, expires_at, ended_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(session.hash.to_string())
        .bind(session.account.to_string())
        .bind(to_json("the roles of a session", &session.roles)?)
        .bind(to_json("the scope of a session", &session.systems)?)
        .bind(session.created_at.as_millis())
        .bind(session.seen_at.as_millis())
        .bind(session.expires_at.as_millis())
        .bind(session.ended_at.map(Timestamp::as_millis));
        self.write(query).await.map(|_| ())
    }

    /// The session of a cookie; whether it is still good is for [`SessionRecord::check`] to say.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(&self, hash: &Digest) -> Result<Option<SessionRecord>, StoreError> {
        let query = sql("SELECT * FROM console_session WHERE hash = $1").bind(hash.to_string());
        self.read(query).await?.first().map(session).transpose()
    }

    /// Notes that a session made a request. Callers do so at most once a minute: each is a write to disk.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_session(&self, hash: &Digest, now: Timestamp) -> Result<(), StoreError> {
        let query = sql("UPDATE console_session SET seen_at = $1 WHERE hash = $2 AND seen_at < $1")
            .bind(now.as_millis())
            .bind(hash.to_string());
        self.write(query).await.map(|_| ())
    }

    /// Ends a session. False when there is none, or it was ended before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_session(&self, hash: &Digest, now: Timestamp) -> Result<bool, StoreError> {
        let query = sql("UPDATE console_session SET ended_at = $1 WHERE hash = $2 AND ended_at IS NULL")
            .bind(now.as_millis())
            .bind(hash.to_string());
        Ok(self.write(query).await? == 1)
    }

    /// Ends all sessions of an account. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_sessions_of(&self, account: &ClientId, now: Timestamp) -> Result<u64, StoreError> {
        let query = sql("UPDATE console_session SET ended_at = $1 WHERE account = $2 AND ended_at IS NULL")
            .bind(now.as_millis())
            .bind(account.to_string());
        self.write(query).await
    }

    /// Deletes links and sessions that ended before `before`. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_old_sign_ins(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let links = sql("DELETE FROM sign_in WHERE expires_at < $1").bind(before.as_millis());
        let sessions = sql("DELETE FROM console_session WHERE expires_at < $1 OR ended_at < $1")
            .bind(before.as_millis());
        let gone = tx.run(links).await? + tx.run(sessions).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use access::{Role, SIGN_IN_MS_MAX, Scope, SecretBytes, issue_session, issue_sign_in};

    use super::super::testing::{NOW, fresh};
    use super::*;

    fn a_link(byte: u8) -> SignInRecord {
        let secret = SecretBytes::new([byte; 32]);
        issue_sign_in("ada".parse().unwrap(), [Role::Engineer].into(), Scope::All, &secret, NOW).0
    }

    #[tokio::test]
    async fn a_link_works_once_even_for_two_at_the_same_moment() {
        let (_folder, db) = fresh().await;
        let link = a_link(1);
        db.insert_sign_in(&link).await.unwrap();
        let tries = (0..8).map(|_| {
            let (db, hash) = (db.clone(), link.hash);
            tokio::spawn(async move { db.redeem_sign_in(&hash, NOW).await.unwrap() })
        });
        let mut winners = 0;
        for attempt in tries.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Ok(used) => {
                    winners += 1;
                    assert_eq!(used, SignInRecord { used_at: Some(NOW), ..link.clone() });
                }
                Err(why) => assert_eq!(why, SignInError::Used),
            }
        }
        assert_eq!(winners, 1);
    }

    #[tokio::test]
    async fn unknown_and_old_links_do_not_work() {
        let (_folder, db) = fresh().await;
        let link = a_link(1);
        db.insert_sign_in(&link).await.unwrap();
        let late = NOW.plus_millis(SIGN_IN_MS_MAX);
        assert_eq!(db.redeem_sign_in(&link.hash, late).await.unwrap(), Err(SignInError::Expired));
        let other = Digest::of(b"other");
        assert_eq!(db.redeem_sign_in(&other, NOW).await.unwrap(), Err(SignInError::Unknown));
        assert!(db.redeem_sign_in(&link.hash, NOW).await.unwrap().is_ok(), "neither attempt used it up");
    }

    #[tokio::test]
    async fn sessions_are_touched_ended_and_cleared() {
        let (_folder, db) = fresh().await;
        let begin = |byte: u8| issue_session(&a_link(1), &SecretBytes::new([byte; 32]), NOW).0;
        let (one, two) = (begin(1), begin(2));
        db.insert_session(&one).await.unwrap();
        db.insert_session(&two).await.unwrap();
        db.touch_session(&one.hash, NOW.plus_millis(5)).await.unwrap();
        db.touch_session(&one.hash, NOW.plus_millis(3)).await.unwrap();
        let seen = db.session(&one.hash).await.unwrap().unwrap();
        assert_eq!(
            seen,
            SessionRecord { seen_at: NOW.plus_millis(5), ..one.clone() },
            "time does not run back"
        );
        assert!(db.end_session(&one.hash, NOW).await.unwrap());
        assert!(!db.end_session(&one.hash, NOW).await.unwrap());
        assert_eq!(db.end_sessions_of(&one.account, NOW).await.unwrap(), 1, "the other one");
        assert_eq!(db.delete_old_sign_ins(NOW.plus_days(1)).await.unwrap(), 2);
        assert_eq!(db.session(&one.hash).await.unwrap(), None);
    }
}
