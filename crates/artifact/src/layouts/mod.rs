//! Formats that consist of several files: a repository, a bundle, a zip with a layout of its own. One file each.

mod archives;
mod coreml;
mod hugging_face;
mod keras;
mod mlflow;
mod monai_bundle;
mod nnunet;
mod onnx_external;
mod openvino;
mod repository;
mod tensorflow;
mod torch;

use domain::Entry;

use crate::{Context, Member, Part};

/// The files of one folder or archive.
pub struct Listing<'a> {
    /// All files, in the order of the container.
    pub members: &'a [Member<'a>],
}

impl<'a> Listing<'a> {
    /// The file at exactly this path.
    pub fn get(&self, name: &str) -> Option<&'a Member<'a>> {
        self.members.iter().find(|m| m.name == name)
    }

    /// The first file whose path ends so.
    pub fn ending(&self, end: &str) -> Option<&'a Member<'a>> {
        self.members.iter().find(|m| m.name.ends_with(end))
    }
}

/// What a layout says about one of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing special; unknown content stays inconclusive.
    Any,
    /// Raw numbers that the framework never interprets as anything else; unknown content is expected.
    Weights,
}

/// Several files that belong together.
pub trait Layout: Sync {
    /// Short name: `pytorch`, `hugging-face`, `monai-bundle`.
    fn name(&self) -> &'static str;

    /// Whether the files are laid out so.
    fn recognise(&self, listing: &Listing<'_>) -> bool;

    /// What one file is for, when the layout says.
    fn role(&self, listing: &Listing<'_>, name: &str) -> Option<Role>;

    /// Looks at the files together, after each was scanned by itself (`part.parts`, same order).
    fn read(&self, listing: &Listing<'_>, part: &mut Part, cx: &mut Context<'_>);
}

/// All layouts. The first that recognises a folder names it; all that do read it.
pub(crate) const LAYOUTS: &[&dyn Layout] = &[
    &coreml::CoreMl,
    &openvino::OpenVino,
    &keras::Keras,
    &onnx_external::OnnxExternal,
    &tensorflow::TensorFlow,
    &torch::Torch,
    &torch::Exported,
    &archives::SentenceTransformers,
    &archives::Skops,
    &archives::TorchServe,
    &archives::Nemo,
    &mlflow::MlFlow,
    &monai_bundle::MonaiBundle,
    &nnunet::NnUnet,
    &hugging_face::HuggingFace,
];

/// Catalogue entries of all layouts.
pub(crate) const ENTRIES: &[&[&Entry]] = &[torch::ENTRIES];
