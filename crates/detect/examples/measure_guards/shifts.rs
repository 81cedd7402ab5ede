//! What is wrong without anybody attacking: units, ranges, decimals, other populations, damaged images.

use domain::InputSchema;
use numeric::Rng;

use crate::session::Bench;
use crate::{Outcome, SEED};

/// A change of one held-out row; `None` when it does not apply.
type Change<'a> = Box<dyn Fn(&[f32], &mut Rng) -> Option<Vec<f32>> + 'a>;

pub fn measure(bench: &Bench) -> Outcome<()> {
    println!(
        "| change of held-out patients | rows | clinical-range | unit-mix-up | out-of-distribution | …-features | any |"
    );
    println!("|---|---|---|---|---|---|---|");
    let changes = if bench.is_image() { image_changes() } else { table_changes(bench) };
    for (name, change) in changes {
        let mut rng = Rng::new(SEED, 90);
        let mut session = bench.session()?;
        let (mut rows, mut counts) = (0, [0; 5]);
        for row in bench.held_out.inputs.iter_rows() {
            let Some(changed) = change(row, &mut rng) else { continue };
            let met = session.ask("honest", &changed)?;
            rows += 1;
            let instances =
                ["clinical-range", "unit-mix-up", "out-of-distribution", "out-of-distribution-features"];
            for (count, instance) in counts.iter_mut().zip(instances) {
                *count += usize::from(met.flagged(instance));
            }
            counts[4] += usize::from(met.flagged_by_any(&instances));
        }
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let share = |n: usize| n as f64 / f64::from(rows.max(1));
        let [a, b, c, d, e] = counts.map(share);
        println!("| {name} | {rows} | {a:.3} | {b:.3} | {c:.3} | {d:.3} | {e:.3} |");
    }
    println!();
    Ok(())
}

fn table_changes(bench: &Bench) -> Vec<(String, Change<'_>)> {
    let InputSchema::Table { features, .. } = &bench.schema else { return Vec::new() };
    let mut all: Vec<(String, Change<'_>)> = Vec::new();
    for (j, feature) in features.iter().enumerate() {
        for alternative in &feature.alternatives {
            let name = format!("{} sent in {}", feature.name, alternative.unit);
            let (factor, offset) = (alternative.factor, alternative.offset);
            all.push((
                name,
                Box::new(move |row, _| {
                    let mut row = row.to_vec();
                    #[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
                    let sent = ((f64::from(row[j]) - offset) / factor) as f32;
                    // A zero is the same in both units.
                    (row[j] != 0.0).then(|| {
                        row[j] = sent;
                        row
                    })
                }),
            ));
        }
    }
    let width = features.len();
    let graded: Vec<usize> =
        (0..width).filter(|j| !matches!(features[*j].kind, domain::FeatureKind::Category { .. })).collect();
    let pool = graded.clone();
    all.push((
        "one value ten times too large".to_owned(),
        Box::new(move |row, rng| {
            let (mut row, j) = (row.to_vec(), pool[rng.below(pool.len())]);
            (row[j] != 0.0).then(|| {
                row[j] *= 10.0;
                row
            })
        }),
    ));
    let pool = graded.clone();
    all.push((
        "two neighbouring columns swapped".to_owned(),
        Box::new(move |row, rng| {
            let (mut row, k) = (row.to_vec(), rng.below(pool.len() - 1));
            row.swap(pool[k], pool[k + 1]);
            Some(row)
        }),
    ));
    let reference = &bench.calibration.inputs;
    all.push((
        "each value from another patient".to_owned(),
        Box::new(move |row, rng| {
            Some((0..row.len()).map(|j| reference.row(rng.below(reference.rows))[j]).collect())
        }),
    ));
    let scale = bench.scale();
    all.push((
        "uniform between the extremes".to_owned(),
        Box::new(move |row, rng| {
            #[expect(clippy::cast_possible_truncation, reason = "drawn in double, used in single precision")]
            let point: Vec<f32> = row.iter().map(|_| rng.uniform() as f32).collect();
            Some(bench.to_row(&point, &scale))
        }),
    ));
    all
}

fn image_changes() -> Vec<(String, Change<'static>)> {
    fn each(name: &str, f: impl Fn(f32) -> f32 + 'static) -> (String, Change<'static>) {
        (name.to_owned(), Box::new(move |row: &[f32], _: &mut Rng| Some(row.iter().map(|v| f(*v)).collect())))
    }
    #[expect(clippy::cast_possible_truncation, reason = "drawn in double, used in single precision")]
    fn noise(sigma: f64) -> (String, Change<'static>) {
        let add = move |v: &f32, rng: &mut Rng| (v + (rng.normal() * sigma) as f32).clamp(0.0, 1.0);
        (
            format!("normal noise, sigma {sigma}"),
            Box::new(move |row: &[f32], rng: &mut Rng| Some(row.iter().map(|v| add(v, rng)).collect())),
        )
    }
    let at = |row: &[f32], y: usize, x: usize| row.get(y * 28 + x).copied().unwrap_or(0.0);
    vec![
        each("pixels from 0 to 255", |v| v * 255.0),
        each("inverted", |v| 1.0 - v),
        each("darkened to a half", |v| v * 0.5),
        each("darkened to seven tenths", |v| v * 0.7),
        each("contrast halved", |v| 0.5 + (v - 0.5) * 0.5),
        noise(0.05),
        noise(0.1),
        noise(0.2),
        (
            "upside down".to_owned(),
            Box::new(|row, _| Some(row.chunks_exact(28).rev().flatten().copied().collect())),
        ),
        (
            "turned by 90 degrees".to_owned(),
            Box::new(move |row, _| Some((0..784).map(|k| at(row, 27 - k % 28, k / 28)).collect())),
        ),
        (
            "blurred over 3 × 3 pixels".to_owned(),
            Box::new(move |row, _| {
                let mean = |k: usize| {
                    let (y, x) = (k / 28, k % 28);
                    let ys = y.saturating_sub(1)..=(y + 1).min(27);
                    let cells = ys.flat_map(|y| (x.saturating_sub(1)..=(x + 1).min(27)).map(move |x| (y, x)));
                    let (sum, n) = cells.fold((0.0, 0.0_f32), |(s, n), (y, x)| (s + at(row, y, x), n + 1.0));
                    sum / n
                };
                Some((0..784).map(mean).collect())
            }),
        ),
        (
            "uniform noise".to_owned(),
            Box::new(|row, rng| {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "drawn in double, used in single precision"
                )]
                let drawn = row.iter().map(|_| rng.uniform() as f32).collect();
                Some(drawn)
            }),
        ),
        each("constant", |_| 0.5),
    ]
}
