//! Words of a sentence for the statistic of stances: without endings, each with the class that `data/stance-words.txt` gives it.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Class of a drug that is asked about, and of the second one.
pub(super) const FIRST: u8 = b'X';
/// Class of the condition, or of the second drug.
pub(super) const SECOND: u8 = b'D';
/// Another drug.
pub(super) const OTHER_DRUG: u8 = b'Y';
/// Another condition.
pub(super) const OTHER_CONDITION: u8 = b'C';
/// A comma, a colon, a bracket: what parts a sentence.
pub(super) const PART: u8 = b',';

/// Longest phrase of the list, in words.
const PHRASE_WORDS_MAX: usize = 4;

/// One word, name or sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub id: u64,
    /// Letter of its class; 0 for none.
    pub class: u8,
}

struct List {
    phrases: HashMap<u64, u8>,
    /// Most words of the phrases that start so.
    opens: HashMap<u64, usize>,
}

fn list() -> &'static List {
    static LIST: OnceLock<List> = OnceLock::new();
    LIST.get_or_init(|| {
        let mut list = List { phrases: HashMap::new(), opens: HashMap::new() };
        for line in include_str!("../../data/stance-words.txt").lines() {
            let Some((class, words)) = line.split_once(' ') else { continue };
            let &[class] = class.as_bytes() else { continue };
            if class == b'#' {
                continue;
            }
            for phrase in words.split('|') {
                let mut ids = Vec::new();
                plain(phrase, |id, _| ids.push(id));
                let Some(first) = ids.first() else { continue };
                let most = list.opens.entry(*first).or_insert(0);
                *most = (*most).max(ids.len().min(PHRASE_WORDS_MAX));
                list.phrases.entry(ids.iter().fold(0, |all, id| join(all, *id))).or_insert(class);
            }
        }
        list
    })
}

/// Joins two numbers into one.
pub(super) fn join(one: u64, other: u64) -> u64 {
    let mixed = (one.rotate_left(23) ^ other).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01B3))
}

/// A word without its ending: `avoided`, `avoiding` and `avoids` are one.
fn stem(word: &str) -> u64 {
    let cut = |end: &str, least: usize| word.strip_suffix(end).filter(|rest| rest.len() >= least);
    let base = if let Some(rest) = cut("ies", 3).or_else(|| cut("ied", 3)) {
        return join(hash(rest.as_bytes()), u64::from(b'y'));
    } else if let Some(rest) = cut("ing", 3).or_else(|| cut("ed", 3)).or_else(|| cut("ly", 4)) {
        undoubled(rest)
    } else if let Some(rest) = cut("es", 3) {
        rest
    } else if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") {
        word
    } else {
        cut("s", 3).unwrap_or(word)
    };
    let base = if base.len() > 3 { base.strip_suffix('e').unwrap_or(base) } else { base };
    if base.len() > 3
        && let Some(rest) = base.strip_suffix('y')
    {
        return join(hash(rest.as_bytes()), u64::from(b'y'));
    }
    hash(base.as_bytes())
}

/// `stopp` is `stop`; `pass` and `fill` keep their letters.
fn undoubled(word: &str) -> &str {
    let bytes = word.as_bytes();
    match bytes {
        [.., a, b] if a == b && !matches!(b, b's' | b'l' | b'e') => {
            word.get(..word.len() - 1).unwrap_or(word)
        }
        _ => word,
    }
}

/// Contractions without their apostrophe, as many write them.
const BARE: [&str; 18] = [
    "dont", "doesnt", "didnt", "cant", "wont", "isnt", "arent", "wasnt", "werent", "shouldnt", "couldnt",
    "wouldnt", "hasnt", "havent", "hadnt", "mustnt", "neednt", "aint",
];

/// Gives every word of a stretch without names, and every sign, with the place where it starts.
fn plain(text: &str, mut each: impl FnMut(u64, u8)) {
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_alphanumeric() {
            word.clear();
            word.extend(c.to_lowercase());
            while let Some(&next) = chars.peek() {
                match next {
                    '\'' | '\u{2019}' => word.push('\''),
                    n if n.is_alphanumeric() => word.extend(n.to_lowercase()),
                    _ => break,
                }
                chars.next();
            }
            give(&word, &mut each);
        } else {
            match c {
                ',' | ';' | ':' | '(' | ')' | '\u{2014}' | '\u{2013}' | '|' | '\n' => {
                    each(u64::from(PART), PART)
                }
                '!' | '?' | '"' | '\u{201c}' | '+' | '=' | '/' | '>' | '*' => each(c as u64, 0),
                _ => {}
            }
        }
    }
}

fn give(word: &str, each: &mut impl FnMut(u64, u8)) {
    let word = word.trim_matches('\'');
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return each(u64::from(b'#'), 0);
    }
    let not = hash(b"not");
    let bare = BARE.contains(&word).then(|| word.strip_suffix("nt")).flatten();
    match word.strip_suffix("n't").or(bare) {
        Some(rest) => {
            let rest = match rest {
                "ca" => "can",
                "wo" => "will",
                "ai" => "is",
                rest => rest,
            };
            each(stem(rest), 0);
            each(not, 0);
        }
        None if word == "cannot" => {
            each(hash(b"can"), 0);
            each(not, 0);
        }
        None => match word.split_once('\'') {
            Some((head, _)) => each(stem(head), 0),
            None => each(stem(word), 0),
        },
    }
}

/// A name in a stretch of text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub start: usize,
    pub end: usize,
    pub class: u8,
}

/// The tokens of `text[from..to]`, in which `names` stand in order; phrases of the list are one token.
pub(super) fn tokens(text: &str, from: usize, to: usize, names: &[Named], out: &mut Vec<Token>) {
    out.clear();
    let mut raw: Vec<Token> = Vec::with_capacity(48);
    let mut at = from;
    for name in names.iter().filter(|n| n.start >= from && n.end <= to) {
        if name.start < at {
            continue;
        }
        plain(text.get(at..name.start).unwrap_or_default(), |id, class| raw.push(Token { id, class }));
        raw.push(Token { id: u64::from(name.class), class: name.class });
        at = name.end;
    }
    plain(text.get(at..to).unwrap_or_default(), |id, class| raw.push(Token { id, class }));
    let list = list();
    let mut place = 0;
    while let Some(first) = raw.get(place) {
        let most = if first.class == 0 { list.opens.get(&first.id).copied().unwrap_or(0) } else { 0 };
        let phrase = (1..=most).rev().find_map(|len| {
            let words = raw.get(place..place + len)?;
            let joined = words.iter().fold(0, |all, t| join(all, t.id));
            list.phrases.get(&joined).map(|class| (len, if len == 1 { first.id } else { joined }, *class))
        });
        match phrase {
            Some((len, id, class)) => {
                out.push(Token { id, class });
                place += len;
            }
            None => {
                out.push(*first);
                place += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(text: &str) -> String {
        let mut out = Vec::new();
        let names = text.find("Xmab").map(|start| Named { start, end: start + 4, class: FIRST });
        tokens(text, 0, text.len(), names.as_slice(), &mut out);
        out.iter().filter(|t| t.class != 0).map(|t| t.class as char).collect()
    }

    #[test]
    fn endings_contractions_and_phrases_are_one() {
        assert_eq!(stem("avoided"), stem("avoiding"));
        assert_eq!(stem("stopped"), stem("stop"));
        assert_eq!(stem("therapies"), stem("therapy"));
        assert_eq!(classes("Xmab doesn't work"), "Xne");
        assert_eq!(classes("Xmab doesn\u{2019}t work"), "Xne");
        assert_eq!(classes("Xmab cannot be used"), "Xonu");
        assert_eq!(classes("Xmab is a waste of time, avoid"), "Xx,a");
    }
}
