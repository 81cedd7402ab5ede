//! Calling the model. [`call`] takes a screened request and the receipt of its opened ledger entry: neither can be had
//! without going through the guards and the ledger.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use detect::Screened;
use domain::{InferenceReply, InferenceRequest, SystemId};
use upstream::UpstreamError;

use crate::snapshot::{Backend, Version};
use crate::{AuditReceipt, Limits, Metrics, Refusal};

/// Asks the model. The receipt is not read: that it exists is the point.
pub(crate) async fn call(
    system: &SystemId,
    version: &Version,
    request: Screened<InferenceRequest>,
    _receipt: &AuditReceipt,
    limits: Limits,
    metrics: &Metrics,
) -> Result<InferenceReply, Refusal> {
    let limit = Duration::from_millis(limits.exchange_ms_max);
    let timed_out = || Refusal::TimedOut { limit_ms: limits.exchange_ms_max };
    match &version.backend {
        Backend::Local(model) if model.is_cheap(request.get().rows()) => {
            catch_unwind(AssertUnwindSafe(|| model.run(request.get())))
                .unwrap_or_else(|_| Err(panicked(metrics)))
        }
        Backend::Local(model) => {
            let model = Arc::clone(model);
            let pooled = async {
                let slot = Arc::clone(&version.slots).acquire_owned().await;
                let slot = slot.map_err(|_| Refusal::Busy { retry_after_s: 1 })?;
                let work = move || {
                    let _slot = slot;
                    model.run(request.get())
                };
                tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(panicked(metrics)))
            };
            Box::pin(tokio::time::timeout(limit, pooled)).await.unwrap_or_else(|_| Err(timed_out()))
        }
        Backend::Remote(remote) => {
            let asked = async {
                let _slot = version.slots.acquire().await.map_err(|_| Refusal::Busy { retry_after_s: 1 })?;
                remote.infer(&request).await.map_err(|error| refusal(system, error))
            };
            Box::pin(tokio::time::timeout(limit, asked)).await.unwrap_or_else(|_| Err(timed_out()))
        }
    }
}

fn panicked(metrics: &Metrics) -> Refusal {
    metrics.panics.fetch_add(1, Ordering::Relaxed);
    Refusal::ModelFailed { detail: "a fault of the program was caught while it ran".to_owned() }
}

/// What a failed call is for the caller: without the server's address, which is the hospital's own business.
pub(crate) fn refusal(system: &SystemId, error: UpstreamError) -> Refusal {
    tracing::warn!(%system, %error, "the model server gave no answer");
    let system = system.clone();
    match error {
        UpstreamError::Unreachable { .. } => Refusal::UpstreamUnreachable { system },
        UpstreamError::Timeout { .. } => Refusal::UpstreamTimeout { system },
        UpstreamError::CircuitOpen { retry_after_ms, .. } => {
            let retry_after_s = u32::try_from(retry_after_ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
            Refusal::CircuitOpen { system, retry_after_s }
        }
        UpstreamError::Refused { status, .. } | UpstreamError::AskedToWait { status, .. } => {
            Refusal::UpstreamBadReply { detail: format!("it refused the request with {status}") }
        }
        UpstreamError::BadReply { reason, .. } => Refusal::UpstreamBadReply { detail: reason },
        UpstreamError::TooLarge { max, .. } => {
            Refusal::UpstreamBadReply { detail: format!("it is larger than {max} bytes") }
        }
        UpstreamError::Unsendable(error) => Refusal::Malformed { detail: error.to_string() },
        _ => Refusal::ModelFailed { detail: "the connection to the model server is not set up".to_owned() },
    }
}
