//! The shape of code in text: calls, commands, markup.

use domain::Severity;

/// What was seen.
pub(super) struct Seen {
    /// For people.
    pub(super) kind: &'static str,
    /// How bad.
    pub(super) severity: Severity,
    /// Byte in the text.
    pub(super) at: usize,
}

/// Calls of Python and other languages: a name, white space, `(` and something inside.
const CALLS: &[&str] = &[
    "__import__",
    "eval",
    "exec",
    "execfile",
    "os.system",
    "os.popen",
    "os.remove",
    "os.unlink",
    "posix.system",
    "nt.system",
    "pty.spawn",
    "pickle.loads",
    "pickle.load",
    "marshal.loads",
    "dill.loads",
    "cloudpickle.loads",
    "base64.b64decode",
    "codecs.decode",
    "importlib.import_module",
    "socket.socket",
    "socket.create_connection",
    "urlopen",
    "urlretrieve",
    "requests.get",
    "requests.post",
    "ctypes.CDLL",
    "ctypes.cdll.LoadLibrary",
    "shutil.rmtree",
    "runpy.run_path",
    "runpy.run_module",
    "webbrowser.open",
    "zlib.decompress",
    "Runtime.getRuntime().exec",
    "ProcessBuilder",
    "child_process.exec",
    "child_process.spawn",
    "shell_exec",
    "passthru",
    "proc_open",
    "Invoke-Expression",
    "IEX",
    "DownloadString",
    "DownloadFile",
    "WScript.Shell",
    "unserialize",
    "Deno.run",
    "io.popen",
    "os.execute",
    "system2",
    "loadstring",
    "dyn.load",
];

/// Prefixes of calls: `subprocess.` and any name and `(`.
const CALL_PREFIXES: &[&str] =
    &["subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "ctypes.", "multiprocessing.Process"];

/// Fragments that are code wherever they stand.
const CODE: &[&str] = &[
    "__subclasses__",
    "__globals__",
    "__builtins__",
    "__mro__",
    "__reduce__",
    "__reduce_ex__",
    "__getattribute__(",
    "!!python/",
    "/dev/tcp/",
    "/dev/udp/",
    "${jndi:",
    "T(java.lang.",
    "java.lang.Runtime",
    "java.lang.ProcessBuilder",
    "System.Diagnostics.Process",
    "require('child_process",
    "require(\"child_process",
    "process.mainModule",
    ".constructor.constructor(",
    "<?php",
    "rm -rf /",
    "rm -rf *",
    "rm -rf ~",
    "rm -rf $",
    "rm -fr /",
    "mkfifo /",
    "nc -e ",
    "ncat -e ",
    "powershell -",
    "powershell.exe",
    "pwsh -",
    "cmd /c ",
    "cmd.exe /",
    "certutil -urlcache",
    "regsvr32 ",
    "rundll32 ",
    "mshta http",
    "bash -i",
    "bash -c ",
    "sh -c ",
    "/bin/sh -",
    "/bin/bash -",
    "| /bin/sh",
    "| /bin/bash",
    "python -c ",
    "python3 -c ",
    "perl -e ",
    "ruby -e ",
    "node -e ",
    "php -r ",
    "| base64 -d",
    "base64 --decode |",
    "base64 -d |",
    "authorized_keys",
    ".ssh/id_rsa",
    ".aws/credentials",
    "/etc/shadow",
    "/etc/passwd",
    "169.254.169.254",
    "chmod +x",
    "chmod 777",
    "schtasks /create",
    "crontab -",
    "vssadmin delete",
    "LD_PRELOAD=",
    "socat exec:",
    "#!/bin/",
    "#!/usr/bin/",
];

/// Markup that runs when a page shows it.
const MARKUP: &[&str] = &[
    "<script",
    "javascript:",
    "vbscript:",
    "<iframe",
    "<object data",
    "<embed src",
    "onerror=",
    "onload=",
    "onmouseover=",
    "onclick=",
    "onfocus=",
    "document.cookie",
    "document.location",
    "data:text/html",
    "srcdoc=",
];

/// Modules whose import in a statement, followed by another statement, is a program and not prose.
const MODULES: &[&str] = &[
    "os",
    "subprocess",
    "socket",
    "pty",
    "ctypes",
    "marshal",
    "builtins",
    "importlib",
    "runpy",
    "pickle",
    "shutil",
    "urllib",
    "requests",
    "base64",
    "sys",
    "code",
];

/// Programs that fetch something.
const FETCHERS: &[&str] = &["curl ", "wget ", "iwr ", "Invoke-WebRequest ", "bitsadmin "];
/// What makes fetching dangerous: it is run, saved or chained.
const CHAINS: &[&str] = &[
    "|sh",
    "| sh",
    "|bash",
    "| bash",
    "| zsh",
    "| sudo",
    "| python",
    "|python",
    "&&",
    ";",
    "$(",
    "`",
    "-o /",
    "-O /",
    "-d @",
    "--data",
    "--post-file",
    "--upload",
];

/// The first and worst thing in the text that is code.
pub(super) fn find(text: &str) -> Option<Seen> {
    let high = |kind, at| Some(Seen { kind, severity: Severity::High, at });
    for name in CALLS {
        if let Some(at) = call(text, name) {
            return high("a call that runs or fetches something", at);
        }
    }
    for prefix in CALL_PREFIXES {
        if let Some(at) = prefixed_call(text, prefix) {
            return high("a call that runs something", at);
        }
    }
    let lower = text.to_ascii_lowercase();
    for fragment in CODE {
        if let Some(at) = lower.find(&fragment.to_ascii_lowercase()) {
            return high("a command or code", at);
        }
    }
    if let Some(at) = import(text) {
        return high("a Python program", at);
    }
    if let Some(at) = fetch(text) {
        return high("a command that fetches and runs", at);
    }
    MARKUP.iter().find_map(|m| markup(&lower, m)).map(|at| Seen {
        kind: "active markup",
        severity: Severity::Medium,
        at,
    })
}

/// `name` as a whole word, then `(` with something inside it.
fn call(text: &str, name: &str) -> Option<usize> {
    positions(text, name).find(|at| {
        let before = text.get(..*at).and_then(|t| t.chars().next_back());
        let free = before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '/')));
        let after = text.get(at + name.len()..).unwrap_or_default().trim_start_matches(' ');
        // Prose puts a blank before a bracket and a word into it: `eval (top 5)`. Code seldom does.
        let gap = text.get(at + name.len()..).is_some_and(|t| t.starts_with(' '));
        let inside = after.strip_prefix('(').map(str::trim_start);
        let holds = inside.is_some_and(|i| !i.is_empty() && !i.starts_with(')'));
        free && holds && !(gap && !name.contains('.') && !name.contains('_'))
    })
}

fn prefixed_call(text: &str, prefix: &str) -> Option<usize> {
    positions(text, prefix).find(|at| {
        let free = text
            .get(..*at)
            .and_then(|t| t.chars().next_back())
            .is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
        let rest = text.get(at + prefix.len()..).unwrap_or_default();
        let name = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
        free && rest.as_bytes().get(name) == Some(&b'(')
            && rest.as_bytes().get(name + 1).is_some_and(|b| *b != b')')
    })
}

/// `import os` where a statement starts, and another statement after it.
fn import(text: &str) -> Option<usize> {
    ["import ", "from "].iter().find_map(|word| {
        positions(text, word).find(|at| {
            let before = text.get(..*at).unwrap_or_default().trim_end_matches([' ', '\t']);
            let starts = before.is_empty() || before.ends_with([';', '\n', '\'', '"', ':']);
            let rest = text.get(at + word.len()..).unwrap_or_default();
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let after = rest.get(name.len()..).unwrap_or_default();
            let uses = format!("{name}.");
            starts
                && MODULES.contains(&name.as_str())
                && after.contains([';', '\n'])
                && (after.contains(&uses) || after.starts_with(';'))
        })
    })
}

fn fetch(text: &str) -> Option<usize> {
    let at = FETCHERS.iter().find_map(|f| {
        positions(text, f).find(|at| {
            text.get(..*at).and_then(|t| t.chars().next_back()).is_none_or(|c| !c.is_alphanumeric())
        })
    })?;
    let rest = text.get(at..).unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let target = line.contains("://") || line.contains(" -");
    (target && CHAINS.iter().any(|c| line.contains(c))).then_some(at)
}

/// Attribute handlers only inside a tag, so that prose passes. `text` is in lower case.
fn markup(text: &str, fragment: &str) -> Option<usize> {
    let at = text.find(fragment)?;
    if fragment.starts_with("on") || fragment == "srcdoc=" {
        let tag = text.get(..at).is_some_and(|t| t.rfind('<') > t.rfind('>'));
        return tag.then_some(at);
    }
    Some(at)
}

fn positions<'t>(text: &'t str, needle: &'t str) -> impl Iterator<Item = usize> + 't {
    text.match_indices(needle).map(|(at, _)| at)
}
