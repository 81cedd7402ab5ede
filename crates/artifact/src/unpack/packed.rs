//! A compressed member as a source: decoded when it is looked at, held only while it is scanned.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Codec, FILTERS_MAX, Filter, Frames};
use crate::context::Budget;
use crate::{Limits, Range, ReadError, Source};

/// Expanded bytes up to which no ratio is a bomb: nobody is hurt by them, and blank images reach any ratio.
const BOMB_BYTES_MIN: u64 = 24 << 20;
/// Arrays of zeros that a NumPy header announces are no bomb up to here, bytes: the header says what they cost.
const BOMB_ARRAY_BYTES_MIN: u64 = 1 << 30;
/// The same once a bomb was found in the artefact, and what is looked at of a bomb, bytes.
const BOMB_BYTES_LOOKED: u64 = 1 << 20;
/// Members up to this size are kept after they were read, bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Bytes kept per container.
const KEPT_ALL_MAX: u64 = 8 << 20;
/// Times a large member may be decoded again from its start, because its reader went back.
const RESTARTS_MAX: u32 = 24;
/// Bytes decoded at once.
const STEP: usize = 64 * 1024;

/// Why decoding stopped before the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The stream is not valid, or cut off.
    Corrupt(String),
    /// It unfolds to far more than it holds.
    Bomb,
    /// The scan's budget of decompressed bytes is spent.
    Spent(String),
}

/// What the members of one container share.
pub(crate) struct Pool {
    budget: Budget,
    memory_max: u64,
    ratio_max: u64,
    kept: AtomicU64,
}

impl Pool {
    pub(crate) fn new(budget: Budget, limits: &Limits) -> Self {
        Self { budget, memory_max: limits.memory_max, ratio_max: limits.ratio_max, kept: AtomicU64::new(0) }
    }
}

/// What decoding a member once gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes of content.
    pub(crate) length: u64,
    /// CRC-32 of the content.
    pub(crate) crc: u32,
    /// Compressed bytes that were read.
    pub(crate) consumed: u64,
    /// Why it stopped, if not at the end.
    pub(crate) stop: Option<Stop>,
}

/// A compressed stream as a source.
pub(crate) struct Packed<'a> {
    raw: Range<'a>,
    codec: Codec,
    filters: [Option<Filter>; FILTERS_MAX],
    /// Bytes after which the content ends, whatever the stream says (a 7z folder knows its size).
    cut: u64,
    pool: &'a Pool,
    decoded: OnceLock<Decoded>,
    kept: OnceLock<Vec<u8>>,
    stream: Mutex<Option<Stream<'a>>>,
}

/// A decoder under way, for members that are too large to hold.
struct Stream<'a> {
    frames: Frames<'a>,
    at: u64,
    /// The bytes before `at`, so that small steps back cost nothing.
    window: Vec<u8>,
    restarts: u32,
}

impl<'a> Packed<'a> {
    pub(crate) fn new(raw: Range<'a>, codec: Codec, pool: &'a Pool) -> Self {
        Self::filtered(raw, codec, [None; FILTERS_MAX], u64::MAX, pool)
    }

    /// Ends after `cut` bytes of content, filtered.
    pub(crate) fn filtered(
        raw: Range<'a>,
        codec: Codec,
        filters: [Option<Filter>; FILTERS_MAX],
        cut: u64,
        pool: &'a Pool,
    ) -> Self {
        let (decoded, kept, stream) = (OnceLock::new(), OnceLock::new(), Mutex::new(None));
        Self { raw, codec, filters, cut, pool, decoded, kept, stream }
    }

    fn frames(&self) -> Frames<'a> {
        Frames::filtered(self.codec, self.filters, self.raw)
    }

    /// The compressed bytes.
    pub(crate) fn raw(&self) -> Range<'a> {
        self.raw
    }

    /// How many compressed bytes.
    pub(crate) fn raw_len(&self) -> u64 {
        self.raw.len()
    }

    /// What decoding gives; decodes when nobody has yet.
    pub(crate) fn decoded(&self) -> &Decoded {
        if self.decoded.get().is_none() {
            self.decode();
        }
        static NOTHING: Decoded = Decoded { length: 0, crc: 0, consumed: 0, stop: None };
        self.decoded.get().unwrap_or(&NOTHING)
    }

    /// Decodes all, and gives the bytes when they fit into memory.
    fn decode(&self) -> Option<Vec<u8>> {
        let mut frames = self.frames();
        let mut held = Some(Vec::new());
        let mut crc = crc32fast::Hasher::new();
        let mut done = Decoded::default();
        let mut array = false;
        let mut buffer = vec![0; STEP];
        while done.length < self.cut {
            let want = usize::try_from(self.cut - done.length).unwrap_or(STEP).min(STEP);
            let n = match frames.read(&mut buffer[..want]) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) => {
                    done.stop = Some(Stop::Corrupt(e.to_string()));
                    break;
                }
            };
            let bytes = &buffer[..n];
            array = array || (done.length == 0 && bytes.starts_with(b"\x93NUMPY"));
            done.length += n as u64;
            crc.update(bytes);
            if let Some(vec) = &mut held {
                if done.length > self.pool.memory_max {
                    held = None;
                } else {
                    vec.extend_from_slice(bytes);
                }
            }
            let free = match (self.pool.budget.bombed(), array) {
                (true, _) => BOMB_BYTES_LOOKED,
                (false, true) => BOMB_ARRAY_BYTES_MIN,
                (false, false) => BOMB_BYTES_MIN,
            };
            let ratio = done.length / frames.position().max(1);
            if done.length > free && ratio > self.pool.ratio_max {
                done.stop = Some(Stop::Bomb);
                self.pool.budget.bomb();
                if let Some(vec) = &mut held {
                    vec.truncate(usize::try_from(BOMB_BYTES_LOOKED).unwrap_or(0));
                }
                break;
            }
            if let Err(e) = self.pool.budget.spend(n as u64) {
                done.stop = Some(Stop::Spent(e.to_string()));
                break;
            }
        }
        done.consumed = frames.position();
        done.crc = crc.finalize();
        self.decoded.get_or_init(|| done);
        if let Some(vec) = &held
            && vec.len() <= KEPT_BYTES_MAX
            && self.pool.kept.fetch_add(vec.len() as u64, Ordering::Relaxed) < KEPT_ALL_MAX
        {
            self.kept.get_or_init(|| vec.clone());
        }
        held
    }
}

impl Source for Packed<'_> {
    fn len(&self) -> u64 {
        let decoded = self.decoded();
        // What a bomb unfolds to is not read further than its start.
        if decoded.stop == Some(Stop::Bomb) { decoded.length.min(BOMB_BYTES_LOOKED) } else { decoded.length }
    }

    fn in_memory(&self) -> Option<&[u8]> {
        self.kept.get().map(Vec::as_slice)
    }

    fn load(&self) -> Option<Vec<u8>> {
        if self.kept.get().is_some() || self.decoded.get().is_some_and(|d| d.length > self.pool.memory_max) {
            return None;
        }
        self.decode()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let left = usize::try_from(self.len().saturating_sub(at)).unwrap_or(usize::MAX);
        let want = into.len().min(left);
        let Some(into) = into.get_mut(..want).filter(|i| !i.is_empty()) else { return Ok(0) };
        if let Some(kept) = self.kept.get() {
            return kept.read_at(at, into);
        }
        let mut guard = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let restarts = guard.as_ref().map_or(0, |s| s.restarts);
        let back = guard.as_ref().is_none_or(|s| at < s.at - s.window.len() as u64);
        if back {
            if restarts >= RESTARTS_MAX {
                return Err(ReadError::Io(
                    "a large compressed part was read back too often; unpack it and scan that".into(),
                ));
            }
            let frames = self.frames();
            *guard = Some(Stream { frames, at: 0, window: Vec::new(), restarts: restarts + 1 });
        }
        let Some(stream) = guard.as_mut() else { return Ok(0) };
        stream.read(at, into, &self.pool.budget)
    }
}

impl Stream<'_> {
    fn read(&mut self, at: u64, into: &mut [u8], budget: &Budget) -> Result<usize, ReadError> {
        while self.at <= at {
            let mut next = vec![0; STEP];
            let n = self.frames.read(&mut next).map_err(|e| ReadError::Io(e.to_string()))?;
            if n == 0 {
                return Ok(0);
            }
            budget.spend(n as u64).map_err(|e| ReadError::Io(e.to_string()))?;
            if self.window.len() > 4 * STEP {
                self.window.drain(..self.window.len() - STEP);
            }
            self.window.extend_from_slice(&next[..n]);
            self.at += n as u64;
        }
        let start = self.at - self.window.len() as u64;
        let from = usize::try_from(at - start).unwrap_or(usize::MAX);
        let held = self.window.get(from..).unwrap_or_default();
        let n = held.len().min(into.len());
        into[..n].copy_from_slice(&held[..n]);
        Ok(n)
    }
}
