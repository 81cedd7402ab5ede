//! Characters that take no room on the page: who has a right to be there, and what the others carry.

use super::chars::{Hit, Line, Reading};
use super::keys;
use super::letters::{Script, script};
use super::trick::{self, Trick};

pub(super) fn read(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    tags(line, hits);
    zero_width(line, hits);
    bidi(line, hits);
    variation(line, hits);
    soft_hyphens(line, hits);
    formats(line, hits);
    spaces(line, hits);
    braille_blanks(line, hits);
    controls(line, hits);
    private(line, hits);
}

fn hit(hits: &mut Vec<Hit>, trick: &'static Trick, (first, end): (usize, usize), decoded: Option<String>) {
    hits.push(Hit { trick, first, end, decoded });
}

fn drop_all(line: &mut Line<'_>, (first, end): (usize, usize)) {
    for i in first..end {
        line.set(i, Reading::Drop);
    }
}

fn is_alnum(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}

fn of_script(c: Option<char>, wanted: Script) -> bool {
    c.and_then(script) == Some(wanted)
}

fn tags(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| matches!(u32::from(c), 0xE0000..=0xE007F)) {
        let said: String = (run.0..run.1).filter_map(|i| tag(line.at(i)?)).collect();
        // England, Scotland and Wales are a black flag, a region in tags and an end.
        let flag = line.before(run.0) == Some('\u{1F3F4}')
            && (3..=6).contains(&said.len())
            && said.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        for i in run.0..run.1 {
            let letter = line.at(i).and_then(tag).filter(|_| !flag);
            line.set(i, letter.map_or(Reading::Drop, Reading::As));
        }
        if !flag {
            hit(hits, &trick::TAGS, run, Some(said));
        }
    }
}

fn tag(c: char) -> Option<char> {
    char::from_u32(u32::from(c).checked_sub(0xE0000)?).filter(|c| (' '..='~').contains(c))
}

const fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn zero_width(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(is_zero_width) {
        drop_all(line, run);
        let (before, after) = (line.before(run.0), line.at(run.1));
        if run.1 - run.0 == 1 && zero_width_belongs(line, run.0, before, after) {
            continue;
        }
        let carried: Vec<char> = (run.0..run.1).filter_map(|i| line.at(i)).collect();
        hit(hits, &trick::ZERO_WIDTH, run, bits(&carried));
    }
}

fn zero_width_belongs(line: &Line<'_>, i: usize, before: Option<char>, after: Option<char>) -> bool {
    let near = |wanted| of_script(before, wanted) || of_script(after, wanted);
    match line.at(i) {
        Some('\u{feff}') if line.start == 0 && i == 0 => true,
        // Joiners belong to Arabic, Indic scripts and emoji.
        Some('\u{200c}' | '\u{200d}') => {
            near(Script::RightToLeft) || near(Script::South) || before.is_some_and(is_pictograph)
        }
        // Where lines may break: between words of Thai or Khmer, and at the edge of a word anywhere.
        _ => near(Script::South) || near(Script::East) || !(is_alnum(before) && is_alnum(after)),
    }
}

fn is_pictograph(c: char) -> bool {
    matches!(u32::from(c), 0x2190..=0x2BFF | 0x1F000..=0x1FAFF | 0xFE0F | 0x200D)
}

/// Text that a run of two (or more, the first two count) sorts of characters carries as bits.
fn bits(carried: &[char]) -> Option<String> {
    let (&zero, _) = carried.split_first()?;
    let &one = carried.iter().find(|&&c| c != zero)?;
    let two: Vec<bool> = carried.iter().filter(|&&c| c == zero || c == one).map(|&c| c == one).collect();
    [false, true].into_iter().find_map(|flip| {
        let bytes: Vec<u8> = two
            .chunks_exact(8)
            .map(|byte| byte.iter().fold(0, |sum, &bit| sum << 1 | u8::from(bit != flip)))
            .collect();
        let text = String::from_utf8(bytes).ok()?;
        (!text.is_empty() && text.chars().all(|c| !c.is_control() || c == '\n')).then_some(text)
    })
}

fn bidi(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    let is_control =
        |c: char| matches!(u32::from(c), 0x202A..=0x202E | 0x2066..=0x2069 | 0x200E | 0x200F | 0x061C);
    let at: Vec<usize> = (0..line.chars.len()).filter(|&i| line.at(i).is_some_and(is_control)).collect();
    let Some((&first, &last)) = at.first().zip(at.last()) else { return };
    for &i in &at {
        line.set(i, Reading::Drop);
    }
    let kind = |i: usize| line.at(i).map_or(0, u32::from);
    let overrides = at.iter().any(|&i| matches!(kind(i), 0x202D | 0x202E));
    let turns = at.iter().any(|&i| matches!(kind(i), 0x202B | 0x2067 | 0x061C | 0x200F));
    let opened = at
        .iter()
        .filter(|&&i| matches!(kind(i), 0x202A..=0x202B | 0x202D..=0x202E | 0x2066..=0x2068))
        .count();
    let closed = at.iter().filter(|&&i| matches!(kind(i), 0x202C | 0x2069)).count();
    let native = line.right_to_left || line.scripts.right_to_left;
    let in_word = at.iter().any(|&i| is_alnum(line.before(i)) && is_alnum(line.at(i + 1)));
    let belongs = if native { !overrides } else { !overrides && !turns && opened == closed && !in_word };
    if !belongs {
        hit(hits, &trick::BIDI, (first, last + 1), None);
    }
}

fn variation(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| selector(c).is_some()) {
        drop_all(line, run);
        let bytes: Vec<u8> = (run.0..run.1).filter_map(|i| selector(line.at(i)?)).collect();
        if run.1 - run.0 == 1 && line.before(run.0).is_some_and(takes_selector) {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let shown = text.chars().all(|c| !c.is_control() && c != '\u{fffd}');
        hit(hits, &trick::VARIATION, run, shown.then_some(text));
    }
}

/// The byte that a variation selector carries, by its number.
fn selector(c: char) -> Option<u8> {
    let code = u32::from(c);
    match code {
        0xFE00..=0xFE0F => u8::try_from(code - 0xFE00).ok(),
        0xE0100..=0xE01EF => u8::try_from(code - 0xE0100 + 16).ok(),
        _ => None,
    }
}

/// Whether one selector after `c` is ordinary: emoji, symbols, keycaps, ideographs.
fn takes_selector(c: char) -> bool {
    matches!(c, '0'..='9' | '#' | '*' | '©' | '®')
        || (u32::from(c) >= 0x2010 && !is_zero_width(c))
        || matches!(script(c), Some(Script::South))
}

fn soft_hyphens(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| c.is_alphanumeric() || c == '\u{ad}') {
        let cuts: Vec<usize> = (run.0..run.1).filter(|&i| line.at(i) == Some('\u{ad}')).collect();
        if cuts.is_empty() {
            continue;
        }
        for &i in &cuts {
            line.set(i, Reading::Drop);
        }
        let word = line.read(run.0, run.1);
        let edge = line.at(run.0) == Some('\u{ad}')
            || (line.at(run.1 - 1) == Some('\u{ad}') && is_alnum(line.at(run.1)));
        let double = cuts.windows(2).any(|pair| pair[1] - pair[0] == 1);
        let short = cuts.windows(2).filter(|pair| pair[1] - pair[0] == 2).count();
        let first = cuts.first().is_some_and(|&i| i - run.0 == 1) && run.1 - run.0 > 4;
        let many = cuts.len() * 2 >= word.chars().count() && cuts.len() > 1;
        if edge || double || short >= 2 || first || many || keys::is_key(&word) {
            hit(hits, &trick::SOFT_HYPHEN, run, None);
        }
    }
}

/// Format characters that show nothing, each with who may use them.
fn formats(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for i in 0..line.chars.len() {
        let Some(c) = line.at(i) else { break };
        let (before, after) = (line.before(i), line.at(i + 1));
        let (trick, belongs) = match u32::from(c) {
            0x115F | 0x1160 => (&trick::FILLER, jamo(before) || jamo(after)),
            0x3164 | 0xFFA0 => (&trick::FILLER, false),
            0x2061..=0x2064 => (&trick::OPERATOR, operator_belongs(line, i)),
            0xFFF9..=0xFFFB => (&trick::ANNOTATION, false),
            0x034F => (&trick::JOINER, of_script(before, Script::RightToLeft)),
            0x2065 | 0x206A..=0x206F | 0xFFF0..=0xFFF8 | 0xE0080..=0xE00FF | 0xE01F0..=0xE0FFF => {
                (&trick::DEPRECATED, false)
            }
            0x1D173..=0x1D17A => (&trick::MUSICAL, before.is_some_and(musical) || after.is_some_and(musical)),
            0x17B4 | 0x17B5 | 0x180B..=0x180E => (&trick::VOWEL, of_script(before, Script::South)),
            _ => continue,
        };
        if trick == &trick::ANNOTATION {
            line.set(i, Reading::As(' '));
        } else {
            line.set(i, Reading::Drop);
        }
        if !belongs {
            hit(hits, trick, (i, i + 1), None);
        }
    }
}

fn jamo(c: Option<char>) -> bool {
    c.is_some_and(|c| matches!(u32::from(c), 0x1100..=0x115E | 0x1161..=0x11FF | 0xAC00..=0xD7FF))
}

const fn musical(c: char) -> bool {
    matches!(c as u32, 0x1D100..=0x1D172 | 0x1D17B..=0x1D1FF)
}

/// `f(x)` and `2x` have one operator between short names; a word has none.
fn operator_belongs(line: &Line<'_>, i: usize) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    let operator = |c: Option<char>| c.is_some_and(|c| matches!(u32::from(c), 0x2061..=0x2064));
    let (before, after) = (line.before(i), line.at(i + 1));
    if operator(before) || operator(after) || !(is_alnum(before) || is_alnum(after)) {
        return false;
    }
    let longer = (i >= 2 && letter(line.at(i - 2))) || letter(line.at(i + 2));
    !(letter(before) && letter(after) && longer)
}

fn unusual_space(line: &Line<'_>, c: char) -> bool {
    matches!(u32::from(c), 0x2000..=0x200A | 0x202F | 0x205F | 0x1680)
        || (c == '\u{3000}' && !line.scripts.east)
}

fn spaces(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    let mut all = Vec::new();
    for run in line.runs(|c| c == '\u{a0}' || c == '\u{3000}' || unusual_space(line, c)) {
        for i in run.0..run.1 {
            line.set(i, Reading::As(' '));
        }
        let odd: Vec<char> =
            (run.0..run.1).filter_map(|i| line.at(i)).filter(|&c| unusual_space(line, c)).collect();
        if odd.len() >= 3 {
            let text = bits(&odd);
            hit(hits, &trick::SPACES, run, Some(text.unwrap_or_default()));
        }
        all.extend(odd.into_iter().map(|c| (run.0, c)));
    }
    // One kind between words is typography; several kinds in turn are a code.
    let carried: Vec<char> = all.iter().map(|c| c.1).collect();
    let mut kinds = carried.clone();
    kinds.sort_unstable();
    kinds.dedup();
    if let (Some(first), Some(last)) = (all.first(), all.last())
        && carried.len() >= 8
        && kinds.len() >= 2
        && (kinds.len() >= 3 || bits(&carried).is_some())
    {
        hit(hits, &trick::SPACES, (first.0, last.0 + 1), bits(&carried));
    }
}

fn braille_blanks(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    let cells = line.chars.iter().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c.1));
    for run in line.runs(|c| c == '\u{2800}') {
        for i in run.0..run.1 {
            line.set(i, Reading::As(' '));
        }
        if !cells {
            hit(hits, &trick::BRAILLE_BLANK, run, None);
        }
    }
}

fn controls(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    let mut i = 0;
    while let Some(c) = line.at(i) {
        let code = u32::from(c);
        if c == '\u{1b}' || (c == '\u{9b}' && line.at(i + 1).is_some_and(|c| c.is_ascii_digit() || c == '['))
        {
            let end = escape_end(line, i);
            drop_all(line, (i, end));
            hit(hits, &trick::ESCAPE, (i, end), None);
            i = end;
            continue;
        }
        match code {
            9 | 10 | 12 | 13 | 0x85 => {}
            // Word's line break; the frame of an HL7 message.
            0x0B => line.set(i, Reading::As(' ')),
            0x1C if line.at(i + 1).is_none_or(|c| c == '\r' || c == '\n') => line.set(i, Reading::Drop),
            8 => backspace(line, i, hits),
            0..=0x1F | 0x7F => {
                line.set(i, Reading::Drop);
                hit(hits, &trick::CONTROL, (i, i + 1), None);
            }
            // A quotation mark or dash of Windows that was read as Latin-1.
            0x80 | 0x8B | 0x91..=0x97 | 0x99 | 0x9B => line.set(i, Reading::As('\'')),
            0x80..=0x9F => {
                line.set(i, Reading::Drop);
                hit(hits, &trick::CONTROL, (i, i + 1), None);
            }
            _ => {}
        }
        i += 1;
    }
}

/// Where the escape at `i` ends: after its final letter, or after the bell or string terminator of a longer one.
fn escape_end(line: &Line<'_>, i: usize) -> usize {
    const ESCAPE_MAX: usize = 256;
    let first = if line.at(i) == Some('\u{1b}') { line.at(i + 1) } else { Some('[') };
    let from = if line.at(i) == Some('\u{1b}') { i + 2 } else { i + 1 };
    let fits: fn(char) -> bool = match first {
        Some('[') => |c| ('@'..='~').contains(&c) && c != '[',
        Some(']' | 'P' | '_' | '^' | 'X') => |c| matches!(c, '\u{7}' | '\u{9c}' | '\\'),
        Some(_) => return from.min(line.chars.len()),
        None => return line.chars.len().min(i + 1),
    };
    (from..from + ESCAPE_MAX)
        .find(|&at| line.at(at).is_none_or(fits))
        .map_or(from, |at| (at + 1).min(line.chars.len()))
}

/// Takes the character before it back.
fn backspace(line: &mut Line<'_>, i: usize, hits: &mut Vec<Hit>) {
    line.set(i, Reading::Drop);
    hit(hits, &trick::OVERSTRIKE, (i, i + 1), None);
}

fn private(line: &mut Line<'_>, hits: &mut Vec<Hit>) {
    for run in line.runs(|c| matches!(u32::from(c), 0xE000..=0xF8FF | 0xF0000..=0x10FFFD)) {
        drop_all(line, run);
        let beyond = (run.0..run.1).any(|i| line.at(i).is_some_and(|c| u32::from(c) > 0xF8FF));
        // Word's bullets and symbols are single characters of the private area, before a blank or a word.
        let in_word = is_alnum(line.before(run.0)) && is_alnum(line.at(run.1));
        if beyond || in_word || run.1 - run.0 >= 3 {
            let said: String =
                (run.0..run.1).filter_map(|i| char::from_u32(u32::from(line.at(i)?) & 0x7f)).collect();
            let shown =
                said.chars().all(|c| (' '..='~').contains(&c)) && said.chars().any(char::is_alphabetic);
            hit(hits, &trick::PRIVATE, run, shown.then_some(said));
        }
    }
    for run in line.runs(|c| matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE) {
        drop_all(line, run);
        hit(hits, &trick::NONCHARACTER, run, None);
    }
}
