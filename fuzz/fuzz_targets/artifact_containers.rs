//! Any file through the scanner of artefacts, with the start of each container in front in turn.
#![no_main]

use artifact::{Limits, scan};

/// What the readers of containers begin with.
const STARTS: &[&[u8]] = &[
    b"",
    b"PK\x03\x04\x14\0\0\0\0\0",
    b"7z\xbc\xaf\x27\x1c\0\x04",
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"BZh91AY&SY",
    b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0",
    b"\x78\x9c",
    b"\x93NUMPY\x01\0",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"%PDF-1.4\n",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let start = STARTS[usize::from(*first) % STARTS.len()];
    let file = [start, rest].concat();
    let limits = Limits { memory_max: 1 << 20, expanded_max: 1 << 22, steps_max: 1 << 18, ..Limits::default() };
    let part = scan("fuzz", &file, &limits);
    assert!(!part.format.is_empty());
});
