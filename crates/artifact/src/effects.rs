//! What a dotted Python name does when it is called: the knowledge that readers of text and of configuration share.

/// What calling a name does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing outside its arguments.
    Harmless,
    /// Runs commands, code it is given, or a program.
    Executes,
    /// Loads machine code.
    Native,
    /// Loads a module or object by a name that it is given.
    Imports,
    /// Fetches from the network.
    Fetches,
    /// Sends to the network, or opens a connection.
    Sends,
    /// Reads a format that can run code (pickle and the like).
    Unpickles,
    /// Loads a checkpoint of a framework, which may be a pickle.
    LoadsWeights,
    /// Opens a file, for reading or writing.
    Opens,
    /// Changes or removes files.
    Writes,
    /// Not known.
    Unknown,
}

use Effect::{Executes, Fetches, Harmless, Imports, LoadsWeights, Native, Opens, Sends, Unknown, Unpickles, Writes};

/// Exact names; looked at before the prefixes.
const NAMES: &[(&str, Effect)] = &[
    ("asyncio.create_subprocess_exec", Executes),
    ("asyncio.create_subprocess_shell", Executes),
    ("asyncio.subprocess.create_subprocess_shell", Executes),
    ("builtins.__import__", Imports),
    ("builtins.breakpoint", Executes),
    ("builtins.compile", Executes),
    ("builtins.eval", Executes),
    ("builtins.exec", Executes),
    ("builtins.execfile", Executes),
    ("builtins.getattr", Imports),
    ("builtins.open", Opens),
    ("cProfile.run", Executes),
    ("cProfile.runctx", Executes),
    ("codecs.open", Opens),
    ("ctypes.CDLL", Native),
    ("ctypes.PyDLL", Native),
    ("ctypes.WinDLL", Native),
    ("ctypes.cdll.LoadLibrary", Native),
    ("distutils.spawn.spawn", Executes),
    ("distutils.file_util.write_file", Writes),
    ("gdown.download", Fetches),
    ("hydra.utils.get_class", Imports),
    ("hydra.utils.get_method", Imports),
    ("hydra.utils.get_object", Imports),
    ("importlib.import_module", Imports),
    ("importlib.__import__", Imports),
    ("importlib.reload", Imports),
    ("importlib.util.module_from_spec", Imports),
    ("importlib.util.spec_from_file_location", Imports),
    ("io.FileIO", Opens),
    ("io.open", Opens),
    ("joblib.load", LoadsWeights),
    ("jsonpickle.decode", Unpickles),
    ("keras.utils.get_file", Fetches),
    ("keras.models.load_model", LoadsWeights),
    ("logging.config.dictConfig", Imports),
    ("logging.config.fileConfig", Executes),
    ("logging.config.listen", Executes),
    ("marshal.load", Executes),
    ("marshal.loads", Executes),
    ("mmap.mmap", Opens),
    ("monai.apps.download_and_extract", Fetches),
    ("monai.apps.download_url", Fetches),
    ("monai.apps.utils.download_url", Fetches),
    ("monai.bundle.download", Fetches),
    ("monai.bundle.run", Executes),
    ("monai.bundle.scripts.run", Executes),
    ("monai.bundle.scripts.download", Fetches),
    ("monai.utils.module.run_debug", Executes),
    ("monai.utils.module.run_eval", Executes),
    ("nltk.data.load", Unpickles),
    ("numexpr.evaluate", Executes),
    ("numpy.core.multiarray.fromfile", Harmless),
    ("numpy.load", LoadsWeights),
    ("operator.attrgetter", Imports),
    ("operator.methodcaller", Imports),
    ("os.chmod", Writes),
    ("os.chown", Writes),
    ("os.fdopen", Opens),
    ("os.fork", Executes),
    ("os.forkpty", Executes),
    ("os.kill", Executes),
    ("os.link", Writes),
    ("os.open", Opens),
    ("os.popen", Executes),
    ("os.putenv", Harmless),
    ("os.remove", Writes),
    ("os.removedirs", Writes),
    ("os.rename", Writes),
    ("os.renames", Writes),
    ("os.replace", Writes),
    ("os.rmdir", Writes),
    ("os.startfile", Executes),
    ("os.symlink", Writes),
    ("os.system", Executes),
    ("os.truncate", Writes),
    ("os.unlink", Writes),
    ("pandas.eval", Executes),
    ("pandas.read_pickle", Unpickles),
    ("pathlib.Path.chmod", Writes),
    ("pathlib.Path.open", Opens),
    ("pathlib.Path.rename", Writes),
    ("pathlib.Path.rmdir", Writes),
    ("pathlib.Path.symlink_to", Writes),
    ("pathlib.Path.unlink", Writes),
    ("pathlib.Path.write_bytes", Writes),
    ("pathlib.Path.write_text", Writes),
    ("pkgutil.resolve_name", Imports),
    ("platform.popen", Executes),
    ("profile.run", Executes),
    ("profile.runctx", Executes),
    ("pydoc.locate", Imports),
    ("pydoc.pipepager", Executes),
    ("pydoc.tempfilepager", Executes),
    ("shutil.chown", Writes),
    ("shutil.copy", Writes),
    ("shutil.copy2", Writes),
    ("shutil.copyfile", Writes),
    ("shutil.copytree", Writes),
    ("shutil.make_archive", Writes),
    ("shutil.move", Writes),
    ("shutil.rmtree", Writes),
    ("shutil.unpack_archive", Writes),
    ("signal.signal", Harmless),
    ("sympy.parse_expr", Executes),
    ("sympy.parsing.sympy_parser.parse_expr", Executes),
    ("sympy.sympify", Executes),
    ("sys.setprofile", Executes),
    ("sys.settrace", Executes),
    ("tensorflow.keras.utils.get_file", Fetches),
    ("tensorflow.load_library", Native),
    ("tensorflow.load_op_library", Native),
    ("tensorflow.py_function", Executes),
    ("tensorflow.io.write_file", Writes),
    ("timeit.main", Executes),
    ("timeit.repeat", Executes),
    ("timeit.timeit", Executes),
    ("timeit.Timer", Executes),
    ("torch.classes.load_library", Native),
    ("torch.hub.download_url_to_file", Fetches),
    ("torch.hub.load", Executes),
    ("torch.hub.load_state_dict_from_url", Fetches),
    ("torch.jit.load", LoadsWeights),
    ("torch.load", LoadsWeights),
    ("torch.ops.load_library", Native),
    ("torch.package.PackageImporter", Executes),
    ("torch.storage._load_from_bytes", Unpickles),
    ("torch.utils.cpp_extension.load", Native),
    ("torch.utils.cpp_extension.load_inline", Native),
    ("torch.jit.unsupported_tensor_ops.execWrapper", Executes),
    ("types.CodeType", Executes),
    ("types.FunctionType", Executes),
    ("urllib.request.urlretrieve", Fetches),
    ("urllib.urlopen", Fetches),
    ("urllib.urlretrieve", Fetches),
    ("webbrowser.open", Executes),
    ("webbrowser.open_new", Executes),
    ("webbrowser.open_new_tab", Executes),
    ("wget.download", Fetches),
    ("yaml.full_load", Unpickles),
    ("yaml.load", Unpickles),
    ("yaml.load_all", Unpickles),
    ("yaml.unsafe_load", Unpickles),
    ("yaml.unsafe_load_all", Unpickles),
    ("zipfile.ZipFile.extractall", Writes),
];

/// Names by how they begin. A prefix that ends in a dot covers what is in a module.
const PREFIXES: &[(&str, Effect)] = &[
    ("urllib.parse.", Harmless),
    ("urllib.error.", Harmless),
    ("http.HTTPStatus", Harmless),
    ("requests.exceptions.", Harmless),
    ("subprocess.PIPE", Harmless),
    ("subprocess.DEVNULL", Harmless),
    ("subprocess.STDOUT", Harmless),
    ("subprocess.CalledProcessError", Harmless),
    ("subprocess.TimeoutExpired", Harmless),
    ("subprocess.SubprocessError", Harmless),
    ("subprocess.CompletedProcess", Harmless),
    ("socket.gethostname", Harmless),
    ("socket.timeout", Harmless),
    ("socket.error", Harmless),
    ("socket.AF_", Harmless),
    ("socket.SOCK_", Harmless),
    ("pickle.dump", Harmless),
    ("pickle.HIGHEST_PROTOCOL", Harmless),
    ("pickle.PickleError", Harmless),
    ("pickle.UnpicklingError", Harmless),
    ("pickle.PicklingError", Harmless),
    ("cloudpickle.dump", Harmless),
    ("dill.dump", Harmless),
    ("os.exec", Executes),
    ("os.popen", Executes),
    ("os.posix_spawn", Executes),
    ("os.spawn", Executes),
    ("posix.", Executes),
    ("nt.", Executes),
    ("subprocess.", Executes),
    ("_posixsubprocess.", Executes),
    ("commands.", Executes),
    ("popen2.", Executes),
    ("pty.", Executes),
    ("pexpect.", Executes),
    ("ptyprocess.", Executes),
    ("plumbum.", Executes),
    ("sh.", Executes),
    ("invoke.", Executes),
    ("fabric.", Executes),
    ("runpy.", Executes),
    ("code.", Executes),
    ("codeop.", Executes),
    ("pdb.", Executes),
    ("bdb.", Executes),
    ("trace.Trace", Executes),
    ("doctest.", Executes),
    ("idlelib.", Executes),
    ("lib2to3.", Executes),
    ("ensurepip.", Executes),
    ("pip.", Executes),
    ("pip_main", Executes),
    ("setuptools.sandbox.", Executes),
    ("setuptools.command.", Harmless),
    ("IPython.", Executes),
    ("numpy.f2py.", Executes),
    ("numpy.testing._private.utils.runstring", Executes),
    ("numpy.testing.runstring", Executes),
    ("numpy.distutils.exec_command.", Executes),
    ("torch.utils.collect_env.", Executes),
    ("torch.utils.bottleneck.", Executes),
    ("torch.distributed.run", Executes),
    ("torch.distributed.launch", Executes),
    ("torch.distributed.elastic.multiprocessing.", Executes),
    ("torch._inductor.codecache.", Executes),
    ("mlflow.projects.", Executes),
    ("mlflow.utils.process.", Executes),
    ("accelerate.commands.", Executes),
    ("importlib.machinery.", Imports),
    ("imp.", Imports),
    ("zipimport.", Imports),
    ("pkg_resources.", Harmless),
    ("ctypes.windll", Native),
    ("ctypes.cdll.", Native),
    ("cffi.", Native),
    ("win32api.", Executes),
    ("winreg.", Writes),
    ("_winreg.", Writes),
    ("socket.", Sends),
    ("socketserver.", Sends),
    ("http.server.", Sends),
    ("http.client.", Sends),
    ("httplib.", Sends),
    ("smtplib.", Sends),
    ("ftplib.", Sends),
    ("telnetlib.", Sends),
    ("paramiko.", Sends),
    ("websocket.", Sends),
    ("websockets.", Sends),
    ("xmlrpc.", Sends),
    ("imaplib.", Sends),
    ("poplib.", Sends),
    ("nntplib.", Sends),
    ("requests.post", Sends),
    ("requests.put", Sends),
    ("requests.patch", Sends),
    ("requests.delete", Sends),
    ("requests.request", Sends),
    ("requests.Session.post", Sends),
    ("requests.Session.put", Sends),
    ("requests.", Fetches),
    ("httpx.post", Sends),
    ("httpx.put", Sends),
    ("httpx.", Fetches),
    ("aiohttp.", Fetches),
    ("urllib.request.", Fetches),
    ("urllib2.", Fetches),
    ("urllib3.", Fetches),
    ("pycurl.", Fetches),
    ("pickle.", Unpickles),
    ("_pickle.", Unpickles),
    ("cPickle.", Unpickles),
    ("dill.", Unpickles),
    ("cloudpickle.", Unpickles),
    ("shelve.", Unpickles),
];

/// Names of the built-in module, without it.
pub(crate) const BUILTINS: [&str; 12] = [
    "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "execfile", "getattr", "globals", "locals",
    "open", "setattr",
];

/// What calling `dotted` does. Known aliases of modules are undone (`np` is not one: that is the reader's).
pub(crate) fn of(dotted: &str) -> Effect {
    let dotted = dotted.strip_prefix("__builtin__.").map_or_else(|| dotted.to_owned(), |rest| format!("builtins.{rest}"));
    let dotted = match dotted.strip_prefix("__builtins__.") {
        Some(rest) => format!("builtins.{rest}"),
        None if !dotted.contains('.') && BUILTINS.contains(&dotted.as_str()) => format!("builtins.{dotted}"),
        None => dotted,
    };
    // `posixpath.os.system`, `torch.os.system`, `shutil.os.popen`: a module reached through another is that module.
    for module in ["os", "sys", "subprocess", "builtins", "importlib", "shutil", "socket", "pty", "runpy"] {
        if let Some(at) = dotted.find(&format!(".{module}."))
            && let Some(inner) = dotted.get(at + 1..)
        {
            let effect = direct(inner);
            if effect != Unknown {
                return effect;
            }
        }
    }
    direct(&dotted)
}

fn direct(dotted: &str) -> Effect {
    if let Some((_, effect)) = NAMES.iter().find(|(name, _)| *name == dotted) {
        return *effect;
    }
    PREFIXES.iter().find(|(prefix, _)| dotted.starts_with(prefix)).map_or(Unknown, |(_, effect)| *effect)
}

/// Modules of the standard library that a configuration may name without doing anything outside.
const PLAIN_MODULES: [&str; 34] = [
    "abc", "array", "ast", "bisect", "builtins", "calendar", "collections", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "glob", "hashlib", "heapq", "itertools", "json", "logging",
    "math", "numbers", "operator", "os.path", "pathlib", "queue", "random", "re", "statistics", "string", "time",
    "typing", "uuid",
];

/// Modules of the standard library in which a name that is not known to be harmless is a reason to stop.
const DEEP_MODULES: [&str; 42] = [
    "_thread", "asyncio", "atexit", "bdb", "cProfile", "cgi", "cmd", "code", "codecs", "codeop", "concurrent", "ctypes", "dis",
    "distutils", "ensurepip", "faulthandler", "fileinput", "gc", "imp", "importlib", "inspect", "linecache", "mailcap",
    "marshal", "mmap", "modulefinder", "multiprocessing", "nturl2path", "os", "pdb", "pickletools", "platform",
    "posixpath", "profile", "pydoc", "resource", "sched", "signal", "site", "sys", "tempfile", "types",
];

/// Whether a name in a configuration lies in a part of Python that no model's configuration needs.
pub(crate) fn is_deep(dotted: &str) -> bool {
    let within = |module: &str| dotted == module || dotted.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'));
    !PLAIN_MODULES.iter().any(|m| within(m)) && DEEP_MODULES.iter().any(|m| within(m))
}

/// Paths that hold secrets or start programs.
pub(crate) fn is_sensitive_path(text: &str) -> bool {
    const PLACES: [&str; 20] = [
        "/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/cron", "/etc/sudoers", "/.ssh/", "id_rsa", "authorized_keys",
        ".aws/credentials", "/.bashrc", "/.profile", "/.zshrc", "/.netrc", "/proc/self/", "/.kube/config",
        "docker.sock", "/.docker/config", "/.git-credentials", "/.huggingface/token", "\\System32\\",
    ];
    text.len() < 4096 && (PLACES.iter().any(|p| text.contains(p)) || text.starts_with(".ssh/") || text == "~/.bashrc")
}
