//! The console over HTTP: headers, sessions, tokens, limits, the live stream. No browser needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

mod house;

use std::sync::Arc;

use access::Role;
use axum::Router;
use axum::body::Body;
use console::{Command, House as _, router, router_with};
use house::MadeUp;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

const EVERYBODY: [Role; 4] = [Role::Administrator, Role::Engineer, Role::Governance, Role::Clinician];

fn hospital(roles: &[Role]) -> (Arc<MadeUp>, Router) {
    let house = Arc::new(MadeUp::new(roles).signed_in());
    (Arc::clone(&house), router(house))
}

fn get(path: &str) -> http::request::Builder {
    Request::get(path).header(header::COOKIE, format!("asepsis_session={}", MadeUp::cookie()))
}

fn post(path: &str) -> http::request::Builder {
    Request::post(path)
        .header(header::COOKIE, format!("asepsis_session={}", MadeUp::cookie()))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
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

async fn page(router: &Router, path: &str) -> String {
    let (status, _, text) = ask(router, get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    text
}

const PAGES: [&str; 6] =
    ["/", "/systems/breast-mass", "/systems/chest-xray", "/receipts/12478", "/catalogue", "/catalogue/G002"];

#[tokio::test]
async fn every_answer_carries_the_policy_and_its_companions() {
    let (_, router) = hospital(&EVERYBODY);
    for path in PAGES.into_iter().chain(["/nothing/here", "/sign-in", "/assets/unknown.js", "/receipts/x"]) {
        let (_, headers, _) = ask(&router, get(path).body(Body::empty()).unwrap()).await;
        let csp = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(csp.starts_with("default-src 'none'") && !csp.contains("unsafe"), "{path}: {csp}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer", "{path}");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin", "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

#[tokio::test]
async fn no_page_has_an_inline_script_or_style() {
    let (_, router) = hospital(&EVERYBODY);
    for path in PAGES {
        let text = page(&router, path).await;
        assert!(!text.contains(" style=") && !text.contains("<style"), "{path}");
        assert!(
            !text.contains(" onclick") && !text.contains(" onload") && !text.contains("javascript:"),
            "{path}"
        );
        let scripts = text.matches("<script").count();
        assert_eq!(scripts, text.matches("<script type=\"module\" src=\"/assets/live-").count(), "{path}");
    }
}

#[tokio::test]
async fn a_stranger_is_told_how_to_sign_in_and_sees_nothing() {
    let router = router(Arc::new(MadeUp::new(&EVERYBODY)));
    for path in PAGES.into_iter().chain(["/events?page=/", "/receipts/12478/proof"]) {
        for cookie in ["", "asepsis_session=short", &format!("asepsis_session={}", MadeUp::token())] {
            let request = Request::get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap();
            let (status, _, text) = ask(&router, request).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(text.contains("asepsis sign-in") && !text.contains("pathology"), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn the_link_works_once_and_a_preview_does_not_use_it_up() {
    let router = router(Arc::new(MadeUp::new(&EVERYBODY)));
    let link = format!("/sign-in?token={}", MadeUp::token());
    let (status, _, _) = ask(&router, Request::head(&link).body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, headers, _) = ask(&router, Request::get(&link).body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::LOCATION], "/");
    let cookie = headers[header::SET_COOKIE].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let (status, headers, text) = ask(&router, Request::get(&link).body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(headers.get(header::SET_COOKIE).is_none() && text.contains("asepsis sign-in"));
}

#[tokio::test]
async fn a_browser_that_held_its_cookie_back_is_asked_to_come_again() {
    let (_, router) = hospital(&EVERYBODY);
    let request = Request::get("/").header("sec-fetch-site", "cross-site").body(Body::empty()).unwrap();
    let (_, _, text) = ask(&router, request).await;
    assert!(text.contains("http-equiv=\"refresh\"") && !text.contains("pathology"), "{text}");
}

#[tokio::test]
async fn a_form_without_its_token_or_from_elsewhere_does_nothing() {
    let (house, router) = hospital(&EVERYBODY);
    let good = format!("csrf={}", csrf());
    let wrong = format!("csrf={}", "A".repeat(43));
    let elsewhere =
        post("/alarms/4/acknowledge").header("sec-fetch-site", "cross-site").body(Body::from(good.clone()));
    let requests = [
        post("/alarms/4/acknowledge").body(Body::empty()),
        post("/alarms/4/acknowledge").body(Body::from("csrf=")),
        post("/alarms/4/acknowledge").body(Body::from(wrong)),
        elsewhere,
    ];
    for request in requests {
        assert_eq!(ask(&router, request.unwrap()).await.0, StatusCode::FORBIDDEN);
    }
    assert!(house.state.lock().unwrap().done.is_empty());
    let (status, headers, _) =
        ask(&router, post("/alarms/4/acknowledge").body(Body::from(good)).unwrap()).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers[header::LOCATION], "/?done=acknowledged");
    assert_eq!(house.state.lock().unwrap().done, [Command::Acknowledge { alarm: 4 }]);
}

#[tokio::test]
async fn each_form_becomes_its_command() {
    let (house, router) = hospital(&EVERYBODY);
    let system = "breast-mass".parse::<domain::SystemId>().unwrap();
    let client = "pathology-lab".parse::<domain::ClientId>().unwrap();
    let reason = "seen%20twice";
    let why = || "seen twice".to_owned();
    let cases = [
        (
            "/clients/pathology-lab/quarantine",
            format!("reason={reason}&hours=24"),
            Command::Quarantine { client: client.clone(), reason: why(), hours: Some(24) },
        ),
        (
            "/clients/pathology-lab/quarantine",
            format!("reason={reason}&hours="),
            Command::Quarantine { client: client.clone(), reason: why(), hours: None },
        ),
        ("/clients/pathology-lab/lift", String::new(), Command::LiftQuarantine { client }),
        (
            "/systems/breast-mass/suspend",
            format!("reason={reason}"),
            Command::Suspend { system: system.clone(), reason: why() },
        ),
        ("/systems/breast-mass/resume", String::new(), Command::Resume { system: system.clone() }),
        (
            "/systems/breast-mass/accept-risk",
            format!("control=C004&days=7&reason={reason}"),
            Command::AcceptRisk { system: system.clone(), control: "C004".into(), days: 7, reason: why() },
        ),
        ("/systems/breast-mass/readmit", String::new(), Command::Readmit { system: system.clone() }),
        ("/systems/breast-mass/review", String::new(), Command::Review { system }),
        ("/receipts/12478/flag", String::new(), Command::Flag { ledger_index: 12_478, reason: None }),
        (
            "/receipts/12478/flag",
            format!("reason={reason}"),
            Command::Flag { ledger_index: 12_478, reason: Some(why()) },
        ),
        ("/reload", String::new(), Command::Reload),
    ];
    for (path, fields, expected) in cases {
        let body = format!("csrf={}&back=/systems/breast-mass&{fields}", csrf());
        let (status, headers, text) = ask(&router, post(path).body(Body::from(body)).unwrap()).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{path}: {text}");
        assert!(headers[header::LOCATION].to_str().unwrap().starts_with("/systems/breast-mass?done="));
        assert_eq!(house.state.lock().unwrap().done.pop(), Some(expected), "{path}");
    }
}

#[tokio::test]
async fn bad_fields_are_refused_with_words() {
    let (house, router) = hospital(&EVERYBODY);
    for (path, fields, word) in [
        ("/systems/breast-mass/suspend", "reason=", "reason is needed"),
        ("/systems/breast-mass/accept-risk", "control=C004&days=91&reason=x", "between 1 and 90"),
        ("/clients/pathology-lab/quarantine", "reason=x&hours=9999", "between 1 and 672"),
        ("/clients/PATHOLOGY/quarantine", "reason=x", "not a client name"),
    ] {
        let body = format!("csrf={}&{fields}", csrf());
        let (status, _, text) = ask(&router, post(path).body(Body::from(body)).unwrap()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(text.contains(word), "{path}: {text}");
    }
    assert!(house.state.lock().unwrap().done.is_empty());
}

#[tokio::test]
async fn a_form_is_read_up_to_its_limit_and_no_further() {
    let (house, router) = hospital(&EVERYBODY);
    let head = format!("csrf={}&padding=", csrf());
    let max = 16 * 1024;
    let full = format!("{head}{}", "x".repeat(max - head.len()));
    assert_eq!(full.len(), max);
    assert_eq!(
        ask(&router, post("/reload").body(Body::from(format!("{full}x"))).unwrap()).await.0,
        StatusCode::BAD_REQUEST
    );
    assert!(house.state.lock().unwrap().done.is_empty());
    assert_eq!(ask(&router, post("/reload").body(Body::from(full)).unwrap()).await.0, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_a_role_may_not_do_is_not_offered() {
    let auditor = hospital(&[Role::Auditor]).1;
    for path in ["/", "/systems/breast-mass", "/receipts/12478"] {
        let text = page(&auditor, path).await;
        let forms = text.matches("<form").count();
        assert_eq!(forms, 1, "only signing out is left for an auditor on {path}");
    }
    let clinician = hospital(&[Role::Clinician]).1;
    let answer = page(&clinician, "/receipts/12478").await;
    assert!(answer.contains("Flag this answer") && !answer.contains("Download the proof"));
    let engineer = page(&hospital(&[Role::Engineer]).1, "/").await;
    assert!(engineer.contains("I have it") && engineer.contains("/clients/pathology-lab/quarantine"));
}

#[tokio::test]
async fn what_guards_say_cannot_become_markup() {
    let (house, router) = hospital(&EVERYBODY);
    let mut evil = house.live().decisions(1, None).remove(0);
    evil.ledger_index = 99_999;
    evil.notes = vec![app::live::Note {
        guard: "<b>".into(),
        check: "\"><img>".into(),
        outcome: "found".into(),
        severity: None,
        message: "`<script>alert(1)</script>`".into(),
        remedy: "\" onmouseover=\"x".into(),
    }];
    house.live().decide(evil);
    let text = page(&router, "/").await;
    assert!(text.contains("&lt;script&gt;") && !text.contains("<script>alert") && !text.contains("<img>"));
    assert!(!text.contains("\" onmouseover=\""));
}

#[tokio::test]
async fn assets_are_kept_by_name_and_checked_by_tag() {
    let (_, router) = hospital(&EVERYBODY);
    let text = page(&router, "/").await;
    for (stem, kind) in [("console-", "text/css"), ("live-", "text/javascript"), ("mark-", "image/svg+xml")] {
        let at = text.find(&format!("/assets/{stem}")).unwrap();
        let path: String = text[at..].chars().take_while(|c| *c != '"').collect();
        let (status, headers, body) = ask(&router, Request::get(&path).body(Body::empty()).unwrap()).await;
        assert!(status == StatusCode::OK && !body.is_empty());
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with(kind));
        assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        let again = Request::get(&path)
            .header(header::IF_NONE_MATCH, &headers[header::ETAG])
            .body(Body::empty())
            .unwrap();
        let (status, _, body) = ask(&router, again).await;
        assert!(status == StatusCode::NOT_MODIFIED && body.is_empty());
    }
}

/// Reads a stream until an event of that name has come; gives back its data and the last id seen.
async fn until(body: &mut Body, name: &str) -> (String, String) {
    let (mut text, mut last) = (String::new(), String::new());
    loop {
        let frame = body.frame().await.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        while let Some((event, rest)) = text.clone().split_once("\n\n") {
            text = rest.to_owned();
            let field =
                |key: &str| event.lines().filter_map(|l| l.strip_prefix(key)).collect::<Vec<_>>().join("\n");
            let id = field("id: ");
            if !id.is_empty() {
                last = id;
            }
            if field("event: ") == name {
                return (field("data: "), last);
            }
        }
    }
}

async fn follow(router: &Router, since: &str, last: Option<&str>) -> Body {
    let mut request = get(&format!("/events?page=/&since={since}"));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    response.into_body()
}

#[tokio::test]
async fn a_new_decision_comes_down_the_stream_and_nothing_else_does() {
    let (house, router) = hospital(&EVERYBODY);
    let text = page(&router, "/").await;
    let since: String =
        text.split("since=").nth(1).unwrap().chars().take_while(char::is_ascii_hexdigit).collect();
    let mut body = follow(&router, &since, None).await;
    until(&mut body, "beat").await;
    house.exchange(1);
    // A reader who is up to date first hears of the head of the ledger, which moved, and of the new row.
    let (ledger, _) = until(&mut body, "ledger").await;
    assert!(ledger.starts_with("<section id=\"ledger\"") && ledger.contains("20,003 entries"), "{ledger}");
    let (traffic, _) = until(&mut body, "traffic").await;
    assert!(traffic.contains("data-key=\"d20002\""));
}

#[tokio::test]
async fn a_reader_who_comes_back_gets_only_what_is_new() {
    let (house, router) = hospital(&EVERYBODY);
    let mut body = follow(&router, "", None).await;
    let (_, _) = until(&mut body, "clients").await;
    drop(body);
    let text = page(&router, "/").await;
    let version: String =
        text.split("since=").nth(1).unwrap().chars().take_while(char::is_ascii_hexdigit).collect();
    let mut body = follow(&router, "", Some(&version)).await;
    until(&mut body, "beat").await;
    house.state.lock().unwrap().clients.clear();
    house.live().touch();
    // Had the whole page come again, the summary would have come first.
    let frame = body.frame().await.unwrap().unwrap();
    let first = String::from_utf8(frame.data_ref().unwrap().to_vec()).unwrap();
    assert!(first.contains("event: clients"), "{first}");
}

#[tokio::test]
async fn streams_are_counted_and_freed() {
    let house = Arc::new(MadeUp::new(&EVERYBODY).signed_in());
    let router = router_with(house, 2);
    let first = follow(&router, "", None).await;
    let _second = follow(&router, "", None).await;
    let (status, headers, _) = ask(&router, get("/events?page=/").body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key(header::RETRY_AFTER));
    drop(first);
    let _third = follow(&router, "", None).await;
}

#[tokio::test]
async fn what_does_not_exist_says_where_to_start() {
    let (_, router) = hospital(&EVERYBODY);
    for path in ["/nothing", "/systems/unknown", "/systems/NOT%20A%20NAME", "/catalogue/Z999"] {
        let (status, _, text) = ask(&router, get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(text.contains("Back to the live page"), "{path}");
    }
    let (status, _, text) = ask(&router, get("/receipts/77777777").body(Body::empty()).unwrap()).await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("no entry 77777777"));
}
