//! Zips put together byte by byte, so that every field may lie.

use std::io::Write;

/// One member of a zip, every field free to lie. Of two values the first is the directory's, the second the header's.
#[derive(Clone)]
pub struct Member {
    pub names: [Vec<u8>; 2],
    pub data: Vec<u8>,
    pub size: u32,
    pub crcs: [u32; 2],
    pub methods: [u16; 2],
    pub flags: [u16; 2],
    pub needed: u16,
    pub mode: u32,
    pub listed: bool,
}

pub fn member(name: &str, content: &[u8]) -> Member {
    Member {
        names: [name.as_bytes().to_vec(), name.as_bytes().to_vec()],
        data: content.to_vec(),
        size: content.len() as u32,
        crcs: [crc32fast::hash(content); 2],
        methods: [0; 2],
        flags: [0; 2],
        needed: 20,
        mode: 0,
        listed: true,
    }
}

pub fn deflated(name: &str, content: &[u8]) -> Member {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    Member { data: encoder.finish().unwrap(), methods: [8; 2], ..member(name, content) }
}

pub fn fields(m: &Member, which: usize) -> Vec<u8> {
    let mut f = Vec::new();
    f.extend(m.needed.to_le_bytes());
    f.extend(m.flags[which].to_le_bytes());
    f.extend(m.methods[which].to_le_bytes());
    f.extend([0, 0, 0x21, 0]);
    f.extend(m.crcs[which].to_le_bytes());
    f.extend((m.data.len() as u32).to_le_bytes());
    f.extend(m.size.to_le_bytes());
    f.extend((m.names[which].len() as u16).to_le_bytes());
    f
}

pub fn zip(members: &[Member]) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for m in members {
        let at = out.len() as u32;
        out.extend(b"PK\x03\x04");
        out.extend(fields(m, 1));
        out.extend([0, 0]);
        out.extend(&m.names[1]);
        out.extend(&m.data);
        if m.listed {
            count += 1;
            directory.extend(b"PK\x01\x02\x14\x03");
            directory.extend(fields(m, 0));
            directory.extend([0; 8]);
            directory.extend((m.mode << 16).to_le_bytes());
            directory.extend(at.to_le_bytes());
            directory.extend(&m.names[0]);
        }
    }
    let at = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0, 0]);
    out
}
