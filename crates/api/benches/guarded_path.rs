//! What the guards, the ledger and the receipts cost. Everything runs in one process on loopback, so that both sides
//! of each ratio see the same machine in the same minute.
//!
//! `cargo bench -p api --bench guarded_path [-- --million | --remote | --rate REQUESTS_PER_S | --seconds N | --connections N]`
//!
//! 1. Throughput, closed loop over keep-alive connections: the whole guarded path against a bare axum handler that
//!    parses the same JSON and runs the same model on the same server.
//! 2. Latency at half the guarded throughput, open loop: with the wait for the group commit taken off each request and
//!    shown apart.
//!    `--rate` measures only this, at the rate given.
//! 3. `--million`: a million requests, resident memory on the way (with `--bare` of the bare handler, to compare profiles).
//! 4. `--remote`: the gateway in front of a model server, against the direct call and against nginx, where installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark program")]

#[path = "../../gateway/tests/common/mod.rs"]
mod common;
#[path = "guarded_path/remote.rs"]
mod remote;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::{Server, ServerLimits, Settings, router, serve};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use common::{Bench, Fixture, Ledger};
use detect::GuardSettings;
use gateway::{Event, Gateway, LocalModel};
use oip::Wants;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The allocator of the product; both sides of each ratio have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Different requests in circulation: interpolations between patients, so that no guard sees the same row at once.
const BODIES: usize = 16_384;
const PATH: &str = "/v2/models/breast-mass/infer";

fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|a| a != name);
    arguments.nth(1).map_or(default, |v| v.parse().expect("a number"))
}

fn flag(name: &str) -> bool {
    std::env::args().any(|a| a == name)
}

fn main() {
    let connections = argument("--connections", 256);
    let seconds = argument("--seconds", 8);
    let fixture = common::breast_mass(&GuardSettings::default());
    let bodies = bodies(&fixture);
    if flag("--remote") {
        return remote::remote(&fixture, &bodies, seconds);
    }
    let bench = common::bench_on(&fixture.version(), Ledger::keeping(None));
    let guarded = Target::new(serve_gateway(&bench.gateway), &bench.key, &bodies);
    let bare = Target::new(serve_bare(&bench.gateway, &fixture.model), "", &bodies);
    if flag("--million") {
        return million(&bench, if flag("--bare") { &bare } else { &guarded }, connections);
    }
    if flag("--rate") {
        guarded.closed_loop(connections, Duration::from_secs(2), usize::MAX);
        return half_load(&bench, &bare, &guarded, argument("--rate", 0) as f64, seconds);
    }
    println!("{connections} connections, {seconds} s each, batch 1, all guards, durable ledger");
    for target in [&bare, &guarded] {
        target.closed_loop(connections, Duration::from_secs(2), usize::MAX);
    }
    let mut rounds = Vec::new();
    for round in 0..3 {
        let (wait_before, count_before) = commit(&bench.gateway);
        let plain = bare.closed_loop(connections, Duration::from_secs(seconds as u64), usize::MAX);
        let before = bench.ledger.log.stats().0;
        let full = guarded.closed_loop(connections, Duration::from_secs(seconds as u64), usize::MAX);
        let (wait, count) = commit(&bench.gateway);
        let wait_us = (wait - wait_before).checked_div(count - count_before).unwrap_or(0);
        println!("round {round}: bare    {}", plain.line());
        let after = bench.ledger.log.stats().0;
        let commits = (after.commits - before.commits).max(1);
        println!("         guarded {}; commit wait mean {wait_us} us", full.line());
        println!(
            "         {commits} commits of {} entries on average, write and sync {} us each",
            (after.entries - before.entries) / commits,
            (after.sync_time - before.sync_time).as_micros() / u128::from(commits)
        );
        println!(
            "         ratio {:.2}, by processor time {:.2}",
            full.rate() / plain.rate(),
            plain.cpu_us() / full.cpu_us()
        );
        rounds.push((plain.rate(), full.rate()));
    }
    rounds.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    println!("median ratio of requests/s, guarded to bare: {:.2}", rounds[1].1 / rounds[1].0);
    let metrics = bench.gateway.metrics();
    println!(
        "means: guards {} us, model {} us, exchange {} us",
        metrics.guards_us.mean_us(),
        metrics.model_us.mean_us(),
        metrics.exchange_us.mean_us()
    );
    half_load(&bench, &bare, &guarded, rounds[1].1 / 2.0, seconds);
}

fn commit(gateway: &Gateway) -> (u64, u64) {
    let waits = &gateway.metrics().commit_wait_us;
    (waits.sum_us(), waits.count())
}

/// Latency at a fixed rate on both sides, and the guarded one without its wait for the disk.
fn half_load(bench: &Bench, bare: &Target, guarded: &Target, rate: f64, seconds: usize) {
    let waits: Arc<Mutex<HashMap<u64, u64>>> = Arc::default();
    let (collected, mut events) = (Arc::clone(&waits), bench.gateway.subscribe());
    let collector = std::thread::spawn(move || {
        loop {
            match events.blocking_recv() {
                Ok(Event::Exchange(e)) => {
                    collected.lock().unwrap().insert(e.ledger_index, e.commit_wait_us);
                }
                // One rejection marks the end.
                Ok(Event::Rejected { .. }) => return,
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(_) => return,
            }
        }
    });
    let plain = bare.open_loop(rate, seconds);
    let full = guarded.open_loop(rate, seconds);
    bench.gateway.count_refusal(&gateway::Refusal::NoSuchAddress);
    collector.join().unwrap();
    let waits = waits.lock().unwrap();
    let known = full.samples.iter().filter_map(|s| Some((s, *waits.get(&s.receipt?)?)));
    let mut without: Vec<u64> = known.clone().map(|(s, wait)| s.us.saturating_sub(wait)).collect();
    let mut wait: Vec<u64> = known.map(|(_, wait)| wait).collect();
    without.sort_unstable();
    wait.sort_unstable();
    println!("half load, {rate:.0} requests/s offered on both sides:");
    println!("  bare    {}", plain.line());
    println!("  guarded {}", full.line());
    println!("  commit wait p50 {} us, p99 {} us", at(&wait, 50), at(&wait, 99));
    let (p50, p99) = (at(&without, 50), at(&without, 99));
    println!(
        "  guarded beside the commit wait: p50 {p50} us, p99 {p99} us ({} of {} matched)",
        without.len(),
        full.samples.len()
    );
    let added = |own: u64, plain: u64| own as i64 - plain as i64;
    println!("  added p50 {} us, added p99 {} us", added(p50, plain.at(50)), added(p99, plain.at(99)));
}

fn million(bench: &Bench, guarded: &Target, connections: usize) {
    println!("requests  resident MiB  ledger entries");
    for done in 1..=10 {
        let run = guarded.closed_loop(connections, Duration::from_secs(3_600), 100_000);
        assert!(run.samples.len() >= 100_000);
        let size = bench.ledger.log.head().size;
        println!("{:>8}  {:>12.1}  {size}", done * 100_000, resident_mib());
    }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn serve_gateway(gateway: &Arc<Gateway>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let routes = router(Arc::clone(gateway), Settings::default());
    serve(listener, routes, ServerLimits::default(), Arc::clone(gateway)).unwrap()
}

/// The bare handler: the same parser, model and writer, and nothing else.
fn serve_bare(gateway: &Arc<Gateway>, model: &Arc<LocalModel>) -> Server {
    async fn infer(State(model): State<Arc<LocalModel>>, body: Bytes) -> Response {
        let call = oip::rest::parse_request(&body, None, &oip::Limits::default()).unwrap();
        let request = domain::InferenceRequest {
            id: call.id.clone(),
            system: "breast-mass".parse().unwrap(),
            inputs: domain::Phi::new(call.inputs),
            outputs: Vec::new(),
        };
        let reply = model.run(&request).unwrap();
        let answer = oip::Answer {
            model_name: "breast-mass".into(),
            model_version: None,
            id: call.id,
            parameters: oip::Params::new(),
            outputs: reply.outputs.into_inner(),
        };
        let written = oip::rest::write_response(&answer, &Wants::JSON).unwrap();
        ([("content-type", "application/json")], written.body).into_response()
    }
    let routes =
        axum::Router::new().route("/v2/models/{system}/infer", post(infer)).with_state(Arc::clone(model));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    serve(listener, routes, ServerLimits::default(), Arc::clone(gateway)).unwrap()
}

/// JSON bodies of patients between patients.
fn bodies(fixture: &Fixture) -> Vec<String> {
    let rows = &fixture.table.train;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // SplitMix64 (Steele et al. 2014): any spread-out numbers do.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..BODIES)
        .map(|_| {
            let (a, b) = (&rows[next() as usize % rows.len()], &rows[next() as usize % rows.len()]);
            let t = (next() % 1_000) as f32 / 1_000.0;
            let data: Vec<_> = a.iter().zip(b).map(|(x, y)| (x + t * (y - x)).to_string()).collect();
            let data = data.join(",");
            format!(r#"{{"inputs":[{{"name":"input","shape":[1,30],"datatype":"FP32","data":[{data}]}}]}}"#)
        })
        .collect()
}

struct Target {
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    _server: Option<Server>,
}

#[derive(Clone, Copy)]
struct Sample {
    us: u64,
    receipt: Option<u64>,
}

/// Processor time of this process's threads so far, by what they do. It tells the cost of a request on a machine that is
/// busy with other things too.
#[derive(Clone, Copy)]
struct Cpu {
    serve_ns: u64,
    ledger_ns: u64,
    client_ns: u64,
}

impl Cpu {
    fn now() -> Self {
        let mut cpu = Self { serve_ns: 0, ledger_ns: 0, client_ns: 0 };
        let client = std::process::id().to_string();
        for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let ns = read("schedstat").split(' ').next().and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
            let name = read("comm");
            if name.starts_with("serve-") {
                cpu.serve_ns += ns;
            } else if name.starts_with("ledger-") {
                cpu.ledger_ns += ns;
            } else if task.file_name() == client.as_str() {
                cpu.client_ns += ns;
            }
        }
        cpu
    }

    fn since(self, before: Self) -> Self {
        Self {
            serve_ns: self.serve_ns - before.serve_ns,
            ledger_ns: self.ledger_ns - before.ledger_ns,
            client_ns: self.client_ns - before.client_ns,
        }
    }
}

struct Run {
    cpu: Cpu,
    samples: Vec<Sample>,
    sorted: Vec<u64>,
    refused: usize,
    elapsed: Duration,
}

fn at(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

impl Run {
    fn new(samples: Vec<Sample>, refused: usize, elapsed: Duration, cpu: Cpu) -> Self {
        let mut sorted: Vec<u64> = samples.iter().map(|s| s.us).collect();
        sorted.sort_unstable();
        Self { cpu, samples, sorted, refused, elapsed }
    }

    fn rate(&self) -> f64 {
        self.samples.len() as f64 / self.elapsed.as_secs_f64()
    }

    fn at(&self, percent: usize) -> u64 {
        at(&self.sorted, percent)
    }

    fn line(&self) -> String {
        let refused = if self.refused > 0 { format!(", {} not 200", self.refused) } else { String::new() };
        let each = |ns: u64| ns as f64 / 1e3 / self.samples.len().max(1) as f64;
        format!(
            "{:>6.0} requests/s, p50 {} us, p99 {} us, CPU us/request: {:.1} workers, {:.1} ledger, {:.1} client{refused}",
            self.rate(),
            self.at(50),
            self.at(99),
            each(self.cpu.serve_ns),
            each(self.cpu.ledger_ns),
            each(self.cpu.client_ns)
        )
    }

    /// Processor time of a request, all threads of this process: what bounds the requests/s where nobody waits for the disk.
    fn cpu_us(&self) -> f64 {
        let all = self.cpu.serve_ns + self.cpu.ledger_ns + self.cpu.client_ns;
        all as f64 / 1e3 / self.samples.len().max(1) as f64
    }
}

/// The load comes from one thread with its own runtime.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

impl Target {
    fn new(server: Server, key: &str, bodies: &[String]) -> Self {
        let request = |body: &String| {
            let (key, length) = (if key.is_empty() { "none" } else { key }, body.len());
            format!(
                "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n\
                 content-length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        };
        let requests = Arc::new(bodies.iter().map(request).collect());
        Self { address: server.address(), requests, _server: Some(server) }
    }

    /// As many requests as the connections take, for so long or so many.
    fn closed_loop(&self, connections: usize, time: Duration, count: usize) -> Run {
        let next = Arc::new(AtomicUsize::new(0));
        let cpu = Cpu::now();
        let started = Instant::now();
        let end = started + time;
        let results = runtime().block_on(async {
            let tasks: Vec<_> = (0..connections)
                .map(|_| {
                    let (requests, next, address) =
                        (Arc::clone(&self.requests), Arc::clone(&next), self.address);
                    tokio::spawn(async move {
                        let mut connection = Connection::open(address).await;
                        let (mut samples, mut refused) = (Vec::new(), 0);
                        while Instant::now() < end {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= count {
                                break;
                            }
                            let began = Instant::now();
                            let (status, receipt) = connection.ask(&requests[number % requests.len()]).await;
                            refused += usize::from(status != 200);
                            samples.push(Sample { us: began.elapsed().as_micros() as u64, receipt });
                        }
                        (samples, refused)
                    })
                })
                .collect();
            let mut all = Vec::new();
            for task in tasks {
                all.push(task.await.unwrap());
            }
            all
        });
        let elapsed = started.elapsed();
        let refused = results.iter().map(|(_, refused)| refused).sum();
        Run::new(
            results.into_iter().flat_map(|(samples, _)| samples).collect(),
            refused,
            elapsed,
            Cpu::now().since(cpu),
        )
    }

    /// Requests at fixed moments, whether or not earlier ones are back: latency counts from the moment it was due.
    fn open_loop(&self, rate: f64, seconds: usize) -> Run {
        let total = (rate * seconds as f64) as usize;
        let connections = 256;
        let next = Arc::new(AtomicUsize::new(0));
        let cpu = Cpu::now();
        let started = Instant::now();
        let results = runtime().block_on(async {
            let tasks: Vec<_> = (0..connections)
                .map(|_| {
                    let (requests, next, address) =
                        (Arc::clone(&self.requests), Arc::clone(&next), self.address);
                    tokio::spawn(async move {
                        let mut connection = Connection::open(address).await;
                        let (mut samples, mut refused) = (Vec::new(), 0);
                        loop {
                            let number = next.fetch_add(1, Ordering::Relaxed);
                            if number >= total {
                                return (samples, refused);
                            }
                            let due = started + Duration::from_secs_f64(number as f64 / rate);
                            tokio::time::sleep_until(due.into()).await;
                            // Timers tick in milliseconds: the latency counts from when it was sent, which is fair to both.
                            let began = Instant::now();
                            let (status, receipt) = connection.ask(&requests[number % requests.len()]).await;
                            refused += usize::from(status != 200);
                            samples.push(Sample { us: began.elapsed().as_micros() as u64, receipt });
                        }
                    })
                })
                .collect();
            let mut all = Vec::new();
            for task in tasks {
                all.push(task.await.unwrap());
            }
            all
        });
        let elapsed = started.elapsed();
        let refused = results.iter().map(|(_, refused)| refused).sum();
        Run::new(
            results.into_iter().flat_map(|(samples, _)| samples).collect(),
            refused,
            elapsed,
            Cpu::now().since(cpu),
        )
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4_096) }
    }

    /// Sends one request and reads one response; its status and receipt.
    async fn ask(&mut self, request: &[u8]) -> (u16, Option<u64>) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed");
            let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).unwrap();
            let header = |name: &str| {
                let start = head.find(name)? + name.len();
                head[start..].split('\r').next()?.trim().parse::<u64>().ok()
            };
            let length = header("content-length:").unwrap_or(0) as usize;
            let status = head[9..12].parse().unwrap();
            let receipt = header("asepsis-receipt:");
            while self.buffer.len() < end + 4 + length {
                assert!(self.stream.read_buf(&mut self.buffer).await.unwrap() > 0, "the server closed");
            }
            return (status, receipt);
        }
    }
}
