//! Word classes: what a word does in an order to a model, so that a wording never seen is still read by its parts.
//!
//! A class says nothing alone ("ignore" stands in every second clinic letter). The model weighs pairs of classes that
//! stand close together: something that overrides beside something that instructs, someone addressed beside a verb of
//! output.

use std::sync::LazyLock;

use super::features::word_hash;

/// Number of classes, the empty one included.
pub(crate) const CLASSES: usize = 20;

/// Class of a word that has none.
pub(crate) const NONE: u8 = 0;
pub(crate) const OVERRIDE: u8 = 1;
pub(crate) const INSTRUCTION: u8 = 2;
pub(crate) const PRIOR: u8 = 3;
pub(crate) const ADDRESSEE: u8 = 4;
pub(crate) const REVEAL: u8 = 5;
pub(crate) const SECRET: u8 = 6;
pub(crate) const WRITE: u8 = 7;
pub(crate) const REPLY: u8 = 8;
pub(crate) const SUPPRESS: u8 = 9;
pub(crate) const ROLE: u8 = 10;
pub(crate) const LIMIT: u8 = 11;
pub(crate) const READER: u8 = 12;
pub(crate) const NET: u8 = 13;
pub(crate) const TOOL: u8 = 14;
pub(crate) const YOU: u8 = 15;
pub(crate) const NOW: u8 = 16;
pub(crate) const CARE: u8 = 17;
pub(crate) const ASK: u8 = 18;
pub(crate) const CODE: u8 = 19;

/// Words of each class, separated by blanks.
const LEXICON: &[(u8, &str)] = &[
    (
        OVERRIDE,
        "ignore ignores ignoring ignored disregard disregards disregarding disregarded forget forgets forgetting forgotten \
         override overrides overriding overridden overrule bypass bypasses bypassing circumvent neglect dismiss discard \
         nullify void abandon cancel cancelled erase supersede supersedes superseded replace replaces replaced unlearn reset \
         overwrite sidestep countermand revoke revoked suspend suspended disobey obsolete outdated invalid rescind rescinded \
         retract waive waived lifted disabled disable deactivate expired obey comply overtake trump trumps precedence",
    ),
    (
        INSTRUCTION,
        "instruction instructions instructed prompt prompts prompted rule rules guideline guidelines directive directives \
         direction directions command commands order orders policy policies programming constraint constraints restriction \
         restrictions safeguard safeguards guardrail guardrails filter filters briefing configuration brief training \
         preamble mandate requirements task tasks objective objectives mission assignment goal goals told",
    ),
    (
        PRIOR,
        "previous previously prior above earlier preceding foregoing existing initial original originally former past before \
         all any every everything anything beforehand preceded aforementioned heretofore",
    ),
    (
        ADDRESSEE,
        "ai ais assistant assistants llm llms gpt chatgpt chatbot bot bots model models scribe copilot agent agents summarizer \
         summariser transcriber claude gemini llama openai bard machine software algorithm bing robot summarization \
         transcription automation automated engine anthropic mistral gpts neural ailm system processor parser",
    ),
    (
        REVEAL,
        "reveal reveals show shows print repeat repeats display disclose expose leak recite share tell dump echo spell return \
         quote verbatim divulge regurgitate paste copy restate paraphrase enumerate",
    ),
    (
        SECRET,
        "password passwords secret secrets passcode passphrase key keys confidential hidden credentials credential token \
         tokens access private internal classified codeword pin",
    ),
    (
        WRITE,
        "write writes writing say says saying respond responds reply replies answer answers state begin start include insert \
         add append mention generate compose produce give translate summarize summarise draft create explain describe rewrite \
         convert encode decode list provide output speak type express phrase incorporate integrate embed weave finish end \
         recommend advise tell suggest conclude report document record record classify",
    ),
    (
        REPLY,
        "response responses reply answer answers output outputs summary summaries report message completion sentence \
         sentences paragraph paragraphs word words letters draft essay story poem article translation",
    ),
    (
        SUPPRESS,
        "omit omits omitting hide hiding remove delete exclude excluding conceal suppress withhold redact avoid never don't not \
         without stop refrain cease leave skip drop silently quietly secretly",
    ),
    (
        ROLE,
        "pretend act acting roleplay role simulate simulation imagine persona character play dan developer mode jailbreak \
         jailbroken unrestricted uncensored unfiltered hypothetical fictional game scenario amoral unbiased simulator",
    ),
    (
        LIMIT,
        "allowed permitted must should always only cannot can't refuse refuses refusal ethics ethical ethically moral morality \
         morals legal legality illegal warning warnings disclaimer disclaimers limits limitations free freed shall won't will",
    ),
    (
        READER,
        "user users reader readers recipient human humans operator admin administrator creator master person customer",
    ),
    (
        NET,
        "url urls link links http https www email e-mail click visit download send sends post upload forward transmit fetch \
         website webhook html markdown image src href com org net server domain exfiltrate",
    ),
    (
        TOOL,
        "tool tools function functions call calls execute run runs invoke shell api database query terminal script plugin \
         browser sql file files directory sudo bash delete_patient parameter parameters argument arguments json",
    ),
    (YOU, "you your yours yourself you're u ur thou thee thy you've you'll"),
    (
        NOW,
        "now instead henceforth onward onwards new updated latest following below next immediately forth hereafter currently",
    ),
    (
        CARE,
        "discharge approve approved eligible prescribe allergies allergy diagnosis dose opioid opioids medication medications \
         patient patients prognosis treatment claim prior-authorization triage consent code billing score chart record \
         clinician physician nurse doctor provider",
    ),
    (ASK, "what what's how why who who's when where which can could would please kindly help need want"),
    (
        CODE,
        "code snippet import def python javascript java sql html css regex algorithm codebase solution implementation \
         excerpt block print subprocess requests os",
    ),
];

/// Slots of the table; a power of two, at most half full.
const SLOTS: usize = 4096;

/// Open addressing by the word's hash; a slot of hash 0 is empty.
static TABLE: LazyLock<Vec<(u64, u8)>> = LazyLock::new(|| {
    let mut table = vec![(0_u64, NONE); SLOTS];
    for (class, words) in LEXICON {
        for word in words.split_ascii_whitespace() {
            put(&mut table, word_hash(word.as_bytes()), *class);
        }
    }
    table
});

/// The first class that names a word keeps it.
fn put(table: &mut [(u64, u8)], hash: u64, class: u8) {
    let mut at = slot(hash);
    for _ in 0..SLOTS {
        match table.get_mut(at) {
            Some(entry) if entry.0 == 0 => {
                *entry = (hash, class);
                return;
            }
            Some(entry) if entry.0 == hash => return,
            _ => at = (at + 1) % SLOTS,
        }
    }
}

fn slot(hash: u64) -> usize {
    usize::try_from(hash >> 40).unwrap_or(0) % SLOTS
}

/// The table, fetched once per scan so that the lazy cell is not asked for each word.
pub(crate) fn table() -> &'static [(u64, u8)] {
    &TABLE
}

/// Class of the word with this hash.
pub(crate) fn class(table: &[(u64, u8)], hash: u64) -> u8 {
    let mut at = slot(hash);
    while let Some(&(there, class)) = table.get(at) {
        if there == hash {
            return class;
        }
        if there == 0 {
            return NONE;
        }
        at = (at + 1) % SLOTS;
    }
    NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_the_class_that_lists_it_first() {
        let of = |word: &str| class(table(), word_hash(word.as_bytes()));
        assert_eq!(of("ignore"), OVERRIDE);
        assert_eq!(of("instructions"), INSTRUCTION);
        assert_eq!(of("metoprolol"), NONE);
        assert_eq!(of("tell"), REVEAL);
    }

    #[test]
    fn the_table_is_at_most_half_full() {
        let full = table().iter().filter(|slot| slot.0 != 0).count();
        assert!(full > 300 && full <= SLOTS / 2, "{full}");
    }
}
