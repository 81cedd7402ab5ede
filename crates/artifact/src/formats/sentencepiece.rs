//! The vocabulary of SentencePiece (`tokenizer.model`): pieces of words with scores, and how they were trained.

use super::{Format, Input, Sure};
use crate::wire::proto::{Message, Payload};
use crate::{Context, Part};

/// The format.
pub(super) struct SentencePiece;

/// Pieces that recognition looks at.
const LOOK_MAX: usize = 64;

impl Format for SentencePiece {
    fn name(&self) -> &'static str {
        "sentencepiece"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        if input.head.first() != Some(&0x0a) {
            return None;
        }
        let message = Message::new(input.source, 0);
        let mut pieces = 0;
        for field in message.fields().take(LOOK_MAX) {
            let field = field.ok()?;
            if field.number != 1 || !matches!(field.payload, Payload::Bytes { .. }) {
                break;
            }
            message.open(&field, |piece| is_piece(&piece)).ok()??.then_some(())?;
            pieces += 1;
        }
        (pieces >= 3).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let message = Message::new(input.source, 0);
        let mut pieces = 0u64;
        for field in message.fields() {
            if cx.step(1).is_err() {
                return cx.unread(part, None, "the limit of steps is reached; scan this file apart");
            }
            match field {
                Ok(field) if field.number == 1 => pieces += 1,
                Ok(field) if (2..=5).contains(&field.number) => {}
                Ok(field) => {
                    return cx.unread(
                        part,
                        None,
                        format!("field {} is not one of SentencePiece's", field.number),
                    );
                }
                Err(e) => return cx.unread(part, None, format!("the vocabulary breaks off: {e}")),
            }
        }
        part.facts.framework = Some("SentencePiece".to_owned());
        part.facts.note("pieces", &pieces.to_string());
    }
}

/// A text, a score and a kind.
fn is_piece(piece: &Message<'_>) -> bool {
    let mut text = false;
    for field in piece.fields().take(8) {
        match field {
            Ok(f) if f.number == 1 && matches!(f.payload, Payload::Bytes { .. }) => {
                text = std::str::from_utf8(piece.text(&f, 4096).as_bytes()).is_ok()
            }
            Ok(f) if f.number == 2 || f.number == 3 => {}
            _ => return false,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::wire::proto::build::{bytes, int, message};
    use crate::{Limits, Verdict, scan};

    #[test]
    fn vocabularies_are_read_to_their_end() {
        let piece = |text: &str| message(1, &[bytes(1, text), vec![0x15, 0, 0, 0x80, 0x3f], int(3, 1)]);
        let mut model =
            [piece("<unk>"), piece("<s>"), piece("\u{2581}the"), message(2, &[bytes(1, "corpus.txt")])]
                .concat();
        let part = scan("tokenizer.model", &model, &Limits::default());
        assert_eq!((part.format.as_str(), part.verdict()), ("sentencepiece", Verdict::Clean));
        model.extend([0x0a, 0x7f, 1]);
        assert_eq!(scan("tokenizer.model", &model, &Limits::default()).verdict(), Verdict::Inconclusive);
    }
}
