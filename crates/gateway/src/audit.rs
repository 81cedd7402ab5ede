//! The audit entries around an exchange. An [`AuditReceipt`] is made by opening an entry and by nothing else, and the
//! model takes one: no effect without a trace. An entry that is dropped without being closed (the caller hung up, a
//! task was cancelled) closes itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::{Advice, ClientId, Clock, Digest, GuardNote, GuardVerdict, Outcome, Record, SystemId};
use tokio::sync::broadcast;

use crate::entry::{self, Closed, Opened};
use crate::event::{Event, Exchange, Message, is_rehearsal};
use crate::{DigestKey, Journal, JournalError, Metrics, Pending, Refusal};

/// Most places that one guard leaves in an entry; the rest is in the verdicts that the caller got.
pub const PLACES_MAX: usize = 8;
/// Most bytes of a place: names of features are short, names that a caller made up need not be kept whole.
const PLACE_CHARS_MAX: usize = 64;
/// Most messages of one guard in an event.
const MESSAGES_MAX: usize = 4;
/// Most kinds of rejection told apart in one second; the rest is counted by code alone.
pub const REJECTION_KINDS_MAX: usize = 256;
/// Events that a slow watcher may lag behind before it misses some.
const EVENTS_MAX: usize = 4_096;

/// Proof that the exchange has an entry in the ledger.
#[derive(Debug)]
pub struct AuditReceipt {
    index: u64,
}

impl AuditReceipt {
    /// Position of the opening entry.
    pub const fn index(&self) -> u64 {
        self.index
    }
}

type Rejection = (&'static str, Option<ClientId>, Option<SystemId>);

/// Writes what happens: ledger, events, counters.
pub(crate) struct Audit {
    journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) key: DigestKey,
    events: broadcast::Sender<Event>,
    pub(crate) metrics: Metrics,
    rejections: Mutex<Rejections>,
    failing: AtomicBool,
}

#[derive(Default)]
struct Rejections {
    second: u64,
    counts: BTreeMap<Rejection, u32>,
}

impl Rejections {
    fn add(&mut self, mut kind: Rejection, count: u32) {
        if self.counts.len() >= REJECTION_KINDS_MAX && !self.counts.contains_key(&kind) {
            kind = (kind.0, None, None);
        }
        let sum = self.counts.entry(kind).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// How an exchange went between its two entries.
pub(crate) struct Conclusion<T> {
    pub(crate) verdicts: Vec<GuardVerdict>,
    pub(crate) model: Option<Digest>,
    pub(crate) model_us: u64,
    pub(crate) result: Result<T, Refusal>,
}

impl<T> Conclusion<T> {
    /// Nothing has happened yet; it counts as a caller who left until something does.
    pub(crate) const fn started() -> Self {
        Self { verdicts: Vec::new(), model: None, model_us: 0, result: Err(Refusal::CallerGone) }
    }
}

impl Audit {
    pub(crate) fn new(journal: Arc<dyn Journal>, clock: Arc<dyn Clock>, key: &[u8; 32]) -> Self {
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let (metrics, rejections, failing) = (Metrics::default(), Mutex::default(), AtomicBool::new(false));
        Self { journal, clock, key: DigestKey::new(key), events, metrics, rejections, failing }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Opens the entry of an exchange.
    pub(crate) fn open(
        &self,
        client: &ClientId,
        system: &SystemId,
        request: Digest,
        rows: usize,
        started_us: u64,
    ) -> Result<OpenEntry<'_>, Refusal> {
        let exchange = entry::number().ok_or(Refusal::LedgerUnavailable)?;
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let opened = self.write(&entry::opened(&Opened {
            at: self.clock.now(),
            exchange: &exchange,
            client,
            system,
            request,
            rows,
        }))?;
        let counted = Some(Counted::new(&self.metrics.open_exchanges));
        let receipt = AuditReceipt { index: opened.index };
        let (client, system) = (client.clone(), system.clone());
        Ok(OpenEntry {
            audit: self,
            receipt,
            opened: Some(opened),
            exchange,
            client,
            system,
            rows,
            started_us,
            counted,
            closed: false,
        })
    }

    /// False after the ledger refused an entry, until it takes one again.
    pub(crate) fn is_healthy(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    fn noted<T>(&self, result: Result<T, JournalError>) -> Result<T, Refusal> {
        let failing = matches!(result, Err(JournalError::Failed(_)));
        if self.failing.swap(failing, Ordering::Relaxed) != failing {
            match &result {
                Err(error) => {
                    tracing::error!(%error, "the ledger cannot be written; every request is refused")
                }
                Ok(_) => tracing::info!("the ledger can be written again"),
            }
        }
        result.map_err(|error| match error {
            JournalError::Busy => Refusal::Busy { retry_after_s: 1 },
            JournalError::Failed(_) => Refusal::LedgerUnavailable,
        })
    }

    /// Counts a caller that was turned away; written once a second for each kind.
    pub(crate) fn reject(&self, refusal: &Refusal, client: Option<&ClientId>, system: Option<&SystemId>) {
        let code = refusal.code();
        self.metrics.refused(code, system);
        let _ = self.events.send(Event::Rejected {
            at: self.clock.now(),
            code,
            client: client.cloned(),
            system: system.cloned(),
            rehearsal: client.is_some_and(is_rehearsal),
        });
        let second = self.clock.monotonic_us() / 1_000_000;
        let due = {
            let mut rejections = self.rejections.lock().unwrap_or_else(PoisonError::into_inner);
            let due = if rejections.second == second {
                BTreeMap::new()
            } else {
                std::mem::take(&mut rejections.counts)
            };
            rejections.second = second;
            rejections.add((code, client.cloned(), system.cloned()), 1);
            due
        };
        self.write_rejections(due);
    }

    /// Writes the rejections counted so far; called once a second and at the end.
    pub(crate) fn flush_rejections(&self) {
        let due = std::mem::take(&mut self.rejections.lock().unwrap_or_else(PoisonError::into_inner).counts);
        self.write_rejections(due);
    }

    fn write_rejections(&self, due: BTreeMap<Rejection, u32>) {
        for ((code, client, system), count) in due {
            let (at, named) = (self.clock.now(), code.to_owned());
            let record =
                Record::Rejected { at, code: named, client: client.clone(), system: system.clone(), count };
            if self.append(&record).is_err() {
                // Counted again with the next second's: late is better than lost.
                let mut rejections = self.rejections.lock().unwrap_or_else(PoisonError::into_inner);
                rejections.add((code, client, system), count);
            }
        }
    }

    fn append(&self, record: &Record) -> Result<Pending, Refusal> {
        self.write(&serde_json::to_vec(record).map_err(|_| Refusal::LedgerUnavailable)?)
    }

    fn write(&self, entry: &[u8]) -> Result<Pending, Refusal> {
        let pending = self.noted(self.journal.append(entry))?;
        self.metrics.ledger_size.fetch_max(pending.index + 1, Ordering::Relaxed);
        Ok(pending)
    }
}

/// Counts an exchange as long as it is open.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An exchange whose opening entry is in the ledger and whose closing entry is owed.
pub(crate) struct OpenEntry<'a> {
    audit: &'a Audit,
    receipt: AuditReceipt,
    opened: Option<Pending>,
    exchange: String,
    client: ClientId,
    system: SystemId,
    rows: u32,
    started_us: u64,
    counted: Option<Counted<'a>>,
    closed: bool,
}

impl<'a> OpenEntry<'a> {
    pub(crate) const fn receipt(&self) -> &AuditReceipt {
        &self.receipt
    }

    /// Waits until the opening entry is durable: before the first piece of a stream leaves.
    pub(crate) async fn opened(&mut self) -> Result<(), Refusal> {
        match self.opened.take() {
            Some(opened) => self.audit.noted(opened.durable.await),
            None => Ok(()),
        }
    }

    /// Writes the closing entry. The event goes out when what comes back is dropped, so that it knows the commit wait.
    pub(crate) fn close(
        &mut self,
        verdicts: &[GuardVerdict],
        model: Option<Digest>,
        model_us: u64,
        result: Result<Digest, &Refusal>,
    ) -> Result<Announcement<'a>, Refusal> {
        let mut announcement = self.write(verdicts, model, model_us, result)?;
        self.closed = true;
        announcement.opened = self.opened.take();
        announcement._counted = self.counted.take();
        Ok(announcement)
    }

    fn write(
        &self,
        verdicts: &[GuardVerdict],
        model: Option<Digest>,
        model_us: u64,
        result: Result<Digest, &Refusal>,
    ) -> Result<Announcement<'a>, Refusal> {
        let audit = self.audit;
        let advice = if result.is_ok() { Advice::from_verdicts(verdicts) } else { Advice::DoNotUse };
        let refused = result.err().map(Refusal::code);
        let guards = notes(verdicts);
        let took_us = audit.clock.monotonic_us().saturating_sub(self.started_us);
        let at = audit.clock.now();
        let closed = audit.write(&entry::closed(&Closed {
            at,
            exchange: &self.exchange,
            opened: self.receipt.index(),
            model,
            reply: result.ok(),
            refused,
            advice,
            guards: &guards,
            took_us,
        }))?;
        match refused {
            None => audit.metrics.answered(&self.system, &self.client, advice, self.rows),
            Some(code) => audit.metrics.refused(code, Some(&self.system)),
        }
        count(&audit.metrics, verdicts, model_us, model.is_some());
        let event = || Exchange {
            ledger_index: closed.index,
            at,
            system: self.system.clone(),
            client: self.client.clone(),
            rows: self.rows,
            advice,
            refused,
            guards,
            messages: messages(verdicts),
            took_us,
            model_us,
            commit_wait_us: 0,
            rehearsal: is_rehearsal(&self.client),
        };
        // Nobody watches most of the time.
        let event = (audit.events.receiver_count() > 0).then(|| Box::new(event()));
        Ok(Announcement { audit, event, opened: None, closed, _counted: None, advice })
    }
}

impl Drop for OpenEntry<'_> {
    fn drop(&mut self) {
        if !self.closed {
            let gone = Refusal::CallerGone;
            if self.write(&[], None, 0, Err(&gone)).is_err() {
                tracing::error!(
                    opened = self.receipt.index(),
                    "an exchange could not be closed in the ledger"
                );
            }
        }
    }
}

/// A closed exchange that those who watch have not heard of yet.
pub(crate) struct Announcement<'a> {
    audit: &'a Audit,
    event: Option<Box<Exchange>>,
    opened: Option<Pending>,
    closed: Pending,
    /// The exchange counts as open until its entries are durable.
    _counted: Option<Counted<'a>>,
    pub(crate) advice: Advice,
}

impl Announcement<'_> {
    /// Position of the closing entry.
    pub(crate) const fn index(&self) -> u64 {
        self.closed.index
    }

    /// Waits until both entries are durable. Both are asked: between them the log may have failed and been reopened.
    pub(crate) async fn durable(&mut self) -> Result<(), Refusal> {
        let mut done = (&mut self.closed.durable).await;
        if let (Ok(()), Some(opened)) = (&done, self.opened.take()) {
            done = opened.durable.await;
        }
        self.audit.noted(done)
    }

    pub(crate) fn waited(&mut self, us: u64) {
        self.audit.metrics.commit_wait_us.record(us);
        if let Some(event) = &mut self.event {
            event.commit_wait_us = us;
        }
    }
}

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            let _ = self.audit.events.send(Event::Exchange(event));
        }
    }
}

fn count(metrics: &Metrics, verdicts: &[GuardVerdict], model_us: u64, model_ran: bool) {
    metrics.guards_us.record(verdicts.iter().map(|v| v.took_us).sum());
    if model_ran {
        metrics.model_us.record(model_us);
    }
}

/// What guards that were not clean leave in the ledger: places without values.
fn notes(verdicts: &[GuardVerdict]) -> Vec<GuardNote> {
    let dirty = verdicts.iter().filter(|v| !v.outcome.is_clean());
    dirty
        .map(|v| {
            let mut places: Vec<String> = Vec::new();
            for name in v.outcome.findings().iter().filter_map(|f| f.location.name.as_deref()) {
                let name: String = name.chars().take(PLACE_CHARS_MAX).collect();
                if places.len() < PLACES_MAX && !places.contains(&name) {
                    places.push(name);
                }
            }
            GuardNote { instance: v.instance.to_string(), outcome: v.outcome.word().to_owned(), places }
        })
        .collect()
}

fn messages(verdicts: &[GuardVerdict]) -> Vec<Message> {
    let mut all = Vec::new();
    for verdict in verdicts {
        if let Outcome::Inconclusive { doubt, .. } = &verdict.outcome {
            all.push(Message {
                instance: verdict.instance.to_string(),
                check: doubt.check.clone(),
                severity: "inconclusive".to_owned(),
                message: doubt.reason.clone(),
                remedy: String::new(),
            });
        }
        all.extend(verdict.outcome.findings().iter().take(MESSAGES_MAX).map(|finding| Message {
            instance: verdict.instance.to_string(),
            check: finding.check.clone(),
            severity: finding.severity.to_string(),
            message: finding.message.clone(),
            remedy: finding.remedy.clone(),
        }));
    }
    all
}
