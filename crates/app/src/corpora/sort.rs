//! The second pass: floods and sources are known now; documents go to `clean/` or `quarantine/`, and the report is made.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use corpus::{Floods, Identifiers, Mark, Sources, What};
use domain::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use super::documents::Documents;
use super::progress::{FileDone, Progress};
use super::{CorpusError, Line, Request, VERDICTS, file_error};

/// Form of the JSON report; a change that breaks readers gets a new number.
pub const SCHEMA: &str = "asepsis-corpus/1";
/// Most places that are named in the report; all are in `documents.jsonl`.
const PLACES_MAX: usize = 200;
/// Most sources that are named.
const SOURCES_SHOWN: usize = 50;

/// Where a document stands, and why it is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The file.
    pub file: String,
    /// Its first line there, from 1; 0 for the whole file.
    pub line: u64,
    /// Why.
    pub why: String,
}

/// Documents with one kind of finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count {
    /// What.
    pub what: What,
    /// In words.
    pub says: String,
    /// Documents.
    pub documents: u64,
    /// Findings by name.
    pub names: BTreeMap<String, u64>,
}

/// Documents of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Source {
    /// Its name, or the host of its address.
    pub name: String,
    /// All documents.
    pub documents: u64,
    /// Those taken out for what stands in them.
    pub found: u64,
    /// Whether it stands out, so that all its documents are taken out.
    pub stands_out: bool,
}

/// What a screening says. It holds no words of the documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Version of the program.
    pub version: String,
    /// Digest of the knowledge graph that claims were held against.
    pub knowledge: String,
    /// Digest of the corpus: of names and digests of its files; none when the run was stopped or a file could not be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub corpus: Option<Digest>,
    /// Whether everything was judged.
    pub complete: bool,
    /// Files, and their bytes as they lie there.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Documents judged.
    pub documents: u64,
    /// Documents taken out.
    pub found: u64,
    /// Documents that could not be read; they are taken out too.
    pub inconclusive: u64,
    /// Findings by kind.
    pub counts: Vec<Count>,
    /// Claims that came as floods of near copies.
    pub floods: u64,
    /// Sources that stand out first, then those with most documents.
    pub sources: Vec<Source>,
    /// Documents taken out, the first of them.
    pub quarantined: Vec<Place>,
    /// What could not be read.
    pub broken: Vec<Place>,
}

/// The report of a run that was stopped.
pub(super) fn stopped(done: &Progress) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        version: done.wishes.version.clone(),
        knowledge: done.wishes.knowledge.clone(),
        corpus: None,
        complete: false,
        files: done.files.len() as u64,
        bytes: done.bytes_all(),
        documents: done.documents(),
        found: 0,
        inconclusive: 0,
        counts: Vec::new(),
        floods: 0,
        sources: Vec::new(),
        quarantined: Vec::new(),
        broken: Vec::new(),
    }
}

/// Goes through what was judged twice: to see what belongs together, then to write.
pub(super) fn sort(
    request: &Request<'_>,
    done: &Progress,
    files: &[(Option<String>, PathBuf)],
    left_out: &[String],
) -> Result<Report, CorpusError> {
    let verdicts = request.out.join(VERDICTS);
    let (mut floods, mut sources) = (Floods::default(), Sources::default());
    each_line(&verdicts, |number, line| {
        if let Some(judged) = &line.judged {
            floods.add(number, &judged.claims, judged.likeness);
            if let Some(from) = &line.from {
                sources.add(from, judged.is_found(request.identifiers));
            }
        }
        Ok(())
    })?;
    let lost = floods.lost();
    let floods = floods.find();
    let flooded = floods.iter().flat_map(|f| f.documents.iter().map(|d| (*d, f.documents.len()))).collect();
    let group = Group { flooded, sources: &sources };
    let mut report = Report { complete: true, floods: floods.len() as u64, ..stopped(done) };
    if lost > 0 {
        let why =
            format!("{lost} claims found no room to be compared: floods may be missed, screen in parts");
        report.broken.push(Place { file: String::new(), line: 0, why });
    }
    let mut writer = Writer { out: &request.out, files, done: &done.files, open: None };
    let mut counts = Counts::default();
    each_line(&verdicts, |number, line| {
        let marks = group.marks(number, &line);
        let out = line.broken.is_some() || marks.iter().any(|m| takes_out(m, request.identifiers));
        counts.add(&marks);
        let place = |why: String| Place { file: name(&done.files, line.file), line: line.line, why };
        if let Some(why) = &line.broken {
            report.inconclusive += 1;
            if report.broken.len() < PLACES_MAX {
                report.broken.push(place(why.clone()));
            }
        } else if out {
            report.found += 1;
            if report.quarantined.len() < PLACES_MAX {
                let first = marks.iter().find(|m| takes_out(m, request.identifiers));
                report.quarantined.push(place(first.map(say).unwrap_or_default()));
            }
        }
        writer.put(line.file, out)
    })?;
    writer.end()?;
    report.counts = counts.0.into_values().collect();
    report.sources = shown(&sources);
    unread(done, left_out, &mut report);
    Ok(report)
}

/// What is known of documents together.
struct Group<'a> {
    /// Near copies of each document that is in a flood.
    flooded: HashMap<u64, usize>,
    sources: &'a Sources,
}

impl Group<'_> {
    /// Everything found in document `number`, and about the group it is in.
    fn marks(&self, number: u64, line: &Line) -> Vec<Mark> {
        let mut marks = line.judged.as_ref().map(|j| j.marks.clone()).unwrap_or_default();
        let mut add = |what, name: &str, why| {
            marks.push(Mark { what, name: name.to_owned(), start: 0, end: 0, why, source: String::new() });
        };
        if let Some(copies) = self.flooded.get(&number) {
            let why = format!("one of {copies} near copies that make the same claim, which nothing supports");
            add(What::Flood, "near-copies", why);
        }
        if let Some(count) = line.from.as_deref().map(|f| self.sources.of(f)).filter(|c| c.stands_out()) {
            let why = format!("{} of {} documents of this source were found", count.found, count.documents);
            add(What::Source, "stands-out", why);
        }
        marks
    }
}

/// Names what was not read; with a file among it the run is not complete, and the corpus has no digest.
fn unread(done: &Progress, left_out: &[String], report: &mut Report) {
    for file in done.files.iter().filter(|f| f.unread.is_some()) {
        let why = file.unread.clone().unwrap_or_default();
        report.broken.push(Place { file: file.name.clone(), line: 0, why });
        report.complete = false;
    }
    report.broken.extend(left_out.iter().map(|why| Place { file: String::new(), line: 0, why: why.clone() }));
    report.corpus = if report.complete { digest(&done.files) } else { None };
}

/// Whether a mark is a reason to take a document out.
fn takes_out(mark: &Mark, identifiers: Identifiers) -> bool {
    mark.what != What::Identifiers || identifiers == Identifiers::Quarantine
}

fn say(mark: &Mark) -> String {
    let by = if mark.source.is_empty() { String::new() } else { format!(" ({})", mark.source) };
    format!("{}: {}{by}", mark.name, mark.why)
}

fn name(files: &[FileDone], at: usize) -> String {
    files.get(at).map(|f| f.name.clone()).unwrap_or_default()
}

/// Digest of names and digests of all files.
fn digest(files: &[FileDone]) -> Option<Digest> {
    let mut hasher = Hasher::new();
    for file in files {
        hasher.field(file.name.as_bytes()).field(file.digest?.as_bytes());
    }
    Some(hasher.finish())
}

/// Sources that stand out, then the largest.
fn shown(sources: &Sources) -> Vec<Source> {
    let mut all: Vec<Source> = sources
        .iter()
        .map(|(name, c)| Source {
            name: name.to_owned(),
            documents: c.documents,
            found: c.found,
            stands_out: c.stands_out(),
        })
        .collect();
    all.sort_by(|a, b| (b.stands_out, b.documents, &a.name).cmp(&(a.stands_out, a.documents, &b.name)));
    all.truncate(SOURCES_SHOWN);
    all
}

#[derive(Default)]
struct Counts(BTreeMap<What, Count>);

impl Counts {
    fn add(&mut self, marks: &[Mark]) {
        for what in What::ALL {
            let mut own = marks.iter().filter(|m| m.what == what).peekable();
            if own.peek().is_none() {
                continue;
            }
            let count = self.0.entry(what).or_insert_with(|| Count {
                what,
                says: what.describe().to_owned(),
                documents: 0,
                names: BTreeMap::new(),
            });
            count.documents += 1;
            for mark in own {
                *count.names.entry(mark.name.clone()).or_default() += 1;
            }
        }
    }
}

/// Every line of the verdicts, with the number of its document.
fn each_line(
    path: &Path,
    mut visit: impl FnMut(u64, Line) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let reader = BufReader::new(File::open(path).map_err(file_error(path))?);
    for (number, line) in reader.lines().enumerate() {
        let line = line.map_err(file_error(path))?;
        let line: Line = serde_json::from_str(&line).map_err(|_| {
            CorpusError::Other(format!("line {} of `{}` is damaged", number + 1, path.display()))
        })?;
        visit(number as u64, line)?;
    }
    Ok(())
}

/// Writes documents as they stood, in files of the names they came from.
struct Writer<'a> {
    out: &'a Path,
    files: &'a [(Option<String>, PathBuf)],
    done: &'a [FileDone],
    open: Option<Open>,
}

struct Open {
    at: usize,
    from: Documents,
    clean: (PathBuf, BufWriter<File>),
    quarantine: (PathBuf, BufWriter<File>),
}

impl Writer<'_> {
    /// The next document of file `at` goes to the clean ones, or `out`.
    fn put(&mut self, at: usize, out: bool) -> Result<(), CorpusError> {
        if self.open.as_ref().is_none_or(|o| o.at != at) {
            self.end()?;
            let path = self.files.get(at).map(|f| f.1.as_path()).unwrap_or(self.out);
            let from = Documents::open(path).map_err(file_error(path))?;
            let name = plain(&name(self.done, at));
            let clean = create(&self.out.join("clean").join(&name))?;
            let quarantine = create(&self.out.join("quarantine").join(&name))?;
            self.open = Some(Open { at, from, clean, quarantine });
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let path = self.files.get(at).map(|f| f.1.as_path()).unwrap_or(self.out);
        if let Some(raw) = open.from.next().map_err(file_error(path))? {
            let (path, to) = if out { &mut open.quarantine } else { &mut open.clean };
            let ended = raw.bytes.last() == Some(&b'\n') || open.from.form == super::documents::Form::Text;
            let end: &[u8] = if ended { b"" } else { b"\n" };
            to.write_all(&raw.bytes).and_then(|()| to.write_all(end)).map_err(file_error(path))?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), CorpusError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        for (path, mut to) in [open.clean, open.quarantine] {
            to.flush().map_err(file_error(&path))?;
            // An empty file would say that something was there.
            if to.get_ref().metadata().is_ok_and(|m| m.len() == 0) {
                std::fs::remove_file(&path).map_err(file_error(&path))?;
            }
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<(PathBuf, BufWriter<File>), CorpusError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(file_error(folder))?;
    }
    Ok((path.to_owned(), BufWriter::new(File::create(path).map_err(file_error(path))?)))
}

/// The name without the ending of what packed it: outputs are plain.
fn plain(name: &str) -> String {
    [".gz", ".zst"].iter().find_map(|e| name.strip_suffix(e)).unwrap_or(name).to_owned()
}
