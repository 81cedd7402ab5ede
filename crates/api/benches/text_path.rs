//! What the path of a language model costs: CPU of the gateway's threads for each request, and latency at a fixed rate against a server that
//! answers at once. Everything runs in one process on loopback; each side has threads of its own, whose CPU time is read apart.
//!
//! `cargo bench -p api --bench text_path [-- --rate 2000 --seconds 10 --connections 64 --guards none|some|all --streams]`
//!
//! `none` switches every guard off, `some` leaves out the clinical claims, `all` masks identifiers as well and restores them in the reply.
//! `--peer http://HOST:PORT KEY MODEL` measures another gateway in front of the same server instead, at the same rate; its CPU is not ours
//! to read, so only latency is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark program")]

#[path = "../../gateway/tests/common/mod.rs"]
mod common;
#[path = "../tests/talking/mod.rs"]
mod talking;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use api::{ServerLimits, Settings, router, serve};
use detect::{IdentifierAction, TextGuardSettings};
use talking::{Setup, Talking, completion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use upstream::LanguageConfig;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const REPLY: &str = "The patient was admitted with chest pain. Troponin was negative twice, the electrocardiogram showed no changes. \
    Metoprolol 25 mg twice a day was continued and aspirin 81 mg was started. Follow-up in the clinic in two weeks.";

fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|a| a != name).nth(1)
}

fn number(name: &str, default: usize) -> usize {
    argument(name).map_or(default, |v| v.parse().expect("a number"))
}

/// A note of two kilobytes about patient `n`.
fn note(n: usize) -> String {
    let names = ["Okafor", "Lindqvist", "Haddad", "Moreau", "Castellanos", "Novak"];
    let name = names[n % names.len()];
    let mut text = format!(
        "Please summarise. Mr. {name} (MRN {}) was seen on {:02}/11/2024. ",
        4_000_000 + n,
        n % 28 + 1
    );
    let parts = [
        "History of hypertension, type 2 diabetes mellitus and atrial fibrillation on apixaban. ",
        "He reports intermittent chest tightness on exertion, no syncope, no orthopnoea. ",
        "Blood pressure 148/86 mmHg, heart rate 78 per minute and irregular, oxygen saturation 97% on room air. ",
        "Creatinine 1.1 mg/dL, potassium 4.4 mmol/L, haemoglobin A1c 7.2%, LDL cholesterol 98 mg/dL. ",
        "Stop hydrochlorothiazide because of gout; continue metformin 1000 mg twice a day and metoprolol 50 mg. ",
    ];
    let mut k = n;
    while text.len() < 2_048 {
        text.push_str(parts[k % parts.len()]);
        k += 1;
    }
    text.truncate(2_048);
    text
}

fn bodies(model: &str, stream: bool) -> Vec<Vec<u8>> {
    let one = |n: usize| {
        let text = serde_json::to_string(&note(n)).unwrap();
        format!(
            r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"system","content":"You are a careful clinical scribe."}},{{"role":"user","content":{text}}}]}}"#
        )
    };
    (0..1_024).map(|n| one(n).into_bytes()).collect()
}

/// A thread with a runtime of its own.
fn thread<F: Future<Output = ()>>(name: &str, task: impl FnOnce() -> F + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(task())).unwrap();
}

/// A model server that answers at once, whole or as forty events, and keeps connections.
fn model_server() -> SocketAddr {
    let listener =
        TcpListener::bind(argument("--upstream").unwrap_or_else(|| "127.0.0.1:0".to_owned())).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let body = completion(REPLY);
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let words: Vec<&str> = REPLY.split_inclusive(' ').collect();
    let mut events: String = words.iter().map(|word| talking::delta(word)).collect();
    events += talking::STOP;
    events += talking::DONE;
    let streamed = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n{events}",
        events.len()
    );
    thread("model-server", move || async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let answers = std::sync::Arc::new((whole.into_bytes(), streamed.into_bytes()));
        while let Ok((stream, _)) = listener.accept().await {
            let answers = std::sync::Arc::clone(&answers);
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move { answer(stream, &answers).await });
        }
    });
    address
}

async fn answer(mut stream: TcpStream, answers: &(Vec<u8>, Vec<u8>)) {
    let mut bytes = Vec::with_capacity(8_192);
    loop {
        bytes.clear();
        let (head, length) = loop {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap_or("0");
                break (end + 4, length.trim().parse::<usize>().unwrap());
            }
        };
        while bytes.len() < head + length {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let streamed = bytes.windows(14).any(|w| w == b"\"stream\":true,");
        if stream.write_all(if streamed { &answers.1 } else { &answers.0 }).await.is_err() {
            return;
        }
    }
}

/// CPU seconds of this process's threads by name. Linux counts in hundredths.
fn cpu() -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else { continue };
        let (name, rest) = stat.rsplit_once(')').unwrap();
        let name = name.split_once('(').unwrap().1.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        *all.entry(name.to_owned()).or_default() += ticks / 100.0;
    }
    all
}

fn resident_mb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1_024
}

/// Asks at a fixed rate and gives the latencies in microseconds, from the moment a request was due.
fn load(
    address: SocketAddr,
    key: &str,
    bodies: &[Vec<u8>],
    rate: usize,
    seconds: usize,
    connections: usize,
) -> Vec<u64> {
    let requests: Vec<Vec<u8>> = bodies
        .iter()
        .map(|body| {
            let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            [head.as_bytes(), body].concat()
        })
        .collect();
    let requests = std::sync::Arc::new(requests);
    let (send, receive) = std::sync::mpsc::channel();
    thread("load", move || async move {
        let start = Instant::now() + Duration::from_millis(50);
        let mut tasks = Vec::new();
        for c in 0..connections {
            let requests = std::sync::Arc::clone(&requests);
            tasks.push(tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut took, mut bytes, mut n) = (Vec::new(), Vec::new(), c);
                while n < rate * seconds {
                    let due = start + Duration::from_secs_f64(n as f64 / rate as f64);
                    tokio::time::sleep_until(due.into()).await;
                    stream.write_all(&requests[n % requests.len()]).await.unwrap();
                    assert!(heard(&mut stream, &mut bytes).await, "{}", String::from_utf8_lossy(&bytes));
                    took.push(u64::try_from(due.elapsed().as_micros()).unwrap());
                    n += connections;
                }
                took
            }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.unwrap());
        }
        let _ = send.send(all);
    });
    let mut all = receive.recv().unwrap();
    all.sort_unstable();
    all
}

/// Reads one answer, by its length or by its last chunk; true when it is a good one.
async fn heard(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    let (mut head, mut length) = (0, None);
    loop {
        if stream.read_buf(bytes).await.unwrap() == 0 {
            return false;
        }
        if head == 0
            && let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n")
        {
            let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            head = end + 4;
            length =
                text.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        }
        let complete = match length {
            Some(length) => bytes.len() >= head + length,
            None => bytes.ends_with(b"0\r\n\r\n"),
        };
        if head > 0 && complete {
            return bytes.starts_with(b"HTTP/1.1 200");
        }
    }
}

fn say(name: &str, latencies: &[u64]) {
    let at = |q: f64| latencies[((latencies.len() - 1) as f64 * q) as usize] as f64 / 1_000.0;
    println!(
        "{name:<28} p50 {:.3} ms   p90 {:.3} ms   p99 {:.3} ms   max {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

fn guards(which: &str) -> TextGuardSettings {
    let mut settings = TextGuardSettings::default();
    let all = which == "all";
    settings.clinical_claims.enabled = all;
    settings.patient_identifiers.enabled = which != "none";
    settings.hidden_text.enabled = which != "none";
    settings.injected_instructions.enabled = which != "none";
    settings.unread_media.enabled = which != "none";
    if all {
        settings.patient_identifiers.action = IdentifierAction::Mask;
        settings.injected_instructions.mode = domain::GuardMode::Block;
    }
    settings
}

fn main() {
    let (rate, seconds, connections) =
        (number("--rate", 2_000), number("--seconds", 10), number("--connections", 64));
    let stream = std::env::args().any(|a| a == "--streams");
    let upstream = model_server();
    let direct = load(upstream, "none", &bodies("m", stream), rate, seconds.min(5), connections);
    say("the server itself", &direct);
    if let Some(peer) = argument("--peer") {
        let rest: Vec<String> = std::env::args().skip_while(|a| *a != peer).collect();
        let address = peer.trim_start_matches("http://").parse().unwrap();
        let latencies = load(address, &rest[1], &bodies(&rest[2], stream), rate, seconds, connections);
        return say("the other gateway", &latencies);
    }
    for which in
        argument("--guards").map_or(vec!["none".to_owned(), "some".to_owned(), "all".to_owned()], |g| vec![g])
    {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let started = Instant::now();
        let talking = runtime.block_on(async {
            let config = LanguageConfig::new(format!("http://{upstream}/v1").parse().unwrap());
            let limits = gateway::Limits { tokens_per_day: u64::MAX, ..gateway::Limits::default() };
            Talking::over(
                &[config],
                Setup { settings: guards(&which), limits, keep: false, ..Setup::default() },
            )
        });
        let ready_ms = started.elapsed().as_millis();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let routes = router(talking.gateway.clone(), Settings::default());
        let server = serve(listener, routes, ServerLimits::default(), talking.gateway.clone()).unwrap();
        let bodies = bodies("ward-chat", stream);
        load(server.address(), &talking.key, &bodies, rate, 1, connections);
        let before = cpu();
        let latencies = load(server.address(), &talking.key, &bodies, rate, seconds, connections);
        let after = cpu();
        say(&format!("guards: {which}"), &latencies);
        let spent = |name: &str| after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
        let ours: f64 = after
            .keys()
            .filter(|name| !matches!(name.as_str(), "load" | "model-server"))
            .map(|n| spent(n))
            .sum();
        let each = ours * 1_000.0 / latencies.len() as f64;
        let guards_us = talking.gateway.metrics().guards_us.mean_us();
        println!(
            "{:<28} {each:.3} CPU ms a request in all, guards {:.3} ms; ready in {ready_ms} ms; {} MB resident",
            "",
            guards_us as f64 / 1_000.0,
            resident_mb()
        );
        for name in after.keys().filter(|name| spent(name) > 0.05) {
            println!("{:<28}   {name:<16} {:.3} ms", "", spent(name) * 1_000.0 / latencies.len() as f64);
        }
        drop(server);
        drop(runtime);
    }
}
