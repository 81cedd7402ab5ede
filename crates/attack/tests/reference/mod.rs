//! The reference figures and what they were made on: models, samples, budgets, what every peer left standing. Shared by the strength test and the example that prints the table.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "for tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use attack::evasion::{Attacked, Target, Task, find, run};
use attack::pace::Quiet;
use attack::{Ball, Labels as _, Layout, Norm, Rows};
use runtime::{Classifier, Differentiable, Limits, Model, Reading};

/// The folder with data, models and figures; `None` where it is not at hand.
pub fn shared() -> Option<PathBuf> {
    let given = std::env::var_os("ASEPSIS_SHARED").map(PathBuf::from);
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    given.or(Some(beside)).filter(|path| path.join("reference/attacks.csv").is_file())
}

/// One setting that peers were run in.
#[derive(Debug, Clone)]
pub struct Setting {
    pub model: String,
    /// The peers' name of the attack.
    pub attack: String,
    pub ball: Ball,
    /// The budget as it is written in the figures.
    pub epsilon: String,
    /// Number of samples.
    pub n: usize,
    /// Peers that finished: library, samples left standing, CPU seconds, and one flag per sample where they are at hand (true: stands).
    pub peers: Vec<(String, usize, f64, Option<Vec<bool>>)>,
}

impl Setting {
    /// Samples that the strongest peer left standing.
    pub fn lowest(&self) -> usize {
        self.peers.iter().map(|p| p.1).min().unwrap_or(self.n)
    }

    /// CPU seconds of the fastest peer.
    pub fn fastest(&self) -> f64 {
        self.peers.iter().map(|p| p.2).fold(f64::INFINITY, f64::min)
    }

    /// Our attack and its parameters.
    pub fn ours(&self) -> (&'static str, serde_json::Value) {
        let none = serde_json::Value::Null;
        match self.attack.as_str() {
            "fgsm" => ("fgsm", none),
            "pgd40" => ("pgd", none),
            "apgd-ce" => ("apgd-ce", none),
            "apgd-dlr" => ("apgd-dlr", none),
            "fab" => ("fab", none),
            "cw" => ("cw", none),
            "deepfool" => ("deepfool", none),
            "autoattack" => ("autoattack", none),
            "aa-binary" => ("autoattack-two-class", none),
            "square1000" => ("square", serde_json::json!({ "queries": 1000 })),
            "hsj" => ("hopskipjump", none),
            other => panic!("no attack of ours stands for `{other}`"),
        }
    }
}

/// All settings of the table, in its order; rows of one setting by several peers are put together, rows that ended in an error are left out.
pub fn settings(root: &std::path::Path) -> Vec<Setting> {
    let text = std::fs::read_to_string(root.join("reference/attacks.csv")).unwrap();
    let mut settings: Vec<Setting> = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [model, lib, attack, norm, epsilon, n, _clean, robust] = cells[..8] else { panic!("{line}") };
        let (Ok(robust), Ok(cpu)) = (robust.parse::<f64>(), cells[14].parse::<f64>()) else { continue };
        let n: usize = n.parse().unwrap();
        let stand = (robust * n as f64).round() as usize;
        let name = format!("{model}.{lib}.{attack}.{norm}.{}.npy", epsilon.replace('/', "_"));
        let flags = flags(&root.join("reference/flags").join(name)).filter(|f| f.len() == n);
        let peer = (lib.to_owned(), stand, cpu, flags);
        let same = |s: &&mut Setting| {
            (s.model.as_str(), s.attack.as_str(), s.epsilon.as_str(), s.n) == (model, attack, epsilon, n)
                && s.ball.norm.as_str() == norm.to_lowercase()
        };
        if let Some(setting) = settings.iter_mut().find(same) {
            setting.peers.push(peer);
            continue;
        }
        let radius = match epsilon.split_once('/') {
            Some((a, b)) => a.parse::<f64>().unwrap() / b.parse::<f64>().unwrap(),
            None => epsilon.parse().unwrap(),
        };
        let norm = if norm == "L2" { Norm::L2 } else { Norm::Linf };
        settings.push(Setting {
            model: model.to_owned(),
            attack: attack.to_owned(),
            ball: Ball { norm, epsilon: radius },
            epsilon: epsilon.to_owned(),
            n,
            peers: vec![peer],
        });
    }
    settings
}

/// Flags of a peer's run: a NumPy array of booleans.
fn flags(path: &std::path::Path) -> Option<Vec<bool>> {
    let bytes = std::fs::read(path).ok()?;
    let header = usize::from(u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?])) + 10;
    Some(bytes.get(header..)?.iter().map(|b| *b != 0).collect())
}

/// Samples with a number that is the same however many are taken, and the model.
pub struct Case {
    pub rows: Vec<f32>,
    pub labels: Vec<usize>,
    pub samples: Vec<usize>,
    pub width: usize,
    pub model: Model,
    pub reading: Reading,
}

impl Case {
    /// What a setting was run on; `None` when its model or data is not at hand.
    pub fn of(root: &std::path::Path, setting: &Setting) -> Option<Self> {
        let bytes = std::fs::read(root.join(format!("data/models/{}.onnx", setting.model))).ok()?;
        let model = Model::load(&bytes, &Limits::default()).unwrap();
        if setting.model.starts_with("pneumonia") {
            return Some(Self::images(root, model, setting.n));
        }
        let data = setting.model.rsplit_once('_')?.0;
        let text = std::fs::read_to_string(root.join(format!("data/tabular/{data}.csv"))).ok()?;
        Some(Self::table(&text, model, setting.n))
    }

    /// The first `n / 2` of each class of the test split, class by class.
    fn images(root: &std::path::Path, model: Model, n: usize) -> Self {
        let bytes = std::fs::read(root.join("data/imaging/pneumoniamnist.npz")).unwrap();
        let test = testkit::data::medmnist(&bytes).unwrap().test;
        let labels = &test.labels;
        let of = |class: u32| (0..labels.len()).filter(move |at| labels[*at] == class).take(n / 2);
        let samples: Vec<usize> = of(0).chain(of(1)).collect();
        let labels = samples.iter().map(|at| test.labels[*at] as usize).collect();
        let rows = samples.iter().flat_map(|at| test.inputs.row(*at).to_vec()).collect();
        let reading = Reading::unit(Layout::Image { channels: 1, height: 28, width: 28 });
        Self { rows, labels, samples, width: 28 * 28, model, reading }
    }

    /// The first `n` of the test split, each feature over its range in the training split.
    fn table(text: &str, model: Model, n: usize) -> Self {
        let splits = testkit::data::table(text).unwrap();
        // Columns beyond the model's inputs are remarks on the patient.
        let width = match model.inputs()[0].shape.as_deref() {
            Some([_, runtime::Dim::Fixed(width)]) => *width,
            other => panic!("{other:?}"),
        };
        let train = &splits.train.inputs;
        let column = |j: usize| (0..train.rows).map(move |r| train.row(r)[j]);
        let low: Vec<f32> = (0..width).map(|j| column(j).fold(f32::INFINITY, f32::min)).collect();
        let high: Vec<f32> = (0..width).map(|j| column(j).fold(f32::NEG_INFINITY, f32::max)).collect();
        let span: Vec<f32> = low.iter().zip(&high).map(|(l, h)| if h > l { h - l } else { 1.0 }).collect();
        let unit = |row: &[f32]| -> Vec<f32> {
            let ranges = low.iter().zip(&span);
            row.iter().zip(ranges).map(|(v, (l, s))| ((v - l) / s).clamp(0.0, 1.0)).collect()
        };
        let test = &splits.test;
        let samples: Vec<usize> = (0..test.inputs.rows.min(n)).collect();
        let rows = samples.iter().flat_map(|at| unit(test.inputs.row(*at))).collect();
        let labels = test.labels.iter().take(n).map(|l| *l as usize).collect();
        let reading =
            Reading { layout: Layout::Table { features: width }, low, span, output: None, head: None };
        Self { rows, labels, samples, width, model, reading }
    }

    /// The model with gradients, or without where it has none.
    pub fn target(&self) -> Shown {
        let classifier = || Classifier::new(&self.model, &self.reading, &self.rows).unwrap();
        classifier().differentiable().map_or_else(|_| Shown::Scores(classifier()), Shown::Gradients)
    }
}

/// A model at the access that it has.
#[allow(clippy::large_enum_variant, reason = "one at a time, in a test")]
pub enum Shown {
    Gradients(Differentiable),
    Scores(Classifier),
}

/// What one run of ours came to.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Samples that the model gets right.
    pub clean: usize,
    /// Samples that the attack broke within the budget, by number.
    pub broken: BTreeSet<usize>,
    /// Samples that stand: right and not broken.
    pub stand: usize,
    /// Median distance of what was found, in the norm of the setting.
    pub median: f64,
    pub queries: u64,
    pub cpu: f64,
    pub attacked: Attacked,
}

/// Seconds that this thread has computed; 0 where the system does not tell.
pub fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Runs one attack of ours on what the model gets right.
pub fn ran(
    case: &Case,
    shown: &mut Shown,
    attack: &str,
    parameters: &serde_json::Value,
    ball: Ball,
    seed: u64,
) -> Ran {
    let mut seen = Vec::new();
    let rows = Rows::new(&case.rows, case.width, &case.samples).unwrap();
    match shown {
        Shown::Gradients(model) => model.labels(rows, &mut seen).unwrap(),
        Shown::Scores(model) => model.labels(rows, &mut seen).unwrap(),
    }
    let right: Vec<usize> = (0..case.labels.len()).filter(|at| seen[*at] == Some(case.labels[*at])).collect();
    let starts: Vec<f32> =
        right.iter().flat_map(|at| case.rows[at * case.width..(at + 1) * case.width].to_vec()).collect();
    let labels: Vec<usize> = right.iter().map(|at| case.labels[*at]).collect();
    let samples: Vec<usize> = right.iter().map(|at| case.samples[*at]).collect();
    let registered = find(attack).unwrap_or_else(|| panic!("no attack `{attack}`"));
    let built = (registered.build)(parameters).unwrap();
    let task = Task {
        starts: &starts,
        labels: &labels,
        samples: &samples,
        others: &[],
        ball,
        seed,
        queries_max: None,
        pace: &Quiet,
    };
    let before = cpu();
    let target = match shown {
        Shown::Gradients(model) => Target::Gradients(model),
        Shown::Scores(model) => Target::Scores(model),
    };
    let attacked = run(registered, &built, target, &task).unwrap();
    let cpu = cpu() - before;
    let outcomes = || attacked.outcomes.iter().zip(&samples);
    let broken: BTreeSet<usize> = outcomes().filter(|(o, _)| o.broken).map(|(_, s)| *s).collect();
    let mut distances: Vec<f64> =
        outcomes().filter(|(o, _)| o.adversarial).map(|(o, _)| o.distance).collect();
    Ran {
        clean: right.len(),
        stand: right.len() - broken.len(),
        broken,
        median: numeric::median(&mut distances),
        queries: attacked.outcomes.iter().map(|o| o.queries).sum(),
        cpu,
        attacked,
    }
}

/// For each model and budget: the samples (by number) that some peer broke, and what some attack of ours broke.
#[derive(Debug, Default)]
pub struct Union {
    pub theirs: BTreeMap<String, BTreeSet<usize>>,
    pub ours: BTreeMap<String, BTreeSet<usize>>,
}

impl Union {
    /// Takes in one setting and what we broke in it. A sample that the model gets wrong to begin with is broken by nobody: flags of peers are false there too.
    pub fn add(&mut self, setting: &Setting, case: &Case, right: &BTreeSet<usize>, ours: &BTreeSet<usize>) {
        let key = format!("{} {} {}", setting.model, setting.ball.norm.as_str(), setting.epsilon);
        let theirs = self.theirs.entry(key.clone()).or_default();
        for flags in setting.peers.iter().filter_map(|p| p.3.as_ref()) {
            let fell = flags.iter().zip(&case.samples).filter(|(stands, s)| !**stands && right.contains(s));
            theirs.extend(fell.map(|(_, s)| *s));
        }
        self.ours.entry(key).or_default().extend(ours);
    }

    /// Per model and budget, what only peers broke.
    pub fn missed(&self) -> BTreeMap<&str, Vec<usize>> {
        let empty = BTreeSet::new();
        self.theirs
            .iter()
            .map(|(key, theirs)| {
                let ours = self.ours.get(key).unwrap_or(&empty);
                (key.as_str(), theirs.difference(ours).copied().collect())
            })
            .collect()
    }
}

/// Numbers of the samples that the model gets right.
pub fn right(case: &Case, shown: &mut Shown) -> BTreeSet<usize> {
    let mut seen = Vec::new();
    let rows = Rows::new(&case.rows, case.width, &case.samples).unwrap();
    match shown {
        Shown::Gradients(model) => model.labels(rows, &mut seen).unwrap(),
        Shown::Scores(model) => model.labels(rows, &mut seen).unwrap(),
    }
    let right = seen.iter().zip(&case.labels).zip(&case.samples);
    right.filter(|((seen, label), _)| **seen == Some(**label)).map(|(_, sample)| *sample).collect()
}
