//! Gates: which controls are met, owed, stale, failed or accepted for the present content of a system, and why.
//!
//! Pure: evidence, subjects and time come in. A control is met only by evidence whose covered subjects have the same
//! digests now; so a changed byte makes exactly the evidence that covered it stale, and changing it back makes it good again.

use domain::{
    Acceptance, Control, Digest, Evidence, Outcome, Place, Requirement, Severity, Stage, Subject,
    SubjectRole, SystemId, Timestamp,
};
use serde::Serialize;

/// State of one control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// All its evidence is there and good.
    Met {
        /// Positions of the evidence in the ledger.
        evidence: Vec<u64>,
    },
    /// No evidence was ever made.
    Owed {
        /// Checks without evidence.
        checks: Vec<String>,
    },
    /// Evidence exists, for content that has changed since, or it is too old.
    Stale {
        /// What changed, one line each.
        why: Vec<String>,
    },
    /// The present content was checked and did not pass.
    Failed {
        /// What was found, one line each.
        why: Vec<String>,
    },
    /// Not met, but a person with the right role accepted the risk until a date.
    Accepted {
        /// Who.
        by: String,
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: String,
    },
}

impl Status {
    /// True when the control does not keep the gate shut.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Met { .. } | Self::Accepted { .. })
    }

    /// One word for pages.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Met { .. } => "met",
            Self::Owed { .. } => "owed",
            Self::Stale { .. } => "stale",
            Self::Failed { .. } => "failed",
            Self::Accepted { .. } => "accepted",
        }
    }

    /// The reason in one line.
    pub fn reason(&self) -> String {
        match self {
            Self::Met { evidence } => {
                let list: Vec<String> = evidence.iter().map(u64::to_string).collect();
                format!("ledger entry {}", list.join(", "))
            }
            Self::Owed { checks } => format!("no evidence of {} yet", checks.join(", ")),
            Self::Stale { why } | Self::Failed { why } => why.join("; "),
            Self::Accepted { by, until, reason } => format!("accepted by {by} until {until}: {reason}"),
        }
    }
}

/// One line of a gate report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlState {
    /// Id of the control.
    pub control: String,
    /// Its title.
    pub title: String,
    /// The stage that asks for it.
    pub stage: Stage,
    /// Its state.
    #[serde(flatten)]
    pub status: Status,
}

/// The gate of one system at one stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateReport {
    /// Which system.
    pub system: SystemId,
    /// Which stage.
    pub stage: Stage,
    /// Whether every control up to this stage passes.
    pub open: bool,
    /// All controls up to this stage.
    pub controls: Vec<ControlState>,
}

impl GateReport {
    /// Ids of the controls that keep the gate shut.
    pub fn because(&self) -> Vec<String> {
        self.controls.iter().filter(|c| !c.status.passes()).map(|c| c.control.clone()).collect()
    }
}

/// What is known about a system.
pub struct Knowledge<'a> {
    /// Which system.
    pub system: &'a SystemId,
    /// Its present content.
    pub subjects: &'a [Subject],
    /// All its evidence with ledger positions, oldest first.
    pub evidence: &'a [(u64, Evidence)],
    /// All acceptances, oldest first.
    pub acceptances: &'a [Acceptance],
    /// The present moment.
    pub now: Timestamp,
    /// Where the model runs.
    pub place: Place,
}

/// Judges the gate of `stage`: all controls of that stage and of the earlier ones.
pub fn judge(controls: &[Control], stage: Stage, known: &Knowledge<'_>) -> GateReport {
    let controls: Vec<ControlState> = controls
        .iter()
        .filter(|control| control.stage <= stage && control.only_for.is_none_or(|p| p == known.place))
        .map(|control| ControlState {
            control: control.id.clone(),
            title: control.title.clone(),
            stage: control.stage,
            status: judge_control(control, known),
        })
        .collect();
    let open = controls.iter().all(|c| c.status.passes());
    GateReport { system: known.system.clone(), stage, open, controls }
}

/// One requirement, judged.
enum Requirements {
    Met(u64),
    Owed(String),
    Stale(String),
    Failed(String),
}

fn judge_control(control: &Control, known: &Knowledge<'_>) -> Status {
    let (mut met, mut owed, mut stale, mut failed) = (vec![], vec![], vec![], vec![]);
    for requirement in &control.requires {
        match judge_requirement(requirement, known) {
            Requirements::Met(index) => met.push(index),
            Requirements::Owed(check) => owed.push(check),
            Requirements::Stale(why) => stale.push(why),
            Requirements::Failed(why) => failed.push(why),
        }
    }
    if owed.is_empty() && stale.is_empty() && failed.is_empty() {
        return Status::Met { evidence: met };
    }
    if let Some(accepted) = known.acceptances.iter().rev().find(|a| holds(a, control, known)) {
        return Status::Accepted {
            by: accepted.by.clone(),
            until: accepted.until,
            reason: accepted.reason.clone(),
        };
    }
    if !failed.is_empty() {
        Status::Failed { why: failed }
    } else if !stale.is_empty() {
        Status::Stale { why: stale }
    } else {
        Status::Owed { checks: owed }
    }
}

/// An acceptance holds until its date, from when it was made, for the content it was made for.
fn holds(acceptance: &Acceptance, control: &Control, known: &Knowledge<'_>) -> bool {
    acceptance.control == control.id
        && acceptance.system == *known.system
        && known.now < acceptance.until
        && control.requires.iter().flat_map(|r| &r.covers).all(|role| {
            // What was not there when the risk was accepted is not covered by it.
            let then = acceptance.subjects.iter().find(|s| s.role == *role).map(|s| s.digest);
            then.is_some() && then == now(known, *role)
        })
}

fn now(known: &Knowledge<'_>, role: SubjectRole) -> Option<Digest> {
    known.subjects.iter().find(|s| s.role == role).map(|s| s.digest)
}

fn judge_requirement(requirement: &Requirement, known: &Knowledge<'_>) -> Requirements {
    let mut newest_other = None;
    for (index, evidence) in known.evidence.iter().rev().filter(|(_, e)| e.check == requirement.check) {
        let changed = changes(requirement, evidence, known);
        if !changed.is_empty() {
            newest_other.get_or_insert((evidence, changed));
            continue;
        }
        let days = requirement.age_days_max.map(i64::from);
        if let Some(days) = days.filter(|days| known.now > evidence.made_at.plus_days(*days)) {
            return Requirements::Stale(format!("{} is older than {days} days", evidence.check));
        }
        return match passes(&evidence.outcome, requirement.shuts_from) {
            Ok(()) => Requirements::Met(*index),
            Err(why) => Requirements::Failed(format!("{}: {why}", evidence.check)),
        };
    }
    match newest_other {
        None => Requirements::Owed(requirement.check.clone()),
        Some((evidence, changed)) => {
            Requirements::Stale(format!("{} covered other content: {}", evidence.check, changed.join(", ")))
        }
    }
}

/// Evidence passes when it is clean or found nothing as bad as `shuts_from`. A doubt never passes.
fn passes(outcome: &Outcome, shuts_from: Severity) -> Result<(), String> {
    match outcome {
        Outcome::Inconclusive { doubt, .. } => Err(format!("could not decide: {}", doubt.reason)),
        _ => match outcome.findings().iter().find(|f| f.severity >= shuts_from) {
            None => Ok(()),
            Some(finding) => Err(finding.message.clone()),
        },
    }
}

/// Which covered subjects have other content now than the evidence saw.
fn changes(requirement: &Requirement, evidence: &Evidence, known: &Knowledge<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for role in &requirement.covers {
        let then = evidence.subjects.iter().find(|s| s.role == *role).map(|s| s.digest);
        let present = now(known, *role);
        match (then, present) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => out.push(format!("{role} changed from {} to {}", a.short(), b.short())),
            (Some(a), None) => out.push(format!("{role} {} is not there any more", a.short())),
            (None, _) => out.push(format!("{role} was not covered")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn subject(role: SubjectRole, content: &str) -> Subject {
        Subject { role, digest: Digest::of(content.as_bytes()) }
    }

    fn subjects(model: &str, reference: &str, guards: &str) -> Vec<Subject> {
        vec![
            subject(SubjectRole::Model, model),
            subject(SubjectRole::Reference, reference),
            subject(SubjectRole::Guards, guards),
            subject(SubjectRole::Inputs, "inputs"),
            subject(SubjectRole::Integration, "integration"),
            subject(SubjectRole::Origin, "signature and key"),
            subject(SubjectRole::Bounds, "accuracy of 0.9"),
        ]
    }

    fn evidence(check: &str, covers: &[SubjectRole], of: &[Subject], outcome: Outcome) -> Evidence {
        Evidence {
            check: check.to_owned(),
            system: "s".parse().unwrap(),
            subjects: of.iter().filter(|s| covers.contains(&s.role)).copied().collect(),
            made_at: Timestamp::from_millis(0),
            by: "asepsis".into(),
            tool: "test".into(),
            parameters: BTreeMap::new(),
            outcome,
            metrics: BTreeMap::new(),
        }
    }

    /// Evidence for everything that the shipped controls ask up to deployment.
    fn full(of: &[Subject]) -> Vec<(u64, Evidence)> {
        let controls = crate::controls::shipped().unwrap();
        let mut out = Vec::new();
        for requirement in controls.iter().filter(|c| c.stage <= Stage::Deployment).flat_map(|c| &c.requires)
        {
            out.push((
                out.len() as u64,
                evidence(&requirement.check, &requirement.covers, of, Outcome::Clean),
            ));
        }
        out
    }

    fn report(
        now: &[Subject],
        evidence: &[(u64, Evidence)],
        acceptances: &[Acceptance],
        ms: i64,
    ) -> GateReport {
        let system = "s".parse().unwrap();
        let known = Knowledge {
            system: &system,
            subjects: now,
            evidence,
            acceptances,
            now: Timestamp::from_millis(ms),
            place: Place::File,
        };
        judge(&crate::controls::shipped().unwrap(), Stage::Deployment, &known)
    }

    #[test]
    fn a_changed_byte_makes_exactly_the_evidence_that_covered_it_stale() {
        let before = subjects("m", "r", "g");
        let made = full(&before);
        assert!(report(&before, &made, &[], 1).open);
        for (after, expected) in [
            (
                subjects("M", "r", "g"),
                vec!["C001", "C002", "C011", "C012", "C013", "C004", "C005", "C014", "C006", "C007"],
            ),
            (subjects("m", "R", "g"), vec!["C003", "C004", "C005", "C014", "C006", "C007"]),
            (subjects("m", "r", "G"), vec!["C006", "C007"]),
        ] {
            let report = report(&after, &made, &[], 1);
            assert!(!report.open);
            assert_eq!(report.because(), expected);
            assert!(
                report.controls.iter().filter(|c| !c.status.passes()).all(|c| c.status.word() == "stale")
            );
        }
        assert!(report(&before, &made, &[], 1).open, "changing it back makes the evidence good again");
    }

    #[test]
    fn other_bounds_or_another_signature_make_what_they_shaped_stale() {
        let before = subjects("m", "r", "g");
        let made = full(&before);
        for (role, expected) in
            [(SubjectRole::Bounds, vec!["C003", "C004", "C007"]), (SubjectRole::Origin, vec!["C012"])]
        {
            let mut after = before.clone();
            after.retain(|s| s.role != role);
            after.push(subject(role, "another"));
            assert_eq!(report(&after, &made, &[], 1).because(), expected);
        }
    }

    #[test]
    fn a_remote_model_owes_nothing_about_a_file() {
        let system = "s".parse().unwrap();
        let now = subjects("m", "r", "g");
        let known = Knowledge {
            system: &system,
            subjects: &now,
            evidence: &[],
            acceptances: &[],
            now: Timestamp::from_millis(1),
            place: Place::Remote,
        };
        let report = judge(&crate::controls::shipped().unwrap(), Stage::Procurement, &known);
        assert_eq!(report.because(), ["C001", "C002"]);
    }

    #[test]
    fn a_medium_finding_in_the_file_shuts_and_elsewhere_does_not() {
        let now = subjects("m", "r", "g");
        let finding = |check: &str| domain::Finding {
            check: check.to_owned(),
            severity: Severity::Medium,
            location: domain::Location::whole(),
            message: "m".to_owned(),
            technique: None,
            remedy: "r".to_owned(),
        };
        for (check, expected) in [("V011", vec!["C011".to_owned()]), ("V001", vec![])] {
            let mut made = full(&now);
            let outcome = Outcome::from_findings(vec![finding(check)]);
            made.push((99, evidence(check, &[SubjectRole::Model], &now, outcome)));
            assert_eq!(report(&now, &made, &[], 1).because(), expected);
        }
    }

    #[test]
    fn without_evidence_everything_is_owed() {
        let report = report(&subjects("m", "r", "g"), &[], &[], 1);
        assert!(!report.open);
        assert!(report.controls.iter().all(|c| c.status.word() == "owed"));
    }

    #[test]
    fn a_doubtful_check_keeps_the_gate_shut() {
        let now = subjects("m", "r", "g");
        let mut made = full(&now);
        made.push((
            99,
            evidence("V001", &[SubjectRole::Model], &now, Outcome::inconclusive("V001", "no time")),
        ));
        let report = report(&now, &made, &[], 1);
        assert_eq!(report.because(), ["C001"], "the newest evidence counts");
    }

    #[test]
    fn an_acceptance_holds_until_its_date_and_for_its_content_only() {
        let now = subjects("m", "r", "g");
        let mut made = full(&now);
        made.retain(|(_, e)| e.check != "V004");
        let accepted = [Acceptance {
            system: "s".parse().unwrap(),
            control: "C004".into(),
            subjects: now.clone(),
            by: "gov".into(),
            made_at: Timestamp::from_millis(0),
            until: Timestamp::from_millis(100),
            reason: "vendor sends figures this week".into(),
        }];
        assert!(report(&now, &made, &accepted, 99).open);
        assert!(!report(&now, &made, &accepted, 100).open);
        assert!(!report(&subjects("M", "r", "g"), &made, &accepted, 99).open);
        let mut of_nothing = accepted.clone();
        of_nothing[0].subjects.clear();
        assert!(
            !report(&now, &made, &of_nothing, 99).open,
            "made while the content was missing, it covers none"
        );
    }
}
