//! ExecuTorch programs (`.pte`).

use domain::Severity;

use super::tflite::OPERATOR;
use super::{Format, Input, Sure};
use crate::wire::flat::{Flat, Table};
use crate::{Context, Part, Range, embedded, payload};

/// Elements of any vector in the program that is walked.
const ITEMS_MAX: u64 = 1_000_000;
/// Backends that run data, published with ExecuTorch.
const BACKENDS: &[&str] = &[
    "XnnpackBackend",
    "CoreMLBackend",
    "MPSBackend",
    "QnnBackend",
    "VulkanBackend",
    "EthosUBackend",
    "CadenceBackend",
    "NeuropilotBackend",
    "OpenvinoBackend",
    "VGFBackend",
    "ArmBackend",
    "EnnBackend",
    "NXPBackend",
    "SamsungBackend",
];
/// Operator libraries published with ExecuTorch.
const LIBRARIES: &[&str] = &[
    "aten",
    "quantized_decomposed",
    "executorch_prim",
    "llama",
    "et_vk",
    "quantized",
    "cortex_m",
    "cadence",
    "dim_order_ops",
    "torchao",
    "prim",
    "xnnpack",
];

/// The format.
pub(super) struct ExecuTorch;

impl Format for ExecuTorch {
    fn name(&self) -> &'static str {
        "executorch"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let identifier = input.head.get(4..8)?;
        (identifier.starts_with(b"ET") && identifier.iter().skip(2).all(u8::is_ascii_digit))
            .then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        embedded::search(input.source, part, cx);
        payload::tail(input, part, cx);
        let Some(program) = Flat::new(input.source, 0).root() else {
            return cx.unread(part, Some(0), "the program is cut off");
        };
        if !program.is_whole() {
            return outside(part, cx, "the program begins outside the file");
        }
        part.facts.framework = Some(format!("ExecuTorch {}", program.number(0, 4)));
        if [1, 3, 4].iter().any(|i| !program.holds_whole(*i, ITEMS_MAX))
            || tables(&program, 1).any(|p| !p.holds_whole(6, ITEMS_MAX) || !p.holds_whole(7, ITEMS_MAX))
        {
            return outside(part, cx, "a list of the program lies outside the file");
        }
        for plan in tables(&program, 1) {
            part.facts.note(format!("method {}", plan.text(0)), "");
            for operator in tables(&plan, 6) {
                judge_operator(&operator.text(0), part, cx);
            }
            for delegate in tables(&plan, 7) {
                judge_backend(&delegate.text(0), part, cx);
            }
        }
        for (n, data) in tables(&program, 3).enumerate() {
            if let Some(bytes) = data.vector(0, 1, u64::MAX) {
                payload::bytes(
                    &Range::new(input.source, bytes.start(), bytes.len),
                    &format!("data {n} of a backend"),
                    Some(bytes.start()),
                    part,
                    cx,
                );
            }
        }
        segments(&program, input, part, cx);
    }
}

fn outside(part: &mut Part, cx: &mut Context<'_>, what: &str) {
    let remedy = "do not use the file; ask the supplier for a valid export";
    cx.find(part, &OPERATOR, Severity::Medium, None, what, remedy);
}

fn tables<'a>(table: &Table<'a>, index: u64) -> impl Iterator<Item = Table<'a>> + use<'a> {
    table.vector(index, 4, ITEMS_MAX).into_iter().flat_map(|v| v.tables())
}

fn judge_operator(name: &str, part: &mut Part, cx: &mut Context<'_>) {
    part.facts.operator(name);
    let library = name.split_once("::").map_or("", |(l, _)| l);
    if !library.is_empty() && !LIBRARIES.contains(&library) {
        let remedy = "ask the supplier for an export in published operators; do not link a library that comes with a model";
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

fn judge_backend(name: &str, part: &mut Part, cx: &mut Context<'_>) {
    part.facts.libraries.insert(name.to_owned());
    if BACKENDS.contains(&name) {
        return;
    }
    // These carry compiled shared libraries as their data.
    let native = ["Aoti", "AOTI", "Cuda", "Metal"].iter().any(|n| name.starts_with(n));
    let (severity, does) = if native {
        (Severity::High, "loads native code that is in the file")
    } else {
        (Severity::Medium, "is not a published one")
    };
    let remedy = "ask the supplier for an export for a published backend without native code";
    cx.find(part, &OPERATOR, severity, None, format!("the backend `{name}` {does}"), remedy);
}

fn segments(program: &Table<'_>, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
    /// Where the extended header states the start of the segments.
    const EXTENDED: usize = 8;
    let base = input
        .head
        .get(EXTENDED..EXTENDED + 24)
        .filter(|h| h.starts_with(b"eh"))
        .and_then(|h| h.get(16..24)?.try_into().ok())
        .map_or(0, u64::from_le_bytes);
    for (n, segment) in tables(program, 4).enumerate() {
        let (offset, size) = (segment.number(0, 8), segment.number(1, 8));
        let at = base.saturating_add(offset);
        if at.checked_add(size).is_none_or(|end| end > input.source.len()) {
            let remedy = "do not use the file; fetch it again from the supplier and compare the digest";
            cx.find(
                part,
                &OPERATOR,
                Severity::Medium,
                Some(at),
                format!("segment {n} lies outside the file"),
                remedy,
            );
        }
        payload::bytes(&Range::new(input.source, at, size), &format!("segment {n}"), Some(at), part, cx);
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::flat::build::{F, file};
    use crate::{Limits, Verdict, scan};

    fn program(operator: &'static str, backend: &'static str, data: &[u8]) -> Verdict {
        let plan = vec![
            F::Text("forward"),
            F::None,
            F::None,
            F::None,
            F::None,
            F::None,
            F::Tables(vec![vec![F::Text(operator)]]),
            F::Tables(vec![vec![F::Text(backend)]]),
        ];
        let bytes = file(
            b"ET12",
            &[F::U32(0), F::Tables(vec![plan]), F::None, F::Tables(vec![vec![F::Bytes(data.to_vec())]])],
        );
        scan("m.pte", &bytes, &Limits::default()).verdict()
    }

    #[test]
    fn published_operators_and_backends_are_clean_and_others_found() {
        assert_eq!(program("aten::add", "XnnpackBackend", b"XH00"), Verdict::Clean);
        assert_eq!(program("vendor::run", "XnnpackBackend", b"XH00"), Verdict::Found);
        assert_eq!(program("aten::add", "AotiBackend", b"x"), Verdict::Found);
        assert_eq!(program("aten::add", "XnnpackBackend", b"\x7fELF\x02\x01\x01\0"), Verdict::Found);
    }
}
