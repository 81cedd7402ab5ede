//! An MLflow model: `MLmodel`, the environment, the model in its own format, sometimes code.

use domain::Severity;

use super::repository::{below, document, has_module};
use super::{Layout, Listing, Role};
use crate::text::manifests::LOADER;
use crate::{Context, Part};

/// The layout.
pub(super) struct MlFlow;

impl Layout for MlFlow {
    fn name(&self) -> &'static str {
        "mlflow"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        below(listing, "MLmodel").is_some()
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let Some((folder, member)) = below(listing, "MLmodel") else { return };
        let Some(root) = document(member) else { return };
        for (flavor, settings) in root.get("flavors").map(|f| f.items()).unwrap_or_default() {
            let Some(module) = settings.text_at("loader_module") else { continue };
            if module != "mlflow" && !module.starts_with("mlflow.") && !has_module(listing, folder, module) {
                let message =
                    format!("the loader `{module}` of `{flavor}` is neither MLflow's nor in the model");
                cx.find(
                    part,
                    &LOADER,
                    Severity::Medium,
                    None,
                    message,
                    "ask the sender for the code of the loader, and read it before the model is loaded",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Member, Verdict, scan_members};

    #[test]
    fn loaders_of_mlflow_are_clean_and_unknown_ones_are_found() {
        for (module, code, expected) in [
            ("mlflow.sklearn", "import numpy\n", Verdict::Clean),
            ("my_loader", "import numpy\n", Verdict::Clean),
            ("my_loader", "import os\nos.system('id')\n", Verdict::Found),
            ("absent_loader", "import numpy\n", Verdict::Found),
            ("os", "import numpy\n", Verdict::Found),
        ] {
            let model = format!("artifact_path: model\nflavors:\n  python_function:\n    env:\n      conda: conda.yaml\n    loader_module: {module}\n    code: code\nmlflow_version: 2.9.2\n").into_bytes();
            let code = code.as_bytes().to_vec();
            let conda =
                b"channels:\n- conda-forge\ndependencies:\n- python=3.10\n- pip:\n  - mlflow==2.9.2\n"
                    .to_vec();
            let members = [
                Member { name: "MLmodel", source: &model },
                Member { name: "code/my_loader.py", source: &code },
                Member { name: "conda.yaml", source: &conda },
            ];
            let part = scan_members("m", &members, &Limits::default());
            assert_eq!(
                (part.format.as_str(), part.verdict()),
                ("folder:mlflow", expected),
                "{module} {:?}",
                part.walk()
            );
        }
    }
}
