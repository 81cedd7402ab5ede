//! The archive of a Keras v3 model.

use domain::Severity;

use super::{Layout, Listing, Role};
use crate::formats::keras_stray;
use crate::{Context, Part};

/// The layout.
pub(super) struct Keras;

/// Members that a Keras archive has at its top.
const OWN: &[&str] = &[
    "config.json",
    "metadata.json",
    "model.weights.h5",
    "model.weights.npz",
    "model.weights.json",
    "preprocessor.json",
    "tokenizer.json",
    "task.json",
];

impl Layout for Keras {
    fn name(&self) -> &'static str {
        "keras"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        let weights = listing.members.iter().any(|m| m.name.starts_with("model.weights."));
        listing.get("config.json").is_some()
            && (weights || listing.get("metadata.json").is_some())
            && listing.ending(".safetensors").is_none()
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>) {
        for member in listing.members {
            let name = member.name;
            let shard = name.starts_with("model_") && name.ends_with(".weights.h5");
            let asset = name.starts_with("assets/") && !is_code(name);
            if OWN.contains(&name)
                || shard
                || asset
                || name.ends_with('/')
                || name.ends_with(".md")
                || name.ends_with(".txt")
            {
                continue;
            }
            let message = format!("the archive holds `{name}`, which is no part of a Keras model");
            let remedy = "do not unpack the archive; ask the supplier what the file is for";
            cx.find(part, keras_stray(), Severity::Medium, None, message, remedy);
        }
    }
}

/// Ends of names that are programs or load as such.
fn is_code(name: &str) -> bool {
    [
        ".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".exe", ".pkl", ".pickle", ".bat", ".ps1", ".jar",
        ".pth", ".js",
    ]
    .iter()
    .any(|e| name.to_ascii_lowercase().ends_with(e))
}
