//! Exercises in a real browser, on a real model: started by keyboard, seen live, stopped, the scorecard under its own policy, two compared, a bad file refused.
//! Skipped, loudly, where Chromium is not installed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a skipped test says so")]

mod chrome;
mod house;
mod served;

use chrome::Browser;
use serde_json::{Value, json};
use served::{ACCESSIBLE, CONTRAST, Served};

const TAB: char = '\u{E004}';
const ENTER: char = '\u{E007}';

/// Opens the form and fills it in; the button is not pressed.
fn fill(served: &Served, browser: &Browser, seed: char, samples: &[char]) {
    served.go(browser, "/exercises?system=breast-mass");
    browser.click("details.more summary");
    for (field, keys) in [("#samples", samples), ("#seed", &[seed]), ("#queries", &['6', '0'])] {
        browser.click(field);
        browser.press(keys);
    }
}

fn start(served: &Served, browser: &Browser, seed: char, samples: &[char]) -> String {
    fill(served, browser, seed, samples);
    browser.click("form.start > button");
    browser.until("the page of the exercise", "location.pathname.startsWith('/exercises/2')");
    browser.run("return location.pathname").as_str().unwrap().to_owned()
}

fn finished(browser: &Browser) {
    browser.until("the end", "document.querySelector('#state .summary').textContent.includes('finished')");
}

/// What a page must keep to, in both schemes, wide and narrow.
fn looks_right(served: &Served, browser: &Browser, path: &str) {
    for (width, scheme) in [(320, "light"), (1280, "dark"), (1280, "light")] {
        browser.look(width, scheme);
        served.go(browser, path);
        browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
        let wide = browser.run("return document.scrollingElement.scrollWidth - innerWidth");
        assert!(wide.as_i64().unwrap() <= 0, "{path} is {wide} pixels too wide at {width}");
        assert_eq!(browser.run(CONTRAST), json!([]), "{path} in {scheme}");
        let Value::Array(faults) = browser.run(ACCESSIBLE) else { panic!("a list") };
        assert_eq!(faults, [Value::Null; 0], "{path}");
        assert_eq!(browser.complaints(), [""; 0], "{path} at {width}");
    }
}

#[test]
fn an_exercise_is_started_by_keyboard_seen_live_and_its_scorecard_opened() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    fill(&served, &browser, '1', &['2', '4']);
    let mut reached = String::new();
    for _ in 0..12 {
        browser.press(&[TAB]);
        reached =
            browser.run("return document.activeElement.textContent.trim()").as_str().unwrap().to_owned();
        if reached == "Start" {
            break;
        }
    }
    assert_eq!(reached, "Start");
    browser.press(&[ENTER]);
    assert!(browser.says("h1", "Exercise: breast-mass"));
    browser.run("window.same = true");
    browser.until("a finished step", "document.querySelector('#rows tbody tr') !== null");
    finished(&browser);
    assert_eq!(browser.run("return window.same"), true, "all of it without a reload");
    assert!(browser.says("#state", "ledger entry"));
    assert_eq!(browser.complaints(), [""; 0]);
    let path = browser.run("return location.pathname").as_str().unwrap().to_owned();
    looks_right(&served, &browser, &path);
    browser.click("#state a.button");
    browser
        .until("the scorecard", "document.querySelector('h1')?.textContent.includes('Exercise scorecard')");
    let styled = browser.run("return getComputedStyle(document.querySelector('main')).maxWidth");
    assert_eq!(styled, "1040px", "its own style is let in by its digest");
    assert!(browser.run("return document.querySelectorAll('td.bar rect').length").as_i64().unwrap() > 3);
    assert_eq!(browser.complaints(), [""; 0], "the scorecard keeps its policy");
}

#[test]
fn two_are_compared_and_unequal_ones_refused() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    let mut paths = Vec::new();
    for seed in ['1', '1', '2'] {
        paths.push(start(&served, &browser, seed, &['2', '0']));
        finished(&browser);
    }
    looks_right(&served, &browser, "/exercises");
    // The newest two differ in their seed; the form proposes them, older first.
    browser.click("form.choose button");
    browser.until("the refusal", "document.querySelector('h2')?.textContent.includes('different tests')");
    assert!(browser.text("main").contains("Seed: 1 against 2"), "{}", browser.text("main"));
    served.go(&browser, &paths[1]);
    browser.click("#others a");
    browser.until("the table", "document.querySelectorAll('.figures-table tbody tr').length > 8");
    let words = browser.run(
        "return [...new Set([...document.querySelectorAll('.figures-table .chip')].map(c => c.textContent))]",
    );
    assert_eq!(words, json!(["same"]), "the same seed on the same model gives the same");
    let drawn = browser.run("return document.querySelectorAll('.curve polyline').length");
    assert_eq!(drawn, 2);
    let path = browser.run("return location.pathname + location.search").as_str().unwrap().to_owned();
    looks_right(&served, &browser, &path);
}

#[test]
fn a_running_one_is_stopped_on_its_page_and_goes_on() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    served.go(&browser, "/exercises?system=heart-disease");
    browser.click("#suite-tables");
    browser.click("form.start > button");
    browser.click("#state button.danger");
    browser.until("the notice", "document.querySelector('#notice').textContent.includes('stops after')");
    browser.until("the stop", "document.querySelector('#state .summary').textContent.includes('stopped')");
    let path = browser.run("return location.pathname").as_str().unwrap().to_owned();
    browser.run("window.same = true; [...document.querySelectorAll('#state form button')].find(b => b.textContent.startsWith('Go on')).focus()");
    browser.press(&[ENTER]);
    browser.until("it goes on", "document.querySelector('#notice').textContent.includes('goes on')");
    assert_eq!(browser.run("return window.same"), true);
    let lost = browser.run("return document.activeElement === document.body");
    assert_eq!(lost, false, "the focus stays near where it was");
    served.go(&browser, "/exercises");
    browser.click("#jobs form button");
    browser.until("it stops", "!document.querySelector('#jobs .aside').textContent.includes('runs') || document.querySelector('#jobs .aside').textContent.includes('nothing')");
    served.go(&browser, &path);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_bad_file_is_refused_and_a_good_one_kept_without_script() {
    let Some(browser) = chrome::start() else { return };
    let served = Served::start();
    served.sign_in(&browser);
    let path = start(&served, &browser, '1', &['1', '2']);
    finished(&browser);
    let id = path.replace("/exercises/", "");
    let real = served.runtime.as_ref().unwrap().block_on(served.house.real());
    let good = real.paths().exercises().join("jobs").join(id).join("scorecard.json");
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.json");
    std::fs::write(&bad, "{\"form\":\"asepsis-scorecard/1\"}").unwrap();
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    for (file, css, word) in
        [(&bad, "h1", "cannot be done as asked"), (&good, "#notice", "never becomes evidence")]
    {
        served.go(&browser, "/exercises");
        browser.click("#from");
        browser.press(&['S', 't', '.']);
        browser.attach("#card", file);
        browser.click("#received button");
        assert!(browser.says(css, word), "{word}");
    }
    assert!(browser.says("#state", "from St."));
    served.go(&browser, "/exercises");
    assert!(browser.says("#cards", "from St.") && browser.says("#cards", "started here"));
}
