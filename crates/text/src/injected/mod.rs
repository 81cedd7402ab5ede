//! Orders to a model, hidden in text that the model should only read.
//!
//! [`find`] reads the [`View`] of a text: what a model reads once invisible characters are gone
//! and look-alike letters are folded. Three things speak: the trained running sums of [`Model`], structural rules
//! (chat delimiters, links and images that carry data out), and instructions inside what [`hidden`]
//! decoded. Who wrote the text decides what counts: a user may ask for a poem, a discharge letter may not.

mod canary;
pub mod features;
mod leak;
pub mod lexicon;
pub mod model;
pub mod net;
mod reason;
mod rules;
mod spotlight;
mod words;

pub use canary::{Canary, Spelling};
pub use leak::{Leak, Prompt};
pub use model::{Model, ModelError};
pub use net::Net;
pub use reason::Kind;
pub use spotlight::{Marked, Spotlight, mark};

use crate::Span;
use crate::hidden::{self, Hidden, View};
use model::{ALIEN, ATTACK, Peak, Track};

/// Who a part of a request comes from, as the caller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The operator's own instructions: trusted, only looked through for hidden characters.
    System,
    /// The person at the keyboard: may give tasks, may not lift the operator's rules.
    User,
    /// A note, letter or retrieved passage: may not give any order.
    Document,
    /// What a tool returned: may not give any order.
    Tool,
}

/// Where a running sum counts as found. Higher means fewer findings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Orders to a model in what a user wrote.
    pub attack_user: f32,
    /// Orders to a model in documents and tool results.
    pub attack_document: f32,
    /// Language of tasks inside a clinical text: the running sum and the second look together.
    pub alien: f32,
    /// Mean weight per token of the rest of the text, below which it counts as clinical.
    pub host: f32,
}

impl Default for Thresholds {
    /// Set on cross-validated scores of the open sets (docs/text-injection.md).
    fn default() -> Self {
        Self { attack_user: 4.4, attack_document: 5.5, alien: 8.4, host: -0.2 }
    }
}

/// What has been trained.
#[derive(Debug, Clone, Copy)]
pub struct Trained<'a> {
    /// The running sums.
    pub sums: &'a Model,
    /// The second look.
    pub net: &'a Net,
}

impl Trained<'static> {
    /// What ships with the program.
    pub fn shipped() -> Self {
        Self { sums: Model::shipped(), net: Net::shipped() }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Where, in the text as it came.
    pub span: Span,
    /// What sort of order.
    pub kind: Kind,
    /// How far above its threshold, in units of the running sum; rules give 1.
    pub score: f32,
    /// Whether a rule found it rather than the trained weights.
    pub rule: bool,
    /// Why, in one line for a reader.
    pub reason: &'static str,
    /// What the second look said, in log-odds; 0 where it was not asked.
    pub second: f32,
    /// The trick under which it was hidden, when it was; see [`hidden::TRICKS`].
    pub hidden: Option<&'static str>,
}

/// Most findings of one text.
pub const FINDINGS_MAX: usize = 256;
/// Tokens that the rest of a text must have to stand as the ground that a task is alien to.
const GROUND_MIN: u32 = 24;
/// Clinical tokens that must stand on both sides of a task in what a user wrote: an order before or after a pasted note
/// is the user's own.
const GROUND_USER_MIN: u32 = 40;

/// Everything in `text` that gives orders to a model, in order of the text.
pub fn find(text: &str, role: Role, thresholds: &Thresholds) -> Vec<Finding> {
    find_with(Trained::shipped(), text, role, thresholds)
}

/// [`find`] with other weights.
pub fn find_with(model: Trained<'_>, text: &str, role: Role, thresholds: &Thresholds) -> Vec<Finding> {
    let view = hidden::view(text);
    let hidden = hidden::find_in(text, &view);
    find_in(model, &view, &hidden, role, thresholds)
}

/// [`find_with`] for a caller that has looked for what is hidden already.
pub fn find_in(
    model: Trained<'_>,
    view: &View<'_>,
    hidden: &[Hidden],
    role: Role,
    thresholds: &Thresholds,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in hidden {
        if found.len() < FINDINGS_MAX && orders(model, &one.decoded) {
            found.push(Finding {
                span: one.span,
                kind: Kind::HiddenOrder,
                score: 1.0,
                rule: true,
                reason: Kind::HiddenOrder.reason(),
                second: 0.0,
                hidden: Some(one.trick.name),
            });
        }
    }
    if role != Role::System {
        trained(model, view, role, thresholds, &mut found);
        rules::find(view, role, &mut found);
    }
    found.sort_by(|a, b| a.span.cmp(&b.span).then(b.score.total_cmp(&a.score)));
    found.truncate(FINDINGS_MAX);
    found
}

/// Whether what was hidden is an order. Who hides a text has no claim to the benefit of the doubt, so little is enough.
fn orders(model: Trained<'_>, said: &str) -> bool {
    const ATTACK_HIDDEN: f32 = 2.0;
    const ALIEN_HIDDEN: f32 = 3.0;
    let [attack, alien] = model.sums.track(said, [ATTACK_HIDDEN, ALIEN_HIDDEN]);
    !attack.peaks.is_empty() || !alien.peaks.is_empty() || hidden::has_order(said)
}

/// What the second look counts for beside the running sum.
pub const SECOND: f32 = 0.5;
/// Log-odds beyond which the second look counts for no more: it is small, and sure of itself too soon.
pub const SECOND_MAX: f32 = 4.0;
/// What a stretch of the `attack` head has more than one of the `alien` head: clinical text hardly ever has one.
pub const ATTACK_MORE: f32 = 3.0;
/// Least sum of the `alien` head at which the second look is asked.
const LOOK_ALIEN: f32 = 2.0;
/// Least sum of the `attack` head at which the second look is asked.
const LOOK_ATTACK: f32 = 1.5;

fn trained(
    model: Trained<'_>,
    view: &View<'_>,
    role: Role,
    thresholds: &Thresholds,
    found: &mut Vec<Finding>,
) {
    let attack = if role == Role::User { thresholds.attack_user } else { thresholds.attack_document };
    // Below these the second look could not lift a stretch over the threshold.
    let alien = (thresholds.alien - SECOND * SECOND_MAX).max(LOOK_ALIEN);
    let low = if role == Role::User { attack } else { attack.min(alien - ATTACK_MORE).max(LOOK_ATTACK) };
    let tracks = model.sums.track(view.text(), [low, alien]);
    for peak in &tracks[ATTACK].peaks {
        let kind = reason::kind(peak.classes);
        let alone = peak.score - attack;
        if role == Role::User {
            push(found, finding(view, peak, kind, (alone, 0.0)));
        } else {
            let second = look(model, view, peak);
            let together = together(peak, second) + ATTACK_MORE - thresholds.alien;
            push(found, finding(view, peak, kind, (alone.max(together), second)));
        }
    }
    for peak in &tracks[ALIEN].peaks {
        if stands_in_care(peak, &tracks[ALIEN], role, thresholds.host) {
            let second = look(model, view, peak);
            push(
                found,
                finding(view, peak, Kind::AlienTask, (together(peak, second) - thresholds.alien, second)),
            );
        }
    }
}

/// The running sum and the second look.
fn together(peak: &Peak, second: f32) -> f32 {
    peak.score + SECOND * second.clamp(-SECOND_MAX, SECOND_MAX)
}

/// Keeps what is above its threshold.
fn push(found: &mut Vec<Finding>, finding: Finding) {
    if finding.score > 0.0 {
        found.push(finding);
    }
}

/// What the second look says of a stretch.
fn look(model: Trained<'_>, view: &View<'_>, peak: &Peak) -> f32 {
    model.net.score(&net::inputs(view.text(), Span::new(peak.start, peak.end)))
}

/// Whether what stands around `peak` is a clinical text.
fn stands_in_care(peak: &Peak, track: &Track, role: Role, host: f32) -> bool {
    let (count, total) = track.total();
    let (before, upto) = (peak.before, peak.upto);
    let after = (count.saturating_sub(upto.0), total - upto.1);
    if role == Role::User {
        return clinical(before, GROUND_USER_MIN, host) && clinical(after, GROUND_USER_MIN, host);
    }
    let rest = (before.0 + after.0, before.1 + after.1);
    clinical(rest, GROUND_MIN, host)
}

fn clinical((count, sum): (u32, f32), least: u32, host: f32) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a text has far fewer than 2^24 tokens")]
    let mean = sum / count.max(1) as f32;
    count >= least && mean <= host
}

fn finding(view: &View<'_>, peak: &Peak, kind: Kind, (score, second): (f32, f32)) -> Finding {
    Finding {
        span: view.original(Span::new(peak.start, peak.end)),
        kind,
        score,
        rule: false,
        reason: kind.reason(),
        second,
        hidden: None,
    }
}

#[cfg(test)]
mod tests;
