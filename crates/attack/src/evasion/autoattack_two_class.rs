//! The ensemble for models with two classes.

use crate::evasion::ensemble::{Ensemble, Plan, When};
use crate::evasion::{Access, Evasion, Registered};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// The standard for models that answer yes or no: four attacks that need no tuning, all defined on two classes.
    ///
    /// ## What it is
    /// `apgd-ce`, then `apgd-dlr` on the margin, `fab` and `square`; each is given only the samples that the ones before could not break, and leaves a
    /// sample at the first row that breaks it. The published ensemble divides by the third score of a model and so fails with an index error where there are two; here
    /// every part has a two-class meaning. On two classes cross-entropy and margin climb the same hill, so the second climb is a fresh random start of the first;
    /// `fab` follows the boundary instead. `square` needs no gradient at all and shows whether those of the model mislead: it is tried with 1,000 queries, and where it breaks anything that the
    /// gradient attacks could not, or where one gradient in a hundred was empty, it is run with `queries` of them. Parameters: `steps` (100), `restarts` (5 at most, for what is near), `queries` (5000). It also runs on more classes.
    ///
    /// ## Why it matters in care
    /// Most clinical models are two-class. This is a fixed, documented test for them that two hospitals can run and compare.
    ///
    /// ## Limits
    /// It needs the model's gradients. Where `square` breaks what the three gradient attacks left standing, the model's gradients mislead: do not trust
    /// the figures of gradient attacks alone for it. Models that answer at random need `autoattack-rand`.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:2003.01690, for the parts; the margin: Carlini and Wagner 2017, arXiv:1608.04644.
    pub static ENTRY = { id: "X011", name: "autoattack-two-class", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
}

/// In the registry.
pub static ATTACK: Registered = Registered {
    entry: &ENTRY,
    needs: Access::Gradients,
    norms: &[Norm::Linf, Norm::L2, Norm::L1],
    minimal: false,
    build: |given| {
        let plan = Plan::read(given)?;
        let ensemble = Ensemble::of(&[
            ("apgd-ce", plan.climb(), When::Always),
            ("apgd-dlr", plan.climb(), When::Always),
            ("fab", plan.boundary(), When::Always),
            ("square", plan.trial(), When::Always),
            ("square", plan.square(), When::Misled),
        ])?;
        Ok(Evasion::Gradients(Box::new(ensemble)))
    },
};
