//! The last answers and refusals of the gateway, for the console. Bounded: the ledger keeps all of them.

use domain::{Advice, ClientId, Digest, GuardNote, SystemId, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::row::{Fields, to_int, to_json, to_word};
use super::{Db, StoreError, page, sql};

/// Most rows in one call of [`Db::insert_decisions`].
pub const DECISION_BATCH_MAX: usize = 10_000;

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traffic {
    /// Care.
    Routine,
    /// A labelled exercise.
    Rehearsal,
}

/// One answer or refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// Position of the closing entry in the ledger.
    pub ledger_index: u64,
    /// When.
    pub at: Timestamp,
    /// Which system.
    pub system: SystemId,
    /// Who asked.
    pub client: ClientId,
    /// Model that answered; none when it was refused before the model ran.
    pub model: Option<Digest>,
    /// Advice given.
    pub advice: Advice,
    /// Stable code of the refusal; none when it was answered.
    pub refused: Option<String>,
    /// Guards that were not clean.
    pub guards: Vec<GuardNote>,
    /// Time taken, in microseconds.
    pub took_us: u64,
    /// Where it came from.
    pub traffic: Traffic,
}

/// Which rows a page shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DecisionFilter {
    /// All.
    #[default]
    All,
    /// Those of a system.
    System(SystemId),
    /// Those of a client.
    Client(ClientId),
}

fn decision(row: &AnyRow) -> Result<DecisionRow, StoreError> {
    let row = Fields::new("decision", row);
    Ok(DecisionRow {
        ledger_index: row.count("ledger_index")?,
        at: row.at("made_at")?,
        system: row.parsed("system")?,
        client: row.parsed("client")?,
        model: row.parsed_opt("model")?,
        advice: row.word("advice")?,
        refused: row.text_opt("refused")?,
        guards: row.json("guards")?,
        took_us: row.count("took_us")?,
        traffic: row.word("traffic")?,
    })
}

impl Db {
    /// Adds a batch in one write. A position that is there already is left as it is, so that a batch can be repeated.
    ///
    /// # Errors
    /// With more than [`DECISION_BATCH_MAX`] rows, or when the database fails; then nothing is added.
    pub async fn insert_decisions(&self, batch: &[DecisionRow]) -> Result<(), StoreError> {
        if batch.len() > DECISION_BATCH_MAX {
            let (what, found) = ("a batch of decisions", batch.len());
            return Err(StoreError::TooLarge { what, found, max: DECISION_BATCH_MAX });
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for one in batch {
            let query = sql("INSERT INTO decision \
                 (ledger_index, made_at, system, client, model, advice, refused, guards, took_us, traffic) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (ledger_index) DO NOTHING")
            .bind(to_int("a ledger position", one.ledger_index)?)
            .bind(one.at.as_millis())
            .bind(one.system.to_string())
            .bind(one.client.to_string())
            .bind(one.model.map(|digest| digest.to_string()))
            .bind(to_word("an advice", &one.advice)?)
            .bind(one.refused.clone())
            .bind(to_json("the guards' notes", &one.guards)?)
            .bind(to_int("a duration", one.took_us)?)
            .bind(to_word("a kind of traffic", &one.traffic)?);
            tx.run(query).await?;
        }
        tx.commit().await
    }

    /// Newest first, before the position `before` if given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decisions(
        &self,
        filter: &DecisionFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        let before = before.map_or(Ok(i64::MAX), |b| to_int("a ledger position", b))?;
        let query = match filter {
            DecisionFilter::All => {
                sql("SELECT * FROM decision WHERE ledger_index < $1 ORDER BY ledger_index DESC LIMIT $2")
                    .bind(before)
                    .bind(page(limit))
            }
            DecisionFilter::System(system) => {
                sql("SELECT * FROM decision WHERE system = $1 AND ledger_index < $2 \
                 ORDER BY ledger_index DESC LIMIT $3")
                .bind(system.to_string())
                .bind(before)
                .bind(page(limit))
            }
            DecisionFilter::Client(client) => {
                sql("SELECT * FROM decision WHERE client = $1 AND ledger_index < $2 \
                 ORDER BY ledger_index DESC LIMIT $3")
                .bind(client.to_string())
                .bind(before)
                .bind(page(limit))
            }
        };
        self.read(query).await?.iter().map(decision).collect()
    }

    /// The row of a closing entry, if it is still kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decision(&self, ledger_index: u64) -> Result<Option<DecisionRow>, StoreError> {
        let query = sql("SELECT * FROM decision WHERE ledger_index = $1")
            .bind(to_int("a ledger position", ledger_index)?);
        self.read(query).await?.first().map(decision).transpose()
    }

    /// Keeps the newest `keep` rows and deletes the others. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_decisions(&self, keep: u64) -> Result<u64, StoreError> {
        let query = sql("DELETE FROM decision WHERE ledger_index <= \
             (SELECT ledger_index FROM decision ORDER BY ledger_index DESC LIMIT 1 OFFSET $1)")
        .bind(to_int("a number of rows", keep)?);
        self.write(query).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::PAGE_ROWS_MAX;
    use super::super::testing::{NOW, fresh};
    use super::*;

    fn row(index: u64) -> DecisionRow {
        DecisionRow {
            ledger_index: index,
            at: NOW,
            system: if index.is_multiple_of(2) { "even" } else { "odd" }.parse().unwrap(),
            client: if index.is_multiple_of(3) { "c0" } else { "c1" }.parse().unwrap(),
            model: index.is_multiple_of(2).then(|| Digest::of(b"m")),
            advice: Advice::UseWithCare,
            refused: (!index.is_multiple_of(2)).then(|| "guard-blocked".to_owned()),
            guards: vec![GuardNote {
                instance: "clinical-range".to_owned(),
                outcome: "found".to_owned(),
                places: vec!["age".to_owned()],
            }],
            took_us: 812,
            traffic: if index < 3 { Traffic::Rehearsal } else { Traffic::Routine },
        }
    }

    fn indices(rows: &[DecisionRow]) -> Vec<u64> {
        rows.iter().map(|r| r.ledger_index).collect()
    }

    #[tokio::test]
    async fn pages_run_newest_first_without_gap_or_repeat() {
        let (_folder, db) = fresh().await;
        let all: Vec<DecisionRow> = (0..10).map(row).collect();
        db.insert_decisions(&all[..6]).await.unwrap();
        db.insert_decisions(&all[3..]).await.unwrap();
        let page = db.decisions(&DecisionFilter::All, None, 4).await.unwrap();
        assert_eq!(page, [row(9), row(8), row(7), row(6)]);
        let rest = db.decisions(&DecisionFilter::All, Some(6), 100).await.unwrap();
        assert_eq!(indices(&rest), [5, 4, 3, 2, 1, 0]);
        let odd = DecisionFilter::System("odd".parse().unwrap());
        assert_eq!(indices(&db.decisions(&odd, Some(7), 2).await.unwrap()), [5, 3]);
        let c0 = DecisionFilter::Client("c0".parse().unwrap());
        assert_eq!(indices(&db.decisions(&c0, None, 100).await.unwrap()), [9, 6, 3, 0]);
        assert_eq!(db.decision(7).await.unwrap(), Some(row(7)));
        assert_eq!(db.decision(70).await.unwrap(), None);
    }

    #[tokio::test]
    async fn batches_and_pages_are_bounded_and_old_rows_are_pruned() {
        let (_folder, db) = fresh().await;
        let all: Vec<DecisionRow> = (0..=DECISION_BATCH_MAX as u64).map(row).collect();
        assert!(matches!(db.insert_decisions(&all).await, Err(StoreError::TooLarge { .. })));
        db.insert_decisions(&all[..DECISION_BATCH_MAX]).await.unwrap();
        let page = db.decisions(&DecisionFilter::All, None, u32::MAX).await.unwrap();
        assert_eq!(page.len(), PAGE_ROWS_MAX as usize);
        assert_eq!(db.decisions(&DecisionFilter::All, None, 0).await.unwrap().len(), 1);
        assert_eq!(db.prune_decisions(7).await.unwrap(), DECISION_BATCH_MAX as u64 - 7);
        assert_eq!(db.prune_decisions(7).await.unwrap(), 0);
        assert_eq!(db.decisions(&DecisionFilter::All, None, 100).await.unwrap().len(), 7);
        assert_eq!(db.prune_decisions(0).await.unwrap(), 7);
    }
}
