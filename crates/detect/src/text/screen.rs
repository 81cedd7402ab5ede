//! All text guards of one system, and the screening of whole bodies.

use std::borrow::Cow;

use domain::{Clock, Finding, GuardMode, GuardVerdict, Location, Outcome, Severity};
use openai::{Place, Reply, Request, Role};
use text::Span;
use text::mask::{Session, Style};

use super::claims::ClinicalClaims;
use super::hidden::HiddenText;
use super::identifiers::PatientIdentifiers;
use super::injected::InjectedInstructions;
use super::media::UnreadMedia;
use super::{Hit, HoldBack, Note, Talk, TextGuard, TextGuardSettings, Way};
use crate::guard_set::{Instance, Screening, Side, conclude};
use crate::rows::Report;

/// A text that makes each guard read what it reads once.
const WARMING: &str = "Mr. Smith was seen on 4 May for atrial fibrillation; metoprolol 25 mg twice a day.";

/// All text guards of one system. Holds no traffic.
pub struct TextGuards {
    media: Option<UnreadMedia>,
    style: Option<Style>,
    pub(super) guards: Vec<Box<dyn TextGuard>>,
    pub(super) hold: HoldBack,
}

/// One text, on its way through the guards.
pub(super) struct Said<'a> {
    pub(super) role: Role,
    pub(super) place: Place,
    pub(super) text: Cow<'a, str>,
}

/// What a guard saw in which text.
pub(super) type Seen = (usize, GuardMode, Hit);

impl TextGuards {
    /// Puts the guards together.
    pub fn build(settings: &TextGuardSettings, hold: HoldBack) -> Self {
        let media = settings.unread_media.enabled.then(|| UnreadMedia(settings.unread_media.clone()));
        let hidden: Box<dyn TextGuard> = Box::new(HiddenText(settings.hidden_text.clone()));
        let injected = Box::new(InjectedInstructions(settings.injected_instructions.clone()));
        let identifiers = PatientIdentifiers(settings.patient_identifiers.clone());
        let style = identifiers.style().filter(|_| settings.patient_identifiers.enabled);
        let mut guards: Vec<Box<dyn TextGuard>> = vec![hidden, injected, Box::new(identifiers)];
        guards.push(Box::new(ClinicalClaims(settings.clinical_claims.clone())));
        guards.retain(|guard| guard.common().enabled);
        // Weights and lists are read now, and not by the first patient's request.
        let mut talk = Talk::default();
        for guard in &guards {
            let _ = guard.hits(Way::In, Role::Document, WARMING, &mut talk);
        }
        Self { media, style, guards, hold }
    }

    /// The guards that run, in order.
    pub fn instances(&self) -> Vec<Instance> {
        let instance = |guard: &dyn TextGuard| Instance {
            name: guard.entry().name,
            entry: guard.entry(),
            mode: guard.common().mode,
            side: if guard.reads(Way::In) { Side::Request } else { Side::Reply },
        };
        let media = self.media.as_ref().map(|guard| Instance {
            name: super::media::ENTRY.name,
            entry: &super::media::ENTRY,
            mode: guard.0.mode,
            side: Side::Request,
        });
        media.into_iter().chain(self.guards.iter().map(|guard| instance(&**guard))).collect()
    }

    /// Screens a request. Texts that a guard changes are changed in what comes back. `key` decides the stand-ins for identifiers: secret, and
    /// the same as long as they shall be the same.
    pub fn screen_request(
        &self,
        mut request: Request,
        key: [u8; 32],
        clock: &dyn Clock,
    ) -> (Screening<Request>, Talk) {
        let mut talk = Talk::new(self.style.map(|style| Session::new(key, style)));
        let (mut verdicts, edits) = {
            let said: Vec<Said<'_>> = all_said(request.pieces(), |n| request.text(n));
            self.judge(Way::In, &said, &mut talk, clock)
        };
        verdicts.extend(self.media.as_ref().map(|guard| guard.verdict(request.media(), clock)));
        edits.into_iter().for_each(|(n, text)| request.set_text(n, text));
        (conclude(request, verdicts), talk)
    }

    /// Screens a whole reply.
    pub fn screen_reply(&self, mut reply: Reply, talk: &mut Talk, clock: &dyn Clock) -> Screening<Reply> {
        for n in 0..reply.pieces().len() {
            let restored = talk.restored(&reply.text(n));
            if let Some(restored) = restored {
                reply.set_text(n, restored);
            }
        }
        let (verdicts, edits) = {
            let said: Vec<Said<'_>> = all_said(reply.pieces(), |n| reply.text(n));
            self.judge(Way::Out, &said, talk, clock)
        };
        edits.into_iter().for_each(|(n, text)| reply.set_text(n, text));
        conclude(reply, verdicts)
    }

    /// Runs every guard over every text: what each says, and the texts that change, by number.
    pub(super) fn judge(
        &self,
        way: Way,
        said: &[Said<'_>],
        talk: &mut Talk,
        clock: &dyn Clock,
    ) -> (Vec<GuardVerdict>, Vec<(usize, String)>) {
        let mut verdicts = Vec::with_capacity(self.guards.len());
        let mut edits: Vec<(usize, Span, String)> = Vec::new();
        let mut notes: Vec<(usize, &'static str, Hit)> = Vec::new();
        let mut at_us = clock.monotonic_us();
        for guard in self.guards.iter().filter(|guard| guard.reads(way)) {
            let mut seen: Vec<Seen> = Vec::new();
            let mut late = false;
            for (n, one) in said.iter().enumerate() {
                let Some(mode) = guard.mode(way, one.role) else { continue };
                if one.text.is_empty() {
                    continue;
                }
                late |= clock.monotonic_us().saturating_sub(at_us) > guard.common().budget_us;
                if late {
                    break;
                }
                let hits = guard.hits(way, one.role, &one.text, talk);
                seen.extend(hits.into_iter().map(|hit| (n, mode, hit)));
            }
            let now_us = clock.monotonic_us();
            let took_us = now_us.saturating_sub(at_us);
            at_us = now_us;
            late |= took_us > guard.common().budget_us;
            for (n, _, hit) in &seen {
                if let Some(replacement) = &hit.replacement {
                    edits.push((*n, hit.span, replacement.clone()));
                }
                notes.push((*n, guard.entry().id, hit.clone()));
            }
            verdicts.extend(verdicts_of(&**guard, way, said, &seen, late, took_us));
        }
        let changed = apply(said, &mut edits);
        for (n, check, hit) in notes {
            let Some(one) = said.get(n) else { continue };
            // Of a request the caller has the text before it was changed, of a reply the one after.
            let at = |at: usize| if way == Way::In { at } else { moved(&edits, n, at) };
            let (start, end) = (at(hit.span.start()), at(hit.span.end()));
            let message = hit.detail.unwrap_or(hit.message);
            talk.note(Note { check, place: one.place, start, end, severity: hit.severity, message });
        }
        (verdicts, changed)
    }
}

fn all_said<'a>(pieces: &[openai::Piece], text: impl Fn(usize) -> Cow<'a, str>) -> Vec<Said<'a>> {
    let all = pieces.iter().enumerate();
    all.map(|(n, piece)| Said { role: piece.role, place: piece.place, text: text(n) }).collect()
}

/// What one guard says: one verdict in its own mode, and one more for each other mode that a role gave to something it saw.
pub(super) fn verdicts_of(
    guard: &dyn TextGuard,
    way: Way,
    said: &[Said<'_>],
    seen: &[Seen],
    late: bool,
    took_us: u64,
) -> Vec<GuardVerdict> {
    let common = guard.common();
    let place = |n: usize| said.get(n).map(|one| one.place.to_string()).unwrap_or_default();
    let outcome_in = |mode: GuardMode, doubt: bool| {
        let mut report = Report::new(guard.entry().id);
        for (n, _, hit) in seen.iter().filter(|(_, of, hit)| *of == mode && hit.severity > Severity::Info) {
            let location =
                Location { byte: u64::try_from(hit.span.start()).ok(), ..Location::named(place(*n)) };
            report.find(hit.severity, location, hit.technique, hit.message.clone(), hit.remedy);
        }
        if doubt {
            report.doubt(format!("took longer than its budget of {} µs", common.budget_us));
        }
        report.finish()
    };
    let verdict =
        |instance: Cow<'static, str>, mode: GuardMode, outcome: Outcome, took_us: u64| GuardVerdict {
            instance,
            check: guard.entry().id.into(),
            mode,
            on_inconclusive: common.on_inconclusive,
            outcome,
            took_us,
        };
    let name = match way {
        Way::In => Cow::Borrowed(guard.entry().name),
        Way::Out => Cow::Owned(format!("reply-{}", guard.entry().name)),
    };
    // In a reply a guard may have another mode; there is only one role to speak of.
    let own =
        if way == Way::In { common.mode } else { guard.mode(way, Role::Assistant).unwrap_or(common.mode) };
    let mut all = vec![verdict(name.clone(), own, outcome_in(own, late), took_us)];
    for (mode, word) in
        [(GuardMode::Observe, "observed"), (GuardMode::Flag, "flagged"), (GuardMode::Block, "blocked")]
    {
        if mode != own && seen.iter().any(|(_, of, hit)| *of == mode && hit.severity > Severity::Info) {
            all.push(verdict(format!("{name}-{word}").into(), mode, outcome_in(mode, false), 0));
        }
    }
    all
}

/// Applies edits; where two overlap the one that came first stays. Leaves in `edits` those that were applied, in order.
fn apply(said: &[Said<'_>], edits: &mut Vec<(usize, Span, String)>) -> Vec<(usize, String)> {
    let mut kept: Vec<(usize, Span, String)> = Vec::with_capacity(edits.len());
    edits.sort_by_key(|(n, span, _)| (*n, *span));
    for (n, span, text) in edits.drain(..) {
        let clashes = kept.last().is_some_and(|(of, last, _)| *of == n && span.start() < last.end());
        if !clashes && said.get(n).is_some_and(|one| one.text.get(span.range()).is_some()) {
            kept.push((n, span, text));
        }
    }
    let mut changed: Vec<(usize, String)> = Vec::new();
    for group in kept.chunk_by(|a, b| a.0 == b.0) {
        let Some((n, _, _)) = group.first() else { continue };
        let text = said.get(*n).map_or("", |one| &one.text);
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for (_, span, with) in group {
            out.push_str(text.get(at..span.start()).unwrap_or_default());
            out.push_str(with);
            at = span.end();
        }
        out.push_str(text.get(at..).unwrap_or_default());
        changed.push((*n, out));
    }
    *edits = kept;
    changed
}

/// Where byte `at` of text `n` stands after the edits.
fn moved(edits: &[(usize, Span, String)], n: usize, at: usize) -> usize {
    let mut to = at;
    for (_, span, with) in edits.iter().filter(|(of, _, _)| *of == n) {
        if span.end() <= at {
            to = to + with.len() - span.len().min(to);
        } else if span.start() < at {
            to = to.saturating_sub(at - span.start());
        }
    }
    to
}

/// Whether what was seen stops the exchange in this mode.
pub(super) fn blocks(mode: GuardMode, hit: &Hit) -> bool {
    mode == GuardMode::Block && hit.severity >= Severity::Medium
}

/// A finding of a stream, for the verdict of a guard that stopped it.
pub(super) fn finding(guard: &dyn TextGuard, place: Place, at: usize, hit: &Hit) -> Finding {
    Finding {
        check: guard.entry().id.to_owned(),
        severity: hit.severity,
        location: Location { byte: u64::try_from(at).ok(), ..Location::named(place.to_string()) },
        message: hit.message.clone(),
        technique: hit.technique.map(str::to_owned),
        remedy: hit.remedy.to_owned(),
    }
}
