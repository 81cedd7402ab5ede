//! Clinical tables: attacks that stay within what a patient can be.
