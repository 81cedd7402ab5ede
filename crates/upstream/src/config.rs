//! Where a remote model is and how to reach it, parsed once.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use zeroize::Zeroizing;

/// Time for one inference, all in all, in milliseconds. A clinician waits; past this the gateway says so.
pub const TIMEOUT_MS: u64 = 10_000;
/// Time to open a connection, in milliseconds. A server in the same hospital answers in one.
pub const CONNECT_TIMEOUT_MS: u64 = 2_000;
/// Inferences under way to one server at once.
pub const CONNECTIONS_MAX: usize = 64;
/// Failures in a row after which the server is left alone for a while.
pub const FAILURES_MAX: u32 = 5;
/// How long it is left alone, in milliseconds: long enough for a restart to begin, short enough not to be noticed.
pub const OPEN_MS: u64 = 5_000;

/// A remote model. No `Debug`: it may hold a token.
#[derive(Clone)]
pub struct Config {
    /// Which server, and which protocol it is spoken to in.
    pub target: Target,
    /// The model's name there.
    pub model: String,
    /// Its version; none lets the server choose, which makes "which model answered" the server's word.
    pub version: Option<String>,
    /// Time for one inference, in milliseconds.
    pub timeout_ms: u64,
    /// Time to open a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Inferences under way at once.
    pub connections_max: usize,
    /// Failures in a row that open the circuit.
    pub failures_max: u32,
    /// How long the circuit stays open, in milliseconds.
    pub open_ms: u64,
    /// Certificate authorities to trust instead of the public ones, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// Bearer token.
    pub bearer: Option<Secret>,
    /// What an answer may hold.
    pub limits: oip::Limits,
}

impl Config {
    /// A model with the usual times and limits.
    pub fn new(target: Target, model: impl Into<String>) -> Self {
        Self {
            target,
            model: model.into(),
            version: None,
            timeout_ms: TIMEOUT_MS,
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            connections_max: CONNECTIONS_MAX,
            failures_max: FAILURES_MAX,
            open_ms: OPEN_MS,
            ca_pem: None,
            bearer: None,
            limits: oip::Limits::default(),
        }
    }
}

/// A token. It cannot be printed and is overwritten when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `token`.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Zeroizing::new(token.into()))
    }

    /// The header value `Bearer …`, marked as sensitive; `None` if the token cannot stand in a header.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    pub(crate) fn bearer(&self) -> Option<http::HeaderValue> {
        let text = Zeroizing::new(format!("Bearer {}", self.0.as_str()));
        let mut value = http::HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Which half of the protocol a server is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Rest,
    Grpc,
}

/// A server: `http://`, `https://`, `grpc://` or `grpcs://`, a host and a port, and for REST perhaps a path in front
/// of `/v2`.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    pub(crate) transport: Transport,
    pub(crate) tls: bool,
    /// With `http` or `https` as scheme, without a slash at the end.
    pub(crate) base: String,
    shown: String,
}

/// Why a text is not a server's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is not a model server's address: {wrong}")]
pub struct TargetError {
    url: String,
    wrong: &'static str,
}

impl Target {
    /// True when nobody but this machine can listen: the host is loopback.
    pub(crate) fn is_loopback(&self) -> bool {
        self.base.parse::<Uri>().is_ok_and(|uri| is_loopback(&uri))
    }
}

/// True for hosts that name this machine.
pub(crate) fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong =
            |wrong| TargetError { url: text.chars().take(200).filter(|c| !c.is_control()).collect(), wrong };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("write scheme://host:port"))?;
        let (transport, tls) = match scheme {
            "http" => (Transport::Rest, false),
            "https" => (Transport::Rest, true),
            "grpc" => (Transport::Grpc, false),
            "grpcs" => (Transport::Grpc, true),
            _ => return Err(wrong("use http, https, grpc or grpcs")),
        };
        let rest = rest.trim_end_matches('/');
        // A password in an address ends up in logs.
        if rest.contains('@') {
            // Not even this message repeats it.
            let wrong = "leave user and password out and use a bearer token";
            return Err(TargetError { url: format!("{scheme}://…"), wrong });
        }
        let base = format!("{}://{rest}", if tls { "https" } else { "http" });
        let uri: Uri = base.parse().map_err(|_| wrong("write scheme://host:port"))?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(wrong("write scheme://host:port"));
        }
        // A port that is no port is left out by the parser.
        if uri.port_u16().is_none() && uri.authority().map(http::uri::Authority::as_str) != uri.host() {
            return Err(wrong("use a port from 1 to 65535"));
        }
        if uri.query().is_some() || rest.contains('#') {
            return Err(wrong("leave out `?` and `#` and what follows"));
        }
        if transport == Transport::Grpc && !matches!(uri.path(), "" | "/") {
            return Err(wrong("a gRPC address has no path"));
        }
        if transport == Transport::Grpc && uri.port_u16().is_none() {
            return Err(wrong("add the port, for example :8001"));
        }
        Ok(Self { transport, tls, base, shown: format!("{scheme}://{rest}") })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_or_refused_with_what_to_do() {
        for (text, good) in [
            ("http://127.0.0.1:8000", true),
            ("https://models.hospital.example/team/", true),
            ("grpc://[::1]:8001", true),
            ("grpcs://models.hospital.example:8001", true),
            ("grpc://models.hospital.example", false),
            ("grpc://models.hospital.example:8001/x", false),
            ("ftp://models.hospital.example", false),
            ("models.hospital.example:8000", false),
            ("http://", false),
            ("http://a b:1", false),
            ("http://h:1/?q=1", false),
            ("http://h:99999", false),
        ] {
            assert_eq!(text.parse::<Target>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let message = "http://nurse:hunter2@h:1".parse::<Target>().unwrap_err().to_string();
        assert!(message.contains("bearer token") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, loopback) in [
            ("http://127.0.0.1:1", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://localhost.example:1", false),
            ("http://127.0.0.1.example:1", false),
            ("http://10.0.0.1:1", false),
        ] {
            assert_eq!(text.parse::<Target>().unwrap().is_loopback(), loopback, "{text}");
        }
    }
}
