//! Attacks that need one query only: made with the model's gradients beforehand, sent once.

use attack::evasion::{Target, Task, find, run};
use attack::{Ball, Layout, Norm};
use domain::InputSchema;
use runtime::{Classifier, Reading};

use crate::session::Bench;
use crate::{Outcome, SEED, rightly_answered};

/// Name in the registry, parameters, and budget in grey levels.
const ATTACKS: [(&str, &str, f64); 9] = [
    ("fgsm", "{}", 8.0),
    ("pgd", "{}", 8.0),
    ("apgd-ce", "{}", 8.0),
    ("apgd-ce", "{}", 4.0),
    ("fab", "{}", 8.0),
    ("quiet-pgd", r#"{"weight": 0.3}"#, 8.0),
    ("quiet-pgd", "{}", 8.0),
    ("quiet-pgd", r#"{"weight": 3}"#, 8.0),
    ("quiet-pgd", "{}", 4.0),
];

const INSTANCES: [&str; 3] = ["pixel-noise", "out-of-distribution", "out-of-distribution-features"];

pub fn measure(bench: &Bench) -> Outcome<()> {
    let InputSchema::Image { channels, height, width, .. } = &bench.schema else { return Ok(()) };
    let layout = Layout::Image { channels: *channels, height: *height, width: *width };
    let right = rightly_answered(&bench.held_out);
    let starts: Vec<f32> =
        right.iter().flat_map(|(row, _)| bench.to_unit(bench.held_out.inputs.row(*row))).collect();
    let labels: Vec<usize> = right.iter().map(|(_, label)| *label).collect();
    let samples: Vec<usize> = right.iter().map(|(row, _)| *row).collect();
    println!(
        "| attack, sent once (of {} rightly answered) | turned | of these pixel-noise | out-of-distribution | …-features | any | turned and unseen |",
        right.len()
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, parameters, levels) in ATTACKS {
        let registered = find(name).ok_or("no such attack")?;
        let attack = (registered.build)(&serde_json::from_str(parameters)?)?;
        let mut model = Classifier::new(bench.victim.borrow().model(), &Reading::unit(layout), &starts)?
            .differentiable()?;
        let task = Task {
            starts: &starts,
            labels: &labels,
            samples: &samples,
            others: &[],
            ball: Ball { norm: Norm::Linf, epsilon: levels / 255.0 },
            seed: SEED,
            queries_max: None,
            pace: &attack::pace::Quiet,
        };
        let found = run(registered, &attack, Target::Gradients(&mut model), &task)?;
        let mut session = bench.session()?;
        let (mut turned, mut seen) = (0_u32, [0_u32; 4]);
        for (row, outcome) in found.rows.chunks_exact(layout.len()).zip(&found.outcomes) {
            if !outcome.broken {
                continue;
            }
            turned += 1;
            let met = session.ask("honest", row)?;
            for (count, instance) in seen.iter_mut().zip(INSTANCES) {
                *count += u32::from(met.flagged(instance));
            }
            seen[3] += u32::from(met.flagged_by_any(&INSTANCES));
        }
        let share = |n: u32| f64::from(n) / f64::from(turned.max(1));
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let unseen = f64::from(turned - seen[3]) / right.len() as f64;
        println!(
            "| {name} {parameters} {levels}/255 | {turned} | {:.3} | {:.3} | {:.3} | {:.3} | {unseen:.3} |",
            share(seen[0]),
            share(seen[1]),
            share(seen[2]),
            share(seen[3]),
        );
    }
    println!();
    Ok(())
}
