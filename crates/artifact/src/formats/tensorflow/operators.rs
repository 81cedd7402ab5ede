//! What the operators of TensorFlow do besides computing.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::names::NAMES;

/// What an operator does besides computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::formats) enum Effect {
    /// Nothing.
    None,
    /// Calls a Python function.
    Python,
    /// Reads or writes files, whatever its input.
    Files,
    /// Opens a connection.
    Network,
    /// Saves or restores weights: harmless when the loader gives the name.
    Saver,
    /// Fills a table from a file: harmless when it is an asset.
    Table,
    /// Harmful when this attribute says where to send.
    Attribute(&'static str),
    /// Brought by a published extension.
    Extension(&'static str),
    /// Not TensorFlow's.
    Unknown,
}

const PYTHON: &[&str] = &["PyFunc", "PyFuncStateless", "EagerPyFunc", "PyFunction"];

const FILES: &[&str] = &[
    "ReadFile",
    "WriteFile",
    "MatchingFiles",
    "DeleteFile",
    "Save",
    "SaveSlices",
    "Restore",
    "RestoreSlice",
    "WholeFileReader",
    "WholeFileReaderV2",
    "TextLineReader",
    "TextLineReaderV2",
    "FixedLengthRecordReader",
    "FixedLengthRecordReaderV2",
    "TFRecordReader",
    "TFRecordReaderV2",
    "LMDBReader",
    "RecordInput",
    "ImmutableConst",
    "TextLineDataset",
    "TFRecordDataset",
    "TFRecordDatasetV2",
    "FixedLengthRecordDataset",
    "FixedLengthRecordDatasetV2",
    "CSVDataset",
    "CSVDatasetV2",
    "ExperimentalCSVDataset",
    "LMDBDataset",
    "ExperimentalLMDBDataset",
    "SqlDataset",
    "ExperimentalSqlDataset",
    "SaveDataset",
    "SaveDatasetV2",
    "LoadDataset",
    "SnapshotDataset",
    "SnapshotDatasetV2",
    "SnapshotDatasetReader",
    "SnapshotNestedDatasetReader",
    "SnapshotChunkDataset",
    "ListSnapshotChunksDataset",
    "DatasetToTFRecord",
    "ExperimentalDatasetToTFRecord",
    "MatchingFilesDataset",
    "ExperimentalMatchingFilesDataset",
    "CreateSummaryFileWriter",
    "CreateSummaryDbWriter",
    "ImportEvent",
    "LoadAndRemapMatrix",
    "GenerateVocabRemapping",
    "CheckpointHasTensor",
    "DumpTensor",
    "CalibrationStatisticsSaver",
    "DistributedSave",
    "InitializeTRTResource",
    "FileSystemSetConfiguration",
    "LookupTableExportToFile",
    "SSTableReader",
    "AudioMicrofrontendFile",
    "LoadDynamicLibrary",
    "LoadLibrary",
    "DTensorRestoreV2",
];

const NETWORK: &[&str] = &[
    "Rpc",
    "TryRpc",
    "RpcServer",
    "RpcServerStart",
    "RpcServerRegister",
    "RpcClient",
    "RpcCall",
    "RpcGetValue",
    "RpcCheckStatus",
    "DataServiceDataset",
    "DataServiceDatasetV2",
    "DataServiceDatasetV3",
    "DataServiceDatasetV4",
    "RegisterDataset",
    "RegisterDatasetV2",
    "BigQueryReader",
    "GenerateBigQueryReaderPartitions",
    "ConnectTraceMe",
    "CloudBigtableClient",
    "KafkaDataset",
    "PubSubDataset",
    "KinesisDataset",
    "GcsConfigureCredentials",
    "GcsConfigureBlockCache",
    "HTTPRequest",
    "GrpcClient",
];

const SAVER: &[&str] = &["SaveV2", "RestoreV2", "MergeV2Checkpoints"];
const TABLE: &[&str] = &["InitializeTableFromTextFile", "InitializeTableFromTextFileV2"];

/// Operators and the attribute that says where to.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("DebugIdentity", "debug_urls"),
    ("DebugIdentityV2", "debug_urls"),
    ("DebugIdentityV3", "debug_urls"),
    ("DebugNanCount", "debug_urls"),
    ("DebugNumericSummary", "debug_urls"),
    ("DebugNumericSummaryV2", "debug_urls"),
    ("PrintV2", "output_stream"),
    ("FixedUnigramCandidateSampler", "vocab_file"),
    ("Skipgram", "filename"),
    ("Copy", "debug_ops_spec"),
    ("CopyHost", "debug_ops_spec"),
];

/// Beginnings of names and the library that brings them.
const EXTENSIONS: &[(&str, &str)] = &[
    ("TFText>", "tensorflow-text"),
    ("Sentencepiece", "tensorflow-text"),
    ("WordpieceTokenize", "tensorflow-text"),
    ("FastWordpiece", "tensorflow-text"),
    ("UnicodeScriptTokenize", "tensorflow-text"),
    ("WhitespaceTokenize", "tensorflow-text"),
    ("RegexSplitWithOffsets", "tensorflow-text"),
    ("CaseFoldUTF8", "tensorflow-text"),
    ("NormalizeUTF8", "tensorflow-text"),
    ("SplitMergeTokenize", "tensorflow-text"),
    ("SimpleML", "tensorflow-decision-forests"),
    ("Addons>", "tensorflow-addons"),
    ("NgramsStringJoin", "tensorflow-text"),
    ("ConstrainedSequence", "tensorflow-text"),
    ("RougeL", "tensorflow-text"),
    ("Tokenizer", "tensorflow-text"),
];

/// Operators that write what was computed to the event files of a summary writer.
fn writes_summary(kind: &str) -> bool {
    kind.starts_with("Write") && kind.ends_with("Summary")
        || kind.ends_with("SummaryWriter") && kind != "SummaryWriter"
        || kind.ends_with("Dataset") && (kind.contains("Csv") || kind.contains("CSV"))
}

/// What `kind` does.
pub(in crate::formats) fn effect(kind: &str) -> Effect {
    static OWN: OnceLock<HashSet<&'static str>> = OnceLock::new();
    if PYTHON.contains(&kind) || kind.contains("PyFunc") {
        return Effect::Python;
    }
    if FILES.contains(&kind) || writes_summary(kind) {
        return Effect::Files;
    }
    if NETWORK.contains(&kind) {
        return Effect::Network;
    }
    if SAVER.contains(&kind) {
        return Effect::Saver;
    }
    if TABLE.contains(&kind) {
        return Effect::Table;
    }
    if let Some((_, attribute)) = ATTRIBUTES.iter().find(|a| a.0 == kind) {
        return Effect::Attribute(attribute);
    }
    if OWN.get_or_init(|| NAMES.split_ascii_whitespace().collect()).contains(kind) {
        return Effect::None;
    }
    EXTENSIONS.iter().find(|e| kind.starts_with(e.0)).map_or(Effect::Unknown, |e| Effect::Extension(e.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_that_write_are_told_from_those_that_compute() {
        for kind in
            ["WriteScalarSummary", "WriteGraphSummary", "FlushSummaryWriter", "ImportEvent", "SaveDatasetV2"]
        {
            assert_eq!(effect(kind), Effect::Files, "{kind}");
        }
        for kind in ["ScalarSummary", "MergeSummary", "TensorArrayWriteV3", "MatMul", "SummaryWriter"] {
            assert_eq!(effect(kind), Effect::None, "{kind}");
        }
    }
}
