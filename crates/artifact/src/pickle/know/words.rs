//! What the words of a name tell: where nothing is known of a callable, its name is all there is.

use super::Effect;

/// Whether a name is written like a class: its first letter is a capital, or the second after a letter for the
/// element type (`dKalmanFilter`).
pub(in crate::pickle) fn class_like(name: &str) -> bool {
    let mut chars = name.trim_start_matches('_').chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some(first), _, _) if first.is_uppercase() => true,
        (Some(_), Some(second), Some(third)) => second.is_uppercase() && third.is_lowercase(),
        _ => false,
    }
}

/// Whether a name says that it puts back together what a pickler took apart.
pub(in crate::pickle) fn rebuild_like(name: &str) -> bool {
    name.starts_with("_new_")
        || name == "newObj"
        || words(name).iter().any(|w| {
            matches!(
                w.as_str(),
                "reconstruct"
                    | "reconstructor"
                    | "mareconstruct"
                    | "mrreconstruct"
                    | "rebuild"
                    | "unpickle"
                    | "unreduce"
                    | "restore"
                    | "newobj"
                    | "ctor"
            )
        })
}

/// The words of a name: split at dots, underscores, digits and capitals; small letters.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = name.chars().take(200).collect();
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|b| chars.get(b));
        let next_small = chars.get(i + 1).is_some_and(|n| n.is_lowercase());
        let begins =
            c.is_uppercase() && before.is_some_and(|b| b.is_lowercase() || (b.is_uppercase() && next_small));
        if (!c.is_alphabetic() || begins) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphabetic() {
            word.extend(c.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// What words tell that have no other meaning in the name of a class or function.
pub(in crate::pickle) fn strong_words(name: &str) -> Option<Effect> {
    words(name).iter().find_map(|w| {
        Some(match w.as_str() {
            "exec" | "eval" | "popen" | "shell" | "subprocess" | "interpreter" | "console" | "debugger"
            | "terminal" | "myeval" | "runstring" | "runcode" | "runsource" | "dlopen" | "cdll" | "pdb"
            | "backdoor" | "ffmpeg" | "mpeg" | "latex" | "lua" | "octave" | "matlab" | "javascript"
            | "repl" => Effect::Executes,
            "http" | "https" | "ftp" | "smtp" | "imap" | "nntp" | "telnet" | "ssh" | "socket" | "urlopen"
            | "urlretrieve" | "downloader" | "dns" | "rpc" | "websocket" | "webhook" | "browser" | "wsgi"
            | "mqtt" | "kafka" | "redis" | "mongo" | "elasticsearch" | "webdriver" | "ldap" => {
                Effect::Network
            }
            "unpickler" | "unmarshal" => Effect::Deserialises,
            "importer" => Effect::Imports,
            "rmtree" | "sqlite" => Effect::Writes,
            _ => return None,
        })
    })
}

/// What the words of a name tell.
pub(in crate::pickle) fn danger_words(name: &str) -> Option<Effect> {
    words(name).iter().find_map(|w| {
        Some(match w.as_str() {
            "exec" | "execute" | "eval" | "evaluate" | "run" | "runs" | "runner" | "system" | "popen"
            | "spawn" | "shell" | "command" | "commands" | "cmd" | "subprocess" | "launch" | "fork"
            | "invoke" | "interact" | "interactive" | "interpreter" | "console" | "script" | "compile"
            | "myeval" | "runstring" | "runcode" | "runsource" | "dlopen" | "dll" | "cdll" | "library"
            | "debugger" | "debug" | "pdb" | "thread" | "executor" | "process" | "program" | "plugin"
            | "sympify" | "lambdify" | "embed" | "daemon" | "timer" | "jit" | "dmatrix" | "dmatrices"
            | "backdoor" | "terminal" => Effect::Executes,
            "import" | "importer" | "locate" | "finder" | "loader" | "instantiate" => Effect::Imports,
            "unpickler" | "loads" | "load" | "deserialize" | "deserialise" | "unmarshal" | "pickle" => {
                Effect::Deserialises
            }
            "http" | "https" | "ftp" | "smtp" | "imap" | "nntp" | "telnet" | "ssh" | "socket" | "url"
            | "urlopen" | "urlretrieve" | "download" | "downloader" | "upload" | "request" | "requests"
            | "fetch" | "connect" | "connection" | "server" | "client" | "session" | "dns" | "rpc"
            | "websocket" | "proxy" | "browser" | "webhook" | "tcp" | "udp" | "tls" | "ssl" | "wsgi" => {
                Effect::Network
            }
            "write" | "writer" | "save" | "dump" | "remove" | "unlink" | "delete" | "rmtree" | "rename"
            | "move" | "mkdir" | "copyfile" | "copytree" | "chmod" | "extract" | "unzip" | "install"
            | "sqlite" | "database" => Effect::Writes,
            "open" | "read" | "reader" | "file" | "files" | "path" | "glob" | "archive" => Effect::Reads,
            "getattr" | "setattr" | "globals" | "attrgetter" | "methodcaller" => Effect::Reaches,
            "exit" | "kill" | "abort" | "environ" | "putenv" | "setenv" => Effect::Process,
            _ => return None,
        })
    })
}

/// What the words of a module's name tell: only those that are a purpose.
pub(in crate::pickle) fn danger_modules(module: &str) -> Option<Effect> {
    words(module).iter().find_map(|w| {
        Some(match w.as_str() {
            "subprocess" | "shell" | "exec" | "popen" | "cmd" | "console" | "debugger" | "repl" | "cli" => {
                Effect::Executes
            }
            "http" | "https" | "ftp" | "smtp" | "imap" | "nntp" | "telnet" | "ssh" | "socket" | "urllib"
            | "requests" | "websocket" | "rpc" | "dns" | "httplib" | "smtplib" | "ftplib" | "nntplib"
            | "poplib" | "imaplib" | "telnetlib" | "download" | "downloader" => Effect::Network,
            _ => return None,
        })
    })
}

/// Whether a class is named like one of a few choices, as enumerations are (`RequestStatus`).
pub(in crate::pickle) fn names_choice(name: &str) -> bool {
    words(name).last().is_some_and(|w| {
        matches!(
            w.as_str(),
            "status"
                | "state"
                | "states"
                | "kind"
                | "type"
                | "types"
                | "mode"
                | "modes"
                | "method"
                | "code"
                | "level"
                | "role"
                | "enum"
                | "option"
                | "options"
                | "flag"
                | "flags"
                | "category"
                | "phase"
                | "stage"
                | "format"
                | "policy"
                | "strategy"
                | "unit"
                | "side"
                | "site"
                | "sex"
                | "label"
                | "choice"
                | "id"
        )
    })
}

/// Whether a class is named after what acts: what it is made for begins when it is made.
pub(in crate::pickle) fn names_agent(name: &str) -> bool {
    words(name).last().is_some_and(|w| {
        matches!(
            w.as_str(),
            "handler"
                | "writer"
                | "executor"
                | "process"
                | "thread"
                | "worker"
                | "runner"
                | "timer"
                | "server"
                | "daemon"
                | "launcher"
                | "popen"
                | "shell"
                | "console"
        )
    })
}

/// Whether a name begins with a verb: a function, also when it is written like a class (`CreateObject`).
pub(in crate::pickle) fn begins_with_verb(name: &str) -> bool {
    words(name.rsplit('.').next().unwrap_or(name)).first().is_some_and(|w| {
        matches!(
            w.as_str(),
            "create"
                | "get"
                | "set"
                | "make"
                | "do"
                | "call"
                | "invoke"
                | "dispatch"
                | "ensure"
                | "run"
                | "start"
                | "send"
                | "open"
                | "load"
                | "read"
                | "write"
                | "find"
                | "register"
                | "shell"
                | "spawn"
                | "exec"
        )
    })
}

/// Whether a class is named like a container (`FileList`).
pub(in crate::pickle) fn names_container(name: &str) -> bool {
    words(name).last().is_some_and(|w| {
        matches!(
            w.as_str(),
            "dict"
                | "list"
                | "set"
                | "map"
                | "mapping"
                | "sequence"
                | "stats"
                | "config"
                | "options"
                | "cache"
                | "index"
                | "table"
                | "registry"
                | "vocab"
                | "counter"
                | "meters"
                | "store"
                | "bunch"
                | "params"
        )
    })
}
