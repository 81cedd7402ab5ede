//! FlatBuffers without a schema: tables, vectors and texts by place, read where they lie.

use crate::Source;

/// A file of tables.
#[derive(Clone, Copy)]
pub(crate) struct Flat<'a> {
    source: &'a dyn Source,
    memory: Option<&'a [u8]>,
    /// Where the buffer starts; all places count from here.
    start: u64,
}

/// A table.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    flat: Flat<'a>,
    at: u64,
}

/// A vector.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a> {
    flat: Flat<'a>,
    /// First byte of the first element.
    pub(crate) at: u64,
    /// Number of elements.
    pub(crate) len: u64,
}

impl<'a> Flat<'a> {
    /// The buffer that starts at `start`.
    pub(crate) fn new(source: &'a dyn Source, start: u64) -> Self {
        Self { source, memory: source.in_memory(), start }
    }

    fn number(&self, at: u64, width: u64) -> Option<u64> {
        let at = self.start.checked_add(at)?;
        let fold = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        if let Some(memory) = self.memory {
            let from = usize::try_from(at).ok()?;
            return memory.get(from..from.checked_add(usize::try_from(width).ok()?)?).map(fold);
        }
        self.source.bytes(at, width, 8).ok().map(|b| fold(&b))
    }

    /// The root table.
    pub(crate) fn root(&self) -> Option<Table<'a>> {
        let at = self.number(0, 4)?;
        Some(Table { flat: *self, at })
    }
}

impl<'a> Table<'a> {
    /// Whether the table and its list of fields lie inside the file.
    pub(crate) fn is_whole(&self) -> bool {
        let check = || {
            let end = self.flat.source.len().checked_sub(self.flat.start)?;
            let back = (self.flat.number(self.at, 4)? as u32).cast_signed();
            let vtable = self.at.checked_add_signed(-i64::from(back))?;
            let (fields, length) =
                (self.flat.number(vtable, 2)?, self.flat.number(vtable.checked_add(2)?, 2)?);
            Some(fields >= 4 && vtable.checked_add(fields)? <= end && self.at.checked_add(length)? <= end)
        };
        check().unwrap_or(false)
    }

    /// Whether a vector of tables is left out, or all its tables lie inside the file.
    pub(crate) fn holds_whole(&self, index: u64, most: u64) -> bool {
        let Some(vector) = self.vector(index, 4, most) else { return !self.is_broken(index, 4) };
        let mut seen = 0;
        vector.tables().inspect(|_| seen += 1).all(|t| t.is_whole()) && seen == vector.len
    }

    /// Where the field is.
    fn field(&self, index: u64) -> Option<u64> {
        let back = (self.flat.number(self.at, 4)? as u32).cast_signed();
        let vtable = self.at.checked_add_signed(-i64::from(back))?;
        let size = self.flat.number(vtable, 2)?;
        let slot = 4 + 2 * index;
        if slot + 2 > size {
            return None;
        }
        let offset = self.flat.number(vtable + slot, 2)?;
        if offset == 0 { None } else { self.at.checked_add(offset) }
    }

    /// A number of `width` bytes; 0 when the field is left out.
    pub(crate) fn number(&self, index: u64, width: u64) -> u64 {
        self.field(index).and_then(|at| self.flat.number(at, width)).unwrap_or(0)
    }

    /// A vector; `None` when it is left out, does not fit, or has more than `most` elements of `width` bytes.
    pub(crate) fn vector(&self, index: u64, width: u64, most: u64) -> Option<Vector<'a>> {
        let at = self.field(index)?;
        let at = at.checked_add(self.flat.number(at, 4)?)?;
        let len = self.flat.number(at, 4)?;
        let end = self.flat.start.checked_add(at)?.checked_add(4)?.checked_add(len.checked_mul(width)?)?;
        (len <= most && end <= self.flat.source.len()).then_some(Vector { flat: self.flat, at: at + 4, len })
    }

    /// Whether a field is there whose vector does not fit into the file.
    pub(crate) fn is_broken(&self, index: u64, width: u64) -> bool {
        self.field(index).is_some() && self.vector(index, width, u64::MAX).is_none()
    }

    /// A text; empty when it is left out.
    pub(crate) fn text(&self, index: u64) -> String {
        /// Longest text, bytes.
        const TEXT_BYTES_MAX: u64 = 1 << 20;
        let Some(vector) = self.vector(index, 1, TEXT_BYTES_MAX) else { return String::new() };
        let bytes = self
            .flat
            .source
            .bytes(self.flat.start + vector.at, vector.len, TEXT_BYTES_MAX)
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl<'a> Vector<'a> {
    /// The tables of a vector of tables.
    pub(crate) fn tables(self) -> impl Iterator<Item = Table<'a>> {
        (0..self.len).map_while(move |i| {
            let at = self.at.checked_add(i * 4)?;
            let at = at.checked_add(self.flat.number(at, 4)?)?;
            Some(Table { flat: self.flat, at })
        })
    }

    /// The numbers of a vector of numbers.
    pub(crate) fn numbers(self, width: u64) -> impl Iterator<Item = u64> + 'a {
        (0..self.len).map_while(move |i| self.flat.number(self.at + i * width, width))
    }

    /// Where the first element is in the source.
    pub(crate) fn start(&self) -> u64 {
        self.flat.start.saturating_add(self.at)
    }
}

#[cfg(test)]
pub(crate) mod build {
    //! Buffers made in tests, front to back: every table is written with its fields as offsets filled in later.

    /// A value of a field.
    pub(crate) enum F {
        None,
        U32(u32),
        Text(&'static str),
        Bytes(Vec<u8>),
        Ints(Vec<u32>),
        Tables(Vec<Vec<F>>),
    }

    fn pad(out: &mut Vec<u8>) {
        out.resize(out.len().div_ceil(4) * 4, 0);
    }

    fn point(out: &mut [u8], slot: usize, to: usize) {
        out[slot..slot + 4].copy_from_slice(&((to - slot) as u32).to_le_bytes());
    }

    fn table(out: &mut Vec<u8>, fields: &[F]) -> usize {
        pad(out);
        let vtable = out.len();
        out.extend(((4 + 2 * fields.len()) as u16).to_le_bytes());
        out.extend(((4 + 4 * fields.len()) as u16).to_le_bytes());
        for (i, f) in fields.iter().enumerate() {
            let offset = if matches!(f, F::None) { 0 } else { 4 + 4 * i as u16 };
            out.extend(offset.to_le_bytes());
        }
        pad(out);
        let at = out.len();
        out.extend(((at - vtable) as u32).to_le_bytes());
        out.resize(at + 4 + 4 * fields.len(), 0);
        for (i, f) in fields.iter().enumerate() {
            let slot = at + 4 + 4 * i;
            match f {
                F::None => {}
                F::U32(n) => out[slot..slot + 4].copy_from_slice(&n.to_le_bytes()),
                F::Text(t) => bytes(out, slot, t.as_bytes()),
                F::Bytes(b) => bytes(out, slot, b),
                F::Ints(list) => {
                    pad(out);
                    let here = out.len();
                    point(out, slot, here);
                    out.extend((list.len() as u32).to_le_bytes());
                    list.iter().for_each(|n| out.extend(n.to_le_bytes()));
                }
                F::Tables(list) => {
                    pad(out);
                    let here = out.len();
                    point(out, slot, here);
                    out.extend((list.len() as u32).to_le_bytes());
                    out.resize(out.len() + 4 * list.len(), 0);
                    for (n, inner) in list.iter().enumerate() {
                        let child = table(out, inner);
                        point(out, here + 4 + 4 * n, child);
                    }
                }
            }
        }
        at
    }

    fn bytes(out: &mut Vec<u8>, slot: usize, content: &[u8]) {
        pad(out);
        let here = out.len();
        point(out, slot, here);
        out.extend((content.len() as u32).to_le_bytes());
        out.extend(content);
    }

    /// A whole buffer.
    pub(crate) fn file(identifier: &[u8; 4], root: &[F]) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.extend(identifier);
        let at = table(&mut out, root) as u32;
        out[..4].copy_from_slice(&at.to_le_bytes());
        out
    }
}
