//! The REST half against a real server on loopback: the protocol's addresses, receipts, and every kind of bad input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../../gateway/tests/common/mod.rs"]
mod common;
mod served;

// Used by the common fixture.
use numeric as _;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::{Server, ServerLimits};
use common::{Bench, Fixture, NOW_MS, bench, blocking, breast_mass};
use served::{body, get, post, post_bytes, raw, read, rest};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const INFER: &str = "/v2/models/breast-mass/infer";

fn ready() -> (Fixture, Bench, Server) {
    with(ServerLimits::default())
}

fn with(limits: ServerLimits) -> (Fixture, Bench, Server) {
    let fixture = breast_mass(&blocking());
    let bench = bench(&fixture.version());
    let server = rest(&bench.gateway, limits);
    (fixture, bench, server)
}

#[tokio::test]
async fn the_protocols_addresses_answer() {
    let (fixture, bench, server) = ready();
    let short = fixture.digest.short();
    for path in ["/v2", "/v2/health/live", "/v2/health/ready", "/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(get(&server, path, None).await.status, 200, "{path}");
    }
    let metadata = get(&server, "/v2/models/breast-mass", Some(&bench.key)).await.json();
    assert_eq!(metadata["inputs"][0]["shape"], serde_json::json!([-1, 30]));
    assert_eq!(metadata["outputs"][0]["name"], "logits");
    assert_eq!(metadata["versions"][0], short);
    for path in ["/v2/models/breast-mass/ready", &format!("/v2/models/breast-mass/versions/{short}/ready")] {
        assert_eq!(get(&server, path, None).await.status, 200, "{path}");
    }
    assert_eq!(get(&server, "/v2/models/breast-mass", None).await.code(), "E005");
    assert_eq!(get(&server, "/v2/models/shut/ready", None).await.code(), "E012");
    assert_eq!(get(&server, "/v3", None).await.code(), "E026");
    assert_eq!(get(&server, INFER, None).await.code(), "E027");
}

#[tokio::test]
async fn an_answer_carries_its_receipt_in_headers_and_parameters() {
    let (fixture, bench, server) = ready();
    let (good, _) = fixture.good_and_bad();
    let reply = post(&server, INFER, Some(&bench.key), &body(&good)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    assert_eq!(answer["id"], "r-1");
    assert_eq!(answer["outputs"][0]["name"], "logits");
    let parameters = &answer["parameters"];
    assert_eq!(reply.header("asepsis-receipt"), parameters["asepsis_receipt"].as_str());
    assert_eq!(reply.header("asepsis-advice"), parameters["asepsis_advice"].as_str());
    assert_eq!(parameters["asepsis_model"], fixture.digest.to_string());
    let verdicts: serde_json::Value =
        serde_json::from_str(parameters["asepsis_verdicts"].as_str().unwrap()).unwrap();
    assert_eq!(verdicts["clinical-range"]["outcome"], "clean");
    // Also by the other header, and by version.
    let versioned = format!("/v2/models/breast-mass/versions/{}/infer", fixture.digest.short());
    let extra = format!("x-api-key: {}\r\n", bench.key);
    assert_eq!(raw(&server, &post_bytes(&versioned, None, &extra, &body(&good))).await.status, 200);
}

#[tokio::test]
async fn a_blocked_request_says_which_value_and_what_to_do_without_repeating_it() {
    let (fixture, bench, server) = ready();
    let (_, bad) = fixture.good_and_bad();
    let reply = post(&server, INFER, Some(&bench.key), &body(&bad)).await;
    assert_eq!((reply.status, reply.code().as_str()), (422, "E014"));
    let problem = reply.json();
    let said = &problem["verdicts"]["clinical-range"];
    assert!(said["message"].as_str().unwrap().contains("mean_radius"), "{said}");
    assert!(problem["receipt"].as_str().unwrap().parse::<u64>().is_ok());
    assert!(!problem.to_string().contains("5000"), "no patient's value: {problem}");
}

#[tokio::test]
async fn malformed_bodies_are_refused_by_name_and_the_connection_goes_on() {
    let (_, bench, server) = ready();
    let key = Some(bench.key.as_str());
    for text in [
        "",
        "{",
        "[]",
        "null",
        r#"{"inputs":[]"#,
        r#"{"inputs":[{"name":"input"}]}"#,
        r#"{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","data":[1]}]}"#,
        r#"{"inputs":[{"name":"input","shape":[1,1],"datatype":"FP33","data":[1]}]}"#,
        r#"{"inputs":[{"name":"input","shape":[1,1],"datatype":"FP32","data":[NaN]}]}"#,
        r#"{"inputs":[{"name":"input","shape":[-1,1],"datatype":"FP32","data":[1]}]}"#,
        r#"{"inputs":[{"name":"input","shape":[9999999999,9999999999],"datatype":"FP32","data":[]}]}"#,
        "\u{0}\u{1}\u{2}",
    ] {
        let reply = post(&server, INFER, key, text.as_bytes()).await;
        assert!(["E001", "E002"].contains(&reply.code().as_str()), "{text}: {reply:?}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(post(&server, INFER, key, deep.as_bytes()).await.code(), "E001");
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    for _ in 0..2 {
        stream.write_all(&post_bytes(INFER, key, "", b"{")).await.unwrap();
        assert_eq!(read(&mut stream).await.unwrap().code(), "E001");
    }
}

#[tokio::test]
async fn a_body_of_ten_megabytes_is_refused_before_it_is_read() {
    let (_, bench, server) = ready();
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 10485760\r\n\r\n",
        bench.key
    );
    // Not one byte of the body is sent: the answer comes all the same.
    assert_eq!(raw(&server, head.as_bytes()).await.code(), "E002");
    // In chunks, without a declared length, the limit is found on the way.
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\r\n",
        bench.key
    );
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    for _ in 0..10 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    assert_eq!(read(&mut stream).await.unwrap().code(), "E002");
}

#[tokio::test]
async fn whoever_has_no_key_is_answered_before_the_body_comes() {
    let (_, _, server) = ready();
    let head = format!("POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n");
    assert_eq!(raw(&server, head.as_bytes()).await.code(), "E005");
}

#[tokio::test]
async fn other_media_types_and_compressed_bodies_are_refused() {
    let (_, bench, server) = ready();
    for header in ["content-type: text/plain", "content-encoding: gzip"] {
        let head = format!(
            "POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{header}\r\ncontent-length: 2\r\n\r\n{{}}",
            bench.key
        );
        assert_eq!(raw(&server, head.as_bytes()).await.code(), "E003", "{header}");
    }
}

#[tokio::test]
async fn a_slow_head_loses_its_connection() {
    let (_, bench, server) = with(ServerLimits { head_ms_max: 50, ..ServerLimits::default() });
    for sent in ["", "P", "PRI * HTTP/2.0\r\n", "GET /healthz HTTP/1.1\r\nhost:"] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        // Ends only because the server closes: hyper may say 408 first.
        let reply = read(&mut stream).await;
        assert!(reply.is_none_or(|r| r.status == 408), "{sent}");
    }
    // An idle connection is let go as well.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut stream).await.unwrap().status, 200);
    assert!(read(&mut stream).await.is_none_or(|r| r.status == 408));
    drop(bench);
}

#[tokio::test]
async fn a_slow_body_is_told_so() {
    let (_, bench, server) = with(ServerLimits { body_ms_max: 50, ..ServerLimits::default() });
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        bench.key
    );
    let reply = raw(&server, head.as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (408, "E028"));
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_their_turn() {
    let (_, _bench, server) =
        with(ServerLimits { connections_max: 1, workers: 1, ..ServerLimits::default() });
    let mut first = TcpStream::connect(server.address()).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut first).await.unwrap().status, 200);
    let mut second = TcpStream::connect(server.address()).await.unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // The first one still works while the second one waits; when it goes, the second one is served.
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut first).await.unwrap().status, 200);
    drop(first);
    assert_eq!(read(&mut second).await.unwrap().status, 200);
}

#[tokio::test]
async fn expired_keys_unknown_systems_and_a_failing_ledger_have_their_codes() {
    let (fixture, bench, server) = ready();
    let good = body(&fixture.good_and_bad().0);
    let key = Some(bench.key.as_str());
    let reply = post(&server, "/v2/models/unknown/infer", key, &good).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "E004"));
    bench.ledger.failing.store(true, Ordering::SeqCst);
    let reply = post(&server, INFER, key, &good).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "E022"));
    assert_eq!(get(&server, "/readyz", None).await.status, 503);
    bench.ledger.failing.store(false, Ordering::SeqCst);
    assert_eq!(post(&server, INFER, key, &good).await.status, 200);
    bench.clock.set(NOW_MS + 2 * 86_400_000);
    let reply = post(&server, INFER, key, &good).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "E007"));
}

#[tokio::test]
async fn too_many_requests_say_how_long_to_wait() {
    let (fixture, bench, server) = ready();
    let mut snapshot = common::snapshot(&bench.records, &fixture.version());
    snapshot.budget = gateway::Budget { requests_per_s: 0.5, burst: 1, rows_per_day: 100 };
    bench.gateway.replace(snapshot);
    let good = body(&fixture.good_and_bad().0);
    assert_eq!(post(&server, INFER, Some(&bench.key), &good).await.status, 200);
    let reply = post(&server, INFER, Some(&bench.key), &good).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "E010"));
    assert_eq!(reply.header("retry-after"), Some("2"));
}

#[tokio::test]
async fn metrics_need_a_key_with_the_right_and_hold_no_values() {
    let (fixture, bench, server) = ready();
    let (good, bad) = fixture.good_and_bad();
    for row in [&good, &bad] {
        post(&server, INFER, Some(&bench.key), &body(row)).await;
    }
    assert_eq!(get(&server, "/metrics", None).await.code(), "E005");
    assert_eq!(get(&server, "/metrics", Some(&bench.key)).await.code(), "E008");
    let text = String::from_utf8(get(&server, "/metrics", Some(&bench.admin)).await.body).unwrap();
    for line in [
        r#"asepsis_refusals_total{code="E014",system="breast-mass"} 1"#,
        r#"asepsis_guard_verdicts_total{system="breast-mass",guard="clinical-range",outcome="found"} 1"#,
        "asepsis_exchange_seconds_count 1",
        "asepsis_ledger_entries 4",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(!text.contains("5000"));
}

#[tokio::test]
async fn a_stopping_server_lets_open_requests_end() {
    let (fixture, bench, server) = ready();
    let good = body(&fixture.good_and_bad().0);
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let bytes = post_bytes(INFER, Some(&bench.key), "", &good);
    stream.write_all(&bytes[..bytes.len() - 10]).await.unwrap();
    // The server has begun to read this request once it counts the connection.
    while bench.gateway.metrics().connections.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let stopping = tokio::spawn(server.stop());
    stream.write_all(&bytes[bytes.len() - 10..]).await.unwrap();
    // Either it was in time, or the connection was closed before the head was read; never half an answer.
    if let Some(reply) = read(&mut stream).await {
        assert_eq!(reply.status, 200);
    }
    stopping.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    drop(Arc::clone(&bench.gateway));
}
