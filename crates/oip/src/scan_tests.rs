//! The reader against `serde_json` and the standard library, and against what attackers send.

use proptest::prelude::*;

use super::*;

/// True when the whole text is one JSON value, by this reader.
fn accepts(text: &str) -> bool {
    let mut scan = Scan::new(text);
    scan.skip().is_ok() && scan.end().is_ok()
}

fn number(text: &str) -> Option<Number<'_>> {
    let mut scan = Scan::new(text);
    let number = scan.number().ok()?;
    scan.end().ok().map(|()| number)
}

#[test]
fn texts_at_the_edge_of_the_grammar_are_judged_as_serde_json_judges_them() {
    for text in [
        "",
        " ",
        "1",
        "-0",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1E-7",
        "1e5",
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "true",
        "tru",
        "truex",
        "false",
        "null",
        "nul",
        "\"\"",
        "\"a",
        "\"\\u0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\x\"",
        "\"\u{1}\"",
        "\"\t\"",
        "[]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,2",
        "{}",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":}",
        "[[[]]]",
        "{\"a\":[{\"b\":null}]}",
        "1 2",
        "]",
        "\u{feff}1",
        "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
        "[\u{a0}1]",
        "123456789012345678901234567890",
    ] {
        let reference = serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert_eq!(accepts(text), reference, "{text:?}");
    }
}

#[test]
fn nesting_is_let_in_to_the_limit_and_not_beyond() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(accepts(&nested(SKIP_DEPTH_MAX)));
    assert!(!accepts(&nested(SKIP_DEPTH_MAX + 1)));
    assert!(!accepts(&"[".repeat(1_000_000)), "no stack overflow");
    assert!(!accepts(&"{\"a\":".repeat(1_000_000)), "no stack overflow");
}

#[test]
fn texts_are_let_in_to_the_limit_and_not_beyond() {
    for (text, good) in
        [("\"abcd\"", true), ("\"abcde\"", false), ("\"\\u0061bcd\"", true), ("\"\\nbcde\"", false)]
    {
        assert_eq!(Scan::new(text).string("bytes", 4).is_ok(), good, "{text}");
    }
}

#[test]
fn whole_numbers_are_read_at_the_ends_of_their_range() {
    assert_eq!(number("18446744073709551615").unwrap().as_whole::<u64>(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").unwrap().as_whole::<u64>(), None);
    assert_eq!(number("-9223372036854775808").unwrap().as_whole::<i64>(), Some(i64::MIN));
    assert_eq!(number("-9223372036854775809").unwrap().as_whole::<i64>(), None);
    assert_eq!(number("-1").unwrap().as_whole::<u8>(), None);
    assert_eq!(number("256").unwrap().as_whole::<u8>(), None);
    assert_eq!(number("1.0").unwrap().as_whole::<i32>(), None, "written as a fraction");
    assert_eq!(number("1e2").unwrap().as_whole::<i32>(), None);
}

#[test]
fn numbers_beyond_the_range_are_none_and_not_infinite() {
    assert!(number("1e400").unwrap().as_f64().is_none());
    assert!(number("1e39").unwrap().as_f32().is_none());
    assert!(number("1e99999999999999999999").unwrap().as_f64().is_none());
    assert_eq!(number("1e-99999999999999999999").unwrap().as_f64(), Some(0.0));
    assert_eq!(number("-0.0").unwrap().as_f32().map(f32::to_bits), Some((-0.0_f32).to_bits()));
}

proptest! {
    #[test]
    fn any_text_is_judged_as_serde_json_judges_it(text in r#"[\[\]{}:,"\\u0-9a-fA-FtrueNn .eE+\-]{0,40}"#) {
        // Values out of range are left to the elements' types here; serde_json refuses them while parsing.
        let reference = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(_) => true,
            Err(e) if e.to_string().contains("number out of range") => return Ok(()),
            Err(_) => false,
        };
        prop_assert_eq!(accepts(&text), reference);
    }

    #[test]
    fn numbers_round_as_the_standard_library_rounds(text in r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?") {
        let read = number(&text).unwrap();
        prop_assert_eq!(read.as_f64(), text.parse().ok().filter(|v: &f64| v.is_finite()));
        prop_assert_eq!(read.as_f32(), text.parse().ok().filter(|v: &f32| v.is_finite()));
    }

    #[test]
    fn floats_survive_their_shortest_text(bits in any::<u64>(), half in any::<u32>()) {
        let (double, single) = (f64::from_bits(bits), f32::from_bits(half));
        if double.is_finite() {
            let text = serde_json::to_string(&double).unwrap();
            prop_assert_eq!(number(&text).unwrap().as_f64().map(f64::to_bits), Some(bits));
        }
        if single.is_finite() {
            let text = serde_json::to_string(&single).unwrap();
            prop_assert_eq!(number(&text).unwrap().as_f32().map(f32::to_bits), Some(half));
        }
    }

    #[test]
    fn strings_survive(text in any::<String>()) {
        let written = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(Scan::new(&written).string("bytes", usize::MAX).unwrap(), text);
    }
}
