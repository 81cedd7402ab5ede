//! Packed streams as other writers write them, 7z archives that are encrypted or behind a program.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test builds its own bytes")]

use artifact::{Limits, Verdict, scan};

/// `posix.system("id")`.
const EVIL: &[u8] = b"\x80\x02cposix\nsystem\nX\x02\0\0\0id\x85R.";

fn found(name: &str, bytes: &[u8], rule: &str) {
    let part = scan(name, &bytes, &Limits::default());
    assert!(
        part.verdict() == Verdict::Found && part.all_findings().any(|f| f.check == rule),
        "{name}: {part:#?}"
    );
}

/// [`EVIL`] in every packing, as Python's own writers (bz2, lzma, zstandard, lz4, py7zr, zipfile) pack it.
const PACKED: &[(&str, &str)] = &[
    (
        "bzip2",
        "425a68393141592653599637539500000c53c05010000110400e22cc6042002000229ea034d1a69e90a64c4c83230095cefc9088c54b9730b8d031f177245385090963753950",
    ),
    (
        "xz",
        "fd377a585a000004e6d6b4460200210116000000742fe5a3010019800263706f7369780a73797374656d0a5802000000696485522e00000037a12239ef8e7e4e0001321a201894301fb6f37d010000000004595a",
    ),
    (
        "lzma",
        "5d00008000ffffffffffffffff0040008803cb87e60e3fc6dba6623ad0e017a41322c4a67b569aa15e9054d7ffffe42f0000",
    ),
    ("zstd", "28b52ffd201ad10000800263706f7369780a73797374656d0a5802000000696485522e"),
    (
        "lz4",
        "04224d1868401a00000000000000e51a000080800263706f7369780a73797374656d0a5802000000696485522e00000000",
    ),
    (
        "7z-lzma2",
        "377abcaf271c00047211c5e76b00000000000000140000000000000071207ee0010019800263706f7369780a73797374656d0a5802000000696485522e000100480104060001091e00070b010001212101100c1a00080a0168d36513000005011903000000110d006d002e0070006b006c000000140a010070e19e6d737bdd01150601002080808100000017061e01094d00070b010001212101180c490000",
    ),
    (
        "zip-lzma",
        "504b03043f0002000e00938e775d68d365132e0000001a000000010000006d090405005d000080000040008803cb87e60e3fc6dba6623ad0e017a41322c4a67b569aa15e9054d7ffffe42f0000504b01023f033f0002000e00938e775d68d365132e0000001a0000000100000000000000000000008001000000006d504b050600000000010001002f0000004d0000000000",
    ),
    (
        "zip-bzip2",
        "504b03042e0000000c00938e775d68d36513460000001a000000010000006d425a68393141592653599637539500000c53c05010000110400e22cc6042002000229ea034d1a69e90a64c4c83230095cefc9088c54b9730b8d031f177245385090963753950504b01022e032e0000000c00938e775d68d36513460000001a0000000100000000000000000000008001000000006d504b050600000000010001002f000000650000000000",
    ),
    (
        "zip-deflate64",
        "504b0304140000000900938e775d68d365131a0000001a000000010000006d800263706f7369780a73797374656d0a5802000000696485522e504b01021403140000000900938e775d68d365131a0000001a0000000100000000000000000000008001000000006d504b050600000000010001002f000000390000000000",
    ),
];

#[test]
fn every_packing_is_unpacked_and_what_follows_is_read() {
    for (name, packed) in PACKED {
        let packed = hex::decode(packed).unwrap();
        found(name, &packed, "S001");
        found(name, &[packed.as_slice(), EVIL].concat(), "S033");
        let cut = scan(name, &&packed[..packed.len() - 12], &Limits::default());
        assert_ne!(cut.verdict(), Verdict::Clean, "{name} cut off");
    }
}

#[test]
fn a_7z_behind_a_program_is_read() {
    let packed = PACKED.iter().find(|p| p.0 == "7z-lzma2").map(|p| hex::decode(p.1).unwrap()).unwrap();
    let stub = [b"MZ".as_slice(), &[0x90; 400]].concat();
    found("setup.exe", &[stub.as_slice(), &packed].concat(), "S001");
}

#[test]
fn an_encrypted_7z_is_found() {
    // The same stored file behind AES (06f10701).
    let header = b"\x01\x04\x06\0\x01\x09\x10\0\x07\x0b\x01\0\x01\x24\x06\xf1\x07\x01\x01\x00\x0c\x10\0\0\x05\x01\x11\x05\0a\0\0\0\0\0";
    let names = b"\x17\x06\0\x01\x09\x10\0\x07\x0b\x01\0\x01\x24\x06\xf1\x07\x01\x01\x00\x0c\x10\0\0";
    for database in [header.as_slice(), names] {
        let mut bytes = b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".to_vec();
        bytes.extend(16_u64.to_le_bytes());
        bytes.extend((database.len() as u64).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend([0xa7; 16]);
        bytes.extend(database);
        found("a.7z", &bytes, "S046");
    }
}
