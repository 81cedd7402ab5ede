//! Reads the shared sets; what is absent is said and skipped.

use std::path::PathBuf;

use knowledge::{ClaimKind, Knowledge, Verdict};

/// Folder of the shared data.
pub fn shared() -> PathBuf {
    std::env::var_os("ASEPSIS_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from)
}

/// A file of the shared data, or a loud note.
pub fn read(path: &str) -> Option<String> {
    let path = shared().join("data").join(path);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            println!("SKIPPED {}: {error}", path.display());
            None
        }
    }
}

/// Drug, disease, category of PharmacotherapyDB (the open half).
pub fn pairs() -> Vec<(String, String, String)> {
    let text = read("knowledge/indications_pharmacotherapydb.tsv").unwrap_or_default();
    let rows = text.lines().skip(1).map(|l| l.split('\t').map(str::to_owned).collect::<Vec<_>>());
    rows.filter(|r| r.len() > 4).map(|r| (r[3].clone(), r[2].clone(), r[4].clone())).collect()
}

/// `text` fields of a JSON lines file with a label.
pub fn lines(name: &str) -> Vec<serde_json::Value> {
    let text = read(&format!("text/{name}")).unwrap_or_default();
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

fn contradicted(core: &Knowledge<Vec<u8>>, text: &str) -> Vec<knowledge::Claim> {
    core.claims(text).into_iter().filter(|c| c.verdict == Verdict::Contradicted).collect()
}

/// Reality checks: how many texts of each set hold a contradicted claim.
pub fn texts(core: &Knowledge<Vec<u8>>, show: Option<&str>) {
    println!("\n| set | texts | with a claim | with a contradicted one |\n|---|---|---|---|");
    for (name, pick) in [
        ("clean_pubmedqa_l.open.jsonl", None),
        ("clean_medquad_4k.open.jsonl", None),
        ("clean_mtsamples.open.jsonl", None),
        ("misinfo_medec_ms.open.jsonl", Some(("label", "0"))),
        ("misinfo_medec_ms.open.jsonl", Some(("label", "1"))),
        ("misinfo_healthver.open.jsonl", Some(("label", "Supports"))),
        ("misinfo_healthver.open.jsonl", Some(("label", "Refutes"))),
        ("misinfo_covidfact.open.jsonl", Some(("label", "SUPPORTED"))),
        ("misinfo_covidfact.open.jsonl", Some(("label", "REFUTED"))),
        ("misinfo_coaid_claims.open.jsonl", Some(("label", "0"))),
        ("misinfo_coaid_claims.open.jsonl", Some(("label", "1"))),
    ] {
        let rows = lines(name);
        let wanted =
            |r: &&serde_json::Value| pick.is_none_or(|(k, v)| r[k].to_string().trim_matches('"') == v);
        let texts: Vec<&str> = rows.iter().filter(wanted).filter_map(|r| r["text"].as_str()).collect();
        let claims = texts.iter().filter(|t| !core.claims(t).is_empty()).count();
        let mut wrong = 0;
        for text in &texts {
            let found = contradicted(core, text);
            wrong += usize::from(!found.is_empty());
            if show.is_some_and(|s| name.contains(s)) {
                for claim in &found {
                    let fact = claim.ground.as_ref().map_or("", |g| &g.fact);
                    println!(
                        "   {:?} [{}] <- {}",
                        claim.kind,
                        fact,
                        text.get(claim.start..claim.end).unwrap_or_default()
                    );
                }
            }
        }
        println!(
            "| {name} {} | {} | {claims} | {wrong} |",
            pick.map_or(String::new(), |(_, v)| v.to_owned()),
            texts.len()
        );
    }
    let rows = lines("misinfo_truthfulqa_health.open.jsonl");
    let mut counts = [0_usize; 4];
    for row in &rows {
        for (at, key) in ["correct", "incorrect"].into_iter().enumerate() {
            for text in row[key].as_array().into_iter().flatten().filter_map(|t| t.as_str()) {
                counts[at * 2] += 1;
                counts[at * 2 + 1] += usize::from(
                    contradicted(core, text)
                        .iter()
                        .any(|c| c.kind == ClaimKind::Misinformation || c.kind == ClaimKind::Treats),
                );
            }
        }
    }
    println!(
        "truthfulqa: correct answers {} contradicted {}, incorrect answers {} contradicted {}",
        counts[0], counts[1], counts[2], counts[3]
    );
}
