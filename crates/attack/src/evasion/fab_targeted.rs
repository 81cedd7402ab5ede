//! Fast adaptive boundary towards one wrong class after the other.

use crate::evasion::fab::{Fab, Plan};
use crate::evasion::{Access, Evasion, Registered};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// The smallest change towards one wrong class after the other, the most likely first (targeted fast adaptive boundary).
    ///
    /// ## What it is
    /// `fab` with one wrong class at a time, so that a step costs one gradient however many classes there are. All classes are tried in the order of their scores at the
    /// start, at most `classes` (10) of them. Parameters as `fab`.
    ///
    /// ## Why it matters in care
    /// It shows which wrong class each patient is closest to, and by how much: confusing two benign findings is not the same as missing a malignant one.
    ///
    /// ## Limits
    /// As `fab`; one run for each class.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:2003.01690, section 5; the walk is that of arXiv:1907.02044.
    pub static ENTRY = { id: "X007", name: "fab-t", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: true,
    build: |given| Ok(Evasion::Gradients(Box::new(Fab { plan: Plan::read(given)?, targeted: true }))),
};

#[cfg(test)]
mod tests {
    use crate::evasion::tests::{check_breaks_the_linear_model, check_finds_the_smallest_change};

    #[test]
    fn it_breaks_what_lies_within_reach_and_nothing_else() {
        check_breaks_the_linear_model("fab-t", 0.99);
        check_finds_the_smallest_change("fab-t", 0.01);
    }
}
