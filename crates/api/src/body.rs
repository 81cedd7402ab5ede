//! Request bodies with an end: so many bytes, so much time. Hyper limits neither.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not complete in time.
    #[error("the body did not arrive within {ms_max} ms")]
    TooSlow {
        /// The limit.
        ms_max: u64,
    },
    /// The connection broke, or the framing is wrong.
    #[error("the body broke off")]
    Broken,
}

impl BodyError {
    /// Finds this error under the layers that frameworks put around it.
    pub fn under(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut at = Some(error);
        // Frameworks wrap two or three times; eight is a bound, not a promise.
        for _ in 0..8 {
            let error = at?;
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(*found);
            }
            at = error.source();
        }
        None
    }
}

/// A body that ends in an error after too many bytes or too much time. The timer is only made when the body has to
/// be waited for.
pub struct BoundedBody {
    inner: Incoming,
    left: usize,
    bytes_max: usize,
    ms_max: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl BoundedBody {
    /// Bounds `inner`.
    pub const fn new(inner: Incoming, bytes_max: usize, ms_max: u64) -> Self {
        Self { inner, left: bytes_max, bytes_max, ms_max, timer: None }
    }
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let Some(left) = this.left.checked_sub(bytes) else {
                    return Poll::Ready(Some(Err(BodyError::TooLarge { bytes_max: this.bytes_max })));
                };
                this.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyError::Broken))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let limit = Duration::from_millis(this.ms_max);
                let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                timer.as_mut().poll(cx).map(|()| Some(Err(BodyError::TooSlow { ms_max: this.ms_max })))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
