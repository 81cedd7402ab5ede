//! Measures the query attacks on the shared models: accuracy that stands, median distance, CPU seconds of this thread.
//! `cargo run --release -p attack --example queries [NAME …]`, with `ASEPSIS_SHARED` (default `../shared`).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for people at a terminal"
)]

use std::path::PathBuf;

use attack::evasion::{Attacked, Target, Task, find, run};
use attack::pace::Quiet;
use attack::tabular::{
    Axis, Rulebook, Scale, Settings, Shown, Work, least_change, least_change_of_trees, least_flip,
};
use attack::{Ball, Labels as _, Layout, Norm, Rows};
use domain::{Feature, FeatureKind, Mutability};
use runtime::{Classifier, Dim, Limits, Model, Reading};

fn shared() -> PathBuf {
    std::env::var_os("ASEPSIS_SHARED").map_or_else(|| "../shared".into(), Into::into)
}

fn model(name: &str) -> Model {
    let bytes = std::fs::read(shared().join(format!("data/models/{name}.onnx"))).unwrap();
    Model::load(&bytes, &Limits::default()).unwrap()
}

/// Seconds that this thread has computed.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// The class-balanced subset that the reference figures were made on: the first `n / 2` of each class of the test set, class by class.
fn balanced(rows: &[Vec<f32>], labels: &[usize], n: usize) -> (Vec<Vec<f32>>, Vec<usize>) {
    let of = |class: usize| (0..labels.len()).filter(move |at| labels[*at] == class).take(n / 2);
    let kept: Vec<usize> = of(0).chain(of(1)).collect();
    (kept.iter().map(|at| rows[*at].clone()).collect(), kept.iter().map(|at| labels[*at]).collect())
}

struct Case {
    /// Of a table: its features as the training rows show them, and the rows in clinical units.
    book: Option<Rulebook>,
    scale: Scale,
    clinical: Vec<Vec<f32>>,
    rows: Vec<Vec<f32>>,
    labels: Vec<usize>,
    model: Classifier,
}

fn images(name: &str, n: usize) -> Case {
    let bytes = std::fs::read(shared().join("data/imaging/pneumoniamnist.npz")).unwrap();
    let test = testkit::data::medmnist(&bytes).unwrap().test;
    let rows: Vec<Vec<f32>> = (0..test.inputs.rows).map(|r| test.inputs.row(r).to_vec()).collect();
    let labels: Vec<usize> = test.labels.iter().map(|l| *l as usize).collect();
    let (rows, labels) = balanced(&rows, &labels, n);
    let layout = Layout::Image { channels: 1, height: 28, width: 28 };
    let model = Classifier::new(&model(name), &Reading::unit(layout), &rows.concat()).unwrap();
    let scale = Scale { low: vec![], span: vec![] };
    Case { book: None, scale, clinical: vec![], rows, labels, model }
}

fn table(name: &str, data: &str, n: usize) -> Case {
    let text = std::fs::read_to_string(shared().join(format!("data/tabular/{data}.csv"))).unwrap();
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let splits = testkit::data::table(&text).unwrap();
    let model = model(name);
    // Columns beside the model's features (identifiers, another score) come last and are dropped.
    let features = match model.inputs()[0].shape.as_deref() {
        Some([_, Dim::Fixed(n)]) => *n,
        _ => splits.train.inputs.cols,
    };
    let train = &splits.train.inputs;
    let column = |j: usize| -> Vec<f32> { (0..train.rows).map(|r| train.row(r)[j]).collect() };
    let low: Vec<f32> = (0..features).map(|j| column(j).into_iter().fold(f32::INFINITY, f32::min)).collect();
    let high: Vec<f32> =
        (0..features).map(|j| column(j).into_iter().fold(f32::NEG_INFINITY, f32::max)).collect();
    let span: Vec<f32> = low.iter().zip(&high).map(|(l, h)| (h - l).max(1e-6)).collect();
    let clinical: Vec<Vec<f32>> = (0..splits.test.inputs.rows.min(n))
        .map(|r| {
            let row = &splits.test.inputs.row(r)[..features];
            row.iter().zip(low.iter().zip(&high)).map(|(v, (l, h))| v.clamp(*l, *h)).collect()
        })
        .collect();
    let unit = |row: &Vec<f32>| -> Vec<f32> {
        row.iter().zip(&low).zip(&span).map(|((v, l), s)| ((v - l) / s).clamp(0.0, 1.0)).collect()
    };
    let rows: Vec<Vec<f32>> = clinical.iter().map(unit).collect();
    let labels = splits.test.labels.iter().take(n).map(|l| *l as usize).collect();
    let declared: Vec<Feature> = (0..features)
        .map(|j| {
            let mut values = column(j);
            values.sort_by(f32::total_cmp);
            values.dedup();
            let whole = values.iter().all(|v| v.fract() == 0.0);
            let kind = match (whole, values.len()) {
                (true, ..=5) => {
                    FeatureKind::Category { codes: values.iter().map(|v| f64::from(*v)).collect() }
                }
                (true, _) => FeatureKind::Integer,
                _ => FeatureKind::Real,
            };
            let fixed = ["age", "sex", "male"].contains(&names[j]);
            Feature {
                name: names[j].to_owned(),
                unit: "1".to_owned(),
                kind,
                min: f64::from(low[j]),
                max: f64::from(high[j]),
                mutability: if fixed { Mutability::Immutable } else { Mutability::Measured },
                alternatives: vec![],
            }
        })
        .collect();
    let cut: Vec<Vec<f32>> = (0..train.rows).map(|r| train.row(r)[..features].to_vec()).collect();
    let book = Rulebook::new(&declared, vec![], &numeric::Matrix::from_rows(&cut).unwrap());
    let reading = Reading {
        layout: Layout::Table { features },
        low: low.clone(),
        span: span.clone(),
        output: None,
        head: None,
    };
    let model = Classifier::new(&model, &reading, &rows.concat()).unwrap();
    Case { book: Some(book), scale: Scale { low, span }, clinical, rows, labels, model }
}

/// The least change of the trees in the largest-change norm of the unit box, on 50 rows.
fn trees(data: &str) {
    let name = format!("{data}_gbt");
    let case = table(&name, data, 50);
    let forest = model(&name).forest().unwrap().unwrap();
    for boxes_max in [20_000, 200_000, 1_000_000] {
        let (before, mut exact, mut rows, mut boxes) = (cpu(), 0, 0, 0);
        let (mut upper, mut gaps, mut within) = (Vec::new(), Vec::new(), 0);
        for (row, label) in case.clinical.iter().zip(&case.labels) {
            if forest.class(row) != *label {
                continue;
            }
            let axis = |(j, v): (usize, &f32)| {
                let (low, span) = (case.scale.low[j], case.scale.span[j]);
                Axis::real(*v, low, low + span, 1.0 / f64::from(span))
            };
            let axes: Vec<Axis> = row.iter().enumerate().map(axis).collect();
            let least =
                least_flip(&forest, &axes, Norm::Linf, *label, &|r| Some(r.to_vec()), Work { boxes_max });
            rows += 1;
            exact += usize::from(least.exact());
            within += usize::from(least.upper <= 0.05);
            boxes += least.boxes;
            upper.push(least.upper);
            gaps.push(if least.upper.is_finite() { least.lower / least.upper } else { 1.0 });
        }
        println!(
            "{name:34} least flip linf, {boxes_max} boxes: exact {exact}/{rows}, median {:.4}, within 0.05 {within}, median lower/upper {:.2}, least {:.2}, boxes {boxes}, cpu {:.2} s",
            median(upper),
            median(gaps.clone()),
            gaps.iter().copied().fold(1.0, f64::min),
            cpu() - before
        );
    }
}

/// The cheapest plausible change of 50 patients, in measurement errors.
fn patients(name: &str, data: &str) {
    let mut case = table(name, data, 50);
    let book = case.book.take().unwrap();
    let forest = model(name).forest().unwrap();
    let settings = Settings::default();
    let (before, mut costs, mut cells, mut asked, mut right) = (cpu(), Vec::new(), Vec::new(), 0, 0);
    let (mut plausible, mut example) = (0, None);
    let mut searched = Vec::new();
    for (row, label) in case.clinical.iter().zip(&case.labels) {
        let mut shown = Shown::Scores(&mut case.model);
        let found = least_change(&mut shown, &case.scale, &book, row, *label, &settings, &Quiet).unwrap();
        asked += found.queries;
        right += usize::from(found.refused.is_none());
        searched.push((row, *label, found.refused.is_none(), found.change.as_ref().map(|c| c.cost)));
        if let Some(change) = found.change {
            plausible += usize::from(book.keeps(row, &change.row).is_ok());
            costs.push(change.cost);
            cells.push(change.cells.len() as f64);
            example = example.or(Some(change));
        }
    }
    println!(
        "{name:34} least change: {}/{right} turned over, all plausible {}, median cost {:.2} errors in {} cells, {asked} rows asked, cpu {:.2} s",
        costs.len(),
        plausible == costs.len(),
        median(costs),
        median(cells),
        cpu() - before
    );
    if let Some(forest) = forest {
        let (before, mut exact, mut rows, mut costs, mut agree) = (cpu(), 0, 0, Vec::new(), 0);
        for (row, label, right, cost) in searched {
            if right {
                let (least, change) =
                    least_change_of_trees(&forest, &book, row, label, &settings, Work::default());
                rows += 1;
                exact += usize::from(least.exact());
                agree += usize::from(cost.is_some_and(|c| c <= least.upper + 1e-6));
                costs.extend(change.map(|c| c.cost));
            }
        }
        println!(
            "{name:34} least change of trees: exact {exact}/{rows}, median cost {:.2} errors, the search is as cheap in {agree}, cpu {:.2} s",
            median(costs),
            cpu() - before
        );
    }
    for cell in example.iter().flat_map(|c| &c.cells) {
        println!("    {}: {} -> {} ({:.1} errors)", cell.feature, cell.before, cell.after, cell.errors);
    }
}

/// Flags of a peer's run: true where the image stood; `None` without the file.
fn flags(name: &str) -> Option<Vec<bool>> {
    let bytes = std::fs::read(shared().join(format!("reference/flags/{name}.npy"))).ok()?;
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) + 10;
    Some(bytes[header..].iter().map(|b| *b != 0).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        f64::NAN
    } else {
        f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
    }
}

fn measure(what: &str, case: &mut Case, attack: &str, parameters: &str, ball: Ball, seed: u64) -> Vec<bool> {
    let width = case.rows[0].len();
    let all: Vec<usize> = (0..case.rows.len()).collect();
    let mut seen = Vec::new();
    case.model.labels(Rows::new(&case.rows.concat(), width, &all).unwrap(), &mut seen).unwrap();
    let right: Vec<usize> = all.iter().copied().filter(|at| seen[*at] == Some(case.labels[*at])).collect();
    let starts: Vec<f32> = right.iter().flat_map(|at| case.rows[*at].clone()).collect();
    let labels: Vec<usize> = right.iter().map(|at| case.labels[*at]).collect();
    let registered = find(attack).unwrap();
    let built = (registered.build)(&serde_json::from_str(parameters).unwrap()).unwrap();
    let task = Task {
        starts: &starts,
        labels: &labels,
        samples: &right,
        others: &[],
        ball,
        seed,
        queries_max: None,
        pace: &Quiet,
    };
    let before = cpu();
    let result: Attacked = run(registered, &built, Target::Scores(&mut case.model), &task).unwrap();
    let spent = cpu() - before;
    let mut stood = vec![false; case.rows.len()];
    for (outcome, at) in result.outcomes.iter().zip(&right) {
        stood[*at] = !outcome.broken;
    }
    let share = |n: usize| n as f64 / case.rows.len() as f64;
    let found: Vec<f64> = result.outcomes.iter().filter(|o| o.adversarial).map(|o| o.distance).collect();
    println!(
        "{what:34} {attack:12} {:>4} {:<7.4} seed {seed}: clean {:.3} stands {:.3} found {}/{} median {:.4} queries {} cpu {spent:.2} s {parameters}",
        ball.norm.as_str(),
        ball.epsilon,
        share(right.len()),
        share(stood.iter().filter(|s| **s).count()),
        found.len(),
        right.len(),
        median(found.clone()),
        result.outcomes.iter().map(|o| o.queries).sum::<u64>(),
    );
    stood
}

/// Images that a peer broke and we did not.
fn missed(ours: &[bool], peer: &str) {
    if let Some(theirs) = flags(peer) {
        let missed: Vec<usize> =
            (0..ours.len().min(theirs.len())).filter(|at| ours[*at] && !theirs[*at]).collect();
        println!(
            "    {peer}: stands {}, broken there only: {missed:?}",
            theirs.iter().filter(|f| **f).count()
        );
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let on = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let linf = |epsilon: f64| Ball { norm: Norm::Linf, epsilon };
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let given = std::env::var("PARAMETERS").ok();
    let with = |own: &str| given.clone().unwrap_or_else(|| own.to_owned());
    if on("square") {
        let mut case = images("pneumonia_cnn", 50);
        for seed in 1..=seeds {
            let stood = measure(
                "pneumonia_cnn",
                &mut case,
                "square",
                &with(r#"{"queries":1000}"#),
                linf(8.0 / 255.0),
                seed,
            );
            if seed == 1 {
                for peer in ["torchattacks", "art", "pyautoattack"] {
                    missed(&stood, &format!("pneumonia_cnn.{peer}.square1000.Linf.8_255"));
                }
                missed(&stood, "pneumonia_cnn.pyautoattack.aa-binary.Linf.8_255");
            }
        }
    }
    if on("tables") {
        for data in ["wdbc", "heart_cleveland", "eicu_demo_apache"] {
            trees(data);
            for model in ["gbt", "mlp"] {
                patients(&format!("{data}_{model}"), data);
            }
        }
    }
    if on("square-l2") {
        let mut case = images("pneumonia_cnn", 50);
        for seed in 1..=seeds.min(2) {
            measure(
                "pneumonia_cnn",
                &mut case,
                "square",
                &with(r#"{"queries":1000}"#),
                Ball { norm: Norm::L2, epsilon: 1.0 },
                seed,
            );
        }
    }
    if on("hsj") {
        let mut case = images("pneumonia_cnn", 10);
        for seed in 1..=seeds {
            let ball = Ball { norm: Norm::L2, epsilon: 0.5 };
            let stood = measure("pneumonia_cnn", &mut case, "hopskipjump", &with("{}"), ball, seed);
            if seed == 1 {
                missed(&stood, "pneumonia_cnn.foolbox.hsj.L2.0.5");
                missed(&stood, "pneumonia_cnn.art.hsj.L2.0.5");
            }
        }
    }
    small_models(&on, seeds);
}

/// Attacks that see labels or scores only, on an MLP and on trees.
fn small_models(on: &dyn Fn(&str) -> bool, seeds: u64) {
    for (name, data) in [("wdbc_mlp", "wdbc"), ("wdbc_gbt", "wdbc")] {
        for attack in ["hopskipjump", "rays", "square"] {
            if !on(attack) || find(attack).is_none() {
                continue;
            }
            let mut case = table(name, data, 20);
            for seed in 1..=seeds.min(3) {
                let stood =
                    measure(name, &mut case, attack, "{}", Ball { norm: Norm::Linf, epsilon: 0.05 }, seed);
                if seed == 1 {
                    missed(&stood, &format!("{name}.foolbox.hsj.Linf.0.05"));
                    missed(&stood, &format!("{name}.art.hsj.Linf.0.05"));
                }
            }
        }
    }
}
