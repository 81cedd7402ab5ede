//! Which operators a plain runtime has.

/// What is known of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// In the standard, or built into ONNX Runtime.
    Plain,
    /// A text or image operator of Microsoft's published extension library.
    Extension,
    /// Runs Python, or calls a service.
    RunsCode,
    /// Opens files by name.
    ReadsFiles,
    /// Nobody's.
    Unknown,
}

/// Domains that ONNX Runtime and its execution providers register themselves.
const RUNTIME: &[&str] = &[
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.microsoft.experimental",
    "com.microsoft.dml",
    "com.ms.internal.nhwc",
    "com.microsoft.automl",
    "org.pytorch.aten",
    "com.microsoft.qdq",
    "com.microsoft.wcr",
    "ai.onnx.preview",
    "ai.onnx.preview.training",
    "ai.onnx.training",
    "ai.onnx.ml",
];

/// Operators of the standard domain, of all versions, with those that early exporters and the runtime's optimiser put there.
const STANDARD: &str = "
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Bernoulli BitCast BitShift BitwiseAnd
BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Cast CastLike CausalConvWithState Ceil Celu CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence
Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumProd CumSum DFT DeformConv DepthToSpace DequantizeLinear Det Div Dropout
DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten FlexAttention Floor GRU Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If
ImageDecoder InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual LinearAttention Log LogSoftmax Loop
LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul
Multinomial Neg NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Optional OptionalGetElement OptionalHasElement Or PRelu Pad Pow
QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1
ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare RegexFullMatch Relu Reshape Resize
ReverseSequence RoiAlign RotaryEmbedding Round STFT Scan Scatter ScatterElements ScatterND Selu SequenceAt SequenceConstruct SequenceEmpty
SequenceErase SequenceInsert SequenceLength SequenceMap Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus
Softsign SpaceToDepth Split SplitToSequence Sqrt Squeeze StringConcat StringNormalizer StringSplit Sub Sum SwiGLU Swish Tan Tanh TensorScatter
TfIdfVectorizer ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Upsample Where Xor
ATen Affine BiasGelu ConstantFill Crop DynamicSlice EmbedLayerNormalization FastGelu FusedConv FusedGemm FusedMatMul GRUUnit GivenTensorFill
ImageScaler MaskedFill MaxpoolWithMask ParametricSoftplus QAttention Scale ScaledTanh SimplifiedLayerNormalization SkipLayerNormalization
SkipSimplifiedLayerNormalization TransposeMatMul Tokenizer Gradient Adam Adagrad Momentum ExpandDims BiasSoftmax Caffe2ConvTranspose
";

/// Operators of onnxruntime-extensions that compute on text, sound and images.
const EXTENSION: &str = "
BasicTokenizer BertTokenizer BertTokenizerDecoder BlingFireSentenceBreaker BpeDecoder CLIPTokenizer GPT2Tokenizer HfBertTokenizer HfJsonTokenizer
RobertaTokenizer SentencepieceDecoder SentencepieceTokenizer SpmTokenizer T5Tokenizer TrieDetokenizer TrieTokenizer WordpieceTokenizer
StringConcat StringECMARegexReplace StringECMARegexSplitWithOffsets StringEqual StringHash StringHashFast StringJoin StringLength StringLower StringMapping
StringRaggedTensorToDense StringRegexReplace StringRegexSplitWithOffsets StringSplit StringStrip StringSlice StringToHashBucket StringToHashBucketFast
StringToVector StringUpper VectorToString MaskedFill RaggedTensorToDense RaggedTensorToSparse SegmentExtraction SegmentSum AudioDecoder DecodeImage
EncodeImage DrawBoundingBoxes GaussianBlur Inverse NegPos STFT StftNorm Tokenizer
";

/// What is known of `kind` in `domain`.
pub(super) fn known(domain: &str, kind: &str) -> Known {
    let lower = kind.to_ascii_lowercase();
    let python = ["pyop", "pythonop", "pycustomop", "pyfunc", "tritonop", "pythonopgrad"]
        .iter()
        .any(|p| lower.starts_with(p));
    let calls = lower.starts_with("azure") || lower.starts_with("openai");
    if python || (calls && !domain.is_empty()) {
        return Known::RunsCode;
    }
    match domain {
        "" => in_list(STANDARD, kind),
        "ai.onnx.contrib" | "com.microsoft.extensions" if lower == "imagereader" => Known::ReadsFiles,
        "ai.onnx.contrib" | "com.microsoft.extensions" => match in_list(EXTENSION, kind) {
            Known::Plain => Known::Extension,
            other => other,
        },
        _ if RUNTIME.contains(&domain) => Known::Plain,
        _ => Known::Unknown,
    }
}

fn in_list(list: &str, kind: &str) -> Known {
    if list.split_ascii_whitespace().any(|k| k == kind) { Known::Plain } else { Known::Unknown }
}
