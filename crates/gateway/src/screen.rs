//! Screening with a net below: a guard that panics counts as one that could not decide, and stops the exchange.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use detect::{Context, Screened, Screening};
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
#[derive(Clone)]
pub(crate) struct Screener {
    version: Arc<Version>,
    client: ClientId,
    clock: Arc<dyn Clock>,
    pooled: bool,
}

impl Screener {
    pub(crate) fn new(
        version: &Arc<Version>,
        client: &ClientId,
        clock: &Arc<dyn Clock>,
        rows: usize,
    ) -> Self {
        let pooled = rows.saturating_mul(version.schema.width()) > INLINE_VALUES_MAX;
        Self { version: Arc::clone(version), client: client.clone(), clock: Arc::clone(clock), pooled }
    }

    /// Screens the request; what the guards said is added to `verdicts` either way.
    pub(crate) async fn request(
        &self,
        request: InferenceRequest,
        verdicts: &mut Vec<GuardVerdict>,
        metrics: &Metrics,
    ) -> Result<Screened<InferenceRequest>, Refusal> {
        let own = self.clone();
        let screen = move || own.version.guards.screen_request(request, &own.context());
        settle(self.caught(screen, metrics).await, verdicts).map_err(|guards| Refusal::Blocked { guards })
    }

    /// Screens the reply; what the guards said is added to `verdicts` either way.
    pub(crate) async fn reply(
        &self,
        reply: InferenceReply,
        verdicts: &mut Vec<GuardVerdict>,
        metrics: &Metrics,
    ) -> Result<Screened<InferenceReply>, Refusal> {
        let own = self.clone();
        let screen = move || own.version.guards.screen_reply(reply, &own.context());
        settle(self.caught(screen, metrics).await, verdicts).map_err(|guards| Refusal::Withheld { guards })
    }

    fn context(&self) -> Context<'_> {
        Context {
            client: &self.client,
            at: self.clock.now(),
            clock: &*self.clock,
            history: &self.version.history,
        }
    }

    async fn caught<T: Send + 'static>(
        &self,
        screen: impl FnOnce() -> Screening<T> + Send + 'static,
        metrics: &Metrics,
    ) -> Screening<T> {
        let ended = if self.pooled {
            // A slot bounds the pool; the semaphore is never closed.
            let _slot = self.version.slots.acquire().await;
            tokio::task::spawn_blocking(screen).await.ok()
        } else {
            catch_unwind(AssertUnwindSafe(screen)).ok()
        };
        ended.unwrap_or_else(|| {
            metrics.panics.fetch_add(1, Ordering::Relaxed);
            Screening::Blocked { verdicts: vec![fault()] }
        })
    }
}

fn settle<T>(screening: Screening<T>, all: &mut Vec<GuardVerdict>) -> Result<Screened<T>, Vec<String>> {
    match screening {
        Screening::Passed { screened, verdicts } => {
            all.extend(verdicts);
            Ok(screened)
        }
        Screening::Blocked { verdicts } => {
            let blocking = verdicts.iter().filter(|v| v.blocks()).map(|v| v.instance.clone()).collect();
            all.extend(verdicts);
            Err(blocking)
        }
    }
}

fn fault() -> GuardVerdict {
    GuardVerdict {
        instance: FAULT.to_owned(),
        check: "E016".to_owned(),
        mode: GuardMode::Block,
        on_inconclusive: OnInconclusive::Block,
        outcome: Outcome::inconclusive("E016", "a guard failed with a fault of the program"),
        took_us: 0,
    }
}
