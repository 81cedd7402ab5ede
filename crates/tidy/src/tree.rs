//! The files of the repository, and the manifests of its crates.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::source::Source;

/// Folders that are made, not written; `.gitignore` names them too.
const MADE: [&str; 6] = [".git", "target", ".venv", ".data", "__pycache__", "node_modules"];
const MADE_BY_FUZZING: [&str; 3] = ["fuzz/corpus", "fuzz/artifacts", "fuzz/coverage"];

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    // What cargo says now, not what it said when this was compiled: a target directory may serve several clones.
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().and_then(Path::parent).expect("tidy lives in crates/tidy").to_path_buf()
}

/// A file as the repository names it, with forward slashes, and its bytes.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

impl File {
    /// The content, unless the file is binary.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// Every file of the repository in the order of its path.
pub(crate) fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // In a worktree or a submodule `.git` is a file, and it holds an absolute path.
            let short = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
            let made = MADE.contains(&name.as_str()) || MADE_BY_FUZZING.contains(&short.as_str());
            if made || name.ends_with(".snap.new") || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                found.push(File { path: short, bytes });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(
        found.len() > 50,
        "tidy found only {} files under {}: is this the repository?",
        found.len(),
        root.display()
    );
    found
}

/// Every Rust file, read once for all tests.
pub(crate) fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let rust = files().into_iter().filter(|f| f.path.ends_with(".rs"));
        rust.map(|f| Source::read(f.path, String::from_utf8(f.bytes).unwrap())).collect()
    })
}

/// The text of one file, or an explanation of why it is needed.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path} is part of the repository: {e}"))
}

/// A crate's manifest, parsed.
pub(crate) fn manifests() -> BTreeMap<String, toml::Table> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(text) = fs::read_to_string(path.join("Cargo.toml")) {
            let table: toml::Table = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            found.insert(path.file_name().unwrap().to_string_lossy().into_owned(), table);
        }
    }
    found
}

/// Keys of one table of a manifest, empty when the manifest has no such table.
pub(crate) fn keys(manifest: &toml::Table, table: &str) -> Vec<String> {
    manifest
        .get(table)
        .and_then(toml::Value::as_table)
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

/// Fails with every complaint and, once, how to mend them.
pub(crate) fn report(complaints: &[String], how_to_mend: &str) {
    assert!(complaints.is_empty(), "\n{}\n\nHow to mend: {how_to_mend}\n", complaints.join("\n"));
}
