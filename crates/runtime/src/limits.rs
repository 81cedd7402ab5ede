//! What a model file and a run may cost at most; every loop over outside bytes is bounded by one of these.

/// Bounds on an untrusted model file and on each run of it. All are inclusive maxima.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the model file. Default 512 MiB: the largest clinical image model met is under 200 MB.
    pub file_bytes_max: usize,
    /// Nodes of the graph. Default 20,000: ResNet-152 exports about 500, a 24-layer transformer about 3,000.
    pub nodes_max: usize,
    /// Initializers of the graph. Default 20,000, for the same reason.
    pub initializers_max: usize,
    /// Attributes of one node. Default 64: the richest operator (TreeEnsembleClassifier) has 26.
    pub attributes_max: usize,
    /// Inputs, or outputs, of one node. Default 1,024: DenseNet concatenates a few dozen tensors.
    pub node_ports_max: usize,
    /// Inputs, outputs or described values of the graph. Default 20,000.
    pub values_max: usize,
    /// Bytes of one name. Default 4,096: exported module paths stay under 300.
    pub name_bytes_max: usize,
    /// Strings in one string attribute or tensor. Default 100,000 (class labels of a large code system).
    pub strings_max: usize,
    /// Dimensions of a tensor. Default 8: video batches have 5, attention 4.
    pub rank_max: usize,
    /// Elements of one tensor, in the file or made by a run. Default 2^27 (512 MiB of float32).
    pub tensor_elements_max: usize,
    /// Bytes of all live intermediate tensors of one run. Default 1 GiB.
    pub activation_bytes_max: usize,
    /// Multiply-adds (or table steps) of one run. Default 2^42: minutes on one core, so a hostile graph cannot hang a worker.
    pub work_max: u64,
    /// Longest path of nodes. Default 10,000: deeper graphs do not occur and would make taps and gradients slow.
    pub depth_max: usize,
    /// Nodes in one tree ensemble. Default 20 million: 10,000 trees of 2,000 nodes.
    pub tree_nodes_max: usize,
    /// Multiply-adds of everything done while loading (constant folding and the shape check). Default 2^34: seconds.
    pub load_work_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: 512 << 20,
            nodes_max: 20_000,
            initializers_max: 20_000,
            attributes_max: 64,
            node_ports_max: 1_024,
            values_max: 20_000,
            name_bytes_max: 4_096,
            strings_max: 100_000,
            rank_max: 8,
            tensor_elements_max: 1 << 27,
            activation_bytes_max: 1 << 30,
            work_max: 1 << 42,
            depth_max: 10_000,
            tree_nodes_max: 20_000_000,
            load_work_max: 1 << 34,
        }
    }
}
