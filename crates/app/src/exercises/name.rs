//! Names of exercises and scorecards. They stand in addresses and are names of files, so they hold nothing but lower-case letters, digits and hyphens.

use std::fmt;
use std::str::FromStr;

use domain::{SystemId, Timestamp};

use crate::AppError;

/// Longest name, bytes.
const BYTES_MAX: usize = 160;

/// Name of an exercise or a scorecard of this hospital.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardId(String);

impl CardId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of an exercise that begins at `at`: names sort by time. `again` tells those of one second apart.
    pub(super) fn of_job(
        at: Timestamp,
        system: &SystemId,
        suite: &str,
        again: u32,
    ) -> Result<Self, AppError> {
        let digits: String = at.to_string().chars().take(19).filter(char::is_ascii_digit).collect();
        let (day, time) = digits.split_at(digits.len().min(8));
        let more = if again == 0 { String::new() } else { format!("-{again}") };
        format!("{day}-{time}-{system}-{suite}{more}").parse()
    }
}

impl fmt::Display for CardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CardId {
    type Err = AppError;

    fn from_str(text: &str) -> Result<Self, AppError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-');
        if !fits {
            let typed: String = text.chars().take(80).collect();
            return Err(unknown(&typed));
        }
        Ok(Self(text.to_owned()))
    }
}

/// There is no such exercise.
pub(super) fn unknown(typed: &str) -> AppError {
    AppError::UnknownExercise(typed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_safe_file_name() {
        for good in ["20261123-224501-breast-mass-quick", "a", "received-0123abcd", &"a".repeat(BYTES_MAX)] {
            assert_eq!(good.parse::<CardId>().unwrap().as_str(), good);
        }
        let long = "a".repeat(BYTES_MAX + 1);
        for bad in ["", "-a", "..", "a/b", "a.json", "A", "a b", "é", "a\0", &long] {
            assert!(bad.parse::<CardId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_job_is_called_after_its_moment() {
        let at = Timestamp::from_millis(1_795_440_000_123);
        let system = "breast-mass".parse().unwrap();
        assert_eq!(
            CardId::of_job(at, &system, "quick", 0).unwrap().as_str(),
            "20261123-132000-breast-mass-quick"
        );
        assert_eq!(
            CardId::of_job(at, &system, "quick", 2).unwrap().as_str(),
            "20261123-132000-breast-mass-quick-2"
        );
    }
}
