//! Stand-ins that look like what they stand for, drawn by a keyed hash of it.
//!
//! An unkeyed hash of a telephone number is reversed by trying all; with a key (HMAC-SHA-256, RFC 2104) only who has the
//! key can. Numbers fall into ranges that nobody has: 555-01xx, Social Security areas from 900, the networks and names
//! reserved for documentation (RFC 5737, RFC 2606).

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::days;
use crate::phi::{Kind, Lexicon, Role};

/// Longest stand-in, in characters; for a longer one there is a placeholder. It bounds what a stream holds back.
pub(super) const SURROGATE_CHARS_MAX: usize = 60;

const GIVEN: &str = "Adrian Alba Alden Alina Amos Anika Arlo Astrid Aubrey Basil Beatrix Bianca Blaise Bram Brenna Briar \
Calla Carys Cedric Celeste Clement Cora Corwin Cosima Dalia Damon Darcy Delphine Desmond Dinah Edmund Effie Elara Elias \
Elowen Emeric Enid Ephraim Esme Evander Fabian Felicity Fergus Flora Florian Freya Gideon Giselle Greta Gwendolyn Hadley \
Harriet Hester Hollis Hugo Imogen Ingrid Iona Isidore Ivo Jasper Jocelyn Juniper Keziah Lachlan Leander Leopold Linnea \
Lionel Lorelei Lucian Lysander Magnus Marcella Marlowe Matilda Maude Merritt Minerva Mirabel Nadia Nerys Nico Odette \
Olwen Orla Orson Oswin Percival Petra Phineas Piers Quentin Quill Ramona Roderick Romilly Rosalind Rowan Rufus Sabine \
Saskia Sebastian Selene Seraphina Silas Sorrel Sybil Tabitha Tamsin Tarquin Thaddeus Theodora Tobias Ursula Verity Viola \
Vivienne Wilfred Willa Winona Xanthe Yorick Yvaine Zelda Zephyr Zinnia";

const FAMILY: &str = "Abernethy Ackerley Aldridge Amberson Applegarth Arkwright Ashdown Atherton Babbage Bainbridge Barclay \
Beckwith Bellweather Bickerstaff Blackwood Blythe Bramwell Brockhurst Burgess Cadwell Carmody Chadwick Chetwynd Clapham \
Cobbold Colquhoun Cromwell Culpepper Dalrymple Danforth Davenport Dearborn Devereux Dinsmore Drummond Dunmore Eastwick \
Eddington Ellsworth Elphick Fairbairn Farnsworth Featherstone Fenwick Fitzroy Fothergill Gainsford Galbraith Garrick \
Gladwyn Goodfellow Grantham Greystoke Hallam Hargreave Hathersage Haverford Hawksworth Hembrow Hollingworth Huxtable \
Inglewood Ironside Jarndyce Jessop Kellaway Kenworthy Kingsley Kirkbride Lancaster Langtree Larkspur Leverett Lockhart \
Longbottom Lovelace Lyndhurst Makepeace Mansfield Marchbanks Mayhew Merriweather Middlemarch Montague Musgrave Netherby \
Nightshade Norwood Oakhurst Oglethorpe Osgood Overbury Pemberton Penhallow Pettigrew Plumley Prendergast Quarles \
Quimby Radcliffe Ravenscroft Redgrave Rochford Rutherford Saltmarsh Seagrave Shackleton Somerset Stanhope Sutcliffe \
Tattersall Templeton Thackeray Thistlewood Thornbury Tolliver Trelawney Underhill Uppingham Vandermeer Vauxhall Wainwright \
Wakefield Waverley Westbrook Whitlock Winterbourne Wolstenholme Yarborough Yardley Zouche";

const PLACES: &str = "Ambleford Ashcombe Aldermoor Barrowdene Beckhaven Birchmere Blackthorn Briarcliff Brookmoor Calderbeck \
Cloverdell Coldbrook Copperfield Cranmoor Dunwick Eaglemoor Eastmere Elderfield Fairhollow Fernleigh Foxglove Glenmarrow \
Goldcrest Greymouth Harrowgate Hazelwick Heronsgate Highmoor Hollowbrook Ivybridge Kestrelton Kingsmoor Larchmere \
Linfield Longmeadow Marlbrook Millhaven Mossdale Netherfield Northmere Oakhollow Orchardton Otterburn Pinehollow \
Quailridge Ravensmoor Redmarsh Riverdene Rookwood Sandmere Silverlea Southmoor Stonebeck Summerlea Swanmere Tarnbrook \
Thornfield Umberleigh Valemont Wardlow Westmarsh Whitmoor Willowmere Windlehurst Wrenfield Yewbarrow";

/// Draws from a keyed hash, one byte after another.
pub(super) struct Draw {
    key: [u8; 32],
    what: Vec<u8>,
    block: [u8; 32],
    at: usize,
    counter: u32,
}

impl Draw {
    /// For `what` of this kind; another `attempt` gives another draw.
    pub(super) fn new(key: &[u8; 32], kind: Kind, what: &str, attempt: u32) -> Self {
        let mut message = kind.word().as_bytes().to_vec();
        message.push(0);
        message.extend_from_slice(what.to_lowercase().as_bytes());
        message.push(0);
        message.extend_from_slice(&attempt.to_le_bytes());
        Self { key: *key, what: message, block: [0; 32], at: 32, counter: 0 }
    }

    fn byte(&mut self) -> u8 {
        if self.at >= self.block.len() {
            self.block = keyed(&self.key, &[&self.what, &self.counter.to_le_bytes()]);
            self.counter += 1;
            self.at = 0;
        }
        let byte = self.block.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    fn below(&mut self, n: usize) -> usize {
        let wide = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), 0]);
        wide as usize % n.max(1)
    }

    fn digit(&mut self) -> char {
        char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))
    }

    fn word(&mut self, from: &'static str) -> &'static str {
        let words: Vec<&str> = from.split_whitespace().collect();
        let index = self.below(words.len());
        words.get(index).copied().unwrap_or("Alden")
    }

    fn hex(&mut self, n: usize) -> String {
        (0..n).map(|_| char::from_digit(u32::from(self.byte() % 16), 16).unwrap_or('0')).collect()
    }
}

impl Drop for Draw {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.key.zeroize();
        self.what.zeroize();
    }
}

/// HMAC-SHA-256 of the parts one after another.
pub(super) fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    parts.iter().for_each(|p| mac.update(p));
    mac.finalize().into_bytes().into()
}

/// The days by which a session moves dates: 30 to 394, backwards.
pub(super) fn shift_days(key: &[u8; 32]) -> i64 {
    let [a, b, ..] = keyed(key, &[b"days"]);
    -(30 + i64::from(u16::from_le_bytes([a, b])) % 365)
}

/// A stand-in for `text`; `None` where only a placeholder will do.
pub(super) fn surrogate(key: &[u8; 32], kind: Kind, text: &str, attempt: u32) -> Option<String> {
    let mut draw = Draw::new(key, kind, text, attempt);
    let out = match kind {
        Kind::AgeOver89 | Kind::Biometric | Kind::Photo => return None,
        Kind::Name => name_word(&mut draw, text, attempt),
        Kind::Date if attempt == 0 => days::shift(text, shift_days(key))?,
        Kind::Date => return None,
        Kind::Place => place(&mut draw, text),
        Kind::Email => format!("{}@example.org", draw.hex(8)),
        Kind::Url => format!("https://example.org/{}", draw.hex(10)),
        Kind::Ip => format!("{}.{}", draw.word("192.0.2 198.51.100 203.0.113"), draw.below(254) + 1),
        Kind::Phone | Kind::Fax => phone(&mut draw, text),
        Kind::SocialSecurity => like_with(&mut draw, text, &['9']),
        _ => like_with(&mut draw, text, &[]),
    };
    (out.chars().count() <= SURROGATE_CHARS_MAX && out != text && !out.contains('[')).then_some(out)
}

/// One word of a name; after eight attempts with two syllables added, so that there is always another.
fn name_word(draw: &mut Draw, text: &str, attempt: u32) -> String {
    let given = Lexicon::shared().word(text).on(Lexicon::GIVEN);
    let mut word = draw.word(if given { GIVEN } else { FAMILY }).to_owned();
    if attempt >= 8 {
        word += draw.word("a e i o u");
        word += draw.word("bry dell don lin mar nor quin ris sen vane wyn");
    }
    cased_like(&word, text)
}

fn cased_like(word: &str, like: &str) -> String {
    let letters = || like.chars().filter(|c| c.is_alphabetic());
    if letters().count() > 1 && letters().all(char::is_uppercase) {
        word.to_uppercase()
    } else if letters().all(char::is_lowercase) {
        word.to_lowercase()
    } else {
        word.to_owned()
    }
}

/// Each letter for a letter, each digit for a digit; the first digits may be fixed.
fn like_with(draw: &mut Draw, text: &str, first: &[char]) -> String {
    let mut fixed = first.iter();
    text.chars()
        .map(|c| match c {
            '0'..='9' => fixed.next().copied().unwrap_or_else(|| draw.digit()),
            'A'..='Z' => char::from(b'A' + u8::try_from(draw.below(26)).unwrap_or(0)),
            'a'..='z' => char::from(b'a' + u8::try_from(draw.below(26)).unwrap_or(0)),
            c if c.is_alphanumeric() => 'x',
            '[' | ']' => '-',
            c => c,
        })
        .collect()
}

/// As [`like_with`]; of ten digits and more the last seven are 555-01xx.
fn phone(draw: &mut Draw, text: &str) -> String {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if digits < 10 {
        return like_with(draw, text, &[]);
    }
    let mut index = 0;
    text.chars()
        .map(|c| {
            if !c.is_ascii_digit() {
                return if c.is_alphanumeric() || c == '[' { '-' } else { c };
            }
            index += 1;
            match digits - index {
                4..=6 => '5',
                3 => '0',
                2 => '1',
                _ if index == 1 => '2',
                _ => draw.digit(),
            }
        })
        .collect()
}

/// Names in a place by other names, numbers by numbers; `Hospital`, `Street`, a state and small words stay.
fn place(draw: &mut Draw, text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let alike = first.is_alphanumeric();
        let end = rest.find(|c: char| c.is_alphanumeric() != alike).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        if !alike {
            out += &piece.replace(['[', ']'], "-");
        } else if piece.chars().any(|c| c.is_ascii_digit()) {
            out += &like_with(draw, piece, &['2']);
        } else {
            out += &place_word(draw, piece);
        }
    }
    out
}

fn place_word(draw: &mut Draw, piece: &str) -> String {
    let role = Lexicon::shared().word(piece).role;
    let stays = matches!(
        role,
        Role::Facility | Role::Street | Role::Large | Role::StateCode | Role::Particle | Role::PlaceCue
    ) || piece.chars().all(|c| c.is_ascii_lowercase())
        || piece.len() == 1
        || matches!(piece, "Health" | "Center" | "City" | "County" | "Children" | "Cancer" | "Apt" | "Box");
    if stays { piece.to_owned() } else { cased_like(draw.word(PLACES), piece) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_decides_and_nothing_else() {
        let a = surrogate(&[1; 32], Kind::RecordNumber, "AB-12345", 0).unwrap();
        assert_eq!(a, surrogate(&[1; 32], Kind::RecordNumber, "AB-12345", 0).unwrap());
        assert_ne!(a, surrogate(&[2; 32], Kind::RecordNumber, "AB-12345", 0).unwrap());
        assert_eq!((a.len(), &a[2..3]), (8, "-"));
    }

    #[test]
    fn numbers_are_nobodys() {
        let phone = surrogate(&[1; 32], Kind::Phone, "(212) 867-5309", 0).unwrap();
        assert!(phone.contains("555-01"), "{phone}");
        assert!(surrogate(&[1; 32], Kind::SocialSecurity, "123-45-6789", 0).unwrap().starts_with('9'));
        assert!(surrogate(&[1; 32], Kind::Email, "a@b.org", 0).unwrap().ends_with("@example.org"));
        assert_eq!(surrogate(&[1; 32], Kind::AgeOver89, "94", 0), None);
    }

    #[test]
    fn the_kind_of_an_institution_stays() {
        let place = surrogate(&[1; 32], Kind::Place, "Okafor Memorial Hospital, 12 Elm Street", 0).unwrap();
        assert!(place.contains("Memorial Hospital, 2") && place.ends_with("Street"), "{place}");
        assert!(!place.contains("Okafor"));
    }
}
