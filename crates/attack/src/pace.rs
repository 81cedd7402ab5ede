//! How the caller follows long work and ends it: no clock and no signal is read in this crate.

/// Watched by every loop of an attack.
pub trait Pace {
    /// True when the work should end now; what was found is kept.
    fn stop(&self) -> bool;

    /// `done` of `total` steps of the present piece of work are done.
    fn step(&self, done: u64, total: u64);

    /// A new run on every sample begins at this budget, counted from 0; none: the attack is over, and what is asked from here on is only looked at.
    fn round(&self, _budget: Option<usize>) {}
}

/// Never stops, tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Pace for Quiet {
    fn stop(&self) -> bool {
        false
    }

    fn step(&self, _done: u64, _total: u64) {}
}
