//! A model server on loopback that is slow or dies as a plan says, with the system's own model behind it, so that its sound answers are true ones.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use app::exercise::Guarded;
use attack::corruption::service::{Answer, Upstream};
use oip::rest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Name of the model there.
pub const MODEL: &str = "sick";
/// Largest request read.
const REQUEST_BYTES_MAX: usize = 16 << 20;
/// Bytes sent of an answer without end, at a time.
const ENDLESS_BYTES: usize = 64 << 10;

/// The server.
pub struct Sick {
    address: SocketAddr,
    way: Arc<Mutex<Option<Upstream>>>,
    task: JoinHandle<()>,
}

impl Drop for Sick {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sick {
    /// Starts it, well.
    pub async fn start(guarded: Arc<Guarded>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let way: Arc<Mutex<Option<Upstream>>> = Arc::default();
        let shared = Arc::clone(&way);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (guarded, way) = (Arc::clone(&guarded), Arc::clone(&shared));
                tokio::spawn(async move {
                    let _ = connection(stream, &guarded, &way).await;
                });
            }
        });
        Ok(Self { address, way, task })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it behaves from now on.
    pub fn behave(&self, way: Upstream) {
        *self.way.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
    }
}

/// One request on one connection, then closed.
async fn connection(
    mut stream: TcpStream,
    guarded: &Guarded,
    way: &Mutex<Option<Upstream>>,
) -> anyhow::Result<()> {
    let (head, body) = read(&mut stream).await?;
    if head.starts_with("GET") {
        let text = r#"{"name":"sick","version":"1","extensions":[]}"#;
        return Ok(stream.write_all(&whole("200 OK", text.as_bytes())).await?);
    }
    let way = *way.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(way) = way else { return Ok(()) };
    tokio::time::sleep(Duration::from_millis(way.first_byte_after_ms)).await;
    let bytes = match way.answer {
        Answer::ServerError => whole("500 Internal Server Error", b"something broke"),
        Answer::Nonsense => whole("200 OK", b"<p>this is no answer</p>"),
        Answer::Another => whole("200 OK", &answer(guarded, &head, &body, true).await?),
        Answer::Sound => whole("200 OK", &answer(guarded, &head, &body, false).await?),
        Answer::Endless => {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            let chunk =
                [format!("{ENDLESS_BYTES:x}\r\n").as_bytes(), &vec![b' '; ENDLESS_BYTES], b"\r\n"].concat();
            // Until the other side has had enough.
            loop {
                stream.write_all(&chunk).await?;
            }
        }
    };
    let end = match way.closes_after_thousandths {
        Some(part) => bytes.len() * usize::from(part) / 1_000,
        None => bytes.len(),
    };
    let bytes = bytes.get(..end).unwrap_or(&bytes);
    if way.between_bytes_ms == 0 {
        stream.write_all(bytes).await?;
    } else {
        let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
        stream.write_all(bytes.get(..head).unwrap_or_default()).await?;
        for byte in bytes.iter().skip(head) {
            stream.write_all(&[*byte]).await?;
            tokio::time::sleep(Duration::from_millis(way.between_bytes_ms)).await;
        }
    }
    Ok(stream.shutdown().await?)
}

fn whole(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Head in lower case but for its first line, and body.
async fn read(stream: &mut TcpStream) -> anyhow::Result<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let head_len = loop {
        if let Some(at) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        anyhow::ensure!(all.len() < REQUEST_BYTES_MAX && stream.read_buf(&mut all).await? > 0, "cut off");
    };
    let head = String::from_utf8_lossy(all.get(..head_len).unwrap_or_default()).into_owned();
    let length = number(&head, "content-length").unwrap_or(0);
    anyhow::ensure!(length < REQUEST_BYTES_MAX, "too large");
    while all.len() < head_len + length {
        anyhow::ensure!(stream.read_buf(&mut all).await? > 0, "cut off");
    }
    Ok((head, all.split_off(head_len)))
}

fn number(head: &str, name: &str) -> Option<usize> {
    let line = head.lines().find_map(|l| {
        let (key, value) = l.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value)
    });
    line?.trim().parse().ok()
}

/// What the model says of the request; as another model's answer to another request if `another`.
async fn answer(guarded: &Guarded, head: &str, body: &[u8], another: bool) -> anyhow::Result<Vec<u8>> {
    let length = number(head, "inference-header-content-length");
    let call = rest::parse_request(body, length, &oip::Limits::default())?;
    let input = call.inputs.first().ok_or_else(|| anyhow::anyhow!("no input"))?;
    let values = input.data().to_f32().ok_or_else(|| anyhow::anyhow!("numbers are wanted"))?.to_vec();
    let rows = input.shape().first().copied().unwrap_or(1);
    let outputs = guarded.scorer.outputs(&guarded.schema, rows, values).await?;
    let answer = oip::Answer {
        model_name: if another { "another" } else { MODEL }.to_owned(),
        model_version: None,
        id: if another { call.id.as_ref().map(|_| "another".to_owned()) } else { call.id.clone() },
        outputs,
        parameters: oip::Params::default(),
    };
    Ok(rest::write_response(&answer, &call.wants())?.body)
}
