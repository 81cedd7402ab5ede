//! How two suites differ, one line each.

use super::{Step, Suite};

/// What differs between two suites, in words; empty when their digests are equal.
pub fn diff(a: &Suite, b: &Suite) -> Vec<String> {
    let mut out = Vec::new();
    let mut differ = |what: &str, a: String, b: String| {
        if a != b {
            out.push(format!("{what}: {a} against {b}"));
        }
    };
    differ("name", a.name.clone(), b.name.clone());
    differ("version", a.version.to_string(), b.version.to_string());
    differ("samples", a.samples.to_string(), b.samples.to_string());
    differ("seed", a.seed.to_string(), b.seed.to_string());
    differ("chain", a.chain.to_string(), b.chain.to_string());
    differ("keeps-min", shown(a.keeps_min.as_ref()), shown(b.keeps_min.as_ref()));
    for n in 0..a.steps.len().max(b.steps.len()) {
        match (a.steps.get(n), b.steps.get(n)) {
            (Some(one), Some(other)) => steps(n + 1, one, other, &mut out),
            (Some(one), None) => out.push(format!("step {} (`{}`) is in the first only", n + 1, one.label)),
            (None, Some(other)) => {
                out.push(format!("step {} (`{}`) is in the second only", n + 1, other.label))
            }
            (None, None) => {}
        }
    }
    listed("condition", &a.conditions, &b.conditions, |c| &c.label, &mut out);
    listed("change", &a.changes, &b.changes, |c| &c.label, &mut out);
    super::study::diff(&a.studies, &b.studies, &mut out);
    out
}

/// What differs between two lists of items that are known by their labels: which are in one only, and which keys of the others are unequal.
fn listed<T: serde::Serialize>(
    what: &str,
    a: &[T],
    b: &[T],
    label: impl Fn(&T) -> &String,
    out: &mut Vec<String>,
) {
    for one in a {
        let name = label(one);
        let Some(other) = b.iter().find(|o| label(o) == name) else {
            out.push(format!("{what} `{name}` is in the first only"));
            continue;
        };
        let (one, other) = (keys(one), keys(other));
        let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for key in names.into_iter().filter(|k| one.get(*k) != other.get(*k)) {
            let shown = |of: &serde_json::Map<String, serde_json::Value>| {
                of.get(key).map_or_else(|| "none".to_owned(), ToString::to_string)
            };
            out.push(format!("{what} `{name}`, {key}: {} against {}", shown(&one), shown(&other)));
        }
    }
    for other in b.iter().filter(|o| !a.iter().any(|one| label(one) == label(o))) {
        out.push(format!("{what} `{}` is in the second only", label(other)));
    }
    let order = |list: &[T]| list.iter().map(|i| label(i).clone()).collect::<Vec<_>>();
    if out.is_empty() && order(a) != order(b) {
        out.push(format!("the order of the {what}s"));
    }
}

fn keys<T: serde::Serialize>(item: &T) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(item) {
        Ok(serde_json::Value::Object(keys)) => keys,
        _ => serde_json::Map::new(),
    }
}

fn steps(n: usize, a: &Step, b: &Step, out: &mut Vec<String>) {
    let mut differ = |what: &str, one: String, other: String| {
        if one != other {
            out.push(format!("step {n} (`{}`), {what}: {one} against {other}", a.label));
        }
    };
    differ("label", a.label.clone(), b.label.clone());
    differ("attack", a.attack.clone(), b.attack.clone());
    differ("norm", a.norm.as_str().to_owned(), b.norm.as_str().to_owned());
    differ("epsilons", format!("{:?}", a.epsilons), format!("{:?}", b.epsilons));
    differ("for", format!("{:?}", a.subject), format!("{:?}", b.subject));
    differ("queries-max", shown(a.queries_max.as_ref()), shown(b.queries_max.as_ref()));
    differ("samples", shown(a.samples.as_ref()), shown(b.samples.as_ref()));
    let json = |step: &Step| serde_json::to_string(&step.parameters).unwrap_or_default();
    differ("parameters", json(a), json(b));
}

fn shown<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::parse;

    #[test]
    fn every_field_that_changes_the_digest_is_named() {
        let text = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n[[step]]\nattack = \"fgsm\"\nnorm = \"linf\"\nepsilons = [0.01]\n";
        let a = parse(text).unwrap();
        for (from, to) in [
            ("\"s\"", "\"t\""),
            ("version = 1", "version = 2"),
            ("samples = 10", "samples = 11"),
            ("samples = 10", "samples = 10\nseed = 3"),
            ("samples = 10", "samples = 10\nchain = true"),
            ("samples = 10", "samples = 10\nkeeps-min = 0.5"),
            ("linf", "l2"),
            ("0.01", "0.02"),
            ("[0.01]", "[0.01]\nfor = \"table\""),
            ("[0.01]", "[0.01]\nqueries-max = 9"),
            ("[0.01]", "[0.01]\nsamples = 9"),
            ("[0.01]", "[0.01]\nlabel = \"other\""),
            ("[0.01]", "[0.01]\n[[step]]\nattack = \"fgsm\"\nnorm = \"l2\"\nepsilons = [1]"),
            ("[0.01]", "[0.01]\n[[condition]]\nfamily = \"inversion\""),
            ("[0.01]", "[0.01]\n[[change]]"),
        ] {
            let b = parse(&text.replace(from, to)).unwrap();
            assert_ne!(a.digest(), b.digest(), "{to}");
            assert_eq!(diff(&a, &b).len(), 1, "{to}: {:?}", diff(&a, &b));
        }
    }

    #[test]
    fn conditions_and_changes_differ_key_by_key() {
        let text = "name = \"s\"\nversion = 1\ntitle = \"S\"\nsamples = 10\n[[condition]]\nfamily = \"rounding\"\nseverities = [1]\n[[change]]\nwithin = [1]\n";
        let a = parse(text).unwrap();
        for (from, to, expected) in [
            ("severities = [1]", "severities = [2]", "condition `rounding`, levels: [{\"severity\":1"),
            (
                "severities = [1]",
                "severities = [1]\nsamples = 4",
                "condition `rounding`, samples: none against 4",
            ),
            ("within = [1]", "within = [2]", "change `least-change`, within: [1.0] against [2.0]"),
            ("within = [1]", "within = [1]\nlabel = \"x\"", "change `least-change` is in the first only"),
        ] {
            let b = parse(&text.replace(from, to)).unwrap();
            assert!(diff(&a, &b)[0].starts_with(expected), "{:?}", diff(&a, &b));
        }
    }
}
