//! Object headers and their messages.

use super::{Fields, File, HdfError, broken, number, text};

/// Messages of one object.
const MESSAGES_MAX: usize = 100_000;
/// Continuation blocks of one header.
const BLOCKS_MAX: usize = 10_000;
/// Texts of one attribute.
const TEXTS_MAX: usize = 100_000;

/// A member of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Link {
    /// An object in this file, by the address of its header.
    Hard(String, u64),
    /// A path in this file.
    Soft(String, String),
    /// An object in another file: name, file, path.
    External(String, String, String),
}

/// An attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attribute {
    /// Its name.
    pub(crate) name: String,
    /// Its texts; empty when it holds something else.
    pub(crate) texts: Vec<String>,
    /// Its bytes, when it holds bytes or small numbers.
    pub(crate) raw: Vec<u8>,
}

/// Where the bytes of a dataset are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Data {
    /// In the header.
    Compact(Vec<u8>),
    /// In one stretch: address and length.
    Contiguous(u64, u64),
    /// In pieces: address and length of the first, where it is easily told.
    Chunked(Option<(u64, u64)>),
    /// Mapped from other datasets: address of the mapping in the global heap, index in it.
    Virtual(u64, u32),
}

/// What a header says.
#[derive(Debug, Default)]
pub(crate) struct Object {
    /// Members, when it is a group.
    pub(crate) links: Vec<Link>,
    /// Attributes.
    pub(crate) attributes: Vec<Attribute>,
    /// Data, when it is a dataset.
    pub(crate) data: Option<Data>,
    /// Elements of the dataset.
    pub(crate) elements: u64,
    /// Class of its elements: 0 integer, 1 float, 3 text, 5 opaque, 9 variable length.
    pub(crate) class: u8,
    /// Files outside that hold the data.
    pub(crate) outside: Vec<String>,
    /// Whether some message could not be read, and which.
    pub(crate) unread: Vec<String>,
}

struct Kind {
    class: u8,
    size: usize,
    /// For variable length: whether it is text.
    texts: bool,
}

impl File<'_> {
    /// Reads the object whose header is at `address`.
    pub(crate) fn object(&self, address: u64) -> Result<Object, HdfError> {
        let mut object = Object::default();
        for (kind, flags, body) in self.messages(address)? {
            if flags & 2 != 0 && matches!(kind, 0x0c | 0x03 | 0x01) {
                // Shared messages point to a committed one: only datatypes are, and only their class would be of use.
                continue;
            }
            if let Err(e) = self.message(kind, &body, address, &mut object) {
                object.unread.push(e.to_string());
            }
        }
        Ok(object)
    }

    fn messages(&self, address: u64) -> Result<Vec<(u16, u8, Vec<u8>)>, HdfError> {
        let head = self.read(address, 16)?;
        let second = head.starts_with(b"OHDR");
        let mut blocks = Vec::new();
        let mut order = 0;
        if second {
            let flags = head.get(5).copied().unwrap_or(0);
            order = if flags & 4 == 0 { 0 } else { 2 };
            let width = 1usize << (flags & 3);
            let before = 6 + if flags & 0x20 == 0 { 0 } else { 16 } + if flags & 0x10 == 0 { 0 } else { 4 };
            let size = self
                .read(address, before as u64 + 8)
                .or_else(|_| self.read(address, (before + width) as u64))?;
            blocks.push((address + (before + width) as u64, number(&size, before, width)));
        } else if head.first() == Some(&1) {
            blocks.push((address + 16, number(&head, 8, 4)));
        } else {
            return broken("object header", address);
        }
        let mut messages = Vec::new();
        let mut next = 0;
        while let Some(&(at, length)) = blocks.get(next) {
            next += 1;
            let bytes = self.read(at, length)?;
            let mut fields = Fields::new(&bytes, "object header", at);
            while fields.rest().len() >= if second { 4 + order } else { 8 } {
                let (kind, size, flags) = if second {
                    (u16::from(fields.byte()?), fields.size(2)?, fields.byte()?)
                } else {
                    (fields.size(2)? as u16, fields.size(2)?, fields.byte()?)
                };
                fields.take(if second { order } else { 3 })?;
                let Ok(body) = fields.take(size) else { break };
                if kind == 0x10 && blocks.len() < BLOCKS_MAX {
                    let (at, length) =
                        (number(body, 0, self.offsets), number(body, self.offsets, self.lengths));
                    // In the second version a block has a signature before and a checksum after its messages.
                    blocks.push(if second {
                        (at.saturating_add(4), length.saturating_sub(8))
                    } else {
                        (at, length)
                    });
                } else if messages.len() < MESSAGES_MAX {
                    messages.push((kind, flags, body.to_vec()));
                } else {
                    return broken("object header with too many messages", address);
                }
            }
        }
        Ok(messages)
    }

    fn message(&self, kind: u16, body: &[u8], address: u64, object: &mut Object) -> Result<(), HdfError> {
        match kind {
            0x01 => object.elements = self.dataspace(body, address)?,
            0x02 => self.dense(body, address, false, object)?,
            0x03 => object.class = body.first().copied().unwrap_or(0) & 15,
            0x06 => object.links.push(self.link(body, address)?),
            0x07 => object.outside.extend(self.outside(body, address)?),
            0x08 => object.data = self.layout(body, address)?,
            0x0c => object.attributes.push(self.attribute(body, address)?),
            0x11 => {
                let (tree, heap) = (number(body, 0, self.offsets), number(body, self.offsets, self.offsets));
                object.links.extend(self.symbols(tree, heap)?);
            }
            0x15 => self.dense(body, address, true, object)?,
            _ => {}
        }
        Ok(())
    }

    fn dataspace(&self, body: &[u8], address: u64) -> Result<u64, HdfError> {
        let mut fields = Fields::new(body, "dataspace", address);
        let (version, rank, _flags) = (fields.byte()?, fields.byte()?, fields.byte()?);
        match version {
            1 => drop(fields.take(5)?),
            2 => {
                if fields.byte()? == 2 {
                    return Ok(0);
                }
            }
            _ => return broken("dataspace", address),
        }
        let mut elements = 1u64;
        for _ in 0..rank {
            elements = elements.saturating_mul(fields.number(self.lengths)?);
        }
        Ok(elements)
    }

    pub(super) fn link(&self, body: &[u8], address: u64) -> Result<Link, HdfError> {
        let mut fields = Fields::new(body, "link", address);
        let (_version, flags) = (fields.byte()?, fields.byte()?);
        let kind = if flags & 8 == 0 { 0 } else { fields.byte()? };
        if flags & 4 != 0 {
            fields.take(8)?;
        }
        if flags & 16 != 0 {
            fields.take(1)?;
        }
        let length = fields.size(1 << (flags & 3))?;
        let name = String::from_utf8_lossy(fields.take(length)?).into_owned();
        match kind {
            0 => Ok(Link::Hard(name, fields.number(self.offsets)?)),
            1 => {
                let length = fields.size(2)?;
                Ok(Link::Soft(name, text(fields.take(length)?)))
            }
            64 => {
                let length = fields.size(2)?;
                let value = fields.take(length)?;
                let value = value.get(1..).unwrap_or_default();
                let file = text(value);
                let path = text(value.get(file.len() + 1..).unwrap_or_default());
                Ok(Link::External(name, file, path))
            }
            _ => Ok(Link::External(name, format!("a link of the user-defined kind {kind}"), String::new())),
        }
    }

    /// Files outside: an external file list.
    fn outside(&self, body: &[u8], address: u64) -> Result<Vec<String>, HdfError> {
        let mut fields = Fields::new(body, "external file list", address);
        fields.take(4)?;
        let (_allocated, used) = (fields.size(2)?, fields.size(2)?);
        let heap = fields.number(self.offsets)?;
        let mut names = Vec::new();
        for _ in 0..used {
            let name = fields.number(self.lengths)?;
            fields.take(2 * self.lengths)?;
            names.push(self.local(heap, name)?);
        }
        Ok(names)
    }

    fn layout(&self, body: &[u8], address: u64) -> Result<Option<Data>, HdfError> {
        let mut fields = Fields::new(body, "data layout", address);
        let version = fields.byte()?;
        if version < 3 {
            let (rank, class) = (fields.byte()?, fields.byte()?);
            fields.take(5)?;
            if class == 0 {
                return Ok(Some(Data::Compact(Vec::new())));
            }
            let at = fields.number(self.offsets)?;
            let mut length = 1u64;
            for _ in 0..rank {
                length = length.saturating_mul(fields.number(4)?);
            }
            return Ok(Some(if class == 1 { Data::Contiguous(at, length) } else { Data::Chunked(None) }));
        }
        match fields.byte()? {
            0 => {
                let size = fields.size(2)?;
                Ok(Some(Data::Compact(fields.take(size)?.to_vec())))
            }
            1 => {
                let (at, length) = (fields.number(self.offsets)?, fields.number(self.lengths)?);
                Ok(Some(Data::Contiguous(at, length)).filter(|_| !self.undefined(at)))
            }
            2 if version == 3 => {
                fields.byte()?;
                let tree = fields.number(self.offsets)?;
                Ok(Some(Data::Chunked(self.first_chunk(tree))))
            }
            2 => {
                let (flags, rank, width) = (fields.byte()?, fields.byte()?, fields.byte()?);
                let mut length = 1u64;
                for _ in 0..rank {
                    length = length.saturating_mul(fields.number(usize::from(width))?);
                }
                let index = fields.byte()?;
                if index == 1 && flags & 2 != 0 {
                    length = fields.number(self.lengths)?;
                    fields.take(4)?;
                }
                let first =
                    if matches!(index, 1 | 2) { Some((fields.number(self.offsets)?, length)) } else { None };
                Ok(Some(Data::Chunked(first.filter(|f| !self.undefined(f.0)))))
            }
            3 => {
                let (at, index) = (fields.number(self.offsets)?, fields.number(4)?);
                Ok(Some(Data::Virtual(at, index as u32)))
            }
            _ => broken("data layout", address),
        }
    }

    fn kind(&self, body: &[u8]) -> Kind {
        let class = body.first().copied().unwrap_or(0) & 15;
        let bits = body.get(1).copied().unwrap_or(0);
        Kind { class, size: number(body, 4, 4) as usize, texts: class == 3 || (class == 9 && bits & 15 == 1) }
    }

    pub(super) fn attribute(&self, body: &[u8], address: u64) -> Result<Attribute, HdfError> {
        let mut fields = Fields::new(body, "attribute", address);
        let (version, flags) = (fields.byte()?, fields.byte()?);
        let (name, kind, space) = (fields.size(2)?, fields.size(2)?, fields.size(2)?);
        if version == 3 {
            fields.take(1)?;
        }
        let pad = |n: usize| if version == 1 { n.div_ceil(8) * 8 } else { n };
        let name = text(fields.take(pad(name))?);
        let kind_bytes = fields.take(pad(kind))?;
        let space_bytes = fields.take(pad(space))?;
        if flags & 1 != 0 {
            // A committed datatype: the texts behind it cannot be told from numbers here.
            return broken("attribute of a shared type", address);
        }
        let kind = self.kind(kind_bytes);
        let elements = self.dataspace(space_bytes, address)?;
        let mut texts = Vec::new();
        if kind.texts {
            for _ in 0..elements {
                if texts.len() >= TEXTS_MAX {
                    return broken("attribute with too many texts", address);
                }
                if kind.class == 3 {
                    texts.push(text(fields.take(kind.size)?));
                } else {
                    let (length, heap, index) =
                        (fields.number(4)?, fields.number(self.offsets)?, fields.number(4)?);
                    if length > 0 {
                        texts.push(text(&self.global(heap, index, Some(length))?));
                    }
                }
            }
        }
        let bytes = kind.class == 5 || (kind.class == 0 && kind.size == 1);
        let raw = if bytes { fields.rest().to_vec() } else { Vec::new() };
        Ok(Attribute { name, texts, raw })
    }
}
