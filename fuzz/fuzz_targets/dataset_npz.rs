//! Reference images as a NumPy archive: ZIP, deflate, and the header of each array.
#![no_main]

use std::path::Path;

use app::config::Split;
use domain::InputSchema;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let split = Split {
        label: "label".into(),
        column: "split".into(),
        fit: "train".into(),
        calibrate: "val".into(),
        hold_out: "test".into(),
    };
    let schema =
        InputSchema::Image { tensor: "input".into(), channels: 1, height: 4, width: 4, min: 0.0, max: 1.0 };
    if let Ok(data) = app::dataset::read(Path::new("data.npz"), bytes, &schema, &split) {
        for (name, part) in data.parts() {
            assert_eq!(part.inputs.rows, part.labels.len(), "{name} has a class for each image");
        }
    }
});
