//! What the program is built from: each direct dependency has a written reason, every licence is allowed, and
//! the number of packages in several versions does not grow unnoticed.
//!
//! `deny.toml` holds the rules in the form that cargo-deny reads; these tests apply the same file without that tool,
//! so that the check runs wherever the tests run. Advisories need a database from outside and are cargo-deny's.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::source::positions;
use crate::tree::{keys, manifests, report, root, sources, text};

fn deny() -> toml::Table {
    text("deny.toml").parse().unwrap_or_else(|e| panic!("deny.toml: {e}"))
}

fn strings(value: Option<&toml::Value>) -> BTreeSet<String> {
    let list = value.and_then(toml::Value::as_array).cloned().unwrap_or_default();
    list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// External dependencies of the workspace, as the root manifest names them.
fn direct() -> BTreeSet<String> {
    let workspace: toml::Table = text("Cargo.toml").parse().unwrap();
    let table = workspace["workspace"]["dependencies"].as_table().unwrap().clone();
    table.into_iter().filter(|(_, v)| v.get("path").is_none()).map(|(name, _)| name).collect()
}

/// Rows of the table in docs/dependencies.md: name, licence, reason.
fn documented() -> BTreeMap<String, (String, String)> {
    let page = text("docs/dependencies.md");
    let rows = page.lines().filter(|l| l.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let cell = |i: usize| cells.get(i).copied().unwrap_or_default().to_owned();
        (cell(0).trim_matches('`').to_owned(), (cell(1), cell(2)))
    })
    .collect()
}

/// A package that is built into the program or its tests on this platform.
struct Package {
    name: String,
    licence: String,
}

/// `cargo metadata` of what this platform builds; the lock file is not touched.
fn packages() -> Vec<Package> {
    let host = Command::new("rustc").arg("-vV").output().expect("rustc is on the path of a cargo test");
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|l| l.strip_prefix("host: ")).expect("rustc names its host").to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let data: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: BTreeSet<&str> =
        data["resolve"]["nodes"].as_array().unwrap().iter().filter_map(|n| n["id"].as_str()).collect();
    let all = data["packages"].as_array().unwrap();
    let wanted =
        all.iter().filter(|p| p["source"].is_string() && p["id"].as_str().is_some_and(|i| used.contains(i)));
    let field = |p: &serde_json::Value, key: &str| p[key].as_str().unwrap_or_default().to_owned();
    wanted.map(|p| Package { name: field(p, "name"), licence: field(p, "license") }).collect()
}

/// Whether a licence expression (SPDX, or the older form with a slash) can be met with allowed licences only.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at, allowed);
    met && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all_of(words, at, allowed);
    }
    met
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any_of(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut licence = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        licence = format!("{licence} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&licence)
}

#[test]
fn licence_expressions_are_understood() {
    let allowed: BTreeSet<String> =
        ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"].map(str::to_owned).into();
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT OR GPL-3.0) AND ISC",
    ] {
        assert!(is_met(good, &allowed), "{good}");
    }
    for bad in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "Apache-2.0", "(MIT", "MIT)", "(GPL-3.0 OR BSL-1.0) AND MIT"]
    {
        assert!(!is_met(bad, &allowed), "{bad}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let allowed = strings(deny()["licenses"].get("allow"));
    let packages = packages();
    assert!(packages.len() > 50, "cargo metadata lists only {} packages", packages.len());
    let wrong = packages.iter().filter(|p| !is_met(&p.licence, &allowed));
    let complaints: Vec<String> = wrong.map(|p| format!("{}: `{}`", p.name, p.licence)).collect();
    report(
        &complaints,
        "choose another package, or decide on the licence and add it to [licenses] in deny.toml with the reason",
    );
}

#[test]
fn banned_packages_stay_out() {
    let banned = deny()["bans"].get("deny").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let banned: BTreeSet<&str> =
        banned.iter().filter_map(|v| v.get("crate").and_then(toml::Value::as_str)).collect();
    assert!(!banned.is_empty(), "deny.toml bans nothing: has it changed its form?");
    let found = packages().into_iter().map(|p| p.name).filter(|name| banned.contains(name.as_str()));
    let complaints: Vec<String> =
        found.map(|name| format!("`{name}` is built (`cargo tree -i {name}` says for whom)")).collect();
    report(&complaints, "switch off the feature that brings it in");
}

#[test]
fn every_direct_dependency_has_a_reason() {
    let (direct, documented) = (direct(), documented());
    let licences: BTreeMap<String, String> = packages().into_iter().map(|p| (p.name, p.licence)).collect();
    let mut complaints = Vec::new();
    for name in &direct {
        match documented.get(name) {
            None => complaints.push(format!("`{name}` is not in docs/dependencies.md")),
            Some((_, reason)) if reason.len() < 20 => {
                complaints.push(format!("`{name}` has no reason: {reason}"))
            }
            Some((licence, _)) => {
                // A dependency that no crate uses yet has no package here, and the next test names it.
                let real = licences.get(name).map(|l| l.replace('/', " OR "));
                if real.as_ref().is_some_and(|r| r != licence) {
                    complaints.push(format!(
                        "`{name}` has the licence {}, not {licence}",
                        real.unwrap_or_default()
                    ));
                }
            }
        }
    }
    let gone = documented.keys().filter(|name| !direct.contains(*name));
    complaints
        .extend(gone.map(|name| format!("`{name}` is in docs/dependencies.md and not in the workspace")));
    report(&complaints, "one row in docs/dependencies.md: name, licence, why this one and not nothing");
}

#[test]
fn every_direct_dependency_is_used() {
    let mut used = BTreeSet::new();
    for manifest in manifests().values() {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            used.extend(keys(manifest, table));
        }
    }
    let unused = direct().into_iter().filter(|name| !used.contains(name));
    let complaints: Vec<String> = unused.map(|name| format!("`{name}` is used by no crate")).collect();
    report(&complaints, "take the line out of [workspace.dependencies] and of docs/dependencies.md");
}

#[test]
fn crates_use_what_they_name() {
    let mut complaints = Vec::new();
    for (name, manifest) in manifests() {
        let own: Vec<_> =
            sources().iter().filter(|s| s.path.starts_with(&format!("crates/{name}/"))).collect();
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for dependency in keys(&manifest, table) {
                // A library may drop the dash of its package: `md-5` is `md5`.
                let words = [dependency.replace('-', "_"), dependency.replace('-', "")];
                // Generated code names its runtime itself.
                let generated = own.iter().any(|s| s.path.ends_with("/build.rs"));
                let by_generated =
                    generated && ["prost", "tonic", "tonic-prost"].contains(&dependency.as_str());
                let named = own.iter().any(|s| words.iter().any(|w| !positions(&s.code, w).is_empty()));
                if !by_generated && !named {
                    complaints
                        .push(format!("crates/{name}/Cargo.toml: `{dependency}` in [{table}] is not used"));
                }
            }
        }
    }
    report(&complaints, "take the line out: an unused dependency is built, audited and trusted for nothing");
}

#[test]
fn packages_do_not_multiply_their_versions() {
    const TABLE: &str = "crates/tidy/ratchet.toml";
    let lock: toml::Table = text("Cargo.lock").parse().unwrap();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let field = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        versions.entry(field("name")).or_default().insert(field("version"));
    }
    let several: Vec<String> =
        versions.iter().filter(|(_, v)| v.len() > 1).map(|(name, v)| format!("{name}: {v:?}")).collect();
    let ratchet: toml::Table = text(TABLE).parse().unwrap();
    let allowed = ratchet["packages"]["in_several_versions_max"]
        .as_integer()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap();
    let complaints = if several.len() > allowed { several } else { Vec::new() };
    report(
        &complaints,
        &format!(
            "at most {allowed} packages may come in several versions: bring users to one (`cargo tree -d`), or, where \
             others decide, raise `in_several_versions_max` in {TABLE} and say in the commit who"
        ),
    );
}
