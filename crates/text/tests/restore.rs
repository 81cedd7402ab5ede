//! `restore(mask(x)) == x`: for every text, style and cut of a stream.

#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use text::Span;
use text::mask::{Action, HELD_CHARS_MAX, Outcome, Session, Style};
use text::phi::{Identifier, Kind, find};
use text::stream::{StreamMasker, StreamRestorer};

const NOTE: &str = "Patient: Agatha Ottarsdóttir   MRN: A3059354   DOB: 5-Apr-2018\nMr. Ottarsdóttir, 92 years old, was \
    seen by Dr. John D. Okafor at St. Mary's Hospital, Baltimore, MD on April 12th, 2023. Call (212) 867-5309 or mail \
    agatha@clinic.example.org. [NAME_1] and [name_2] and [TEXT_1] are no names; SSN 123-45-6789, 10.1.2.3. Agatha lives at \
    12 Elm Street, Springfield. Parkinson's disease, metformin 500 mg, BP 120/80.";

fn masked(style: Style, key: u8, text: &str) -> (Session, String) {
    let mut session = Session::new([key; 32], style);
    let out = session.mask(text, &find(text)).text;
    (session, out)
}

fn by_stream(style: Style, pieces: &[&[u8]]) -> (String, Session) {
    let mut masker = StreamMasker::new(Session::new([7; 32], style));
    let mut out = String::new();
    for piece in pieces {
        out += &masker.push_bytes(piece).unwrap();
        assert!(masker.held() <= HELD_CHARS_MAX, "{} held", masker.held());
    }
    let (rest, session) = masker.finish().unwrap();
    (out + &rest, session)
}

fn restored(session: &Session, pieces: &[&[u8]]) -> String {
    let mut restorer = StreamRestorer::new(session);
    let mut out = String::new();
    for piece in pieces {
        out += &restorer.push_bytes(piece).unwrap();
        assert!(restorer.held() <= HELD_CHARS_MAX, "{} held", restorer.held());
    }
    out + &restorer.finish().unwrap()
}

#[test]
fn a_note_comes_back_in_both_styles() {
    for style in [Style::Placeholder, Style::Surrogate] {
        let (session, out) = masked(style, 1, NOTE);
        assert_eq!(session.restore(&out), NOTE, "{style:?}");
        for original in
            ["Agatha", "Ottarsdóttir", "A3059354", "Okafor", "867-5309", "123-45-6789", "Elm", "April 12th"]
        {
            assert!(!out.contains(original), "{style:?}: `{original}` in {out}");
        }
        for kept in ["Parkinson's disease", "metformin 500 mg", "BP 120/80"] {
            assert!(out.contains(kept), "{style:?}: {out}");
        }
    }
}

#[test]
fn every_split_of_the_request_and_of_the_reply_gives_the_same() {
    for style in [Style::Placeholder, Style::Surrogate] {
        for at in 0..=NOTE.len() {
            let (first, second) = NOTE.as_bytes().split_at(at);
            let (out, session) = by_stream(style, &[first, second]);
            assert_eq!(session.restore(&out), NOTE, "{style:?} {at}");
            assert!(!out.contains("Okafor") && !out.contains("867-5309"), "{style:?} {at}: {out}");
        }
        let (session, out) = masked(style, 3, NOTE);
        for at in 0..=out.len() {
            let (first, second) = out.as_bytes().split_at(at);
            assert_eq!(restored(&session, &[first, second]), NOTE, "{style:?} {at}");
        }
        let bytes: Vec<&[u8]> = out.as_bytes().chunks(1).collect();
        assert_eq!(restored(&session, &bytes), NOTE);
        let (out, session) = by_stream(style, &NOTE.as_bytes().chunks(1).collect::<Vec<_>>());
        assert_eq!(restored(&session, &out.as_bytes().chunks(3).collect::<Vec<_>>()), NOTE);
    }
}

#[test]
fn the_same_person_has_the_same_stand_in_in_every_message() {
    let mut session = Session::new([9; 32], Style::Surrogate);
    let first = "Dr. Okafor saw Mary Lindqvist on 04/12/2023.";
    let second = "Mary Lindqvist called Dr. Okafor on 04/14/2023.";
    let a = session.mask(first, &find(first)).text;
    let b = session.mask(second, &find(second)).text;
    let words = |t: &str| t.split([' ', '.']).map(str::to_owned).collect::<Vec<_>>();
    let (a, b) = (words(&a), words(&b));
    assert_eq!(a[2], b[5], "{a:?} {b:?}");
    assert_eq!((&a[4], &a[5]), (&b[0], &b[1]), "{a:?} {b:?}");
    assert_eq!(session.restore(&a.join(" ")), words(first).join(" "));
}

#[test]
fn a_reply_that_names_only_the_family_name_is_restored() {
    let text = "Summarise the visit of Mary Lindqvist, seen 04/12/2023.";
    let (session, out) = masked(Style::Surrogate, 4, text);
    let family = out.split(' ').nth(5).unwrap().trim_end_matches(',').to_owned();
    assert_eq!(session.restore(&format!("Ms. {family}'s visit")), "Ms. Lindqvist's visit");
}

#[test]
fn an_identifier_longer_than_what_is_held_is_masked_in_parts() {
    let long = format!("See https://portal.example.net/{} now.", "p4".repeat(200));
    for style in [Style::Placeholder, Style::Surrogate] {
        let (out, session) = by_stream(style, &long.as_bytes().chunks(5).collect::<Vec<_>>());
        assert!(!out.contains("p4p4"), "{out}");
        assert_eq!(session.restore(&out), long);
    }
}

#[test]
fn text_without_identifiers_is_left_as_it_is_and_blocking_blocks_only_what_is_found() {
    let clean = "Start metformin 500 mg BID for type 2 diabetes.";
    let mut session = Session::new([1; 32], Style::Placeholder);
    let Outcome::Pass(out) = session.apply(Action::Block, clean, &find(clean)) else { panic!("blocked") };
    assert_eq!((out.text.as_str(), out.changes.len(), session.is_empty()), (clean, 0, true));
    let found = find(NOTE);
    assert_eq!(session.apply(Action::Block, NOTE, &found), Outcome::Blocked(found.clone()));
    assert!(matches!(session.apply(Action::Flag, NOTE, &found), Outcome::Pass(m) if m.text == NOTE));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let mut masker = StreamMasker::new(Session::new([1; 32], Style::Placeholder));
    assert!(masker.push_bytes(b"abc\xff").is_err());
    let mut restorer = StreamRestorer::new(&Session::new([1; 32], Style::Placeholder));
    assert_eq!(restorer.push_bytes("é".as_bytes().split_at(1).0).unwrap(), "");
    assert!(restorer.finish().is_err());
}

/// Pieces that make collisions likely: names that are stand-ins, placeholders and parts of them.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(" ".to_owned()),
        2 => "[A-Za-z0-9 .,'\\[\\]_/-]{0,12}",
        1 => "\\PC{0,6}",
        3 => prop::sample::select(vec![
            "[NAME_1]", "[NAME_", "1]", "[name_2]", "[TEXT_1]", "[DATE_1", "NAME_1", "[[", "Dr. ", "Mary Johnson", "Adrian",
            "Alba", "Alden", "Abernethy", "Blackwood", "John D.", "04/12/2023", "555-123-4567", "MRN 12345678", "April 3",
            "5/2", "St. Mary's Hospital", "Boston", "123-45-6789", "a@b.org", "_x@y.org", "92 years old", "Linda", "Zelda",
            "(212) 555-0142", "example.org", "10.0.0.1", "é", "\u{301}", "\n", "J. Smith", "SMITH, John", "Baltimore, MD ",
            "seen on ", "St. Luke's Hospital, Boston, MA ", "on", "MRN: AB-123456", " 12 Elm Street, Springfield", "Dr. Okafor at ",
            "https://portal.example.net/pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp", "D", "May 3", "lives in ",
        ]).prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_text_and_whatever_is_found_it_comes_back(
        parts in prop::collection::vec(fragment(), 0..24),
        spans in prop::collection::vec((0usize..160, 0usize..24, 0usize..19), 0..8),
        key in 0u8..6,
        surrogates: bool,
        second in prop::collection::vec(fragment(), 0..12),
    ) {
        let (x, y) = (parts.concat(), second.concat());
        let style = if surrogates { Style::Surrogate } else { Style::Placeholder };
        let mut session = Session::new([key; 32], style);
        let found: Vec<Identifier> = spans.iter()
            .map(|(s, l, k)| Identifier { span: Span::new(*s, s + l), kind: Kind::ALL[*k], confidence: 1.0 })
            .collect();
        let a = session.mask(&x, &found).text;
        prop_assert_eq!(session.restore(&a), x.clone());
        let b = session.mask(&y, &find(&y)).text;
        prop_assert_eq!(session.restore(&b), y);
        let c = session.mask(&x, &find(&x)).text;
        prop_assert_eq!(session.restore(&c), x.clone());
        prop_assert_eq!(session.restore(&a), x, "the first message, after others");
    }

    #[test]
    fn whatever_the_cuts_of_the_stream_it_comes_back(
        parts in prop::collection::vec(fragment(), 0..60),
        cuts in prop::collection::vec(1usize..40, 1..40),
        back in prop::collection::vec(1usize..9, 1..12),
        surrogates: bool,
    ) {
        let x = parts.concat();
        let style = if surrogates { Style::Surrogate } else { Style::Placeholder };
        let split = |text: &str, sizes: &[usize]| {
            let (mut rest, mut out, mut i) = (text.as_bytes().to_vec(), Vec::new(), 0);
            while !rest.is_empty() {
                let tail = rest.split_off(sizes[i % sizes.len()].min(rest.len()));
                out.push(std::mem::replace(&mut rest, tail));
                i += 1;
            }
            out
        };
        let pieces = split(&x, &cuts);
        let (out, session) = by_stream(style, &pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(&session.restore(&out), &x);
        let pieces = split(&out, &back);
        prop_assert_eq!(restored(&session, &pieces.iter().map(Vec::as_slice).collect::<Vec<_>>()), x);
    }
}
