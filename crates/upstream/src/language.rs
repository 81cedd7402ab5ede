//! A server of language models that speaks OpenAI's protocol: vLLM, Ollama, llama.cpp, OpenAI, Azure. It is sent only what the
//! guards let through, and nothing of its answer is believed before it was read within bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use detect::Screened;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use openai::{Endpoint, EventReader, Limits, Reply};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::circuit::{Circuit, CircuitState};
use crate::config::Transport;
use crate::error::Detail;
use crate::rest::segment;
use crate::tls::{Versions, connector};
use crate::wire::{collect, unreachable};
use crate::{Listening, Secret, Target, UpstreamError};

/// How long an idle connection is kept; shorter than the 75 s after which common servers close theirs.
const IDLE_CONNECTION: Duration = Duration::from_secs(60);
/// Bytes read of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// How a server wants to be addressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// `BASE/chat/completions`, with a bearer token.
    OpenAi,
    /// `BASE/openai/deployments/MODEL/chat/completions?api-version=…`, with the header `api-key`.
    Azure {
        /// Version of the interface, as `2024-10-21`.
        api_version: String,
    },
}

/// Where a server is and how it is spoken to. No `Debug`: it may hold a key.
#[derive(Clone)]
pub struct LanguageConfig {
    /// `http(s)://host:port/v1`.
    pub target: Target,
    /// How it is addressed.
    pub style: Style,
    /// Its key.
    pub key: Option<Secret>,
    /// Time to open a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time for a whole reply, or for the first event of a stream, in milliseconds.
    pub timeout_ms: u64,
    /// Longest pause between two pieces of a stream, in milliseconds.
    pub idle_ms: u64,
    /// Time for a whole stream, in milliseconds.
    pub stream_ms_max: u64,
    /// Requests under way at once.
    pub connections_max: usize,
    /// Failures in a row that open the circuit.
    pub failures_max: u32,
    /// How long the circuit stays open, in milliseconds.
    pub open_ms: u64,
    /// Certificate authorities to trust instead of the public ones, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// What an answer may hold.
    pub limits: Limits,
}

impl LanguageConfig {
    /// A server with the usual times: a minute for a reply, half of one between two pieces, ten for a stream.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            style: Style::OpenAi,
            key: None,
            connect_timeout_ms: crate::config::CONNECT_TIMEOUT_MS,
            timeout_ms: 60_000,
            idle_ms: 30_000,
            stream_ms_max: 600_000,
            connections_max: 256,
            failures_max: crate::config::FAILURES_MAX,
            open_ms: crate::config::OPEN_MS,
            ca_pem: None,
            limits: Limits::default(),
        }
    }
}

/// A client of one server; connections are pooled inside.
pub struct Language {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    target: String,
    base: String,
    style: Style,
    key: Option<(HeaderName, HeaderValue)>,
    timeout: Duration,
    idle: Duration,
    stream_max: Duration,
    limits: Limits,
    circuit: Arc<Circuit>,
    under_way: Arc<Semaphore>,
}

/// What a server answers.
pub enum Heard {
    /// The whole reply.
    Whole(Box<Reply>),
    /// The beginning of one.
    Stream(Box<Listening>),
}

impl Language {
    /// Prepares the client; the first request opens the connection. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`UpstreamError::Settings`]: authorities that are no certificates, a key that cannot be sent or would cross the network in the
    /// clear, an address that is not HTTP.
    pub fn connect(config: LanguageConfig) -> Result<Self, UpstreamError> {
        let wrong = |why: String| UpstreamError::Settings(why);
        if config.target.transport != Transport::Rest {
            return Err(wrong(format!("{} is not HTTP: write http:// or https://", config.target)));
        }
        let key = match &config.key {
            None => None,
            Some(_) if !config.target.tls && !config.target.is_loopback() => {
                return Err(wrong(format!("a key would go to {} in the clear: use https", config.target)));
            }
            Some(secret) => Some(
                key_header(&config.style, secret)
                    .ok_or_else(|| wrong("the key holds a character that no header can carry".to_owned()))?,
            ),
        };
        let connect_timeout = Duration::from_millis(config.connect_timeout_ms);
        let connector = connector(config.ca_pem.as_deref(), connect_timeout, Versions::One)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(config.connections_max)
            .build(connector);
        Ok(Self {
            client,
            target: config.target.to_string(),
            base: config.target.base.clone(),
            style: config.style,
            key,
            timeout: Duration::from_millis(config.timeout_ms),
            idle: Duration::from_millis(config.idle_ms),
            stream_max: Duration::from_millis(config.stream_ms_max),
            limits: config.limits,
            circuit: Arc::new(Circuit::new(config.failures_max, Duration::from_millis(config.open_ms))),
            under_way: Arc::new(Semaphore::new(config.connections_max.clamp(1, Semaphore::MAX_PERMITS))),
        })
    }

    /// Asks the server for its model `model`. A refusal says the short word the server gave as its reason, never its message, which may
    /// repeat the request.
    ///
    /// # Errors
    /// [`UpstreamError`]; its message holds nothing of the request or the answer.
    pub async fn ask(
        &self,
        request: &Screened<openai::Request>,
        model: &str,
    ) -> Result<Heard, UpstreamError> {
        let admitted = self.circuit.admit(Instant::now());
        admitted.map_err(|retry_after_ms| UpstreamError::CircuitOpen {
            target: self.target.clone(),
            retry_after_ms,
        })?;
        let asked = tokio::time::timeout(self.timeout, self.send(request.get(), model)).await;
        let result = asked.unwrap_or_else(|_| {
            let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
            Err(UpstreamError::Timeout { target: self.target.clone(), after_ms })
        });
        match &result {
            Err(error) if error.is_servers_fault() => self.circuit.failed(Instant::now()),
            _ => self.circuit.succeeded(),
        }
        result
    }

    /// The server's address, as configured.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// State of the circuit breaker, for pages and metrics.
    pub fn circuit(&self) -> CircuitState {
        self.circuit.state(Instant::now())
    }

    async fn send(&self, asked: &openai::Request, model: &str) -> Result<Heard, UpstreamError> {
        // Never closed, so a place always comes.
        let place = Arc::clone(&self.under_way).acquire_owned().await.ok();
        let mut request = Request::new(Full::new(Bytes::from(asked.write(model))));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address(asked.endpoint(), model)?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if asked.is_stream() { "text/event-stream" } else { "application/json" };
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        if let Some((name, value)) = &self.key {
            headers.insert(name.clone(), value.clone());
        }
        let response = self.client.request(request).await.map_err(|e| unreachable(&self.target, &e))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        self.hear(asked, response, place).await
    }

    fn address(&self, endpoint: Endpoint, model: &str) -> Result<http::Uri, UpstreamError> {
        let (base, path) = (&self.base, endpoint.path());
        let text = match &self.style {
            Style::OpenAi => format!("{base}/{path}"),
            Style::Azure { api_version } => {
                let (model, version) = (segment(model), segment(api_version));
                format!("{base}/openai/deployments/{model}/{path}?api-version={version}")
            }
        };
        text.parse().map_err(|_| UpstreamError::Settings("the model's address is too long".into()))
    }

    async fn hear(
        &self,
        asked: &openai::Request,
        response: Response<Incoming>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Heard, UpstreamError> {
        let bad = |reason: String| UpstreamError::BadReply { target: self.target.clone(), reason };
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let kind = kind.and_then(|v| v.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        if response.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(bad("it is compressed, which was not asked for".to_owned()));
        }
        match (asked.is_stream(), kind.as_str()) {
            (true, "text/event-stream") => Ok(Heard::Stream(Box::new(Listening::new(
                response.into_body(),
                EventReader::new(self.limits),
                self.target.clone(),
                (self.idle, self.stream_max),
                Arc::clone(&self.circuit),
                place,
            )))),
            (false, "application/json" | "") => {
                let bytes = collect(response.into_body(), self.limits.reply_bytes, &self.target).await?;
                let reply = Reply::parse(asked.endpoint(), bytes.to_vec(), &self.limits);
                Ok(Heard::Whole(Box::new(reply.map_err(|e| bad(e.to_string()))?)))
            }
            (true, _) => Err(bad("a stream was asked for, and it is none".to_owned())),
            (false, _) => Err(bad("JSON was asked for, and it is something else".to_owned())),
        }
    }

    async fn refused(&self, response: Response<Incoming>) -> UpstreamError {
        let target = self.target.clone();
        let code = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after_s: Option<u64> = retry_after.and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let status = format!("HTTP {}", code.as_u16());
        let busy = matches!(code, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if let Some(seconds) = retry_after_s.filter(|_| busy) {
            return UpstreamError::AskedToWait {
                target,
                status,
                retry_after_ms: seconds.saturating_mul(1_000),
            };
        }
        let body = collect(response.into_body(), REFUSAL_BYTES_MAX, &self.target).await.unwrap_or_default();
        // The request's own fault: the server's short word for it helps the caller.
        let own = matches!(code.as_u16(), 400 | 413 | 415 | 422);
        let word = openai::upstream_error_code(&body, &self.limits).filter(|_| own);
        let word =
            word.unwrap_or_else(|| if own { "invalid_request_error".to_owned() } else { String::new() });
        UpstreamError::Refused { target, status, detail: Detail::word(word) }
    }
}

fn key_header(style: &Style, secret: &Secret) -> Option<(HeaderName, HeaderValue)> {
    match style {
        Style::OpenAi => Some((header::AUTHORIZATION, secret.bearer()?)),
        Style::Azure { .. } => {
            let mut value = HeaderValue::from_str(secret.expose()).ok()?;
            value.set_sensitive(true);
            Some((API_KEY, value))
        }
    }
}
