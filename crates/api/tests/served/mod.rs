//! A served gateway and a small HTTP/1.1 client that sends exactly the bytes a test wants to send.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test support")]

use std::net::TcpListener;
use std::sync::Arc;

use api::{Server, ServerLimits, Settings, grpc, router, serve};
use gateway::Gateway;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub fn rest(gateway: &Arc<Gateway>, limits: ServerLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    serve(listener, router(Arc::clone(gateway), Settings::default()), limits, Arc::clone(gateway)).unwrap()
}

pub fn grpc_server(gateway: &Arc<Gateway>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    serve(listener, grpc(Arc::clone(gateway)), ServerLimits::default(), Arc::clone(gateway)).unwrap()
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|l| l.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(':').map(|(_, v)| v.trim())
    }

    /// The refusal's code; panics when it is not problem+json as promised.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        for field in ["type", "title", "status", "detail", "code", "what_to_do", "error"] {
            assert!(!body[field].is_null(), "{field} is missing in {body}");
        }
        assert_eq!(body["status"], self.status);
        body["code"].as_str().unwrap().to_owned()
    }
}

/// Reads one response: the head, then as many bytes as it says.
pub async fn read(stream: &mut TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut reply =
        Reply { status: head.split(' ').nth(1)?.parse().ok()?, head, body: bytes[end..].to_vec() };
    let length: usize = reply.header("content-length").map_or(0, |v| v.parse().unwrap());
    while reply.body.len() < length {
        if stream.read_buf(&mut reply.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(reply)
}

pub async fn raw(server: &Server, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // A server that refuses early may close before everything was sent; what it said is still there to read.
    let _ = stream.write_all(bytes).await;
    read(&mut stream).await.expect("an answer")
}

pub async fn get(server: &Server, path: &str, key: Option<&str>) -> Reply {
    let key = key.map(|k| format!("authorization: Bearer {k}\r\n")).unwrap_or_default();
    raw(server, format!("GET {path} HTTP/1.1\r\nhost: x\r\n{key}\r\n").as_bytes()).await
}

pub fn post_bytes(path: &str, key: Option<&str>, extra: &str, body: &[u8]) -> Vec<u8> {
    let key = key.map(|k| format!("authorization: Bearer {k}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{key}{extra}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub async fn post(server: &Server, path: &str, key: Option<&str>, body: &[u8]) -> Reply {
    raw(server, &post_bytes(path, key, "", body)).await
}

pub fn body(row: &[f32]) -> Vec<u8> {
    let data = row.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let shape = row.len();
    format!(
        r#"{{"id":"r-1","inputs":[{{"name":"input","shape":[1,{shape}],"datatype":"FP32","data":[{data}]}}]}}"#
    )
    .into_bytes()
}
