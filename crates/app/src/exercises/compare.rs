//! Two scorecards of the shelf point by point: two versions, two models, two hospitals.

use std::sync::Arc;

use access::Principal;
use attack::scorecard::{self, Comparison, Scorecard};

use super::{Card, CardId, list};
use crate::AppError;
use crate::hospital::Hospital;

/// Two scorecards beside each other.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The first, and what is known of it.
    pub first: (Card, Arc<Scorecard>),
    /// The second.
    pub second: (Card, Arc<Scorecard>),
    /// Point by point; or how the suites differ, one line each, because unequal tests are not compared.
    pub points: Result<Comparison, Vec<String>>,
}

/// Compares.
///
/// # Errors
/// When `who` may not see one of them, or one is not there or cannot be read.
pub fn compare(
    hospital: &Hospital,
    who: &Principal,
    first: &CardId,
    second: &CardId,
) -> Result<Compared, AppError> {
    let first = list::scorecard(hospital, who, first)?;
    let second = list::scorecard(hospital, who, second)?;
    let points = scorecard::compare(&first.1, &second.1);
    Ok(Compared { first, second, points })
}
