//! A repository in the manner of Hugging Face: settings, tokenizer, weights, sometimes code.

use domain::Severity;

use super::repository::{below, document, has_module};
use super::{Layout, Listing, Role};
use crate::text::config::ELSEWHERE;
use crate::text::document::Node;
use crate::{Context, Part};

/// The layout.
pub(super) struct HuggingFace;

impl Layout for HuggingFace {
    fn name(&self) -> &'static str {
        "hugging-face"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        let settings = [
            "config.json",
            "tokenizer_config.json",
            "adapter_config.json",
            "model_index.json",
            "preprocessor_config.json",
        ];
        let weights = [
            "model.safetensors",
            "pytorch_model.bin",
            "adapter_model.safetensors",
            "adapter_model.bin",
            "tf_model.h5",
            "flax_model.msgpack",
            "model.safetensors.index.json",
            "pytorch_model.bin.index.json",
            "tokenizer.json",
            "generation_config.json",
            "training_args.bin",
            "README.md",
        ];
        settings.iter().any(|s| below(listing, s).is_some())
            && weights.iter().chain(&settings[1..]).any(|w| below(listing, w).is_some())
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>) {
        for name in
            ["config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json"]
        {
            let Some((folder, member)) = below(listing, name) else { continue };
            let Some(root) = document(member) else { continue };
            let classes = root
                .get("auto_map")
                .map(|m| m.items().iter().flat_map(|(_, v)| v.texts()).collect::<Vec<_>>())
                .unwrap_or_default();
            for class in classes.iter().filter(|c| !c.contains("--")).take(64) {
                let module = class.rsplit_once('.').map_or(*class, |(m, _)| m);
                if !has_module(listing, folder, module) {
                    let message = format!(
                        "`auto_map` of `{name}` needs `{module}.py`, which is not here: it would be fetched from elsewhere"
                    );
                    cx.find(
                        part,
                        &ELSEWHERE,
                        Severity::Low,
                        None,
                        message,
                        "ask the sender for the code, and read it before the model is loaded",
                    );
                }
            }
        }
        missing_shards(listing, part, cx);
    }
}

/// Weight files that the index names and that are not here.
fn missing_shards(listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>) {
    for name in ["model.safetensors.index.json", "pytorch_model.bin.index.json"] {
        let Some((folder, member)) = below(listing, name) else { continue };
        let Some(root) = document(member) else { continue };
        let mut files: Vec<&str> = root
            .get("weight_map")
            .map(|m| m.items().iter().filter_map(|(_, f)| Node::text(f)).collect())
            .unwrap_or_default();
        files.sort_unstable();
        files.dedup();
        let gone = files.iter().filter(|f| listing.get(&format!("{folder}{f}")).is_none()).count();
        if gone > 0 {
            part.facts.note("missing weight files", &gone.to_string());
            let message = format!("{gone} of {} weight files that `{name}` names are not here", files.len());
            cx.find(
                part,
                &crate::text::config::OUTSIDE,
                Severity::Info,
                None,
                message,
                "scan them too before the model is used",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Member, Verdict, scan_members};

    fn verdict(files: &[(&str, &str)]) -> (String, Verdict) {
        let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, t)| (*n, t.as_bytes().to_vec())).collect();
        let members: Vec<Member<'_>> =
            files.iter().map(|(name, bytes)| Member { name, source: bytes }).collect();
        let part = scan_members("repo", &members, &Limits::default());
        (part.format.clone(), part.verdict())
    }

    const CONFIG: &str = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}"#;

    #[test]
    fn ordinary_repositories_are_clean() {
        let files = [
            ("config.json", CONFIG),
            ("generation_config.json", "{\"temperature\": 0.7}"),
            (
                "tokenizer_config.json",
                "{\"chat_template\": \"{% for m in messages %}{{ m.content }}{% endfor %}\"}",
            ),
            ("README.md", "---\nlicense: mit\n---\n# Model\n"),
            (".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n"),
            ("merges.txt", "#version: 0.2\na b\n"),
            ("vocab.json", "{\"a\": 0}"),
            ("requirements.txt", "torch>=2\ntransformers\n"),
        ];
        assert_eq!(verdict(&files), ("folder:hugging-face".to_owned(), Verdict::Clean));
        let code = [
            ("config.json", r#"{"model_type": "x", "auto_map": {"AutoModel": "modeling_x.X"}}"#),
            (
                "modeling_x.py",
                "import torch.nn as nn\n\nclass X(nn.Module):\n    def forward(self, x):\n        return x\n",
            ),
            ("README.md", "# X\n"),
        ];
        assert_eq!(verdict(&code).1, Verdict::Clean);
    }

    #[test]
    fn code_from_elsewhere_and_code_that_acts_are_found() {
        let remote = r#"{"auto_map": {"AutoModel": "someone/other--modeling.X"}}"#;
        assert_eq!(verdict(&[("config.json", remote), ("README.md", "# X\n")]).1, Verdict::Found);
        let acts = [
            ("config.json", r#"{"auto_map": {"AutoModel": "modeling_x.X"}}"#),
            (
                "modeling_x.py",
                "import subprocess\nclass X:\n    def __init__(self):\n        subprocess.run('id', shell=True)\n",
            ),
            ("README.md", "# X\n"),
        ];
        assert_eq!(verdict(&acts).1, Verdict::Found);
        let climbs = r#"{"metadata": {}, "weight_map": {"a": "../../secret.bin"}}"#;
        assert_eq!(
            verdict(&[("config.json", CONFIG), ("model.safetensors.index.json", climbs)]).1,
            Verdict::Found
        );
    }
}
