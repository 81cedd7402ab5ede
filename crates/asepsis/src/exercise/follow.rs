//! Follows an exercise in the terminal: a bar with the remaining time, and what should be read above it. The first Ctrl-C ends it and keeps what is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app::exercise::{Event, Watch};
use attack::scorecard::budget_text;
use indicatif::ProgressBar;

/// The bar and the stop.
pub struct Follower {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

impl Follower {
    pub fn new() -> Self {
        Self {
            bar: crate::terminal::share("attacking"),
            stop: crate::scan::stop_on_signal(
                "stopping; what is done is kept, and --resume goes on; once more ends at once",
            ),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }
}

impl Watch for Follower {
    fn event(&self, event: Event) {
        match event {
            Event::Note(text) => self.say(&format!("note: {text}")),
            Event::Progress { done, total, step } => {
                self.bar.set_length(total);
                self.bar.set_position(done);
                self.bar.set_message(step);
            }
            // Each finished step is said where somebody looks; the scorecard follows at the end in any case.
            Event::Rows { kind, rows } if !self.bar.is_hidden() => {
                for row in rows.iter().filter(|r| r.robust.all.of > 0) {
                    let budget = budget_text(&kind, row.norm, row.epsilon);
                    self.say(&format!(
                        "{} {} {budget}: {:.1}% right",
                        row.label,
                        row.norm.as_str(),
                        100.0 * row.robust.all.share
                    ));
                }
            }
            Event::Said { step, text } if !self.bar.is_hidden() => self.say(&format!("{step}: {text}")),
            Event::Rows { .. } | Event::Said { .. } => {}
        }
    }

    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
