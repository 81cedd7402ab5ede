//! A gateway over a language model, and a model server that says exactly the bytes a test wants it to say.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use access::{KeyTable, Policies};
use detect::{HoldBack, TextGuardSettings, TextGuards};
use gateway::{
    Gateway, Journal, LanguageParts, LanguageServed, LanguageState, LanguageVersion, Parts, ServedUpstream,
    Snapshot,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use upstream::{Language, LanguageConfig};

use crate::common::{Ledger, NOW_MS, PLENTY, TestClock, key};

/// What a model server was sent: the first line with the headers, and the body.
pub type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A model server. What it says is made by `answer` from the request's body; it is written piece by piece, and the connection is closed behind it.
pub struct ModelServer {
    pub address: SocketAddr,
    pub asked: Asked,
}

impl ModelServer {
    pub async fn start(answer: impl Fn(&str, &str) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Asked = Asked::default();
        let (answer, noted) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, noted) = (Arc::clone(&answer), Arc::clone(&noted));
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let end = loop {
                        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                            break at + 4;
                        }
                        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                            return;
                        }
                    };
                    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap_or("0");
                    let length: usize = length.trim().parse().unwrap();
                    while bytes.len() < end + length {
                        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let body = String::from_utf8(bytes[end..].to_vec()).unwrap();
                    noted.lock().unwrap().push((head.clone(), body.clone()));
                    for piece in answer(&head, &body) {
                        if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { address, asked }
    }

    pub fn config(&self) -> LanguageConfig {
        LanguageConfig::new(format!("http://{}/v1", self.address).parse().unwrap())
    }
}

pub fn json(body: &str) -> Vec<Vec<u8>> {
    status("200 OK", body)
}

pub fn status(line: &str, body: &str) -> Vec<Vec<u8>> {
    let length = body.len();
    vec![
        format!(
            "HTTP/1.1 {line}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .into_bytes(),
    ]
}

/// A stream of these bytes, until the connection closes.
pub fn events(pieces: &[&str]) -> Vec<Vec<u8>> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";
    let mut all = vec![head.as_bytes().to_vec()];
    all.extend(pieces.iter().map(|p| p.as_bytes().to_vec()));
    all
}

pub fn delta(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}},\"finish_reason\":null}}]}}\n\n"
    )
}

pub const STOP: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub const DONE: &str = "data: [DONE]\n\n";

/// A chat's whole reply.
pub fn completion(text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    format!(
        r#"{{"id":"c1","object":"chat.completion","created":7,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}}}"#
    )
}

/// A gateway over a language model.
pub struct Talking {
    pub gateway: Arc<Gateway>,
    pub ledger: Arc<Ledger>,
    pub key: String,
    pub records: Vec<access::KeyRecord>,
    version: Arc<LanguageVersion>,
}

#[derive(Clone)]
pub struct Setup {
    pub settings: TextGuardSettings,
    pub hold: HoldBack,
    pub limits: gateway::Limits,
    /// Whether entries of the ledger are kept to look at.
    pub keep: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let mut settings = TextGuardSettings::default();
        // The machine that runs tests may be slow; budgets are not what these tests are about.
        settings.unread_media.budget_us = 60_000_000;
        settings.hidden_text.budget_us = 60_000_000;
        settings.injected_instructions.budget_us = 60_000_000;
        settings.patient_identifiers.budget_us = 60_000_000;
        settings.clinical_claims.budget_us = 60_000_000;
        Self { settings, hold: HoldBack::default(), limits: gateway::Limits::default(), keep: true }
    }
}

impl Talking {
    pub fn over(servers: &[LanguageConfig], setup: Setup) -> Self {
        let upstreams = servers.iter().map(|config| {
            let mut config = config.clone();
            config.limits = setup.limits.text;
            ServedUpstream {
                server: Arc::new(Language::connect(config).unwrap()),
                model: Some("tiny".into()),
            }
        });
        let version = Arc::new(LanguageVersion::new(LanguageParts {
            models: vec!["small".into(), "large".into()],
            upstreams: upstreams.collect(),
            guards: Arc::new(TextGuards::build(&setup.settings, setup.hold)),
            stored: false,
        }));
        let (record, key) = key("ward-3", 3);
        let records = vec![record];
        let ledger = Ledger::keeping(setup.keep.then(Vec::new));
        let gateway = Arc::new(Gateway::new(Parts {
            journal: Arc::clone(&ledger) as Arc<dyn Journal>,
            clock: TestClock::at(NOW_MS),
            digest_key: [9; 32],
            snapshot: Self::snapshot(&records, &version, setup.limits),
        }));
        Self { gateway, ledger, key, records, version }
    }

    fn snapshot(
        records: &[access::KeyRecord],
        version: &Arc<LanguageVersion>,
        limits: gateway::Limits,
    ) -> Snapshot {
        let policies = Arc::new(Policies::shipped().unwrap());
        let mut snapshot = Snapshot::empty(KeyTable::new(records.to_vec()).unwrap(), policies);
        (snapshot.budget, snapshot.limits) = (PLENTY, limits);
        let served = |id: &str, state| {
            let id: domain::SystemId = id.parse().unwrap();
            (id.clone(), Arc::new(LanguageServed { id, title: "Chat".into(), state }))
        };
        snapshot.language = [
            served("ward-chat", LanguageState::Open(Arc::clone(version))),
            served(
                "stopped",
                LanguageState::Suspended { by: "grace".into(), reason: "wrong answers".into() },
            ),
        ]
        .into();
        snapshot
    }

    /// More systems, each with one server.
    pub fn add<'s>(&self, others: impl IntoIterator<Item = (&'s str, LanguageConfig)>, setup: &Setup) {
        self.change(setup.limits, |snapshot| {
            for (id, config) in others {
                let server = Arc::new(Language::connect(config).unwrap());
                let version = LanguageVersion::new(LanguageParts {
                    models: vec!["only".into()],
                    upstreams: vec![ServedUpstream { server, model: None }],
                    guards: Arc::new(TextGuards::build(&setup.settings, setup.hold)),
                    stored: false,
                });
                let id: domain::SystemId = id.parse().unwrap();
                let state = LanguageState::Open(Arc::new(version));
                snapshot
                    .language
                    .insert(id.clone(), Arc::new(LanguageServed { id, title: "Other".into(), state }));
            }
        });
    }

    pub fn change(&self, limits: gateway::Limits, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Self::snapshot(&self.records, &self.version, limits);
        change(&mut snapshot);
        self.gateway.replace(snapshot);
    }

    /// The one closing entry, once it is there.
    pub async fn closed(&self) -> serde_json::Value {
        for _ in 0..100_000 {
            if let Some(entry) = self.ledger.of("closed").first() {
                return entry.clone();
            }
            tokio::task::yield_now().await;
        }
        panic!("the exchange was not closed");
    }
}
