//! A client of our own gateway that hears all it says: answers with what the guards said, refusals with their code. For exercises, which play clients and
//! attackers against a guarded system; care is served through [`crate::Remote`].

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use domain::{Advice, Severity, Tensor};
use http::{HeaderName, HeaderValue, Method, Request, header};
use http_body_util::Full;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use oip::{Ask, Encoding, Limits, Param, Params, rest};
use serde_json::Value;

use crate::rest::segment;
use crate::tls::{Versions, connector};
use crate::wire::{collect, unreachable};
use crate::{Secret, Target, UpstreamError};

const HEADER_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");
/// Guards of one answer that are read.
const GUARDS_MAX: usize = 64;
/// Longest name of a guard or code that is kept, bytes.
const NAME_BYTES_MAX: usize = 80;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(10);
/// Idle connections kept.
const IDLE_MAX: usize = 64;

/// What a guard said, in one word each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// Nothing to say.
    Clean,
    /// It found something: how the advice stands if the guard may speak.
    Found(Advice),
    /// It could not decide.
    Doubt,
}

/// What a gateway answered.
pub enum Heard {
    /// An answer, and what each guard said of it.
    Answered {
        /// The outputs.
        outputs: Vec<Tensor>,
        /// By name of the guard.
        guards: BTreeMap<String, Said>,
    },
    /// A refusal.
    Refused {
        /// HTTP status.
        status: u16,
        /// Code of the refusal, `E011` for example; empty where none was given.
        code: String,
        /// Seconds after which to come again, where it says so.
        retry_after_s: Option<u64>,
        /// By name of the guard, where guards were asked.
        guards: BTreeMap<String, Said>,
    },
}

/// A status and how long the whole answer was, for requests that are not meant to be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// HTTP status.
    pub status: u16,
    /// Code of the refusal, where it was one.
    pub code: String,
    /// Bytes of the body.
    pub bytes: usize,
}

/// Plays clients of one gateway. Connections are shared by all keys.
pub struct Visitor {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    shown: String,
    timeout: Duration,
    limits: Limits,
}

impl Visitor {
    /// A visitor of the REST gateway at `target`.
    ///
    /// # Errors
    /// [`UpstreamError::Settings`] when keys would cross the network in the clear.
    pub fn new(target: &Target, timeout_ms: u64) -> Result<Self, UpstreamError> {
        if !target.tls && !target.is_loopback() {
            let why = format!("keys would go to {target} in the clear: use https");
            return Err(UpstreamError::Settings(why));
        }
        let connector = connector(None, Duration::from_millis(timeout_ms), Versions::One)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Ok(Self {
            client,
            base: target.base.clone(),
            shown: target.to_string(),
            timeout: Duration::from_millis(timeout_ms),
            limits: Limits::default(),
        })
    }

    /// Asks `system` about made-up or reference rows, as the client of `key`.
    ///
    /// # Errors
    /// [`UpstreamError`] when nobody answers, or the answer is none. A refusal is no error.
    pub async fn ask(&self, system: &str, key: &Secret, inputs: &[Tensor]) -> Result<Heard, UpstreamError> {
        let parameters = Params::new();
        let ask = Ask { id: None, inputs, outputs: &[], parameters: &parameters };
        let written = rest::write_request(&ask, Encoding::Binary)?;
        let mut request = self.request(system, Bytes::from(written.body))?;
        let content_type = if let Some(length) = written.header_len {
            request.headers_mut().insert(HEADER_LENGTH, HeaderValue::from(length));
            "application/octet-stream"
        } else {
            "application/json"
        };
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.sign(&mut request, key);
        let (head, body) = self.send(request).await?;
        let bad = |reason: String| UpstreamError::BadReply { target: self.shown.clone(), reason };
        let number = |name: &HeaderName| head.headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        if head.status != http::StatusCode::OK {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            return Ok(Heard::Refused {
                status: head.status.as_u16(),
                code: short(problem["code"].as_str().unwrap_or_default()),
                retry_after_s: number(&header::RETRY_AFTER),
                guards: guards(&problem["verdicts"]),
            });
        }
        let header_len = number(&HEADER_LENGTH).and_then(|n| usize::try_from(n).ok());
        let answer = rest::parse_response(&body, header_len, &self.limits).map_err(|e| bad(e.to_string()))?;
        let said = match answer.parameters.get("asepsis_verdicts") {
            Some(Param::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            _ => return Err(bad("it carries no receipt".to_owned())),
        };
        Ok(Heard::Answered { outputs: answer.outputs, guards: guards(&said) })
    }

    /// Sends `body` as it is, with `headers` beside length and key.
    ///
    /// # Errors
    /// [`UpstreamError`] when there is no answer at all, or a header cannot be sent.
    pub async fn provoke(
        &self,
        system: &str,
        key: Option<&Secret>,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<Reaction, UpstreamError> {
        let mut request = self.request(system, Bytes::from(body))?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| UpstreamError::Settings(format!("`{name}` cannot be sent with this value")))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if let Some(key) = key {
            self.sign(&mut request, key);
        }
        let (head, body) = self.send(request).await?;
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = short(problem["code"].as_str().unwrap_or_default());
        Ok(Reaction { status: head.status.as_u16(), code, bytes: body.len() })
    }

    fn request(&self, system: &str, body: Bytes) -> Result<Request<Full<Bytes>>, UpstreamError> {
        let url = format!("{}/v2/models/{}/infer", self.base, segment(system));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            url.parse().map_err(|_| UpstreamError::Settings("the system's address is too long".into()))?;
        Ok(request)
    }

    fn sign(&self, request: &mut Request<Full<Bytes>>, key: &Secret) {
        if let Some(bearer) = key.bearer() {
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(http::response::Parts, Bytes), UpstreamError> {
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| unreachable(&self.shown, &e))?;
            let (head, body) = response.into_parts();
            let body = collect(body, self.limits.body_bytes, &self.shown).await?;
            Ok((head, body))
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| {
            let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
            Err(UpstreamError::Timeout { target: self.shown.clone(), after_ms })
        })
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(NAME_BYTES_MAX / 4).collect()
}

/// What each guard said, of the object in a receipt or a problem document. Its messages are left where they are: they are for the caller's screen.
fn guards(verdicts: &Value) -> BTreeMap<String, Said> {
    let all = verdicts.as_object().into_iter().flatten().take(GUARDS_MAX);
    all.filter(|(name, _)| name.len() <= NAME_BYTES_MAX)
        .map(|(name, said)| {
            let severity = serde_json::from_value::<Severity>(said["severity"].clone());
            let word = match said["outcome"].as_str() {
                Some("clean") => Said::Clean,
                // A finding without a severity is taken as the strictest.
                Some("found") => Said::Found(severity.map_or(Advice::DoNotUse, Advice::from_severity)),
                _ => Said::Doubt,
            };
            (name.clone(), word)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read_in_words_and_nothing_else_is_kept() {
        let text = r#"{"a":{"outcome":"clean"},"b":{"outcome":"found","severity":"high","message":"row 0: 41"},
            "c":{"outcome":"found","severity":"low"},"d":{"outcome":"inconclusive"},"e":7}"#;
        let read = guards(&serde_json::from_str(text).unwrap());
        assert_eq!(read["a"], Said::Clean);
        assert_eq!(read["b"], Said::Found(Advice::DoNotUse));
        assert_eq!(read["c"], Said::Found(Advice::Use));
        assert_eq!((read["d"], read["e"]), (Said::Doubt, Said::Doubt));
        assert!(guards(&Value::Null).is_empty());
    }

    #[test]
    fn keys_do_not_cross_a_network_in_the_clear() {
        let far: Target = "http://gateway.example:8470".parse().unwrap();
        assert!(Visitor::new(&far, 1_000).is_err());
    }
}
