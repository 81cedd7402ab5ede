//! Searches for an evasion beside traffic that only resembles one.

use attack::evasion::{Target, Task, find, run};
use attack::{Ball, Layout, Norm, RowByRow, Space};

use crate::test_support::{Bench, flagged, images, patients};
use crate::{History, SnapshotError};

const NAME: &str = "query-similarity";

/// Number of the first query, counted from 1, at which the search is flagged. The model under attack calls bright images class 1.
fn first_flagged(name: &str, start: &[f32], other: &[f32], keys: usize, blind: f64) -> Option<usize> {
    let mut bench = Bench::image();
    let (mut first, mut asked) = (None, 0_usize);
    let ask = |_: usize, sent: &[f32]| {
        asked += 1;
        if flagged(&bench.ask(&format!("key-{}", asked % keys), sent), NAME) {
            first.get_or_insert(asked);
        }
        let logit = 40.0 * (brightness(sent) - 0.35);
        Ok(Some(vec![-logit, logit]))
    };
    let layout = Layout::Image { channels: 1, height: 14, width: 14 };
    let mut model = RowByRow::new(Space { layout, classes: 2 }, ask);
    let registered = find(name).unwrap();
    let attack = (registered.build)(&serde_json::json!({ "queries": 60, "blind": blind })).unwrap();
    let linf = Ball { norm: Norm::Linf, epsilon: 0.03 };
    let task = Task {
        starts: start,
        labels: &[usize::from(brightness(start) > 0.35)],
        samples: &[0],
        others: other,
        ball: if registered.norms.contains(&Norm::Linf) {
            linf
        } else {
            Ball { norm: Norm::L2, epsilon: 1.0 }
        },
        seed: 1,
        queries_max: Some(60),
        pace: &attack::pace::Quiet,
    };
    run(registered, &attack, Target::Scores(&mut model), &task).unwrap();
    first
}

fn brightness(image: &[f32]) -> f32 {
    image.iter().sum::<f32>() / 196.0
}

#[test]
fn searches_on_images_are_flagged_early_even_over_several_keys_or_blinded() {
    let data = images(40, 9);
    let start = data.inputs.row(0).to_vec();
    let bright = brightness(&start) > 0.35;
    let other: Vec<f32> = start.iter().map(|v| if bright { v * 0.3 } else { (v + 0.4).min(1.0) }).collect();
    for (keys, blind) in [(1, 0.0), (10, 0.0), (1, 0.02), (10, 0.02)] {
        // The walk begins with steps of a tenth of the distance between patients, which is not yet near: some thirty are far from success.
        for (name, at_most) in [("square", 6), ("hopskipjump", 12), ("boundary", 40)] {
            let at = first_flagged(name, &start, &other, keys, blind);
            assert!(at.is_some_and(|n| n <= at_most), "{name}, {keys} keys, sigma {blind}: {at:?}");
        }
    }
}

#[test]
fn a_slowly_perturbed_patient_is_flagged_and_repeats_of_one_are_not() {
    let mut bench = Bench::table();
    let row = patients(1, 5).inputs.row(0).to_vec();
    for _ in 0..50 {
        assert!(!flagged(&bench.ask("ward", &row), NAME), "a repeat");
    }
    let moved = |k: u8| {
        let mut row = row.clone();
        row[1] += f32::from(k) * 0.2;
        row
    };
    let flags: Vec<bool> = (1..8).map(|k| flagged(&bench.ask("ward", &moved(k)), NAME)).collect();
    assert!(flags.iter().take(3).all(|f| !f) && flags[6], "{flags:?}");
}

#[test]
fn three_follow_ups_of_one_patient_are_not_a_search() {
    let mut bench = Bench::table();
    let mut row = patients(1, 5).inputs.row(0).to_vec();
    for _ in 0..4 {
        assert!(!flagged(&bench.ask("ward", &row), NAME));
        row[0] += 1.0;
    }
}

#[test]
fn daily_follow_ups_do_not_add_up() {
    let mut bench = Bench::table();
    let mut row = patients(1, 5).inputs.row(0).to_vec();
    for _ in 0..20 {
        assert!(!flagged(&bench.ask("ward", &row), NAME));
        row[0] += 0.1;
        bench.at = bench.at.plus_days(1);
    }
}

#[test]
fn many_different_patients_are_not_a_search() {
    let mut bench = Bench::image();
    let data = images(1_500, 12);
    let alarms = data.inputs.iter_rows().filter(|r| flagged(&bench.ask("ward", r), NAME)).count();
    assert_eq!(alarms, 0);
}

#[test]
fn the_search_is_still_known_after_a_restart() {
    let mut bench = Bench::image();
    let start = images(1, 9).inputs.row(0).to_vec();
    let moved = |k: u16| {
        let mut image = start.clone();
        image[usize::from(k)] = (image[usize::from(k)] + 0.2).min(1.0);
        image
    };
    (0..3).for_each(|k| drop(bench.ask("a", &moved(k))));
    let (snapshot, mark) = (bench.history.snapshot(), bench.history.drain_since(0).1);
    bench.ask("a", &moved(3));
    let (drained, _) = bench.history.drain_since(mark);
    assert!(drained.len() < snapshot.len());
    bench.history = History::new(&bench.settings, &bench.fitted);
    bench.history.restore(&snapshot).unwrap();
    bench.history.restore(&drained).unwrap();
    bench.history.restore(&drained).unwrap();
    assert_eq!(bench.history.len(), 4, "nothing is doubled");
    assert!(flagged(&bench.ask("b", &moved(4)), NAME), "and another key goes on with it");
}

#[test]
fn damaged_bytes_and_another_fit_are_refused() {
    let mut bench = Bench::table();
    let row = patients(1, 5).inputs.row(0).to_vec();
    bench.ask("a", &row);
    let good = bench.history.snapshot();
    let fresh = History::new(&bench.settings, &bench.fitted);
    for k in 0..good.len() {
        let mut bad = good.clone();
        bad[k] ^= 1 << (k % 8);
        assert!(fresh.restore(&bad).is_err(), "byte {k}");
        assert!(fresh.restore(&good[..k]).is_err(), "cut at {k}");
    }
    assert!(fresh.is_empty());
    let other = Bench::image();
    assert_eq!(other.history.restore(&good), Err(SnapshotError::OtherFit));
}

#[test]
fn memory_stays_within_its_size_and_bytes_per_query() {
    let mut bench = Bench::table();
    bench.settings.query_similarity.remembered = crate::Count::new(2_048);
    bench.history = History::new(&bench.settings, &bench.fitted);
    let data = patients(3_000, 20);
    data.inputs.iter_rows().for_each(|r| drop(bench.ask("ward", r)));
    assert_eq!(bench.history.len(), 2_048);
    const { assert!(crate::memory::BYTES_PER_QUERY <= 64) };
    assert!(bench.history.snapshot().len() < 2_048 * 34 + 5_000);
}
