//! TensorFlow Lite (LiteRT) models.

use domain::{Entry, Severity, catalogue_entry};

use super::tensorflow::{Effect, effect};
use super::{Format, Input, Sure};
use crate::wire::flat::{Flat, Table};
use crate::{Context, Part, Port, Range, embedded, payload};

catalogue_entry! {
    /// A compact model for devices uses an operator of a foreign library, or contradicts itself.
    ///
    /// ## What it is
    /// In TensorFlow Lite an operator that is neither built in nor one of the published ones, or a TensorFlow operator
    /// (`Flex…`) that reads, writes or sends something; in ExecuTorch a backend that loads native code, or an operator of a
    /// foreign library; in both, data that lies outside the file.
    ///
    /// ## Why it matters in care
    /// To run it somebody must link the supplier's native code into the device or service.
    ///
    /// ## Limits
    /// What the native code does is not seen. Operators of special hardware are foreign too.
    ///
    /// ## References
    /// TensorFlow Lite custom operators; ExecuTorch backend delegates; CWE-829.
    pub(crate) static OPERATOR = {
        id: "S072", name: "device-foreign-operator", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "AML.T0018.001", "CWE-829", "CWE-1284"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&OPERATOR];

/// Elements of any vector in the model that is walked.
const ITEMS_MAX: u64 = 1_000_000;
/// Custom operators that come with TensorFlow Lite or with published tools.
const KNOWN: &[&str] = &[
    "TFLite_Detection_PostProcess",
    "Mfcc",
    "AudioSpectrogram",
    "AudioMicrofrontend",
    "MaxPoolingWithArgmax2D",
    "MaxUnpooling2D",
    "Convolution2DTransposeBias",
    "TransformTensorBilinear",
    "TransformLandmarks",
    "Landmarks2TransformMatrix",
    "NumericVerify",
    "edgetpu-custom-op",
    "ethos-u",
    "Resampler",
    "RoIToTransformMatrix",
    "SIGNAL:RFFT",
    "SignalRfft",
    "SignalFftAutoScale",
    "SignalEnergy",
    "SignalFilterBank",
    "SignalWindow",
    "SignalFramer",
    "SignalPCAN",
    "HASHTABLE",
    "AddN",
    "Atan2",
    "Sign",
    "Roll",
    "Irfft2d",
    "Cumsum",
];

/// The format.
pub(super) struct TfLite;

impl Format for TfLite {
    fn name(&self) -> &'static str {
        "tflite"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        (input.head.get(4..8) == Some(b"TFL3")).then_some(Sure::Certain)
    }

    fn includes(&self, _input: &Input<'_>) -> &'static [&'static str] {
        &["zip"]
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        embedded::search(input.source, part, cx);
        payload::tail(input, part, cx);
        let flat = Flat::new(input.source, 0);
        let Some(model) = flat.root() else { return cx.unread(part, Some(0), "the model is cut off") };
        if !model.is_whole() {
            return flaw(part, cx, "the model begins outside the file");
        }
        part.facts.framework = Some(format!("TensorFlow Lite {}", model.number(0, 4)));
        let description = model.text(3);
        if !description.is_empty() {
            part.facts.producer = Some(description.chars().take(200).collect());
            payload::text(&description, "the description of the model", None, part, cx);
        }
        if [1, 2, 4, 6].iter().any(|i| !model.holds_whole(*i, ITEMS_MAX))
            || model
                .vector(2, 4, ITEMS_MAX)
                .into_iter()
                .flat_map(|v| v.tables())
                .any(|graph| !graph.holds_whole(0, ITEMS_MAX) || !graph.holds_whole(3, ITEMS_MAX))
        {
            return flaw(part, cx, "a list of the model lies outside the file");
        }
        operators(&model, part, cx);
        let buffers: Vec<Table<'_>> =
            model.vector(4, 4, ITEMS_MAX).into_iter().flat_map(|v| v.tables()).collect();
        let end = contents(&buffers, input, part, cx);
        graphs(&model, &buffers, part, cx);
        for entry in model.vector(6, 4, ITEMS_MAX).into_iter().flat_map(|v| v.tables()) {
            part.facts.note(format!("metadata {}", entry.text(0)), "");
        }
        if end > 0 {
            payload::bytes(
                &Range::from(input.source, end),
                "what follows the last buffer",
                Some(end),
                part,
                cx,
            );
        }
    }
}

fn flaw(part: &mut Part, cx: &mut Context<'_>, what: &str) {
    cx.find(
        part,
        &OPERATOR,
        Severity::Medium,
        None,
        what,
        "do not use the file; ask the supplier for a valid export",
    );
}

fn operators(model: &Table<'_>, part: &mut Part, cx: &mut Context<'_>) {
    let codes: Vec<(u64, String)> = model
        .vector(1, 4, ITEMS_MAX)
        .into_iter()
        .flat_map(|v| v.tables())
        .map(|code| (code.number(0, 1).max(code.number(3, 4)), code.text(1)))
        .collect();
    /// Number of the built-in operator that stands for a custom one.
    const CUSTOM: u64 = 32;
    for (builtin, custom) in &codes {
        if *builtin == CUSTOM || !custom.is_empty() {
            judge(custom, part, cx);
        }
    }
    for graph in model.vector(2, 4, ITEMS_MAX).into_iter().flat_map(|v| v.tables()) {
        for operator in graph.vector(3, 4, ITEMS_MAX).into_iter().flat_map(|v| v.tables()) {
            if cx.step(1).is_err() {
                return cx.unread(
                    part,
                    None,
                    "the limit of steps is reached; scan the parts of this artefact apart",
                );
            }
            let code = usize::try_from(operator.number(0, 4)).ok().and_then(|i| codes.get(i));
            match code {
                Some((builtin, name)) if name.is_empty() => {
                    part.facts.operator(&format!("builtin {builtin}"))
                }
                Some((_, name)) => part.facts.operator(name),
                None => flaw(part, cx, "an operator names a code that is not in the list"),
            }
        }
    }
}

fn judge(name: &str, part: &mut Part, cx: &mut Context<'_>) {
    let remedy =
        "ask the supplier for an export in built-in operators; do not link a library that comes with a model";
    if let Some(inner) = name.strip_prefix("Flex") {
        part.facts.libraries.insert("tensorflow-lite-select-tf-ops".to_owned());
        let (severity, does) = match effect(inner) {
            Effect::Python => (Severity::High, "calls Python"),
            Effect::Files | Effect::Saver | Effect::Table | Effect::Attribute(_) => {
                (Severity::High, "reads or writes files")
            }
            Effect::Network => (Severity::High, "opens connections"),
            Effect::Unknown => (Severity::Medium, "is no operator of TensorFlow"),
            Effect::None | Effect::Extension(_) => return,
        };
        return cx.find(part, &OPERATOR, severity, None, format!("the operator `{name}` {does}"), remedy);
    }
    let published =
        KNOWN.contains(&name) || name.starts_with("tftext:") || name.starts_with("TFSentencepiece");
    if !published {
        cx.find(
            part,
            &OPERATOR,
            Severity::Medium,
            None,
            format!("the operator `{name}` needs a foreign library"),
            remedy,
        );
    }
}

/// Looks at the buffers and returns where the last of them ends.
fn contents(buffers: &[Table<'_>], input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) -> u64 {
    let mut end = 0;
    for (n, buffer) in buffers.iter().enumerate() {
        let what = format!("buffer {n}");
        if buffer.is_broken(0, 1) {
            flaw(part, cx, &format!("{what} lies outside the file"));
        } else if let Some(data) = buffer.vector(0, 1, u64::MAX).filter(|d| d.len > 0) {
            payload::bytes(
                &Range::new(input.source, data.start(), data.len),
                &what,
                Some(data.start()),
                part,
                cx,
            );
            end = end.max(data.start().saturating_add(data.len));
        }
        let (offset, size) = (buffer.number(1, 8), buffer.number(2, 8));
        if offset > 1 {
            if offset.checked_add(size).is_none_or(|e| e > input.source.len()) {
                flaw(part, cx, &format!("{what} lies outside the file"));
            }
            payload::bytes(&Range::new(input.source, offset, size), &what, Some(offset), part, cx);
        }
    }
    end
}

fn graphs(model: &Table<'_>, buffers: &[Table<'_>], part: &mut Part, cx: &mut Context<'_>) {
    /// Ports kept.
    const PORTS_MAX: usize = 100;
    let mut parameters = 0u64;
    for (n, graph) in model.vector(2, 4, ITEMS_MAX).into_iter().flat_map(|v| v.tables()).enumerate() {
        let tensors: Vec<Table<'_>> =
            graph.vector(0, 4, ITEMS_MAX).into_iter().flat_map(|v| v.tables()).collect();
        for tensor in &tensors {
            let buffer = tensor.number(2, 4);
            if buffer >= buffers.len().max(1) as u64 {
                flaw(part, cx, &format!("tensor `{}` is in a buffer that is not there", tensor.text(3)));
            }
            let filled = usize::try_from(buffer).ok().and_then(|n| buffers.get(n));
            if buffer > 0 && filled.is_some_and(|b| b.vector(0, 1, u64::MAX).is_some_and(|v| v.len > 0)) {
                let shape = tensor.vector(0, 4, 64);
                let product =
                    shape.into_iter().flat_map(|v| v.numbers(4)).try_fold(1u64, |n, d| n.checked_mul(d));
                parameters = parameters.saturating_add(product.unwrap_or(0));
            }
        }
        for (index, list) in [(1, 0), (2, 1)] {
            for at in graph.vector(index, 4, 10_000).into_iter().flat_map(|v| v.numbers(4)) {
                let Some(tensor) = usize::try_from(at).ok().and_then(|i| tensors.get(i)) else { continue };
                let shape = tensor
                    .vector(0, 4, 64)
                    .into_iter()
                    .flat_map(|v| v.numbers(4))
                    .map(|d| (d as u32).cast_signed().to_string())
                    .collect();
                let port =
                    Port { name: tensor.text(3), datatype: datatype(tensor.number(1, 1)).to_owned(), shape };
                let ports = if list == 0 { &mut part.facts.inputs } else { &mut part.facts.outputs };
                if n == 0 && ports.len() < PORTS_MAX {
                    ports.push(port);
                }
            }
        }
    }
    part.facts.parameters = Some(parameters);
}

fn datatype(kind: u64) -> &'static str {
    const KINDS: &[&str] = &[
        "float32",
        "float16",
        "int32",
        "uint8",
        "int64",
        "string",
        "bool",
        "int16",
        "complex64",
        "int8",
        "float64",
        "complex128",
        "uint64",
        "resource",
        "variant",
        "uint32",
        "uint16",
        "int4",
        "bfloat16",
    ];
    usize::try_from(kind).ok().and_then(|k| KINDS.get(k)).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use crate::wire::flat::build::{F, file};
    use crate::{Limits, Part, Verdict, scan};

    fn model(codes: Vec<Vec<F>>, buffer: Vec<u8>) -> Vec<u8> {
        let tensor = vec![F::Ints(vec![2, 2]), F::None, F::U32(1), F::Text("w")];
        let graph = vec![
            F::Tables(vec![tensor]),
            F::Ints(vec![0]),
            F::Ints(vec![0]),
            F::Tables(vec![vec![F::U32(0)]]),
        ];
        let buffers = vec![vec![], vec![F::Bytes(buffer)]];
        file(
            b"TFL3",
            &[F::U32(3), F::Tables(codes), F::Tables(vec![graph]), F::Text("converter"), F::Tables(buffers)],
        )
    }

    fn custom(name: &'static str) -> Vec<F> {
        vec![F::U32(32), F::Text(name), F::None, F::U32(32)]
    }

    fn read(bytes: &[u8]) -> Part {
        scan("m.tflite", &bytes, &Limits::default())
    }

    #[test]
    fn an_ordinary_model_is_clean_and_described() {
        let part = read(&model(vec![vec![F::U32(9), F::None, F::None, F::U32(9)]], vec![0; 16]));
        assert_eq!(part.verdict(), Verdict::Clean, "{part:?}");
        assert_eq!((part.facts.parameters, part.facts.operators["builtin 9"]), (Some(4), 1));
        assert_eq!(part.facts.inputs[0].shape, ["2", "2"]);
        assert_eq!(read(&model(vec![custom("FlexConv2D")], vec![0; 16])).verdict(), Verdict::Clean);
        assert_eq!(
            read(&model(vec![custom("TFLite_Detection_PostProcess")], vec![0; 16])).verdict(),
            Verdict::Clean
        );
    }

    #[test]
    fn foreign_and_harmful_operators_and_payloads_are_found() {
        for name in ["FlexWriteFile", "FlexPyFunc", "FlexEagerPyFunc", "FlexNoSuchThing", "VendorShell"] {
            assert_eq!(read(&model(vec![custom(name)], vec![0; 16])).verdict(), Verdict::Found, "{name}");
        }
        assert_eq!(
            read(&model(vec![vec![F::U32(9)]], b"\x7fELF\x02\x01\x01\0".to_vec())).verdict(),
            Verdict::Found
        );
    }

    #[test]
    fn a_model_or_table_outside_the_file_is_found() {
        let good = model(vec![vec![F::U32(9)]], vec![0; 16]);
        for outside in [0xffff_fff0_u32, good.len() as u32 + 4, good.len() as u32 - 1] {
            let mut bytes = good.clone();
            bytes[..4].copy_from_slice(&outside.to_le_bytes());
            assert_eq!(read(&bytes).verdict(), Verdict::Found, "{outside}");
        }
    }

    #[test]
    fn a_pickle_at_the_end_is_found() {
        let mut bytes = model(vec![vec![F::U32(9)]], vec![0; 16]);
        bytes.extend(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.");
        assert_eq!(read(&bytes).verdict(), Verdict::Found);
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(flips in proptest::collection::vec((0usize..400, proptest::num::u8::ANY), 0..10)) {
            let mut bytes = model(vec![custom("FlexConv2D")], vec![0; 16]);
            for (at, value) in flips {
                if !(4..8).contains(&at) && let Some(b) = bytes.get_mut(at) { *b = value; }
            }
            let _ = read(&bytes);
        }
    }
}
