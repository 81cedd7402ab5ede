//! How much a scan may read, hold and unfold, whatever the file says about itself.

/// Bounds of one scan. The defaults hold for every format; a reader's own bounds are constants in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest part that is held in memory at once, bytes. Larger ones are read in stretches where the format allows,
    /// else the part is inconclusive.
    pub memory_max: u64,
    /// Containers inside containers.
    pub depth_max: u32,
    /// Parts of one artefact, all levels together.
    pub parts_max: u64,
    /// Bytes that all decompression together may give.
    pub expanded_max: u64,
    /// Decompressed to compressed, above which a part counts as a bomb once it is larger than a megabyte.
    pub ratio_max: u64,
    /// Steps of interpretation (pickle opcodes, graph nodes, tokens), all parts together.
    pub steps_max: u64,
    /// Findings kept per part; more are counted in one closing finding.
    pub findings_max: usize,
    /// Packages whose entries in the table of callables are not used (`torch`, `subprocess`). For measuring how
    /// libraries that nobody has listed are judged; empty otherwise.
    pub forget: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_max: 32 << 20,
            depth_max: 8,
            parts_max: 200_000,
            expanded_max: 4 << 30,
            ratio_max: 200,
            steps_max: 200_000_000,
            findings_max: 100,
            forget: Vec::new(),
        }
    }
}
