//! Trains the weights of `text::injected`, and tells how well they do.
//!
//! ```text
//! cargo run --release -p text --example injected -- weights FILE   # train on everything open, write the weights
//! cargo run --release -p text --example injected -- folds          # five folds; unseen styles, texts and notes
//! cargo run --release -p text --example injected -- without        # each positive set left out of training
//! cargo run --release -p text --example injected -- evaluate       # the shipped weights (trained on the open part)
//! ```
//! The sets are read from `$ASEPSIS_SHARED/data/text`; docs/text-injection.md says which, under which licences.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program at a developer's desk: it reports on the terminal and stops when its own data is wrong"
)]

mod benign;
mod grammar;
mod orders;
mod report;
mod sets;
mod tasks;
mod train;
mod unseen;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match mode.as_str() {
        "weights" => train::weights(rest.first().map_or("weights.bin", String::as_str)),
        "folds" => report::folds(5),
        "without" => report::without(),
        "evaluate" => report::evaluate(rest.first().map_or("open", String::as_str)),
        _ => eprintln!("usage: injected weights FILE | folds | without | evaluate [PART]"),
    }
}
