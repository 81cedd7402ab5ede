//! Letters that stand for ASCII letters: look-alikes of other scripts, and Latin in another dress.

/// Look-alikes by Unicode's confusables (UTS 39), as far as they are taken for a Latin letter in running text: the ASCII
/// letter, then the letters that look like it. Letters of one script stand together: Cyrillic, Greek, Armenian,
/// Cherokee, Coptic, Lisu, phonetic.
const ALIKE: &[(char, &str)] = &[
    ('a', "аɑ⍺"),
    ('b', "Ьƅ"),
    ('c', "сϲⅽⲥ"),
    ('d', "ԁⅾժ"),
    ('e', "еҽє℮"),
    ('f', "ϝք"),
    ('g', "ɡց"),
    ('h', "һհ"),
    ('i', "іιɩ"),
    ('j', "јϳ"),
    ('k', "кκ"),
    ('l', "ӏⅼǀ"),
    ('m', "мⅿ"),
    ('n', "ոпη"),
    ('o', "оοօⲟ"),
    ('p', "рρⲣ"),
    ('q', "ԛգ"),
    ('r', "гⲅ"),
    ('s', "ѕ"),
    ('t', "тτ"),
    ('u', "սυʋ"),
    ('v', "ѵνⅴ"),
    ('w', "ԝѡωա"),
    ('x', "хχⅹ"),
    ('y', "уγүყ"),
    ('z', "ʐ"),
    ('A', "АΑᎪꓮ"),
    ('B', "ВΒᏴꓐ"),
    ('C', "СϹᏟꓚⅭ"),
    ('D', "ᎠꓓⅮ"),
    ('E', "ЕΕᎬꓰ"),
    ('F', "Ϝꓝ"),
    ('G', "ԌᏀꓖ"),
    ('H', "НΗᎻꓧ"),
    ('I', "ІΙӀꓲ"),
    ('J', "ЈᎫꓙ"),
    ('K', "КΚᏦꓗ"),
    ('L', "ᏞꓡⅬ"),
    ('M', "МΜᎷꓟⅯ"),
    ('N', "Νꓠ"),
    ('O', "ОΟՕꓳ"),
    ('P', "РΡᏢꓑ"),
    ('Q', "Ԛ"),
    ('R', "ᎡᏒꓣ"),
    ('S', "ЅՏᏚꓢ"),
    ('T', "ТΤᎢꓔ"),
    ('U', "Սꓴ"),
    ('V', "ѴᏙꓦ"),
    ('W', "ԜᎳꓪ"),
    ('X', "ХΧꓫ"),
    ('Y', "УΥҮꓬ"),
    ('Z', "ΖᏃꓜ"),
];

/// Phonetic and superscript letters that spell Latin words in another dress.
const STYLED: &[(char, &str)] = &[
    ('a', "ᴀᵃₐ"),
    ('b', "ʙᵇ"),
    ('c', "ᴄᶜ"),
    ('d', "ᴅᵈ"),
    ('e', "ᴇᵉₑ"),
    ('f', "ꜰᶠ"),
    ('g', "ɢᵍ"),
    ('h', "ʜʰₕ"),
    ('i', "ɪⁱᵢ"),
    ('j', "ᴊʲⱼ"),
    ('k', "ᴋᵏₖ"),
    ('l', "ʟˡₗ"),
    ('m', "ᴍᵐₘ"),
    ('n', "ɴⁿₙ"),
    ('o', "ᴏᵒₒ"),
    ('p', "ᴘᵖₚ"),
    ('q', "ꞯ"),
    ('r', "ʀʳᵣ"),
    ('s', "ꜱˢₛ"),
    ('t', "ᴛᵗₜ"),
    ('u', "ᴜᵘᵤ"),
    ('v', "ᴠᵛᵥ"),
    ('w', "ᴡʷ"),
    ('x', "ˣₓ"),
    ('y', "ʏʸ"),
    ('z', "ᴢᶻ"),
];

/// Letters that look like ASCII letters turned upside down.
const TURNED: &[(char, char)] = &[
    ('ɐ', 'a'),
    ('ɔ', 'c'),
    ('ǝ', 'e'),
    ('ɟ', 'f'),
    ('ƃ', 'g'),
    ('ɥ', 'h'),
    ('ᴉ', 'i'),
    ('ı', 'i'),
    ('ɾ', 'j'),
    ('ʞ', 'k'),
    ('ן', 'l'),
    ('ɯ', 'm'),
    ('ɹ', 'r'),
    ('ʇ', 't'),
    ('ʌ', 'v'),
    ('ʍ', 'w'),
    ('ʎ', 'y'),
];

fn find(table: &[(char, &str)], c: char) -> Option<char> {
    table.iter().find(|row| row.1.contains(c)).map(|row| row.0)
}

/// The ASCII letter that `c` is taken for, when `c` is a letter of another script.
pub(super) fn alike(c: char) -> Option<char> {
    if c.is_ascii() { None } else { find(ALIKE, c) }
}

/// The ASCII letter that a small capital, superscript or subscript letter stands for.
pub(super) fn styled(c: char) -> Option<char> {
    if c.is_ascii() { None } else { find(STYLED, c) }
}

/// The letter that `c` shows when the page is turned.
pub(super) fn turned(c: char) -> Option<char> {
    if let Some(row) = TURNED.iter().find(|row| row.0 == c) {
        return Some(row.1);
    }
    Some(match c {
        'u' => 'n',
        'n' => 'u',
        'd' => 'p',
        'p' => 'd',
        'b' => 'q',
        'q' => 'b',
        'l' | 'o' | 's' | 'x' | 'z' | ' ' | 'i' => c,
        '˙' => '.',
        '\'' => ',',
        _ => return None,
    })
}

/// Whether `c` only appears in turned text.
pub(super) fn only_turned(c: char) -> bool {
    !matches!(c, 'ı' | 'ן') && TURNED.iter().any(|row| row.0 == c)
}

fn offset(c: char, from: u32, to: u32, first: char, period: u32) -> Option<char> {
    let code = u32::from(c);
    if code < from || code > to {
        return None;
    }
    char::from_u32(u32::from(first) + (code - from) % period)
}

/// The ASCII of a fullwidth form.
pub(super) fn fullwidth(c: char) -> Option<char> {
    offset(c, 0xFF01, 0xFF5E, '!', 94)
}

/// The ASCII of a mathematical alphanumeric, and of the letterlike symbols that fill its holes.
pub(super) fn mathematical(c: char) -> Option<char> {
    let code = u32::from(c);
    match code {
        0x1D400..=0x1D6A3 => {
            let at = (code - 0x1D400) % 52;
            let first = if at < 26 { 'A' } else { 'a' };
            char::from_u32(u32::from(first) + at % 26)
        }
        0x1D7CE..=0x1D7FF => char::from_u32(u32::from('0') + (code - 0x1D7CE) % 10),
        _ => Some(match c {
            'ℬ' => 'B',
            'ℂ' | 'ℭ' => 'C',
            'ℰ' => 'E',
            'ℱ' => 'F',
            'ℊ' => 'g',
            'ℋ' | 'ℌ' | 'ℍ' => 'H',
            'ℎ' => 'h',
            'ℐ' | 'ℑ' => 'I',
            'ℒ' => 'L',
            'ℓ' => 'l',
            'ℳ' => 'M',
            'ℕ' => 'N',
            'ℴ' => 'o',
            'ℙ' => 'P',
            'ℚ' => 'Q',
            'ℛ' | 'ℜ' | 'ℝ' => 'R',
            'ℯ' => 'e',
            'ℤ' | 'ℨ' => 'Z',
            _ => return None,
        }),
    }
}

/// The ASCII letter in a circle, square or parentheses.
pub(super) fn enclosed(c: char) -> Option<char> {
    offset(c, 0x24B6, 0x24CF, 'A', 26)
        .or_else(|| offset(c, 0x24D0, 0x24E9, 'a', 26))
        .or_else(|| offset(c, 0x249C, 0x24B5, 'a', 26))
        .or_else(|| offset(c, 0x1F110, 0x1F129, 'A', 26))
        .or_else(|| offset(c, 0x1F130, 0x1F149, 'A', 26))
        .or_else(|| offset(c, 0x1F150, 0x1F169, 'A', 26))
        .or_else(|| offset(c, 0x1F170, 0x1F189, 'A', 26))
}

/// The letter of a regional indicator, two of which make a flag.
pub(super) fn regional(c: char) -> Option<char> {
    offset(c, 0x1F1E6, 0x1F1FF, 'A', 26)
}

/// Codes whose flags exist (ISO 3166-1 and the exceptional EU, UN and a few islands): each first letter with the
/// letters that may follow it.
const FLAGS: &str = "ACDEFGILMOQRSTUWXZ BABDEFGHIJLMNOQRSTVWYZ CACDFGHIKLMNOPRUVWXYZ DEGJKMOZ EACEGHRSTU FIJKMOR GABDEFGHILMNPQRSTUWY HKMNRTU ICDELMNOQRST JEMOP KEGHIMNPRWYZ LABCIKRSTUVY MACDEFGHKLMNOPQRSTUVWXYZ NACEFGILOPRUZ OM PAEFGHKLMNRSTWY QA REOSUW SABCDEGHIJKLMNORSTVXYZ TACDFGHJKLMNORTVWZ UAGMNSYZ VACEGINU WFS XK YET ZAMW";

/// Whether two letters name a flag.
pub(super) fn flag(first: char, second: char) -> bool {
    FLAGS.split(' ').any(|row| row.strip_prefix(first).is_some_and(|seconds| seconds.contains(second)))
}

/// The letter of a braille cell of grade 1.
pub(super) fn braille(c: char) -> Option<char> {
    const CELLS: &str = "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵";
    if c == '\u{2800}' {
        return Some(' ');
    }
    let at = CELLS.chars().position(|cell| cell == c)?;
    char::from_u32(u32::from('a') + u32::try_from(at).ok()?)
}

/// Which script a letter is of, as far as it matters for mixing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Greek,
    Cyrillic,
    /// A script written from right to left.
    RightToLeft,
    /// Han, kana, hangul.
    East,
    /// A script of South or South-East Asia that joins or breaks lines by invisible characters.
    South,
    Other,
}

/// The script of `c`; `None` for what is not a letter.
pub(super) fn script(c: char) -> Option<Script> {
    if !c.is_alphabetic() {
        return None;
    }
    Some(match u32::from(c) {
        0x41..=0x24F | 0x1E00..=0x1EFF => Script::Latin,
        0x370..=0x3FF | 0x1F00..=0x1FFF => Script::Greek,
        0x400..=0x52F | 0x1C80..=0x1C8F | 0x2DE0..=0x2DFF | 0xA640..=0xA69F => Script::Cyrillic,
        0x590..=0x8FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFF | 0x1E900..=0x1EEFF => Script::RightToLeft,
        0x1100..=0x11FF
        | 0x2E80..=0x9FFF
        | 0xA960..=0xA97F
        | 0xAC00..=0xD7FF
        | 0xF900..=0xFAFF
        | 0xFF66..=0xFFDC
        | 0x20000..=0x3FFFF => Script::East,
        0x900..=0x109F | 0x1780..=0x18AF | 0x1900..=0x1AAF => Script::South,
        _ => Script::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_another_dress_are_read() {
        assert_eq!(mathematical('𝐢'), Some('i'));
        assert_eq!(mathematical('𝟗'), Some('9'));
        assert_eq!(fullwidth('ｉ'), Some('i'));
        assert_eq!(enclosed('ⓘ'), Some('i'));
        assert_eq!(enclosed('🅸'), Some('I'));
        assert_eq!(alike('о'), Some('o'));
        assert_eq!(braille('⠊'), Some('i'));
        assert_eq!(alike('é'), None);
    }

    #[test]
    fn flags_are_told_from_spelling() {
        assert!(flag('C', 'H') && flag('D', 'E') && !flag('I', 'G') && !flag('C', 'B'));
    }
}
