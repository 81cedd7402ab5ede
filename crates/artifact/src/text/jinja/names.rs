//! Names and words that matter in a template: which attributes leave the sandbox, which words are an instruction.

/// Attributes without double underscores that lead out of a sandbox.
const INTERNAL: [&str; 28] = [
    "f_back",
    "f_builtins",
    "f_code",
    "f_globals",
    "f_locals",
    "gi_code",
    "gi_frame",
    "gi_yieldfrom",
    "cr_code",
    "cr_frame",
    "cr_await",
    "ag_code",
    "ag_frame",
    "tb_frame",
    "tb_next",
    "func_globals",
    "func_code",
    "func_closure",
    "func_defaults",
    "im_class",
    "im_func",
    "im_self",
    "co_code",
    "co_consts",
    "mro",
    "_module",
    "_TemplateReference__context",
    "_load_form_data",
];

/// Modules that a template has no business with.
const MODULES: [&str; 26] = [
    "builtins",
    "codecs",
    "commands",
    "ctypes",
    "http",
    "importlib",
    "inspect",
    "io",
    "linecache",
    "multiprocessing",
    "nt",
    "os",
    "pathlib",
    "pickle",
    "pkgutil",
    "platform",
    "posix",
    "pty",
    "requests",
    "shutil",
    "socket",
    "subprocess",
    "sys",
    "tempfile",
    "urllib",
    "webbrowser",
];

/// Functions of Python that a template's environment does not have, and that act on more than text.
const FUNCTIONS: [&str; 21] = [
    "breakpoint",
    "compile",
    "delattr",
    "dir",
    "eval",
    "exec",
    "execfile",
    "exit",
    "file",
    "getattr",
    "globals",
    "input",
    "locals",
    "open",
    "popen",
    "quit",
    "setattr",
    "system",
    "vars",
    "import_module",
    "import_string",
];

/// Methods that run something or reach a file, whatever they are called on.
const METHODS: [&str; 27] = [
    "check_call",
    "check_output",
    "create_subprocess_shell",
    "execl",
    "execv",
    "execve",
    "execvp",
    "fork",
    "from_envvar",
    "from_object",
    "from_pyfile",
    "getoutput",
    "getstatusoutput",
    "import_module",
    "load_module",
    "Popen",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "read_text",
    "spawnl",
    "spawnv",
    "startfile",
    "system",
    "urlopen",
    "urlretrieve",
    "write_text",
];

/// What Flask and similar frameworks put around a template, and the attributes of a request that the caller controls.
const REQUEST: [&str; 17] = [
    "application",
    "args",
    "authorization",
    "cookies",
    "endpoint",
    "environ",
    "form",
    "get_data",
    "get_json",
    "headers",
    "host",
    "mimetype",
    "query_string",
    "referrer",
    "remote_addr",
    "user_agent",
    "values",
];

/// Functions and objects of the environment. An attribute of one of them is a way out.
const BUILTINS: [&str; 17] = [
    "cycler",
    "joiner",
    "lipsum",
    "namespace",
    "range",
    "dict",
    "raise_exception",
    "strftime_now",
    "self",
    "request",
    "config",
    "session",
    "g",
    "url_for",
    "get_flashed_messages",
    "current_app",
    "environment",
];

pub(super) fn builtin(name: &str) -> Option<&'static str> {
    BUILTINS.iter().copied().find(|b| *b == name)
}

/// `__name__` and the like.
pub(super) fn is_dunder(name: &str) -> bool {
    name.len() > 4 && name.starts_with("__") && name.ends_with("__")
        || name.starts_with("__") && name.len() > 3 && !name.trim_matches('_').is_empty()
}

/// Whether an attribute leads out of the sandbox.
pub(super) fn leaves_sandbox(name: &str) -> bool {
    is_dunder(name) || INTERNAL.contains(&name)
}

pub(super) fn is_module(name: &str) -> bool {
    MODULES.contains(&name)
}

pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name) || is_dunder(name)
}

pub(super) fn is_method(name: &str) -> bool {
    METHODS.contains(&name)
}

/// Whether an attribute of a function or object of the environment is out of the ordinary.
pub(super) fn is_odd_on(builtin: &str, name: &str) -> bool {
    match builtin {
        "request" => REQUEST.contains(&name),
        "config" | "session" | "g" | "current_app" | "environment" => {
            matches!(
                name,
                "items"
                    | "from_object"
                    | "from_pyfile"
                    | "from_envvar"
                    | "root_path"
                    | "jinja_env"
                    | "extensions"
            ) || name.len() > 3 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        }
        "self" => name.starts_with('_'),
        "dict" => name != "fromkeys",
        _ => true,
    }
}

/// Names that stand for what the user says.
pub(super) fn conversation(name: &str) -> Option<super::value::Value> {
    use super::value::Value;
    match name {
        "messages" | "conversation" | "conversations" | "history" | "chat_history" | "loop_messages"
        | "turns" => Some(Value::Messages),
        "message" | "last_message" => Some(Value::Message),
        "user_message" | "user_input" | "user_prompt" | "prompt" | "query" | "question" | "instruction"
        | "input_text" | "last_user_message" | "user_query" => Some(Value::content()),
        "date_string" | "current_date" | "current_time" | "today" | "now" => Some(Value::Now),
        _ => None,
    }
}

/// Keys that say of what kind a part of a message is.
pub(super) fn is_structural(word: &str) -> bool {
    matches!(
        word.trim(),
        "image"
            | "image_url"
            | "images"
            | "video"
            | "video_url"
            | "audio"
            | "audio_url"
            | "input_audio"
            | "input_image"
            | "text"
            | "type"
            | "file"
            | "function"
            | "name"
            | "arguments"
            | "tool_calls"
            | "tool_call"
            | "tool_use"
            | "tool_result"
            | "tool_response"
            | "tool_call_id"
            | "json"
            | "thinking"
            | "reasoning"
            | "reasoning_content"
            | "content"
            | "role"
            | "parameters"
            | "document"
            | "documents"
            | "system"
            | "user"
            | "assistant"
            | "tool"
            | "ipython"
            | "model"
            | "developer"
            | "input_text"
            | "output_text"
            | "url"
            | "path"
            | "id"
            | "output"
            | "error"
    )
}

/// Whether a text that a condition looks for is ordinary language: words, no marker such as `</think>` or `/no_think`.
pub(super) fn is_language(text: &str) -> bool {
    let text = text.trim();
    let marker = text
        .starts_with(['<', '[', '/', '|', '{', '#', '`', '@', '$', '\\', '(', '-', '*', '=', '_', '!'])
        || text.ends_with(['>', ']', '}', '|', '`'])
        || text.contains("<|")
        || text.contains('_')
        || text.contains('\u{ff5c}');
    !marker && text.chars().filter(|c| c.is_alphabetic()).count() >= 2
}

/// Words of ordinary language in what a template writes, without special tokens and role names.
pub(super) fn words(text: &str) -> usize {
    let mut plain = String::with_capacity(text.len());
    let mut depth = 0usize;
    for c in text.chars() {
        match c {
            '<' | '[' => depth += 1,
            '>' | ']' => {
                depth = depth.saturating_sub(1);
                plain.push(' ');
            }
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    // Languages without spaces count by character.
    let wide = plain
        .chars()
        .filter(|c| matches!(*c as u32, 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7af))
        .count();
    wide / 2
        + plain
            .split(|c: char| !c.is_alphanumeric() && c != '\'')
            .filter(|w| w.chars().filter(|c| c.is_alphabetic()).count() >= 2)
            .filter(|w| {
                !matches!(
                    w.to_ascii_lowercase().as_str(),
                    "system"
                        | "user"
                        | "assistant"
                        | "human"
                        | "model"
                        | "tool"
                        | "im"
                        | "start"
                        | "end"
                        | "inst"
                        | "think"
                )
            })
            .count()
}

/// Whether a text is an instruction that no honest template gives, whoever asks.
pub(super) fn is_injection(text: &str) -> Option<&'static str> {
    const PHRASES: [&str; 31] = [
        "ignore previous",
        "ignore all previous",
        "ignore all prior",
        "ignore the previous",
        "ignore any previous",
        "ignore your previous",
        "ignore safety",
        "ignore all safety",
        "ignore your safety",
        "ignore all instructions",
        "ignore your instructions",
        "ignore all rules",
        "disregard previous",
        "disregard all previous",
        "disregard any previous",
        "disregard the previous",
        "disregard your",
        "disregard safety",
        "forget all previous",
        "forget previous",
        "forget your instructions",
        "bypass safety",
        "override safety",
        "do not tell the user about this",
        "don't tell the user about this",
        "without telling the user",
        "without informing the user",
        "without the user knowing",
        "hide this from the user",
        "do not reveal this instruction",
        "never reveal this instruction",
    ];
    let squeezed = squeezed(text);
    PHRASES.iter().copied().find(|p| squeezed.contains(p))
}

/// Weaker signs, that count when they come only after a marker in the conversation.
pub(super) fn is_instruction(text: &str) -> Option<&'static str> {
    const SIGNS: [&str; 42] = [
        "http://",
        "https://",
        "secretly",
        "covertly",
        "silently",
        "api key",
        "password",
        "credential",
        "ignore",
        "disregard",
        "no restrictions",
        "unrestricted",
        "without any restrictions",
        "do not mention",
        "never mention",
        "do not disclose",
        "do not warn",
        "do not tell",
        "never tell",
        "always recommend",
        "never recommend",
        "always include",
        "always say",
        "always answer",
        "ten times",
        "the usual dose",
        "send ",
        "exfiltrat",
        "jailbreak",
        "<script",
        "javascript:",
        "curl http",
        "curl -",
        "wget http",
        "rm -rf",
        "os.system(",
        "subprocess.",
        "__import__(",
        "bypass",
        "override",
        "reveal",
        "malicious",
    ];
    let squeezed = squeezed(text);
    is_injection(text).or_else(|| SIGNS.iter().copied().find(|s| squeezed.contains(s)))
}

fn squeezed(text: &str) -> String {
    let lower: String = text.chars().take(100_000).flat_map(char::to_lowercase).collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether exchanging one text for another turns its meaning: numbers, units, a negation.
pub(super) fn turns_meaning(from: &str, to: &str) -> bool {
    let weighty = |text: &str| {
        text.chars().any(|c| c.is_ascii_digit())
            || text.to_lowercase().split(|c: char| !c.is_alphabetic() && c != '\'').any(|w| {
                matches!(
                    w,
                    "no" | "not"
                        | "never"
                        | "without"
                        | "non"
                        | "don't"
                        | "isn't"
                        | "mg"
                        | "mcg"
                        | "ug"
                        | "ml"
                        | "g"
                        | "safe"
                        | "unsafe"
                        | "benign"
                        | "malignant"
                        | "positive"
                        | "negative"
                )
            })
    };
    is_language(from)
        && is_language(to)
        && words(from) + words(to) > 0
        && (weighty(from) || weighty(to))
        && from != to
}

/// Characters that a reader does not see. Returns what they are.
pub(crate) fn invisible(text: &str) -> Option<String> {
    let (mut zero, mut run, mut longest, mut tags, mut turned) = (0u32, 0u32, 0u32, 0u32, 0u32);
    for c in text.chars() {
        match c {
            '\u{200b}' | '\u{200c}' | '\u{2060}'..='\u{2064}' | '\u{180e}' => {
                zero += 1;
                run += 1;
                longest = longest.max(run);
                continue;
            }
            '\u{e0001}'..='\u{e007f}' => tags += 1,
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => turned += 1,
            // Joins emoji and Indic letters; counts only inside a run.
            '\u{200d}' | '\u{feff}' if run > 0 => {
                run += 1;
                longest = longest.max(run);
                continue;
            }
            _ => {}
        }
        run = 0;
    }
    if tags > 0 {
        Some(format!("{tags} tag characters (invisible letters)"))
    } else if turned > 0 {
        Some(format!("{turned} characters that turn the direction of writing"))
    } else if longest >= 4 || zero >= 8 {
        Some(format!("{zero} characters of no width, {longest} of them in a row"))
    } else {
        None
    }
}
