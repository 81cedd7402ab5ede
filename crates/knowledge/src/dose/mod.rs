//! Doses: the amounts of a text, how often they are given, and whether that is plausible for an adult.

pub(crate) mod amount;
mod judge;
mod stated;

pub(crate) use judge::judge;
pub(crate) use stated::{Stated, stated};
