//! Queries that lie on a straight line between two others: the binary search with which decision-based attacks begin.
//!
//! Two patients' midpoint is not a third patient. In the sketch space a query q lies between i and j when
//! |iq| + |qj| is hardly longer than |ij|; distances among the newest queries are kept, so that a new query costs one
//! distance to each and one addition per pair.

use crate::sketch::{Sketch, squared_distance};

/// Queries kept. A binary search asks its next question at once; 32 leave room for other clients' traffic between.
const KEPT: usize = 32;

/// How much longer the way over q may be than the direct one. 0.6 % is a sideways step of a twentieth of the
/// distance; random triples of reference patients are tens of percent longer.
const DETOUR: f32 = 1.006;

/// Share of the distance that q must be away from either end, so that a near copy of an end is not "between".
const AWAY: f32 = 0.04;

/// The newest queries and their distances.
#[derive(Default)]
pub(crate) struct Lines {
    sketches: [Sketch; KEPT],
    distance: [[f32; KEPT]; KEPT],
    between: [bool; KEPT],
    len: usize,
    next: usize,
}

impl Lines {
    /// Adds a query. True when it is on a line with two of the newest queries that are at least `far` (squared steps)
    /// apart, and so was another of them.
    pub(crate) fn add(&mut self, sketch: &Sketch, far: u32) -> bool {
        let mut to = [0.0_f32; KEPT];
        for (d, other) in to.iter_mut().zip(&self.sketches[..self.len]) {
            #[expect(clippy::cast_precision_loss, reason = "at most 24 × 255²")]
            let squared = squared_distance(sketch, other) as f32;
            *d = squared.sqrt();
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 24 × 255²")]
        let far = (far as f32).sqrt();
        let mut found = false;
        for i in 1..self.len {
            for (direct, b) in self.distance[i][..i].iter().zip(&to) {
                found |= on_a_line([*direct, to[i], *b], far);
            }
        }
        let before = self.between[..self.len].iter().any(|b| *b);
        let at = self.next;
        self.sketches[at] = *sketch;
        self.between[at] = found;
        for (k, d) in to.iter().enumerate() {
            self.distance[at][k] = *d;
            self.distance[k][at] = *d;
        }
        self.distance[at][at] = 0.0;
        self.next = (at + 1) % KEPT;
        self.len = (self.len + 1).min(KEPT);
        found && before
    }
}

/// True when the longest of three distances is hardly shorter than the other two together.
fn on_a_line([a, b, c]: [f32; 3], far: f32) -> bool {
    let longest = a.max(b).max(c);
    let shortest = a.min(b).min(c);
    // Without short circuits, so that the compiler can look at several pairs at once.
    (longest > far) & (a + b + c <= longest * (1.0 + DETOUR)) & (shortest >= longest * AWAY)
}
