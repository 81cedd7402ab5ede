//! Makes `src/phi/weights.bin`: the same bytes from the same inputs.
//!
//! ```sh
//! ASEPSIS_SHARED=../shared cargo run --release -p text --example train_phi
//! ```
//! Inputs: the open halves of the sets named in `examples/phi_data` (their licences: `src/phi/lists/README.md`,
//! docs/text-phi.md) and this program's own generator.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for developers")]

#[path = "../phi_data/mod.rs"]
mod phi_data;

use phi_data::Without;
use text::phi::learn::Settings;

fn main() {
    let weights = phi_data::weights(Without::default(), Settings::default());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/phi/weights.bin");
    let bytes = weights.write();
    std::fs::write(&path, &bytes).expect("the file of weights");
    println!("{} bytes", bytes.len());
}
