//! Write-ahead segments: the one file a commit writes and syncs, and how to read it back after anything.
//!
//! ```text
//! segment = header frame*
//! header  = "asepsis-wal-v1\n\0" | first entry u64 | root before it 32 | check 8           64 bytes, big-endian
//! frame   = "ABF1" | count u32 | first entry u64 | body bytes u32 | note bytes u32 | check 8    32 bytes
//!           body: entries, each behind its u16 length | note: checkpoint after them, signed | SHA-256 of all of it
//! ```
//! A segment is written from front to back, one frame and one sync at a time, mostly over zeros that were put there and synced
//! ahead: then a sync carries data only, where a growing file also needs the file system's journal. What follows the last frame is
//! zeros or nothing.
//!
//! A write cut off by a power cut leaves whole sectors unwritten: the file is too *short*, or a sector of the last frame is still all
//! zeros. Whatever else has the wrong content is damage, not a torn write, and is never dropped silently.

use super::error::Damage;
use ledger::Hash;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a frame before its body.
pub const FRAME_HEADER_BYTES: usize = 32;
/// A frame is closed once its body reaches this many bytes, so that reading one entry never reads more than this and one entry.
pub const FRAME_BODY_BYTES: usize = 1 << 20;
/// Largest body: one byte less, and one more entry of the largest size.
pub const FRAME_BODY_BYTES_MAX: usize = FRAME_BODY_BYTES + 2 + ledger::ENTRY_BYTES_MAX;
/// Largest signed checkpoint in a frame: two names of 512 bytes and the rest.
pub const FRAME_NOTE_BYTES_MAX: usize = 4096;
/// Most segments a directory is read with; the writer stops long before.
pub const SEGMENTS_MAX: usize = 1024;

const SEGMENT_MAGIC: &[u8; 16] = b"asepsis-wal-v1\n\0";
const FRAME_MAGIC: &[u8; 4] = b"ABF1";
const DIGEST_BYTES: usize = 32;
/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Fewer bytes of a sector than this prove nothing by being zeros; and fewer bytes than this in a field of zeros are no write.
const TELLING_BYTES: usize = 16;
/// Bytes looked at together after the last whole frame.
const TAIL_STEP_BYTES: usize = 64 << 10;

/// Name of the segment that starts at entry `first`, below the log's directory.
pub fn segment_name(first: u64) -> String {
    format!("{}/{first:020}.wal", super::files::WAL)
}

/// The segments in a log's directory by first entry; a foreign file name is damage.
pub fn list(dir: &Path) -> io::Result<Result<Vec<u64>, Damage>> {
    let mut found = Vec::new();
    let wal = dir.join(super::files::WAL);
    let entries = match fs::read_dir(&wal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(found)),
        other => other?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let first = name.strip_suffix(".wal").and_then(|digits| digits.parse::<u64>().ok());
        match first.filter(|first| segment_name(*first).ends_with(name.as_ref())) {
            Some(first) if found.len() < SEGMENTS_MAX => found.push(first),
            _ => return Ok(Err(Damage::new(format!("wal/{name}"), "it does not belong to the log"))),
        }
    }
    found.sort_unstable();
    Ok(Ok(found))
}

/// The header of a segment.
pub fn segment_header(first: u64, root: &Hash) -> [u8; HEADER_BYTES] {
    let mut bytes = [0u8; HEADER_BYTES];
    let parts: Vec<u8> =
        SEGMENT_MAGIC.iter().chain(&first.to_be_bytes()).chain(root.as_bytes()).copied().collect();
    let check = Sha256::digest(&parts);
    for (to, from) in bytes.iter_mut().zip(parts.into_iter().chain(check)) {
        *to = from;
    }
    bytes
}

fn frame_header(count: u32, first: u64, body: u32, note: u32) -> [u8; FRAME_HEADER_BYTES] {
    let mut bytes = [0u8; FRAME_HEADER_BYTES];
    let parts: Vec<u8> = FRAME_MAGIC
        .iter()
        .chain(&count.to_be_bytes())
        .chain(&first.to_be_bytes())
        .chain(&body.to_be_bytes())
        .chain(&note.to_be_bytes())
        .copied()
        .collect();
    let check = Sha256::digest(&parts);
    for (to, from) in bytes.iter_mut().zip(parts.into_iter().chain(check)) {
        *to = from;
    }
    bytes
}

/// Appends a frame to `out`. `None` when a part is beyond its limit.
pub fn push_frame(out: &mut Vec<u8>, first: u64, count: usize, body: &[u8], note: &str) -> Option<()> {
    if body.len() > FRAME_BODY_BYTES_MAX || note.len() > FRAME_NOTE_BYTES_MAX {
        return None;
    }
    let lengths =
        (u32::try_from(count).ok()?, u32::try_from(body.len()).ok()?, u32::try_from(note.len()).ok()?);
    let start = out.len();
    out.extend_from_slice(&frame_header(lengths.0, first, lengths.1, lengths.2));
    out.extend_from_slice(body);
    out.extend_from_slice(note.as_bytes());
    let digest = Sha256::digest(out.get(start..)?);
    out.extend_from_slice(&digest);
    Some(())
}

/// One committed batch as it was read back.
#[derive(Debug)]
pub struct Frame<'a> {
    /// First entry.
    pub first: u64,
    /// Number of entries the header states; the body is not yet split.
    pub count: u32,
    /// Entries, each behind its length.
    pub body: &'a [u8],
    /// Signed checkpoint after the batch.
    pub note: &'a [u8],
}

/// How a segment ends.
#[derive(Debug, PartialEq, Eq)]
pub enum SegmentEnd {
    /// With a whole frame, or with zeros after it.
    Whole,
    /// With the beginning of something: so many bytes that were never acknowledged.
    Torn {
        /// Bytes after the last whole frame.
        bytes: u64,
    },
}

/// Why a segment could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// It holds something that was not written.
    Damaged(Damage),
    /// The disk refused.
    Io(PathBuf, io::Error),
}

impl From<Damage> for ReadError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// What is known about a segment before it is read.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// First entry, from its name.
    pub first: u64,
    /// Whether it is the newest one, the only one that may end torn.
    pub newest: bool,
}

/// Reads a segment frame by frame in flat memory; each is checked against its digest before `each` sees it.
pub fn read_segment(
    dir: &Path,
    segment: Segment,
    each: &mut dyn FnMut(Frame<'_>) -> Result<(), ReadError>,
) -> Result<SegmentEnd, ReadError> {
    let name = segment_name(segment.first);
    let path = dir.join(&name);
    let io = |error| ReadError::Io(path.clone(), error);
    let file = File::open(&path).map_err(io)?;
    let left = file.metadata().map_err(io)?.len();
    let mut input = Input { file: BufReader::new(file), left, path: path.clone() };
    let end = read_frames(&mut input, &name, segment.first, each)?;
    match end {
        SegmentEnd::Torn { bytes } if !segment.newest => Err(Damage::new(
            name,
            format!("its last {bytes} bytes are cut short although a newer segment follows"),
        )
        .into()),
        end => Ok(end),
    }
}

struct Input<R> {
    file: R,
    left: u64,
    path: PathBuf,
}

impl<R: Read> Input<R> {
    /// The next `count` bytes appended to `into`, or `false` when the file ends before.
    fn take(&mut self, count: usize, into: &mut Vec<u8>) -> Result<bool, ReadError> {
        if self.left < count as u64 {
            return Ok(false);
        }
        let start = into.len();
        into.resize(start + count, 0);
        let to = into.get_mut(start..).unwrap_or_default();
        self.file.read_exact(to).map_err(|error| ReadError::Io(self.path.clone(), error))?;
        self.left -= count as u64;
        Ok(true)
    }
}

fn read_frames<R: Read>(
    input: &mut Input<R>,
    name: &str,
    first: u64,
    each: &mut dyn FnMut(Frame<'_>) -> Result<(), ReadError>,
) -> Result<SegmentEnd, ReadError> {
    let whole_file = input.left;
    let mut buffer = Vec::new();
    if !input.take(HEADER_BYTES, &mut buffer)? {
        return Ok(SegmentEnd::Torn { bytes: whole_file });
    }
    let root = buffer.get(24..56).and_then(Hash::from_slice);
    if root.is_none_or(|root| segment_header(first, &root).as_slice() != buffer) {
        // Zeros: the first write, which holds the header, did not get here.
        return if is_zero(&buffer) {
            read_tail(input, name, 0, buffer)
        } else {
            Err(Damage::new(name, "its header was changed").into())
        };
    }
    loop {
        let at = whole_file - input.left;
        let torn = SegmentEnd::Torn { bytes: input.left };
        buffer.clear();
        if !input.take(FRAME_HEADER_BYTES, &mut buffer)? {
            return read_tail(input, name, at, buffer);
        }
        let Some((count, first, body, note)) = parse_frame_header(&buffer) else {
            return read_tail(input, name, at, buffer);
        };
        if !input.take(body + note + DIGEST_BYTES, &mut buffer)? {
            return Ok(torn);
        }
        let changed = || Damage::new(name, format!("the batch of entries from {first} was changed"));
        let (content, digest) =
            buffer.split_at_checked(FRAME_HEADER_BYTES + body + note).ok_or_else(changed)?;
        if Sha256::digest(content).as_slice() != digest {
            let rest = look_through(input, Vec::new())?;
            if lacks_a_sector(&buffer, at) && !rest.frame_follows {
                let written = buffer.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
                let bytes = if rest.end > 0 { buffer.len() as u64 + rest.end } else { written };
                return Ok(SegmentEnd::Torn { bytes });
            }
            return Err(changed().into());
        }
        let (_, content) = content.split_at_checked(FRAME_HEADER_BYTES).ok_or_else(changed)?;
        let (body, note) = content.split_at_checked(body).ok_or_else(changed)?;
        each(Frame { first, count, body, note })?;
    }
}

/// What comes after the last whole frame, `at` bytes into the file, `start` being its first bytes: nothing or zeros, a write of which
/// the beginning is missing, or damage.
fn read_tail<R: Read>(
    input: &mut Input<R>,
    name: &str,
    at: u64,
    mut start: Vec<u8>,
) -> Result<SegmentEnd, ReadError> {
    let bytes = start.len() as u64 + input.left;
    let is_short = bytes < FRAME_HEADER_BYTES as u64;
    let more = usize::try_from(input.left).unwrap_or(usize::MAX).min(2 * SECTOR_BYTES);
    input.take(more, &mut start)?;
    let (head, second) = start.split_at_checked(sector_rest(at)).unwrap_or((&start, &[]));
    let begins_with_zeros = is_zero(head);
    // A header can lie in two sectors.
    let second = second.get(..SECTOR_BYTES.min(second.len())).unwrap_or_default();
    let goes_on_with_zeros = head.len() < FRAME_HEADER_BYTES && !second.is_empty() && is_zero(second);
    let rest = look_through(input, start)?;
    if rest.nonzero == 0 {
        return Ok(SegmentEnd::Whole);
    }
    let is_write = begins_with_zeros && rest.nonzero >= TELLING_BYTES as u64 || goes_on_with_zeros;
    if (is_short || is_write) && !rest.frame_follows {
        return Ok(SegmentEnd::Torn { bytes: rest.end });
    }
    Err(Damage::new(name, format!("a batch header {bytes} bytes before its end was changed")).into())
}

/// What is left of a segment.
#[derive(Default)]
struct Rest {
    /// Bytes that are not zero.
    nonzero: u64,
    /// Bytes up to and with the last of them.
    end: u64,
    /// Whether a frame begins somewhere: a torn write is the last one, so what comes before a frame is not torn.
    frame_follows: bool,
}

/// Looks through the rest of a segment, which begins with `window`, in flat memory.
fn look_through<R: Read>(input: &mut Input<R>, mut window: Vec<u8>) -> Result<Rest, ReadError> {
    let mut rest = Rest::default();
    // Offset of the window, and how much of it was looked at before.
    let (mut at, mut known) = (0u64, 0usize);
    loop {
        let fresh = window.get(known..).unwrap_or_default();
        if !is_zero(fresh) {
            rest.nonzero += fresh.iter().filter(|byte| **byte != 0).count() as u64;
            let last = window.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            rest.end = at + last as u64;
            rest.frame_follows |= window
                .windows(FRAME_HEADER_BYTES)
                .any(|header| header.starts_with(FRAME_MAGIC) && parse_frame_header(header).is_some());
        }
        if input.left == 0 {
            return Ok(rest);
        }
        let keep = window.len().min(FRAME_HEADER_BYTES - 1);
        let gone = window.len() - keep;
        window.drain(..gone);
        (at, known) = (at + gone as u64, keep);
        let step = usize::try_from(input.left).unwrap_or(usize::MAX).min(TAIL_STEP_BYTES);
        input.take(step, &mut window)?;
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Without a way out in the middle of a piece, so that many bytes are looked at at once.
    bytes.chunks(SECTOR_BYTES).all(|piece| piece.iter().fold(0, |any, byte| any | byte) == 0)
}

/// Bytes from `at` to the end of its sector.
fn sector_rest(at: u64) -> usize {
    SECTOR_BYTES - usize::try_from(at % SECTOR_BYTES as u64).unwrap_or(0)
}

/// Whether one of the sectors that a frame at `at` covers was never written.
fn lacks_a_sector(frame: &[u8], at: u64) -> bool {
    let (head, others) = frame.split_at_checked(sector_rest(at)).unwrap_or((frame, &[]));
    let mut pieces = std::iter::once(head).chain(others.chunks(SECTOR_BYTES));
    pieces.any(|piece| piece.len() >= TELLING_BYTES && is_zero(piece))
}

impl SegmentEnd {
    /// Bytes that were dropped.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Whole => 0,
            Self::Torn { bytes } => *bytes,
        }
    }
}

fn parse_frame_header(bytes: &[u8]) -> Option<(u32, u64, usize, usize)> {
    let number = |from: usize| Some(u32::from_be_bytes(bytes.get(from..from + 4)?.try_into().ok()?));
    let (count, body, note) = (number(4)?, number(16)?, number(20)?);
    let first = u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?);
    if bytes != frame_header(count, first, body, note).as_slice() {
        return None;
    }
    let (body, note) = (usize::try_from(body).ok()?, usize::try_from(note).ok()?);
    (body <= FRAME_BODY_BYTES_MAX && note <= FRAME_NOTE_BYTES_MAX).then_some((count, first, body, note))
}

/// Reads segment bytes that come from anywhere; for fuzzing and tests.
///
/// Returns the number of whole frames, or the damage found.
pub fn scan_bytes(bytes: &[u8], first: u64) -> Result<usize, String> {
    let mut input = Input { file: bytes, left: bytes.len() as u64, path: PathBuf::new() };
    let mut frames = 0;
    let read = read_frames(&mut input, "wal", first, &mut |frame| {
        frames += 1;
        let _ = ledger::bundle::parse_entries(frame.body, frame.count as usize);
        Ok(())
    });
    match read {
        Ok(_) => Ok(frames),
        Err(ReadError::Damaged(damage)) => Err(damage.to_string()),
        Err(ReadError::Io(_, error)) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Vec<u8> {
        let mut bytes = segment_header(5, &ledger::leaf_hash(b"")).to_vec();
        push_frame(&mut bytes, 5, 1, &[0, 1, 7], "note\n").unwrap();
        push_frame(&mut bytes, 6, 1, &[0, 2, 7, 7], "note\n").unwrap();
        bytes
    }

    #[test]
    fn every_cut_is_torn_and_every_flip_is_damage() {
        let bytes = segment();
        assert_eq!(scan_bytes(&bytes, 5), Ok(2));
        for end in 0..bytes.len() {
            let frames = scan_bytes(&bytes[..end], 5).unwrap();
            assert!(frames < 2, "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(scan_bytes(&changed, 5).is_err(), "bit {bit}");
        }
        assert!(scan_bytes(&bytes, 6).is_err(), "another segment's name");
    }

    /// A segment of frames large enough for several sectors, and where its frames begin and end.
    fn long_segment(frames: u64) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = segment_header(0, &ledger::leaf_hash(b"")).to_vec();
        let mut ends = vec![bytes.len()];
        for first in 0..frames {
            let body = [&[4, 176][..], &[7; 1200]].concat();
            push_frame(&mut bytes, first, 1, &body, "note\n").unwrap();
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn read(bytes: &[u8]) -> Result<(u64, SegmentEnd), String> {
        let mut input = Input { file: bytes, left: bytes.len() as u64, path: PathBuf::new() };
        let mut frames = 0;
        let end = read_frames(&mut input, "wal", 0, &mut |_| {
            frames += 1;
            Ok(())
        });
        end.map(|end| (frames, end)).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn zeros_after_the_last_frame_are_its_end_and_anything_in_them_is_damage() {
        let (bytes, _) = long_segment(3);
        for zeros in [0, 1, 31, 32, 33, 4_096, 200_000] {
            let ahead = [bytes.as_slice(), &vec![0; zeros]].concat();
            assert_eq!(read(&ahead), Ok((3, SegmentEnd::Whole)), "{zeros}");
        }
        let ahead = [bytes.as_slice(), &vec![0; 4_096]].concat();
        for bit in 0..ahead.len() * 8 {
            let mut changed = ahead.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&changed).is_err(), "bit {bit}");
        }
        assert_eq!(read(&vec![0; 9_000]), Ok((0, SegmentEnd::Whole)), "named, and nothing written yet");
    }

    #[test]
    fn any_sectors_of_the_last_write_may_be_missing_and_of_no_other() {
        for (lost, last) in [(2, true), (0, false), (1, false)] {
            let (bytes, ends) = long_segment(3);
            // The first write holds the segment's header too.
            let start = if lost == 0 { 0 } else { ends[lost] };
            let sectors: Vec<usize> = (start / SECTOR_BYTES..ends[lost + 1].div_ceil(SECTOR_BYTES)).collect();
            for missing in 1..1_u32 << sectors.len() {
                let mut torn = [bytes.as_slice(), &vec![0; 3_000]].concat();
                for (i, sector) in sectors.iter().enumerate() {
                    let range =
                        (sector * SECTOR_BYTES).max(start)..((sector + 1) * SECTOR_BYTES).min(ends[lost + 1]);
                    if missing >> i & 1 == 1 {
                        torn[range].fill(0);
                    }
                }
                match read(&torn) {
                    Ok((frames, SegmentEnd::Torn { .. })) => assert!(last && frames == 2, "{missing:b}"),
                    Ok((frames, SegmentEnd::Whole)) => {
                        assert!(last && frames == 2 && missing.count_ones() as usize == sectors.len());
                    }
                    // So little of the last sector that it could be a flipped bit: refused, not dropped.
                    Err(_) => assert!(!last || ends[3] % SECTOR_BYTES < TELLING_BYTES, "{missing:b}"),
                }
            }
        }
        for missing in 1..1_u32 << 3 {
            let (bytes, _) = long_segment(1);
            let mut torn = [bytes.as_slice(), &vec![0; 3_000]].concat();
            for sector in (0..3).filter(|sector| missing >> sector & 1 == 1) {
                torn[sector * SECTOR_BYTES..((sector + 1) * SECTOR_BYTES).min(bytes.len())].fill(0);
            }
            assert!(read(&torn).is_ok_and(|(frames, _)| frames == 0), "the first write, {missing:b}");
        }
    }

    #[test]
    fn frames_beyond_their_limits_are_not_written() {
        let mut out = Vec::new();
        assert!(push_frame(&mut out, 0, 1, &vec![0; FRAME_BODY_BYTES_MAX], "").is_some());
        assert!(push_frame(&mut out, 0, 1, &vec![0; FRAME_BODY_BYTES_MAX + 1], "").is_none());
        assert!(push_frame(&mut out, 0, 1, &[], &"n".repeat(FRAME_NOTE_BYTES_MAX)).is_some());
        assert!(push_frame(&mut out, 0, 1, &[], &"n".repeat(FRAME_NOTE_BYTES_MAX + 1)).is_none());
    }

    proptest::proptest! {
        #[test]
        fn segments_with_any_tail_end_without_a_panic(tail in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..300), keep in 0usize..200) {
            let bytes = segment();
            let bytes = [bytes.get(..keep).unwrap_or(&bytes), tail.as_slice()].concat();
            let _ = scan_bytes(&bytes, 5);
        }
    }
}
