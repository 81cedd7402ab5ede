//! G012: what the model claims about drugs, doses and diseases, and what is known about it.

use std::sync::LazyLock;

use domain::{Entry, Severity, catalogue_entry};
use knowledge::{Claim, ClaimKind, Knowledge, Verdict};
use openai::Role;

use super::{Hit, RoleMode, RoleModes, Talk, TextGuard, Way};
use crate::settings::{Common, guard_settings};

catalogue_entry! {
    /// A statement about a drug, a dose, a disease or a measurement that the knowledge graph contradicts.
    ///
    /// ## What it is
    /// Finds claims in a reply (this drug for that disease, these two together, so much of it a day, this cures that)
    /// with negation, hedging and history, and asks the graph. The verdict is supported, contradicted or not known; with
    /// it stands the fact and its source. Contradicted claims count; the others are noted for whoever reads the reply.
    ///
    /// ## Why it matters in care
    /// A fluent answer with a tenfold dose or a contraindicated pair is read like any other. The person who reads it
    /// needs to see which sentence to check, and against what.
    ///
    /// ## Limits
    /// What the graph does not hold is not known, never wrong by itself; most true statements are not known to the
    /// shipped formulary of some three hundred drugs. Claims over several sentences, in tables or in other languages
    /// than English are not found. Measured rates: docs/knowledge.md.
    ///
    /// ## References
    /// Alber et al. 2025, doi 10.1038/s41591-024-03445-1; Harkema et al. 2009, doi 10.1016/j.jbi.2009.05.002;
    /// OWASP LLM09:2025 Misinformation.
    pub static ENTRY = {
        id: "G012", name: "clinical-claims", kind: Guard, since: "0.1.0", maps: ["CWE-1426", "AML.T0048"],
    };
}

guard_settings! {
    /// Settings of G012. Flags by default: a contradiction is a reason to look, not a proof.
    pub struct ClinicalClaimsSettings { mode: Flag, budget_us: 500_000 }
    /// Claims in the request: `off` (default), `observe`, `flag` or `block`. A question may well hold a wrong statement.
    requests: RoleMode = RoleMode::Off;
    /// Modes for single roles of the request, where `requests` is on.
    roles: RoleModes = RoleModes::default();
    /// Whether claims that are supported or not known are noted as well.
    annotate: bool = true;
}

/// The shipped graph with its automata: built once for the program, some tens of megabytes.
static CORE: LazyLock<Option<Knowledge<Vec<u8>>>> = LazyLock::new(|| Knowledge::core().ok());

pub(super) struct ClinicalClaims(pub(super) ClinicalClaimsSettings);

impl TextGuard for ClinicalClaims {
    fn entry(&self) -> &'static Entry {
        &ENTRY
    }

    fn common(&self) -> Common {
        self.0.common()
    }

    fn roles(&self) -> &RoleModes {
        &self.0.roles
    }

    fn reads(&self, way: Way) -> bool {
        way == Way::Out || self.0.requests != RoleMode::Off
    }

    fn mode(&self, way: Way, role: Role) -> Option<domain::GuardMode> {
        match way {
            Way::Out if matches!(role, Role::Assistant) => Some(self.0.mode),
            Way::Out => None,
            Way::In => self.0.roles.of(role, self.0.requests.mode()?),
        }
    }

    fn hits(&self, _way: Way, _role: Role, text: &str, _talk: &mut Talk) -> Vec<Hit> {
        let Some(core) = &*CORE else { return Vec::new() };
        let claims = core.claims(text).into_iter();
        claims
            .filter(|claim| claim.verdict == Verdict::Contradicted || self.0.annotate)
            .map(|claim| hit(&claim))
            .collect()
    }
}

fn hit(claim: &Claim) -> Hit {
    let severity = match (claim.verdict, claim.kind) {
        (Verdict::Contradicted, ClaimKind::Dose | ClaimKind::Contraindicated | ClaimKind::Together) => {
            Severity::High
        }
        (Verdict::Contradicted, _) => Severity::Medium,
        (Verdict::Supported | Verdict::NotKnown, _) => Severity::Info,
    };
    let message = format!("{} ({})", claim.verdict.words(), claim.kind.word());
    // What the reply is about belongs to the reply, and not to those who watch the gateway.
    let detail = claim.ground.as_ref().map(|ground| match ground.source.as_str() {
        "" => format!("{message}: {}", ground.fact),
        source => format!("{message}: {} [{source}]", ground.fact),
    });
    Hit {
        span: text::Span::new(claim.start, claim.end),
        severity,
        message,
        detail,
        technique: None,
        remedy: "check the sentence against the source that is named before it is used",
        replacement: None,
    }
}
