//! The fingerprint memory behind G005: a ring of sketches, an exhaustive look at the newest, a hash index over all.
//!
//! Bytes per stored query: 24 sketch + 4 tag + 2 client + 4 time, and 4 tables × 4 bytes × 1.25 slots = 20 for the
//! index: 54, all allocated once.

use numeric::Rng;

use crate::sketch::{DIMS, HEAD, Sketch, squared_distance};

/// The newest queries that every new one is compared with directly: a query search comes in bursts, and the
/// exhaustive look misses nothing.
pub(crate) const RECENT: usize = 2_048;

/// Recent queries looked at together: what is kept of each while looking fits in the processor's registers.
const LOOK: usize = 64;

/// Hash tables of the index: at the radius's edge one table finds about half, four find nineteen of twenty.
const TABLES: usize = 4;

/// Newest queries kept per cell of a table: one cache line with room for its neighbours.
const SLOTS: usize = 8;

/// Axes that a cell is cut along: the widest ones.
const AXES: usize = 8;

/// Distinct near queries counted at most; alarms need far fewer.
pub(crate) const NEAR_MAX: usize = 16;

/// What a stored query takes: its parts, and its share of the index.
pub(crate) const BYTES_PER_QUERY: usize = DIMS + 4 + 2 + 4 + TABLES * 4 * 5 / 4;

/// One stored query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print {
    pub(crate) sketch: Sketch,
    /// Tells different rows apart.
    pub(crate) tag: u32,
    /// Low bits of the client's number.
    pub(crate) client: u16,
    /// Seconds since the epoch.
    pub(crate) at_s: u32,
}

/// Bits of an index slot that hold a position plus one: up to 16,777,216. The others hold a part of the cell's hash.
const POSITION: u32 = (1 << 25) - 1;

/// Where a sketch's cell stands in the index, and how what is in it is marked.
#[derive(Debug, Clone, Copy)]
struct Cell {
    first: usize,
    mark: u32,
}

impl Cell {
    /// What the index keeps of a query of this cell, stored at `place`.
    fn mark(self, place: usize) -> u32 {
        self.mark | (u32::try_from(place + 1).unwrap_or(0) & POSITION)
    }

    /// Position plus one of a query of this cell; 0 for an empty slot and for nearly all queries of other cells, whose sketches, far off in
    /// memory, then need not be fetched.
    const fn position(self, slot: u32) -> u32 {
        if slot & !POSITION == self.mark { slot & POSITION } else { 0 }
    }
}

/// How near counts as near, in squared steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Radii {
    pub(crate) recent: u32,
    pub(crate) archive: u32,
}

/// What is near a query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Near {
    /// Different queries that are near but not equal.
    pub(crate) distinct: usize,
    /// Clients among them, the asking one included.
    pub(crate) clients: usize,
    /// The same query was there before.
    pub(crate) repeated: bool,
    /// The same query came from the same client before.
    pub(crate) repeated_by_client: bool,
    tags: [u32; NEAR_MAX],
    from: [u16; NEAR_MAX],
}

/// The memory.
pub(crate) struct Memory {
    sketches: Vec<Sketch>,
    /// The widest axes of the newest queries, axis by axis, so that many are compared with one instruction; query `s`
    /// stands at `s % RECENT`.
    heads: Vec<[u8; RECENT]>,
    tags: Vec<u32>,
    clients: Vec<u16>,
    times: Vec<u32>,
    /// Queries ever stored; the newest is at `(seq - 1) % capacity`.
    seq: u64,
    /// Number of the first query that this memory was given.
    first: u64,
    /// `TABLES` × cells × [`SLOTS`] marked positions ([`Cell::mark`]); 0 is empty.
    index: Vec<u32>,
    cells: usize,
    offsets: [[u32; AXES]; TABLES],
    /// Width of a cell in steps.
    cell_width: u32,
}

impl Memory {
    /// Empty memory for `capacity` queries; cells fit the archive's radius.
    pub(crate) fn new(capacity: usize, radii: Radii) -> Self {
        let capacity = capacity.max(RECENT);
        let cells = (capacity * 5 / 4).div_ceil(SLOTS).max(1);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a radius in bytes' steps"
        )]
        let cell_width = ((f64::from(radii.archive).sqrt() * 2.0).ceil() as u32).clamp(2, 255);
        let mut rng = Rng::new(0x5eed, 0);
        let mut offsets = [[0; AXES]; TABLES];
        for offset in offsets.iter_mut().flatten() {
            *offset = u32::try_from(rng.below(cell_width as usize)).unwrap_or(0);
        }
        Self {
            sketches: vec![[0; DIMS]; capacity],
            heads: vec![[0; RECENT]; HEAD],
            tags: vec![0; capacity],
            clients: vec![0; capacity],
            times: vec![0; capacity],
            seq: 0,
            first: 0,
            index: vec![0; TABLES * cells * SLOTS],
            cells,
            offsets,
            cell_width,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.sketches.len()
    }

    pub(crate) const fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.seq - self.first).unwrap_or(usize::MAX).min(self.capacity())
    }

    /// Starts numbering at `seq` in an empty memory, so that numbers go on after a restart.
    pub(crate) fn set_seq(&mut self, seq: u64) {
        self.seq = seq;
        self.first = seq;
    }

    fn place(&self, seq: u64) -> usize {
        usize::try_from(seq % self.capacity() as u64).unwrap_or(0)
    }

    /// Stored query number `seq`, if it is still there.
    pub(crate) fn print(&self, seq: u64) -> Print {
        let i = self.place(seq);
        Print { sketch: self.sketches[i], tag: self.tags[i], client: self.clients[i], at_s: self.times[i] }
    }

    /// Stores a query, over the oldest one when full.
    pub(crate) fn insert(&mut self, print: Print) {
        let i = self.place(self.seq);
        self.sketches[i] = print.sketch;
        let recent = usize::try_from(self.seq % RECENT as u64).unwrap_or(0);
        for (axis, byte) in self.heads.iter_mut().zip(print.sketch) {
            axis[recent] = byte;
        }
        self.tags[i] = print.tag;
        self.clients[i] = print.client;
        self.times[i] = print.at_s;
        self.seq += 1;
        for table in 0..TABLES {
            let cell = self.cell(table, &print.sketch);
            let slots = &mut self.index[cell.first..cell.first + SLOTS];
            slots.rotate_right(1);
            slots[0] = cell.mark(i);
        }
    }

    /// The sketch's cell in `table`.
    fn cell(&self, table: usize, sketch: &Sketch) -> Cell {
        let mut hash = 0x9e37_79b9_7f4a_7c15_u64 ^ (table as u64);
        for (byte, offset) in sketch.iter().zip(&self.offsets[table]) {
            let cell = (u32::from(*byte) + offset) / self.cell_width;
            hash = (hash ^ u64::from(cell)).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash ^= hash >> 32;
        }
        let cell = usize::try_from(hash % self.cells as u64).unwrap_or(0);
        // The low half chose the slots; the high bits tell most of the cells apart that share them.
        let mark = u32::try_from(hash >> 32).unwrap_or(0) & !POSITION;
        Cell { first: (table * self.cells + cell) * SLOTS, mark }
    }

    /// What is near `query` among the queries since `since_s`.
    pub(crate) fn near(&self, query: &Print, radii: Radii, since_s: u32) -> Near {
        let mut near = Near { clients: 1, ..Near::default() };
        let recent = self.len().min(RECENT);
        // All of the index that is needed, read first: far apart in memory, the places are waited for together.
        let mut slots = [[0_u32; SLOTS]; TABLES];
        if self.len() > recent {
            for (table, slots) in slots.iter_mut().enumerate() {
                let cell = self.cell(table, &query.sketch);
                slots.copy_from_slice(&self.index[cell.first..cell.first + SLOTS]);
                slots.iter_mut().for_each(|slot| *slot = cell.position(*slot));
            }
        }
        // From the oldest block round the ring; places that hold no recent query are told apart by their number.
        let oldest = self.seq - recent as u64;
        let start = usize::try_from(oldest % RECENT as u64).unwrap_or(0);
        // Who is within the radius is within it along the widest axes alone: most are not.
        let reach = u16::try_from(radii.recent).unwrap_or(u16::MAX);
        let mut squares = [0_u16; RECENT];
        let heads = HeadSquares { heads: &self.heads, query: &query.sketch, squares: &mut squares };
        pulp::Arch::new().dispatch(heads);
        for block in 0..RECENT / LOOK {
            let from = (start / LOOK + block) % (RECENT / LOOK) * LOOK;
            let squares = &squares[from..from + LOOK];
            if squares.iter().fold(u16::MAX, |least, square| least.min(*square)) > reach {
                continue;
            }
            for (place, _) in (from..).zip(squares).filter(|(_, square)| **square <= reach) {
                self.look_closer(&mut near, place, (oldest, recent), query, radii.recent, since_s);
            }
        }
        // The same for the sketches: copied before any is looked at, without asking whether there is one.
        let places = slots.as_flattened();
        let mut sketches = [[0_u8; DIMS]; TABLES * SLOTS];
        for (sketch, slot) in sketches.iter_mut().zip(places) {
            *sketch = self.sketches[(*slot as usize).saturating_sub(1)];
        }
        for (sketch, slot) in sketches.iter().zip(places).filter(|(_, slot)| **slot != 0) {
            if squared_distance(sketch, &query.sketch) <= radii.archive {
                self.count(&mut near, *slot as usize - 1, query, since_s);
            }
        }
        near
    }

    /// Compares the whole sketch of the recent query at `place` of the ring, if it is one.
    fn look_closer(
        &self,
        near: &mut Near,
        place: usize,
        (oldest, recent): (u64, usize),
        query: &Print,
        limit: u32,
        since_s: u32,
    ) {
        let behind = (place as u64 + RECENT as u64 - oldest % RECENT as u64) % RECENT as u64;
        if behind >= recent as u64 {
            return;
        }
        let i = self.place(oldest + behind);
        if squared_distance(&self.sketches[i], &query.sketch) <= limit {
            self.count(near, i, query, since_s);
        }
    }

    fn count(&self, near: &mut Near, i: usize, query: &Print, since_s: u32) {
        if self.tags[i] == query.tag {
            near.repeated = true;
            near.repeated_by_client |= self.clients[i] == query.client;
            return;
        }
        if self.times[i] < since_s || near.distinct >= NEAR_MAX {
            return;
        }
        if near.tags[..near.distinct].contains(&self.tags[i]) {
            return;
        }
        let from = self.clients[i];
        if from != query.client && !near.from[..near.distinct].contains(&from) {
            near.clients += 1;
        }
        near.tags[near.distinct] = self.tags[i];
        near.from[near.distinct] = from;
        near.distinct += 1;
    }
}

/// For each recent query the squared distance from `query` along the widest axes, at most 65,535. Inlined into what `pulp` compiles
/// for each kind of processor, so that the widest vectors are used.
struct HeadSquares<'a> {
    heads: &'a [[u8; RECENT]],
    query: &'a Sketch,
    squares: &'a mut [u16; RECENT],
}

impl pulp::WithSimd for HeadSquares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for (block, squares) in self.squares.as_chunks_mut::<LOOK>().0.iter_mut().enumerate() {
            let mut sum = [0_u16; LOOK];
            for (axis, byte) in self.heads.iter().zip(self.query) {
                let stored = &axis.as_chunks::<LOOK>().0[block];
                for k in 0..LOOK {
                    let gap = u16::from(stored[k].abs_diff(*byte));
                    // 255 squared fits.
                    sum[k] = sum[k].saturating_add(gap.wrapping_mul(gap));
                }
            }
            *squares = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Near queries found one by one: what the block-wise look must equal.
    fn slowly(memory: &Memory, query: &Print, limit: u32) -> usize {
        let oldest = memory.seq() - memory.len().min(RECENT) as u64;
        let mut tags: Vec<u32> = (oldest..memory.seq())
            .map(|seq| memory.print(seq))
            .filter(|p| squared_distance(&p.sketch, &query.sketch) <= limit && p.tag != query.tag)
            .map(|p| p.tag)
            .collect();
        tags.sort_unstable();
        tags.dedup();
        tags.len().min(NEAR_MAX)
    }

    #[test]
    fn the_look_at_recent_queries_equals_a_plain_one_at_every_fill() {
        let radii = Radii { recent: 900, archive: 0 };
        let mut rng = Rng::new(7, 3);
        let mut print = |tag: u32| {
            let mut sketch = [128_u8; DIMS];
            for byte in &mut sketch {
                *byte = u8::try_from(118 + rng.below(20)).unwrap();
            }
            Print { sketch, tag, client: 1, at_s: 10 }
        };
        for already in [0, 1, LOOK - 1, LOOK, RECENT - 1, RECENT, RECENT + 1, 2 * RECENT + 77] {
            let mut memory = Memory::new(3 * RECENT, radii);
            memory.set_seq(1_000_003);
            for n in 0..already {
                memory.insert(print(u32::try_from(n).unwrap()));
            }
            let query = print(u32::MAX);
            let near = memory.near(&query, radii, 0);
            assert_eq!(near.distinct, slowly(&memory, &query, radii.recent), "{already} stored");
        }
    }
}
