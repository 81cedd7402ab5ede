//! A MONAI bundle: `configs/metadata.json`, configurations with expressions, models, sometimes scripts.

use super::repository::below;
use super::{Layout, Listing, Role};
use crate::{Context, Part};

/// The layout. Its configurations are judged one by one, whatever they are called; so are its scripts.
pub(super) struct MonaiBundle;

impl Layout for MonaiBundle {
    fn name(&self) -> &'static str {
        "monai-bundle"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        let configs = listing.members.iter().any(|m| {
            m.name.contains("configs/") && m.name.ends_with(".json")
                || m.name.contains("configs/") && m.name.ends_with(".yaml")
        });
        configs
            && (below(listing, "configs/metadata.json").is_some()
                || listing
                    .members
                    .iter()
                    .any(|m| m.name.ends_with("models/model.pt") || m.name.ends_with("models/model.ts")))
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, _listing: &Listing<'_>, part: &mut Part, _cx: &mut Context<'_>) {
        part.facts.framework.get_or_insert_with(|| "MONAI bundle".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Member, Verdict, scan_members};

    #[test]
    fn bundles_are_judged_by_their_expressions_and_scripts() {
        for (expression, script, expected) in [
            ("$@net.to(@device)", "import torch\n", Verdict::Clean),
            ("$os.system('id')", "import torch\n", Verdict::Found),
            ("$scripts.helper()", "import os\ndef helper():\n    os.system('id')\n", Verdict::Found),
        ] {
            let metadata = br#"{"version": "0.1.0", "monai_version": "1.3.0", "pytorch_version": "2.1", "task": "segmentation", "network_data_format": {}}"#.to_vec();
            let train = format!("{{\"imports\": [\"$import os\"], \"net\": {{\"_target_\": \"UNet\"}}, \"run\": [\"{expression}\"]}}").into_bytes();
            let script = script.as_bytes().to_vec();
            let members = [
                Member { name: "spleen/configs/metadata.json", source: &metadata },
                Member { name: "spleen/configs/train.json", source: &train },
                Member { name: "spleen/scripts/__init__.py", source: &script },
            ];
            let part = scan_members("m", &members, &Limits::default());
            assert_eq!(
                (part.format.as_str(), part.verdict()),
                ("folder:monai-bundle", expected),
                "{expression}"
            );
        }
    }
}
