//! Auto-PGD on the difference of logits ratio; on two classes, on the margin.

use crate::evasion::apgd::{Aim, Plan};
use crate::evasion::{Access, Evasion, Registered};
use crate::loss::Loss;
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Auto-PGD on the difference of logits ratio; on two classes, where that ratio is undefined, on the margin.
    ///
    /// ## What it is
    /// The climb of `apgd-ce` on another hill: the best wrong score minus the true one, over the distance between the first and the third score. No scaling of the
    /// scores changes it. With two classes there is no third score, and other tools fail with an index error; here the margin takes its place: the difference of the
    /// two logits, whose gradient does not shrink either. Parameters as `apgd-ce`.
    ///
    /// ## Why it matters in care
    /// Most clinical models answer yes or no. A standard that only runs from three classes on does not cover them.
    ///
    /// ## Limits
    /// It needs the model's gradients. With three classes the ratio compares with the lowest score and is coarse. On two classes it is `apgd-ce` from other random starts.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:2003.01690, equation 6; the margin is that of Carlini and Wagner 2017, arXiv:1608.04644.
    pub static ENTRY = { id: "X004", name: "apgd-dlr", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: false,
    build: |given| Ok(Evasion::Gradients(Box::new(Plan::read(given)?.aimed(Aim::Loss(Loss::Dlr), 4)))),
};

#[cfg(test)]
mod tests {
    use crate::evasion::tests::check_breaks_the_linear_model;

    #[test]
    fn two_classes_are_attacked_as_any_others() {
        check_breaks_the_linear_model("apgd-dlr", 1.0);
    }
}
