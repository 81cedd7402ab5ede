//! A statistic of what is said of two names: a linear model over the words around them, their classes and their order.
//!
//! It backs up the cues: these know phrasings, the statistic has seen how the parts of phrasings go together (negators, verbs and
//! adjectives that speak for or against, frames such as `it is a myth that`). Trained by `examples/train_stance`, which says on what;
//! the weights are whole numbers in `data/stance.bin`, so that the answer is the same on every machine.

use super::stance::{Relation, Stance};
use super::words::{self, Named, PART, Token, join};

/// Slots of the table of weights of one question.
pub(crate) const SLOTS: usize = 1 << 15;
/// Answers: nothing said, for, against.
pub(crate) const ANSWERS: usize = 3;
/// Questions: drug and condition, two drugs.
pub(crate) const QUESTIONS: usize = 2;

static WEIGHTS: &[u8] = include_bytes!("../../data/stance.bin");
/// One unit of a stored weight.
pub(crate) const STEP: f32 = 1.0 / 16.0;

/// So many bytes on either side of the two names are read.
const AROUND_BYTES: usize = 140;
/// Names with more bytes between them are not asked about.
const BETWEEN_BYTES: usize = 200;
/// So many tokens on either side count.
const AROUND_TOKENS: usize = 16;

/// How likely each answer is, in thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Odds {
    pub for_it: u16,
    pub against: u16,
}

/// Which two names are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Condition,
    Together,
}

/// Finds the slots of all features; empty when the names are too far apart.
pub(super) fn features(text: &str, names: &[Named], cue: Option<Stance>, out: &mut Vec<u32>) {
    out.clear();
    let is_asked = |n: &&Named| matches!(n.class, words::FIRST | words::SECOND);
    let mut asked = names.iter().filter(is_asked);
    let (Some(one), Some(two)) = (asked.next(), asked.next()) else { return };
    if two.start.saturating_sub(one.end) > BETWEEN_BYTES {
        return;
    }
    let from = opening(text, one.start);
    let to = closing(text, two.end);
    let mut tokens = Vec::with_capacity(64);
    words::tokens(text, from, to, names, &mut tokens);
    let at = |class: u8| tokens.iter().position(|t| t.class == class && t.id == u64::from(class));
    let (Some(first), Some(second)) = (at(one.class), at(two.class)) else { return };
    if first >= second {
        return;
    }
    let before = tokens.get(first.saturating_sub(AROUND_TOKENS)..first).unwrap_or_default();
    let between = tokens.get(first + 1..second).unwrap_or_default();
    let after = tokens.get(second + 1..tokens.len().min(second + 1 + AROUND_TOKENS)).unwrap_or_default();
    let order = u64::from(one.class == words::FIRST);
    let mut sink = Sink { out, order };
    for (region, part) in [before, between, after].into_iter().enumerate() {
        sink.region(region as u64 + 1, part);
    }
    sink.neighbours(&tokens, first, second);
    sink.shape(before, between, after, cue);
    out.sort_unstable();
    out.dedup();
}

fn opening(text: &str, at: usize) -> usize {
    let mut from = at.saturating_sub(AROUND_BYTES);
    while from > 0
        && !(text.is_char_boundary(from)
            && text.as_bytes().get(from - 1).is_some_and(u8::is_ascii_whitespace))
    {
        from -= 1;
        if at - from > 2 * AROUND_BYTES && text.is_char_boundary(from) {
            break;
        }
    }
    from
}

fn closing(text: &str, at: usize) -> usize {
    let mut to = (at + AROUND_BYTES).min(text.len());
    while to < text.len() && !text.is_char_boundary(to) {
        to += 1;
    }
    to
}

/// Sign of a class: does it speak for or against?
fn sign(class: u8) -> i8 {
    match class {
        b'e' | b's' | b'r' | b'u' => 1,
        b'x' | b'h' | b'a' | b'c' => -1,
        _ => 0,
    }
}

/// What a part of a sentence comes to: 0 nothing, 1 for, 2 against, and whether only plain words of giving stood there.
fn composed(part: &[Token]) -> u64 {
    let (mut whole, mut turned, mut said, mut strong) = (1_i8, false, false, false);
    for token in part {
        match token.class {
            b'n' => turned = !turned,
            class if sign(class) != 0 => {
                whole *= sign(class) * if turned { -1 } else { 1 };
                turned = false;
                said = true;
                strong |= class != b'u';
            }
            _ => {}
        }
    }
    if turned {
        whole = -whole;
    }
    match (said || turned, whole > 0, strong) {
        (false, ..) => 0,
        (true, true, false) => 1,
        (true, true, true) => 2,
        (true, false, false) => 3,
        (true, false, true) => 4,
    }
}

fn is_parting(token: &&Token) -> bool {
    matches!(token.class, PART | b'b')
}

struct Sink<'a> {
    out: &'a mut Vec<u32>,
    order: u64,
}

impl Sink<'_> {
    fn add(&mut self, kind: u64, value: u64) {
        let mixed = join(join(kind, value), 0x51);
        self.out.push((mixed >> 40) as u32 & (SLOTS as u32 - 1));
    }

    fn ordered(&mut self, kind: u64, value: u64) {
        self.add(kind, value);
        let order = self.order + 1;
        self.add(kind, join(value, order));
    }

    /// Words, pairs of words and classes of a part of the sentence.
    fn region(&mut self, region: u64, part: &[Token]) {
        let mut classes: Vec<u8> = Vec::with_capacity(part.len());
        for (place, token) in part.iter().enumerate() {
            self.ordered(region * 16, token.id);
            if token.class != 0 {
                self.ordered(region * 16 + 1, u64::from(token.class));
                classes.push(token.class);
            }
            let Some(next) = part.get(place + 1) else { continue };
            self.add(region * 16 + 2, join(token.id, next.id));
            let class = |t: &Token| if t.class == 0 { t.id } else { u64::from(t.class) };
            self.ordered(region * 16 + 3, join(class(token), class(next)));
            if let Some(third) = part.get(place + 2) {
                self.add(region * 16 + 4, join(join(class(token), class(next)), class(third)));
            }
        }
        for window in classes.windows(2) {
            self.ordered(region * 16 + 5, window.iter().fold(7, |h, c| join(h, u64::from(*c))));
        }
        for window in classes.windows(3) {
            self.ordered(region * 16 + 6, window.iter().fold(7, |h, c| join(h, u64::from(*c))));
        }
        let whole = classes.iter().fold(7, |h, c| join(h, u64::from(*c)));
        self.ordered(region * 16 + 7, if classes.len() <= 6 { whole } else { 0 });
        self.ordered(region * 16 + 8, part.len().min(12) as u64 / 2);
    }

    /// The words directly beside each name.
    fn neighbours(&mut self, tokens: &[Token], first: usize, second: usize) {
        for (name, at) in [(1, first), (2, second)] {
            for (place, away) in [at.checked_sub(1), at.checked_sub(2), at.checked_add(1), at.checked_add(2)]
                .into_iter()
                .zip(0..)
            {
                let token = place.and_then(|p| tokens.get(p));
                let (id, class) = token.map_or((0, 0), |t| (t.id, t.class));
                self.ordered(name * 16 + 64 + away, id);
                self.ordered(name * 16 + 68 + away, u64::from(class));
            }
        }
    }

    /// What the parts come to, alone and together.
    fn shape(&mut self, before: &[Token], between: &[Token], after: &[Token], cue: Option<Stance>) {
        let near_before = before.rsplit(|t| is_parting(&t)).next().unwrap_or_default();
        let near_after = after.split(|t| is_parting(&t)).next().unwrap_or_default();
        let far_before = before.get(..before.len() - near_before.len()).unwrap_or_default();
        let far_after = after.get(near_after.len()..).unwrap_or_default();
        let last_between = between.rsplit(|t| is_parting(&t)).next().unwrap_or_default();
        let has =
            |class: u8| u64::from([before, between, after].into_iter().flatten().any(|t| t.class == class));
        let denied = has(b'd');
        let parts = [near_before, between, near_after, far_before, far_after, last_between].map(composed);
        for (part, sense) in parts.into_iter().enumerate() {
            self.ordered(160, join(part as u64, sense));
            self.ordered(161, join(join(part as u64, sense), denied));
        }
        let [b, m, a, fb, fa, _] = parts;
        let three = join(join(b, m), a);
        self.ordered(162, three);
        self.ordered(163, join(three, denied));
        self.ordered(164, join(b, m));
        self.ordered(165, join(m, a));
        self.add(166, join(join(three, fb), fa));
        let product = |x: u64| match x {
            0 => 0_i8,
            1 | 2 => 1,
            _ => -1,
        };
        let all = [b, m, a].map(product).into_iter().filter(|x| *x != 0);
        let (count, turn) = all.fold((0_u64, denied), |(n, t), x| (n + 1, t ^ u64::from(x < 0)));
        self.ordered(167, join(count, turn));
        self.add(168, join(turn, has(b'q')));
        self.add(169, join(turn, has(b't')));
        let cue = match cue {
            None => 0,
            Some(s) => {
                1 + u64::from(s.holds)
                    + 2 * u64::from(s.against_word)
                    + 4 * match s.relation {
                        Relation::Suits => 0,
                        Relation::Causes => 1,
                        Relation::Prevents => 2,
                    }
            }
        };
        self.ordered(170, cue);
        self.add(171, join(cue, three));
        self.add(172, join(cue, join(turn, denied)));
    }
}

/// Scores of the answers to the slots of a sentence, with a table of weights.
pub(crate) fn scores(slots: &[u32], weight: impl Fn(usize) -> f32) -> [f32; ANSWERS] {
    let mut sums = [0.0; ANSWERS];
    for slot in slots {
        for (answer, sum) in sums.iter_mut().enumerate() {
            *sum += weight(*slot as usize * ANSWERS + answer);
        }
    }
    sums.map(|s| s * norm(slots.len()))
}

/// Long sentences have more features; their sum is not to be surer for it.
pub(crate) fn norm(slots: usize) -> f32 {
    4.0 / (slots.max(1) as f32).sqrt()
}

/// What the shipped weights say.
pub(super) fn odds(question: Question, slots: &[u32]) -> Odds {
    if slots.is_empty() {
        return Odds::default();
    }
    let base = if question == Question::Condition { 0 } else { SLOTS * ANSWERS };
    let weight = |at: usize| WEIGHTS.get(base + at).map_or(0.0, |w| f32::from(*w as i8) * STEP);
    of_scores(scores(slots, weight))
}

/// Likelihoods of scores.
pub(crate) fn of_scores(sums: [f32; ANSWERS]) -> Odds {
    let most = sums.iter().fold(f32::MIN, |a, b| a.max(*b));
    let parts = sums.map(|s| (s - most).exp());
    let all: f32 = parts.iter().sum();
    let [_, for_it, against] = parts.map(|p| (p / all * 1_000.0) as u16);
    Odds { for_it, against }
}
