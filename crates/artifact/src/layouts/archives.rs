//! Archives with a manifest: skops, TorchServe, NeMo; and the folder of sentence-transformers.

use domain::Severity;

use super::repository::{below, document, has_module};
use super::{Layout, Listing, Role};
use crate::text::manifests::LOADER;
use crate::{Context, Part};

/// skops: `schema.json` and the arrays it names.
pub(super) struct Skops;

impl Layout for Skops {
    fn name(&self) -> &'static str {
        "skops"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        listing
            .get("schema.json")
            .is_some_and(|m| document(m).is_some_and(|root| root.get("__loader__").is_some()))
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, _cx: &mut Context<'_>) {
        let Some(root) = listing.get("schema.json").and_then(document) else { return };
        part.facts.framework.get_or_insert_with(|| "scikit-learn (skops)".to_owned());
        part.facts.architecture = root.text_at("__class__").map(|c| c.chars().take(200).collect());
        if let Some(version) = root.text_at("_skops_version") {
            part.facts.libraries.insert(format!("skops=={version}"));
        }
    }
}

/// A TorchServe model archive.
pub(super) struct TorchServe;

impl Layout for TorchServe {
    fn name(&self) -> &'static str {
        "torchserve"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        below(listing, "MAR-INF/MANIFEST.json").is_some()
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let Some((folder, member)) = below(listing, "MAR-INF/MANIFEST.json") else { return };
        let Some(root) = document(member) else { return };
        let Some(handler) = root.get("model").and_then(|m| m.text_at("handler")) else { return };
        let module = handler.split(':').next().unwrap_or_default().trim_end_matches(".py");
        let builtin = module.ends_with("_handler")
            || matches!(
                module,
                "image_classifier" | "image_segmenter" | "object_detector" | "text_classifier"
            )
            || module.starts_with("ts.");
        if !builtin && !has_module(listing, folder, &module.replace('/', ".")) {
            let message = format!("the handler `{handler}` is not in the archive");
            cx.find(
                part,
                &LOADER,
                Severity::Low,
                None,
                message,
                "ask the sender for the code of the handler, and read it first",
            );
        }
    }
}

/// NeMo: `model_config.yaml` and a checkpoint, in a tar.
pub(super) struct Nemo;

impl Layout for Nemo {
    fn name(&self) -> &'static str {
        "nemo"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        below(listing, "model_config.yaml").is_some()
            && listing.members.iter().any(|m| m.name.ends_with(".ckpt") || m.name.contains("model_weights"))
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, _cx: &mut Context<'_>) {
        part.facts.framework.get_or_insert_with(|| "NeMo".to_owned());
        if let Some(root) = below(listing, "model_config.yaml").and_then(|(_, m)| document(m)) {
            part.facts.architecture = root.text_at("target").map(|t| t.chars().take(200).collect());
        }
    }
}

/// The folder of sentence-transformers.
pub(super) struct SentenceTransformers;

impl Layout for SentenceTransformers {
    fn name(&self) -> &'static str {
        "sentence-transformers"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        below(listing, "modules.json").is_some()
            && (below(listing, "config_sentence_transformers.json").is_some()
                || below(listing, "sentence_bert_config.json").is_some()
                || below(listing, "1_Pooling/config.json").is_some())
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, _listing: &Listing<'_>, part: &mut Part, _cx: &mut Context<'_>) {
        part.facts.framework.get_or_insert_with(|| "sentence-transformers".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Member, Verdict, scan_members};

    #[track_caller]
    fn check(files: &[(&str, &str)], format: &str, expected: Verdict) {
        let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(n, t)| (*n, t.as_bytes().to_vec())).collect();
        let members: Vec<Member<'_>> =
            files.iter().map(|(name, bytes)| Member { name, source: bytes }).collect();
        let part = scan_members("m", &members, &Limits::default());
        assert_eq!(
            (part.format.as_str(), part.verdict()),
            (format, expected),
            "{:?}",
            part.all_findings().collect::<Vec<_>>()
        );
    }

    #[test]
    fn skops_names_classes() {
        let good = r#"{"__class__": "Pipeline", "__module__": "sklearn.pipeline", "__loader__": "ObjectNode", "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {"f": {"__class__": "function", "__module__": "builtins", "__loader__": "FunctionNode", "content": {"module_path": "numpy", "function": "log1p"}}}}, "protocol": 2, "_skops_version": "0.11"}"#;
        check(&[("schema.json", good)], "folder:skops", Verdict::Clean);
        check(
            &[(
                "schema.json",
                &good.replace("\"numpy\", \"function\": \"log1p\"", "\"os\", \"function\": \"system\""),
            )],
            "folder:skops",
            Verdict::Found,
        );
        check(
            &[("schema.json", &good.replace("sklearn.pipeline", "subprocess").replace("Pipeline", "Popen"))],
            "folder:skops",
            Verdict::Found,
        );
    }

    #[test]
    fn torchserve_runs_its_handler() {
        let manifest = r#"{"createdOn": "x", "runtime": "python", "model": {"modelName": "m", "handler": "handler.py", "modelVersion": "1.0"}}"#;
        let good = "from ts.torch_handler.base_handler import BaseHandler\n\nclass H(BaseHandler):\n    def handle(self, data, context):\n        return self.inference(data)\n";
        check(
            &[("MAR-INF/MANIFEST.json", manifest), ("handler.py", good)],
            "folder:torchserve",
            Verdict::Clean,
        );
        let bad = "import subprocess\n\ndef handle(data, context):\n    return [subprocess.getoutput(data[0]['body'])]\n";
        check(
            &[("MAR-INF/MANIFEST.json", manifest), ("handler.py", bad)],
            "folder:torchserve",
            Verdict::Found,
        );
        let outside = manifest.replace("handler.py", "../../evil.py");
        check(&[("MAR-INF/MANIFEST.json", &outside)], "folder:torchserve", Verdict::Found);
    }

    #[test]
    fn nemo_builds_its_target() {
        check(
            &[
                (
                    "model_config.yaml",
                    "target: nemo.collections.asr.models.EncDecCTCModel\nsample_rate: 16000\n",
                ),
                ("model_weights.txt", "x"),
            ],
            "folder:nemo",
            Verdict::Clean,
        );
        check(
            &[
                ("./model_config.yaml", "encoder:\n  _target_: os.system\n  command: id\n"),
                ("./model_weights.txt", "x"),
            ],
            "folder:nemo",
            Verdict::Found,
        );
    }

    #[test]
    fn sentence_transformers_imports_its_modules() {
        let good = r#"[{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
        let pooling = ("1_Pooling/config.json", "{\"word_embedding_dimension\": 384}");
        check(&[("modules.json", good), pooling], "folder:sentence-transformers", Verdict::Clean);
        check(
            &[
                (
                    "modules.json",
                    &good.replace("sentence_transformers.models.Transformer", "subprocess.Popen"),
                ),
                pooling,
            ],
            "folder:sentence-transformers",
            Verdict::Found,
        );
        check(
            &[
                (
                    "modules.json",
                    &good.replace("sentence_transformers.models.Transformer", "evil/repo--custom.Module"),
                ),
                pooling,
            ],
            "folder:sentence-transformers",
            Verdict::Found,
        );
    }
}
