//! V001 and V002: the model itself, and whether its inputs are the declared ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Evidence, InputSchema, Location, Metric, Outcome, Severity, SubjectRole};
use runtime::Dim;

use super::assess::{Bench, finding};
use crate::checks;
use crate::config::{Connection, ModelSource};
use crate::scorer::Scorer;

/// V001: does it load, or does the remote server state the declared identity?
pub(super) async fn loads(
    bench: &Bench<'_>,
    bytes: &Option<Result<Vec<u8>, String>>,
) -> (Evidence, Option<Scorer>) {
    let check = &checks::MODEL_LOADS;
    let mut metrics = BTreeMap::new();
    let mut parameters = BTreeMap::new();
    let loaded = match (&bench.system.model, bytes) {
        (ModelSource::Remote(connection), _) => connect(connection).await,
        (ModelSource::File(_), Some(Ok(bytes))) => {
            metrics.insert("bytes".to_owned(), Metric { value: bytes.len() as f64, unit: "By".into() });
            super::load_local(bytes)
        }
        (ModelSource::File(_), Some(Err(why))) => Err(why.clone()),
        (ModelSource::File(_), None) => Err("the model file was not read".to_owned()),
    };
    let outcome = match &loaded {
        Ok(Scorer::Local(model)) => {
            let summary = model.summary();
            metrics.insert(
                "parameters".into(),
                Metric::count(usize::try_from(summary.parameters).unwrap_or(usize::MAX)),
            );
            metrics.insert("nodes".into(), Metric::count(summary.operators.values().sum()));
            parameters.insert("operators".into(), operators(summary));
            Outcome::Clean
        }
        Ok(Scorer::Remote(_)) => Outcome::Clean,
        Err(why) => Outcome::inconclusive(check.id, format!("the model does not load: {why}")),
    };
    (bench.evidence(check, &[SubjectRole::Model], outcome, metrics, parameters), loaded.ok())
}

fn operators(summary: &runtime::Summary) -> String {
    let list: Vec<String> =
        summary.operators.iter().take(40).map(|(name, n)| format!("{name} {n}")).collect();
    list.join(", ")
}

/// Connects to a remote server and asks whether the model is there.
pub(crate) async fn connect(connection: &Connection) -> Result<Scorer, String> {
    let remote = crate::serving::remote(connection).map_err(|e| e.to_string())?;
    let metadata = remote.metadata().await.map_err(|e| e.to_string())?;
    if metadata.name != connection.name {
        return Err(format!(
            "the server calls its model `{}`",
            metadata.name.chars().take(80).collect::<String>()
        ));
    }
    Ok(Scorer::Remote(Arc::new(remote)))
}

/// V002: are the declared inputs the model's?
pub(super) async fn inputs(bench: &Bench<'_>, scorer: &Scorer) -> Evidence {
    let check = &checks::INPUTS_DECLARED;
    let findings = match scorer {
        Scorer::Local(model) => {
            let shape = |v: &runtime::ValueInfo| {
                v.shape.as_ref().map(|dims| {
                    dims.iter()
                        .map(|d| if let Dim::Fixed(n) = d { i64::try_from(*n).unwrap_or(-1) } else { -1 })
                        .collect()
                })
            };
            let inputs: Vec<_> = model.inputs().iter().map(|v| (v.name.clone(), shape(v))).collect();
            let outputs: Vec<_> = model.outputs().iter().map(|v| (v.name.clone(), shape(v))).collect();
            Ok(compare(bench, &inputs, &outputs))
        }
        Scorer::Remote(remote) => remote.metadata().await.map(|m| {
            let list = |specs: &[oip::TensorSpec]| -> Vec<(String, Option<Vec<i64>>)> {
                specs.iter().map(|s| (s.name.clone(), Some(s.shape.clone()))).collect()
            };
            compare(bench, &list(&m.inputs), &list(&m.outputs))
        }),
    };
    let outcome = match findings {
        Ok(findings) => Outcome::from_findings(findings),
        Err(error) => Outcome::inconclusive(check.id, error.to_string()),
    };
    let metrics = BTreeMap::from([("values".to_owned(), Metric::count(bench.system.schema.width()))]);
    bench.evidence(check, &[SubjectRole::Model, SubjectRole::Inputs], outcome, metrics, BTreeMap::new())
}

type Spec = (String, Option<Vec<i64>>);

/// -1 stands for a dimension that the graph leaves open.
fn compare(bench: &Bench<'_>, inputs: &[Spec], outputs: &[Spec]) -> Vec<domain::Finding> {
    let check = &checks::INPUTS_DECLARED;
    let schema = &bench.system.schema;
    let mut findings = Vec::new();
    let mut complain = |place: &str, text: String| {
        let remedy = "correct the declaration, or ask the vendor for the right file";
        findings.push(finding(check, Severity::High, Location::named(place), text, remedy));
    };
    let names = |specs: &[Spec]| specs.iter().map(|s| s.0.clone()).collect::<Vec<_>>().join(", ");
    match inputs {
        [(name, shape)] if name == schema.tensor() => {
            let declared: Vec<i64> =
                schema.shape(0).iter().map(|&d| i64::try_from(d).unwrap_or(-1)).collect();
            if let Some(shape) = shape {
                let fits = shape.len() == declared.len()
                    && shape.iter().zip(&declared).skip(1).all(|(graph, said)| *graph == -1 || graph == said);
                if !fits {
                    complain(
                        name,
                        format!(
                            "the model takes shape {shape:?}, declared is {declared:?} (first is the batch)"
                        ),
                    );
                }
            }
        }
        [(name, _)] => complain(schema.tensor(), format!("the model's input is called `{name}`")),
        more => complain(
            schema.tensor(),
            format!("the model has {} inputs ({}), one is declared", more.len(), names(more)),
        ),
    }
    match outputs.iter().find(|(name, _)| *name == bench.system.output) {
        None => {
            complain(&bench.system.output, format!("the model has no such output; it has {}", names(outputs)))
        }
        Some((name, Some(shape))) => {
            let classes = i64::try_from(bench.system.classes.len()).unwrap_or(-1);
            let last = shape.last().copied().unwrap_or(-1);
            let one_for_two = classes == 2 && (shape.len() == 1 || last == 1);
            if last != -1 && last != classes && !one_for_two {
                complain(name, format!("it gives {last} scores, {classes} classes are declared"));
            }
        }
        Some(_) => {}
    }
    if let InputSchema::Table { features, .. } = schema {
        for feature in features.iter().filter(|f| f.unit.trim().is_empty()) {
            complain(&feature.name, "it has no unit; write `1` for none".to_owned());
        }
    }
    findings
}
