//! Licences as files state them, and as SPDX identifiers where the statement is one.

use serde_json::{Value, json};

/// SPDX identifiers of licences that models and data sets commonly carry (SPDX License List 3.25).
const SPDX: [&str; 36] = [
    "AFL-3.0",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-Clear",
    "BSL-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-2.0",
    "CC-BY-NC-3.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "ECL-2.0",
    "EPL-2.0",
    "GPL-2.0-only",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "ISC",
    "LGPL-3.0-only",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "ODbL-1.0",
    "OFL-1.1",
    "PDDL-1.0",
    "Unlicense",
    "Zlib",
];

/// Short forms that model hubs use for an SPDX licence.
const SHORT: [(&str, &str); 8] = [
    ("agpl-3.0", "AGPL-3.0-only"),
    ("apache 2.0", "Apache-2.0"),
    ("bsd", "BSD-3-Clause"),
    ("gpl-2.0", "GPL-2.0-only"),
    ("gpl-3.0", "GPL-3.0-only"),
    ("lgpl-3.0", "LGPL-3.0-only"),
    ("odbl", "ODbL-1.0"),
    ("pddl", "PDDL-1.0"),
];

/// The SPDX identifier that a statement means, if it means one.
pub(super) fn spdx(stated: &str) -> Option<&'static str> {
    let lower = stated.trim().to_lowercase();
    SPDX.into_iter()
        .find(|id| id.to_lowercase() == lower)
        .or_else(|| SHORT.into_iter().find(|(short, _)| *short == lower).map(|(_, id)| id))
}

/// A licence choice of CycloneDX: the identifier where there is one, else the words of the file.
pub(super) fn cyclonedx(stated: &str) -> Value {
    match spdx(stated) {
        Some(id) => json!({ "license": { "id": id, "acknowledgement": "declared" } }),
        None => json!({ "license": { "name": stated.trim(), "acknowledgement": "declared" } }),
    }
}
