//! The guards' memory of the traffic as it is stored: any bytes are taken whole or refused whole.
#![no_main]

use std::sync::LazyLock;

use asepsis_fuzz::{Stopped, request, schema};
use detect::{Context, Fitted, GuardSet, GuardSettings, History, Reference, fit};
use domain::Clock as _;
use numeric::Matrix;

/// A real fit, on a grid of made-up patients.
static FITTED: LazyLock<Fitted> = LazyLock::new(|| {
    let rows = |from: u16| -> Matrix {
        let row = |i: u16| vec![f32::from(i * 7 % 100) / 10.0, f32::from(i * 13 % 97) / 10.0];
        Matrix::from_rows(&(from..from + 300).map(row).collect::<Vec<_>>()).expect("rows of one length")
    };
    let part = |from| Reference { inputs: rows(from), ..Reference::default() };
    fit(&GuardSettings::default(), &schema(), &part(0), &part(1_000), 1).expect("enough patients")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let settings = GuardSettings::default();
    let history = History::new(&settings, &FITTED);
    // The first byte chooses between the bytes as they are and a real snapshot with some of it replaced, since a
    // checksum would otherwise stop nearly every input at the door.
    let Some((&place, patch)) = bytes.split_first() else { return };
    let set = GuardSet::build(&settings, &schema(), &FITTED).expect("its own fit");
    let client = "fuzz".parse().expect("a name that is allowed");
    let context = Context { client: &client, at: Stopped.now(), clock: &Stopped, history: &history };
    set.screen_request(request(), &context);
    let mut stored = history.snapshot();
    if place == 0 {
        stored = patch.to_vec();
    } else {
        for (i, byte) in patch.iter().enumerate() {
            let at = (usize::from(place) + i) % stored.len();
            stored[at] ^= byte;
        }
    }
    let fresh = History::new(&settings, &FITTED);
    let before = fresh.snapshot();
    if fresh.restore(&stored).is_err() {
        assert_eq!(fresh.snapshot(), before, "refused bytes change nothing");
    }
});
