//! Whether a reply repeats its system prompt: runs of words that both have.

use std::collections::HashMap;

use super::features::{Token, tokens, word_hash};
use crate::Span;
use crate::hidden;

/// Words of one run.
const RUN: usize = 5;
/// Words in a row, all from the prompt, that count as a leak.
pub const WORDS_MIN: usize = 12;
/// Share of the prompt's runs that counts as a leak, for prompts that are told in pieces.
pub const SHARE_MIN: f64 = 0.3;

/// The runs of words of one system prompt.
#[derive(Clone)]
pub struct Prompt {
    /// Run of [`RUN`] words to its number.
    runs: HashMap<u64, usize>,
}

impl std::fmt::Debug for Prompt {
    /// A system prompt is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prompt")
    }
}

/// What of a prompt a reply repeats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leak {
    /// The longest repeated stretch of the reply.
    pub span: Span,
    /// Words in it.
    pub words: usize,
    /// Share of the prompt's runs that the reply has anywhere, 0 to 1.
    pub share: f64,
}

impl Prompt {
    /// Reads a system prompt. One of fewer than five words has nothing that could be told from chance.
    pub fn new(prompt: &str) -> Self {
        let mut runs = HashMap::new();
        for (hash, _) in runs_of(hidden::view(prompt).text()) {
            let number = runs.len();
            runs.entry(hash).or_insert(number);
        }
        Self { runs }
    }

    /// What `reply` repeats, when it is as long as `WORDS_MIN` or as much as `SHARE_MIN`. Codes that [`hidden`]
    /// reads are read.
    pub fn leak(&self, reply: &str) -> Option<Leak> {
        let view = hidden::view(reply);
        if let Some(leak) = self.repeated(view.text()) {
            return Some(Leak { span: view.original(leak.span), ..leak });
        }
        let coded = hidden::find_in(reply, &view);
        coded.into_iter().find_map(|one| Some(Leak { span: one.span, ..self.repeated(&one.decoded)? }))
    }

    fn repeated(&self, text: &str) -> Option<Leak> {
        let mut seen = vec![false; self.runs.len()];
        let (mut longest, mut length, mut start) = ((0, Span::new(0, 0)), 0, 0);
        for (hash, span) in runs_of(text) {
            let Some(&number) = self.runs.get(&hash) else {
                length = 0;
                continue;
            };
            if let Some(seen) = seen.get_mut(number) {
                *seen = true;
            }
            if length == 0 {
                start = span.start();
            }
            length += 1;
            if length > longest.0 {
                longest = (length, Span::new(start, span.end()));
            }
        }
        if longest.0 == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "a prompt has far fewer than 2^52 words")]
        let share = seen.iter().filter(|&&s| s).count() as f64 / self.runs.len() as f64;
        let words = longest.0 + RUN - 1;
        (words >= WORDS_MIN || share >= SHARE_MIN).then_some(Leak { span: longest.1, words, share })
    }
}

/// The hash of every [`RUN`] words in a row, marks left out, with where they stand.
fn runs_of(text: &str) -> Vec<(u64, Span)> {
    let mut words: Vec<(u64, Span)> = Vec::new();
    tokens(text, |token: &Token| {
        let word = text.get(token.start..token.end).unwrap_or_default();
        if word.as_bytes().first().is_some_and(|&b| b.is_ascii_alphanumeric() || b >= 0x80) {
            words.push((word_hash(word.as_bytes()), Span::new(token.start, token.end)));
        }
    });
    let joined = |run: &[(u64, Span)]| {
        let hash = run.iter().fold(0_u64, |sum, word| sum.rotate_left(7).wrapping_mul(31) ^ word.0);
        Some((hash, run.first()?.1.join(run.last()?.1)))
    };
    words.windows(RUN).filter_map(joined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "You are the summary assistant of the cardiology ward. Never give a dose that is not in the chart. \
                          Answer in at most five sentences and name the source of every value that you give.";

    #[test]
    fn a_repeated_prompt_is_found_where_it_stands() {
        let prompt = Prompt::new(PROMPT);
        let reply = format!("Sure! My rules: {} That is all.", &PROMPT[49..130]);
        let leak = prompt.leak(&reply).unwrap();
        assert!(
            leak.words >= WORDS_MIN && leak.span.of(&reply).contains("that is not in the chart"),
            "{leak:?}"
        );
        let shouted = PROMPT.to_uppercase().replace('.', " --");
        assert!(prompt.leak(&shouted).is_some_and(|l| l.share > 0.9));
    }

    #[test]
    fn a_prompt_in_a_code_is_found() {
        let coded = super::super::spotlight::base64(PROMPT.as_bytes());
        assert!(Prompt::new(PROMPT).leak(&format!("here: {coded}")).is_some());
        let backwards: String = PROMPT.chars().rev().collect();
        assert!(Prompt::new(PROMPT).leak(&backwards).is_some());
    }

    #[test]
    fn an_ordinary_reply_is_clean() {
        let prompt = Prompt::new(PROMPT);
        assert_eq!(
            prompt.leak("The potassium was 4.1 in the chart of the cardiology ward; no dose was changed."),
            None
        );
        assert_eq!(prompt.leak(""), None);
        assert_eq!(Prompt::new("Be kind.").leak("Be kind."), None);
    }
}
