//! The last ledger head this installation has seen. It lies beside the ledger, so that a ledger cut back to an earlier, in
//! itself consistent state is noticed.

use domain::{Digest, Timestamp};

use super::row::{Fields, to_int};
use super::{Db, StoreError, sql};

/// A ledger head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Number of entries.
    pub size: u64,
    /// Merkle root over them.
    pub root: Digest,
    /// When it was noted.
    pub at: Timestamp,
}

impl Db {
    /// The head noted last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn anchor(&self) -> Result<Option<Anchor>, StoreError> {
        let rows = self.read(sql("SELECT size, root, made_at FROM anchor WHERE id = 1")).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let row = Fields::new("anchor", row);
        Ok(Some(Anchor { size: row.count("size")?, root: row.parsed("root")?, at: row.at("made_at")? }))
    }

    /// Notes a head. It only grows: a smaller one, or another root of the same size, is refused.
    ///
    /// # Errors
    /// `Refused` when it would go back, or when the database fails.
    pub async fn set_anchor(&self, anchor: &Anchor) -> Result<(), StoreError> {
        let query = sql("INSERT INTO anchor (id, size, root, made_at) VALUES (1, $1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET size = excluded.size, root = excluded.root, made_at = excluded.made_at \
             WHERE excluded.size > anchor.size OR (excluded.size = anchor.size AND excluded.root = anchor.root)")
        .bind(to_int("the ledger's size", anchor.size)?)
        .bind(anchor.root.to_string())
        .bind(anchor.at.as_millis());
        if self.write(query).await? == 0 {
            return Err(StoreError::Refused(format!(
                "a ledger of {} entries does not follow the one seen before: run `asepsis audit verify`",
                anchor.size
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOW, fresh};
    use super::*;

    #[tokio::test]
    async fn an_anchor_only_grows() {
        let (_folder, db) = fresh().await;
        let anchor = |size, byte: u8| Anchor { size, root: Digest::of(&[byte]), at: NOW };
        assert_eq!(db.anchor().await.unwrap(), None);
        for (next, good) in [
            (anchor(5, 5), true),
            (anchor(5, 5), true),
            (anchor(5, 6), false),
            (anchor(4, 4), false),
            (anchor(9, 9), true),
            (anchor(u64::MAX, 9), false),
        ] {
            assert_eq!(db.set_anchor(&next).await.is_ok(), good, "{next:?}");
        }
        assert_eq!(db.anchor().await.unwrap(), Some(anchor(9, 9)));
    }
}
