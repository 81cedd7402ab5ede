//! Who brought the documents, and whose are found far more often than others.

use std::collections::BTreeMap;

/// Most sources that are told apart; what comes later counts as one.
pub const SOURCES_MAX: usize = 100_000;
/// Documents below which nothing is said of a source.
const DOCUMENTS_MIN: u64 = 5;
/// Share of found documents that the lower end of a source's 95 % interval must reach.
const SHARE_MIN: f64 = 0.2;

/// Documents of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCount {
    /// All.
    pub documents: u64,
    /// Those to be taken out for what stands in them.
    pub found: u64,
}

impl SourceCount {
    /// Whether the source stands out: at least five documents, and surely more than a fifth of them found
    /// (Wilson 1927, doi:10.1080/01621459.1927.10502953).
    pub fn stands_out(self) -> bool {
        self.documents >= DOCUMENTS_MIN && low(self.found, self.documents) > SHARE_MIN
    }
}

/// Lower end of Wilson's 95 % interval.
fn low(hits: u64, of: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of documents are far below 2^53")]
    let (hits, n) = (hits as f64, of as f64);
    let (z, p) = (1.959_963_984_540_054_f64, hits / n);
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((middle - half) / (1.0 + z * z / n)).max(0.0)
}

/// Counts per source.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<String, SourceCount>);

impl Sources {
    /// Counts a document; `source` is a name or an address, of which the host counts.
    pub fn add(&mut self, source: &str, found: bool) {
        let host = host(source);
        let name = if self.0.len() < SOURCES_MAX || self.0.contains_key(host) { host } else { "(others)" };
        let count = self.0.entry(name.to_owned()).or_default();
        count.documents += 1;
        count.found += u64::from(found);
    }

    /// What is known of the source of a document.
    pub fn of(&self, source: &str) -> SourceCount {
        self.0.get(host(source)).copied().unwrap_or_default()
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, SourceCount)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

/// The host of an address; anything else as it is.
fn host(source: &str) -> &str {
    let Some((_, rest)) = source.split_once("://") else { return source };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.rsplit('@').next().unwrap_or(host);
    host.strip_prefix("www.").unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_stands_out_when_chance_does_not_explain_it() {
        let mut sources = Sources::default();
        for n in 0..6 {
            sources.add("https://www.cures.example/a", n < 4);
            sources.add("https://user@journal.example/b?c", n < 1);
        }
        sources.add("one", true);
        assert!(sources.of("http://cures.example").stands_out());
        assert!(!sources.of("https://journal.example/").stands_out());
        assert!(!sources.of("one").stands_out(), "too few to say anything");
        assert_eq!(sources.of("nobody"), SourceCount::default());
        assert_eq!(sources.iter().count(), 3);
    }
}
