//! The `asepsis` program.
fn main() {}
