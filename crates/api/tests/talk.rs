//! Language models through the gateway, against servers that say what real ones say on good and on bad days.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../../gateway/tests/common/mod.rs"]
mod common;
mod served;
mod talking;

// Used by the common fixture.
use numeric as _;

use api::{Server, ServerLimits};
use served::{Reply, get, post, post_bytes, raw, rest};
use talking::{DONE, ModelServer, STOP, Setup, Talking, completion, delta, events, json, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CHAT: &str = "/v1/chat/completions";

fn ask(stream: bool) -> Vec<u8> {
    format!(r#"{{"model":"ward-chat","stream":{stream},"seed":1.50,"x_new":{{"deep":[1]}},"messages":[{{"role":"user","content":"What does the n\u006fte say?"}}]}}"#).into_bytes()
}

async fn over(server: &ModelServer) -> (Talking, Server) {
    with(&[server], Setup::default()).await
}

async fn with(servers: &[&ModelServer], setup: Setup) -> (Talking, Server) {
    let configs: Vec<_> = servers.iter().map(|s| s.config()).collect();
    let talking = Talking::over(&configs, setup);
    let server = rest(&talking.gateway, ServerLimits::default());
    (talking, server)
}

/// The refusal's code; panics when it is not in the form that the field's clients read.
fn code(reply: &Reply) -> String {
    let body = reply.json();
    for field in ["message", "type", "code"] {
        assert!(body["error"][field].is_string(), "{field} is missing in {body}");
    }
    assert!(body["error"]["asepsis"]["what_to_do"].is_string(), "{body}");
    body["error"]["code"].as_str().unwrap().to_owned()
}

/// A streamed reply, read to the end of the connection: status and the data of each event.
async fn stream(server: &Server, key: &str, body: &[u8]) -> (u16, Vec<String>) {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(&post_bytes(CHAT, Some(key), "connection: close\r\n", body)).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.lines().filter_map(|l| l.strip_prefix("data: ")).map(str::to_owned).collect())
}

fn said(events: &[String]) -> String {
    let chunks = events.iter().filter_map(|e| serde_json::from_str::<serde_json::Value>(e).ok());
    chunks.filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn an_answer_comes_as_it_was_said_with_its_receipt_and_the_request_goes_as_it_came() {
    let server = ModelServer::start(|_, _| json(&completion("All is well."))).await;
    let (talking, rest) = over(&server).await;
    let reply = post(&rest, CHAT, Some(&talking.key), &ask(false)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = String::from_utf8(reply.body.clone()).unwrap();
    let upstream = completion("All is well.");
    assert!(body.starts_with(upstream.strip_suffix('}').unwrap()), "{body}");
    let asepsis = &reply.json()["asepsis"];
    assert_eq!(asepsis["advice"], "use", "{asepsis}");
    assert_eq!(asepsis["verdicts"]["unread-media"]["outcome"], "clean");
    assert_eq!(reply.header("asepsis-receipt").unwrap(), asepsis["receipt"].as_str().unwrap());
    let (head, sent) = server.asked.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /v1/chat/completions "), "{head}");
    assert_eq!(sent, String::from_utf8(ask(false)).unwrap().replace("ward-chat", "tiny"));
    let closed = talking.closed().await;
    assert_eq!((&closed["refused"], &closed["advice"]), (&serde_json::Value::Null, &"use".into()));
    assert_eq!(closed["model"], asepsis["model"]);
    let opened = &talking.ledger.of("opened")[0];
    assert_eq!((&opened["client"], &opened["system"]), (&"ward-3".into(), &"ward-chat".into()));
    assert!(!opened.to_string().contains("note") && !closed.to_string().contains("well"));
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece_and_its_last_event_carries_the_receipt() {
    let server = ModelServer::start(|_, _| {
        events(&[&delta("Take "), &delta("two tablets"), &delta(" a day."), STOP, DONE])
    })
    .await;
    let (talking, rest) = over(&server).await;
    let (status, events) = stream(&rest, &talking.key, &ask(true)).await;
    assert_eq!((status, said(&events).as_str()), (200, "Take two tablets a day."));
    assert_eq!(events.last().unwrap(), "[DONE]");
    let last: serde_json::Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    let closed = talking.closed().await;
    let index = last["asepsis"]["receipt"].as_str().unwrap();
    assert_eq!(index, "1");
    assert_eq!((&closed["refused"], closed["reply"].is_string()), (&serde_json::Value::Null, true));
}

#[tokio::test]
async fn a_stream_that_goes_wrong_ends_with_an_error_and_no_mark_of_a_good_end() {
    let half = r#"data: {"choices":[{"index":0,"delta":{"con"#;
    let failed = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    let begin = delta("Take ");
    for (name, rest_of_it) in [
        ("died inside an event", vec![half]),
        ("died between events", vec![]),
        ("no mark of the end", vec![STOP]),
        ("not JSON", vec!["data: {oops}\n\n", STOP, DONE]),
        ("not UTF-8 it cannot be, but a list", vec!["data: [1]\n\n"]),
        ("said that it failed", vec![failed, DONE]),
        ("a key twice", vec!["data: {\"choices\":[],\"choices\":[]}\n\n", DONE]),
    ] {
        let pieces: Vec<String> =
            std::iter::once(begin.clone()).chain(rest_of_it.iter().map(ToString::to_string)).collect();
        let server =
            ModelServer::start(move |_, _| events(&pieces.iter().map(String::as_str).collect::<Vec<_>>()))
                .await;
        let (talking, rest) = over(&server).await;
        let (status, events) = stream(&rest, &talking.key, &ask(true)).await;
        assert_eq!(status, 200, "{name}");
        let last: serde_json::Value = serde_json::from_str(events.last().unwrap()).unwrap();
        let code = last["error"]["code"].as_str().unwrap_or_else(|| panic!("{name}: {last}"));
        assert!(matches!(code, "E019" | "E017"), "{name}: {last}");
        assert!(last["error"]["asepsis"]["receipt"].is_string(), "{name}");
        assert!(!events.iter().any(|e| e == "[DONE]"), "{name}");
        assert!(!last.to_string().contains("memory"), "{name}");
        let closed = talking.closed().await;
        assert_eq!(closed["refused"], code, "{name}");
    }
}

#[tokio::test]
async fn an_endless_stream_and_an_endless_event_are_cut_off() {
    let mut limits = gateway::Limits::default();
    (limits.text.reply_bytes, limits.text.event_bytes) = (20_000, 4_000);
    for piece in [delta("again and again "), "data: x".repeat(50)] {
        let server = ModelServer::start(move |_, _| events(&vec![piece.as_str(); 2_000])).await;
        let setup = Setup { limits, ..Setup::default() };
        let (talking, rest) = with(&[&server], setup).await;
        let (_, events) = stream(&rest, &talking.key, &ask(true)).await;
        // The second never begins: its refusal is the whole answer.
        let code = events
            .last()
            .map(|e| serde_json::from_str::<serde_json::Value>(e).unwrap()["error"]["code"].clone());
        assert!(code.is_none_or(|c| c == "E019"), "{events:?}");
        assert_eq!(talking.closed().await["refused"], "E019");
    }
}

#[tokio::test]
async fn the_next_server_is_tried_until_one_answers_and_a_wrong_request_is_not_tried_again() {
    let broken = ModelServer::start(|_, _| status("503 Service Unavailable", "{}")).await;
    let odd = ModelServer::start(|_, _| json("{\"choices\":")).await;
    let good = ModelServer::start(|_, _| json(&completion("Here."))).await;
    let (talking, rest) = with(&[&broken, &odd, &good], Setup::default()).await;
    let reply = post(&rest, CHAT, Some(&talking.key), &ask(false)).await;
    assert_eq!(
        (reply.status, reply.json()["choices"][0]["message"]["content"].as_str()),
        (200, Some("Here."))
    );

    let body = r#"{"error":{"message":"Ada Lovelace is too long","code":"context_length_exceeded"}}"#;
    let declines = ModelServer::start(move |_, _| status("400 Bad Request", body)).await;
    let (talking, rest) = with(&[&declines, &good], Setup::default()).await;
    let reply = post(&rest, CHAT, Some(&talking.key), &ask(false)).await;
    assert_eq!((reply.status, code(&reply).as_str()), (400, "E029"));
    let body = String::from_utf8(reply.body).unwrap();
    assert!(body.contains("context_length_exceeded") && !body.contains("Ada"), "{body}");
    assert_eq!(good.asked.lock().unwrap().len(), 1);

    let (talking, rest) = with(&[&broken], Setup::default()).await;
    let reply = post(&rest, CHAT, Some(&talking.key), &ask(false)).await;
    assert_eq!((reply.status, code(&reply).as_str()), (502, "E019"));
}

#[tokio::test]
async fn a_server_that_answers_in_another_form_is_not_believed() {
    let server = ModelServer::start(|_, body| {
        if body.contains("\"stream\":true") { json(&completion("x")) } else { events(&[STOP, DONE]) }
    })
    .await;
    for streamed in [true, false] {
        let (talking, rest) = over(&server).await;
        let reply = post(&rest, CHAT, Some(&talking.key), &ask(streamed)).await;
        assert_eq!((reply.status, code(&reply).as_str()), (502, "E019"), "{streamed}");
        assert_eq!(talking.closed().await["refused"], "E019");
    }
}

#[tokio::test]
async fn bad_input_is_refused_before_anything_is_asked() {
    let server = ModelServer::start(|_, _| json(&completion("never"))).await;
    let (talking, rest) = over(&server).await;
    let key = Some(talking.key.as_str());
    let chat = |content: &str| {
        format!(r#"{{"model":"ward-chat","messages":[{{"role":"user","content":{content}}}]}}"#).into_bytes()
    };
    let deep = format!(
        r#"{{"model":"ward-chat","messages":[{{"role":"user","content":{}1{}}}]}}"#,
        "[".repeat(900),
        "]".repeat(900)
    );
    let invalid =
        [&b"{\"model\":\"ward-chat\",\"messages\":[{\"role\":\"user\",\"content\":\""[..], b"\xff\xfe\"}]}"]
            .concat();
    for (name, body, status, expected) in [
        ("not UTF-8", invalid, 400, "E001"),
        ("not JSON", b"hello".to_vec(), 400, "E001"),
        ("empty", Vec::new(), 400, "E001"),
        ("deep", deep.into_bytes(), 413, "E002"),
        ("no messages", br#"{"model":"ward-chat"}"#.to_vec(), 400, "E001"),
        (
            "a key twice",
            br#"{"model":"ward-chat","messages":[],"messages":[{"role":"user","content":"x"}]}"#.to_vec(),
            400,
            "E001",
        ),
        (
            "no such system",
            br#"{"model":"gpt","messages":[{"role":"user","content":"x"}]}"#.to_vec(),
            404,
            "E004",
        ),
        (
            "no such model",
            br#"{"model":"ward-chat/gpt","messages":[{"role":"user","content":"x"}]}"#.to_vec(),
            404,
            "E025",
        ),
        (
            "stopped",
            br#"{"model":"stopped","messages":[{"role":"user","content":"x"}]}"#.to_vec(),
            503,
            "E013",
        ),
        (
            "a picture",
            chat(r#"[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]"#),
            422,
            "E014",
        ),
    ] {
        let reply = post(&rest, CHAT, key, &body).await;
        assert_eq!((reply.status, code(&reply).as_str()), (status, expected), "{name}: {reply:?}");
    }
    let large = vec![b' '; 20 << 20];
    let reply = post(&rest, CHAT, key, &large).await;
    assert_eq!((reply.status, code(&reply).as_str()), (413, "E002"));
    for (extra, expected) in
        [("content-type: text/plain\r\n", "E001"), ("content-encoding: gzip\r\n", "E003")]
    {
        let reply = raw(&rest, &post_bytes(CHAT, key, extra, &ask(false))).await;
        assert_eq!(code(&reply), expected, "{extra}");
    }
    assert_eq!(code(&post(&rest, CHAT, None, &ask(false)).await), "E005");
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn budgets_and_quarantine_hold_as_for_other_models() {
    let server = ModelServer::start(|_, _| json(&completion("x"))).await;
    let (talking, rest) = over(&server).await;
    let limits = gateway::Limits { tokens_per_day: 12, ..gateway::Limits::default() };
    talking.change(limits, |_| {});
    assert_eq!(post(&rest, CHAT, Some(&talking.key), &ask(false)).await.status, 200);
    // Four tokens were estimated and the server counted five; the second request would bring it to thirteen at least.
    assert_eq!(post(&rest, CHAT, Some(&talking.key), &ask(false)).await.status, 200);
    let reply = post(&rest, CHAT, Some(&talking.key), &ask(false)).await;
    assert_eq!((reply.status, code(&reply).as_str()), (429, "E030"));
    talking.change(gateway::Limits::default(), |snapshot| {
        snapshot.quarantined.insert("ward-3".parse().unwrap(), "copies the model".into());
    });
    assert_eq!(code(&post(&rest, CHAT, Some(&talking.key), &ask(false)).await), "E009");
}

#[tokio::test]
async fn a_caller_who_leaves_in_the_middle_leaves_a_closed_entry() {
    let many: Vec<String> = (0..200_000).map(|_| delta("and so on ")).collect();
    let server =
        ModelServer::start(move |_, _| events(&many.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let (talking, rest) = over(&server).await;
    let mut stream = TcpStream::connect(rest.address()).await.unwrap();
    stream.write_all(&post_bytes(CHAT, Some(&talking.key), "", &ask(true))).await.unwrap();
    let mut first = [0; 256];
    assert!(stream.read(&mut first).await.unwrap() > 0);
    drop(stream);
    assert_eq!(talking.closed().await["refused"], "E024");
}

#[tokio::test]
async fn models_are_listed_for_those_who_may_ask_them_and_azure_names_the_system_in_the_path() {
    let server = ModelServer::start(|_, _| json(&completion("x"))).await;
    let (talking, rest) = over(&server).await;
    let list = get(&rest, "/v1/models", Some(&talking.key)).await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["ward-chat", "ward-chat/small", "ward-chat/large"]);
    assert_eq!(
        get(&rest, "/v1/models/ward-chat/large", Some(&talking.key)).await.json()["id"],
        "ward-chat/large"
    );
    assert_eq!(code(&get(&rest, "/v1/models/other", Some(&talking.key)).await), "E004");
    assert_eq!(code(&get(&rest, "/v1/models", None).await), "E005");
    let body = br#"{"messages":[{"role":"user","content":"x"}]}"#;
    let path = "/openai/deployments/ward-chat/chat/completions?api-version=2024-10-21";
    let key = format!("api-key: {}\r\n", talking.key);
    let reply = raw(&rest, &post_bytes(path, None, &key, body)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}
