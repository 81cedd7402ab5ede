//! JSON: settings, tokenizers, indexes, notebooks, manifests.

use super::{Format, Input, Sure};
use crate::text::document::Document;
use crate::text::{config, json, manifests};
use crate::{Context, Part};

/// JSON, also several documents one after the other (JSON lines).
pub(super) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        if !json::looks_like(input.head) {
            return None;
        }
        // A file that only begins with a bracket is text; one that breaks off in the middle is still JSON.
        let hinted = input
            .name
            .rsplit('.')
            .next()
            .is_some_and(|e| matches!(e, "json" | "jsonl" | "ipynb" | "ndjson" | "geojson"));
        let far = match json::read(&input.head) {
            Ok(_) => true,
            Err(broken) => {
                hinted
                    || broken.reason.starts_with("nested")
                    || input.source.len() > input.head.len() as u64
                    || broken.byte >= 64 && broken.byte * 2 > input.head.len() as u64
            }
        };
        far.then_some(Sure::Likely)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let document = match json::read(input.source) {
            Ok(document) => document,
            Err(broken) => {
                cx.unread(part, Some(broken.byte), format!("the JSON breaks off: {}", broken.reason));
                broken.document
            }
        };
        if cx.step(input.source.len() / 4).is_err() {
            cx.unread(part, None, "the limit of steps is reached; scan this file apart");
            return;
        }
        judge(&document, part, cx);
    }
}

/// All that is looked for in a document, whatever it was written in.
pub(super) fn judge(document: &Document, part: &mut Part, cx: &mut Context<'_>) {
    config::judge(document, part, cx);
    manifests::judge(document, part, cx);
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    fn verdict(text: &str) -> (String, Verdict) {
        let part = scan("x", &text.as_bytes(), &Limits::default());
        (part.format.clone(), part.verdict())
    }

    #[test]
    fn json_is_read_to_its_end() {
        for text in [
            "{}",
            "[]",
            "{\"a\": [1, 2.5e-3, null, true, NaN], \"b\": \"\\u00e9\\ud83d\\ude00\"}",
            "{\"a\":1}\n{\"b\":2}\n",
            "[\n  1,\n  -2\n]",
        ] {
            assert_eq!(verdict(text), ("json".to_owned(), Verdict::Clean), "{text}");
        }
        for text in ["{\"a\": ", "{\"a\" 1}", "{\"a\": 1,}", "{\"a\": [1}"] {
            assert_ne!(verdict(text).1, Verdict::Found, "{text}");
        }
        assert_eq!(verdict("[2024] is the year of this licence").0, "text");
    }

    #[test]
    fn json_larger_than_a_head_is_read_to_its_end() {
        let many = (0..200_000).map(|i| format!("\"t{i}\": {i}")).collect::<Vec<_>>().join(",");
        let evil = format!("{{\"vocab\": {{{many}}}, \"chat_template\": \"{{{{ x.__class__ }}}}\"}}");
        assert_eq!(verdict(&evil).1, Verdict::Found);
        let good = format!("{{\"vocab\": {{{many}}}, \"chat_template\": \"{{{{ x }}}}\"}}");
        assert_eq!(verdict(&good).1, Verdict::Clean);
        let target = format!("{{\"vocab\": {{{many}}}, \"a\": {{\"_target_\": \"os.system\"}}}}");
        assert_eq!(verdict(&target).1, Verdict::Found);
    }

    #[test]
    fn nesting_is_bounded() {
        let most = crate::text::document::DEPTH_MAX;
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(verdict(&nested(most)).1, Verdict::Clean);
        assert_eq!(verdict(&nested(most + 1)).1, Verdict::Inconclusive);
    }
}
