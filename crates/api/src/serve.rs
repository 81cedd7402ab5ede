//! The server that stands towards the outside. Hyper does the protocol; this file bounds what a peer can make it wait
//! for or keep: connections, time for a head, time and bytes for a body, streams, and the time to end.
//!
//! One current-thread runtime per worker: measured faster here than one multi-thread runtime, because an exchange
//! never moves between threads. Connections are dealt out in turn.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::{Buf, Bytes};
use gateway::Gateway;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tower::ServiceExt as _;

use crate::body::BoundedBody;

/// What a peer may cost. Maxima are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at once; further ones wait in the system's queue. Default 1,024.
    pub connections_max: usize,
    /// Time for the first bytes and for each request's head, milliseconds; also the time an idle connection is kept.
    /// Default 15,000.
    pub head_ms_max: u64,
    /// Bytes of a request's head. At least 8,192 (hyper's own minimum). Default 32,768.
    pub head_bytes_max: usize,
    /// Time for a request's whole body, milliseconds. Default 20,000.
    pub body_ms_max: u64,
    /// Bytes of a body at the connection; routes may allow less. Default 8 MiB and a little for gRPC framing.
    pub body_bytes_max: usize,
    /// Streams at once on one HTTP/2 connection. Default 64.
    pub streams_max: u32,
    /// Time that open exchanges get when the server stops, milliseconds. Default 10,000.
    pub drain_ms_max: u64,
    /// Worker threads; 0 for one per core.
    pub workers: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            head_ms_max: 15_000,
            head_bytes_max: 32_768,
            body_ms_max: 20_000,
            body_bytes_max: oip::limits::BODY_BYTES_MAX + 1_024,
            streams_max: 64,
            drain_ms_max: 10_000,
            workers: 0,
        }
    }
}

/// Tasks that a worker runs between two looks at what other threads have woken: what the ledger wakes is an answer that only has to be written, and it goes before
/// requests that only now begin.
const ANSWERS_FIRST: u32 = 1;
/// Smallest buffer that hyper accepts for a head.
const HEAD_BYTES_MIN: usize = 8_192;
/// How every HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often an HTTP/2 peer must show that it is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a closed connection is still read from, and how much at a time.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 65_536;
/// Pause after the system refuses to accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Address of the peer of a request, in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve on `{address}`: {source}; free the port or choose another in `[listen]`")]
pub struct ServeError {
    address: String,
    source: io::Error,
}

/// A running server. Dropping it stops accepting and ends it without waiting.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, lets open exchanges end within the limit, and waits for that.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|t| drop(t.join())));
        let _ = joined.await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// What all workers share.
#[derive(Clone)]
struct Serving {
    router: Router,
    limits: ServerLimits,
    stop: watch::Receiver<bool>,
    gateway: Arc<Gateway>,
}

type Accepted = (std::net::TcpStream, SocketAddr, OwnedSemaphorePermit);

/// Serves `router` on `listener` until the [`Server`] is stopped or dropped. HTTP/1.1 and HTTP/2 without TLS are told
/// apart by the connection's first bytes. Open connections are counted in the gateway's metrics.
///
/// # Errors
/// When the listener or a thread cannot be set up.
pub fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    gateway: Arc<Gateway>,
) -> Result<Server, ServeError> {
    let address = listener.local_addr();
    let named = address.as_ref().map_or_else(|_| "?".to_owned(), ToString::to_string);
    let failed = |source| ServeError { address: named.clone(), source };
    let address = address.map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let serving = Serving { router, limits, stop: stopped, gateway };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if limits.workers == 0 { cores } else { limits.workers };
    let (mut threads, mut queues) = (Vec::with_capacity(workers + 1), Vec::with_capacity(workers));
    for number in 0..workers {
        let (queue, accepted) = mpsc::unbounded_channel();
        queues.push(queue);
        let serving = serving.clone();
        threads.push(thread(format!("serve-{number}"), move || work(serving, accepted)).map_err(failed)?);
    }
    threads.push(thread("accept".to_owned(), move || accept(listener, serving, queues)).map_err(failed)?);
    Ok(Server { address, stop, threads })
}

/// A thread with a runtime of its own.
fn thread<F: Future<Output = ()>>(
    name: String,
    task: impl FnOnce() -> F + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .global_queue_interval(ANSWERS_FIRST)
        .enable_all()
        .build()?;
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(task()))
}

/// Accepts while there is room, and deals connections out in turn.
async fn accept(listener: TcpListener, serving: Serving, queues: Vec<mpsc::UnboundedSender<Accepted>>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let room = Arc::new(Semaphore::new(serving.limits.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let mut stop = serving.stop.clone();
    let mut turn = queues.iter().cycle();
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((listener.accept().await, permit))
        };
        let (accepted, permit) = tokio::select! {
            next = next => match next { Some(next) => next, None => return },
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => {
                if let Some(queue) = turn.next() {
                    let _ = queue.send((stream, peer, permit));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves the connections dealt to one worker, until told to stop and the last one has ended.
async fn work(serving: Serving, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Some((stream, peer, permit)) = accepted.recv().await {
        while connections.try_join_next().is_some() {}
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        let _ = stream.set_nodelay(true);
        let serving = serving.clone();
        connections.spawn(async move {
            let _permit = permit;
            let open = &serving.gateway.metrics().connections;
            open.fetch_add(1, Ordering::Relaxed);
            connection(&serving, stream, peer).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
    let limit = Duration::from_millis(serving.limits.drain_ms_max);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limit, drained).await.is_err() {
        tracing::warn!("connections were cut because they did not end in time");
    }
}

/// One connection, from its first byte to its last.
async fn connection(serving: &Serving, stream: TcpStream, peer: SocketAddr) {
    let limits = serving.limits;
    let head_limit = Duration::from_millis(limits.head_ms_max);
    let mut stop = serving.stop.clone();
    let stopped = async {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    let mut stopped = pin!(stopped);
    let begun = tokio::select! {
        begun = tokio::time::timeout(head_limit, begin(stream)) => begun,
        () = &mut stopped => return,
    };
    let Ok(Ok((io, is_http2))) = begun else { return };
    let router = serving.router.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request =
            request.map(|body| Body::new(BoundedBody::new(body, limits.body_bytes_max, limits.body_ms_max)));
        request.extensions_mut().insert(Peer(peer));
        let router = router.clone();
        // Boxed, because lingering needs a connection that can be moved after its last response.
        Box::pin(async move { router.oneshot(request).await.map_err(|never: Infallible| match never {}) })
    });
    // What ends a connection (a reset, a peer that is not there any more) is the peer's business, not the log's.
    if is_http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(u32::try_from(limits.head_bytes_max).unwrap_or(u32::MAX))
            .keep_alive_interval(Some(PING_EVERY))
            .keep_alive_timeout(head_limit);
        let mut connection = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = connection.as_mut() => {}
            () = stopped => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(head_limit)
            .max_buf_size(limits.head_bytes_max.max(HEAD_BYTES_MIN));
        let mut connection = builder.serve_connection(io, service);
        tokio::select! {
            _ = poll_fn(|cx| connection.poll_without_shutdown(cx)) => linger(connection.into_parts().io.into_inner()).await,
            () = stopped => {
                Pin::new(&mut connection).graceful_shutdown();
                let _ = connection.await;
            }
        }
    }
}

/// Closes the sending half and reads on for a moment. A peer that is still sending a body that was refused would
/// otherwise be reset by the system before it has read why.
async fn linger(mut stream: Rewound) {
    let drained = async {
        if stream.shutdown().await.is_ok() {
            let mut buffer = vec![0; LINGER_BYTES];
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
        }
    };
    let _ = tokio::time::timeout(LINGER, drained).await;
}

/// Reads until it is clear whether the peer speaks HTTP/2; what was read is put back in front.
async fn begin(mut stream: TcpStream) -> io::Result<(TokioIo<Rewound>, bool)> {
    let mut start = Vec::with_capacity(PREFACE.len());
    while start.len() < PREFACE.len() && PREFACE.starts_with(&start) {
        let left = PREFACE.len() - start.len();
        if (&mut stream).take(left as u64).read_buf(&mut start).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let is_http2 = start == PREFACE;
    Ok((TokioIo::new(Rewound { start: Bytes::from(start), stream }), is_http2))
}

/// A stream with its first bytes put back.
struct Rewound {
    start: Bytes,
    stream: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.start.len().min(buf.remaining());
        buf.put_slice(self.start.get(..n).unwrap_or_default());
        self.start.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
