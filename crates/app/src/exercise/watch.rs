//! How an exercise is followed and ended: by the command line's bar, the console's live page, a test.

use attack::scorecard::Row;

/// What happens in an exercise.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something the user should read: what was noticed in the data, a wait.
    Note(String),
    /// `done` of `total` units of work are done; the units are alike within a factor of a few.
    Progress {
        /// Done.
        done: u64,
        /// All.
        total: u64,
        /// What is being done.
        step: String,
    },
    /// A part without budgets (a condition, a search) is finished on all samples: one line about it.
    Said {
        /// What it is.
        step: String,
        /// What it showed.
        text: String,
    },
    /// A step is finished on all samples.
    Rows {
        /// `image` or `table`, by which budgets are written.
        kind: String,
        /// Its rows, one per budget.
        rows: Vec<Row>,
    },
}

/// Follows an exercise; called from any thread.
pub trait Watch: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event);

    /// True when it should end; what is done is kept.
    fn stop(&self) -> bool;
}

/// Follows nothing, never ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn event(&self, _event: Event) {}

    fn stop(&self) -> bool {
        false
    }
}
