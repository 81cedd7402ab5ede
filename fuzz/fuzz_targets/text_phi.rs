//! Any text, masked whole or as a stream cut anywhere, comes back as it was; what is found are pieces of it, in order.
#![no_main]

use text::mask::{HELD_CHARS_MAX, Session, Style};
use text::phi::find;
use text::stream::{StreamMasker, StreamRestorer};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((control, rest)) = bytes.split_at_checked(3) else { return };
    let Ok(text) = std::str::from_utf8(rest) else {
        let mut masker = StreamMasker::new(Session::new([1; 32], Style::Placeholder));
        assert!(masker.push_bytes(rest).is_err() || masker.finish().is_err(), "bytes that are no text are refused");
        return;
    };
    let style = if control[0] & 1 == 0 { Style::Placeholder } else { Style::Surrogate };
    let sizes = [1 + usize::from(control[1] % 70), 1 + usize::from(control[2] % 9)];
    let found = find(text);
    let mut end = 0;
    for f in &found {
        assert!(f.span.start() >= end && text.get(f.span.range()).is_some(), "a piece of the text, in order");
        end = f.span.end();
    }
    let mut session = Session::new([control[0]; 32], style);
    let masked = session.mask(text, &found);
    assert_eq!(session.restore(&masked.text), text);

    let mut masker = StreamMasker::new(Session::new([control[0]; 32], style));
    let mut out = String::new();
    for piece in rest.chunks(sizes[0]) {
        out += &masker.push_bytes(piece).expect("a text");
        assert!(masker.held() <= HELD_CHARS_MAX);
    }
    let (tail, session) = masker.finish().expect("a text");
    out += &tail;
    let mut restorer = StreamRestorer::new(&session);
    let mut back = String::new();
    for piece in out.as_bytes().chunks(sizes[1]) {
        back += &restorer.push_bytes(piece).expect("a text");
        assert!(restorer.held() <= HELD_CHARS_MAX);
    }
    back += &restorer.finish().expect("a text");
    assert_eq!(back, text);
});
