//! One file per format: its catalogue entries, its reader, its tests.

use domain::Entry;

use crate::{Context, Part, Source};

mod boosting;
pub(crate) mod bytes;
pub(crate) mod carried;
mod compressed;
mod coreml;
mod executorch;
mod gguf;
mod hdf5;
pub(crate) mod joblib;
mod json;
mod keras;
mod media;
mod msgpack;
mod npy;
mod onnx;
pub(crate) mod paths;
mod pickle;
mod program;
mod rds;
mod safetensors;
mod sentencepiece;
mod seven_zip;
mod tar;
mod tensorflow;
mod text;
mod tflite;
mod torch_legacy;
mod xml;
mod yaml;
mod zfile;
mod zip;

pub(crate) use zip::BOMB;

/// What a format is recognised by.
pub struct Input<'a> {
    /// Name of the part; shown, and a hint for what nothing in the content can tell. Never decides alone.
    pub name: &'a str,
    /// All bytes.
    pub source: &'a dyn Source,
    /// The first 64 KiB, or all.
    pub head: &'a [u8],
    /// The last 64 KiB, or all.
    pub tail: &'a [u8],
}

/// How sure a format is that the bytes are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sure {
    /// Last resort, for example "it is text".
    Fallback,
    /// The bytes parse as the format, but could be something else.
    Likely,
    /// A magic number or structure that nothing else has.
    Certain,
}

/// One file format.
pub trait Format: Sync {
    /// Short name, shown and used in reports: `pickle`, `zip`, `onnx`.
    fn name(&self) -> &'static str;

    /// Whether the bytes are of this format. Cheap, bounded, looks at content.
    fn recognise(&self, input: &Input<'_>) -> Option<Sure>;

    /// Names of formats that this one reads as a part of itself, so that they do not read the same bytes again.
    fn includes(&self, input: &Input<'_>) -> &'static [&'static str] {
        let _ = input;
        &[]
    }

    /// Reads all of it: facts, findings, what is inside, and what it could not read. Never fails: what goes wrong is
    /// `cx.unread` or a finding.
    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>);
}

/// All formats. Order decides nothing.
pub(crate) const FORMATS: &[&dyn Format] = &[
    &executorch::ExecuTorch,
    &msgpack::MessagePack,
    &rds::Rds,
    &tflite::TfLite,
    &xml::Xml,
    &boosting::XgboostJson,
    &boosting::XgboostUbj,
    &boosting::XgboostBinary,
    &boosting::LightGbm,
    &boosting::CatBoost,
    &coreml::CoreMl,
    &gguf::Gguf,
    &hdf5::Hdf5,
    &json::Json,
    &keras::KerasJson,
    &keras::KerasMetadata,
    &onnx::Onnx,
    &pickle::Pickle,
    &safetensors::Safetensors,
    &tensorflow::TensorFlow,
    &tensorflow::GraphText,
    &text::Text,
    &yaml::Yaml,
    &zip::Zip,
    &npy::Npy,
    &program::Program,
    &program::Script,
    &tar::Tar,
    &compressed::GZIP,
    &compressed::BZIP2,
    &compressed::XZ,
    &compressed::LZMA,
    &compressed::ZSTD,
    &compressed::LZ4,
    &compressed::ZLIB,
    &sentencepiece::SentencePiece,
    &seven_zip::SevenZip,
    &carried::Rar,
    &torch_legacy::Legacy,
    &media::Media,
    &zfile::Zfile,
];

/// Catalogue entries of all formats.
pub(crate) const ENTRIES: &[&[&Entry]] = &[
    crate::payload::ENTRIES,
    crate::text::jinja::ENTRIES,
    msgpack::ENTRIES,
    rds::ENTRIES,
    tflite::ENTRIES,
    xml::ENTRIES,
    crate::text::config::ENTRIES,
    crate::text::manifests::ENTRIES,
    crate::text::requirements::ENTRIES,
    crate::text::script::ENTRIES,
    text::ENTRIES,
    yaml::ENTRIES,
    boosting::ENTRIES,
    coreml::ENTRIES,
    gguf::ENTRIES,
    hdf5::ENTRIES,
    keras::ENTRIES,
    onnx::ENTRIES,
    pickle::ENTRIES,
    safetensors::ENTRIES,
    tensorflow::ENTRIES,
    &[&crate::embedded::ENTRY, &crate::embedded::POLYGLOT, &npy::ENTRY, &program::ENTRY, &media::ACTIVE],
    &[
        &paths::TRAVERSAL,
        &paths::SPECIAL,
        &zip::rules::DISAGREE,
        &zip::rules::HIDDEN,
        &zip::rules::BOMB,
        &zip::rules::SEALED,
    ],
];

/// The rule on stray members of a Keras archive, for its layout.
pub(crate) fn keras_stray() -> &'static Entry {
    &keras::STRAY
}
