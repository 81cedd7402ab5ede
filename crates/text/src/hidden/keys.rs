//! Words by which a decoded text is known to be an order, and words by which it is known to be English.

/// One of these is enough.
const STRONG: &[&str] = &[
    "ignore",
    "disregard",
    "override",
    "jailbreak",
    "bypass",
    "prompt",
    "chatgpt",
    "password",
    "systemprompt",
];
/// Two of these are needed.
const WEAK: &[&str] = &[
    "instruction",
    "previous",
    "system",
    "assistant",
    "forget",
    "reveal",
    "respond",
    "output",
    "secret",
    "command",
    "rules",
    "guideline",
    "reply",
    "delete",
    "execute",
    "prior",
    "language",
    "model",
    "recommend",
    "patient",
    "answer",
    "approve",
    "confidential",
    "summary",
];
const COMMON: &[&str] = &[
    "the", "and", "you", "all", "your", "this", "with", "that", "not", "for", "are", "from", "must", "now",
    "say", "tell", "patient", "have", "will", "show", "please", "only", "any", "of", "to", "is", "in",
];

/// Words that are looked for in shifted and reversed text.
pub(super) fn searched() -> impl Iterator<Item = &'static str> {
    STRONG.iter().chain(WEAK).copied().filter(|word| word.len() >= 6)
}

/// Whether a word, in any case, begins with a key.
pub(super) fn is_key(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    STRONG.iter().chain(WEAK).any(|key| word.starts_with(key))
}

/// Whether running letters hold an order.
pub(crate) fn has_order(letters: &str) -> bool {
    let letters = letters.to_ascii_lowercase();
    STRONG.iter().any(|key| letters.contains(key))
        || WEAK.iter().filter(|key| letters.contains(*key)).count() >= 2
}

/// How many words of `text` are common English or keys.
pub(super) fn english(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| {
            let word = word.to_ascii_lowercase();
            COMMON.contains(&word.as_str()) || (word.len() >= 5 && is_key(&word))
        })
        .count()
}
