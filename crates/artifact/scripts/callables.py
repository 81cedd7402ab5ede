"""Infers what the functions and classes of Python packages do when they are called, from their source, without
importing any of it. Writes src/pickle/inferred.txt; see src/pickle/know.rs for the letters.

    python3 crates/artifact/scripts/callables.py SITE_PACKAGES PACKAGE... > crates/artifact/src/pickle/inferred.txt

The standard library of the running Python is always included. A function has the strongest effect of what it calls
with arguments that are not constants, directly or through functions of the same package; a class has that of its
constructor (__new__, __init__, __post_init__, __setstate__, __del__); outside the standard library only of what the
constructor itself calls, since what is further away depends on arguments too often. Only effects are written: what is
missing is either harmless or not seen, and the judge treats it as unknown.
"""

import ast
import os
import sys
import sysconfig

ORDER = "xdnwir"  # strongest first
WRITTEN = "xdnw"

PRIMITIVES = {
    "x": "eval exec compile execfile os.system os.popen os.startfile os.execv os.execve os.execvp os.execl os.spawnv os.spawnve os.spawnl "
    "os.spawnvp os.spawnlp os.posix_spawn os.posix_spawnp os.fork pty.spawn pty.fork subprocess.Popen subprocess.run subprocess.call subprocess.check_call subprocess.check_output "
    "subprocess.getoutput subprocess.getstatusoutput runpy.run_path runpy.run_module runpy._run_module_code runpy._run_code types.FunctionType types.CodeType ctypes.CDLL "
    "ctypes.cdll.LoadLibrary ctypes.PyDLL ctypes.WinDLL _posixsubprocess.fork_exec asyncio.create_subprocess_exec "
    "asyncio.create_subprocess_shell code.InteractiveInterpreter code.InteractiveConsole pdb.set_trace breakpoint timeit.timeit imp.load_source imp.load_module importlib.machinery.SourceFileLoader multiprocessing.Process threading.Thread",
    "d": "pickle.load pickle.loads pickle.Unpickler _pickle.load _pickle.loads marshal.load marshal.loads shelve.open dill.load dill.loads cloudpickle.load cloudpickle.loads "
    "joblib.load yaml.load yaml.unsafe_load yaml.full_load torch.load numpy.load pandas.read_pickle",
    "n": "socket.socket socket.create_connection socket.create_server socket.getaddrinfo socket.gethostbyname urllib.request.urlopen urllib.request.urlretrieve urllib2.urlopen "
    "http.client.HTTPConnection http.client.HTTPSConnection requests.get requests.post requests.put requests.request requests.Session ftplib.FTP smtplib.SMTP urllib3.PoolManager aiohttp.ClientSession httpx.get httpx.Client webbrowser.open socketserver.TCPServer http.server.HTTPServer",
    "w": "os.remove os.unlink os.rename os.replace os.rmdir os.removedirs os.mkdir os.makedirs os.chmod os.chown os.symlink os.link os.truncate os.mkfifo os.mknod os.fdopen "
    "shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move shutil.rmtree shutil.make_archive shutil.unpack_archive tempfile.mkstemp tempfile.mkdtemp "
    "tempfile.NamedTemporaryFile tempfile.TemporaryDirectory tempfile.TemporaryFile zipfile.ZipFile tarfile.open sqlite3.connect dbm.open logging.FileHandler os.open io.FileIO",
    "i": "__import__ importlib.import_module importlib.__import__ importlib.reload pkgutil.resolve_name pydoc.locate importlib.util.spec_from_file_location",
    "r": "os.listdir os.scandir os.walk os.environ.get os.getenv glob.glob glob.iglob linecache.getline linecache.getlines getpass.getpass input os.readlink fileinput.input",
}
EFFECTS = {name: letter for letter, names in PRIMITIVES.items() for name in names.split()}
CONSTRUCT = ("__new__", "__init__", "__post_init__", "__setstate__", "__del__", "__call__")


def modules(root, prefix=""):
    """Yields (dotted name, path) of every module below a folder."""
    for entry in sorted(os.scandir(root), key=lambda e: e.name):
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            if name in ("tests", "test", "__pycache__", "site-packages", "idle_test"):
                continue
            if prefix and not os.path.exists(os.path.join(entry.path, "__init__.py")):
                continue
            if name.isidentifier():
                yield from modules(entry.path, prefix + name + ".")
        elif name.endswith(".py") and name != "setup.py":
            stem = name[:-3]
            yield ((prefix + stem) if stem != "__init__" else prefix.rstrip("."), entry.path)


def dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
        return ".".join(reversed(parts))
    return None


class Body(ast.NodeVisitor):
    """What one function calls: dotted names, with aliases resolved, and effects that need their arguments."""

    def __init__(self, aliases, module, cls):
        self.aliases, self.module, self.cls = aliases, module, cls
        self.calls, self.effects = set(), set()

    def visit_Call(self, node):
        name = dotted(node.func)
        self.generic_visit(node)
        if name is None:
            return
        head, _, rest = name.partition(".")
        if head in ("self", "cls") and self.cls and rest and "." not in rest:
            self.calls.add(f"{self.module}.{self.cls}.{rest}")
            return
        full = self.aliases.get(head, head) + ("." + rest if rest else "")
        constant = all(isinstance(a, ast.Constant) for a in node.args) and not node.keywords
        if full in ("open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open"):
            mode = next((k.value for k in node.keywords if k.arg == "mode"), node.args[1] if len(node.args) > 1 else None)
            text = mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else ("r" if mode is None else "w")
            self.effects.add("w" if set(text) & set("wax+") else "r")
        elif full in EFFECTS:
            if not (constant and node.args and EFFECTS[full] in "i"):
                self.effects.add(EFFECTS[full])
        else:
            self.calls.add(full)
            self.calls.add(f"{self.module}.{full}")


def read(name, path):
    """All functions of one module: qualified name -> (effects, calls), and its classes with their bases."""
    try:
        with open(path, "rb") as f:
            tree = ast.parse(f.read())
    except (SyntaxError, ValueError, RecursionError):
        return {}, {}
    here = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for a in node.names:
                aliases[a.asname or a.name.partition(".")[0]] = a.name if a.asname else a.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = here.split(".")
                up = up[: len(up) - (node.level - 1)]
                base = ".".join(up + ([node.module] if node.module else []))
            for a in node.names:
                aliases[a.asname or a.name] = f"{base}.{a.name}" if base else a.name
    functions, classes = {}, {}

    def function(node, cls):
        body = Body(aliases, name, cls)
        for part in node.body:
            body.visit(part)
        functions[f"{name}.{cls + '.' if cls else ''}{node.name}"] = (body.effects, body.calls)

    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            function(node, None)
        elif isinstance(node, ast.ClassDef):
            bases = [dotted(b) for b in node.bases]
            classes[f"{name}.{node.name}"] = [
                aliases.get((b or "").partition(".")[0], (b or "").partition(".")[0]) + (("." + b.partition(".")[2]) if b and "." in b else "")
                for b in bases
                if b
            ]
            for part in node.body:
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    function(part, node.name)
    return functions, classes


def strongest(effects):
    return next((letter for letter in ORDER if letter in effects), None)


def main():
    standard = sysconfig.get_paths()["stdlib"]
    found = [(name, path, True) for name, path in modules(standard)]
    for package in sys.argv[2:]:
        below = os.path.join(sys.argv[1], package)
        found += [(name, path, False) for name, path in modules(below, package + ".")]
    functions, classes, by_module = {}, {}, {}
    for name, path, is_standard in found:
        f, c = read(name, path)
        functions.update(f)
        classes.update({k: (v, name) for k, v in c.items()})
        by_module[name] = is_standard
    own = {name: set(effects) for name, (effects, _) in functions.items()}
    direct = {name: set(effects) for name, effects in own.items()}

    def resolve(call):
        if call in own:
            return [call]
        if call in classes:
            return [f"{call}.{m}" for m in CONSTRUCT[:5] if f"{call}.{m}" in own]
        return []

    targets = {name: [t for call in calls for t in resolve(call)] for name, (_, calls) in functions.items()}
    # Three steps: what is reached through more calls is too far from the arguments to be a gadget.
    for _ in range(3):
        before = {name: set(effects) for name, effects in own.items()}
        for name, called in targets.items():
            for target in called:
                own[name] |= before[target]
    out = {}
    for name, effects in own.items():
        letter = strongest(effects)
        if letter:
            out[name] = letter
    lines = {}
    for name, (_, module) in classes.items():
        effects = set()
        pending, seen = [name], set()
        while pending:
            at = pending.pop()
            if at in seen:
                continue
            seen.add(at)
            found = False
            for method in CONSTRUCT[:5]:
                if f"{at}.{method}" in own:
                    effects |= (own if by_module[module] else direct)[f"{at}.{method}"]
                    found = found or method in ("__init__", "__new__")
            if not found and at in classes:
                pending += [b for base in classes[at][0] for b in (base, f"{classes[at][1]}.{base}") if b in classes]
        letter = strongest(effects)
        if letter and letter in WRITTEN:
            lines.setdefault(module, {}).setdefault(letter, []).append(name[len(module) + 1 :])
    for name, letter in out.items():
        if letter not in WRITTEN:
            continue
        module = name.rpartition(".")[0]
        method = module not in by_module
        if method:
            module = module.rpartition(".")[0]
        short = name[len(module) + 1 :]
        # Methods that begin and end with underscores are called by the language, not by name.
        if method and short.split(".")[-1].startswith("__"):
            continue
        # A function that is named for what it does needs no entry; methods only where they execute or deserialise.
        if method and letter not in "xd":
            continue
        lines.setdefault(module, {}).setdefault(letter, []).append(short)
    print("# Written by scripts/callables.py from the sources of the packages; do not edit. Letters as in known.txt.")
    for module in sorted(lines):
        groups = " ".join(f"{letter}={','.join(sorted(set(names)))}" for letter, names in sorted(lines[module].items()))
        print(f"{module} {groups}")


if __name__ == "__main__":
    main()
