//! Heaps and trees: local, global and fractal heaps, symbol tables, B-trees of the first and second version.

use super::{Fields, File, HdfError, Link, Object, broken, number, text};

/// Nodes of one tree.
const NODES_MAX: usize = 100_000;
/// Records of one tree.
const RECORDS_MAX: usize = 2_000_000;
/// Depth of a tree of the second version.
const DEPTH_MAX: usize = 16;
/// Longest name in a local heap, bytes.
const NAME_BYTES_MAX: u64 = 4096;

impl File<'_> {
    /// A name in a local heap.
    pub(super) fn local(&self, heap: u64, offset: u64) -> Result<String, HdfError> {
        let head = self.read(heap, 8 + 2 * self.lengths as u64 + self.offsets as u64)?;
        if !head.starts_with(b"HEAP") {
            return broken("local heap", heap);
        }
        let size = number(&head, 8, self.lengths);
        let data = number(&head, 8 + 2 * self.lengths, self.offsets);
        if offset >= size {
            return broken("local heap", heap);
        }
        let length = (size - offset).min(NAME_BYTES_MAX);
        Ok(text(&self.read(data.saturating_add(offset), length)?))
    }

    /// An object of a global heap, or the first bytes of it.
    pub(crate) fn global(&self, heap: u64, index: u64, most: Option<u64>) -> Result<Vec<u8>, HdfError> {
        let head = self.read(heap, 8 + self.lengths as u64)?;
        if !head.starts_with(b"GCOL") {
            return broken("global heap", heap);
        }
        let end = number(&head, 8, self.lengths);
        let mut at = 8 + self.lengths as u64;
        let width = 8 + self.lengths as u64;
        for _ in 0..RECORDS_MAX {
            if at.saturating_add(width) > end {
                break;
            }
            let entry = self.read(heap.saturating_add(at), width)?;
            let (number_, size) = (number(&entry, 0, 2), number(&entry, 8, self.lengths));
            if number_ == index {
                return Ok(self
                    .read(heap.saturating_add(at + width), most.unwrap_or(size).min(size))?
                    .into_owned());
            }
            if number_ == 0 {
                break;
            }
            at = at.saturating_add(width).saturating_add(size.div_ceil(8).saturating_mul(8));
        }
        broken("global heap", heap)
    }

    /// Where the first chunk of a dataset is: the leftmost entry of its tree.
    pub(super) fn first_chunk(&self, tree: u64) -> Option<(u64, u64)> {
        let (o, mut at) = (self.offsets, tree);
        for _ in 0..DEPTH_MAX {
            let head = self.read(at, (24 + 2 * o) as u64).ok()?;
            if !head.starts_with(b"TREE") || number(&head, 6, 2) == 0 {
                return None;
            }
            // A key is the length, a mask, and the place in every dimension; how many those are shows in the length of
            // the first key, which is all zeros behind the mask up to the child.
            let level = head.get(5).copied()?;
            let start = 8 + 2 * o;
            let length = number(&head, start, 4);
            let rank = (2..=33usize).find(|rank| {
                let child = start + 8 + 8 * rank;
                let bytes = self.read(at, (child + o) as u64).unwrap_or_default();
                let zero = bytes.get(start + 8..child).is_some_and(|b| b.iter().all(|b| *b == 0));
                zero && number(&bytes, child, o) != 0
            })?;
            let bytes = self.read(at, (start + 8 + 8 * rank + o) as u64).ok()?;
            at = number(&bytes, start + 8 + 8 * rank, o);
            if level == 0 {
                return Some((at, length));
            }
        }
        None
    }

    /// The bytes behind references of variable length: length, heap, index.
    pub(crate) fn references(&self, bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        let o = self.offsets;
        bytes.chunks_exact(8 + o).filter_map(move |r| {
            let length = number(r, 0, 4);
            self.global(number(r, 4, o), number(r, 4 + o, 4), Some(length)).ok().filter(|_| length > 0)
        })
    }

    /// The members of an old-style group.
    pub(super) fn symbols(&self, tree: u64, heap: u64) -> Result<Vec<Link>, HdfError> {
        let mut links = Vec::new();
        let mut next = vec![tree];
        let mut nodes = 0;
        let (o, l) = (self.offsets, self.lengths);
        while let Some(at) = next.pop() {
            nodes += 1;
            if nodes > NODES_MAX {
                return broken("group with too many nodes", tree);
            }
            let head = self.read(at, 8)?;
            let entries = number(&head, 6, 2) as usize;
            if head.starts_with(b"TREE") {
                let body = self.read(at, (8 + 2 * o + l + entries * (o + l)) as u64)?;
                next.extend((0..entries).map(|i| number(&body, 8 + 2 * o + l + i * (o + l), o)));
            } else if head.starts_with(b"SNOD") {
                let body = self.read(at + 8, (entries * (2 * o + 24)) as u64)?;
                for entry in body.chunks_exact(2 * o + 24) {
                    let name = self.local(heap, number(entry, 0, o))?;
                    if number(entry, 2 * o, 4) == 2 {
                        links.push(Link::Soft(name, self.local(heap, number(entry, 2 * o + 8, 4))?));
                    } else {
                        links.push(Link::Hard(name, number(entry, o, o)));
                    }
                }
            } else {
                return broken("group node", at);
            }
        }
        Ok(links)
    }

    /// Links or attributes that lie in a fractal heap, named by a tree.
    pub(super) fn dense(
        &self,
        body: &[u8],
        address: u64,
        attributes: bool,
        object: &mut Object,
    ) -> Result<(), HdfError> {
        let mut fields = Fields::new(body, "link or attribute info", address);
        let (_version, flags) = (fields.byte()?, fields.byte()?);
        if flags & 1 != 0 {
            fields.take(if attributes { 2 } else { 8 })?;
        }
        let (heap, tree) = (fields.number(self.offsets)?, fields.number(self.offsets)?);
        if self.undefined(heap) || self.undefined(tree) {
            return Ok(());
        }
        let heap = self.fractal(heap)?;
        for record in self.records(tree)? {
            // Links are named by a hash and then the place; attributes by the place first.
            let id = if attributes { record.get(..8) } else { record.get(4..) };
            let Some(id) = id else { return broken("tree record", tree) };
            let bytes = self.in_heap(&heap, id)?;
            if attributes {
                object.attributes.push(self.attribute(&bytes, address)?);
            } else {
                object.links.push(self.link(&bytes, address)?);
            }
        }
        Ok(())
    }

    /// The records of a tree of the second version.
    fn records(&self, at: u64) -> Result<Vec<Vec<u8>>, HdfError> {
        let (o, l) = (self.offsets, self.lengths);
        let head = self.read(at, (22 + o + 2 + l) as u64)?;
        let mut fields = Fields::new(&head, "tree", at);
        fields.signature(b"BTHD")?;
        fields.take(2)?;
        let (node, record, depth) = (fields.size(4)?, fields.size(2)?, fields.size(2)?);
        fields.take(2)?;
        let (root, count) = (fields.number(o)?, fields.size(2)?);
        if node < 32 || record == 0 || record > node || depth > DEPTH_MAX {
            return broken("tree", at);
        }
        // Widths of the counts beside each pointer follow from how many records fit below.
        let space = node - 10;
        let width = |n: usize| (usize::BITS - n.leading_zeros()).div_ceil(8).max(1) as usize;
        let first = space / record;
        let mut levels = vec![(first, first)];
        for level in 1..=depth {
            let (below, total) = levels.last().copied().unwrap_or_default();
            let pointer = o + width(first.max(below)) + if level > 1 { width(total) } else { 0 };
            let most = space.saturating_sub(pointer) / (record + pointer);
            levels.push((most, (most + 1).saturating_mul(total).saturating_add(most)));
        }
        let mut records = Vec::new();
        let mut next = if self.undefined(root) { Vec::new() } else { vec![(root, count, depth)] };
        let mut nodes = 0;
        while let Some((at, count, level)) = next.pop() {
            nodes += 1;
            if nodes > NODES_MAX || records.len() > RECORDS_MAX {
                return broken("tree with too many nodes", at);
            }
            let bytes = self.read(at, node as u64)?;
            let mut fields = Fields::new(&bytes, "tree node", at);
            fields.signature(if level == 0 { b"BTLF" } else { b"BTIN" })?;
            fields.take(2)?;
            for _ in 0..count {
                records.push(fields.take(record)?.to_vec());
            }
            if let Some(below) = level.checked_sub(1) {
                let total = levels.get(below).map_or(0, |l| l.1);
                for _ in 0..=count {
                    let child = fields.number(o)?;
                    let n = fields.size(width(first))?;
                    if level > 1 {
                        fields.take(width(total))?;
                    }
                    next.push((child, n, below));
                }
            }
        }
        Ok(records)
    }

    fn fractal(&self, at: u64) -> Result<Fractal, HdfError> {
        let (o, l) = (self.offsets, self.lengths);
        let head = self.read(at, (22 + 12 * l + 3 * o + 2) as u64)?;
        let mut fields = Fields::new(&head, "fractal heap", at);
        fields.signature(b"FRHP")?;
        fields.take(3)?;
        let filters = fields.size(2)?;
        fields.take(1)?;
        let most = fields.number(4)?;
        fields.take(l + o + l + o + 4 * l + 4 * l)?;
        let width = fields.number(2)?;
        let (start, direct) = (fields.number(l)?, fields.number(l)?);
        let bits = fields.size(2)?;
        fields.take(2)?;
        let (root, rows) = (fields.number(o)?, fields.number(2)?);
        if filters != 0 || width == 0 || start == 0 || bits > 64 || direct < start || rows > 64 {
            return broken("fractal heap", at);
        }
        Ok(Fractal { at, most, width, start, direct, bits, root, rows })
    }

    /// The bytes of an object in a fractal heap.
    fn in_heap(&self, heap: &Fractal, id: &[u8]) -> Result<Vec<u8>, HdfError> {
        let first = id.first().copied().unwrap_or(0);
        match first >> 4 & 3 {
            0 => {
                let offset_width = heap.bits.div_ceil(8);
                let limit = heap.direct.min(heap.most);
                let length_width = (64 - limit.leading_zeros() as usize).div_ceil(8).max(1);
                let offset = number(id, 1, offset_width);
                let length = number(id, 1 + offset_width, length_width);
                let (block, within) = self.block(heap, offset)?;
                Ok(self.read(block.saturating_add(within), length)?.into_owned())
            }
            2 => {
                let length = usize::from(first & 15) + 1;
                Ok(id.get(1..1 + length).unwrap_or_default().to_vec())
            }
            _ => broken("large object in a fractal heap", heap.at),
        }
    }

    /// The direct block that holds `offset`, and the place in it.
    fn block(&self, heap: &Fractal, offset: u64) -> Result<(u64, u64), HdfError> {
        let (mut at, mut rows, mut offset) = (heap.root, heap.rows, offset);
        if rows == 0 {
            return Ok((at, offset));
        }
        let o = self.offsets;
        let direct_rows = u64::from((heap.direct / heap.start).ilog2()) + 2;
        for _ in 0..DEPTH_MAX {
            // Rows 0 and 1 have blocks of the first size, each further row of twice the size before.
            let mut row = 0;
            let mut size = heap.start;
            while offset >= heap.width.saturating_mul(size) {
                offset -= heap.width.saturating_mul(size);
                row += 1;
                size = if row == 1 { heap.start } else { size.saturating_mul(2) };
                if row >= rows {
                    return broken("fractal heap", heap.at);
                }
            }
            let column = offset / size;
            offset %= size;
            let place = 5 + o + heap.bits.div_ceil(8) + (row * heap.width + column) as usize * o;
            let entry = self.read(at.saturating_add(place as u64), o as u64)?;
            let signature = self.read(at, 4)?;
            if &*signature != b"FHIB" {
                return broken("fractal heap", at);
            }
            at = number(&entry, 0, o);
            if row < direct_rows {
                return Ok((at, offset));
            }
            rows = u64::from((size / heap.start / heap.width).max(1).ilog2()) + 1;
        }
        broken("fractal heap", heap.at)
    }
}

/// The head of a fractal heap.
struct Fractal {
    at: u64,
    /// Largest object that is managed, bytes.
    most: u64,
    /// Blocks in a row.
    width: u64,
    /// Size of the first blocks, bytes.
    start: u64,
    /// Size of the largest direct block, bytes.
    direct: u64,
    /// Bits of an offset.
    bits: usize,
    root: u64,
    rows: u64,
}
