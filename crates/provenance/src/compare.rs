//! Is it still that model: compares what was signed with what is there, and names every difference by file.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Doubt, Finding, Outcome};

use crate::checks::UNREADABLE;
use crate::difference::Difference;
use crate::hash::{ContentDigest, ContentHasher, HashAlgorithm};
use crate::listing::{EntryKind, LinkPolicy, Listing};
use crate::manifest::{Manifest, Method};
use crate::name::{name_problem, shard_parts};
use crate::plan::{Piece, pieces_of};
use crate::verify::Attested;

/// Whether content that no signature covers refuses the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Reported beside the answer: the specification leaves these paths out.
    #[default]
    Report,
    /// A finding: everything in the folder has to be signed.
    Refuse,
}

/// How a folder is compared.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Which links are read through; a signature that was made without links refuses them all the same.
    pub links: LinkPolicy,
    /// What unsigned content in ignored paths means.
    pub uncovered: Strictness,
    /// Where the signature file lies, when that is inside the folder.
    pub signature_file: Option<String>,
}

/// What has to be hashed to compare a folder with a signature.
#[derive(Debug, Clone)]
pub struct CheckPlan<'a> {
    attested: &'a Attested,
    options: CheckOptions,
    links: LinkPolicy,
    /// Signed content by path; unsafe names are not in it.
    signed: BTreeMap<&'a str, Vec<Range<'a>>>,
    pieces: Vec<Piece>,
    /// Files that are there and signed, or may be a renamed one.
    present: BTreeSet<String>,
    differences: Vec<Difference>,
    files: usize,
}

/// A signed range of a file: start, end (`u64::MAX` for a whole file), digest.
type Range<'a> = (u64, u64, &'a ContentDigest);

impl Attested {
    /// Decides what has to be hashed: every signed file that is there, and, when one is missing, the unsigned ones too,
    /// because one of them may be it under another name. Names from the signature are never opened; only names that
    /// the listing found are.
    pub fn plan(&self, listing: &Listing, options: CheckOptions) -> CheckPlan<'_> {
        let manifest = self.manifest();
        // Both have to allow links: the signer, who saw them, and the reader.
        let links = if manifest.allow_symlinks() { options.links } else { LinkPolicy::Refuse };
        let mut differences = Vec::new();
        let signed = signed_content(manifest, &mut differences);
        let mut plan = CheckPlan {
            attested: self,
            links,
            files: signed.len(),
            signed,
            pieces: Vec::new(),
            present: BTreeSet::new(),
            differences,
            options,
        };
        let unsigned = plan.look(listing);
        let missing = plan.signed.keys().any(|path| !plan.present.contains(*path));
        for path in unsigned {
            match listing.get(&path) {
                Some(entry) if missing => {
                    plan.present.insert(path);
                    pieces_of(entry, manifest.method(), &mut plan.pieces);
                }
                _ => plan.differences.push(Difference::Added { path }),
            }
        }
        plan
    }
}

/// Groups the signed lines by file; what cannot be a file of this folder becomes a difference.
fn signed_content<'a>(
    manifest: &'a Manifest,
    differences: &mut Vec<Difference>,
) -> BTreeMap<&'a str, Vec<Range<'a>>> {
    let mut signed: BTreeMap<&str, Vec<Range<'_>>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for resource in manifest.resources() {
        let name = resource.name.as_str();
        let parts = match manifest.method() {
            Method::Files => Some((name, 0, u64::MAX)),
            Method::Shards { .. } => shard_parts(name),
        };
        let Some((path, start, end)) = parts else {
            differences.push(Difference::UnsafeName {
                path: name.to_owned(),
                reason: "it is no `path:start:end`",
                signed: true,
            });
            continue;
        };
        if let Some(reason) = name_problem(path) {
            differences.push(Difference::UnsafeName { path: name.to_owned(), reason, signed: true });
        } else if seen.insert(name) {
            signed.entry(path).or_default().push((start, end, &resource.digest));
        } else {
            differences.push(Difference::Duplicate { path: name.to_owned() });
        }
    }
    signed.values_mut().for_each(|ranges| ranges.sort_unstable_by_key(|(start, ..)| *start));
    signed
}

impl CheckPlan<'_> {
    /// What has to be hashed, to be answered in this order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How it has to be hashed.
    pub const fn algorithm(&self) -> HashAlgorithm {
        self.attested.manifest().algorithm()
    }

    /// Sorts what is in the folder; returns the files that nobody signed.
    fn look(&mut self, listing: &Listing) -> Vec<String> {
        let manifest = self.attested.manifest();
        let mut unsigned = Vec::new();
        for entry in listing.entries() {
            let path = entry.path.clone();
            if self.options.signature_file.as_deref() == Some(path.as_str()) {
                continue;
            }
            let is_signed = self.signed.contains_key(path.as_str());
            let rule = Listing::rule(&path, manifest.ignore_paths());
            if let (Some(rule), false) = (rule, is_signed) {
                self.differences.push(Difference::Ignored { path, rule: rule.to_owned() });
                continue;
            }
            if let Some(reason) = name_problem(&path) {
                self.differences.push(Difference::UnsafeName { path, reason, signed: false });
                continue;
            }
            if let EntryKind::Other(what) = &entry.kind {
                self.differences.push(Difference::Special { path, what: what.clone() });
                continue;
            }
            let is_link = entry.kind != EntryKind::File;
            let read = self.links.reads(&entry.kind);
            if is_link {
                self.differences.push(Difference::Link { path: path.clone(), read });
            }
            if !read {
                continue;
            }
            if entry.size == 0 && matches!(manifest.method(), Method::Shards { .. }) {
                // No shard covers it: neither signed nor missing. A signed one that is empty now has changed.
                if is_signed {
                    self.present.insert(path);
                } else {
                    self.differences.push(Difference::EmptyNotCovered { path });
                }
            } else if is_signed {
                self.present.insert(path);
                pieces_of(entry, manifest.method(), &mut self.pieces);
            } else {
                unsigned.push(path);
            }
        }
        unsigned
    }

    /// The answer, from one result for each piece in their order: its digest, or why it could not be read.
    ///
    /// Fewer results than pieces leave the files they belong to unread, which is a doubt, never a pass.
    pub fn report(mut self, results: &[Result<ContentDigest, String>]) -> Report {
        let mut found: BTreeMap<&str, Vec<(u64, u64, &ContentDigest)>> = BTreeMap::new();
        let mut unread: BTreeMap<String, String> = BTreeMap::new();
        for (i, piece) in self.pieces.iter().enumerate() {
            let whole = self.attested.manifest().method() == Method::Files;
            let end = if whole { u64::MAX } else { piece.end() };
            match results.get(i) {
                Some(Ok(digest)) => found.entry(piece.path()).or_default().push((piece.start(), end, digest)),
                Some(Err(reason)) => {
                    unread.insert(piece.path().to_owned(), reason.clone());
                }
                None => {
                    unread.insert(piece.path().to_owned(), "it was not read".to_owned());
                }
            }
        }
        let sides = Sides::new(&self.signed, &found, &self.present, &unread);
        let (unchanged, more) = sides.differences(&found);
        self.differences.extend(more);
        let doubts = unread
            .iter()
            .map(|(path, reason)| Doubt {
                check: UNREADABLE.id.to_owned(),
                reason: format!("`{}` could not be read: {reason}", crate::name::shown(path)),
            })
            .collect();
        self.differences.sort_by(|a, b| a.path().cmp(b.path()));
        Report {
            files: self.files,
            unchanged,
            strictness: self.options.uncovered,
            differences: self.differences,
            doubts,
        }
    }
}

/// Both sides reduced to one fingerprint for each file.
struct Sides<'a> {
    expected: BTreeMap<&'a str, ContentDigest>,
    actual: BTreeMap<&'a str, ContentDigest>,
    signed: &'a BTreeMap<&'a str, Vec<Range<'a>>>,
    unread: &'a BTreeMap<String, String>,
}

/// Ranges and digests of a file as one digest, so that moved content is recognised whatever the method.
fn fingerprint(ranges: &[Range<'_>]) -> ContentDigest {
    let mut hasher = ContentHasher::new(HashAlgorithm::Sha256);
    for (start, end, digest) in ranges {
        hasher.update(&start.to_be_bytes());
        hasher.update(&end.to_be_bytes());
        hasher.update(digest.as_bytes());
    }
    hasher.finish()
}

impl<'a> Sides<'a> {
    fn new(
        signed: &'a BTreeMap<&'a str, Vec<Range<'a>>>,
        found: &'a BTreeMap<&'a str, Vec<Range<'a>>>,
        present: &'a BTreeSet<String>,
        unread: &'a BTreeMap<String, String>,
    ) -> Self {
        let expected = signed.iter().map(|(path, ranges)| (*path, fingerprint(ranges))).collect();
        let actual = present
            .iter()
            .filter(|path| !unread.contains_key(*path))
            .map(|path| {
                let ranges = found.get(path.as_str()).map(Vec::as_slice).unwrap_or_default();
                (path.as_str(), fingerprint(ranges))
            })
            .collect();
        Self { expected, actual, signed, unread }
    }

    fn differences(&self, found: &BTreeMap<&str, Vec<Range<'_>>>) -> (usize, Vec<Difference>) {
        let mut out = Vec::new();
        let (mut unchanged, mut changed, mut missing) = (0, BTreeSet::new(), BTreeSet::new());
        for (path, expected) in &self.expected {
            match self.actual.get(path) {
                Some(actual) if actual.same(expected) => unchanged += 1,
                Some(_) => {
                    changed.insert(*path);
                }
                None if self.unread.contains_key(*path) => {}
                None => {
                    missing.insert(*path);
                }
            }
        }
        let mut added: BTreeSet<&str> =
            self.actual.keys().copied().filter(|path| !self.expected.contains_key(path)).collect();
        self.renamed(&mut missing, &mut added, &mut out);
        self.moved(&mut changed, &mut out);
        for path in changed {
            let expected = self.signed.get(path).map(Vec::as_slice).unwrap_or_default();
            let actual = found.get(path).map(Vec::as_slice).unwrap_or_default();
            out.push(Difference::Changed { path: path.to_owned(), ranges: changed_ranges(expected, actual) });
        }
        out.extend(missing.into_iter().map(|path| Difference::Missing { path: path.to_owned() }));
        out.extend(added.into_iter().map(|path| Difference::Added { path: path.to_owned() }));
        // Nobody signed it, whatever is in it.
        let unread = self.unread.keys().filter(|path| !self.expected.contains_key(path.as_str()));
        out.extend(unread.map(|path| Difference::Added { path: path.clone() }));
        (unchanged, out)
    }

    /// A missing file whose content, or whose name in another case, stands under an unsigned name.
    fn renamed(
        &self,
        missing: &mut BTreeSet<&'a str>,
        added: &mut BTreeSet<&'a str>,
        out: &mut Vec<Difference>,
    ) {
        let mut by_content: BTreeMap<&ContentDigest, Vec<&'a str>> = BTreeMap::new();
        let mut by_case: BTreeMap<String, &'a str> = BTreeMap::new();
        for path in added.iter() {
            if let Some(content) = self.actual.get(path) {
                by_content.entry(content).or_default().push(path);
            }
            by_case.insert(path.to_lowercase(), path);
        }
        for from in missing.clone() {
            let content = self.expected.get(from).filter(|_| !self.is_empty(from));
            let same_case = by_case.get(&from.to_lowercase()).copied().filter(|to| added.contains(to));
            let same_content = content
                .and_then(|c| by_content.get(c))
                .and_then(|paths| paths.iter().copied().find(|to| added.contains(to)));
            let difference = match (same_case, same_content) {
                (Some(to), _) => {
                    let content_too = self.actual.get(to) == self.expected.get(from);
                    Difference::CaseRenamed {
                        from: from.to_owned(),
                        path: to.to_owned(),
                        changed: !content_too,
                    }
                }
                (None, Some(to)) => Difference::Renamed { from: from.to_owned(), path: to.to_owned() },
                (None, None) => continue,
            };
            missing.remove(from);
            added.remove(difference.path());
            out.push(difference);
        }
    }

    /// Changed files that hold what was signed under another name, alone or exchanged.
    fn moved(&self, changed: &mut BTreeSet<&'a str>, out: &mut Vec<Difference>) {
        let mut signed_as: BTreeMap<&ContentDigest, &'a str> = BTreeMap::new();
        for (path, content) in self.expected.iter().rev() {
            signed_as.insert(content, path);
        }
        for path in changed.clone() {
            if !changed.contains(path) {
                continue;
            }
            let Some(other) = self.actual.get(path).and_then(|content| signed_as.get(content).copied())
            else {
                continue;
            };
            let exchanged =
                changed.contains(other) && other != path && self.actual.get(other) == self.expected.get(path);
            changed.remove(path);
            if exchanged {
                changed.remove(other);
                out.push(Difference::Swapped { path: path.to_owned(), with: other.to_owned() });
            } else {
                out.push(Difference::HoldsOther { path: path.to_owned(), signed_as: other.to_owned() });
            }
        }
    }

    /// Empty files all look alike, so one of them is no renamed other.
    fn is_empty(&self, path: &str) -> bool {
        let Some([(_, _, digest)]) = self.signed.get(path).map(Vec::as_slice) else { return false };
        ContentHasher::new(digest.algorithm()).finish().same(digest)
    }
}

/// Which signed ranges of a file are not as signed; empty when whole files were signed.
fn changed_ranges(expected: &[Range<'_>], actual: &[Range<'_>]) -> Vec<(u64, u64)> {
    /// Ranges that one difference names.
    const RANGES_MAX: usize = 16;
    let differing = |a: &[Range<'_>], b: &[Range<'_>]| -> Vec<(u64, u64)> {
        a.iter()
            .filter(|(start, end, _)| *start != 0 || *end != u64::MAX)
            .filter(|range| !b.contains(range))
            .map(|(start, end, _)| (*start, *end))
            .collect()
    };
    let mut ranges = differing(expected, actual);
    ranges.extend(differing(actual, expected));
    ranges.sort_unstable();
    ranges.dedup();
    ranges.truncate(RANGES_MAX);
    ranges
}

/// The answer about one folder.
#[derive(Debug, Clone)]
pub struct Report {
    /// Files that the signature covers.
    pub files: usize,
    /// Of these, files that are as they were signed.
    pub unchanged: usize,
    /// Every difference, in the order of the paths.
    pub differences: Vec<Difference>,
    /// What could not be read.
    pub doubts: Vec<Doubt>,
    strictness: Strictness,
}

impl Report {
    /// Differences that refuse the model.
    pub fn findings(&self) -> Vec<Finding> {
        let refuse = self.strictness == Strictness::Refuse;
        self.differences.iter().filter(|d| refuse || !d.is_notice()).map(|d| d.finding(refuse)).collect()
    }

    /// Differences that are said and do not refuse: unsigned content where the specification looks away.
    pub fn notices(&self) -> Vec<Finding> {
        let refuse = self.strictness == Strictness::Refuse;
        self.differences.iter().filter(|d| !refuse && d.is_notice()).map(|d| d.finding(refuse)).collect()
    }

    /// Clean when every signed file is as signed and nothing else refuses; a file that could not be read is a doubt.
    pub fn outcome(&self) -> Outcome {
        let findings = self.findings();
        match self.doubts.first() {
            Some(doubt) => Outcome::Inconclusive { doubt: doubt.clone(), findings },
            None => Outcome::from_findings(findings),
        }
    }
}
