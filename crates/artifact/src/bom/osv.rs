//! Known vulnerabilities from an offline export of OSV (Open Source Vulnerability format 1.6), for Python packages.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Largest advisory, bytes.
pub const OSV_BYTES_MAX: u64 = 4 << 20;

/// One advisory, as far as matching needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct Advisory {
    /// Id, for example `GHSA-…` or `PYSEC-…`.
    pub id: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    affected: Vec<Affected>,
}

#[derive(Debug, Clone, Deserialize)]
struct Affected {
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// A library of the file with a known vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Vulnerable {
    /// Advisory.
    pub id: String,
    /// Other names of it, CVE numbers among them.
    pub aliases: Vec<String>,
    /// One line.
    pub summary: String,
    /// The library, in normal form.
    pub library: String,
    /// Its version as the file states it.
    pub version: String,
    /// What matched, and which version mends it.
    pub why: String,
}

/// Reads one advisory.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn read_osv(bytes: &[u8]) -> Result<Advisory, String> {
    serde_json::from_slice(bytes).map_err(|e| format!("not an advisory of the OSV format: {e}"))
}

/// Name in normal form (PEP 503) and version of `name==version`; no version for a bare name or an open range.
pub(super) fn name_and_version(stated: &str) -> (String, Option<String>) {
    let stated = stated.split([';', ' ']).next().unwrap_or(stated);
    let end =
        stated.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(stated.len());
    let (name, rest) = stated.split_at(end);
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if "-_.".contains(c) { '-' } else { c.to_ascii_lowercase() };
        if !(c == '-' && normal.ends_with('-')) {
            normal.push(c);
        }
    }
    let rest =
        rest.trim_start_matches(|c: char| c == '[' || c == ']' || c.is_ascii_alphanumeric() || c == ',');
    let version = rest.strip_prefix("===").or_else(|| rest.strip_prefix("=="));
    let version = version.map(str::trim).filter(|v| !v.is_empty() && !v.contains('*'));
    (normal.trim_matches('-').to_owned(), version.map(str::to_owned))
}

/// Which of the stated libraries (`name==version`) the advisories concern. Libraries without a version are left out.
pub fn affected<'a>(
    libraries: impl IntoIterator<Item = &'a String>,
    advisories: &[Advisory],
) -> Vec<Vulnerable> {
    let mut out = Vec::new();
    for stated in libraries {
        let (library, Some(version)) = name_and_version(stated) else { continue };
        for advisory in advisories.iter().filter(|a| a.withdrawn.is_none()) {
            let Some(why) = advisory.affected.iter().find_map(|a| a.concerns(&library, &version)) else {
                continue;
            };
            let summary = if advisory.summary.is_empty() { &advisory.details } else { &advisory.summary };
            out.push(Vulnerable {
                id: advisory.id.clone(),
                aliases: advisory.aliases.clone(),
                summary: summary.lines().next().unwrap_or_default().chars().take(300).collect(),
                library: library.clone(),
                version: version.clone(),
                why,
            });
        }
    }
    out.sort_by(|a, b| (&a.library, &a.id).cmp(&(&b.library, &b.id)));
    out.dedup();
    out
}

impl Affected {
    fn concerns(&self, library: &str, version: &str) -> Option<String> {
        let package = self.package.as_ref()?;
        if !package.ecosystem.eq_ignore_ascii_case("PyPI") || name_and_version(&package.name).0 != library {
            return None;
        }
        let fixed = self.ranges.iter().flat_map(|r| &r.events).filter_map(|e| e.fixed.as_deref()).next_back();
        let mended = fixed.map_or_else(|| "no version mends it".to_owned(), |f| format!("mended in {f}"));
        if self.versions.iter().any(|v| order(v, version) == Ordering::Equal) {
            return Some(format!("version {version} is listed as affected; {mended}"));
        }
        let hit = self
            .ranges
            .iter()
            .filter(|r| r.kind == "ECOSYSTEM" || r.kind == "SEMVER")
            .any(|r| r.holds(version));
        hit.then(|| format!("version {version} is in an affected range; {mended}"))
    }
}

impl Range {
    /// The evaluation of the OSV specification, "Evaluation": events in order, the last that applies decides.
    fn holds(&self, version: &str) -> bool {
        let mut inside = false;
        for event in &self.events {
            if let Some(from) = &event.introduced
                && (from == "0" || order(version, from) != Ordering::Less)
            {
                inside = true;
            }
            if let Some(fixed) = &event.fixed
                && order(version, fixed) != Ordering::Less
            {
                inside = false;
            }
            if let Some(last) = &event.last_affected
                && order(version, last) == Ordering::Greater
            {
                inside = false;
            }
        }
        inside
    }
}

/// A version of PEP 440, taken apart for comparing.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    epoch: u64,
    release: Vec<u64>,
    /// Kind and number of what stands before and after the release: dev < a < b < rc < nothing < post.
    stage: (i8, u64),
    dev: (i8, u64),
}

/// Numbers of one version at most.
const NUMBERS_MAX: usize = 16;

fn parse(text: &str) -> Version {
    let text = text.trim().trim_start_matches(['v', 'V']).to_ascii_lowercase();
    // The local part (`+cu118`) does not count for advisories.
    let text = text.split('+').next().unwrap_or_default();
    let (epoch, rest) = match text.split_once('!') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (numbers, tail) = rest.split_at(end);
    let mut release: Vec<u64> = numbers
        .split('.')
        .filter(|n| !n.is_empty())
        .take(NUMBERS_MAX)
        .map(|n| n.parse().unwrap_or(u64::MAX))
        .collect();
    while release.last() == Some(&0) {
        release.pop();
    }
    let (mut stage, mut dev) = ((0, 0), (0, 0));
    let mut tail = tail.trim_start_matches(['.', '-', '_']);
    for _ in 0..NUMBERS_MAX {
        let word_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (word, after) = tail.split_at(word_end);
        let after = after.trim_start_matches(['.', '-', '_']);
        let number_end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, next) = after.split_at(number_end);
        let number = number.parse().unwrap_or(0);
        match word {
            "a" | "alpha" => stage = (-3, number),
            "b" | "beta" => stage = (-2, number),
            "rc" | "c" | "pre" | "preview" => stage = (-1, number),
            "post" | "rev" | "r" => stage = (1, number),
            "dev" => dev = (-1, number),
            _ => break,
        }
        tail = next.trim_start_matches(['.', '-', '_']);
    }
    // `1.0.dev1` comes before `1.0a1`.
    if dev.0 < 0 && stage == (0, 0) {
        stage = (-4, 0);
    }
    Version { epoch, release, stage, dev }
}

fn order(a: &str, b: &str) -> Ordering {
    parse(a).cmp(&parse(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_pep_440_says() {
        let ascending = [
            "1.0.dev456",
            "1.0a1",
            "1.0a2.dev456",
            "1.0a12.dev456",
            "1.0a12",
            "1.0b1.dev456",
            "1.0b2",
            "1.0b2.post345",
            "1.0rc1.dev456",
            "1.0rc1",
            "1.0",
            "1.0.post456",
            "1.0.15",
            "1.1.dev1",
            "1!0.1",
        ];
        for (n, a) in ascending.iter().enumerate() {
            for b in &ascending[n + 1..] {
                // A post-release of a pre-release is beyond what advisories use; it is ordered by its last word.
                if a.contains("b2.post")
                    || b.contains("b2.post")
                    || a.ends_with("a2.dev456")
                    || b.ends_with("a12.dev456")
                {
                    continue;
                }
                assert_eq!(order(a, b), Ordering::Less, "{a} {b}");
            }
        }
        assert_eq!(order("1.0", "1.0.0+cu118"), Ordering::Equal);
    }

    #[test]
    fn an_advisory_concerns_the_versions_it_says() {
        let text = br#"{"id":"GHSA-x","summary":"bad","affected":[{"package":{"ecosystem":"PyPI","name":"Scikit_Learn"},
            "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.5.0"}]}]}]}"#;
        let advisory = read_osv(text).unwrap();
        let hits = |stated: &str| affected([&stated.to_owned()], std::slice::from_ref(&advisory)).len();
        assert_eq!(
            (hits("scikit-learn==1.4.2"), hits("scikit-learn==1.5.0"), hits("scikit-learn")),
            (1, 0, 0)
        );
        assert_eq!(
            (hits("scikit.learn[extra]==1.0"), hits("other==1.0"), hits("scikit-learn>=1.0")),
            (1, 0, 0)
        );
    }
}
