//! What a callable does: from a table where it is known, from its module's family, and else from the shape of its
//! name. What is not known is told apart from what is known to be harmless, so that the judge can ask for reasons.

mod words;

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

pub(super) use words::{
    begins_with_verb, class_like, names_agent, names_choice, names_container, strong_words,
};
use words::{danger_modules, danger_words, rebuild_like};

/// What calling something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    /// Runs code or programs.
    Executes,
    /// Imports modules or looks names up, so that anything can be reached.
    Imports,
    /// Deserialises again.
    Deserialises,
    /// Reaches the network.
    Network,
    /// Writes, moves or removes files.
    Writes,
    /// Reads files or secrets.
    Reads,
    /// Reaches into objects by name.
    Reaches,
    /// Changes the process: ends it, changes its settings.
    Process,
    /// Calls what it is given.
    Calls,
    /// As large as its argument says.
    Allocates,
    /// A function without effect.
    Pure,
    /// A class whose constructor has no effect.
    Class,
    /// A function that rebuilds what a pickler took apart.
    Rebuilds,
    /// A class whose constructor opens what it is given; an object made without it is harmless.
    Opens,
    /// Not known.
    Unknown,
}

impl Effect {
    fn of(letter: &str) -> Self {
        match letter {
            "x" => Self::Executes,
            "i" => Self::Imports,
            "d" => Self::Deserialises,
            "n" => Self::Network,
            "w" => Self::Writes,
            "r" => Self::Reads,
            "t" => Self::Reaches,
            "p" => Self::Process,
            "h" => Self::Calls,
            "a" => Self::Allocates,
            "f" => Self::Pure,
            "c" => Self::Class,
            "b" => Self::Rebuilds,
            "o" => Self::Opens,
            _ => Self::Unknown,
        }
    }

    /// Whether no model needs it to be loaded.
    pub(super) const fn dangerous(self) -> bool {
        matches!(
            self,
            Self::Executes
                | Self::Imports
                | Self::Deserialises
                | Self::Network
                | Self::Writes
                | Self::Reads
                | Self::Reaches
                | Self::Process
        )
    }
}

/// Where the knowledge comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Basis {
    /// The name is in the table, or its module is as a whole.
    Table,
    /// Its package is in the table as a whole, and is not of the standard library.
    Family,
    /// The source of the function, or of the class's constructor, has it.
    Source,
    /// Words in its name that leave no doubt.
    Words,
    /// Words in its name that have other meanings too.
    Hints,
    /// Nothing speaks for or against it.
    Nothing,
}

/// What is known of one global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) effect: Effect,
    pub(super) basis: Basis,
    /// Whether the name is written like a class.
    pub(super) class_like: bool,
    /// Whether it is in the standard library.
    pub(super) standard: bool,
    /// Whether its package is one of science and machine learning.
    pub(super) science: bool,
}

const TABLE: &str = include_str!("known.txt");

/// What `scripts/callables.py` read out of sources: one line per module, sorted.
const INFERRED: &str = include_str!("inferred.txt");

/// Names of the modules of the standard library, Python 2.7 to 3.14.
const STANDARD: &str = include_str!("standard.txt");

/// Packages of science and machine learning, whose classes are made with all sorts of arguments.
const SCIENCE: &str = include_str!("science.txt");

struct Table {
    /// Effect per `module.name`; `module.*` for the rest of a module and what is below it.
    effects: HashMap<String, Effect>,
    standard: HashSet<&'static str>,
    science: HashSet<&'static str>,
}

fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut effects = HashMap::new();
        for line in TABLE.lines().filter(|l| !l.starts_with('#')) {
            let mut words = line.split_whitespace();
            let Some(module) = words.next() else { continue };
            for (letter, names) in words.filter_map(|w| w.split_once('=')) {
                for name in names.split(',') {
                    effects.insert(format!("{module}.{name}"), Effect::of(letter));
                }
            }
        }
        Table {
            effects,
            standard: STANDARD.split_whitespace().collect(),
            science: SCIENCE.split_whitespace().collect(),
        }
    })
}

pub(super) fn is_standard(module: &str) -> bool {
    module.split('.').next().is_some_and(|top| table().standard.contains(top))
}

/// What is known of `module.name`; the name may have dots. What the table says of `forget`, which are modules or whole
/// packages, is not used: that is how the judgement of unseen libraries is measured.
pub(super) fn know(module: &str, name: &str, forget: &[String]) -> Known {
    let (module, name) = canonical(module, name);
    let (module, name) =
        if find(module, name, forget).is_some() { (module, name) } else { reach_through(module, name) };
    let forgotten = forgotten(module, forget);
    let standard = !forgotten && is_standard(module);
    let science = !forgotten && table().science.contains(module.split('.').next().unwrap_or_default());
    let last = name.rsplit('.').next().unwrap_or(name);
    let class_like = class_like(last);
    let known = |effect, basis| Known { effect, basis, class_like, standard, science };
    if let Some(effect) = find(module, name, forget) {
        return known(effect, Basis::Table);
    }
    if let Some(effect) = reaching_name(name) {
        return known(effect, Basis::Table);
    }
    // A module as a value: from there anything can be reached.
    if table().effects.get(&format!("{last}.*")).is_some_and(|e| e.dangerous()) && is_standard(last) {
        return known(Effect::Reaches, Basis::Table);
    }
    if last.ends_with("Error") || last.ends_with("Exception") || last.ends_with("Warning") {
        return known(Effect::Class, Basis::Words);
    }
    if let Some(effect) = family(module).filter(|_| !forgotten) {
        // That a module's classes are harmless says nothing of their methods.
        let method = effect == Effect::Class && !class_like && name.contains('.');
        let basis = if standard { Basis::Table } else { Basis::Family };
        if method {
            return known(Effect::Unknown, Basis::Nothing);
        }
        // That a package is harmless as a whole does not vouch for what its names say.
        if !standard && !effect.dangerous() {
            let (effect, basis) = overruled(module, name).unwrap_or_else(|| {
                if effect == Effect::Class && !class_like && rebuild_like(last) {
                    return (Effect::Rebuilds, Basis::Words);
                }
                // Its functions are not classes; one lower-case word may be either.
                let function =
                    effect == Effect::Class && !class_like && last.trim_start_matches('_').contains('_');
                if function { (Effect::Unknown, Basis::Nothing) } else { (effect, basis) }
            });
            return known(effect, basis);
        }
        return known(effect, basis);
    }
    if let Some(effect) = inferred(module, name).filter(|_| !forgotten) {
        return known(effect, Basis::Source);
    }
    if last.starts_with("__pyx_unpickle_") || (rebuild_like(last) && danger_words(last).is_none()) {
        return known(Effect::Rebuilds, Basis::Words);
    }
    match strong_words(name).or_else(|| danger_modules(module)) {
        Some(effect) => known(effect, Basis::Words),
        None => match danger_words(name) {
            Some(effect) => known(effect, Basis::Hints),
            None => known(Effect::Unknown, Basis::Nothing),
        },
    }
}

/// What words of the name, of the module and the sources say of something whose package is harmless as a whole.
fn overruled(module: &str, name: &str) -> Option<(Effect, Basis)> {
    if let Some(effect) = inferred(module, name).filter(|e| e.dangerous()) {
        return Some((effect, Basis::Source));
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let danger = danger_words(last);
    if danger.is_none() && (rebuild_like(last) || last.starts_with("__pyx_unpickle_")) {
        return None;
    }
    if let Some(effect) = strong_words(name).or_else(|| danger_modules(module)) {
        return Some((effect, Basis::Words));
    }
    danger.map(|effect| (effect, Basis::Hints))
}

/// Whether a module is one of those that are not to be known, or below one.
fn forgotten(module: &str, forget: &[String]) -> bool {
    forget
        .iter()
        .any(|f| module.strip_prefix(f.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Modules and packages that the table knows: what can be left out to measure how unseen libraries are judged.
pub(crate) fn packages() -> Vec<String> {
    let tops = table().effects.keys().filter_map(|k| k.split('.').next());
    let all: std::collections::BTreeSet<String> = tops.map(str::to_owned).collect();
    all.into_iter().collect()
}

/// The name in the table, also where a package shows it under a shorter or longer path.
fn find(module: &str, name: &str, forget: &[String]) -> Option<Effect> {
    if forgotten(module, forget) {
        return None;
    }
    let effects = &table().effects;
    let full = format!("{module}.{name}");
    if let Some(effect) = effects.get(&full) {
        return Some(*effect);
    }
    if module == "builtins"
        && (name.ends_with("Error") || name.ends_with("Exception") || name.ends_with("Warning"))
    {
        return Some(Effect::Class);
    }
    None
}

/// What the sources say.
fn inferred(module: &str, name: &str) -> Option<Effect> {
    static LINES: OnceLock<Vec<(&'static str, &'static str)>> = OnceLock::new();
    let lines = LINES.get_or_init(|| INFERRED.lines().filter_map(|l| l.split_once(' ')).collect());
    let at = lines.binary_search_by(|(m, _)| m.cmp(&module)).ok()?;
    let (_, groups) = lines.get(at)?;
    let mut groups = groups.split(' ').filter_map(|g| g.split_once('='));
    groups.find(|(_, names)| names.split(',').any(|n| n == name)).map(|(letter, _)| Effect::of(letter))
}

/// What the table says of a whole module or of one above it.
fn family(module: &str) -> Option<Effect> {
    let mut path = module;
    loop {
        if let Some(effect) = table().effects.get(&format!("{path}.*")) {
            return Some(*effect);
        }
        path = &path[..path.rfind('.')?];
    }
}

/// Attributes through which anything can be reached.
fn reaching_name(name: &str) -> Option<Effect> {
    const REACHING: [&str; 30] = [
        "f_globals",
        "f_locals",
        "f_builtins",
        "f_back",
        "f_code",
        "gi_frame",
        "cr_frame",
        "tb_frame",
        "__globals__",
        "__builtins__",
        "__subclasses__",
        "__import__",
        "__dict__",
        "__class__",
        "__base__",
        "__bases__",
        "__mro__",
        "__code__",
        "__closure__",
        "__func__",
        "__self__",
        "__getattribute__",
        "__getattr__",
        "__setattr__",
        "__loader__",
        "__spec__",
        "__init_subclass__",
        "__reduce__",
        "__reduce_ex__",
        "__wrapped__",
    ];
    name.split('.').any(|part| REACHING.contains(&part)).then_some(Effect::Reaches)
}

/// Module and name as Python 3 has them: `__builtin__` is `builtins`, a trailing `.__call__` says nothing.
pub(super) fn canonical<'a>(module: &'a str, name: &'a str) -> (&'a str, &'a str) {
    let mut name = name;
    while let Some(rest) = name.strip_suffix(".__call__").or(name.strip_suffix(".__new__")) {
        name = rest;
    }
    let module = match module {
        "__builtin__" | "__builtins__" | "_builtin" => "builtins",
        "copy_reg" => "copyreg",
        "cPickle" | "_pickle" => "pickle",
        "Queue" => "queue",
        "SocketServer" => "socketserver",
        "ConfigParser" => "configparser",
        "repr" => "reprlib",
        "Tkinter" => "tkinter",
        "urllib2" => "urllib.request",
        "urlparse" => "urllib.parse",
        "robotparser" => "urllib.robotparser",
        "httplib" => "http.client",
        "BaseHTTPServer" | "SimpleHTTPServer" | "CGIHTTPServer" => "http.server",
        "Cookie" => "http.cookies",
        "cookielib" => "http.cookiejar",
        "xmlrpclib" | "SimpleXMLRPCServer" | "DocXMLRPCServer" => "xmlrpc",
        "cStringIO" | "StringIO" => "io",
        "UserDict" | "UserList" | "UserString" => "collections",
        "commands" => "subprocess",
        "__main__" | "__mp_main__" => "__main__",
        "exceptions" => "builtins",
        "dummy_thread" | "thread" => "_thread",
        "_abcoll" => "collections.abc",
        "whichdb" | "dumbdbm" | "gdbm" | "dbhash" => "dbm",
        "markupbase" | "HTMLParser" => "html.parser",
        "sets" => "collections",
        _ => module,
    };
    (module, name)
}

/// Where a dotted name leads through a module that the first one has imported (`logging` `os.system`): that module
/// and the rest of the name.
fn reach_through<'a>(module: &'a str, name: &'a str) -> (&'a str, &'a str) {
    let (mut module, mut name) = (module, name);
    let mut rest = name;
    while let Some((part, after)) = rest.split_once('.') {
        // An attribute of a class is no module.
        if class_like(part) {
            break;
        }
        let bare = part.trim_start_matches('_');
        let found = [part, bare].into_iter().find(|p| table().standard.contains(p));
        if let Some(found) = found {
            (module, name) = (canonical(found, "").0, after);
        }
        rest = after;
    }
    (module, name)
}
