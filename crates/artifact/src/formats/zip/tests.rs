//! Tests of the zip reader.
