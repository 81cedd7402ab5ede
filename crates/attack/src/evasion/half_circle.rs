//! A half circle through the start and a place on the decision boundary, along which a walk comes nearer to the start (Reza et al. 2023, CGBA).

use crate::evasion::query::single;
use crate::norm::Norm;

/// The plane of a half circle: towards the place, and across the boundary at a right angle to it, both of length 1.
pub(super) struct Plane {
    radius: f64,
    out: Vec<f64>,
    across: Vec<f64>,
}

impl Plane {
    /// Of the half circle from `x` to `start` that leaves `x` towards `direction`.
    pub(super) fn new(start: &[f32], x: &[f32], direction: &[f64]) -> Self {
        let out = unit(x.iter().zip(start).map(|(x, s)| f64::from(*x) - f64::from(*s)).collect());
        let radius = Norm::L2.distance(start, x);
        let along: f64 = out.iter().zip(direction).map(|(v, g)| v * g).sum();
        let across = unit(direction.iter().zip(&out).map(|(g, v)| g - along * v).collect());
        Self { radius, out, across }
    }

    /// The point at angle `theta`, 0 being the place itself and a right angle the start.
    pub(super) fn point(&self, start: &[f32], theta: f64, row: &mut [f32]) {
        let (far, near) = (self.radius * theta.cos() * theta.cos(), self.radius * theta.cos() * theta.sin());
        for (((to, s), v), w) in row.iter_mut().zip(start).zip(&self.out).zip(&self.across) {
            *to = single(f64::from(*s) + far * v + near * w).clamp(0.0, 1.0);
        }
    }
}

/// Scaled to Euclidean length 1; zeros stay.
pub(super) fn unit(mut v: Vec<f64>) -> Vec<f64> {
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length > 0.0 && length.is_finite() {
        v.iter_mut().for_each(|x| *x /= length);
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leads_from_the_place_to_the_start_and_the_way_back_is_its_cosine() {
        let (start, x) = ([0.5_f32, 0.5, 0.5], [0.9_f32, 0.5, 0.5]);
        let plane = Plane::new(&start, &x, &unit(vec![0.3, 0.8, 0.0]));
        let mut row = [0.0_f32; 3];
        for (theta, far) in
            [(0.0_f64, 0.4), (std::f64::consts::FRAC_PI_3, 0.2), (std::f64::consts::FRAC_PI_2, 0.0)]
        {
            plane.point(&start, theta, &mut row);
            assert!((Norm::L2.distance(&start, &row) - far).abs() < 1e-6, "{theta}: {row:?}");
            assert!(row[1] >= 0.5 - 1e-6, "to the side of the direction");
        }
        let along = Plane::new(&start, &x, &[1.0, 0.0, 0.0]);
        along.point(&start, 0.0, &mut row);
        assert!(Norm::L2.distance(&x, &row) < 1e-6, "a direction straight outwards has no side: {row:?}");
    }
}
