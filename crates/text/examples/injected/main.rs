//! Trains the weights of `text::injected`, and tells how well they do.
//!
//! ```text
//! cargo run --release -p text --example injected -- weights FOLDER # train on everything open, write weights.bin and net.bin
//! cargo run --release -p text --example injected -- folds          # five folds; unseen styles, texts and notes
//! cargo run --release -p text --example injected -- without        # each positive set left out of training
//! cargo run --release -p text --example injected -- evaluate       # the shipped weights (trained on the open part)
//! cargo run --release -p text --example injected -- lexicon FOLDER FILE   # table of words, from a model's folder
//! ```
//! The sets are read from `$ASEPSIS_SHARED/data/text`; docs/text-injection.md says which, under which licences.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program at a developer's desk: it reports on the terminal and stops when its own data is wrong"
)]

mod benign;
mod grammar;
mod lexicon;
mod order_words;
mod orders;
mod report;
mod second;
mod sets;
mod tasks;
mod train;
mod unseen;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match mode.as_str() {
        "weights" => train::weights(rest.first().map_or(".", String::as_str)),
        "lexicon" if rest.len() == 2 => lexicon::write(&rest[0], &rest[1]),
        "folds" => report::folds(5),
        "without" => report::without(),
        "evaluate" => report::evaluate(rest.first().map_or("open", String::as_str)),
        _ => eprintln!(
            "usage: injected weights FOLDER | lexicon FOLDER FILE | folds | without | evaluate [PART]"
        ),
    }
}
