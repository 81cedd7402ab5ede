//! Corruptions and unexpected conditions: what happens to inputs without an attacker.
