//! G001: names, types, shapes and finiteness, of the request and of the reply.

use domain::{
    FeatureKind, InferenceReply, InferenceRequest, InputSchema, Location, Outcome, Severity, catalogue_entry,
};

use crate::rows::{ROWS_MAX, Report, Watch};
use crate::settings::guard_settings;

catalogue_entry! {
    /// The input is not what the model was declared to take, or an output is not a number.
    ///
    /// ## What it is
    /// Compares every request with the declared input: the tensor's name, a numeric type, the shape, at least one row,
    /// no NaN and no infinity, whole numbers and category codes where declared. Of a reply it asks for finite numbers
    /// and the same number of rows in every output.
    ///
    /// ## Why it matters in care
    /// A shifted column or a NaN does not make most models fail: they answer, and the answer looks like any other.
    /// Trees send a NaN down one branch; a network turns it into NaN or, with a clamp, into an ordinary class.
    ///
    /// ## Limits
    /// It knows the shape of the data, not its meaning: two columns of one range that are swapped pass here. Types are
    /// only asked to convert to single precision; a wide integer that rounds is not reported. A code that is listed
    /// but wrong for the patient passes.
    ///
    /// ## References
    /// CWE-20 Improper Input Validation; CWE-1287 Improper Validation of Specified Type of Input; Open Inference
    /// Protocol v2, Tensor Data.
    pub static ENTRY = {
        id: "G001", name: "schema", kind: Guard, since: "0.1.0", maps: ["CWE-20", "CWE-1287", "AML.T0043"],
    };
}

guard_settings! {
    /// Settings of G001. Blocks by default: there is no patient for whom a malformed input is right.
    pub struct SchemaSettings { mode: Block, budget_us: 20_000 }
}

const REMEDY: &str = "send the input as the system's metadata describes it";

/// Largest distance from a whole number that counts as one, relative to single precision.
const WHOLE_TOLERANCE: f32 = 1e-4;

/// Checks a request.
pub(crate) fn check_request(request: &InferenceRequest, schema: &InputSchema, watch: &Watch<'_>) -> Outcome {
    let mut report = Report::new(ENTRY.id);
    let inputs = request.inputs.expose();
    let wanted = schema.tensor();
    let high = Severity::High;
    // The name is the caller's own text and could be a patient's: it goes nowhere.
    for _ in inputs.iter().filter(|t| t.name() != wanted).take(crate::rows::FINDINGS_MAX) {
        report.find(high, Location::whole(), None, "an input that the system does not have", REMEDY);
    }
    let mut named = inputs.iter().filter(|t| t.name() == wanted);
    let Some(tensor) = named.next() else {
        report.find(high, Location::named(wanted), None, "the declared input is missing", REMEDY);
        return report.finish();
    };
    if named.next().is_some() {
        report.find(high, Location::named(wanted), None, "the input is there twice", REMEDY);
    }
    let rows = tensor.shape().first().copied().unwrap_or(0);
    if rows == 0 || rows > ROWS_MAX {
        let message = format!("{rows} rows, expected 1 to {ROWS_MAX}");
        report.find(high, Location::named(wanted), None, message, REMEDY);
        return report.finish();
    }
    if tensor.shape() != schema.shape(rows) {
        let message = format!("shape {:?}, expected {:?}", short(tensor.shape()), schema.shape(rows));
        report.find(high, Location::named(wanted), None, message, REMEDY);
        return report.finish();
    }
    match tensor.data().to_f32() {
        None => report.find(high, Location::named(wanted), None, "the input is text, not numbers", REMEDY),
        Some(values) => check_values(&mut report, schema, &values, watch),
    }
    report.finish()
}

/// At most eight dimensions of a shape, for messages.
fn short(shape: &[usize]) -> &[usize] {
    &shape[..shape.len().min(8)]
}

fn check_values(report: &mut Report, schema: &InputSchema, values: &[f32], watch: &Watch<'_>) {
    for (r, row) in values.chunks_exact(schema.width().max(1)).enumerate() {
        if watch.is_over(r) {
            return report.out_of_time(r);
        }
        match schema {
            InputSchema::Image { .. } => {
                if !numeric::all_finite(row) {
                    let place = Location::row(r, None);
                    report.find(Severity::High, place, None, "a pixel is not a finite number", REMEDY);
                }
            }
            InputSchema::Table { features, .. } => {
                for (feature, &value) in features.iter().zip(row) {
                    if let Some(message) = wrong_value(&feature.kind, value) {
                        let place = Location::row(r, Some(&feature.name));
                        report.find(Severity::High, place, None, message, REMEDY);
                    }
                }
            }
        }
    }
}

/// What is wrong with one value of a table, if anything.
fn wrong_value(kind: &FeatureKind, value: f32) -> Option<&'static str> {
    if !value.is_finite() {
        return Some("the value is not a finite number");
    }
    match kind {
        FeatureKind::Real => None,
        FeatureKind::Integer => {
            let off = (value - value.round()).abs() > WHOLE_TOLERANCE * value.abs().max(1.0);
            off.then_some("the value is not a whole number")
        }
        FeatureKind::Category { codes } => {
            #[expect(clippy::cast_possible_truncation, reason = "models take single precision")]
            let known = codes.iter().any(|c| (*c as f32 - value).abs() <= WHOLE_TOLERANCE);
            (!known).then_some("the value is not one of the declared codes")
        }
    }
}

/// Checks a reply: finite numbers, and as many rows in every output.
pub(crate) fn check_reply(reply: &InferenceReply, watch: &Watch<'_>) -> Outcome {
    const REMEDY: &str = "do not use the answer, and have the model looked at";
    let mut report = Report::new(ENTRY.id);
    let outputs = reply.outputs.expose();
    if outputs.is_empty() {
        report.find(Severity::High, Location::whole(), None, "the model gave no output", REMEDY);
    }
    for (i, tensor) in outputs.iter().enumerate() {
        if watch.is_over(i) {
            report.out_of_time(i);
            break;
        }
        // A remote server chooses the names of its outputs: its text goes nowhere either.
        let name = format!("output {i}");
        let finite = match tensor.data() {
            domain::TensorData::Fp16(v) | domain::TensorData::Fp32(v) => v.iter().all(|x| x.is_finite()),
            domain::TensorData::Fp64(v) => v.iter().all(|x| x.is_finite()),
            _ => true,
        };
        if !finite {
            let place = Location::named(name.clone());
            report.find(Severity::High, place, None, "an output is not a finite number", REMEDY);
        }
        if tensor.shape().first() != outputs[0].shape().first() {
            let message = "the outputs do not agree on the number of rows";
            report.find(Severity::High, Location::named(name), None, message, REMEDY);
        }
    }
    report.finish()
}
