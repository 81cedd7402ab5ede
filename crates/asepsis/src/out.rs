//! Printing that outlives its reader: `asepsis … | head` ends quietly, and a full disk behind `>` is an error, not a panic.
//!
//! The macros have the names of the standard library's, which panic when nobody reads; as they stand in front of all
//! other modules, every line of this program goes through them.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something could not be written for another reason than a reader who left.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes to standard output. A reader who left is no failure: the command ends with the code of what it did.
pub(crate) fn write(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_fmt(text).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        write_error(format_args!("asepsis: the output could not be written: {error}\n"));
    }
}

/// Writes to standard error; there is nobody to tell when that fails.
pub(crate) fn write_error(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// True when output was lost, so that the command must not end as if it had been read.
pub(crate) fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

macro_rules! print {
    ($($given:tt)*) => { $crate::out::write(format_args!($($given)*)) };
}
macro_rules! println {
    () => { $crate::out::write(format_args!("\n")) };
    ($($given:tt)*) => { $crate::out::write(format_args!("{}\n", format_args!($($given)*))) };
}
macro_rules! eprint {
    ($($given:tt)*) => { $crate::out::write_error(format_args!($($given)*)) };
}
macro_rules! eprintln {
    ($($given:tt)*) => { $crate::out::write_error(format_args!("{}\n", format_args!($($given)*))) };
}
