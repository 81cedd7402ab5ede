//! V014: an exercise as evidence in the ledger: figures, and the digest of the whole scorecard.

use std::collections::BTreeMap;
use std::path::Path;

use access::{Action, Principal, Resource};
use attack::scorecard::{Scorecard, budget_text};
use domain::{Digest, Evidence, Location, Metric, Outcome, Record, Severity, Subject, SubjectRole, SystemId};

use super::data::bad;
use crate::admit::{Bench, finding};
use crate::{AppError, Hospital, checks, dataset};

/// Largest scorecard that is kept, bytes.
const CARD_BYTES_MAX: u64 = 64 << 20;
/// What an exercise speaks about.
const ROLES: [SubjectRole; 3] = [SubjectRole::Model, SubjectRole::Reference, SubjectRole::Inputs];
/// Most figures of one piece of evidence.
const FIGURES_MAX: usize = 40;
/// Loss of accuracy from which on a condition is named.
const CONDITION_COST: f64 = 0.1;
/// Most conditions named in one piece of evidence.
const CONDITIONS_MAX: usize = 10;

/// Reads the scorecard in `file` and keeps it as evidence about `id`. Returns its place in the ledger.
///
/// # Errors
/// When `who` may not, the file is not a scorecard of this system as it is now, or ledger or state cannot be written.
pub async fn keep(
    hospital: &Hospital,
    who: &Principal,
    id: &SystemId,
    file: &Path,
) -> Result<(u64, Evidence), AppError> {
    hospital.demand(who, Action::AdmitSystem, &Resource::System(id.clone()))?;
    let bytes = dataset::read_file(file, CARD_BYTES_MAX)
        .map_err(|e| bad(e.to_string().replace("reference data", "the scorecard")))?;
    keep_bytes(hospital, who, id, &bytes).await
}

/// The same of a scorecard in memory, without asking what `who` may do: the caller did, or ran the exercise itself.
pub(crate) async fn keep_bytes(
    hospital: &Hospital,
    who: &Principal,
    id: &SystemId,
    bytes: &[u8],
) -> Result<(u64, Evidence), AppError> {
    let card: Scorecard =
        serde_json::from_slice(bytes).map_err(|e| bad(format!("this is not a scorecard: {e}")))?;
    if card.subject.system.as_deref() != Some(id.as_str()) {
        return Err(bad(format!("this scorecard is not about `{id}`")));
    }
    let system = hospital.system(id)?;
    let subjects = hospital.subjects(&system);
    let by = who.id().to_string();
    let bench = Bench { system: &system, subjects: &subjects, now: hospital.now(), by: &by };
    let kept = hospital.blobs.put(bytes).map_err(|e| AppError::State(e.to_string()))?;
    let evidence = evidence(&bench, &card, kept);
    let index = hospital.record(Record::Evidence { evidence: evidence.clone() }).await?;
    hospital.refresh_gates().await?;
    hospital.touch_serving();
    Ok((index, evidence))
}

/// The evidence of a scorecard, kept under `digest`.
pub(crate) fn evidence(bench: &Bench<'_>, card: &Scorecard, digest: Digest) -> Evidence {
    let mut metrics = BTreeMap::from([
        ("accuracy".to_owned(), Metric::ratio(card.clean.all.share)),
        ("accuracy_low_95".to_owned(), Metric::ratio(card.clean.all.low)),
        ("accuracy_high_95".to_owned(), Metric::ratio(card.clean.all.high)),
        ("samples".to_owned(), Metric::count(card.samples.len())),
    ]);
    if let Some(kept) = card.kept() {
        metrics.insert("kept_at_smallest_budgets".to_owned(), Metric::ratio(kept));
    }
    for worst in card.worst.iter().filter(|w| w.robust.all.of > 0).take(FIGURES_MAX) {
        let name = format!("accuracy_{}_{}", worst.norm.as_str(), attack::scorecard::trim(worst.epsilon));
        metrics.insert(name, Metric::ratio(worst.robust.all.share));
    }
    disturbed(card, &mut metrics);
    super::studies::figures(card, &mut metrics);
    let mut parameters = BTreeMap::from([
        ("suite".to_owned(), format!("{} {}", card.suite.name, card.suite.version)),
        ("suite_digest".to_owned(), card.suite_digest.clone()),
        ("seed".to_owned(), card.suite.seed.to_string()),
        ("access".to_owned(), format!("{:?}", card.subject.access).to_lowercase()),
        ("scorecard".to_owned(), digest.to_string()),
    ]);
    if let Some(gateway) = &card.gateway {
        parameters.insert(
            "through".to_owned(),
            format!("gateway, {} keys a run, limits {}", gateway.keys, gateway.limits),
        );
        for seen in gateway.rows.iter().take(FIGURES_MAX) {
            let name = format!("not_past_guards_{}_{}", seen.step, attack::scorecard::trim(seen.epsilon));
            metrics.insert(name, Metric::ratio(1.0 - seen.slipped.share));
        }
    }
    bench.evidence(&checks::EXERCISE, &ROLES, outcome(bench.subjects, card), metrics, parameters)
}

/// Figures of conditions and plausible changes: the mean over all conditions, the worst of each that costs a tenth, and what flips patients.
fn disturbed(card: &Scorecard, metrics: &mut BTreeMap<String, Metric>) {
    let mut keep = |name: String, value: f64| drop(metrics.insert(name, Metric::ratio(value)));
    if let Some(quality) = &card.quality {
        let figures = [
            ("auc", quality.auc),
            ("calibration_error", quality.calibration_error),
            ("brier", quality.brier),
        ];
        figures
            .into_iter()
            .for_each(|(name, value)| value.into_iter().for_each(|v| keep(name.to_owned(), v)));
    }
    let means: Vec<f64> = card.condition_means.iter().filter_map(|m| m.right).collect();
    if !means.is_empty() {
        keep("accuracy_conditions_mean".to_owned(), numeric::mean(&means));
    }
    let costs = card.condition_means.iter().filter_map(|m| Some((m.difference?, m.right?, m)));
    let mut worst: Vec<_> = costs.filter(|(difference, ..)| *difference <= -0.1).collect();
    worst.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.condition.cmp(&b.2.condition)));
    for (_, right, mean) in worst.into_iter().take(CONDITIONS_MAX) {
        keep(format!("accuracy_condition_{}", mean.label), right);
    }
    for row in &card.changes {
        keep(format!("flipped_{}", row.label), row.flipped.share);
    }
}

/// Conditions that cost a tenth of the answers on average, the costliest first, in words.
fn costly(card: &Scorecard) -> Vec<(String, &str)> {
    let mut worst: Vec<_> = card
        .condition_means
        .iter()
        .filter_map(|m| Some((m.difference?, m.right?, m)))
        .filter(|(difference, ..)| *difference <= -CONDITION_COST)
        .collect();
    worst.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.condition.cmp(&b.2.condition)));
    let words = |(difference, right, mean): (f64, f64, &'_ attack::scorecard::ConditionMean)| {
        format!(
            "under `{}` accuracy is {:.1} % on average, {:.1} points less than undisturbed",
            mean.label,
            100.0 * right,
            -100.0 * difference
        )
    };
    worst.into_iter().take(CONDITIONS_MAX).map(|w| (words(w), w.2.label.as_str())).collect()
}

/// Clean when it is complete and enough stood; what fell within a budget is a finding in any case, and shuts no gate by itself.
fn outcome(subjects: &[Subject], card: &Scorecard) -> Outcome {
    let check = &checks::EXERCISE;
    let same = |role: SubjectRole, digest: &str| {
        subjects.iter().any(|s| s.role == role && s.digest.to_string() == digest)
    };
    if !same(SubjectRole::Model, &card.subject.model_digest)
        || !same(SubjectRole::Reference, &card.subject.data_digest)
    {
        return Outcome::inconclusive(
            check.id,
            "model or reference data changed while the exercise ran: run it again",
        );
    }
    if !card.complete {
        return Outcome::inconclusive(check.id, "the exercise is not complete: run it again with --resume");
    }
    let mut findings = Vec::new();
    if let (false, Some(kept), Some(min)) = (card.keeps(), card.kept(), card.suite.keeps_min) {
        let text = format!(
            "only {:.0} % of the right answers stand the smallest change of the suite `{}`, which asks for {:.0} %",
            100.0 * kept,
            card.suite.name,
            100.0 * min
        );
        findings.push(finding(
            check,
            Severity::High,
            Location::named("kept"),
            text,
            "harden the model, or accept the risk with a reason",
        ));
    }
    for warning in card.warnings.iter().take(5) {
        let place = Location::named(warning.about.as_str());
        findings.push(finding(
            check,
            Severity::Medium,
            place,
            warning.text.clone(),
            "read the scorecard before trusting its figures",
        ));
    }
    for (text, label) in costly(card) {
        let advice = "see the scorecard for whom it hits and what to do";
        findings.push(finding(check, Severity::Low, Location::named(label), text, advice));
    }
    let fell = card.worst.iter().filter(|w| w.robust.all.share < card.clean.all.share && w.robust.all.of > 0);
    for worst in fell.take(FIGURES_MAX) {
        let budget = budget_text(&card.subject.kind, worst.norm, worst.epsilon);
        let text = format!(
            "accuracy falls from {:.1} % to {:.1} % within {budget} ({})",
            100.0 * card.clean.all.share,
            100.0 * worst.robust.all.share,
            worst.norm.as_str()
        );
        findings.push(finding(
            check,
            Severity::Low,
            Location::named(worst.norm.as_str()),
            text,
            "see the scorecard for whom it hits and what to do",
        ));
    }
    for (label, severity, text) in super::studies::findings(card) {
        let advice = "see the scorecard for the dose, the queries or the rate, and what to do";
        findings.push(finding(check, severity, Location::named(label.as_str()), text, advice));
    }
    Outcome::from_findings(findings)
}
