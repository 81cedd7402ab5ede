//! The guarded system as an attacker asks it: row by row, over HTTP, with keys of its own; every answer is looked at for what the guards said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attack::evasion::Access;
use attack::scorecard::{Run, Sighted, Single};
use attack::suite::{Chunk, Step};
use attack::{Ball, Fault, Labels, Replies, Rows, Scores, Space};
use domain::{Advice, FeatureKind, GuardMode, Tensor};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use upstream::{Heard, Said, Secret, Visitor};

use super::open::Opened;
use super::reader::Reader;
use super::through::{Room, Through, Weight, weight};
use crate::AppError;

/// How long a request may take, milliseconds: an exercise on a busy machine waits; what clients wait for is measured elsewhere.
const TIMEOUT_MS: u64 = 600_000;
/// Times that a rate limit is waited for, one query.
const WAITS_MAX: u32 = 1_000;
/// Rooms opened at once for rows that are sent once: each remembers.
const ROOMS_MAX: usize = 32;
/// Whole numbers a client would write as such, although they went through the unit box.
const WHOLE_WITHIN: f32 = 1e-3;

/// What was heard of one row.
pub(super) struct Word {
    /// Values of the output that is read; none when it was refused.
    pub(super) values: Option<Vec<f32>>,
    /// Guards that flagged or blocked.
    pub(super) guards: BTreeSet<String>,
    /// Guards that only observe, or doubt.
    pub(super) beside: BTreeSet<String>,
    /// Refused by a guard.
    pub(super) blocked: bool,
}

/// One row on its way: which room, whose key, what.
pub(super) struct Letter {
    pub(super) room: String,
    pub(super) key: Secret,
    pub(super) row: Tensor,
}

/// What all threads of an exercise share of the way through.
pub(super) struct Post {
    pub(super) through: Through,
    visitor: Visitor,
    pub(super) handle: Handle,
    modes: BTreeMap<String, GuardMode>,
    pub(super) reader: Reader,
    whole: Vec<bool>,
    slots: AtomicUsize,
}

/// The system behind its gateway, for one thread.
pub(super) struct ThroughModel {
    post: Arc<Post>,
    slot: usize,
    book: Arc<Book>,
}

/// What the guards said of the piece that is being worked, and where the attack is.
#[derive(Default)]
pub(super) struct Book(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    place: Option<Place>,
    round: Option<usize>,
    runs: BTreeMap<(usize, usize), Open>,
    singles: Vec<Single>,
}

/// The piece of work.
struct Place {
    step: usize,
    norm: attack::Norm,
    epsilons: Vec<f64>,
    minimal: bool,
    starts: BTreeMap<usize, (Vec<f32>, usize)>,
}

/// A run under way.
struct Open {
    run: Run,
    room: String,
    keys: Vec<Secret>,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new piece of work begins.
    pub(super) fn begin(&self, at: usize, step: &Step, chunk: &Chunk) {
        let width = chunk.starts.len() / chunk.labels.len().max(1);
        let rows = chunk.starts.chunks_exact(width.max(1)).zip(&chunk.labels).zip(&chunk.samples);
        let place = Place {
            step: at,
            norm: step.norm,
            epsilons: step.epsilons.clone(),
            minimal: attack::evasion::find(&step.attack).is_some_and(|r| r.minimal),
            starts: rows.map(|((row, label), sample)| (*sample, (row.to_vec(), *label))).collect(),
        };
        *self.pages() = Pages { place: Some(place), ..Pages::default() };
    }

    /// New runs begin; none: the attack is over.
    pub(super) fn round(&self, budget: Option<usize>) {
        self.pages().round = budget;
    }

    /// Runs begin that belong to no attack.
    pub(super) fn begin_runs(&self) {
        *self.pages() = Pages { round: Some(0), ..Pages::default() };
    }

    /// What was said of rows sent once, in their order.
    pub(super) fn once(&self) -> Vec<Single> {
        std::mem::take(&mut self.pages().singles)
    }

    /// What was seen of the piece.
    fn take(&self) -> (Sighted, Vec<String>) {
        let pages = std::mem::take(&mut *self.pages());
        let rooms = pages.runs.values().map(|o| o.room.clone()).collect();
        let mut singles = pages.singles;
        singles.sort_by_key(|s| s.sample);
        (Sighted { runs: pages.runs.into_values().map(|o| o.run).collect(), singles }, rooms)
    }
}

impl Place {
    /// Budgets, counted from 0, within which an answer of class `seen` for `row` is a success in a run at `round`.
    fn successes(&self, round: usize, sample: usize, row: &[f32], seen: Option<usize>) -> Vec<usize> {
        let Some((start, label)) = self.starts.get(&sample) else { return Vec::new() };
        if seen.is_none_or(|seen| seen == *label) {
            return Vec::new();
        }
        let distance = self.norm.distance(start, row);
        let all = self.epsilons.iter().enumerate().filter(|(n, _)| self.minimal || *n == round);
        all.filter(|(_, e)| Ball { norm: self.norm, epsilon: **e }.admits(distance)).map(|(n, _)| n).collect()
    }
}

impl Post {
    /// The way to what was opened, whose output is found out from `probe`, some rows of the unit box.
    pub(super) fn new(
        through: &Through,
        opened: &Opened,
        probe: &[f32],
        handle: &Handle,
    ) -> Result<Self, AppError> {
        let guarded = &through.guarded;
        let target = through
            .door
            .address()
            .parse()
            .map_err(|e: upstream::TargetError| AppError::Internal(e.to_string()))?;
        let visitor = {
            let _inside = handle.enter();
            Visitor::new(&target, TIMEOUT_MS).map_err(|e| AppError::Upstream(e.to_string()))?
        };
        let rows = &opened.rows;
        let flat = matches!(rows.layout, attack::Layout::Table { .. });
        let mut reader = Reader::new(
            guarded.schema.tensor().to_owned(),
            domain::DataType::Fp32,
            flat,
            Some(guarded.output.clone()),
            rows.layout,
            (rows.low.clone(), rows.span.clone()),
        );
        let count = probe.len() / rows.layout.len().max(1);
        let values = match reader.tensor(count, probe) {
            Ok(tensor) => tensor.data().to_f32().unwrap_or_default(),
            Err(fault) => return Err(AppError::Internal(fault.to_string())),
        };
        let outputs = handle.block_on(guarded.scorer.outputs(&guarded.schema, count, values))?;
        let picked = reader.pick(&outputs, count).map_err(|f| AppError::BadInput(f.to_string()))?;
        reader.learn(&picked);
        let whole = rows.features.iter().map(|f| !matches!(f.kind, FeatureKind::Real)).collect();
        Ok(Self {
            visitor,
            handle: handle.clone(),
            modes: guarded.modes(),
            reader,
            whole,
            through: through.clone(),
            slots: AtomicUsize::new(0),
        })
    }

    /// A row of the unit box as a client sends it: whole numbers whole.
    pub(super) fn row(&self, unit: &[f32]) -> Result<Tensor, Fault> {
        let tensor = self.reader.tensor(1, unit)?;
        let domain::TensorData::Fp32(values) = tensor.data() else { return Ok(tensor) };
        let mut values = values.clone();
        for (value, whole) in values.iter_mut().zip(&self.whole) {
            if *whole && (*value - value.round()).abs() <= WHOLE_WITHIN {
                *value = value.round();
            }
        }
        Tensor::new(tensor.name(), tensor.shape().to_vec(), domain::TensorData::Fp32(values))
            .map_err(|e| Fault::Shape(e.to_string()))
    }

    /// Sends queues of letters: each queue in its order, the queues beside one another.
    pub(super) fn deliver(self: &Arc<Self>, queues: Vec<Vec<Letter>>) -> Result<Vec<Vec<Word>>, Fault> {
        let count = queues.len();
        let all = self.handle.block_on(async {
            let mut set = JoinSet::new();
            for (n, queue) in queues.into_iter().enumerate() {
                let post = Arc::clone(self);
                set.spawn_on(
                    async move {
                        let mut words = Vec::with_capacity(queue.len());
                        for letter in queue {
                            words.push(post.send(&letter).await?);
                        }
                        Ok::<_, Fault>((n, words))
                    },
                    &self.handle,
                );
            }
            set.join_all().await
        });
        let mut out: Vec<Vec<Word>> = Vec::new();
        out.resize_with(count, Vec::new);
        for done in all {
            let (n, words) = done?;
            if let Some(place) = out.get_mut(n) {
                *place = words;
            }
        }
        Ok(out)
    }

    async fn send(&self, letter: &Letter) -> Result<Word, Fault> {
        for _ in 0..WAITS_MAX {
            let asked = self.visitor.ask(&letter.room, &letter.key, std::slice::from_ref(&letter.row)).await;
            match asked.map_err(|e| Fault::Model(e.to_string()))? {
                Heard::Answered { outputs, guards } => {
                    let (values, ..) = self.reader.pick(&outputs, 1)?;
                    return Ok(self.word(Some(values), &guards, false));
                }
                Heard::Refused { status: 429 | 503, retry_after_s: Some(seconds), .. } => {
                    tokio::time::sleep(Duration::from_secs(seconds.clamp(1, 60))).await;
                }
                // Guards answer with 422. A daily budget that is used up (429 without a time) gives no answer either, and is no guard's doing.
                Heard::Refused { status: 422, guards, .. } => return Ok(self.word(None, &guards, true)),
                Heard::Refused { status: 429, guards, .. } => return Ok(self.word(None, &guards, false)),
                Heard::Refused { status, code, .. } => {
                    return Err(Fault::Model(format!(
                        "the gateway refused a query with {status} ({code}): `asepsis explain {code}` says why"
                    )));
                }
            }
        }
        Err(Fault::Model(
            "the gateway asked to wait again and again: lift the limits, or ask less".to_owned(),
        ))
    }

    fn word(&self, values: Option<Vec<f32>>, guards: &BTreeMap<String, Said>, blocked: bool) -> Word {
        let mut word = Word { values, guards: BTreeSet::new(), beside: BTreeSet::new(), blocked };
        for (guard, said) in guards {
            if !matches!(said, Said::Found(advice) if *advice > Advice::Use) {
                continue;
            }
            let list = match weight(guard, self.modes.get(guard).copied()) {
                Weight::Sees | Weight::Refuses => &mut word.guards,
                Weight::Beside => &mut word.beside,
            };
            list.insert(guard.clone());
        }
        word
    }

    /// Opens rooms; keys in the order of each room's clients.
    pub(super) fn open(&self, rooms: &[Room]) -> Result<Vec<Vec<Secret>>, Fault> {
        self.through.door.open(rooms).map_err(|e| Fault::Model(e.to_string()))
    }
}

impl ThroughModel {
    pub(super) fn new(post: &Arc<Post>) -> Self {
        let slot = post.slots.fetch_add(1, Ordering::Relaxed);
        Self { post: Arc::clone(post), slot, book: Arc::default() }
    }

    pub(super) fn access(&self) -> Access {
        self.post.reader.access()
    }

    pub(super) const fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// What was seen of the piece; its rooms are closed.
    pub(super) fn take(&self) -> Sighted {
        let (sighted, rooms) = self.book.take();
        self.post.through.door.close(&rooms);
        sighted
    }

    /// Opens rooms for samples that have none in this round.
    fn prepare(&self, pages: &mut Pages, round: usize, samples: &BTreeSet<usize>) -> Result<(), Fault> {
        let step = pages.place.as_ref().map_or(0, |p| p.step);
        let missing: Vec<usize> =
            samples.iter().copied().filter(|s| !pages.runs.contains_key(&(round, *s))).collect();
        // Rooms of rounds that are over are taken again under the same name.
        let taken = pages.runs.keys().filter(|(r, _)| *r == round).count();
        let rooms: Vec<Room> = missing
            .iter()
            .enumerate()
            .map(|(n, sample)| Room {
                name: format!("room-{}-{}", self.slot, taken + n),
                clients: (0..self.post.through.keys)
                    .map(|key| format!("run-{step}-{round}-{sample}-{key}"))
                    .collect(),
            })
            .collect();
        if rooms.is_empty() {
            return Ok(());
        }
        let keys = self.post.open(&rooms)?;
        for ((sample, room), keys) in missing.into_iter().zip(rooms).zip(keys) {
            let run = Run { sample, budget: round, ..Run::default() };
            pages.runs.insert((round, sample), Open { run, room: room.name, keys });
        }
        Ok(())
    }

    /// Asks all rows; words in their order.
    fn ask(&self, rows: &Rows<'_>) -> Result<Vec<Word>, Fault> {
        let mut pages = self.book.pages();
        match pages.round {
            Some(round) => self.ask_in_runs(&mut pages, round, rows),
            None => self.ask_once(&mut pages, rows),
        }
    }

    fn ask_in_runs(&self, pages: &mut Pages, round: usize, rows: &Rows<'_>) -> Result<Vec<Word>, Fault> {
        let samples: BTreeSet<usize> = rows.samples().iter().copied().collect();
        self.prepare(pages, round, &samples)?;
        let mut queues: BTreeMap<usize, (Vec<usize>, Vec<Letter>)> = BTreeMap::new();
        for (at, (row, sample)) in rows.iter().zip(rows.samples()).enumerate() {
            let Some(open) = pages.runs.get_mut(&(round, *sample)) else { continue };
            let turn = usize::try_from(open.run.queries).unwrap_or(0) % open.keys.len().max(1);
            let Some(key) = open.keys.get(turn).cloned() else { continue };
            open.run.queries += 1;
            let (places, letters) = queues.entry(*sample).or_default();
            places.push(at);
            letters.push(Letter { room: open.room.clone(), key, row: self.post.row(row)? });
        }
        let (places, letters): (Vec<_>, Vec<_>) = queues.into_values().unzip();
        let answers = self.post.deliver(letters)?;
        let mut out: Vec<Option<Word>> = Vec::new();
        out.resize_with(rows.len(), || None);
        for (places, words) in places.into_iter().zip(answers) {
            let of_run = places.len() as u64;
            for (n, (at, word)) in (1..).zip(places.into_iter().zip(words)) {
                let (Some(sample), Some(row)) = (rows.samples().get(at), rows.iter().nth(at)) else {
                    continue;
                };
                let class = self.class(&word);
                let won = pages.place.as_ref().map(|p| p.successes(round, *sample, row, class));
                if let Some(open) = pages.runs.get_mut(&(round, *sample)) {
                    let number = open.run.queries - of_run + n;
                    note(&mut open.run, number, &word, won.unwrap_or_default());
                }
                if let Some(place) = out.get_mut(at) {
                    *place = Some(word);
                }
            }
        }
        out.into_iter().map(|w| w.ok_or_else(|| Fault::Model("a query was lost".to_owned()))).collect()
    }

    /// Each row by a client that never asked before, in a room of its own.
    fn ask_once(&self, pages: &mut Pages, rows: &Rows<'_>) -> Result<Vec<Word>, Fault> {
        let width = rows.width();
        let mut out = Vec::with_capacity(rows.len());
        for (values, samples) in rows.values().chunks(ROOMS_MAX * width).zip(rows.samples().chunks(ROOMS_MAX))
        {
            out.extend(self.ask_some_once(pages, &Rows::new(values, width, samples)?)?);
        }
        Ok(out)
    }

    fn ask_some_once(&self, pages: &mut Pages, rows: &Rows<'_>) -> Result<Vec<Word>, Fault> {
        let step = pages.place.as_ref().map_or_else(|| "look".to_owned(), |p| p.step.to_string());
        let named = |n: usize| format!("room-{}-once-{n}", self.slot);
        let client = |sample: &usize| vec![format!("once-{step}-{sample}")];
        let rooms: Vec<Room> = rows
            .samples()
            .iter()
            .enumerate()
            .map(|(n, sample)| Room { name: named(n), clients: client(sample) })
            .collect();
        let keys = self.post.open(&rooms)?;
        let mut queues = Vec::with_capacity(rows.len());
        for ((room, keys), row) in rooms.iter().zip(keys).zip(rows.iter()) {
            let key =
                keys.into_iter().next().ok_or_else(|| Fault::Model("a room without a key".to_owned()))?;
            queues.push(vec![Letter { room: room.name.clone(), key, row: self.post.row(row)? }]);
        }
        let words: Vec<Word> = self.post.deliver(queues)?.into_iter().flatten().collect();
        let names: Vec<String> = rooms.into_iter().map(|r| r.name).collect();
        self.post.through.door.close(&names);
        for (sample, word) in rows.samples().iter().zip(&words) {
            pages.singles.push(Single {
                sample: *sample,
                guards: word.guards.clone(),
                beside: word.beside.clone(),
                blocked: word.blocked,
            });
        }
        Ok(words)
    }

    fn class(&self, word: &Word) -> Option<usize> {
        let values = word.values.as_ref()?;
        if self.access() == Access::Labels {
            return Reader::class(values);
        }
        let mut scores = vec![0.0; self.post.reader.space.classes];
        self.post.reader.scores(values, &mut scores);
        attack::access::argmax(&scores)
    }
}

/// Counts one query of a run.
fn note(run: &mut Run, number: u64, word: &Word, won: Vec<usize>) {
    run.flagged += u64::from(!word.guards.is_empty() && !word.blocked);
    run.blocked += u64::from(word.blocked);
    for guard in &word.guards {
        run.guards.entry(guard.clone()).or_insert(number);
    }
    for guard in &word.beside {
        run.beside.entry(guard.clone()).or_insert(number);
    }
    for budget in won {
        run.succeeded.entry(budget).or_insert(number);
    }
}

impl Labels for ThroughModel {
    fn space(&self) -> Space {
        self.post.reader.space
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        let words = self.ask(&rows)?;
        *out = words.iter().map(|word| self.class(word)).collect();
        Ok(())
    }
}

impl Scores for ThroughModel {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        if self.access() == Access::Labels {
            return Err(Fault::NotApplicable("the system shows classes only, no scores".to_owned()));
        }
        let words = self.ask(&rows)?;
        let classes = self.post.reader.space.classes;
        out.reset(words.len(), classes);
        for (at, word) in words.iter().enumerate() {
            let place = out.scores.get_mut(at * classes..(at + 1) * classes);
            if let (Some(values), Some(place)) = (&word.values, place) {
                self.post.reader.scores(values, place);
            } else if let Some(answered) = out.answered.get_mut(at) {
                *answered = false;
            }
        }
        Ok(())
    }
}
