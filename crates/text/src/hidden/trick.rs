//! The tricks, by name.

/// How a text is kept from the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Characters that take no room.
    Invisible,
    /// Letters that look like others, or in another dress.
    Disguised,
    /// Text written in a code.
    Encoded,
    /// Markup that is not shown.
    Markup,
}

/// One trick.
#[derive(Debug, PartialEq, Eq)]
pub struct Trick {
    /// Its name in results.
    pub name: &'static str,
    /// How it works.
    pub family: Family,
    /// One line for a reader.
    pub what: &'static str,
}

macro_rules! tricks {
    ($($ident:ident: $family:ident $name:literal $what:literal;)*) => {
        $(pub(super) static $ident: Trick = Trick { name: $name, family: Family::$family, what: $what };)*
        /// Every trick that is found.
        pub static TRICKS: &[&Trick] = &[$(&$ident),*];
    };
}

tricks! {
    TAGS: Invisible "tag-characters" "ASCII in the invisible tag characters U+E0020 to U+E007E";
    ZERO_WIDTH: Invisible "zero-width" "zero-width characters inside words, or as bits";
    BIDI: Invisible "bidi-control" "direction controls that show text in another order than it is read";
    VARIATION: Invisible "variation-selectors" "variation selectors that carry bytes";
    SOFT_HYPHEN: Invisible "soft-hyphen" "soft hyphens that cut words where nobody would hyphenate";
    FILLER: Invisible "hangul-filler" "Hangul fillers, which are blank letters";
    OPERATOR: Invisible "invisible-operator" "invisible mathematical operators inside words";
    ANNOTATION: Invisible "interlinear-annotation" "interlinear annotation, which is read but not shown";
    JOINER: Invisible "grapheme-joiner" "combining grapheme joiners, which show nothing";
    DEPRECATED: Invisible "deprecated-format" "deprecated or unassigned format characters, which show nothing";
    MUSICAL: Invisible "musical-format" "musical format characters, which show nothing";
    VOWEL: Invisible "blank-vowel" "Khmer or Mongolian characters without a shape outside their script";
    SPACES: Invisible "unusual-spaces" "runs of unusual spaces, which carry bits";
    TRAILING: Invisible "trailing-whitespace" "tabs and blanks at the ends of lines, which carry bits";
    BRAILLE_BLANK: Invisible "braille-blank" "blank braille cells in running text";
    CONTROL: Invisible "control" "control characters";
    ESCAPE: Invisible "terminal-escape" "terminal escapes, which move, hide or recolour text";
    OVERSTRIKE: Invisible "backspace" "backspaces, which take back what stands before them";
    PRIVATE: Invisible "private-use" "private-use characters, which mean what two parties agreed on";
    NONCHARACTER: Invisible "noncharacter" "code points that are no characters";
    HOMOGLYPH: Disguised "homoglyph" "letters of another script that look like Latin ones";
    FULLWIDTH: Disguised "fullwidth" "fullwidth Latin letters outside East Asian text";
    MATHEMATICAL: Disguised "mathematical-letters" "mathematical letters that spell words";
    ENCLOSED: Disguised "enclosed-letters" "circled, squared or parenthesised letters that spell words";
    REGIONAL: Disguised "regional-indicators" "regional indicators that spell words and no flags";
    STYLED: Disguised "styled-letters" "small capitals, superscripts or subscripts that spell words";
    TURNED: Disguised "upside-down" "letters turned upside down";
    ZALGO: Disguised "combining-flood" "floods of combining marks on letters";
    BRAILLE: Encoded "braille" "text in braille cells";
    BASE64: Encoded "base64" "text in base64";
    BASE32: Encoded "base32" "text in base32";
    HEX: Encoded "hexadecimal" "text in hexadecimal";
    BINARY: Encoded "binary" "text in binary digits";
    CODES: Encoded "character-codes" "text in decimal character codes";
    ESCAPED: Encoded "escaped-characters" "text in character escapes of HTML, URLs or source code";
    SHIFTED: Encoded "shifted-alphabet" "text in rot13 or another shift of the alphabet, or in Atbash";
    REVERSED: Encoded "reversed" "text written backwards";
    MORSE: Encoded "morse" "text in Morse code";
    LEET: Encoded "leetspeak" "words of an order with digits for letters";
    SPACED: Encoded "spaced-letters" "words of an order with their letters apart";
    COMMENT: Markup "markup-comment" "text in a comment of HTML, Markdown or LaTeX";
    UNSEEN_STYLE: Markup "hidden-style" "text in an element that is not displayed";
    WHITE: Markup "white-text" "text in the colour of the paper";
    PUNYCODE: Markup "punycode-link" "a link whose name is written in look-alike letters";
    USERINFO: Markup "link-userinfo" "a link that shows one host before an @ and leads to another";
}
