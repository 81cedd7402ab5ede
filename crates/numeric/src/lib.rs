//! L0: statistics, small linear algebra and seeded randomness, each function with its source.
//!
//! Everything is deterministic: same input and seed, same bytes out, on every machine that follows IEEE 754.

mod binomial;
mod calibration;
mod covariance;
mod linear;
mod matrix;
mod rng;
mod roc;
mod stats;

pub use binomial::{beta_quantile, clopper_pearson, incomplete_beta, ln_gamma};
pub use calibration::{brier_score, calibration_error};
pub use covariance::{RobustCovariance, robust_covariance};
pub use linear::{Cholesky, Principal, cholesky, least_squares, principal_components};
pub use matrix::{Matrix, MatrixError, all_finite};
pub use rng::Rng;
pub use roc::{RocArea, Sensitivity, roc_area, sensitivity_at};
pub use stats::{
    MAD_TO_SIGMA, Scale, conformal_p, conformal_quantile, mean, median, normal_cdf, normal_quantile,
    quantile, robust_scale, softmax_in_place, standard_deviation, wilson_interval,
};
