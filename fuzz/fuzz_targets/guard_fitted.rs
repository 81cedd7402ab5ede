//! Stored fits of the guards: whatever the blob holds, building from it and screening with it must not panic.
#![no_main]

use asepsis_fuzz::{Stopped, request, schema};
use detect::{Context, Fitted, GuardSet, GuardSettings, History};
use domain::Clock as _;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(fitted) = serde_json::from_slice::<Fitted>(bytes) else { return };
    let settings = GuardSettings::default();
    let Ok(set) = GuardSet::build(&settings, &schema(), &fitted) else { return };
    let history = History::new(&settings, &fitted);
    let client = "fuzz".parse().expect("a name that is allowed");
    let context = Context { client: &client, at: Stopped.now(), clock: &Stopped, history: &history };
    for _ in 0..3 {
        let screening = set.screen_request(request(), &context);
        assert!(!screening.verdicts().is_empty(), "every guard says something");
    }
});
