//! Exercises over HTTP, on a real model of the example hospital: started, followed on the stream, stopped, shown, compared; and who is refused. No browser needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

mod house;

use std::sync::Arc;

use access::Role;
use axum::Router;
use axum::body::Body;
use console::{House as _, UPLOAD_BYTES_MAX, router};
use house::MadeUp;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

fn hospital(role: Role) -> (Arc<MadeUp>, Router) {
    let house = Arc::new(MadeUp::new(&[role]).signed_in());
    (Arc::clone(&house), router(house))
}

fn csrf() -> String {
    access::csrf_token(&MadeUp::cookie()).unwrap()
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

fn signed(builder: http::request::Builder) -> http::request::Builder {
    builder.header(header::COOKIE, format!("asepsis_session={}", MadeUp::cookie()))
}

async fn get(router: &Router, path: &str) -> (StatusCode, HeaderMap, String) {
    ask(router, signed(Request::get(path)).body(Body::empty()).unwrap()).await
}

async fn page(router: &Router, path: &str) -> String {
    let (status, _, text) = get(router, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    text
}

async fn post(router: &Router, path: &str, fields: &str) -> (StatusCode, HeaderMap, String) {
    let body = format!("csrf={}&{fields}", csrf());
    let request =
        signed(Request::post(path)).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    ask(router, request.body(Body::from(body)).unwrap()).await
}

/// Starts an exercise and gives back its address.
async fn start(router: &Router, fields: &str) -> String {
    let fields = format!("system=breast-mass&{fields}");
    let (status, headers, text) = post(router, "/exercises", &fields).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{text}");
    let to = headers[header::LOCATION].to_str().unwrap().to_owned();
    let (address, done) = to.split_once('?').unwrap();
    assert!(address.starts_with("/exercises/") && done == "done=started", "{to}");
    address.to_owned()
}

/// Waits until nothing runs.
async fn over(house: &MadeUp, router: &Router) {
    let real = house.real().await;
    let mut changes = real.exercises().subscribe();
    while page(router, "/exercises").await.contains("1 exercise runs") {
        let _ = changes.recv().await;
    }
}

/// Reads a stream until each of these events has held its text once.
async fn heard(body: &mut Body, mut wanted: Vec<(&str, &str)>) {
    let mut text = String::new();
    while !wanted.is_empty() {
        let frame = body.frame().await.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        while let Some((event, rest)) = text.clone().split_once("\n\n") {
            text = rest.to_owned();
            wanted.retain(|(name, part)| {
                !(event.lines().any(|l| l.strip_prefix("event: ") == Some(name)) && event.contains(part))
            });
        }
    }
}

/// A form with a file, as a browser sends it.
fn upload(parts: &[(&str, &str)], file: Option<&[u8]>) -> Request<Body> {
    let mut body = Vec::new();
    for (name, value) in parts {
        body.extend(
            format!("--limit\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
        );
    }
    if let Some(file) = file {
        let head = "--limit\r\ncontent-disposition: form-data; name=\"card\"; filename=\"c.json\"\r\ncontent-type: application/json\r\n\r\n";
        body.extend(head.bytes());
        body.extend(file);
        body.extend(b"\r\n");
    }
    body.extend(b"--limit--\r\n");
    signed(Request::post("/exercises/received"))
        .header(header::CONTENT_TYPE, "multipart/form-data; boundary=limit")
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exercise_is_started_followed_and_its_scorecard_shown() {
    let (house, router) = hospital(Role::Engineer);
    let address = start(&router, "suite=quick&queries=60&samples=24").await;
    let live = page(&router, &address).await;
    assert!(live.contains(&format!("/events?page={address}")), "{live}");
    let stream = signed(Request::get(format!("/events?page={address}&since=x"))).body(Body::empty()).unwrap();
    let mut stream = router.clone().oneshot(stream).await.unwrap().into_body();
    heard(&mut stream, vec![("rows", "pgd"), ("state", "finished")]).await;
    over(&house, &router).await;
    let text = page(&router, &address).await;
    for word in ["complete", "right undisturbed", "Open the whole scorecard", "ledger entry", "hopskipjump"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let (status, headers, card) = get(&router, &format!("{address}/scorecard")).await;
    assert!(status == StatusCode::OK && card.contains("Exercise scorecard: breast-mass"));
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.contains("style-src 'sha256-"), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains("script") && policy.contains("frame-ancestors 'none'")
    );
    let (_, headers, json) = get(&router, &format!("{address}/json")).await;
    assert!(headers[header::CONTENT_DISPOSITION].to_str().unwrap().contains("-breast-mass-quick.json"));
    let read: attack::scorecard::Scorecard = serde_json::from_str(&json).unwrap();
    assert!(read.complete && read.samples.len() == 24);
    let list = page(&router, "/exercises").await;
    assert!(list.contains("nothing runs") && list.contains(&address) && !list.contains(" style="));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_is_refused_while_one_runs_and_stopping_keeps_what_is_done() {
    let (house, router) = hospital(Role::Governance);
    let address = start(&router, "suite=queries&samples=40").await;
    let (status, _, text) = post(&router, "/exercises", "system=breast-mass&suite=quick").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(text.contains("runs, started by ada"), "{text}");
    let (status, headers, _) = post(&router, &format!("{address}/stop"), &format!("back={address}")).await;
    assert_eq!(
        (status, headers[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, format!("{address}?done=stopped").as_str())
    );
    over(&house, &router).await;
    let text = page(&router, &address).await;
    assert!(
        text.contains("stopped")
            && text.contains("Go on")
            && text.contains("only an exercise that is complete")
    );
    let (status, ..) = post(&router, &format!("{address}/remove"), "back=/exercises").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(get(&router, &address).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_scorecards_are_compared_and_unequal_tests_refused_with_how_they_differ() {
    let (house, router) = hospital(Role::Engineer);
    let mut addresses = Vec::new();
    for fields in ["seed=1", "seed=1&labels_only=yes", "seed=2"] {
        let fields = format!("suite=quick&queries=60&samples=20&{fields}");
        addresses.push(start(&router, &fields).await.replace("/exercises/", ""));
        over(&house, &router).await;
    }
    let [a, b, c] = addresses.try_into().unwrap();
    let text = page(&router, &format!("/exercises/compare?a={a}&b={b}")).await;
    for word in ["no attack", "hopskipjump", "worst case", "chip", "same", "access: Gradients against Labels"]
    {
        assert!(text.to_lowercase().contains(&word.to_lowercase()), "{word}: {text}");
    }
    assert!(text.contains("<svg") && text.contains("line second"));
    let text = page(&router, &format!("/exercises/compare?a={a}&b={c}")).await;
    assert!(text.contains("not compared") && text.contains("Seed: 1 against 2"), "{text}");
    let text = page(&router, &format!("/exercises/{a}")).await;
    assert!(
        text.contains(&format!("/exercises/compare?a={b}&amp;b={a}")) && !text.contains(&format!("a={c}"))
    );
    for bad in ["/exercises/compare", "/exercises/compare?a=..&b=x", "/exercises/compare?a=none&b=none"] {
        assert_eq!(get(&router, bad).await.0, StatusCode::NOT_FOUND, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_refused_and_not_offered_what_they_may_not() {
    let (_, engineer) = hospital(Role::Engineer);
    let offered = page(&engineer, "/exercises?system=heart-disease").await;
    assert!(offered.contains("value=\"heart-disease\" selected") && offered.contains("Quick look"));
    for role in [Role::Clinician, Role::Auditor] {
        let (_, router) = hospital(role);
        let text = page(&router, "/exercises").await;
        assert!(!text.contains("Start an exercise") && !text.contains("Bring in"), "{role}");
        let (status, ..) = post(&router, "/exercises", "system=breast-mass&suite=quick").await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{role}");
        let (status, ..) = ask(&router, upload(&[("csrf", &csrf()), ("from", "x")], Some(b"{}"))).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{role}");
    }
    let (_, client) = hospital(Role::Client);
    assert_eq!(get(&client, "/exercises").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_are_refused_with_words() {
    let (_, router) = hospital(Role::Engineer);
    for (fields, word) in [
        ("system=breast-mass&suite=none", "no suite"),
        ("system=breast-mass&suite=quick&samples=many", "not a number of samples"),
        ("system=breast-mass&suite=quick&samples=0", "0 samples"),
        ("system=breast-mass&suite=quick&samples=99999", "at most 2000"),
        ("system=breast-mass&suite=quick&minutes=0", "between 1 and 720"),
        ("system=breast-mass&suite=quick&seed=-1", "not a seed"),
        ("system=breast-mass&suite=quick&queries=0", "0 queries"),
    ] {
        let (status, _, text) = post(&router, "/exercises", fields).await;
        assert!(status == StatusCode::BAD_REQUEST && text.contains(word), "{fields}: {text}");
    }
    let (status, ..) = post(&router, "/exercises", "system=none&suite=quick").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let request = signed(Request::post("/exercises"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from("system=breast-mass&suite=quick"));
    assert_eq!(ask(&router, request.unwrap()).await.0, StatusCode::FORBIDDEN, "no token, no exercise");
    assert!(page(&router, "/exercises").await.contains("nothing runs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_brought_in_is_bounded_checked_and_escaped() {
    let (house, router) = hospital(Role::Governance);
    let address = start(&router, "suite=quick&queries=60&samples=12").await;
    over(&house, &router).await;
    let (_, _, json) = get(&router, &format!("{address}/json")).await;
    let token = csrf();
    let good = [("csrf", token.as_str()), ("from", "St. <b>Elsewhere</b>")];
    for (parts, file, status, word) in [
        (&good[1..], Some(json.as_bytes()), StatusCode::FORBIDDEN, "nothing was done"),
        (
            &[("from", "x"), ("csrf", token.as_str())][..],
            Some(json.as_bytes()),
            StatusCode::FORBIDDEN,
            "nothing was done",
        ),
        (&[("csrf", "x")][..], Some(json.as_bytes()), StatusCode::FORBIDDEN, "nothing was done"),
        (&good[..], None, StatusCode::BAD_REQUEST, "choose the file"),
        (&good[..], Some(&b"<html>"[..]), StatusCode::BAD_REQUEST, "not a scorecard"),
        (&good[..1], Some(json.as_bytes()), StatusCode::BAD_REQUEST, "from whom"),
    ] {
        let (got, _, text) = ask(&router, upload(parts, file)).await;
        assert!(got == status && text.to_lowercase().contains(word), "{word}: {got} {text}");
    }
    let large = vec![b' '; UPLOAD_BYTES_MAX];
    let (status, _, text) = ask(&router, upload(&good, Some(&large))).await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("larger than 16 MiB"), "{status} {text}");
    let (status, headers, text) = ask(&router, upload(&good, Some(json.as_bytes()))).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{text}");
    let to = headers[header::LOCATION].to_str().unwrap();
    let text = page(&router, to).await;
    assert!(text.contains("St. &lt;b&gt;Elsewhere&lt;/b&gt;") && !text.contains("<b>Elsewhere"), "{text}");
    assert!(text.contains("Scorecard kept"));
    assert_eq!(
        house
            .exercises(&access::Principal::new(
                "m".parse().unwrap(),
                [Role::Clinician].into(),
                access::Scope::All
            ))
            .await
            .unwrap()
            .cards
            .len(),
        2
    );
}
