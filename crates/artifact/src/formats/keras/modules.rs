//! Where in Keras the building blocks of models are.

/// What a name in a configuration leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A building block of Keras.
    Keras,
    /// Keras, but not a building block of models.
    Inside,
    /// The script that loads the model, or code that must be registered first.
    Registered,
    /// A module that can do harm whatever is called.
    Dangerous,
    /// Some other module.
    Foreign,
}

/// Packages that are Keras.
const ROOTS: &[&str] =
    &["keras", "tf_keras", "tensorflow", "keras_core", "keras_nlp", "keras_hub", "keras_cv", "keras_tuner"];

/// Parts of Keras that do things: download, load, configure, export.
const ACTIVE: &[&str] = &[
    "utils",
    "config",
    "saving",
    "export",
    "datasets",
    "distribution",
    "trainers",
    "tree",
    "callbacks",
    "io",
    "python_platform",
    "data",
    "lite",
    "saved_model",
    "py_function",
    "load_library",
    "raw_ops",
    "wrappers",
    "file_utils",
    "python_utils",
    "compat",
    "io_utils",
    "testing",
    "visualization",
    "api_export",
    "platform",
    "lib",
];

/// Parts of Keras whose functions models use.
const FUNCTIONS: &[&str] = &[
    "activations",
    "losses",
    "metrics",
    "ops",
    "initializers",
    "regularizers",
    "constraints",
    "random",
    "nn",
    "math",
    "applications",
    "layers",
    "quantizers",
    "optimizers",
];

/// Modules outside of Keras that run, read or fetch something.
const DANGEROUS: &[&str] = &[
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "pty",
    "socket",
    "importlib",
    "runpy",
    "code",
    "codeop",
    "ctypes",
    "pickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "builtins",
    "__builtin__",
    "urllib",
    "http",
    "requests",
    "ftplib",
    "smtplib",
    "webbrowser",
    "tempfile",
    "pathlib",
    "io",
    "timeit",
    "pdb",
    "bdb",
    "cProfile",
    "profile",
    "trace",
    "asyncio",
    "multiprocessing",
    "threading",
    "signal",
    "platform",
    "pip",
    "setuptools",
    "distutils",
    "torch",
    "numpy",
    "operator",
    "functools",
    "types",
    "inspect",
    "ast",
    "site",
    "zipfile",
    "tarfile",
    "glob",
    "fileinput",
    "linecache",
    "logging",
    "configparser",
    "sqlite3",
    "ssl",
    "telnetlib",
    "xmlrpc",
    "antigravity",
    "this",
    "commands",
    "popen2",
];

/// Classes of `builtins` that Keras itself writes.
const PLAIN: &[&str] = &[
    "tuple",
    "list",
    "dict",
    "slice",
    "set",
    "frozenset",
    "str",
    "int",
    "float",
    "bool",
    "complex",
    "bytes",
    "type",
    "NoneType",
    "ellipsis",
];

/// Functions of `builtins` that do harm.
pub(super) const HARMFUL: &[&str] = &[
    "eval",
    "exec",
    "compile",
    "__import__",
    "open",
    "getattr",
    "setattr",
    "delattr",
    "globals",
    "locals",
    "vars",
    "input",
    "breakpoint",
    "memoryview",
    "map",
    "filter",
    "help",
    "__build_class__",
];

/// Judges `module` and the `name` in it; `function` when the configuration asks for a function.
pub(super) fn origin(module: Option<&str>, name: &str, function: bool) -> Origin {
    let Some(module) = module.filter(|m| !m.is_empty()) else { return Origin::Registered };
    let mut segments = module.split('.');
    let root = segments.next().unwrap_or_default();
    if module == "builtins" {
        return match (HARMFUL.contains(&name), function || PLAIN.contains(&name)) {
            (true, _) => Origin::Dangerous,
            // Keras writes this for a function of the training script.
            (false, true) => Origin::Registered,
            (false, false) => Origin::Dangerous,
        };
    }
    if module == "__main__" {
        return Origin::Registered;
    }
    if !ROOTS.contains(&root) {
        return if DANGEROUS.contains(&root) { Origin::Dangerous } else { Origin::Foreign };
    }
    // TensorFlow itself is not a place of layers; the Keras inside it is.
    if root == "tensorflow" && !module.split('.').any(|s| s == "keras") {
        return Origin::Inside;
    }
    // Classes have capitals; what has none is a function, whatever the file calls it.
    let function = function || name.starts_with(|c: char| c.is_ascii_lowercase());
    let rest: Vec<&str> = segments
        .filter(|s| {
            !matches!(
                *s,
                "src"
                    | "api"
                    | "_tf_keras"
                    | "keras"
                    | "python"
                    | "v1"
                    | "v2"
                    | "compat"
                    | "engine"
                    | "experimental"
            )
        })
        .collect();
    if rest.iter().any(|s| ACTIVE.contains(s) || s.starts_with("__")) {
        return Origin::Inside;
    }
    let known = rest.iter().any(|s| FUNCTIONS.contains(s));
    if function && !known { Origin::Inside } else { Origin::Keras }
}
