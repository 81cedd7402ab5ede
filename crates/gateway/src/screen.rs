//! Screening with a net below: a guard that panics counts as one that could not decide, and stops the exchange.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use detect::{Context, Screened, Screening};
use domain::{
    ClientId, Clock, GuardMode, GuardVerdict, InferenceReply, InferenceRequest, OnInconclusive, Outcome,
};

use crate::snapshot::Version;
use crate::{Metrics, Refusal};

/// Name of the verdict that stands for a guard that panicked.
const FAULT: &str = "guard-fault";

/// What both screenings of an exchange need.
pub(crate) struct Screener<'a> {
    pub(crate) version: &'a Version,
    pub(crate) client: &'a ClientId,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) metrics: &'a Metrics,
}

impl Screener<'_> {
    /// Screens the request; what the guards said is added to `verdicts` either way.
    pub(crate) fn request(
        &self,
        request: InferenceRequest,
        verdicts: &mut Vec<GuardVerdict>,
    ) -> Result<Screened<InferenceRequest>, Refusal> {
        let screening = self.caught(|cx| self.version.guards.screen_request(request, cx));
        settle(screening, verdicts).map_err(|guards| Refusal::Blocked { guards })
    }

    /// Screens the reply; what the guards said is added to `verdicts` either way.
    pub(crate) fn reply(
        &self,
        reply: InferenceReply,
        verdicts: &mut Vec<GuardVerdict>,
    ) -> Result<Screened<InferenceReply>, Refusal> {
        let screening = self.caught(|cx| self.version.guards.screen_reply(reply, cx));
        settle(screening, verdicts).map_err(|guards| Refusal::Withheld { guards })
    }

    fn caught<T>(&self, screen: impl FnOnce(&Context<'_>) -> Screening<T>) -> Screening<T> {
        let context = Context {
            client: self.client,
            at: self.clock.now(),
            clock: self.clock,
            history: &self.version.history,
        };
        catch_unwind(AssertUnwindSafe(|| screen(&context))).unwrap_or_else(|_| {
            self.metrics.panics.fetch_add(1, Ordering::Relaxed);
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
