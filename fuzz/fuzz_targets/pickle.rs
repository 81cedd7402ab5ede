//! The pickle machine: opcodes, memo, folding, hidden streams. The first byte chooses a protocol header.
#![no_main]

use artifact::{Limits, Verdict};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let pickle = if *first < 6 { [&[0x80, *first], rest].concat() } else { rest.to_vec() };
    let part = artifact::scan("x.pkl", &pickle, &Limits::default());
    // What is called clean was read to its end; the same bytes give the same report.
    if part.verdict() == Verdict::Clean {
        assert!(part.walk().iter().all(|p| p.unread.is_empty()));
    }
    artifact::pickle_opcodes(&pickle);
    assert_eq!(part, artifact::scan("x.pkl", &pickle, &Limits::default()));
});
