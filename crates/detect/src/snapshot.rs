//! The bytes in which the guards' memory survives a restart.
//!
//! Layout, integers little-endian: `ASEPHIST`, version u32, fit digest 32, first query number u64, queries u32,
//! clients u32, then 34 bytes per query (sketch, tag, client, time), then per client number u64, day i64, queries u32,
//! nine f64 of evidence, own sketches u32 and next u32 and the sketches; last the SHA-256 of all before.

use domain::Digest;

use crate::extraction::{Conduct, OWN};
use crate::history::{CLIENTS_MAX, Client, State};
use crate::memory::Print;
use crate::sketch::{DIMS, Sketch};

const MAGIC: &[u8; 8] = b"ASEPHIST";
const VERSION: u32 = 1;

/// Most queries one snapshot may hold: the largest memory that settings allow.
pub(crate) const QUERIES_MAX: u32 = 16_777_216;

const HEADER_BYTES: usize = 8 + 4 + 32 + 8 + 4 + 4;
const QUERY_BYTES: usize = DIMS + 4 + 2 + 4;

/// Why bytes are not a memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Too short, too long, or a checksum that does not fit.
    #[error("the guards' memory is damaged ({0}): delete it and the guards start to remember anew")]
    Damaged(&'static str),
    /// Written by another version.
    #[error(
        "the guards' memory has version {0}, this program reads 1: delete it and the guards start to remember anew"
    )]
    Version(u32),
    /// Belongs to guards fitted on other data or with other settings.
    #[error("the guards' memory belongs to another fit: delete it and the guards start to remember anew")]
    OtherFit,
}

/// A parsed snapshot.
pub(crate) struct Parsed {
    first: u64,
    queries: Vec<Print>,
    clients: Vec<(u64, Conduct)>,
}

/// Everything from query number `since` on, the clients that did something since, and the number to go on with.
pub(crate) fn write(state: &State, fit: Digest, since: u64) -> (Vec<u8>, u64) {
    let memory = &state.memory;
    let first = since.clamp(memory.seq() - memory.len() as u64, memory.seq());
    let clients: Vec<_> = state.clients.iter().filter(|(_, c)| c.changed >= since).collect();
    let count = memory.seq() - first;
    let mut out = Vec::with_capacity(HEADER_BYTES + usize::try_from(count).unwrap_or(0) * QUERY_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(fit.as_bytes());
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&u32::try_from(clients.len()).unwrap_or(u32::MAX).to_le_bytes());
    for number in first..memory.seq() {
        let print = memory.print(number);
        out.extend_from_slice(&print.sketch);
        out.extend_from_slice(&print.tag.to_le_bytes());
        out.extend_from_slice(&print.client.to_le_bytes());
        out.extend_from_slice(&print.at_s.to_le_bytes());
    }
    for (number, client) in clients {
        write_conduct(&mut out, *number, &client.conduct);
    }
    let checksum = Digest::of(&out);
    out.extend_from_slice(checksum.as_bytes());
    (out, memory.seq())
}

fn write_conduct(out: &mut Vec<u8>, number: u64, conduct: &Conduct) {
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&conduct.day.to_le_bytes());
    out.extend_from_slice(&conduct.queries.to_le_bytes());
    conduct.evidence.iter().flatten().for_each(|e| out.extend_from_slice(&e.to_le_bytes()));
    out.extend_from_slice(&u32::try_from(conduct.own.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&u32::try_from(conduct.own_next).unwrap_or(0).to_le_bytes());
    conduct.own.iter().for_each(|sketch| out.extend_from_slice(sketch));
}

/// Reads from the front of a slice; `None` past the end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

/// Reads a snapshot. Numbers are bounded before anything is allocated for them.
pub(crate) fn parse(bytes: &[u8], fit: Digest) -> Result<Parsed, SnapshotError> {
    use SnapshotError::Damaged;
    let end = bytes.len().checked_sub(32).ok_or(Damaged("too short"))?;
    let (body, checksum) = bytes.split_at(end);
    let mut cursor = Cursor(body);
    if cursor.take(8) != Some(MAGIC) {
        return Err(Damaged("not a memory of guards"));
    }
    let version = cursor.u32().ok_or(Damaged("too short"))?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    if Digest::of(body).as_bytes() != checksum {
        return Err(Damaged("the checksum differs"));
    }
    if cursor.array::<32>().ok_or(Damaged("too short"))? != *fit.as_bytes() {
        return Err(SnapshotError::OtherFit);
    }
    let first = cursor.u64().ok_or(Damaged("too short"))?;
    let queries = cursor.u32().filter(|n| *n <= QUERIES_MAX).ok_or(Damaged("too many queries"))?;
    let clients = cursor.u32().filter(|n| *n as usize <= CLIENTS_MAX).ok_or(Damaged("too many clients"))?;
    if cursor.0.len() < queries as usize * QUERY_BYTES {
        return Err(Damaged("too short"));
    }
    let queries: Option<Vec<Print>> = (0..queries).map(|_| read_print(&mut cursor)).collect();
    let clients: Option<Vec<(u64, Conduct)>> = (0..clients).map(|_| read_conduct(&mut cursor)).collect();
    let (Some(queries), Some(clients), true) = (queries, clients, cursor.0.is_empty()) else {
        return Err(Damaged("the parts do not add up"));
    };
    if first.checked_add(queries.len() as u64).is_none() {
        return Err(Damaged("the numbers do not add up"));
    }
    Ok(Parsed { first, queries, clients })
}

fn read_print(cursor: &mut Cursor<'_>) -> Option<Print> {
    Some(Print {
        sketch: cursor.array()?,
        tag: cursor.u32()?,
        client: cursor.array().map(u16::from_le_bytes)?,
        at_s: cursor.u32()?,
    })
}

fn read_conduct(cursor: &mut Cursor<'_>) -> Option<(u64, Conduct)> {
    let number = cursor.u64()?;
    let mut conduct = Conduct::new(cursor.array().map(i64::from_le_bytes)?);
    conduct.queries = cursor.u32()?;
    for value in conduct.evidence.iter_mut().flatten() {
        *value = cursor.array().map(f64::from_le_bytes).filter(|v| !v.is_nan())?;
    }
    let own = cursor.u32().map(|n| n as usize).filter(|n| *n <= OWN)?;
    conduct.own_next = cursor.u32().map(|n| n as usize).filter(|n| *n < OWN)?;
    conduct.own = (0..own).map(|_| cursor.array::<DIMS>()).collect::<Option<Vec<Sketch>>>()?;
    Some((number, conduct))
}

/// Puts a parsed snapshot into a memory; queries that are there already are left out.
pub(crate) fn apply(state: &mut State, parsed: Parsed) {
    let memory = &mut state.memory;
    if memory.len() == 0 {
        memory.set_seq(parsed.first);
    }
    let known = usize::try_from(memory.seq().saturating_sub(parsed.first)).unwrap_or(usize::MAX);
    for print in parsed.queries.into_iter().skip(known) {
        memory.insert(print);
    }
    let changed = memory.seq();
    for (number, conduct) in parsed.clients {
        if state.clients.len() < CLIENTS_MAX || state.clients.contains_key(&number) {
            state.clients.insert(number, Client { conduct, changed });
        }
    }
}
