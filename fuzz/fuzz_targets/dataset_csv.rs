//! Reference data as CSV.
#![no_main]

use std::path::Path;

use app::config::Split;
use asepsis_fuzz::schema;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let split = Split {
        label: "label".into(),
        column: "split".into(),
        fit: "train".into(),
        calibrate: "val".into(),
        hold_out: "test".into(),
    };
    if let Ok(data) = app::dataset::read(Path::new("data.csv"), bytes, &schema(), &split) {
        for (name, part) in data.parts() {
            assert!(part.inputs.is_finite(), "{name} holds numbers only");
            assert_eq!(part.inputs.rows, part.labels.len(), "{name} has a class for each row");
        }
    }
});
