//! L6: the `asepsis` program: command line, configuration, wiring.

#[macro_use]
mod out;

mod alerts;
mod bom;
mod bridge;
mod cli;
mod control;
mod data;
mod desk;
mod example;
mod exercise;
mod keep;
mod local;
mod picture;
mod rehearsal;
mod remote;
mod scan;
mod screen;
mod serve;
mod sign;
mod terminal;
mod traffic;
mod vendor;

use std::process::ExitCode;

use clap::Parser as _;

/// An exchange makes some hundred short-lived allocations, many freed by another thread: measured a tenth of its whole time with
/// the system's allocator (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        // Nobody may take a lost report for a clean one.
        Ok(_) if out::lost() => ExitCode::from(2),
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("asepsis: {error:#}");
            ExitCode::from(2)
        }
    }
}
