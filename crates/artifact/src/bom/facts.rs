//! One set of facts for the whole artefact, from those of its parts.

use std::collections::BTreeMap;

use crate::{Facts, Part};

/// The facts of all parts together: the first statement of each kind (outermost first), all libraries, operators and
/// data sets. Parameters are summed over the files of a format, and the format with most counts: shards add up, while
/// the same weights in two formats do not.
pub fn whole(part: &Part) -> Facts {
    let mut out = Facts::default();
    let mut parameters: BTreeMap<&str, u64> = BTreeMap::new();
    for part in part.walk() {
        let f = &part.facts;
        let first = |into: &mut Option<String>, from: &Option<String>| {
            if into.is_none() {
                into.clone_from(from);
            }
        };
        first(&mut out.framework, &f.framework);
        first(&mut out.architecture, &f.architecture);
        first(&mut out.licence, &f.licence);
        first(&mut out.producer, &f.producer);
        if out.inputs.is_empty() {
            out.inputs.clone_from(&f.inputs);
        }
        if out.outputs.is_empty() {
            out.outputs.clone_from(&f.outputs);
        }
        if let Some(n) = f.parameters {
            let sum = parameters.entry(part.format.as_str()).or_insert(0);
            *sum = sum.saturating_add(n);
        }
        for (name, n) in &f.operators {
            *out.operators.entry(name.clone()).or_insert(0) += n;
        }
        out.libraries.extend(f.libraries.iter().cloned());
        out.datasets.extend(f.datasets.iter().cloned());
        for (key, value) in &f.metadata {
            if !out.metadata.contains_key(key) {
                out.note(key.clone(), value);
            }
        }
    }
    out.parameters = parameters.values().copied().max();
    out
}

/// The family of a model by its operators or stated architecture, in the words of the field; `None` when it does not show.
pub(super) fn family(facts: &Facts) -> Option<&'static str> {
    let stated = facts.architecture.as_deref().unwrap_or_default().to_lowercase();
    let has = |names: &[&str]| {
        facts.operators.keys().any(|op| {
            let op = op.rsplit([':', '.', '/']).next().unwrap_or(op).to_lowercase();
            names.iter().any(|n| op.contains(n))
        }) || names.iter().any(|n| stated.contains(n))
    };
    if has(&["treeensemble", "gradientboost", "randomforest", "xgb", "lgbm", "decisiontree"]) {
        Some("tree ensemble")
    } else if has(&["attention", "layernorm", "transformer", "forcausallm", "rmsnorm", "bert"]) {
        Some("transformer")
    } else if has(&["conv"]) {
        Some("convolutional network")
    } else if has(&["lstm", "gru", "rnn"]) {
        Some("recurrent network")
    } else if has(&["linearclassifier", "linearregressor", "logisticregression", "svm"]) {
        Some("linear model")
    } else if has(&["gemm", "matmul", "dense", "mlp", "linear"]) {
        Some("multilayer perceptron")
    } else {
        None
    }
}
