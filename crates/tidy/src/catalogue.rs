//! The catalogue as it stands in the sources: every entry complete, unique, mapped to ids that exist, and listed.
//!
//! The crates test their own lists; this looks for what they cannot see: an entry that is in no list, an id that two
//! crates use, a list that no page shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use crate::source::{Source, matching_brace, positions};
use crate::tree::{report, root, sources, text};

/// Headings of a page, as `domain::REQUIRED_HEADINGS` has them; a test below compares.
const HEADINGS: [&str; 4] = ["## What it is", "## Why it matters in care", "## Limits", "## References"];

/// First letter of the ids of each kind.
const LETTERS: [(&str, char); 7] = [
    ("Guard", 'G'),
    ("Check", 'V'),
    ("Control", 'C'),
    ("Refusal", 'E'),
    ("Alarm", 'A'),
    ("Rule", 'S'),
    ("Attack", 'X'),
];

/// One `catalogue_entry!` block.
struct Block {
    place: String,
    source: &'static Source,
    name: String,
    id: String,
    title: String,
    kind: String,
    maps: Vec<String>,
    doc: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| !s.path.starts_with("crates/tidy/")) {
        for at in positions(&source.shipped, "catalogue_entry! {") {
            let open = at + "catalogue_entry! ".len();
            let end = matching_brace(&source.shipped, open).expect("a block that closes");
            let raw = &source.raw[open..end];
            let fields =
                raw.lines().filter(|l| !l.trim_start().starts_with("///")).collect::<Vec<_>>().join("\n");
            let maps = between(&fields, "maps: [", "]").unwrap_or_default();
            found.push(Block {
                place: format!("{}:{}", source.path, source.line_of(at)),
                source,
                name: between(&fields, "static ", " ").unwrap_or_default(),
                id: between(&fields, "id: \"", "\"").unwrap_or_default(),
                title: between(&fields, "name: \"", "\"").unwrap_or_default(),
                kind: between(&fields, "kind: ", ",").unwrap_or_default(),
                maps: maps.split('"').skip(1).step_by(2).map(str::to_owned).collect(),
                doc: raw
                    .lines()
                    .filter_map(|l| l.trim().strip_prefix("///"))
                    .map(|l| l.trim().to_owned())
                    .collect(),
            });
        }
    }
    assert!(
        found.len() >= 6,
        "only {} catalogue entries were found: has the search gone blind?",
        found.len()
    );
    found
}

fn between(text: &str, open: &str, close: &str) -> Option<String> {
    let from = text.find(open)? + open.len();
    let to = text[from..].find(close)?;
    Some(text[from..from + to].trim().to_owned())
}

/// `(id, title, maps, checks it requires)` of every control that ships as data.
fn controls() -> Vec<(String, String, Vec<String>, Vec<String>)> {
    let parsed: toml::Table = text("catalog/controls.toml").parse().unwrap();
    let strings = |v: Option<&toml::Value>| -> Vec<String> {
        let list = v.and_then(toml::Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect()
    };
    let string =
        |c: &toml::Value, key: &str| c.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let controls = parsed["control"].as_array().unwrap();
    controls
        .iter()
        .map(|c| {
            let requires = c.get("requires").and_then(toml::Value::as_array).cloned().unwrap_or_default();
            let checks = requires.iter().map(|r| string(r, "check")).collect();
            (string(c, "id"), string(c, "title"), strings(c.get("maps")), checks)
        })
        .collect()
}

#[test]
fn ids_are_unique_and_of_their_kind() {
    let mut complaints = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut titles: BTreeMap<(String, String), String> = BTreeMap::new();
    for block in blocks() {
        let letter = LETTERS.iter().find(|(kind, _)| *kind == block.kind).map(|(_, l)| *l);
        let digits = block.id.get(1..).unwrap_or_default();
        let formed = block.id.chars().next() == letter
            && digits.len() == 3
            && digits.bytes().all(|b| b.is_ascii_digit());
        if !formed {
            complaints.push(format!("{}: id `{}` of a {}", block.place, block.id, block.kind));
        }
        if let Some(other) = seen.insert(block.id.clone(), block.place.clone()) {
            complaints.push(format!("{}: id `{}` is taken by {other}", block.place, block.id));
        }
        if let Some(other) = titles.insert((block.kind.clone(), block.title.clone()), block.place.clone()) {
            complaints.push(format!("{}: name `{}` is taken by {other}", block.place, block.title));
        }
    }
    for (id, title, ..) in controls() {
        let place = format!("catalog/controls.toml: {title}");
        if let Some(other) = seen.insert(id.clone(), place.clone()) {
            complaints.push(format!("{place}: id `{id}` is taken by {other}"));
        }
    }
    report(
        &complaints,
        "take the next free number of the kind; ids and names are never reused, even after a removal",
    );
}

#[test]
fn pages_have_their_headings_in_order() {
    let declared = text("crates/domain/src/catalogue.rs");
    let mut complaints: Vec<String> = HEADINGS
        .iter()
        .filter(|h| !declared.contains(&format!("\"{h}\"")))
        .map(|h| format!("domain::REQUIRED_HEADINGS has no `{h}`"))
        .collect();
    for block in blocks() {
        let found: Vec<&str> =
            block.doc.iter().map(String::as_str).filter(|l| l.starts_with("## ")).collect();
        if found != HEADINGS {
            complaints.push(format!("{}: headings are {found:?}", block.place));
        }
        let summary = block.doc.first().map(String::as_str).unwrap_or_default();
        if !summary.ends_with('.') || summary.starts_with('#') {
            complaints.push(format!("{}: the page must open with one sentence: {summary}", block.place));
        }
        for (i, line) in block.doc.iter().enumerate().filter(|(_, l)| l.starts_with("## ")) {
            let next = block.doc[i + 1..].iter().find(|l| !l.is_empty());
            if next.is_none_or(|l| l.starts_with("## ")) {
                complaints.push(format!("{}: nothing under `{line}`", block.place));
            }
        }
    }
    report(
        &complaints,
        &format!("a page is one sentence and then {HEADINGS:?}, each with something under it"),
    );
}

/// `AML.T0043`, `AML.T0024.002`, `CWE-20`, `ML01:2023`, `NISTAML.022`, `OWASP …`.
fn is_mapping(id: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    id.strip_prefix("CWE-").is_some_and(digits)
        || id.strip_prefix("NISTAML.").is_some_and(digits)
        || ["AML.TA", "AML.T", "AML.M"].iter().any(|p| id.strip_prefix(p).is_some_and(digits))
        || id
            .trim_start_matches("OWASP ")
            .split_once(':')
            .is_some_and(|(risk, year)| risk.starts_with("ML") && digits(year))
}

/// Techniques, tactics and mitigations of MITRE ATLAS, from the shared framework data where there are any.
fn atlas_ids() -> Option<BTreeSet<String>> {
    let shared = std::env::var_os("ASEPSIS_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let folder = shared.join("frameworks/mitre-atlas");
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(&folder).ok()? {
        let path = entry.ok()?.path();
        if !path.to_string_lossy().ends_with("-ids.json") {
            continue;
        }
        let data: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
        for group in ["techniques", "mitigations", "tactics"] {
            ids.extend(data[group].as_object().into_iter().flat_map(|o| o.keys().cloned()));
        }
    }
    (!ids.is_empty()).then_some(ids)
}

#[test]
fn mappings_name_ids_that_exist() {
    let mut uses: Vec<(String, String)> = Vec::new();
    for block in blocks() {
        uses.extend(block.maps.iter().map(|m| (block.place.clone(), m.clone())));
    }
    for (id, _, maps, _) in controls() {
        uses.extend(maps.iter().map(|m| (format!("catalog/controls.toml: {id}"), m.clone())));
    }
    let mut complaints: Vec<String> = uses
        .iter()
        .filter(|(_, m)| !is_mapping(m))
        .map(|(place, m)| format!("{place}: `{m}` is no known form of id"))
        .collect();
    match atlas_ids() {
        Some(known) => {
            // Tactics are not in every edition of the id list; techniques and mitigations are.
            let checked = |m: &str| m.starts_with("AML.") && !m.starts_with("AML.TA") && !known.contains(m);
            complaints.extend(
                uses.iter().filter(|(_, m)| checked(m)).map(|(p, m)| format!("{p}: ATLAS has no `{m}`")),
            );
        }
        // Written past the test harness, which would swallow it: what was not checked must be seen.
        None => std::io::stderr()
            .write_all(b"SKIPPED in part: no ids at $ASEPSIS_SHARED/frameworks/mitre-atlas, only their form was checked\n")
            .unwrap(),
    }
    report(&complaints, "look the id up in the framework; withdrawn ids are replaced, not kept");
}

#[test]
fn controls_require_checks_that_exist() {
    let known: BTreeSet<String> = blocks().into_iter().map(|b| b.id).collect();
    let mut complaints = Vec::new();
    for (id, _, _, checks) in controls() {
        complaints.extend(
            checks
                .iter()
                .filter(|c| !known.contains(*c))
                .map(|c| format!("{id} requires `{c}`, which no code makes")),
        );
    }
    report(&complaints, "write the check first; a control that nothing can prove would be owed for ever");
}

/// The lists of entries of a crate: in which file each stands, and what stands in it.
fn lists(krate: Option<&str>) -> Vec<(&'static Source, &'static str)> {
    let own = sources().iter().filter(|s| s.crate_name() == krate);
    let begin = |s: &'static Source| {
        [positions(&s.shipped, "static ENTRIES"), positions(&s.shipped, "const ENTRIES")].concat()
    };
    own.flat_map(|s| begin(s).into_iter().map(move |at| (s, at)))
        // A list that only repeats another one (`= rules::ENTRIES`) has nothing of its own.
        .filter(|(s, at)| {
            s.shipped[*at..].split_once('=').is_some_and(|(_, value)| value.trim_start().starts_with("&["))
        })
        .map(|(s, at)| {
            let end = s.shipped[at..].find("];").map_or(s.shipped.len(), |i| at + i);
            (s, &s.shipped[at..end])
        })
        .collect()
}

/// The lists of things that hold an entry (`&[&Registered]`, `&[&Condition]`) of a crate.
fn registries(krate: Option<&str>) -> Vec<&'static str> {
    let own = sources().iter().filter(|s| s.crate_name() == krate);
    own.flat_map(|s| {
        [": &[&Registered] =", ": &[&Condition] ="].into_iter().flat_map(move |kind| {
            s.shipped.match_indices(kind).map(move |(at, _)| {
                let end = s.shipped[at..].find("];").map_or(s.shipped.len(), |i| at + i);
                &s.shipped[at..end]
            })
        })
    })
    .collect()
}

/// True when the file of `block` has a static with `entry: &NAME` that stands in a registry of its crate.
fn registered(block: &Block) -> bool {
    let holder = format!("entry: &{}", block.name);
    let text = &block.source.shipped;
    positions(text, &holder).into_iter().any(|at| {
        let Some(name) = text[..at].rfind("static ").map(|from| &text[from + 7..at]) else { return false };
        let Some((name, _)) = name.split_once(':') else { return false };
        let way = format!("{}::{}", module(block.source), name.trim());
        registries(block.source.crate_name()).iter().any(|list| !positions(list, &way).is_empty())
    })
}

/// Name of the module that a file is.
fn module(source: &Source) -> &str {
    let mut parts = source.path.trim_end_matches(".rs").trim_end_matches("/mod").rsplit('/');
    parts.next().unwrap_or_default()
}

#[test]
fn every_entry_is_listed() {
    let mut complaints = Vec::new();
    for block in blocks() {
        let elsewhere = format!("{}::{}", module(block.source), block.name);
        let listed = lists(block.source.crate_name()).iter().any(|(source, list)| {
            let name = if source.path == block.source.path { &block.name } else { &elsewhere };
            !positions(list, name).is_empty()
        });
        if !listed && !registered(&block) {
            complaints
                .push(format!("{}: `{}` ({}) is in no list of its crate", block.place, block.name, block.id));
        }
    }
    report(
        &complaints,
        "add one line to the crate's `ENTRIES`: what is not listed cannot be explained, configured or found",
    );
}

#[test]
fn every_list_of_entries_is_shown() {
    let owners: BTreeSet<_> = sources().iter().filter_map(Source::crate_name).collect();
    let shows = |s: &&Source| s.path.ends_with("/catalogue.rs") || s.crate_name() == Some("asepsis");
    let mut complaints = Vec::new();
    for owner in owners {
        for (source, _) in lists(Some(owner)) {
            let inside = format!("crate::{}::ENTRIES", module(source));
            let outside = [format!("{owner}::ENTRIES"), format!("{owner}::{}::ENTRIES", module(source))];
            // Or a list of lists of the same crate names it, and that one is shown by `entries()`.
            let gathered = lists(Some(owner)).iter().any(|(other, list)| {
                other.path != source.path
                    && !positions(list, &format!("{}::ENTRIES", module(source))).is_empty()
            }) || sources().iter().any(|s| {
                let through = format!("{}::ENTRIES", module(source));
                let repeats = s.crate_name() == Some(owner)
                    && s.path != source.path
                    && s.shipped.contains("ENTRIES: &[&Entry] = ");
                let entries =
                    s.path == format!("crates/{owner}/src/lib.rs") && s.shipped.contains("pub fn entries()");
                (repeats || entries) && !positions(&s.shipped, &through).is_empty()
            });
            let shown = gathered
                || sources().iter().filter(shows).any(|s| {
                    let own = s.crate_name() == Some(owner) && !positions(&s.shipped, &inside).is_empty();
                    own || outside.iter().any(|way| !positions(&s.shipped, way).is_empty())
                });
            if !shown {
                complaints.push(format!("{}: `ENTRIES` reaches no page", source.path));
            }
        }
    }
    report(
        &complaints,
        "chain it in app::catalogue (or in the binary, for crates beside app), so that `asepsis explain` finds it",
    );
}

#[test]
fn guards_have_their_file_and_their_line() {
    let list = text("crates/detect/src/lib.rs");
    // The guards over texts stand in a folder of their own, with its own `mod` lines.
    let modules = [list.clone(), text("crates/detect/src/text/mod.rs")].concat();
    let complaints: Vec<String> = sources()
        .iter()
        .filter(|s| s.path.starts_with("crates/detect/src/") && s.code.contains("catalogue_entry! {"))
        .map(|s| s.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned())
        .filter(|module| {
            !modules.contains(&format!("mod {module};")) || !list.contains(&format!("&{module}::ENTRY"))
        })
        .map(|module| format!("the guard in {module}.rs is not in crates/detect/src/lib.rs"))
        .collect();
    report(&complaints, "a guard is its own file, one `mod` line and one line in `ENTRIES`");
}
