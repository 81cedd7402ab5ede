//! The console in a real browser: policy, live rows, keyboard, colours, actions, life without script. Skipped, loudly, where Chromium is
//! not installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

mod chrome;
mod house;

use std::sync::Arc;

use access::Role;
use chrome::Browser;
use console::Command;
use house::MadeUp;
use serde_json::{Value, json};

const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';

/// A console on a loopback port, with its own runtime so that it can be taken away as a whole.
struct Served {
    house: Arc<MadeUp>,
    address: String,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    fn start() -> Self {
        let roles = [Role::Administrator, Role::Engineer, Role::Governance, Role::Clinician];
        let house = Arc::new(MadeUp::new(&roles));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = console::router(Arc::clone(&house));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { house, address, runtime: Some(runtime) }
    }

    fn sign_in(&self, browser: &Browser) {
        browser.open(&format!("{}/sign-in?token={}", self.address, MadeUp::token()));
        browser.until("the live page", "document.querySelector('#traffic tbody tr') !== null");
    }

    fn go(&self, browser: &Browser, path: &str) {
        browser.open(&format!("{}{path}", self.address));
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
    }
}

const PAGES: [&str; 5] = ["/", "/systems/breast-mass", "/receipts/12478", "/catalogue", "/catalogue/G002"];

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

/// Text whose contrast with what is behind it is under 4.5 to 1, or 3 to 1 when large (WCAG 2.2, 1.4.3).
const CONTRAST: &str = r#"
const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
const rgba = (color) => { paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const ground = (e) => { const layers = []; for (let n = e; n; n = n.parentElement) layers.push(rgba(getComputedStyle(n).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
const light = (c) => { const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const out = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.nodeValue.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(e.nodeName)) continue;
  if (e.closest('.hidden, [hidden], .skip') || e.getClientRects().length === 0) continue;
  const s = getComputedStyle(e); const behind = ground(e);
  const [a, b] = [light(over(rgba(s.color), behind)), light(behind)].sort((x, y) => y - x);
  const size = parseFloat(s.fontSize); const large = size >= 24 || (size >= 18.66 && s.fontWeight >= 700);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < (large ? 3 : 4.5)) out.push(`${e.nodeName}.${e.className} "${walk.currentNode.nodeValue.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
}
return [...new Set(out)];
"#;

/// Things that a keyboard or a screen reader would stumble over.
const ACCESSIBLE: &str = r#"
const out = []; const all = (css) => [...document.querySelectorAll(css)];
const name = (e) => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').map(i => document.getElementById(i)?.textContent || '').join('') || e.textContent || '').trim();
if (!document.documentElement.lang) out.push('no language');
if (!document.title) out.push('no title');
for (const place of ['header', 'main', 'footer', 'nav']) if (!document.querySelector(place)) out.push('no ' + place);
if (all('h1').length !== 1) out.push(all('h1').length + ' h1');
let level = 0;
for (const h of all('h1, h2, h3, h4')) { if (h.closest('[hidden]')) continue; const n = +h.nodeName[1]; if (level && n > level + 1) out.push('heading jumps to ' + h.textContent); level = n; }
const ids = all('[id]').map(e => e.id);
for (const id of ids) if (ids.filter(i => i === id).length > 1) out.push('id twice: ' + id);
for (const e of all('input:not([type=hidden]), select, textarea')) if (!e.labels?.length && !e.getAttribute('aria-label')) out.push('no label: ' + e.outerHTML.slice(0, 80));
for (const e of all('a[href], button, summary')) {
  if (!name(e)) out.push('no name: ' + e.outerHTML.slice(0, 80));
  const box = e.getBoundingClientRect();
  if (['BUTTON', 'SUMMARY'].includes(e.nodeName) && box.height && box.height < 24) out.push('too low to hit: ' + name(e));
}
for (const e of all('[aria-labelledby]')) for (const i of e.getAttribute('aria-labelledby').split(' ')) if (!document.getElementById(i)) out.push('label gone: ' + i);
for (const e of all('label[for]')) if (!document.getElementById(e.htmlFor)) out.push('label for nothing: ' + e.htmlFor);
for (const e of all('table')) { if (!e.caption) out.push('no caption'); if (!e.querySelector('th[scope]')) out.push('no headers'); }
for (const e of all('svg')) if (e.getAttribute('aria-hidden') !== 'true' && !(e.getAttribute('role') === 'img' && e.getAttribute('aria-label'))) out.push('picture without words');
for (const e of all('section')) if (!name(e)) out.push('section without a name');
if (document.querySelector('[data-events]') && !document.querySelector('[aria-live=polite], [role=status]')) out.push('nothing tells of changes');
return out;
"#;
