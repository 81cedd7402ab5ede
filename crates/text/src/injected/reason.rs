//! What sort of order was found, told from the word classes of the stretch.

use super::words::{
    ADDRESSEE, CODE, INSTRUCTION, LIMIT, NET, OVERRIDE, PRIOR, REPLY, REVEAL, ROLE, SECRET, SUPPRESS, TOOL,
    WRITE, YOU,
};

/// What sort of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sets the model's instructions aside.
    Override,
    /// Speaks to the model about what it has to write, hide or decide.
    AddressedOrder,
    /// Takes the model's limits away by a role, a game or a mode.
    Jailbreak,
    /// Asks for the system prompt or for what it keeps secret.
    PromptExtraction,
    /// Carries data out by a link, an image or a message.
    Exfiltration,
    /// Makes the model use its tools.
    ToolMisuse,
    /// Imitates the marks between the parts of a conversation.
    Delimiter,
    /// A task that has nothing to do with the clinical text around it.
    AlienTask,
    /// An order in characters that a person does not see or read.
    HiddenOrder,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Override,
        Self::AddressedOrder,
        Self::Jailbreak,
        Self::PromptExtraction,
        Self::Exfiltration,
        Self::ToolMisuse,
        Self::Delimiter,
        Self::AlienTask,
        Self::HiddenOrder,
    ];

    /// One word for results and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::AddressedOrder => "addressed-order",
            Self::Jailbreak => "jailbreak",
            Self::PromptExtraction => "prompt-extraction",
            Self::Exfiltration => "exfiltration",
            Self::ToolMisuse => "tool-misuse",
            Self::Delimiter => "delimiter",
            Self::AlienTask => "alien-task",
            Self::HiddenOrder => "hidden-order",
        }
    }

    /// One line for a reader.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Override => "tells the model to set its instructions aside",
            Self::AddressedOrder => "tells the model what to write, hide or decide",
            Self::Jailbreak => "takes the model's limits away by a role, a game or a mode",
            Self::PromptExtraction => "asks the model for its instructions or its secrets",
            Self::Exfiltration => "carries data out by a link, an image or a message",
            Self::ToolMisuse => "makes the model use its tools",
            Self::Delimiter => "imitates the marks between the parts of a conversation",
            Self::AlienTask => "is a task that has nothing to do with the clinical text around it",
            Self::HiddenOrder => "is an order in characters that a person does not see or read",
        }
    }
}

const fn has(classes: u32, wanted: &[u8]) -> bool {
    let mut i = 0;
    while i < wanted.len() {
        if classes & (1 << wanted[i]) == 0 {
            return false;
        }
        i += 1;
    }
    true
}

/// The kind that the classes of a stretch speak for; the most specific first.
pub(super) const fn kind(classes: u32) -> Kind {
    if has(classes, &[OVERRIDE, INSTRUCTION]) || has(classes, &[OVERRIDE, PRIOR, YOU]) {
        return Kind::Override;
    }
    if has(classes, &[REVEAL, SECRET])
        || has(classes, &[REVEAL, INSTRUCTION])
        || has(classes, &[REVEAL, PRIOR])
    {
        return Kind::PromptExtraction;
    }
    if has(classes, &[NET, TOOL]) || has(classes, &[NET, SECRET]) {
        return Kind::Exfiltration;
    }
    if has(classes, &[ROLE, YOU]) || has(classes, &[ROLE, LIMIT]) {
        return Kind::Jailbreak;
    }
    if has(classes, &[TOOL, CODE]) {
        return Kind::ToolMisuse;
    }
    if has(classes, &[ADDRESSEE]) || has(classes, &[WRITE, REPLY]) || has(classes, &[SUPPRESS, REPLY]) {
        return Kind::AddressedOrder;
    }
    Kind::Jailbreak
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overrides_instructions_is_an_override() {
        assert_eq!(kind(1 << OVERRIDE | 1 << INSTRUCTION | 1 << ROLE), Kind::Override);
        assert_eq!(kind(1 << REVEAL | 1 << SECRET), Kind::PromptExtraction);
        assert_eq!(kind(1 << ADDRESSEE), Kind::AddressedOrder);
    }

    #[test]
    fn names_of_kinds_differ() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
