//! Dependencies point down only, never sideways; every crate inherits the workspace's lints and versions.

use crate::tree::{keys, manifests, report};

/// The layers, lowest first. A crate's description opens with its layer too, so that `cargo metadata` shows it.
const LAYERS: [&[&str]; 7] = [
    &["domain", "numeric"],
    &["ledger", "access", "oip", "openai", "text", "knowledge"],
    &["artifact", "attack", "corpus", "detect", "provenance"],
    &["store", "runtime", "upstream", "pkcs11"],
    &["app", "gateway"],
    &["api", "console"],
    &["asepsis"],
];

/// Crates beside the layers: on L0 only, and who may use them outside tests.
const DEV: [(&str, &[&str]); 2] = [("testkit", &[]), ("tidy", &[])];

/// Layer of a crate, `None` for the crates beside the layers.
pub(crate) fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&name))
}

fn dev_users(name: &str) -> Option<&'static [&'static str]> {
    DEV.iter().find(|(n, _)| *n == name).map(|(_, users)| *users)
}

#[test]
fn every_crate_has_a_layer_and_says_it() {
    let mut complaints = Vec::new();
    for (name, manifest) in manifests() {
        let wanted = match (layer(&name), dev_users(&name)) {
            (Some(l), _) => format!("L{l}: "),
            (None, Some(_)) => "dev: ".to_owned(),
            (None, None) => {
                complaints.push(format!("crates/{name} is in no layer"));
                continue;
            }
        };
        let description =
            manifest["package"].get("description").and_then(toml::Value::as_str).unwrap_or_default();
        if !description.starts_with(&wanted) {
            complaints.push(format!(
                "crates/{name}/Cargo.toml: description must open with `{wanted}`: {description}"
            ));
        }
    }
    report(
        &complaints,
        "add the crate to LAYERS in crates/tidy/src/layers.rs and to the map in ARCHITECTURE.md",
    );
}

#[test]
fn dependencies_point_down_only() {
    let manifests = manifests();
    let mut complaints = Vec::new();
    for (name, manifest) in &manifests {
        // Dev-dependencies are free: a test may stand higher than what it tests.
        for table in ["dependencies", "build-dependencies"] {
            for dependency in keys(manifest, table).iter().filter(|d| manifests.contains_key(*d)) {
                let allowed = match (dev_users(dependency), layer(name), layer(dependency)) {
                    (Some(users), _, _) => users.contains(&name.as_str()),
                    (None, Some(upper), Some(lower)) => lower < upper,
                    // testkit and tidy see the vocabulary only.
                    (None, None, Some(lower)) => lower == 0,
                    (None, _, None) => false,
                };
                if !allowed {
                    complaints.push(format!("crates/{name} depends on {dependency}, which is not below it"));
                }
            }
        }
    }
    report(
        &complaints,
        "move the shared type down (usually to `domain`), or join the two crates in the layer above; \
         a sideways edge makes both impossible to read alone",
    );
}

#[test]
fn pages_reach_the_disk_through_app_only() {
    let complaints: Vec<String> = manifests()
        .iter()
        .filter(|(name, _)| ["console", "api"].contains(&name.as_str()))
        .flat_map(|(name, manifest)| keys(manifest, "dependencies").into_iter().map(move |d| (name, d)))
        .filter(|(_, dependency)| ["store", "runtime", "sqlx"].contains(&dependency.as_str()))
        .map(|(name, dependency)| format!("crates/{name} depends on {dependency}"))
        .collect();
    report(
        &complaints,
        "call the use case in `app` (or the gateway): what a page can do, a command can do, with the same checks",
    );
}

#[test]
fn crates_inherit_lints_and_versions() {
    let mut complaints = Vec::new();
    for (name, manifest) in manifests() {
        let lints = manifest.get("lints").and_then(|l| l.get("workspace")).and_then(toml::Value::as_bool);
        if lints != Some(true) {
            complaints.push(format!("crates/{name}/Cargo.toml: add `[lints]` with `workspace = true`"));
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else { continue };
            for (dependency, value) in dependencies {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    complaints
                        .push(format!("crates/{name}/Cargo.toml: `{dependency}` names its own version"));
                }
            }
        }
    }
    report(&complaints, "name versions once, in [workspace.dependencies], and use `name.workspace = true`");
}

#[test]
fn libraries_do_not_carry_application_errors() {
    let complaints: Vec<String> = manifests()
        .iter()
        .filter(|(name, manifest)| {
            *name != "asepsis" && keys(manifest, "dependencies").contains(&"anyhow".to_owned())
        })
        .map(|(name, _)| format!("crates/{name} depends on anyhow"))
        .collect();
    report(&complaints, "use a thiserror enum: a caller must be able to tell the cases apart");
}
