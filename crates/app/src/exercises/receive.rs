//! A scorecard of another hospital, a vendor or another copy of this program, brought in to be compared with ours. It is believed in nothing but its form: it never
//! becomes evidence, and what is shown of it is what it says itself.

use access::{Action, Principal, Resource};
use attack::scorecard::{FORM, Scorecard, Share};
use attack::suite::{BUDGETS_MAX, SAMPLES_MAX, STEPS_MAX};
use domain::Digest;

use super::{CardId, shelf};
use crate::AppError;
use crate::exercise::EXHIBITS_MAX;
use crate::hospital::Hospital;

/// Largest scorecard from elsewhere, bytes.
pub const RECEIVED_BYTES_MAX: usize = 16 << 20;
/// Scorecards from elsewhere kept at once.
const RECEIVED_MAX: usize = 200;
/// Longest name of who sent it, characters.
const FROM_CHARS_MAX: usize = 80;
/// Longest name inside a scorecard, bytes.
const NAME_BYTES_MAX: usize = 400;
/// Longest sentence inside a scorecard, bytes.
const TEXT_BYTES_MAX: usize = 4_000;
/// Most classes, subgroups or notes.
const MANY_MAX: usize = 1_000;

/// Keeps a scorecard from elsewhere under a name made of its content.
///
/// # Errors
/// When `who` may not, it is not a scorecard, it does not hold together, or it cannot be kept.
pub async fn receive(
    hospital: &Hospital,
    who: &Principal,
    from: &str,
    bytes: &[u8],
) -> Result<CardId, AppError> {
    hospital.demand(who, Action::StartExercise, &Resource::Hospital)?;
    let from: String = from.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let from = from.trim();
    if from.is_empty() || from.chars().count() > FROM_CHARS_MAX {
        return Err(bad(format!("say in 1 to {FROM_CHARS_MAX} characters from whom it is")));
    }
    checked(bytes)?;
    let desk = hospital.exercises();
    let folder = desk.received();
    shelf::make(&folder)?;
    let id: CardId = format!("received-{}", Digest::of(bytes).short()).parse()?;
    let file = folder.join(format!("{id}.json"));
    let held = std::fs::read_dir(&folder).map_or(0, Iterator::count) / 2;
    if held >= RECEIVED_MAX && !file.exists() {
        return Err(bad(format!(
            "{RECEIVED_MAX} scorecards from elsewhere are kept already: remove some that nobody needs"
        )));
    }
    hospital.record_action(who.id().as_str(), "scorecard-received", id.as_str(), Some(from)).await?;
    shelf::write_json(&file.with_extension("from"), &from)?;
    shelf::write(&file, bytes)?;
    desk.touch();
    Ok(id)
}

fn bad(text: impl Into<String>) -> AppError {
    AppError::BadInput(text.into())
}

/// Reads bytes as a scorecard and refuses what does not hold together.
///
/// # Errors
/// [`AppError::BadInput`] saying what is wrong, and what to send instead.
pub fn checked(bytes: &[u8]) -> Result<Scorecard, AppError> {
    if bytes.len() > RECEIVED_BYTES_MAX {
        return Err(bad(format!(
            "the scorecard is larger than {} MiB: leave its pictures out (`asepsis exercise run --no-exhibits`)",
            RECEIVED_BYTES_MAX >> 20
        )));
    }
    let card: Scorecard = serde_json::from_slice(bytes).map_err(|e| {
        let said: String = e.to_string().chars().take(200).collect();
        bad(format!(
            "this is not a scorecard of this version ({said}): send what `asepsis exercise run --format json` writes"
        ))
    })?;
    if card.form != FORM {
        let form: String = card.form.chars().take(80).collect();
        return Err(bad(format!("the scorecard has the form `{form}`, this program reads `{FORM}`")));
    }
    match inconsistent(&card) {
        Some(what) => Err(bad(format!(
            "the scorecard does not hold together: {what}; ask for the file as the program wrote it"
        ))),
        None => Ok(card),
    }
}

/// What cannot be, in a scorecard that the program wrote.
fn inconsistent(card: &Scorecard) -> Option<&'static str> {
    let points_max = STEPS_MAX * BUDGETS_MAX;
    let count = card.samples.len();
    let suite = &card.suite;
    let budgets = card.rows.iter().map(|r| r.epsilon).chain(card.worst.iter().map(|w| w.epsilon));
    let mut budgets = budgets.chain(card.curves.iter().flat_map(|c| &c.points).map(|p| p.0));
    let conditions = card.conditions.iter().map(|r| &r.flags);
    let levels = card.changes.iter().flat_map(|c| &c.levels);
    let patients = || card.changes.iter().flat_map(|c| &c.patients);
    let flags = card.rows.iter().map(|r| &r.flags).chain(card.worst.iter().map(|w| &w.flags));
    let mut flags = flags.chain(conditions).chain(levels.map(|l| &l.flags)).map(|f| f.as_bytes());
    let steps_fit =
        suite.steps.len() <= STEPS_MAX && suite.steps.iter().all(|s| s.epsilons.len() <= BUDGETS_MAX);
    let rows_fit = card.rows.len().max(card.curves.len()).max(card.worst.len()) <= points_max;
    let checks = [
        ("its suite has another digest than it says", suite.digest().to_string() == card.suite_digest),
        ("its suite is too large", steps_fit),
        ("it has too many samples", count <= SAMPLES_MAX),
        ("it has too many rows", rows_fit && card.curves.iter().all(|c| c.points.len() <= points_max)),
        ("a budget is not a size", budgets.all(|e| e.is_finite() && e >= 0.0)),
        ("a share is not a share", shares(card).all(is_share)),
        ("a row has other samples", flags.all(|f| f.len() == count && f.iter().all(|b| b"10x-".contains(b)))),
        ("it has too many conditions", card.conditions.len().max(card.changes.len()) <= points_max),
        ("it has too many studies", card.studies.len() <= MANY_MAX),
        (
            "it has too many patients",
            card.changes.iter().all(|c| c.patients.len() <= count) && patients().all(|p| p.sample < count),
        ),
        (
            "it shows too much",
            card.exhibits.len() <= EXHIBITS_MAX && card.exhibits.iter().all(|e| e.sample < count),
        ),
        ("it has too many classes", card.subject.classes.len().max(card.clean.groups.len()) <= MANY_MAX),
        ("a name is too long", names(card).all(|n| n.len() <= NAME_BYTES_MAX)),
        ("a text is too long", texts_fit(card)),
    ];
    checks.into_iter().find(|(_, holds)| !holds).map(|(what, _)| what)
}

fn shares(card: &Scorecard) -> impl Iterator<Item = &Share> {
    let disturbed = card.conditions.iter().map(|c| &c.right);
    let stands = card.changes.iter().flat_map(|c| &c.levels).map(|l| &l.stands);
    let tables = card
        .rows
        .iter()
        .map(|r| &r.robust)
        .chain(card.worst.iter().map(|w| &w.robust))
        .chain([&card.clean])
        .chain(disturbed)
        .chain(stands);
    let shares = tables.flat_map(|b| b.classes.iter().chain(b.groups.values()).chain([&b.all]));
    shares.chain(card.curves.iter().flat_map(|c| &c.points).map(|p| &p.1))
}

/// Whether it is a count of a whole with its share between its ends. Compared with a margin: very small numbers do not come back from decimal text to the last bit.
fn is_share(share: &Share) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9;
    let whole = Share::new(share.hits.min(share.of), share.of);
    let same = near(share.share, whole.share) && near(share.low, whole.low) && near(share.high, whole.high);
    share.hits <= share.of && same || *share == Share::default()
}

fn names(card: &Scorecard) -> impl Iterator<Item = &str> {
    let subject = &card.subject;
    [
        &subject.model,
        &subject.data,
        &subject.rows,
        &subject.kind,
        &subject.model_digest,
        &subject.data_digest,
        &card.tool,
    ]
    .into_iter()
    .chain([&card.suite.name, &card.suite.title])
    .chain(&subject.classes)
    .chain(&subject.system)
    .chain(&subject.group)
    .chain(card.clean.groups.keys())
    .chain(card.rows.iter().map(|r| &r.label))
    .chain(card.curves.iter().map(|c| &c.label))
    .chain(card.conditions.iter().map(|c| &c.label))
    .chain(card.changes.iter().map(|c| &c.label))
    .map(String::as_str)
}

fn texts_fit(card: &Scorecard) -> bool {
    let lists = [&card.skipped, &card.faults, &card.warnings, &card.advice];
    card.suite.purpose.len() <= TEXT_BYTES_MAX
        && lists.iter().all(|l| l.len() <= MANY_MAX)
        && lists
            .into_iter()
            .flatten()
            .all(|n| n.about.len() <= NAME_BYTES_MAX && n.text.len() <= TEXT_BYTES_MAX)
}
