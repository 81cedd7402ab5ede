//! Makes sentences of templates.

use knowledge::training::slots_of;

use crate::grammar::{ENDINGS, Group, OPENINGS, SLOTS, Says, TURNING};
use crate::learn::Row;

/// Sentences of each template.
const PER_TEMPLATE: usize = 56;

/// A small generator of whole numbers (splitmix64): the same numbers everywhere.
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all.get(self.below(all.len())).copied().unwrap_or_default()
    }
}

/// Fills the slots, and those that stand in what fills them.
fn fill(template: &str, dice: &mut Dice) -> String {
    let mut out = template.to_owned();
    while let Some((head, tail)) = out.split_once('{') {
        let (slot, behind) = tail.split_once('}').unwrap_or((tail, ""));
        let choices = SLOTS.iter().find(|s| s.0 == slot).map_or("", |s| s.1);
        out = format!("{head}{}{behind}", dice.of(&choices.split('|').collect::<Vec<_>>()));
    }
    out
}

/// `X`, `D`, `Y` and `C` become names that stand in no text.
fn name(sentence: &str) -> String {
    let word = |w: &str| {
        let (head, tail) = w.split_at(w.len().min(1));
        let plain = tail.chars().next().is_none_or(|c| !c.is_alphanumeric());
        let full = match head {
            "X" => "Xmab",
            "D" => "Dosis",
            "Y" => "Ymab",
            "C" => "Cosis",
            _ => return w.to_owned(),
        };
        if plain { format!("{full}{}", tail.replace("-D", "-Dosis")) } else { w.to_owned() }
    };
    sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Something else said beside, of other names: it changes nothing.
const BESIDE: &[&str] = &[
    "{s}, and Y is used for C",
    "{s}, but Y {treats} C",
    "{s}, whereas Y is {good} in C",
    "Y {treats} C, and {s}",
    "While Y {treats} C, {s}",
    "{s}; Y is {safe} with C",
    "{s}, but C is another matter",
    "Unlike Y, {s}",
    "{s} and so does Y",
    "For C take Y; {s}",
    "{s}, although it {treats} C",
];

fn frame(group: &Group, core: String, dice: &mut Dice) -> (String, Says) {
    let mut says = group.says;
    let mut text = core;
    let draw = dice.below(100);
    if group.turns && draw < 14 {
        let own = dice.of(TURNING);
        text = own.replace("{s}", &text);
        says = match says {
            Says::For => Says::Against,
            Says::Against => Says::For,
            Says::Nothing => Says::Nothing,
        };
    } else if draw < 40 {
        text = dice.of(OPENINGS).replace("{s}", &text);
    } else if draw < 50 {
        let own = dice.of(BESIDE);
        text = fill(&own.replace("{s}", &text), dice);
    }
    if dice.below(100) < 18 {
        text.push_str(dice.of(ENDINGS));
    }
    if dice.below(100) < 75 && !text.ends_with('?') {
        text.push(if dice.below(12) == 0 { '!' } else { '.' });
    }
    (text, says)
}

/// All sentences of the groups with the number of their family.
pub fn rows(groups: &[Group], seed: u64) -> Vec<(usize, Row)> {
    let mut dice = Dice::new(seed);
    let mut out = Vec::new();
    let mut family = 0;
    for group in groups {
        for template in group.templates.split('|') {
            family += 1;
            for _ in 0..PER_TEMPLATE {
                let core = fill(template, &mut dice);
                let (text, says) = frame(group, core, &mut dice);
                let mut slots = slots_of(&name(&text), "Xmab", "Dosis", &["Ymab", "Cosis"]);
                if slots.is_empty() {
                    continue;
                }
                slots.shrink_to_fit();
                out.push((
                    family,
                    Row {
                        slots,
                        answer: says as u8,
                        weight: 1.0,
                        for_is_false: false,
                        against_is_false: false,
                    },
                ));
            }
        }
    }
    out
}
