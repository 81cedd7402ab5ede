//! The console in a real browser: policy, live rows, keyboard, colours, actions, life without script. Skipped, loudly, where Chromium is
//! not installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

mod chrome;
mod house;
mod served;

use std::sync::Arc;

use console::Command;
use serde_json::{Value, json};
use served::{ACCESSIBLE, CONTRAST, Served};

const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';

const PAGES: [&str; 6] =
    ["/", "/systems/breast-mass", "/receipts/12478", "/exercises", "/catalogue", "/catalogue/G002"];

#[test]
fn pages_load_without_a_complaint_and_fit_in_320_pixels() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    for width in [320, 1280] {
        browser.look(width, "light");
        for path in PAGES {
            served.go(&browser, path);
            let wide = browser.run("return document.scrollingElement.scrollWidth - innerWidth");
            assert!(wide.as_i64().unwrap() <= 0, "{path} is {wide} pixels too wide at {width}");
            assert_eq!(browser.complaints(), [""; 0], "{path} at {width}");
        }
    }
    served.go(&browser, "/nowhere");
    assert_eq!(browser.run("return document.querySelector('h1').textContent"), "Not found");
}

#[test]
fn a_row_appears_without_a_reload_and_what_is_being_typed_stays() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    browser.run("window.same = true; document.querySelector('#gate-breast-mass').open = true;");
    browser.click("#quarantine-pathology-lab summary");
    browser.click("#why-pathology-lab");
    browser.press(&['o', 'd', 'd']);
    browser.run("scrollTo(0, 300)");
    served.house.exchange(1);
    browser.until("a new row", "document.querySelector('[data-key=\"d20002\"]') !== null");
    served.house.exchange(5);
    browser.until("another new row", "document.querySelector('[data-key=\"d20010\"] .tone-care') !== null");
    let kept = browser.run(
        "const field = document.querySelector('#why-pathology-lab');
         return [window.same, field.value, document.activeElement === field, scrollY > 0,
                 document.querySelector('#quarantine-pathology-lab').open, document.querySelector('#gate-breast-mass').open]",
    );
    assert_eq!(kept, json!([true, "odd", true, true, true, true]));
    let first = browser.run("return document.querySelector('#traffic .all tbody tr').dataset.key");
    assert_eq!(first, "d20010", "the newest is first");
    let rows = browser.run("const k = [...document.querySelectorAll('#traffic .all tbody tr')].map(r => r.dataset.key); return k.length - new Set(k).size");
    assert_eq!(rows, 0, "no row twice");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn an_alarm_is_taken_with_the_keyboard_alone() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    let mut reached = Vec::new();
    for _ in 0..80 {
        browser.press(&[TAB]);
        let at = browser.run(
            "const e = document.activeElement; const s = getComputedStyle(e);
             return [(e.getAttribute('aria-label') || e.textContent).trim().replace(/\\s+/g, ' '), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]",
        );
        assert_eq!(at[1], true, "the focus is seen on `{}`", at[0]);
        let name = at[0].as_str().unwrap().to_owned();
        let found = name.starts_with("Acknowledge alarm 4");
        reached.push(name);
        if found {
            break;
        }
    }
    assert_eq!(reached[0], "Skip to content");
    for wanted in ["Asepsis", "Live", "Catalogue", "Reload configuration", "Sign out"] {
        assert!(reached.iter().any(|r| r == wanted), "{wanted} is not reached: {reached:?}");
    }
    assert!(reached.last().unwrap().starts_with("Acknowledge alarm 4"), "{reached:?}");
    browser.press(&[ENTER]);
    browser.until("the notice", "document.querySelector('#notice').textContent.includes('acknowledged')");
    browser
        .until("one alarm left", "document.querySelector('#summary').textContent.includes('1 alarm waits')");
    assert_eq!(served.house.state.lock().unwrap().done, [Command::Acknowledge { alarm: 4 }]);
    let lost = browser.run("return document.activeElement === document.body");
    assert_eq!(lost, false, "the focus stays near where it was");
}

#[test]
fn a_refused_form_says_why_on_the_page() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    served
        .house
        .state
        .lock()
        .unwrap()
        .alarms
        .iter_mut()
        .for_each(|a| a.acknowledged_by = Some("grace".into()));
    browser.click("[data-key='alarm-4'] button");
    browser.until(
        "the reason",
        "document.querySelector('#notice').textContent.includes('There is no open alarm 4')",
    );
}

#[test]
fn without_script_forms_post_and_pages_come_back() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    served.go(&browser, "/systems/heart-disease");
    assert!(browser.text("#state .summary").contains("answering"));
    browser.click("#suspend-reason");
    browser.press(&['o', 'd', 'd']);
    browser.click("#steps form button.danger");
    assert!(browser.says("#notice", "System suspended"));
    assert!(browser.says("#state .summary", "suspended, not answering"));
    served.go(&browser, "/");
    browser.click("[data-key='alarm-3'] button");
    assert!(browser.says("#notice", "Alarm acknowledged"));
    assert_eq!(served.house.state.lock().unwrap().done.len(), 2);
}

#[test]
fn a_lost_connection_is_said_and_a_new_one_heals_it() {
    let Some(browser) = chrome::start() else { return };
    let mut served = Served::start();
    served.sign_in(&browser);
    browser.until("the stream", "document.querySelector('#connection').textContent === ''");
    served.stop();
    browser
        .until("the banner", "document.querySelector('#connection').textContent.includes('Connection lost')");
    let again = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = served.address.replace("http://", "");
    // The port may be held by the dying sockets for a moment; the kernel's own back-off is the listener's.
    let listener = again.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address.parse().unwrap()).unwrap();
        socket.listen(64).unwrap()
    });
    let router = console::router(Arc::clone(&served.house));
    again.spawn(async move { axum::serve(listener, router).await });
    browser.until("the banner to go", "document.querySelector('#connection').textContent === ''");
    served.house.exchange(9);
    browser.until("a row again", "document.querySelector('[data-key=\"d20018\"]') !== null");
    served.runtime = Some(again);
}

#[test]
fn a_session_that_ends_elsewhere_is_said() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    served.house.state.lock().unwrap().session = None;
    browser.click("[data-key='alarm-3'] button");
    browser.until("the message", "document.querySelector('#notice').textContent.includes('signed out')");
    served.go(&browser, "/");
    assert!(browser.text("h1").contains("Sign in"));
}

#[test]
fn text_stands_out_in_both_schemes() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    for scheme in ["light", "dark"] {
        browser.look(1280, scheme);
        for path in PAGES {
            served.go(&browser, path);
            browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
            let pale = browser.run(CONTRAST);
            assert_eq!(pale, json!([]), "{path} in {scheme}");
        }
        let ground = browser.run("return getComputedStyle(document.body).backgroundColor");
        assert_eq!(ground == "rgb(12, 19, 18)", scheme == "dark", "{scheme}: {ground}");
    }
}

#[test]
fn each_thing_has_a_name_a_place_and_room() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    for path in PAGES {
        served.go(&browser, path);
        browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
        let Value::Array(faults) = browser.run(ACCESSIBLE) else { panic!("a list") };
        assert_eq!(faults, [Value::Null; 0], "{path}");
    }
}
