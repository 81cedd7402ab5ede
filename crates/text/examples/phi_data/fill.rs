//! What goes into the slots of a template: made-up people, places, dates and numbers, and the words of medicine that
//! look like them.

use numeric::Rng;
use text::phi::{Label, Lexicon, list};

use super::words::*;

/// Draws one of `from`.
pub fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.below(from.len())]
}

/// Draws one of the words in `from`, which are separated by blanks or, when there is one, by `|`.
pub fn word<'a>(rng: &mut Rng, from: &'a str) -> &'a str {
    let words: Vec<&str> =
        if from.contains('|') { from.split('|').collect() } else { from.split_whitespace().collect() };
    words[rng.below(words.len())].trim()
}

fn chance(rng: &mut Rng, p: f64) -> bool {
    rng.uniform() < p
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

/// The shipped lists as slices, read once.
pub struct Lists {
    given: Vec<&'static str>,
    family: Vec<&'static str>,
    places: Vec<&'static str>,
    medical: Vec<&'static str>,
    common: Vec<&'static str>,
}

impl Lists {
    pub fn new() -> Self {
        let long = |which| list(which).filter(|w| w.chars().count() >= 3).collect();
        Self {
            given: long(Lexicon::GIVEN),
            family: long(Lexicon::FAMILY),
            places: long(Lexicon::PLACE),
            medical: long(Lexicon::MEDICAL),
            common: long(Lexicon::COMMON),
        }
    }
}

/// A word of syllables, so that names on no list are met in training.
fn invented(rng: &mut Rng) -> String {
    let mut out = String::new();
    for _ in 0..2 + rng.below(2) {
        out += word(rng, "b br c ch d dr f g gr h j k kh l m n p r s sh st t th tr v w y z");
        out += word(rng, "a e i o u a e i o ai ei ou ia");
        out += word(rng, "n r l s m nd rt | | | | k t");
    }
    capital(&out)
}

pub fn given(rng: &mut Rng, lists: &Lists) -> String {
    match rng.below(20) {
        0..9 => word(rng, GIVEN).to_owned(),
        9..18 => capital(lists.given[rng.below(lists.given.len())]),
        _ => invented(rng),
    }
}

pub fn family(rng: &mut Rng, lists: &Lists) -> String {
    match rng.below(24) {
        0..7 => word(rng, FAMILY).to_owned(),
        7..19 => capital(lists.family[rng.below(lists.family.len())]),
        19 => format!("{}{}", word(rng, "Mc Mac O' O'"), word(rng, FAMILY)),
        20 => format!("{} {}", word(rng, "van de|de la|von|van der|van|de|da|dos|del|bin|al"), invented(rng)),
        21 => format!("{}-{}", word(rng, FAMILY), capital(lists.family[rng.below(lists.family.len())])),
        _ => invented(rng),
    }
}

fn letter(rng: &mut Rng) -> char {
    char::from(b'A' + u8::try_from(rng.below(26)).unwrap_or(0))
}

/// A person without a title.
pub fn person(rng: &mut Rng, lists: &Lists) -> String {
    let (g, f) = (given(rng, lists), family(rng, lists));
    let l = letter(rng);
    match rng.below(30) {
        0..11 => format!("{g} {f}"),
        11..17 => format!("{g} {l}."),
        17 => format!("{g} {l}"),
        18 => format!("{l}. {f}"),
        19 => format!("{g} {l}. {f}"),
        20 => format!("{g}-{} {f}", given(rng, lists)),
        21 => format!("{f}, {g}"),
        22 | 23 => format!("{}, {g}", f.to_uppercase()),
        24 => format!("{} {}", g.to_uppercase(), f.to_uppercase()),
        25 => format!("{g} {} {f}", given(rng, lists)),
        26 => f,
        27 => format!("{l}.{}.", letter(rng)),
        28 => format!("{g}  {f}"),
        _ => g,
    }
}

pub fn doctor(rng: &mut Rng, lists: &Lists) -> String {
    let title = word(rng, "Dr. Dr. Dr. Dr Dr. Mr. Mrs. Ms. Prof. DR.");
    let (g, f, l) = (given(rng, lists), family(rng, lists), letter(rng));
    match rng.below(9) {
        0..4 => format!("{title} {f}"),
        4..6 => format!("{title} {g} {f}"),
        6 => format!("{title} {g} {l}."),
        7 => format!("{title} {l}."),
        _ => format!("{title} {l}. {f}"),
    }
}

pub fn city(rng: &mut Rng, lists: &Lists) -> String {
    match rng.below(12) {
        0..5 => word(rng, CITIES).to_owned(),
        5..9 => capital(lists.places[rng.below(lists.places.len())]),
        9 => format!(
            "{} {}",
            word(rng, "San|Santa|New|Fort|Port|Mount|Lake|St.|El|Los|North|West"),
            capital(lists.places[rng.below(lists.places.len())])
        ),
        10 => capital(lists.places[rng.below(lists.places.len())]).to_uppercase(),
        _ => format!("{}{}", invented(rng), word(rng, "ville ton burg ham field ford | berg by stad ow")),
    }
}

fn saint(rng: &mut Rng, kind: &str) -> String {
    format!("{} {}{} {kind}", word(rng, "St. St. St Saint"), word(rng, SAINTS), word(rng, "'s|'s|’s|"))
}

/// Its name alone.
fn institution(rng: &mut Rng, lists: &Lists) -> String {
    let kind = word(rng, FACILITIES);
    let c = city(rng, lists);
    match rng.below(17) {
        0 | 1 => format!(
            "{c} {} {kind}",
            word(
                rng,
                "General Memorial Community Regional University County Children's Methodist Presbyterian Baptist Veterans"
            )
        ),
        2 | 3 => saint(rng, kind),
        4 | 5 => format!("{c} {kind}"),
        6 => format!("{} {kind}", family(rng, lists)),
        7 => format!("{} {} {kind}", family(rng, lists), family(rng, lists)),
        15 => format!("{} {} {}", family(rng, lists), word(rng, "& and"), partner(rng, lists)),
        8 => format!(
            "{}{} {kind}",
            word(
                rng,
                "Elm Oak River Lake Green East West North South Spring Maple Cedar Pine Sun Bay Clear Rose Fair Glen"
            ),
            word(rng, "wood view side dale gate field crest brook ridge ton land haven")
        ),
        9 => format!(
            "{} {} {kind}",
            word(
                rng,
                "River Lake Green Mercy Good Grace Sunrise Valley Harbor Mountain Elm Oak Cedar Pine Mount Bay Hope Sacred Holy Downtown City Central"
            ),
            word(
                rng,
                "Valley View Springs Street Park Hills Heart Samaritan Cross Sinai Shore Point Light Falls Ridge"
            )
        ),
        10 => format!(
            "{} {}",
            word(
                rng,
                "Children's Hospital of|Children's Hospital|University Hospital of|University of|Hospital for Sick Children|Cancer Center in|Women's Hospital of|VA Hospital,"
            ),
            c
        ),
        11 => format!(
            "{c} {}",
            word(rng, "clinic office facility VA General Med Gen Presbyterian Methodist hospital campus")
        ),
        12 => format!(
            "{} {}",
            acronym(rng),
            word(rng, "Medical Center|Hospital|Health|Clinic|med center|clinic|Med Ctr|Langone")
        ),
        13 => acronym(rng),
        14 => format!(
            "{} {}",
            family(rng, lists),
            word(rng, "General Memorial Sinai Hopkins Clinic Permanente Methodist Presbyterian")
        ),
        _ => format!(
            "{} {kind}",
            word(
                rng,
                "Memorial General Mercy City Downtown Methodist Baptist Providence University Lakeside Riverside"
            )
        ),
    }
}

/// A hospital, clinic or office, sometimes with its town.
pub fn facility(rng: &mut Rng, lists: &Lists) -> String {
    let base = institution(rng, lists);
    match rng.below(12) {
        0 => format!("{base} in {}", city(rng, lists)),
        1 => format!("{base}, {}", city(rng, lists)),
        2 => format!("{base} in {}, {}", city(rng, lists), word(rng, STATES)),
        _ => base,
    }
}

/// The second half of `Brigham and Women's`.
fn partner(rng: &mut Rng, lists: &Lists) -> String {
    match rng.below(3) {
        0 => word(rng, "Women's|Children's|Women’s|Sons|Women's Hospital").to_owned(),
        1 => format!("{} {}", family(rng, lists), word(rng, FACILITIES)),
        _ => family(rng, lists),
    }
}

fn acronym(rng: &mut Rng) -> String {
    let n = 3 + rng.below(2);
    match rng.below(3) {
        0 => word(rng, "UCLA UCSF UPMC NYU MGH UCSD UAB OHSU BIDMC BWH UVA VUMC CHOP UNC").to_owned(),
        _ => (0..n)
            .map(|i| {
                if i == 0 {
                    pick(rng, &["U", "N", "M", "S", "C"]).chars().next().unwrap_or('U')
                } else {
                    letter(rng)
                }
            })
            .collect(),
    }
}

pub fn address(rng: &mut Rng, lists: &Lists) -> String {
    let street = format!(
        "{} {}",
        city(rng, lists),
        word(rng, "Street St. St Avenue Ave Road Rd Lane Drive Blvd Court Way Place Terrace")
    );
    let n = 1 + rng.below(9_800);
    let c = city(rng, lists);
    match rng.below(10) {
        0 | 1 => format!("{n} {street}"),
        2 => format!("{n} {street}, {c}, {} {:05}", word(rng, STATES), 1000 + rng.below(98_000)),
        3 => format!("{n} {street}, {c}"),
        4 => format!(
            "{} {}, {c}, {}",
            invented(rng) + word(rng, "straat vej gatan strasse gata katu tie vegen"),
            1 + rng.below(300),
            1000 + rng.below(90_000)
        ),
        5 => format!(
            "{} {} {} {}, {c}, {} {}",
            n % 300,
            word(rng, "rue|Rue de|Place|Avenue|ul.|Via|Calle|Trg|Av|boulevard"),
            given(rng, lists),
            family(rng, lists),
            format_args!("{}{}", letter(rng), letter(rng)),
            1000 + rng.below(90_000)
        ),
        6 => format!("{} u. {}., {c}, {}", invented(rng), 1 + rng.below(99), 1000 + rng.below(9_000)),
        7 => format!("{n} {street} Apt {}, {c}, {}", 1 + rng.below(99), word(rng, STATES)),
        8 => format!("P.O. Box {n}, {c}"),
        _ => format!(
            "{} {}, {}, {} {}",
            invented(rng),
            n % 200,
            c.to_uppercase(),
            format_args!("{}{}", letter(rng), letter(rng)),
            1000 + rng.below(90_000)
        ),
    }
}

pub fn date(rng: &mut Rng) -> String {
    let (y, m, d) = (1930 + rng.below(96), 1 + rng.below(12), 1 + rng.below(28));
    let name = MONTHS.split(' ').nth(m - 1).unwrap_or("May");
    let short = &name[..3];
    match rng.below(10) {
        0 => format!("{m:02}/{d:02}/{y}"),
        1 => format!("{m}/{d}/{y}"),
        2 => format!("{y}-{m:02}-{d:02}"),
        3 => format!("{name} {d}, {y}"),
        4 => format!("{d} {short} {y}"),
        5 => format!("{d}-{short}-{y}"),
        6 => format!("{m:02}/{d:02}/{:02}", y % 100),
        7 => format!("{short} {d}th {y}"),
        8 => format!("{name} {d}th"),
        _ => format!("{name} {y}"),
    }
}

/// A date that only its surroundings tell from a finding.
pub fn part_date(rng: &mut Rng) -> String {
    let (m, d) = (1 + rng.below(12), 1 + rng.below(31));
    match rng.below(8) {
        0..4 => format!("{m}/{d}"),
        4 => format!("{m:02}/{d:02}"),
        5 => format!("{m}/{:02}", rng.below(100)),
        _ => MONTHS.split(' ').nth(m - 1).unwrap_or("June").to_owned(),
    }
}

pub fn code(rng: &mut Rng) -> String {
    let digits = |rng: &mut Rng, n: usize| {
        (0..n).map(|_| char::from(b'0' + u8::try_from(rng.below(10)).unwrap_or(0))).collect::<String>()
    };
    let letters = |rng: &mut Rng, n: usize| (0..n).map(|_| letter(rng)).collect::<String>();
    let (few, many) = (1 + rng.below(3), 5 + rng.below(4));
    match rng.below(9) {
        0 => digits(rng, many),
        1 => format!("{}{}", letters(rng, few), digits(rng, many)),
        2 => format!("{}-{}", letters(rng, few), digits(rng, many)),
        3 => format!("{}-{}-{}", digits(rng, 3), digits(rng, 2), digits(rng, 4)),
        4 => format!("{}-{}", digits(rng, 5), letters(rng, few)),
        5 => format!("{}-{}-{}", letters(rng, few), digits(rng, 2), digits(rng, 5)),
        6 => format!("#{}-{}", letters(rng, few), digits(rng, many)),
        7 => format!("{}-{}", digits(rng, 4), digits(rng, 4)),
        _ => format!("{}{}{}", letters(rng, 2), digits(rng, many), letters(rng, 1)),
    }
}

fn phone(rng: &mut Rng) -> String {
    let (a, b, c) = (200 + rng.below(800), 200 + rng.below(800), rng.below(10_000));
    match rng.below(6) {
        0 => format!("{a}-{b}-{c:04}"),
        1 => format!("({a}) {b}-{c:04}"),
        2 => format!("{a}.{b}.{c:04}"),
        3 => format!("+1 {a} {b} {c:04}"),
        4 => format!("{b}-{c:04}"),
        _ => format!("{a}{b}{c:04}"),
    }
}

/// The filling of a slot, and its label (`Label::Outside` for the words that must stay).
pub fn slot(rng: &mut Rng, lists: &Lists, name: &str) -> (String, Label) {
    match name {
        "n" => (person(rng, lists), Label::Name),
        "d" => (doctor(rng, lists), Label::Name),
        "g" => (given(rng, lists), Label::Name),
        "f" => (family(rng, lists), Label::Name),
        "gf" => (format!("{} {}", given(rng, lists), family(rng, lists)), Label::Name),
        "lower" => (format!("{} {}", given(rng, lists), family(rng, lists)).to_lowercase(), Label::Name),
        "h" => (facility(rng, lists), Label::Place),
        "c" => (city(rng, lists), Label::Place),
        "a" => (address(rng, lists), Label::Place),
        "dt" => (date(rng), Label::Date),
        "pd" => (part_date(rng), Label::Date),
        "id" => (code(rng), Label::Id),
        "ph" => (phone(rng), Label::Id),
        "age" => (format!("{}", 1 + rng.below(88)), Label::Outside),
        "year" => (format!("{}", 1960 + rng.below(66)), Label::Outside),
        "num" => (format!("{}", rng.below(400)), Label::Outside),
        "dec" => (format!("{}.{}", rng.below(20), rng.below(10)), Label::Outside),
        "frac" => (fraction(rng), Label::Outside),
        "drug" => (case(rng, DRUGS), Label::Outside),
        "dx" => (case(rng, DISEASES), Label::Outside),
        "ep" => (format!("{}{}", word(rng, EPONYMS), word(rng, "|'s|'s|’s")), Label::Outside),
        "eponym" => (family(rng, lists), Label::Outside),
        "brand" => (brand(rng, lists), Label::Outside),
        "common" => (lists.common[rng.below(lists.common.len())].to_owned(), Label::Outside),
        "device" => (word(rng, DEVICES).to_owned(), Label::Outside),
        "section" => (word(rng, HEADINGS).to_owned(), Label::Outside),
        "head" => (word(rng, HEADS).to_owned(), Label::Outside),
        "org" => (word(rng, ORGANISATIONS).to_owned(), Label::Outside),
        "trial" => (word(rng, TRIALS).to_owned(), Label::Outside),
        "code" => (science_code(rng), Label::Outside),
        "people" => (word(rng, PEOPLES).to_owned(), Label::Outside),
        "state" => (word(rng, LARGE).to_owned(), Label::Outside),
        "sex" => (
            word(rng, "male|female|man|woman|M|F|boy|girl|patient|lady|gentleman").to_owned(),
            Label::Outside,
        ),
        _ => (format!("{{{name}}}"), Label::Outside),
    }
}

/// A trade name: made up, or a word of the medical list.
fn brand(rng: &mut Rng, lists: &Lists) -> String {
    if rng.below(2) == 0 { invented(rng) } else { capital(lists.medical[rng.below(lists.medical.len())]) }
}

fn case(rng: &mut Rng, from: &'static str) -> String {
    let chosen = word(rng, from);
    match rng.below(5) {
        0 => capital(chosen),
        1 if rng.below(3) == 0 => chosen.to_uppercase(),
        _ => chosen.to_owned(),
    }
}

fn fraction(rng: &mut Rng) -> String {
    match rng.below(6) {
        0 => format!("{}/{}", rng.below(6), 2 + rng.below(4)),
        1 => format!("{}/6", 1 + rng.below(5)),
        2 => format!("{}/{}", 80 + rng.below(120), 40 + rng.below(70)),
        3 => format!("{}/10", rng.below(11)),
        4 => format!("20/{}", 10 * (1 + rng.below(20))),
        _ => format!("{}/{}", 1 + rng.below(12), 1 + rng.below(31)),
    }
}

fn science_code(rng: &mut Rng) -> String {
    let n = rng.below(900_000) + 1_000;
    match rng.below(12) {
        0 => format!("NCT0{}", 1_000_000 + n),
        1 => format!("rs{n}"),
        2 => format!("{}-{}", word(rng, "BMS MK AMG ABT LY GSK PF AZD RO"), n % 1_000_000),
        3 => format!("CYP{}{}{}", 1 + rng.below(3), letter(rng), 1 + rng.below(20)),
        4 => format!("{}{}", word(rng, "CD HLA-B CA- IL- H N2O T L C5-C PD-L HER BRCA B V S"), 1 + rng.below(60)),
        5 => word(rng, "COVID-19 SARS-CoV-2 HbA1c T2DM FEV1 SpO2 H1N1 PaO2 B12 T4 TSH G6PD CA-125 CA19-9 H2O2 P53 CHA2DS2-VASc HAS-BLED DSM-5 ICD-10 PHQ-9 GAD-7 MMSE FiO2 Q12H").to_owned(),
        6 => format!("{}{}-{}{}", word(rng, "L C T S"), 1 + rng.below(7), word(rng, "L C T S"), 1 + rng.below(7)),
        7 => format!("ICD-10 {}{}.{}", letter(rng), 10 + rng.below(89), rng.below(10)),
        8 => format!("G{}P{}", 1 + rng.below(6), rng.below(6)),
        9 => format!("{},000/mm3", 1 + rng.below(400)),
        10 => format!("ATCC {}", 10_000 + n % 80_000),
        _ => format!("{}:{}", 1, 1 << (1 + rng.below(9))),
    }
}
