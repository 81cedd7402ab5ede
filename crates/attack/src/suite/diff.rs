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
    out
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
        ] {
            let b = parse(&text.replace(from, to)).unwrap();
            assert_ne!(a.digest(), b.digest(), "{to}");
            assert_eq!(diff(&a, &b).len(), 1, "{to}: {:?}", diff(&a, &b));
        }
    }
}
