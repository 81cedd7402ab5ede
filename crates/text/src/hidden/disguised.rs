//! Letters in another dress: which words they spell, and who wears them by right.

use super::chars::{Hit, Line, Reading};
use super::keys;
use super::letters::{self, Script, script};
use super::trick::{self, Trick};

pub(super) fn read(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    typography(line);
    dressed(line, hits, &trick::MATHEMATICAL, letters::mathematical, 3);
    dressed(line, hits, &trick::ENCLOSED, letters::enclosed, 3);
    let wide = if line.scripts.east { usize::MAX } else { 3 };
    dressed(line, hits, &trick::FULLWIDTH, letters::fullwidth, wide);
    regional(line, hits);
    styled(line, hits);
    floods(line, hits);
    homoglyphs(line, hits);
    turned(line, hits);
    braille(line, hits);
}

/// Quotation marks, dashes and ligatures of print, as a keyboard types them.
pub(super) fn typography(line: &mut Line<'_>) {
    for i in 0..line.chars.len() {
        let reading = match line.at(i) {
            Some(c) if c.is_ascii() => continue,
            Some('‘' | '’' | '‛' | '′' | 'ʼ') => Reading::As('\''),
            Some('“' | '”' | '„' | '″' | '«' | '»') => Reading::As('"'),
            Some('‐' | '‑' | '–' | '—' | '−' | '―') => Reading::As('-'),
            Some('…') => Reading::Text("..."),
            Some('ﬀ') => Reading::Text("ff"),
            Some('ﬁ') => Reading::Text("fi"),
            Some('ﬂ') => Reading::Text("fl"),
            Some('ﬃ') => Reading::Text("ffi"),
            Some('ﬄ') => Reading::Text("ffl"),
            Some('ﬅ' | 'ﬆ') => Reading::Text("st"),
            Some('⁄') => Reading::As('/'),
            Some('\u{a0}') => Reading::As(' '),
            _ => continue,
        };
        line.set(i, reading);
    }
}

/// Letters that have an ASCII letter each; `least` of them in a run spell a word.
fn dressed(
    line: &mut Line<'_>,
    hits: &mut Vec<Hit>,
    trick: &'static Trick,
    ascii: fn(char) -> Option<char>,
    least: usize,
) {
    for run in line.runs(|c| ascii(c).is_some() || c == ' ') {
        let (mut count, mut first, mut end) = (0, run.1, run.0);
        for i in run.0..run.1 {
            let Some(letter) = line.at(i).and_then(ascii) else { continue };
            line.set(i, Reading::As(letter));
            if letter.is_ascii_alphabetic() {
                count += 1;
            }
            (first, end) = (first.min(i), i + 1);
        }
        if count >= least {
            hits.push(Hit { trick, first, end, decoded: None });
        }
    }
}

fn regional(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line
        .runs(|c| letters::regional(c).is_some() || matches!(c, ' ' | '\u{200b}' | '\u{200c}' | '\u{200d}'))
    {
        let at: Vec<usize> =
            (run.0..run.1).filter(|&i| line.at(i).and_then(letters::regional).is_some()).collect();
        let said: Vec<char> = at.iter().filter_map(|&i| letters::regional(line.at(i)?)).collect();
        let flags = said.len().is_multiple_of(2)
            && said.chunks_exact(2).all(|pair| letters::flag(pair[0], pair[1]))
            && at.chunks_exact(2).all(|pair| pair[1] == pair[0] + 1);
        if let (Some(&first), Some(&last)) = (at.first(), at.last())
            && said.len() >= 3
            && !flags
        {
            for (&i, &letter) in at.iter().zip(&said) {
                line.set(i, Reading::As(letter));
            }
            hits.push(Hit { trick: &trick::REGIONAL, first, end: last + 1, decoded: None });
        }
    }
}

fn styled(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| c.is_ascii_alphabetic() || letters::styled(c).is_some()) {
        let at: Vec<(usize, char)> =
            (run.0..run.1).filter_map(|i| Some((i, letters::styled(line.at(i)?)?))).collect();
        if at.len() >= 4 {
            for (i, letter) in at {
                line.set(i, Reading::As(letter));
            }
            hits.push(Hit { trick: &trick::STYLED, first: run.0, end: run.1, decoded: None });
        }
    }
}

const fn is_mark(c: char) -> bool {
    matches!(c as u32, 0x0300..=0x034E | 0x0350..=0x036F | 0x0483..=0x0489 | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F)
}

/// Two marks on a letter are Vietnamese; more is a flood, and then the word reads without any.
fn floods(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| c.is_alphanumeric() || is_mark(c)) {
        let marks = (run.0..run.1).filter(|&i| line.at(i).is_some_and(is_mark)).count();
        if marks == 0 {
            continue;
        }
        let stacked = line_has_stack(line, run);
        let letters = run.1 - run.0 - marks;
        let all_marked = letters >= 4 && marks >= letters && !stacked && every_letter_alike(line, run);
        if stacked || all_marked {
            for i in run.0..run.1 {
                if line.at(i).is_some_and(is_mark) {
                    line.set(i, Reading::Drop);
                }
            }
            hits.push(Hit { trick: &trick::ZALGO, first: run.0, end: run.1, decoded: None });
        }
    }
}

fn line_has_stack(line: &Line<'_>, run: (usize, usize)) -> bool {
    let mut stack = 0;
    (run.0..run.1).any(|i| {
        stack = if line.at(i).is_some_and(is_mark) { stack + 1 } else { 0 };
        stack > 2
    })
}

/// The same mark on every letter (struck through, underlined).
fn every_letter_alike(line: &Line<'_>, run: (usize, usize)) -> bool {
    let mut marks = (run.0..run.1).filter_map(|i| line.at(i)).filter(|&c| is_mark(c));
    let Some(first) = marks.next() else { return false };
    marks.all(|c| c == first)
}

fn homoglyphs(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| c.is_alphanumeric() || is_mark(c)) {
        let word: Vec<char> = (run.0..run.1).filter_map(|i| line.at(i)).collect();
        if word.iter().all(char::is_ascii) || !mixed(line, &word) {
            continue;
        }
        for i in run.0..run.1 {
            if let Some(letter) = line.at(i).and_then(letters::alike) {
                line.set(i, Reading::As(letter));
            }
        }
        hits.push(Hit { trick: &trick::HOMOGLYPH, first: run.0, end: run.1, decoded: None });
    }
}

/// Whether a word has letters that are there to be taken for Latin ones.
fn mixed(line: &Line<'_>, word: &[char]) -> bool {
    let latin =
        word.iter().filter(|c| script(**c) == Some(Script::Latin) && letters::alike(**c).is_none()).count();
    let others: Vec<(usize, char)> = word
        .iter()
        .enumerate()
        .filter(|(_, c)| {
            matches!(script(**c), Some(s) if s != Script::Latin) || letters::alike(**c).is_some()
        })
        .map(|(i, c)| (i, *c))
        .collect();
    if others.is_empty() || others.iter().any(|c| letters::alike(c.1).is_none()) {
        return false;
    }
    let folded: String = word.iter().map(|&c| letters::alike(c).unwrap_or(c)).collect();
    if keys::is_key(&folded) {
        return true;
    }
    if latin == 0 {
        // A whole word of look-alikes, in a text that has no word that is truly of their script.
        let cyrillic = others.iter().all(|c| script(c.1) != Some(Script::Greek));
        return word.len() >= 4 && cyrillic && !line.scripts.other_alphabet;
    }
    others.iter().any(|&(i, c)| match script(c) {
        Some(Script::Greek) => greek_is_odd(word, i, c),
        _ => true,
    })
}

/// Greek letters stand at an end of a word in medicine (TNFα, βHCG, μmol) and seldom are the ones without a name there.
fn greek_is_odd(word: &[char], i: usize, c: char) -> bool {
    let lower = |c: Option<&char>| c.is_some_and(|c| c.is_ascii_lowercase());
    let before = i.checked_sub(1).and_then(|i| word.get(i));
    let after = word.get(i + 1);
    if matches!(
        c,
        'ο' | 'Ο'
            | 'Α'
            | 'Β'
            | 'Ε'
            | 'Ζ'
            | 'Η'
            | 'Ι'
            | 'Κ'
            | 'Μ'
            | 'Ν'
            | 'Ρ'
            | 'Τ'
            | 'Υ'
            | 'Χ'
            | 'ι'
            | 'ϲ'
            | 'ϳ'
    ) {
        return lower(before) || lower(after);
    }
    lower(before) && lower(after)
}

fn turned(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    let odd: Vec<usize> =
        (0..line.chars.len()).filter(|&i| line.at(i).is_some_and(letters::only_turned)).collect();
    let (Some(&first), Some(&last)) = (odd.first(), odd.last()) else { return };
    let plainly = odd.iter().any(|&i| matches!(line.at(i), Some('ǝ' | 'ƃ' | 'ʞ')));
    if odd.len() < if plainly { 3 } else { 6 } {
        return;
    }
    let (first, end) = line.words(first, last + 1);
    let said: String =
        (first..end).rev().filter_map(|i| line.at(i)).map(|c| letters::turned(c).unwrap_or(c)).collect();
    hits.push(Hit { trick: &trick::TURNED, first, end, decoded: Some(said) });
}

fn braille(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| ('\u{2800}'..='\u{28ff}').contains(&c) || c == ' ') {
        let cells = (run.0..run.1).filter(|&i| line.at(i).is_some_and(|c| c > '\u{2800}')).count();
        if cells < 4 {
            continue;
        }
        let said: String = (run.0..run.1)
            .filter_map(|i| line.at(i))
            .map(|c| if c == ' ' { c } else { letters::braille(c).unwrap_or('\u{b7}') })
            .collect();
        hits.push(Hit { trick: &trick::BRAILLE, first: run.0, end: run.1, decoded: Some(said) });
    }
}
