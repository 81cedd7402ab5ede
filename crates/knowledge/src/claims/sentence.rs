//! Where sentences of clinical prose end.

use std::ops::Range;

/// A sentence longer than this is cut: claims do not reach that far, and work per sentence stays bounded.
pub(crate) const SENTENCE_BYTES_MAX: usize = 1_200;

/// Words before a full stop that do not end a sentence.
const ABBREVIATED: [&str; 26] = [
    "dr", "mr", "mrs", "ms", "st", "vs", "e.g", "i.e", "eg", "ie", "no", "approx", "etc", "fig", "al", "inc",
    "prof", "resp", "cf", "pt", "b.i.d", "t.i.d", "q.i.d", "p.o", "i.v", "i.m",
];

/// The sentences of a text, in order, without the spaces between them.
pub(crate) fn sentences(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut start = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let ends = match byte {
            b'.' => is_full_stop(text, start, at),
            b'!' | b'?' => bytes.get(at + 1).is_none_or(|b| b.is_ascii_whitespace() || *b == b'"'),
            b'\n' => {
                let rest = bytes.get(at + 1..).unwrap_or_default();
                matches!(rest.first(), None | Some(b'\n' | b'\r' | b'-' | b'*' | b'#' | b'|'))
                    || rest.starts_with("•".as_bytes())
                    || bytes.get(at.wrapping_sub(1)) == Some(&b':')
            }
            _ => {
                at - start >= SENTENCE_BYTES_MAX && byte.is_ascii_whitespace()
                    || at - start >= 2 * SENTENCE_BYTES_MAX
            }
        };
        if ends && text.is_char_boundary(at + 1) {
            push(text, start..at + 1, &mut out);
            start = at + 1;
        }
    }
    push(text, start..text.len(), &mut out);
    out
}

fn push(text: &str, range: Range<usize>, out: &mut Vec<Range<usize>>) {
    let Some(part) = text.get(range.clone()) else { return };
    let left = part.len() - part.trim_start().len();
    let trimmed = part.trim();
    if !trimmed.is_empty() {
        out.push(range.start + left..range.start + left + trimmed.len());
    }
}

fn is_full_stop(text: &str, start: usize, at: usize) -> bool {
    let bytes = text.as_bytes();
    match bytes.get(at + 1) {
        None => return true,
        Some(b) if !b.is_ascii_whitespace() && !matches!(b, b'"' | b')' | b'[') => return false,
        Some(_) => {}
    }
    let before = text.get(start..at).unwrap_or_default();
    let opens = before.bytes().rposition(|b| b.is_ascii_whitespace() || b == b'(').map_or(0, |n| n + 1);
    let word = before.get(opens..).unwrap_or_default();
    if word.len() > 6 {
        return true;
    }
    let lower = word.to_ascii_lowercase();
    let initial = word.len() == 1 && word.bytes().all(|b| b.is_ascii_uppercase());
    if initial || ABBREVIATED.contains(&lower.as_str()) {
        // `p.o. Continue` ends, `Dr. Smith` does not: only the shorthand of prescriptions may end before a capital.
        let next = text.get(at + 1..).unwrap_or_default().trim_start();
        return lower.contains('.')
            && !lower.starts_with(['e', 'i'])
            && next.starts_with(|c: char| c.is_uppercase());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = sentences(text).into_iter().map(|r| &text[r]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn clinical_shorthand_does_not_end_a_sentence() {
        check(
            "Dr. Lee gave 2.5 mg b.i.d. for HTN. Then stopped.",
            &["Dr. Lee gave 2.5 mg b.i.d. for HTN.", "Then stopped."],
        );
        check("E. coli grew, e.g. in urine. OK?  Yes", &["E. coli grew, e.g. in urine.", "OK?", "Yes"]);
        check(
            "Plan:\n- aspirin 81 mg\n- rest\nand sleep",
            &["Plan:", "- aspirin 81 mg", "- rest\nand sleep"],
        );
        check("", &[]);
    }

    #[test]
    fn endless_sentences_are_cut() {
        let text = "word ".repeat(1_000);
        assert!(sentences(&text).iter().all(|r| r.len() < SENTENCE_BYTES_MAX + "word ".len()));
        let glued = "é".repeat(5_000);
        assert!(sentences(&glued).iter().all(|r| r.len() <= 2 * SENTENCE_BYTES_MAX + 2));
    }
}
