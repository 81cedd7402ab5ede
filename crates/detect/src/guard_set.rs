//! The guards of one system, put together: the only place that makes a `Screened`.

use domain::{
    ClientId, Clock, Entry, GuardMode, GuardVerdict, InferenceReply, InferenceRequest, InputSchema, Outcome,
    Timestamp,
};
use numeric::Matrix;

use crate::extraction::{self, Setting};
use crate::fit::{FitError, Fitted};
use crate::history::History;
use crate::rows::{self, Watch};
use crate::settings::{Common, GuardSettings};
use crate::{
    Screened, clinical_range, out_of_distribution, pixel_noise, query_similarity, schema, uncertainty,
};

/// What a screening needs to know beside the exchange.
pub struct Context<'a> {
    /// Who asks.
    pub client: &'a ClientId,
    /// When.
    pub at: Timestamp,
    /// For the time budgets.
    pub clock: &'a dyn Clock,
    /// The system's memory.
    pub history: &'a History,
}

/// What came of a screening.
pub enum Screening<T> {
    /// No guard blocks.
    Passed {
        /// The value, provably screened.
        screened: Screened<T>,
        /// What each guard said.
        verdicts: Vec<GuardVerdict>,
    },
    /// At least one guard blocks; the value is gone.
    Blocked {
        /// What each guard said.
        verdicts: Vec<GuardVerdict>,
    },
}

/// Which part of the exchange an instance looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The request.
    Request,
    /// The reply.
    Reply,
}

/// One guard as it runs in a system.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    /// Its name in verdicts.
    pub name: &'static str,
    /// Its page.
    pub entry: &'static Entry,
    /// What it may do.
    pub mode: GuardMode,
    /// What it looks at.
    pub side: Side,
}

/// Proof, made only here, that a value may become [`Screened`].
pub(crate) struct Passed(());

/// One screening under way: what the guards said so far, and the time at which the last one ended, which is when the next one
/// starts.
struct Round<'a> {
    clock: &'a dyn Clock,
    at_us: u64,
    verdicts: Vec<GuardVerdict>,
}

impl<'a> Round<'a> {
    fn begin(cx: &Context<'a>, guards: usize) -> Self {
        Self { clock: cx.clock, at_us: cx.clock.monotonic_us(), verdicts: Vec::with_capacity(guards) }
    }

    /// Runs one guard if it is on, with its time measured.
    fn run(
        &mut self,
        (name, entry, common): (&'static str, &'static Entry, Common),
        check: impl FnOnce(&Watch<'_>) -> Outcome,
    ) {
        if !common.enabled {
            return;
        }
        let watch = Watch::new(self.clock, self.at_us, common.budget_us);
        let mut outcome = check(&watch);
        let took_us = watch.took_us();
        self.at_us += took_us;
        if took_us > common.budget_us && !matches!(outcome, Outcome::Inconclusive { .. }) {
            let late = format!("took longer than its budget of {} µs", common.budget_us);
            outcome = outcome.and(Outcome::inconclusive(entry.id, late));
        }
        self.verdicts.push(GuardVerdict {
            instance: name.into(),
            check: entry.id.into(),
            mode: common.mode,
            on_inconclusive: common.on_inconclusive,
            outcome,
            took_us,
        });
    }
}

/// All guards of one system. Cheap to share; holds no traffic.
pub struct GuardSet {
    settings: GuardSettings,
    schema: InputSchema,
    fitted: Fitted,
}

/// Name of the instance of G001 that looks at replies.
const REPLY_SCHEMA: &str = "reply-schema";

const NO_ROWS: &str = "the input does not have the declared form";

impl GuardSet {
    /// Puts the guards together.
    ///
    /// # Errors
    /// When the fit does not belong to the declared inputs.
    pub fn build(settings: &GuardSettings, schema: &InputSchema, fitted: &Fitted) -> Result<Self, FitError> {
        if !fitted.is_consistent(schema) {
            return Err(FitError::Stale);
        }
        Ok(Self { settings: settings.clone(), schema: schema.clone(), fitted: fitted.clone() })
    }

    /// The guards that run, in order.
    pub fn instances(&self) -> Vec<Instance> {
        let s = &self.settings;
        let mix_up = Common { mode: s.clinical_range.mix_up_mode, ..s.clinical_range.common() };
        let features = Common {
            enabled: s.out_of_distribution.enabled && self.fitted.ood.has_features(),
            ..s.out_of_distribution.common()
        };
        let noise = Common {
            enabled: s.pixel_noise.enabled && self.fitted.noise.is_some(),
            ..s.pixel_noise.common()
        };
        [
            (schema::ENTRY.name, &schema::ENTRY, s.schema.common(), Side::Request),
            (clinical_range::ENTRY.name, &clinical_range::ENTRY, s.clinical_range.common(), Side::Request),
            (clinical_range::MIX_UP, &clinical_range::ENTRY, mix_up, Side::Request),
            (
                out_of_distribution::ENTRY.name,
                &out_of_distribution::ENTRY,
                s.out_of_distribution.common(),
                Side::Request,
            ),
            (
                query_similarity::ENTRY.name,
                &query_similarity::ENTRY,
                s.query_similarity.common(),
                Side::Request,
            ),
            (extraction::ENTRY.name, &extraction::ENTRY, s.extraction.common(), Side::Request),
            (pixel_noise::ENTRY.name, &pixel_noise::ENTRY, noise, Side::Request),
            (REPLY_SCHEMA, &schema::ENTRY, s.schema.common(), Side::Reply),
            (uncertainty::ENTRY.name, &uncertainty::ENTRY, s.uncertainty.common(), Side::Reply),
            (out_of_distribution::FEATURES, &out_of_distribution::ENTRY, features, Side::Reply),
        ]
        .into_iter()
        .filter(|(_, _, common, _)| common.enabled)
        .map(|(name, entry, common, side)| Instance { name, entry, mode: common.mode, side })
        .collect()
    }

    /// Screens a request. Every guard runs even when an earlier one blocks: what is blocked is remembered too, or an
    /// attacker could search behind the block.
    pub fn screen_request(&self, request: InferenceRequest, cx: &Context<'_>) -> Screening<InferenceRequest> {
        let (s, schema) = (&self.settings, &self.schema);
        // Room for the verdicts on the reply, which the gateway puts behind these.
        let mut round = Round::begin(cx, 10);
        round.run((schema::ENTRY.name, &schema::ENTRY, s.schema.common()), |watch| {
            schema::check_request(&request, schema, watch)
        });
        let rows = rows::rows_of(&request, schema).ok().filter(|rows| rows.rows > 0);
        self.screen_rows(&mut round, rows.as_ref(), cx);
        conclude(request, round.verdicts)
    }

    /// The guards that look at values.
    fn screen_rows(&self, round: &mut Round<'_>, rows: Option<&Matrix>, cx: &Context<'_>) {
        let (s, schema, fitted) = (&self.settings, &self.schema, &self.fitted);
        let unless = |id, check: &mut dyn FnMut(&Matrix) -> Outcome| match rows {
            Some(rows) => check(rows),
            None => Outcome::inconclusive(id, NO_ROWS),
        };
        let range = (clinical_range::ENTRY.name, &clinical_range::ENTRY, s.clinical_range.common());
        round.run(range, |watch| {
            unless(range.1.id, &mut |rows| clinical_range::check_range(schema, &fitted.range, rows, watch))
        });
        let common = Common { mode: s.clinical_range.mix_up_mode, ..s.clinical_range.common() };
        round.run((clinical_range::MIX_UP, &clinical_range::ENTRY, common), |watch| {
            let far = s.clinical_range.far;
            unless(range.1.id, &mut |rows| {
                clinical_range::check_mix_up(schema, &fitted.range, far, rows, watch)
            })
        });
        let mut scores = Vec::new();
        let ood =
            (out_of_distribution::ENTRY.name, &out_of_distribution::ENTRY, s.out_of_distribution.common());
        round.run(ood, |watch| {
            unless(ood.1.id, &mut |rows| {
                out_of_distribution::check(schema, &fitted.ood, rows, &mut scores, watch)
            })
        });
        let mut seen = Vec::new();
        let similar = (query_similarity::ENTRY.name, &query_similarity::ENTRY, s.query_similarity.common());
        round.run(similar, |watch| {
            unless(similar.1.id, &mut |rows| {
                let asked = query_similarity::Asked { rows, client: cx.client, at: cx.at };
                query_similarity::check(
                    &s.query_similarity,
                    schema,
                    &fitted.similarity,
                    &asked,
                    cx.history,
                    &mut seen,
                    watch,
                )
            })
        });
        let copying = (extraction::ENTRY.name, &extraction::ENTRY, s.extraction.common());
        round.run(copying, |watch| {
            unless(copying.1.id, &mut |rows| {
                let asked = query_similarity::Asked { rows, client: cx.client, at: cx.at };
                let setting = Setting {
                    settings: &s.extraction,
                    schema,
                    fit: &fitted.extraction,
                    ood: &fitted.ood,
                    sketcher: &fitted.similarity.sketcher,
                };
                extraction::check(&setting, &asked, &scores, &seen, cx.history, watch)
            })
        });
        if let Some(noise) = &fitted.noise {
            let fine = (pixel_noise::ENTRY.name, &pixel_noise::ENTRY, s.pixel_noise.common());
            round.run(fine, |watch| {
                unless(fine.1.id, &mut |rows| pixel_noise::check(schema, noise, rows, watch))
            });
        }
    }

    /// Screens a reply. The answers' margins are counted for G006, whose alarm then shows at the client's next
    /// request.
    pub fn screen_reply(&self, reply: InferenceReply, cx: &Context<'_>) -> Screening<InferenceReply> {
        let s = &self.settings;
        let mut round = Round::begin(cx, 3);
        round.run((REPLY_SCHEMA, &schema::ENTRY, s.schema.common()), |watch| {
            schema::check_reply(&reply, watch)
        });
        let scores = uncertainty::scores_of(&s.uncertainty, &reply);
        let unsure = (uncertainty::ENTRY.name, &uncertainty::ENTRY, s.uncertainty.common());
        round.run(unsure, |watch| {
            uncertainty::check(self.fitted.uncertainty.as_ref(), scores.as_ref(), watch)
        });
        let mut common = s.out_of_distribution.common();
        common.enabled &= self.fitted.ood.has_features();
        round.run((out_of_distribution::FEATURES, &out_of_distribution::ENTRY, common), |watch| {
            let features = reply.features.as_ref().map(domain::Phi::expose);
            out_of_distribution::check_features(&self.fitted.ood, features, watch)
        });
        if let (true, Some(scores)) = (s.extraction.enabled, &scores) {
            let answered = query_similarity::Asked { rows: scores, client: cx.client, at: cx.at };
            extraction::note_scores(&s.extraction, &self.fitted.extraction, &answered, cx.history);
        }
        conclude(reply, round.verdicts)
    }

    /// The declared inputs.
    pub const fn schema(&self) -> &InputSchema {
        &self.schema
    }

    pub(crate) const fn fitted(&self) -> &Fitted {
        &self.fitted
    }

    /// The settings in force.
    pub const fn settings(&self) -> &GuardSettings {
        &self.settings
    }
}

/// The one gate between a value and its `Screened`.
pub(crate) fn conclude<T>(value: T, verdicts: Vec<GuardVerdict>) -> Screening<T> {
    if verdicts.iter().any(GuardVerdict::blocks) {
        return Screening::Blocked { verdicts };
    }
    Screening::Passed { screened: Screened::new(value, Passed(())), verdicts }
}

/// A piece of a stream whose texts went through the guards one by one; what blocks has stopped the stream before.
pub(crate) fn let_go<T>(value: T) -> Screened<T> {
    Screened::new(value, Passed(()))
}

impl<T> Screening<T> {
    /// What each guard said.
    pub fn verdicts(&self) -> &[GuardVerdict] {
        match self {
            Self::Passed { verdicts, .. } | Self::Blocked { verdicts } => verdicts,
        }
    }
}

#[cfg(test)]
#[path = "guard_set_tests.rs"]
mod tests;
