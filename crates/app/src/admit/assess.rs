//! The checks of admission, each ending as evidence. Nothing here writes anything: bytes come in, findings go out.

use std::collections::{BTreeMap, BTreeSet};

use detect::{Fitted, GuardSet, Reference};
use domain::{
    Entry, Evidence, Finding, GuardMode, InputSchema, Location, Metric, Outcome, Severity, Subject,
    SubjectRole, Timestamp,
};
use numeric::Matrix;

use super::figures::{class_of, figures};
use crate::checks;
use crate::config::{Settings, SystemSettings};
use crate::dataset::{Dataset, Part};
use crate::scorer::{Scored, Scorer};

/// Seed of everything random in fitting: fixed, so that the same inputs give the same guards.
pub(crate) const FIT_SEED: u64 = 0x5EED;
/// Rows of the repeatability check.
const REPEAT_ROWS_MAX: usize = 256;
/// Findings listed per check; more of the same help nobody.
const FINDINGS_MAX: usize = 20;

/// Collects evidence with the fields that all pieces share.
pub(crate) struct Bench<'a> {
    pub(crate) system: &'a SystemSettings,
    pub(crate) subjects: &'a [Subject],
    pub(crate) now: Timestamp,
    pub(crate) by: &'a str,
}

impl Bench<'_> {
    /// Evidence of `check` over the subjects in `roles`.
    pub(crate) fn evidence(
        &self,
        check: &Entry,
        roles: &[SubjectRole],
        outcome: Outcome,
        metrics: BTreeMap<String, Metric>,
        parameters: BTreeMap<String, String>,
    ) -> Evidence {
        Evidence {
            check: check.id.to_owned(),
            system: self.system.id.clone(),
            subjects: self.subjects.iter().filter(|s| roles.contains(&s.role)).copied().collect(),
            made_at: self.now,
            by: self.by.to_owned(),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            parameters,
            outcome,
            metrics,
        }
    }
}

/// A finding of `check`.
pub(crate) fn finding(
    check: &Entry,
    severity: Severity,
    location: Location,
    message: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        check: check.id.to_owned(),
        severity,
        location,
        message: message.into(),
        technique: check.maps.iter().find(|m| m.starts_with("AML.T")).map(|&m| m.to_owned()),
        remedy: remedy.into(),
    }
}

/// V003: are the data fit to judge by?
pub(crate) fn reference_data(bench: &Bench<'_>, data: &Dataset) -> Evidence {
    let check = &checks::REFERENCE_DATA;
    let mut findings = Vec::new();
    let classes = bench.system.classes.len();
    for (name, part) in data.parts() {
        if part.labels.is_empty() {
            findings.push(finding(
                check,
                Severity::High,
                Location::named(name),
                "the split has no rows",
                "check the split column",
            ));
            continue;
        }
        let seen: BTreeSet<u32> = part.labels.iter().copied().collect();
        if seen.iter().any(|&c| c as usize >= classes) {
            let text = format!("a label is not one of the {classes} classes");
            findings.push(finding(
                check,
                Severity::High,
                Location::named(name),
                text,
                "check output.classes and the label column",
            ));
        } else if seen.len() < classes {
            findings.push(finding(
                check,
                Severity::High,
                Location::named(name),
                "a class is missing",
                "use a larger or stratified split",
            ));
        }
        findings.extend(out_of_range(check, name, part, &bench.system.schema));
    }
    findings.extend(leaks(check, data));
    findings.truncate(FINDINGS_MAX);
    let mut metrics: BTreeMap<String, Metric> = data
        .parts()
        .iter()
        .map(|(name, part)| (format!("rows_{name}"), Metric::count(part.labels.len())))
        .collect();
    metrics.insert("values_filled".into(), Metric::count(data.filled));
    bench.evidence(
        check,
        &[SubjectRole::Reference, SubjectRole::Inputs, SubjectRole::Bounds],
        Outcome::from_findings(findings),
        metrics,
        BTreeMap::new(),
    )
}

fn out_of_range(check: &Entry, name: &str, part: &Part, schema: &InputSchema) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut complain = |column: &str, wrong: usize| {
        if wrong > 0 {
            let text = format!("{wrong} values lie outside the declared range or are missing");
            let place = Location::named(format!("{name}.{column}"));
            out.push(finding(check, Severity::High, place, text, "correct the data or the declared range"));
        }
    };
    match schema {
        InputSchema::Table { features, .. } => {
            for (j, feature) in features.iter().enumerate() {
                let within = |v: f32| f64::from(v) >= feature.min && f64::from(v) <= feature.max;
                complain(&feature.name, part.inputs.iter_rows().filter(|row| !within(row[j])).count());
            }
        }
        InputSchema::Image { min, max, .. } => {
            let within = |v: &f32| f64::from(*v) >= *min && f64::from(*v) <= *max;
            complain("pixels", part.inputs.data.iter().filter(|v| !within(v)).count());
        }
    }
    out
}

/// Rows that stand in more than one split, compared by exact content.
fn leaks(check: &Entry, data: &Dataset) -> Vec<Finding> {
    let keys = |m: &Matrix| -> BTreeSet<domain::Digest> {
        m.iter_rows()
            .map(|row| {
                let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_bits().to_le_bytes()).collect();
                domain::Digest::of(&bytes)
            })
            .collect()
    };
    let [fit, calibrate, hold_out] = [&data.fit, &data.calibrate, &data.hold_out].map(|p| keys(&p.inputs));
    let pairs = [
        ("fit and hold-out", &fit, &hold_out, Severity::High),
        ("calibrate and hold-out", &calibrate, &hold_out, Severity::High),
        ("fit and calibrate", &fit, &calibrate, Severity::Medium),
    ];
    pairs
        .into_iter()
        .map(|(name, a, b, severity)| (name, a.intersection(b).count(), severity))
        .filter(|(_, n, _)| *n > 0)
        .map(|(name, n, severity)| {
            finding(
                check,
                severity,
                Location::named(name),
                format!("{n} identical rows stand in both splits"),
                "remove them from one",
            )
        })
        .collect()
}

/// Scores of the three splits.
pub(crate) struct Scores {
    pub(crate) fit: Scored,
    pub(crate) calibrate: Scored,
    pub(crate) hold_out: Scored,
}

/// V004: does it perform on held-out patients?
pub(crate) fn performance(bench: &Bench<'_>, data: &Dataset, scores: &Scores) -> Evidence {
    let check = &checks::PERFORMANCE;
    let bounds = &bench.system.acceptance;
    let figures = figures(&scores.hold_out.scores, &data.hold_out.labels);
    let mut findings = Vec::new();
    if figures.accuracy < bounds.accuracy_min {
        let text = format!("accuracy {:.3} is below the bound {:.3}", figures.accuracy, bounds.accuracy_min);
        findings.push(finding(
            check,
            Severity::High,
            Location::named("accuracy"),
            text,
            "do not deploy, or set the bound with a reason",
        ));
    }
    if let Some(auc) = figures.auc.filter(|auc| *auc < bounds.auc_min) {
        let text = format!("area under the ROC curve {auc:.3} is below the bound {:.3}", bounds.auc_min);
        findings.push(finding(
            check,
            Severity::High,
            Location::named("auc"),
            text,
            "do not deploy, or set the bound with a reason",
        ));
    }
    let mut metrics = BTreeMap::from([
        ("accuracy".to_owned(), Metric::ratio(figures.accuracy)),
        ("accuracy_low_95".to_owned(), Metric::ratio(figures.interval.0)),
        ("accuracy_high_95".to_owned(), Metric::ratio(figures.interval.1)),
        ("rows".to_owned(), Metric::count(figures.rows)),
    ]);
    if let Some(auc) = figures.auc {
        metrics.insert("auc".into(), Metric::ratio(auc));
    }
    let parameters = BTreeMap::from([
        ("accuracy_min".to_owned(), bounds.accuracy_min.to_string()),
        ("auc_min".to_owned(), bounds.auc_min.to_string()),
    ]);
    let roles = [SubjectRole::Model, SubjectRole::Reference, SubjectRole::Inputs, SubjectRole::Bounds];
    bench.evidence(check, &roles, Outcome::from_findings(findings), metrics, parameters)
}

/// V005: the same question, the same answer?
pub(crate) async fn repeatable(bench: &Bench<'_>, scorer: &Scorer, data: &Dataset) -> Evidence {
    let check = &checks::REPEATABLE;
    let rows = data.hold_out.inputs.rows.min(REPEAT_ROWS_MAX);
    let outcome = match repeat(bench, scorer, &data.hold_out.inputs, rows).await {
        Ok(findings) => Outcome::from_findings(findings),
        Err(error) => Outcome::inconclusive(check.id, error.to_string()),
    };
    let metrics = BTreeMap::from([("rows".to_owned(), Metric::count(rows))]);
    let roles = [SubjectRole::Model, SubjectRole::Reference, SubjectRole::Inputs];
    bench.evidence(check, &roles, outcome, metrics, BTreeMap::new())
}

async fn repeat(
    bench: &Bench<'_>,
    scorer: &Scorer,
    inputs: &Matrix,
    rows: usize,
) -> Result<Vec<Finding>, crate::AppError> {
    let check = &checks::REPEATABLE;
    let (schema, output) = (&bench.system.schema, &bench.system.output);
    let some: Vec<usize> = (0..rows).collect();
    let batch = inputs.select(&some);
    let first = scorer.score(schema, output, &batch).await?.scores;
    let second = scorer.score(schema, output, &batch).await?.scores;
    let bits = |m: &Matrix| m.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let mut findings = Vec::new();
    let remote = matches!(scorer, Scorer::Remote(_));
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4);
    if (!remote && bits(&first) != bits(&second)) || !near(&first.data, &second.data) {
        let text = "two runs of the same batch differ";
        findings.push(finding(
            check,
            Severity::High,
            Location::whole(),
            text,
            "ask the vendor for a deterministic model",
        ));
    }
    let mut apart = 0;
    for row in 0..rows {
        let alone = scorer.score(schema, output, &inputs.select(&[row])).await?.scores;
        let same = alone.rows == 1
            && near(alone.row(0), first.row(row))
            && class_of(alone.row(0)) == class_of(first.row(row));
        apart += usize::from(!same);
    }
    if apart > 0 {
        let text = format!("{apart} of {rows} rows get another answer alone than in a batch");
        findings.push(finding(
            check,
            Severity::High,
            Location::whole(),
            text,
            "ask the vendor; do not batch patients",
        ));
    }
    Ok(findings)
}

fn reference(part: &Part, scored: &Scored) -> Reference {
    Reference {
        inputs: part.inputs.clone(),
        labels: Some(part.labels.clone()),
        scores: Some(scored.scores.clone()),
        features: scored.features.clone(),
    }
}

/// V006: fits the guards.
pub(crate) fn fit_guards(bench: &Bench<'_>, data: &Dataset, scores: &Scores) -> (Evidence, Option<Fitted>) {
    let check = &checks::GUARDS_FITTED;
    let system = bench.system;
    let (fit, calibrate) = (reference(&data.fit, &scores.fit), reference(&data.calibrate, &scores.calibrate));
    let fitted = detect::fit(&system.guards, &system.schema, &fit, &calibrate, FIT_SEED);
    let outcome = match &fitted {
        Ok(_) => Outcome::Clean,
        Err(error) => Outcome::from_findings(vec![finding(
            check,
            Severity::High,
            Location::whole(),
            error.to_string(),
            "correct the reference data or the guard's settings",
        )]),
    };
    let metrics = BTreeMap::from([
        ("rows_fit".to_owned(), Metric::count(fit.inputs.rows)),
        ("rows_calibrate".to_owned(), Metric::count(calibrate.inputs.rows)),
    ]);
    let parameters = BTreeMap::from([("seed".to_owned(), FIT_SEED.to_string())]);
    let roles = [SubjectRole::Model, SubjectRole::Reference, SubjectRole::Guards, SubjectRole::Inputs];
    (bench.evidence(check, &roles, outcome, metrics, parameters), fitted.ok())
}

/// The guards of `system` as admission fits them: the same rows, settings and seed.
pub(crate) async fn fit_alone(
    system: &SystemSettings,
    scorer: &Scorer,
    data: &Dataset,
) -> Result<Fitted, crate::AppError> {
    let (schema, output) = (&system.schema, &system.output);
    let fit = reference(&data.fit, &scorer.score(schema, output, &data.fit.inputs).await?);
    let calibrate = reference(&data.calibrate, &scorer.score(schema, output, &data.calibrate.inputs).await?);
    detect::fit(&system.guards, schema, &fit, &calibrate, FIT_SEED)
        .map_err(|e| crate::AppError::BadInput(format!("the guards cannot be fitted: {e}")))
}

/// V007: tries the guards on held-out clean rows.
pub(crate) fn try_guards(bench: &Bench<'_>, set: &GuardSet, data: &Dataset, scores: &Scores) -> Evidence {
    let check = &checks::GUARDS_TRIED;
    let Ok(caller) = "admission".parse() else {
        return bench.evidence(
            check,
            &[],
            Outcome::inconclusive(check.id, "no caller"),
            BTreeMap::new(),
            BTreeMap::new(),
        );
    };
    let held_out = reference(&data.hold_out, &scores.hold_out);
    let evaluation = detect::evaluate(set, &held_out, &caller, &bench.system.id);
    let bound = bench.system.acceptance.false_alarm_max;
    let mut findings = Vec::new();
    let mut metrics = BTreeMap::new();
    let instances = set.instances();
    for (instance, rate) in &evaluation.guards {
        metrics.insert(format!("false_alarm_{instance}"), Metric::ratio(rate.rate));
        metrics.insert(format!("false_alarm_{instance}_high_95"), Metric::ratio(rate.interval.1));
        let blocks = instances.iter().any(|i| i.name == instance && i.mode == GuardMode::Block);
        if blocks && rate.rate > bound {
            let text = format!(
                "objects to {:.1} % of held-out clean rows, the bound is {:.1} %",
                100.0 * rate.rate,
                100.0 * bound
            );
            let remedy = "set the guard to `flag`, or refit it on data like the hospital's patients";
            findings.push(finding(check, Severity::High, Location::named(instance.as_str()), text, remedy));
        }
    }
    metrics.insert("rows".into(), Metric::count(held_out.inputs.rows));
    for (class, (share, _)) in evaluation.coverage.iter().enumerate() {
        metrics.insert(format!("coverage_class_{class}"), Metric::ratio(*share));
    }
    let parameters = BTreeMap::from([("false_alarm_max".to_owned(), bound.to_string())]);
    let roles = [
        SubjectRole::Model,
        SubjectRole::Reference,
        SubjectRole::Guards,
        SubjectRole::Inputs,
        SubjectRole::Bounds,
    ];
    bench.evidence(check, &roles, Outcome::from_findings(findings), metrics, parameters)
}

/// V008: are the callers known and limited?
pub(crate) fn callers(bench: &Bench<'_>, settings: &Settings) -> Evidence {
    let check = &checks::CALLERS_KNOWN;
    let callers = settings.clients.iter().filter(|c| c.systems.contains(&bench.system.id)).count();
    let mut findings = Vec::new();
    if callers == 0 {
        findings.push(finding(
            check,
            Severity::High,
            Location::whole(),
            "no client may ask this system",
            "declare a [[client]] with this system",
        ));
    }
    if settings.limits.client_rows_per_day == 0 {
        findings.push(finding(
            check,
            Severity::High,
            Location::named("client-rows-per-day"),
            "there is no daily budget",
            "set limits.client-rows-per-day",
        ));
    }
    let metrics = BTreeMap::from([("clients".to_owned(), Metric::count(callers))]);
    bench.evidence(
        check,
        &[SubjectRole::Integration],
        Outcome::from_findings(findings),
        metrics,
        BTreeMap::new(),
    )
}
