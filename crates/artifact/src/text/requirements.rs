//! Requirements of Python packages, line by line.

use domain::{Entry, Severity, catalogue_entry};

use crate::{Context, Part};

catalogue_entry! {
    /// Packages are installed from another place than the public index, or under a name made to be mistaken.
    ///
    /// ## What it is
    /// A line of `requirements.txt`, `conda.yaml` or `python_env.yaml` names another index, an address without
    /// encryption, a bare IP address, an archive at an address, a trusted host, a file outside the folder, or a package
    /// whose name is one letter away from a well known one.
    ///
    /// ## Why it matters in care
    /// The packages are installed and run with the model. Whoever owns the place decides what they do.
    ///
    /// ## Limits
    /// Whether a package on the public index is good is not known. Addresses of source forges with a fixed revision are
    /// only noted.
    ///
    /// ## References
    /// CWE-494 Download of Code Without Integrity Check; CWE-1357; PEP 508.
    pub static INSTALLS = {
        id: "S113", name: "installs-from-elsewhere", kind: Rule, since: "0.1.0",
        maps: ["AML.T0010.001", "CWE-494", "CWE-1357"],
    };
}

const REMEDY: &str =
    "install only from an index that your hospital controls, with pinned versions and hashes";

/// Packages whose names are imitated.
const KNOWN: [&str; 44] = [
    "torch",
    "torchvision",
    "tensorflow",
    "transformers",
    "numpy",
    "pandas",
    "scikit-learn",
    "requests",
    "urllib3",
    "mlflow",
    "monai",
    "keras",
    "pillow",
    "matplotlib",
    "cloudpickle",
    "joblib",
    "pyyaml",
    "jinja2",
    "setuptools",
    "cryptography",
    "pydicom",
    "nibabel",
    "simpleitk",
    "opencv-python",
    "lightgbm",
    "xgboost",
    "catboost",
    "safetensors",
    "tokenizers",
    "huggingface-hub",
    "accelerate",
    "datasets",
    "diffusers",
    "onnxruntime",
    "fastapi",
    "uvicorn",
    "flask",
    "django",
    "boto3",
    "botocore",
    "colorama",
    "python-dateutil",
    "beautifulsoup4",
    "openai",
];

/// Real packages that are close to one of [`KNOWN`].
const REAL: [&str; 16] = [
    "torchx",
    "pandas2",
    "flask2",
    "request",
    "datasette",
    "dataset",
    "keras2",
    "numpy2",
    "openapi",
    "keras",
    "django2",
    "jinja",
    "pillow2",
    "tokenizer",
    "diffuser",
    "accelerator",
];

/// Judges one requirement.
pub(crate) fn line(line: &str, part: &mut Part, cx: &mut Context<'_>) {
    let line = line.split(" #").next().unwrap_or_default().trim();
    if line.is_empty() || line.starts_with('#') || line.len() > 2000 {
        return;
    }
    let severity = judged(line);
    if let Some((severity, why)) = severity {
        cx.find(part, &INSTALLS, severity, None, format!("`{line}`: {why}"), REMEDY);
        return;
    }
    let name: String =
        line.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')).collect();
    if name.is_empty() || line.starts_with('-') || line.contains("://") {
        return;
    }
    if part.facts.libraries.len() < 300 {
        let pinned =
            line.split_once("==").map(|(_, v)| v.split([';', ' ', ',']).next().unwrap_or_default().trim());
        part.facts.libraries.insert(pinned.map_or_else(|| name.clone(), |v| format!("{name}=={v}")));
    }
    if let Some(meant) = imitates(&name) {
        cx.find(
            part,
            &INSTALLS,
            Severity::Medium,
            None,
            format!("`{name}` is one letter away from `{meant}`"),
            REMEDY,
        );
    }
}

fn judged(line: &str) -> Option<(Severity, &'static str)> {
    let lower = line.to_ascii_lowercase();
    let option = |names: &[&str]| {
        names
            .iter()
            .find_map(|n| lower.strip_prefix(n))
            .map(|rest| rest.trim_start_matches([' ', '=']).to_owned())
    };
    if let Some(address) =
        option(&["--index-url", "--extra-index-url", "-i ", "--find-links", "-f ", "--pypi-url"])
    {
        let known = [
            "https://pypi.org/",
            "https://download.pytorch.org/",
            "https://pypi.nvidia.com",
            "https://data.pyg.org/",
            "https://storage.googleapis.com/jax-releases/",
            "https://pypi.ngc.nvidia.com",
        ];
        if known.iter().any(|k| address.starts_with(k)) {
            return Some((Severity::Info, "an index of a well known publisher"));
        }
        return Some((Severity::Medium, "packages come from an index that is not the public one"));
    }
    if lower.starts_with("--trusted-host") || lower.contains(" --trusted-host") {
        return Some((Severity::Medium, "the identity of the index is not checked"));
    }
    if lower.starts_with("-e ")
        || lower.starts_with("--editable")
        || lower.starts_with("./")
        || lower.starts_with("../")
        || lower.starts_with('/')
        || lower.contains("file://")
    {
        let outside = lower.contains("..") || lower.starts_with('/') || lower.contains("file:///");
        return Some(if outside {
            (Severity::Medium, "a package from outside the folder")
        } else {
            (Severity::Low, "a package from a folder")
        });
    }
    let at = lower.find("://")?;
    let address = lower.get(at + 3..).unwrap_or_default();
    let host = address.split(['/', '@']).find(|p| p.contains('.')).unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    let scheme = lower.get(..at).unwrap_or_default();
    let plain = scheme.ends_with("http") || scheme.ends_with("ftp") || scheme.ends_with("git+git");
    let ip = !host.is_empty() && host.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain || ip {
        return Some((Severity::Medium, "a package from an address that is not protected"));
    }
    let forge = [
        "github.com",
        "gitlab.com",
        "bitbucket.org",
        "huggingface.co",
        "codeload.github.com",
        "download.pytorch.org",
        "storage.googleapis.com",
        "data.pyg.org",
        "dl.fbaipublicfiles.com",
    ];
    // The Python package index keeps its files on hosts below this name.
    if forge.contains(&host) || host.ends_with(".pythonhosted.org") {
        return Some((Severity::Low, "a package from a source forge"));
    }
    Some((Severity::Medium, "a package from an address"))
}

/// The well known package that a name imitates.
fn imitates(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
    if name.len() < 5 || KNOWN.contains(&name.as_str()) || REAL.contains(&name.as_str()) {
        return None;
    }
    KNOWN.iter().copied().find(|known| known.len() >= 5 && is_one_edit(&name, known))
}

/// One letter changed, left out, added, or two neighbours exchanged.
fn is_one_edit(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let front = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.get(front..).unwrap_or_default(), b.get(front..).unwrap_or_default());
    let rest = |s: &[u8], n: usize| s.get(n..).map(<[u8]>::to_vec);
    match (a.len(), b.len()) {
        (x, y) if x == y => {
            rest(a, 1) == rest(b, 1) || x >= 2 && a[0] == b[1] && a[1] == b[0] && rest(a, 2) == rest(b, 2)
        }
        // A digit or letter at the end (`numpy2`, `torchx`) is how real packages name themselves after others.
        (x, y) if x == y + 1 => !b.is_empty() && rest(a, 1).as_deref() == Some(b),
        (x, y) if x + 1 == y => rest(b, 1).as_deref() == Some(a) && !a.is_empty(),
        _ => false,
    }
}

/// Whether lines are requirements.
pub(crate) fn looks_like(text: &str) -> bool {
    let mut lines = 0;
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).take(300) {
        lines += 1;
        let option = line.starts_with("--")
            || line.starts_with("-r ")
            || line.starts_with("-e ")
            || line.starts_with("-i ")
            || line.starts_with("-f ")
            || line.starts_with("-c ");
        let name = line.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')).count();
        let rest = line.get(name..).unwrap_or_default().trim_start();
        let pinned =
            name > 0 && (rest.is_empty() || rest.starts_with(['=', '>', '<', '~', '!', '[', ';', '@', '#']));
        let address =
            line.contains("://") && !line.contains(' ') || line.starts_with("git+") || line.starts_with("./");
        if !(option || pinned || address) {
            return false;
        }
    }
    lines > 0
}

/// Entries of this file.
pub(crate) const ENTRIES: &[&Entry] = &[&INSTALLS];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Verdict};

    fn verdict(text: &str) -> Verdict {
        let limits = Limits::default();
        let (mut cx, mut part) = (Context::new(&limits), Part::new("x", "text", 0));
        line(text, &mut part, &mut cx);
        part.verdict()
    }

    #[test]
    fn installs_from_elsewhere_are_found() {
        for text in [
            "--index-url https://pypi.evil.example/simple",
            "--extra-index-url=http://10.0.0.1/simple",
            "-i https://e.example/simple",
            "torch @ https://e.example/torch.whl",
            "git+http://github.com/a/b",
            "http://1.2.3.4/x.tar.gz",
            "--trusted-host e.example",
            "../x",
            "file:///tmp/x.whl",
            "reqeusts==2.0",
            "pandsa",
            "transfomers",
            "scikit-larn",
        ] {
            assert_eq!(verdict(text), Verdict::Found, "{text}");
        }
    }

    #[test]
    fn ordinary_requirements_are_clean() {
        for text in [
            "torch==2.1.0",
            "numpy>=1.26,<2",
            "scikit_learn==1.4",
            "--extra-index-url https://download.pytorch.org/whl/cu118",
            "git+https://github.com/huggingface/transformers@v4.40.0",
            "# comment",
            "-r other.txt",
            "torchx",
            "pandas",
            "mlflow[extras]==2.9 ; python_version > '3.8'",
            "numba",
            "python=3.10",
            "torchaudio",
            "tensorflow-cpu",
        ] {
            assert_eq!(verdict(text), Verdict::Clean, "{text}");
        }
    }
}
