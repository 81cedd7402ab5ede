//! One scan under way: where it is, what it may still spend, and the only ways to report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::{Entry, Finding, Location, Severity};

use crate::formats::{FORMATS, Input, Sure};
use crate::layouts::{LAYOUTS, Listing, Role};
use crate::{Limits, Member, Part, ReadError, Source, Unread, embedded};

/// Bytes at the front that recognition looks at.
pub(crate) const HEAD: u64 = 64 * 1024;

/// The state of one scan.
pub struct Context<'l> {
    /// Bounds.
    pub limits: &'l Limits,
    path: Vec<String>,
    parts: u64,
    expanded: Budget,
    steps: u64,
}

/// Bytes that decompression may still give; shared with sources that decode while they are read.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    used: Arc<AtomicU64>,
    bombs: Arc<AtomicU64>,
    limit: u64,
}

impl Budget {
    /// A bomb was seen: the verdict stands, and no further one needs to be unfolded as far.
    pub(crate) fn bomb(&self) {
        self.bombs.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a bomb was seen anywhere in the artefact.
    pub(crate) fn bombed(&self) -> bool {
        self.bombs.load(Ordering::Relaxed) > 0
    }

    /// Counts bytes.
    pub(crate) fn spend(&self, bytes: u64) -> Result<(), Spent> {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        bound(used, self.limit, "decompressed bytes")
    }
}

/// A bound of the whole scan was reached; the part is inconclusive from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limit of {limit} {what} for one artefact is reached; scan its parts apart")]
pub struct Spent {
    /// What was counted.
    pub what: &'static str,
    /// How many are allowed.
    pub limit: u64,
}

impl<'l> Context<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Self {
        let expanded = Budget { used: Arc::default(), bombs: Arc::default(), limit: limits.expanded_max };
        Self { limits, path: Vec::new(), parts: 0, expanded, steps: 0 }
    }

    /// What decompression may still give, for sources that decode while they are read.
    pub(crate) fn budget(&self) -> Budget {
        self.expanded.clone()
    }

    /// Containers around the part that is being read.
    pub fn depth(&self) -> usize {
        self.path.len()
    }

    /// Counts bytes that decompression gave. Call before keeping them.
    ///
    /// # Errors
    /// [`Spent`] above `expanded_max`.
    pub fn expand(&mut self, bytes: u64) -> Result<(), Spent> {
        self.expanded.spend(bytes)
    }

    /// Counts steps of interpretation.
    ///
    /// # Errors
    /// [`Spent`] above `steps_max`.
    pub fn step(&mut self, steps: u64) -> Result<(), Spent> {
        self.steps = self.steps.saturating_add(steps);
        bound(self.steps, self.limits.steps_max, "steps of interpretation")
    }

    /// Reports something dangerous (`Medium` and worse) or worth a remark. `byte` is the place in the part.
    /// The technique is the first ATLAS id of the entry.
    pub fn find(
        &mut self,
        part: &mut Part,
        entry: &'static Entry,
        severity: Severity,
        byte: Option<u64>,
        message: impl Into<String>,
        remedy: &str,
    ) {
        if part.findings.len() >= self.limits.findings_max {
            return;
        }
        let finding = Finding {
            check: entry.id.to_owned(),
            severity,
            location: Location { byte, ..Location::named(self.place(&part.name)) },
            message: printable(&message.into()),
            technique: entry.maps.iter().find(|m| m.starts_with("AML.T")).map(|&m| m.to_owned()),
            remedy: remedy.to_owned(),
        };
        if !part.findings.contains(&finding) {
            part.findings.push(finding);
        }
    }

    /// Reports that something could not be read or understood: the verdict is at best `inconclusive`.
    pub fn unread(&mut self, part: &mut Part, byte: Option<u64>, reason: impl Into<String>) {
        let unread = Unread { byte, reason: printable(&reason.into()) };
        if part.unread.len() < self.limits.findings_max && !part.unread.contains(&unread) {
            part.unread.push(unread);
        }
    }

    /// The path of a part from the whole file on: `model.pt!/archive/data.pkl`.
    fn place(&self, name: &str) -> String {
        match self.path.split_first() {
            // The part that is being read is the last of the path already.
            Some(_) if self.path.last().is_some_and(|last| last == name) => self.path.join("!/"),
            Some(_) => format!("{}!/{name}", self.path.join("!/")),
            None => name.to_owned(),
        }
    }

    /// Scans what is inside `part` under the name `name` and adds it below.
    pub fn nested(&mut self, part: &mut Part, name: &str, source: &dyn Source) {
        let child = self.scan(name, source);
        part.parts.push(child);
    }

    /// Recognises the format and reads it.
    pub(crate) fn scan(&mut self, name: &str, source: &dyn Source) -> Part {
        let mut part = Part::new(name, "unknown", 0);
        self.parts += 1;
        if let Err(e) = bound(self.parts, self.limits.parts_max, "parts") {
            self.unread(&mut part, None, e.to_string());
            return part;
        }
        if self.path.len() as u64 >= u64::from(self.limits.depth_max) {
            let message = format!("nested deeper than {} containers, as no model is", self.limits.depth_max);
            let remedy = "do not open it; ask the sender for an ordinary file";
            self.find(&mut part, &crate::formats::BOMB, Severity::Medium, None, message, remedy);
            self.unread(&mut part, None, "nested too deep to be read; unpack it and scan the parts");
            return part;
        }
        self.path.push(name.to_owned());
        let loaded = source.load();
        let source: &dyn Source = loaded.as_ref().map_or(source, |bytes| bytes);
        part.bytes = source.len();
        if let Err(e) = self.read(&mut part, source) {
            self.unread(&mut part, None, e.to_string());
        }
        self.path.pop();
        part
    }

    fn read(&mut self, part: &mut Part, source: &dyn Source) -> Result<(), ReadError> {
        if source.is_empty() {
            "empty".clone_into(&mut part.format);
            return Ok(());
        }
        let name = part.name.clone();
        let (head, tail) = (source.head(HEAD)?, source.tail(HEAD)?);
        let input = Input { name: &name, source, head: &head, tail: &tail };
        let sure: Vec<_> = FORMATS.iter().map(|f| (*f, f.recognise(&input))).collect();
        // A file can be several things at once; every reader that is certain reads it. Guesses count only without one.
        let best = sure.iter().filter_map(|(_, s)| *s).max();
        let chosen = sure.iter().filter(|(_, s)| s.is_some() && (*s == best || *s == Some(Sure::Certain)));
        let mut chosen: Vec<_> = chosen.map(|(format, _)| *format).collect();
        let included: Vec<&str> = chosen.iter().flat_map(|f| f.includes(&input)).copied().collect();
        chosen.retain(|f| !included.contains(&f.name()));
        part.guessed = best.is_some_and(|b| b < Sure::Certain);
        if chosen.is_empty() {
            self.unread(
                part,
                Some(0),
                "the format is not known, so what it can do is not known; ask the sender",
            );
            if !source.sweeps() {
                embedded::search(source, part, self);
            }
        } else {
            part.format = chosen.iter().map(|f| f.name()).collect::<Vec<_>>().join("+");
        }
        if chosen.len() > 1 && best == Some(Sure::Certain) {
            let message = format!("the same bytes are valid as {}", part.format.replace('+', " and as "));
            let remedy = "do not load it; ask the sender for a file that is one thing only";
            self.find(part, &crate::embedded::POLYGLOT, Severity::High, None, message, remedy);
        }
        for format in chosen {
            format.read(&input, part, self);
        }
        crate::formats::carried::search(&input, part, self);
        Ok(())
    }

    /// Scans the members of an archive or folder: each by itself, and what they are together.
    pub fn members(&mut self, part: &mut Part, members: &[Member<'_>]) {
        let children = members.iter().map(|m| self.scan(m.name, m.source)).collect();
        self.join(part, members, children);
    }

    /// What members that were scanned by themselves (same order) are together.
    pub(crate) fn join(&mut self, part: &mut Part, members: &[Member<'_>], children: Vec<Part>) {
        let listing = Listing { members };
        let layouts: Vec<_> = LAYOUTS.iter().filter(|l| l.recognise(&listing)).collect();
        if let Some(first) = layouts.first() {
            part.format = format!("{}:{}", part.format, first.name());
        }
        for (member, mut child) in members.iter().zip(children) {
            let role = layouts.iter().find_map(|l| l.role(&listing, member.name)).unwrap_or(Role::Any);
            // Any numbers may seem to claim a length that is not there, once they are taken for a pickle.
            let claims = crate::pickle::rules::UNFOLDS_HUGE.id;
            let harmless = child.all_findings().all(|f| f.severity < Severity::Medium || f.check == claims);
            // Numbers may look like the start of something; what matters is whether it would do anything.
            if role == Role::Weights && child.format == "unknown" {
                "weights".clone_into(&mut child.format);
                child.unread.clear();
            } else if role == Role::Weights && child.guessed && harmless {
                child = Part::new(&child.name, "weights", child.bytes);
                if !member.source.sweeps() {
                    embedded::search(member.source, &mut child, self);
                }
            }
            part.parts.push(child);
        }
        for layout in layouts {
            layout.read(&listing, part, self);
        }
    }

    /// Goes into a container that is no part of another, for the names of places.
    pub(crate) fn inside<T>(&mut self, name: &str, then: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let out = then(self);
        self.path.pop();
        out
    }
}

fn bound(used: u64, limit: u64, what: &'static str) -> Result<(), Spent> {
    if used > limit { Err(Spent { what, limit }) } else { Ok(()) }
}

/// Text of an untrusted file on one line: control and invisible characters are shown as escapes, length is bounded.
pub(crate) fn printable(text: &str) -> String {
    /// Longest message, characters.
    const CHARS_MAX: usize = 400;
    let mut out = String::with_capacity(text.len().min(CHARS_MAX));
    for (n, c) in text.chars().enumerate() {
        if n == CHARS_MAX {
            out.push('…');
            break;
        }
        let invisible = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
        if invisible {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
