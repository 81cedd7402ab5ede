//! The rest of a streamed reply, event by event, with an end: so many bytes, so many events, so long a pause, so much time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use openai::{Event, EventReader};
use tokio::sync::OwnedSemaphorePermit;

use crate::UpstreamError;
use crate::circuit::Circuit;
use crate::wire::unreachable;

/// A stream that is being read. Dropping it closes the connection.
pub struct Listening {
    body: Incoming,
    reader: EventReader,
    ready: VecDeque<Event>,
    target: String,
    idle: Duration,
    until: Instant,
    whole: Duration,
    circuit: Arc<Circuit>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Listening {
    pub(crate) fn new(
        body: Incoming,
        reader: EventReader,
        target: String,
        (idle, whole): (Duration, Duration),
        circuit: Arc<Circuit>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let until = Instant::now() + whole;
        Self { body, reader, ready: VecDeque::new(), target, idle, until, whole, circuit, _place: place }
    }

    /// The next event; none at the end of the connection, which is the end of the reply only where the protocol says so.
    ///
    /// # Errors
    /// [`UpstreamError`]: the connection broke, paused or went on for too long, or what came is no stream of events.
    pub async fn next(&mut self) -> Result<Option<Event>, UpstreamError> {
        let next = self.read().await;
        if next.is_err() {
            self.circuit.failed(Instant::now());
        }
        next
    }

    async fn read(&mut self) -> Result<Option<Event>, UpstreamError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let left = self.until.saturating_duration_since(Instant::now());
            let limit = self.idle.min(left);
            let frame = tokio::time::timeout(limit, self.body.frame()).await.map_err(|_| {
                let over = if left <= self.idle { self.whole } else { self.idle };
                let after_ms = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
                UpstreamError::Timeout { target: self.target.clone(), after_ms }
            })?;
            let frame = match frame {
                Some(frame) => frame.map_err(|e| unreachable(&self.target, &e))?,
                None if self.reader.is_cut() => {
                    return Err(self.bad("it broke off inside an event".to_owned()));
                }
                None => return Ok(None),
            };
            if let Ok(bytes) = frame.into_data() {
                let mut out = Vec::new();
                let pushed = self.reader.push(&bytes, &mut out);
                self.ready.extend(out);
                if let Err(error) = pushed {
                    return Err(self.bad(error.to_string()));
                }
            }
        }
    }

    fn bad(&self, reason: String) -> UpstreamError {
        UpstreamError::BadReply { target: self.target.clone(), reason }
    }
}
