//! Screening a reply while it is being said. Of each text a little is held back, so that what is said in pieces is seen before
//! its first piece is let go; an end, of the choice or of the stream, lets go what is held. Nothing leaves but [`Frame`]s,
//! which are made here, after the guards.

use std::collections::BTreeMap;
use std::ops::Range;

use domain::{Clock, GuardVerdict, Outcome};
use openai::{Channel, Chunk, ChunkKind, DONE, Endpoint, Role, write_event};

use super::screen::{Said, blocks, finding};
use text::stream::StreamRestorer;

use super::{Hit, HoldBack, Talk, TextGuards, Way};
use crate::Screened;
use crate::guard_set::let_go;

/// Bytes of events that were screened and may leave.
pub type Frame = Screened<Vec<u8>>;

/// Bytes that are gathered before the guards look again.
const STEP_BYTES: usize = 24;
/// Bytes in front of what is held that the guards see as well: a word belongs to the sentence before it.
const BEFORE_BYTES: usize = 160;
/// Events kept at the end until the receipt is known.
const TAIL_MAX: usize = 16;

/// The reply was stopped.
#[derive(Debug)]
pub struct Blocked {
    /// What the guards said.
    pub verdicts: Vec<GuardVerdict>,
}

/// The end of a stream: everything but the last event may leave.
pub struct StreamEnd {
    /// What was still held.
    held: Frame,
    /// What each guard said of the whole reply.
    pub verdicts: Vec<GuardVerdict>,
    last: Option<(String, Chunk)>,
    any: Option<Chunk>,
    endpoint: Endpoint,
}

/// A text that grows.
#[derive(Default)]
struct Growing {
    said: String,
    /// Up to where it left.
    released: usize,
    /// Up to where the guards have looked.
    looked: usize,
    /// The last event that added to it.
    chunk: Option<Chunk>,
    /// Puts originals back.
    restorer: Option<StreamRestorer>,
}

/// One streamed reply on its way through the guards.
pub struct StreamScreen<'g> {
    guards: &'g TextGuards,
    talk: Talk,
    endpoint: Endpoint,
    texts: BTreeMap<Channel, Growing>,
    tail: Vec<(String, Chunk)>,
    last: Option<Chunk>,
    acting: bool,
}

impl TextGuards {
    /// A screen for a streamed reply.
    pub fn stream(&self, endpoint: Endpoint, talk: Talk) -> StreamScreen<'_> {
        let acting = self.guards.iter().any(|guard| guard.acts_on_replies());
        StreamScreen {
            guards: self,
            talk,
            endpoint,
            texts: BTreeMap::new(),
            tail: Vec::new(),
            last: None,
            acting,
        }
    }
}

impl StreamScreen<'_> {
    /// Takes the next event; what may leave now comes back, and may be empty.
    ///
    /// # Errors
    /// [`Blocked`] when a guard stops the reply. Nothing that was held leaves then.
    pub fn push(&mut self, name: String, mut chunk: Chunk, clock: &dyn Clock) -> Result<Frame, Blocked> {
        let mut out = Vec::new();
        let ends = chunk.kind() == ChunkKind::End;
        let repeats = self.endpoint == Endpoint::Responses && chunk.deltas().is_empty();
        let deltas: Vec<(Channel, usize)> = chunk.deltas().to_vec();
        for (channel, piece) in &deltas {
            let text = chunk.text(*piece);
            let talk = &self.talk;
            let new = || Growing { restorer: talk.restorer(), ..Growing::default() };
            let growing = self.texts.entry(*channel).or_insert_with(new);
            match &mut growing.restorer {
                Some(restorer) => growing.said += &restorer.push(&text),
                None => growing.said += &text,
            }
        }
        if ends || repeats {
            // The choice is over: what is held of its other texts goes in front.
            let choices: Vec<u32> = chunk.ended().to_vec();
            let held: Vec<Channel> = self.texts.keys().copied().collect();
            for channel in held {
                let over = repeats || choices.contains(&channel.choice);
                if over && !deltas.iter().any(|(of, _)| *of == channel) {
                    self.empty(channel, &mut out)?;
                }
            }
        }
        for (channel, piece) in &deltas {
            let over = ends && chunk.ended().contains(&channel.choice);
            let text = self.advance(*channel, over)?;
            chunk.set_text(*piece, text);
        }
        self.whole(&mut chunk, clock)?;
        for (channel, _) in &deltas {
            if self.acting
                && let Some(growing) = self.texts.get_mut(channel)
            {
                growing.chunk = Some(chunk.clone());
            }
        }
        if self.last.is_none() || self.endpoint != Endpoint::Responses {
            self.last = Some(chunk.clone());
        }
        if ends || !self.tail.is_empty() {
            self.tail.push((name, chunk));
            if self.tail.len() > TAIL_MAX {
                let (name, chunk) = self.tail.remove(0);
                write_event(&name, &chunk.write(None), &mut out);
            }
        } else {
            write_event(&name, &chunk.write(None), &mut out);
        }
        Ok(let_go(out))
    }

    /// The stream is complete: what is held leaves, and the guards say what they make of all of it.
    ///
    /// # Errors
    /// [`Blocked`], as long as something can still be stopped.
    pub fn finish(mut self, clock: &dyn Clock) -> Result<(StreamEnd, Talk), Blocked> {
        let mut out = Vec::new();
        let held: Vec<Channel> = self.texts.keys().copied().collect();
        for channel in held {
            self.empty(channel, &mut out)?;
        }
        let said: Vec<Said<'_>> = self
            .texts
            .iter()
            .map(|(channel, growing)| Said {
                role: Role::Assistant,
                place: channel.place(),
                text: growing.said.as_str().into(),
            })
            .collect();
        let (verdicts, _) = self.guards.judge(Way::Out, &said, &mut self.talk, clock);
        let last = self.tail.pop();
        for (name, chunk) in std::mem::take(&mut self.tail) {
            write_event(&name, &chunk.write(None), &mut out);
        }
        let held = let_go(out);
        Ok((StreamEnd { held, verdicts, last, any: self.last, endpoint: self.endpoint }, self.talk))
    }

    /// Screens the texts of an event that are whole.
    fn whole(&mut self, chunk: &mut Chunk, clock: &dyn Clock) -> Result<(), Blocked> {
        let wholes: Vec<usize> = chunk.wholes().collect();
        for n in &wholes {
            if let Some(restored) = self.talk.restored(&chunk.text(*n)) {
                chunk.set_text(*n, restored);
            }
        }
        if wholes.is_empty() || !self.acting {
            return Ok(());
        }
        let (verdicts, edits) = {
            let all = wholes.iter().filter_map(|n| chunk.pieces().get(*n).map(|piece| (*n, piece)));
            let said: Vec<Said<'_>> = all
                .map(|(n, piece)| Said { role: piece.role, place: piece.place, text: chunk.text(n) })
                .collect();
            // What is noted here is noted again at the end, of the whole reply.
            let noted = self.talk.notes.len();
            let judged = self.guards.judge(Way::Out, &said, &mut self.talk, clock);
            self.talk.notes.truncate(noted);
            judged
        };
        if verdicts.iter().any(GuardVerdict::blocks) {
            return Err(Blocked { verdicts });
        }
        for (n, text) in edits {
            if let Some(piece) = wholes.get(n) {
                chunk.set_text(*piece, text);
            }
        }
        Ok(())
    }

    /// Lets go what is held of a text, as an event of its own.
    fn empty(&mut self, channel: Channel, out: &mut Vec<u8>) -> Result<(), Blocked> {
        let text = self.advance(channel, true)?;
        if text.is_empty() {
            return Ok(());
        }
        let chunk =
            self.texts.get(&channel).and_then(|growing| growing.chunk.as_ref()).or(self.last.as_ref());
        if let Some(chunk) = chunk {
            let name = if self.endpoint == Endpoint::Responses { chunk.event_name() } else { String::new() };
            write_event(&name, &chunk.adding(channel, &text), out);
        }
        Ok(())
    }

    /// What may leave of a text now: all of it when it is `over`, else all but what is held back.
    fn advance(&mut self, channel: Channel, over: bool) -> Result<String, Blocked> {
        let Some(growing) = self.texts.get_mut(&channel) else { return Ok(String::new()) };
        if over && let Some(restorer) = growing.restorer.take() {
            // Its error is a text cut inside a character, which a text that came as characters is not.
            growing.said += &restorer.finish().unwrap_or_default();
        }
        let length = growing.said.len();
        if !self.acting {
            let text = growing.said.get(growing.released..).unwrap_or_default().to_owned();
            (growing.released, growing.looked) = (length, length);
            return Ok(text);
        }
        let hold = match self.guards.hold {
            HoldBack::WholeReply if !over => return Ok(String::new()),
            HoldBack::WholeReply => 0,
            HoldBack::Characters(n) => {
                let held = growing.restorer.as_ref().map_or(0, StreamRestorer::held);
                usize::from(n).saturating_sub(held)
            }
        };
        if length == growing.released || !over && length - growing.looked < STEP_BYTES.min(hold.max(1)) {
            return Ok(String::new());
        }
        growing.looked = length;
        let from = floor(&growing.said, growing.released.saturating_sub(BEFORE_BYTES));
        let window = growing.said.get(from..).unwrap_or_default();
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        for guard in self.guards.guards.iter().filter(|guard| guard.acts_on_replies()) {
            let common = guard.common();
            let Some(mode) = guard.mode(Way::Out, Role::Assistant) else { continue };
            let hits = guard.hits(Way::Out, Role::Assistant, window, &mut self.talk);
            let fresh = |hit: &&Hit| from + hit.span.end() > growing.released;
            let stops: Vec<&Hit> = hits.iter().filter(fresh).filter(|hit| blocks(mode, hit)).collect();
            if !stops.is_empty() {
                let found = |hit: &&Hit| finding(&**guard, channel.place(), from + hit.span.start(), hit);
                return Err(Blocked {
                    verdicts: vec![GuardVerdict {
                        instance: guard.entry().name.into(),
                        check: guard.entry().id.into(),
                        mode,
                        on_inconclusive: common.on_inconclusive,
                        outcome: Outcome::from_findings(stops.iter().take(4).map(found).collect()),
                        took_us: 0,
                    }],
                });
            }
            edits.extend(hits.iter().filter(fresh).filter_map(|hit| {
                let range = from + hit.span.start()..from + hit.span.end();
                hit.replacement.clone().map(|with| (range, with))
            }));
        }
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let text = growing.release(over, hold, &edits);
        Ok(text)
    }
}

impl Growing {
    /// Takes out what may leave, with its edits. An edit is not cut in two: what is held begins in front of it, unless more would be
    /// held than is allowed; then it leaves whole.
    fn release(&mut self, over: bool, hold: usize, edits: &[(Range<usize>, String)]) -> String {
        let length = self.said.len();
        let least = back(&self.said, hold).max(self.released);
        let mut to =
            if over { length } else { back(&self.said, hold.saturating_sub(STEP_BYTES)).max(self.released) };
        if let Some((range, _)) = edits.iter().find(|(range, _)| range.start < to && to < range.end) {
            to = if range.start >= least { range.start } else { range.end };
        }
        let mut out = String::with_capacity(to.saturating_sub(self.released));
        let mut at = self.released;
        for (range, with) in edits.iter().filter(|(range, _)| range.end <= to && range.end > self.released) {
            if range.start < at && at > self.released {
                continue;
            }
            // One that began in what has left was said then.
            if range.start >= at {
                out.push_str(self.said.get(at..range.start).unwrap_or_default());
                out.push_str(with);
            }
            at = range.end;
        }
        out.push_str(self.said.get(at..to).unwrap_or_default());
        self.released = to.max(at);
        out
    }
}

impl StreamEnd {
    /// Takes out what was still held, to be sent before the rest.
    pub fn take_held(&mut self) -> Frame {
        std::mem::replace(&mut self.held, let_go(Vec::new()))
    }

    /// The last events: the one that carries `asepsis` (JSON), and the mark of the end where the protocol has one.
    pub fn seal(self, asepsis: &str) -> Frame {
        let mut out = Vec::new();
        match (self.last, self.any) {
            (Some((name, chunk)), _) => write_event(&name, &chunk.write(Some(asepsis)), &mut out),
            (None, Some(chunk)) if self.endpoint == Endpoint::Chat => {
                let choice = r#"{"index":0,"delta":{},"finish_reason":null}"#;
                write_event("", &chunk.saying(choice, Some(asepsis)), &mut out);
            }
            _ => {}
        }
        if self.endpoint == Endpoint::Chat {
            write_event("", DONE.as_bytes(), &mut out);
        }
        let_go(out)
    }
}

/// The largest place of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Where the last `chars` characters begin.
fn back(text: &str, chars: usize) -> usize {
    if chars == 0 {
        return text.len();
    }
    text.char_indices().rev().nth(chars - 1).map_or(0, |(at, _)| at)
}
