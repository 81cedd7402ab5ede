//! The `AutoAttack` ensemble, standard version.

use crate::evasion::ensemble::{Ensemble, Plan, When};
use crate::evasion::{Access, Evasion, Registered};
use crate::norm::Norm;

domain::catalogue_entry! {
    /// Four attacks that need no tuning, one after the other, each on what still stands (`AutoAttack`, standard version).
    ///
    /// ## What it is
    /// `apgd-ce`, then `apgd-t`, `fab-t` and `square` with 5,000 queries; each is given only the samples that the ones before could not break, and leaves a sample at the first
    /// row that breaks it. The order and the numbers are those of the authors, save that samples near the boundary are started again up to `restarts` times and those far from it are given up early (see `apgd-ce`). With two classes `apgd-t` climbs the margin, so that it runs there as well. Parameters: `steps` (100), `restarts` (5 at most),
    /// `queries` (5000).
    ///
    /// ## Why it matters in care
    /// Robust accuracy under this ensemble is the figure that research papers and vendors quote: the one number that can be compared.
    ///
    /// ## Limits
    /// It needs the model's gradients. Models that answer at random need `autoattack-rand`. In L1, for which `square` has no form here, three attacks are run and the
    /// budgets are not widened on the way.
    ///
    /// ## References
    /// Croce and Hein 2020, arXiv:2003.01690.
    pub static ENTRY = { id: "X010", name: "autoattack", kind: Attack, since: "0.1.0", maps: ["AML.T0043.000", "NISTAML.022"] };
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
            ("apgd-t", plan.climb(), When::Always),
            ("fab-t", plan.boundary(), When::Always),
            ("square", plan.square(), When::Always),
        ])?;
        Ok(Evasion::Gradients(Box::new(ensemble)))
    },
};
