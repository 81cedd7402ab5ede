//! A trained nnU-Net: `plans.json`, `dataset.json`, one folder with a checkpoint per fold.

use super::repository::below;
use super::{Layout, Listing, Role};
use crate::{Context, Part};

/// The layout. nnU-Net imports the classes that its plans name; those are judged as targets.
pub(super) struct NnUnet;

impl Layout for NnUnet {
    fn name(&self) -> &'static str {
        "nnu-net"
    }

    fn recognise(&self, listing: &Listing<'_>) -> bool {
        below(listing, "plans.json").is_some() && below(listing, "dataset.json").is_some()
    }

    fn role(&self, _listing: &Listing<'_>, _name: &str) -> Option<Role> {
        None
    }

    fn read(&self, _listing: &Listing<'_>, part: &mut Part, _cx: &mut Context<'_>) {
        part.facts.framework.get_or_insert_with(|| "nnU-Net".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Member, Verdict, scan_members};

    #[test]
    fn plans_name_networks_and_nothing_else() {
        for (class, conv, expected) in [
            (
                "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "torch.nn.modules.conv.Conv3d",
                Verdict::Clean,
            ),
            ("os.system", "torch.nn.modules.conv.Conv3d", Verdict::Found),
            (
                "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                "subprocess.Popen",
                Verdict::Found,
            ),
        ] {
            let plans = format!(
                r#"{{"dataset_name": "Dataset001", "plans_name": "nnUNetPlans", "configurations": {{"3d_fullres": {{"architecture": {{"network_class_name": "{class}", "arch_kwargs": {{"conv_op": "{conv}", "norm_op": null}}, "_kw_requires_import": ["conv_op"]}}}}}}}}"#
            )
            .into_bytes();
            let dataset = br#"{"channel_names": {"0": "CT"}, "labels": {"background": 0, "spleen": 1}, "file_ending": ".nii.gz"}"#.to_vec();
            let members = [
                Member { name: "plans.json", source: &plans },
                Member { name: "dataset.json", source: &dataset },
            ];
            let part = scan_members("m", &members, &Limits::default());
            assert_eq!(
                (part.format.as_str(), part.verdict()),
                ("folder:nnu-net", expected),
                "{class} {conv}"
            );
        }
    }
}
