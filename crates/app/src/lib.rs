//! L4: the control plane: one file per use case, called alike by the command line and the console.

pub mod admit;
pub mod alarms;
mod arrays;
pub mod artefact;
pub mod audit;
pub mod bom;
pub mod catalogue;
pub mod checks;
pub mod command;
pub mod config;
pub mod controls;
pub mod corpora;
pub mod dataset;
pub mod desk;
mod error;
pub mod exercise;
pub mod exercises;
pub mod gate;
pub mod hospital;
pub mod live;
mod loosening;
pub mod overview;
pub mod people;
pub mod scan;
pub mod scorer;
pub mod serving;
pub mod signing;
pub mod subjects;
mod watch;

pub use audit::ReceiptView;
pub use error::{AppError, SystemClock};
pub use hospital::{Hospital, Opening, Paths};
