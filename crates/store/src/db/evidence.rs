//! Evidence by system. The ledger holds the proof; this is the index that gates are computed from.

use domain::{Digest, Evidence, Hasher, Subject, SystemId};
use sqlx::any::AnyRow;

use super::row::{Fields, to_int, to_json};
use super::{Db, StoreError, page, sql};

/// Most pieces of evidence that [`Db::latest_evidence`] returns: checks × versions of a system.
pub const EVIDENCE_LATEST_MAX: usize = 10_000;

/// Evidence and where it stands in the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvidence {
    /// Position in the ledger.
    pub ledger_index: u64,
    /// The evidence.
    pub evidence: Evidence,
}

/// One digest for a list of subjects, whatever their order.
fn subjects_digest(subjects: &[Subject]) -> Digest {
    let mut sorted = subjects.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut hasher = Hasher::new();
    for subject in sorted {
        hasher.field(subject.role.as_str().as_bytes()).field(subject.digest.as_bytes());
    }
    hasher.finish()
}

fn stored(row: &AnyRow) -> Result<StoredEvidence, StoreError> {
    let row = Fields::new("evidence", row);
    Ok(StoredEvidence { ledger_index: row.count("ledger_index")?, evidence: row.json("body")? })
}

impl Db {
    /// Adds evidence that stands at `ledger_index`. Adding the same position again changes nothing.
    ///
    /// # Errors
    /// When it is too large or the database fails.
    pub async fn insert_evidence(&self, ledger_index: u64, evidence: &Evidence) -> Result<(), StoreError> {
        let query = sql("INSERT INTO evidence \
             (ledger_index, system, check_id, subjects, made_at, body) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (ledger_index) DO NOTHING")
        .bind(to_int("a ledger position", ledger_index)?)
        .bind(evidence.system.to_string())
        .bind(evidence.check.clone())
        .bind(subjects_digest(&evidence.subjects).to_string())
        .bind(evidence.made_at.as_millis())
        .bind(to_json("a piece of evidence", evidence)?);
        self.write(query).await.map(|_| ())
    }

    /// Evidence about a system, newest first, before the position `before` if given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn evidence_page(
        &self,
        system: &SystemId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<StoredEvidence>, StoreError> {
        let query = sql("SELECT ledger_index, body FROM evidence WHERE system = $1 AND ledger_index < $2 \
             ORDER BY ledger_index DESC LIMIT $3")
        .bind(system.to_string())
        .bind(before.map_or(Ok(i64::MAX), |b| to_int("a ledger position", b))?)
        .bind(page(limit));
        self.read(query).await?.iter().map(stored).collect()
    }

    /// The newest evidence of each check for each set of subjects: all that a gate needs, also one for an earlier version.
    /// In ledger order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn latest_evidence(&self, system: &SystemId) -> Result<Vec<StoredEvidence>, StoreError> {
        let query = sql("SELECT ledger_index, body FROM evidence WHERE ledger_index IN \
             (SELECT MAX(ledger_index) FROM evidence WHERE system = $1 GROUP BY check_id, subjects) \
             ORDER BY ledger_index DESC LIMIT $2")
        .bind(system.to_string())
        .bind(EVIDENCE_LATEST_MAX as i64);
        let mut newest: Vec<StoredEvidence> =
            self.read(query).await?.iter().map(stored).collect::<Result<_, _>>()?;
        newest.reverse();
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use domain::{Outcome, SubjectRole};

    use super::super::testing::{NOW, fresh};
    use super::*;

    fn evidence(system: &str, check: &str, model: &[u8]) -> Evidence {
        let subject = |role, bytes: &[u8]| Subject { role, digest: Digest::of(bytes) };
        Evidence {
            check: check.to_owned(),
            system: system.parse().unwrap(),
            subjects: vec![subject(SubjectRole::Model, model), subject(SubjectRole::Reference, b"r")],
            made_at: NOW,
            by: "asepsis".to_owned(),
            tool: "0.1.0".to_owned(),
            parameters: [("seed".to_owned(), "7".to_owned())].into(),
            outcome: Outcome::inconclusive(check, "no time left"),
            metrics: [("rate".to_owned(), domain::Metric::ratio(0.25))].into(),
        }
    }

    #[tokio::test]
    async fn the_latest_of_each_check_and_version_is_kept_apart() {
        let (_folder, db) = fresh().await;
        let all = [
            evidence("a", "K001", b"v1"),
            evidence("a", "K001", b"v2"),
            evidence("a", "K002", b"v1"),
            evidence("b", "K001", b"v1"),
            evidence("a", "K001", b"v1"),
        ];
        for (index, one) in (0..).zip(&all) {
            db.insert_evidence(index * 10, one).await.unwrap();
        }
        db.insert_evidence(0, &evidence("a", "K009", b"x")).await.unwrap();
        let system = "a".parse().unwrap();
        let latest = db.latest_evidence(&system).await.unwrap();
        assert_eq!(latest.iter().map(|e| e.ledger_index).collect::<Vec<_>>(), [10, 20, 40]);
        assert_eq!(latest[2].evidence, all[4], "comes back as it was");
        let page = db.evidence_page(&system, Some(40), 2).await.unwrap();
        assert_eq!(page.iter().map(|e| e.ledger_index).collect::<Vec<_>>(), [20, 10]);
        let rest = db.evidence_page(&system, Some(10), 2).await.unwrap();
        assert_eq!(rest[0].evidence.check, "K001", "a position is written once");
    }

    #[test]
    fn the_order_of_subjects_does_not_matter() {
        let mut one = evidence("a", "K001", b"v1").subjects;
        let forward = subjects_digest(&one);
        one.reverse();
        assert_eq!(subjects_digest(&one), forward);
        one.pop();
        assert_ne!(subjects_digest(&one), forward);
    }
}
