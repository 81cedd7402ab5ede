//! Screening with a net below: a guard that panics counts as one that could not decide, and stops the exchange.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use detect::{Context, GuardSet, Screened, Screening};
use domain::{
    ClientId, Clock, GuardMode, GuardVerdict, InferenceReply, InferenceRequest, OnInconclusive, Outcome,
};

use crate::snapshot::Version;
use crate::{Metrics, Refusal};

/// Name of the verdict that stands for a guard that panicked.
const FAULT: &str = "guard-fault";

/// Values up to which a batch is screened on the worker's own thread: some hundred rows of a table, a few small images,
/// about a millisecond of guards. More go to the pool, so that others on the thread do not wait.
const INLINE_VALUES_MAX: usize = 8_192;

/// What both screenings of an exchange need.
pub(crate) struct Screener<'a> {
    version: &'a Arc<Version>,
    client: &'a ClientId,
    clock: &'a Arc<dyn Clock>,
    pooled: bool,
}

/// One of the two screenings.
type Screen<V> = fn(&GuardSet, V, &Context<'_>) -> Screening<V>;

impl<'a> Screener<'a> {
    pub(crate) fn new(
        version: &'a Arc<Version>,
        client: &'a ClientId,
        clock: &'a Arc<dyn Clock>,
        rows: usize,
    ) -> Self {
        let pooled = rows.saturating_mul(version.schema.width()) > INLINE_VALUES_MAX;
        Self { version, client, clock, pooled }
    }

    /// Screens the request; what the guards said is added to `verdicts` either way.
    pub(crate) async fn request(
        &self,
        request: InferenceRequest,
        verdicts: &mut Vec<GuardVerdict>,
        metrics: &Metrics,
    ) -> Result<Screened<InferenceRequest>, Refusal> {
        let screening = self.caught(GuardSet::screen_request, request, metrics).await;
        settle(screening, verdicts).map_err(|guards| Refusal::Blocked { guards })
    }

    /// Screens the reply; what the guards said is added to `verdicts` either way.
    pub(crate) async fn reply(
        &self,
        reply: InferenceReply,
        verdicts: &mut Vec<GuardVerdict>,
        metrics: &Metrics,
    ) -> Result<Screened<InferenceReply>, Refusal> {
        let screening = self.caught(GuardSet::screen_reply, reply, metrics).await;
        settle(screening, verdicts).map_err(|guards| Refusal::Withheld { guards })
    }

    async fn caught<V: Send + 'static>(
        &self,
        screen: Screen<V>,
        value: V,
        metrics: &Metrics,
    ) -> Screening<V> {
        let ended = if self.pooled {
            // In a box, so that it does not make the state of small exchanges large.
            Box::pin(self.elsewhere(screen, value)).await
        } else {
            let work =
                || screen(&self.version.guards, value, &context(self.version, self.client, &**self.clock));
            catch_unwind(AssertUnwindSafe(work)).ok()
        };
        ended.unwrap_or_else(|| {
            metrics.panics.fetch_add(1, Ordering::Relaxed);
            Screening::Blocked { verdicts: vec![fault()] }
        })
    }
}

impl Screener<'_> {
    /// Screens in the pool; none when that panicked.
    async fn elsewhere<V: Send + 'static>(&self, screen: Screen<V>, value: V) -> Option<Screening<V>> {
        // A slot bounds the pool; the semaphore is never closed.
        let _slot = self.version.slots.acquire().await;
        let (version, client) = (Arc::clone(self.version), self.client.clone());
        let clock = Arc::clone(self.clock);
        let work = move || screen(&version.guards, value, &context(&version, &client, &*clock));
        tokio::task::spawn_blocking(work).await.ok()
    }
}

fn context<'c>(version: &'c Version, client: &'c ClientId, clock: &'c dyn Clock) -> Context<'c> {
    Context { client, at: clock.now(), clock, history: &version.history }
}

fn settle<T>(screening: Screening<T>, all: &mut Vec<GuardVerdict>) -> Result<Screened<T>, Vec<String>> {
    match screening {
        Screening::Passed { screened, mut verdicts } => {
            if all.is_empty() {
                *all = verdicts;
            } else {
                all.append(&mut verdicts);
            }
            Ok(screened)
        }
        Screening::Blocked { verdicts } => {
            let blocking = verdicts.iter().filter(|v| v.blocks()).map(|v| v.instance.to_string()).collect();
            all.extend(verdicts);
            Err(blocking)
        }
    }
}

fn fault() -> GuardVerdict {
    GuardVerdict {
        instance: FAULT.into(),
        check: "E016".into(),
        mode: GuardMode::Block,
        on_inconclusive: OnInconclusive::Block,
        outcome: Outcome::inconclusive("E016", "a guard failed with a fault of the program"),
        took_us: 0,
    }
}
