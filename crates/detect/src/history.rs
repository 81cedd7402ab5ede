//! What the guards remember of a system's traffic: sketches of queries and the conduct of clients; no patient data.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{ClientId, Digest, Timestamp};

use crate::extraction::{Conduct, Hit, Signal};
use crate::fit::Fitted;
use crate::lines::Lines;
use crate::memory::{Memory, Print, Radii};
use crate::query_similarity::Seen;
use crate::settings::GuardSettings;
use crate::sketch::Sketch;
use crate::snapshot::{self, SnapshotError};

/// Clients whose conduct is remembered; the one that was quiet longest makes room.
pub(crate) const CLIENTS_MAX: usize = 1_024;

/// The memory of the guards of one system. Shared by all requests; its size is fixed by the settings.
///
/// Written down by [`snapshot`](Self::snapshot) from time to time and by [`drain_since`](Self::drain_since) often;
/// a new `History` takes both back with [`restore`](Self::restore), snapshot first.
pub struct History {
    /// Digest of the fit that the sketches belong to: sketches of another fit mean nothing.
    fit: Digest,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) memory: Memory,
    lines: Lines,
    /// By number of the client.
    pub(crate) clients: BTreeMap<u64, Client>,
}

pub(crate) struct Client {
    pub(crate) conduct: Conduct,
    /// Number that the next query had when this client last did something.
    pub(crate) changed: u64,
}

/// A client's number: FNV-1a over its name.
fn number(client: &ClientId) -> u64 {
    client
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis().div_euclid(1_000).max(0)).unwrap_or(u32::MAX)
}

impl State {
    /// The client's conduct on the day of `at`, made on first sight.
    fn conduct(&mut self, client: u64, day: i64) -> &mut Conduct {
        let changed = self.memory.seq();
        if !self.clients.contains_key(&client) && self.clients.len() >= CLIENTS_MAX {
            let quietest = self.clients.iter().min_by_key(|(_, c)| c.changed).map(|(k, _)| *k);
            quietest.map(|k| self.clients.remove(&k));
        }
        let entry =
            self.clients.entry(client).or_insert_with(|| Client { conduct: Conduct::new(day), changed });
        entry.changed = changed;
        entry.conduct.turn_day(day);
        &mut entry.conduct
    }
}

impl History {
    /// Empty memory of the size that the settings ask for.
    pub fn new(settings: &GuardSettings, fitted: &Fitted) -> Self {
        let similarity = &settings.query_similarity;
        let memory = Memory::new(similarity.remembered.size(), fitted.similarity.radii(similarity));
        let state = State { memory, lines: Lines::default(), clients: BTreeMap::new() };
        Self { fit: fitted.digest(), state: Mutex::new(state) }
    }

    /// A panic elsewhere while the lock was held leaves counts, never broken memory: go on with them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queries remembered now.
    pub fn len(&self) -> usize {
        self.lock().memory.len()
    }

    /// True before the first query.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Clients remembered now.
    pub fn clients(&self) -> usize {
        self.lock().clients.len()
    }

    /// Bytes that the memory of queries takes, allocated once.
    pub fn bytes(&self) -> usize {
        self.lock().memory.capacity() * crate::memory::BYTES_PER_QUERY
    }

    /// Everything, as bytes with version and checksum.
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::write(&self.lock(), self.fit, 0).0
    }

    /// What was added after `seq`, as bytes with version and checksum, and the number to ask with next time. 0 gives
    /// everything that is still remembered. Cheap: 34 bytes per query and a few kilobytes per active client.
    pub fn drain_since(&self, seq: u64) -> (Vec<u8>, u64) {
        snapshot::write(&self.lock(), self.fit, seq)
    }

    /// Takes back what [`snapshot`](Self::snapshot) or [`drain_since`](Self::drain_since) wrote; of both, the snapshot
    /// first and then each drain in order. All or nothing. Queries that are already there are not doubled.
    ///
    /// # Errors
    /// When the bytes are damaged, of another version, or of another fit.
    pub fn restore(&self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let parsed = snapshot::parse(bytes, self.fit)?;
        let mut state = self.lock();
        snapshot::apply(&mut state, parsed);
        Ok(())
    }

    /// Compares a query with those before it, then remembers it, unless the client sent it before.
    pub(crate) fn see(
        &self,
        sketch: Sketch,
        tag: u32,
        client: &ClientId,
        at: Timestamp,
        radii: Radii,
        window_hours: u32,
    ) -> Seen {
        let at_s = seconds(at);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "low bits are enough to tell a few clients apart"
        )]
        let print = Print { sketch, tag, client: number(client) as u16, at_s };
        let mut state = self.lock();
        let near = state.memory.near(&print, radii, at_s.saturating_sub(window_hours.saturating_mul(3_600)));
        let mut seen = Seen {
            near: near.distinct,
            clients: near.clients,
            on_line: false,
            repeated_by_client: near.repeated_by_client,
            sketch: Some(sketch),
        };
        if !near.repeated_by_client {
            seen.on_line = state.lines.add(&sketch, radii.recent.saturating_mul(4));
            state.memory.insert(print);
        }
        seen
    }

    /// Counts a query of a client.
    pub(crate) fn count_query(
        &self,
        client: &ClientId,
        at: Timestamp,
        sketch: &Sketch,
        near: u32,
        beyond: Hit,
        honest: f64,
    ) {
        let mut state = self.lock();
        let conduct = state.conduct(number(client), at.day());
        conduct.queries = conduct.queries.saturating_add(1);
        conduct.count(Signal::Beyond, beyond, honest);
        let near_own = conduct.is_near_own(sketch, near).into();
        conduct.count(Signal::NearOwn, near_own, honest);
    }

    /// Counts an answer to a client.
    pub(crate) fn count_answer(&self, client: &ClientId, at: Timestamp, low_margin: Hit, honest: f64) {
        self.lock().conduct(number(client), at.day()).count(Signal::LowMargin, low_margin, honest);
    }

    /// Evidence and number of queries of a client today.
    pub(crate) fn standing(&self, client: &ClientId, at: Timestamp) -> Standing {
        let mut state = self.lock();
        let conduct = state.conduct(number(client), at.day());
        Standing {
            queries: conduct.queries,
            log_evidence: conduct.log_evidence(),
            strongest: conduct.strongest(),
        }
    }
}

/// How a client stands today.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) queries: u32,
    pub(crate) log_evidence: f64,
    pub(crate) strongest: usize,
}
