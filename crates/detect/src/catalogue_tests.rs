//! Contract tests over all guards.

use std::path::Path;

use crate::ENTRIES;

#[test]
fn every_guard_has_its_headings_and_an_id_of_its_own() {
    for (k, entry) in ENTRIES.iter().enumerate() {
        let mut from = 0;
        for heading in domain::REQUIRED_HEADINGS {
            let at = entry.doc[from..].find(heading);
            assert!(at.is_some(), "{} lacks `{heading}` or has it out of order", entry.id);
            from += at.unwrap_or(0);
        }
        assert_eq!(entry.id, format!("G{:03}", k + 1));
        assert!(entry.summary().len() > 20 && !entry.maps.is_empty());
        assert!(ENTRIES.iter().filter(|other| other.name == entry.name).count() == 1);
    }
}

#[test]
fn every_atlas_id_exists_in_the_framework_data() {
    let shared = std::env::var("ASEPSIS_SHARED").unwrap_or_else(|_| "../../../shared".to_owned());
    let path = Path::new(&shared).join("frameworks/mitre-atlas/atlas-v2026.07-ids.json");
    let Ok(known) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no framework data at {}; set ASEPSIS_SHARED", path.display());
        return;
    };
    for entry in ENTRIES {
        for id in entry.maps.iter().filter(|id| id.starts_with("AML.")) {
            assert!(known.contains(&format!("\"{id}\"")), "{} maps to the unknown {id}", entry.id);
        }
    }
}

#[test]
fn every_file_that_holds_an_entry_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let both = [folder.clone(), folder.join("text")].map(|f| std::fs::read_dir(f).unwrap());
    let with_entry = both.into_iter().flatten().filter(|f| {
        let path = f.as_ref().unwrap().path();
        path.extension().is_some_and(|e| e == "rs")
            && std::fs::read_to_string(path).unwrap().contains("pub static ENTRY = {")
    });
    assert_eq!(with_entry.count() - 1, ENTRIES.len(), "this file's own text counts once");
}
