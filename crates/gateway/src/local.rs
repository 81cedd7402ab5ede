//! A model in this process, with what the inference path needs to know of it: how long a row takes, and which of its
//! outputs are activations for the guards.

use std::cell::RefCell;
use std::time::Instant;

use domain::{DataType as WireType, InferenceReply, InferenceRequest, Phi, Tensor, TensorData};
use oip::TensorSpec;
use runtime::{DataType, Dim, LoadError, Model, RunError, Scratch, TensorView, ValueInfo, ViewData};

use crate::Refusal;

/// Time up to which a model runs on the worker's own thread, microseconds: some times the price of handing a request to
/// another thread and back, and short enough that others on the thread do not notice.
pub const INLINE_US_MAX: u64 = 250;
/// Trial runs when a model is taken in; the fastest counts, since anything may disturb one.
const TRIALS: usize = 5;

/// A model in this process.
pub struct LocalModel {
    model: Model,
    /// Whether the last output is the activations that feed the last layer.
    tapped: bool,
    row_us: Option<u64>,
}

impl LocalModel {
    /// Takes in a model as it is.
    pub fn new(model: Model) -> Self {
        let row_us = measure(&model);
        Self { model, tapped: false, row_us }
    }

    /// Takes in a model together with the activations that feed its last layer, for guards that look at them. A model
    /// without such a layer is taken as it is.
    ///
    /// # Errors
    /// When the tapped graph cannot be compiled.
    pub fn with_features(model: Model) -> Result<Self, LoadError> {
        let Some(name) = model.penultimate().map(str::to_owned) else { return Ok(Self::new(model)) };
        let tapped = model.with_taps(&[&name])?;
        let is_new = tapped.outputs().len() > model.outputs().len();
        Ok(Self { tapped: is_new, ..Self::new(tapped) })
    }

    /// Whether a batch of so many rows should run where it is, instead of in the pool.
    pub fn is_cheap(&self, rows: usize) -> bool {
        let rows = u64::try_from(rows.max(1)).unwrap_or(u64::MAX);
        self.row_us.is_some_and(|us| us.max(1).saturating_mul(rows) <= INLINE_US_MAX)
    }

    /// The outputs that callers see.
    pub fn output_specs(&self) -> Vec<TensorSpec> {
        let seen = self.model.outputs().len().saturating_sub(usize::from(self.tapped));
        self.model.outputs().iter().take(seen).map(spec).collect()
    }

    /// Computes.
    ///
    /// # Errors
    /// `Malformed` when the tensors do not fit, `ModelFailed` when the graph fails on them.
    pub fn run(&self, request: &InferenceRequest) -> Result<InferenceReply, Refusal> {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
        }
        let given = request
            .inputs
            .expose()
            .iter()
            .map(|t| Given::new(&self.model, t))
            .collect::<Result<Vec<_>, _>>()?;
        let views: Vec<_> = given.iter().map(|g| (g.tensor.name(), g.view())).collect();
        let mut outputs = SCRATCH
            .with(|scratch| match scratch.try_borrow_mut() {
                Ok(mut scratch) => self.model.run(&views, &mut scratch),
                Err(_) => self.model.run(&views, &mut Scratch::new()),
            })
            .map_err(refusal)?;
        let features = if self.tapped { outputs.pop().and_then(|(_, t)| rows_of(t)) } else { None };
        let outputs = outputs.into_iter().map(to_wire).collect::<Result<Vec<_>, _>>()?;
        Ok(InferenceReply { outputs: Phi::new(outputs), features: features.map(Phi::new) })
    }
}

fn spec(info: &ValueInfo) -> TensorSpec {
    let datatype = info.data_type.map_or("FP32", |t| match t {
        DataType::F32 => "FP32",
        DataType::F64 => "FP64",
        DataType::I64 => "INT64",
        DataType::I32 => "INT32",
        DataType::I8 => "INT8",
        DataType::U8 => "UINT8",
        DataType::Bool => "BOOL",
        DataType::Text => "BYTES",
    });
    let length = |dim: &Dim| match dim {
        Dim::Fixed(n) => i64::try_from(*n).unwrap_or(-1),
        Dim::Symbolic(_) | Dim::Unknown => -1,
    };
    let shape = info.shape.as_ref().map(|dims| dims.iter().map(length).collect()).unwrap_or_default();
    TensorSpec { name: info.name.clone(), datatype: datatype.to_owned(), shape }
}

/// Time of one row, from trial runs on zeros; `None` for inputs whose shape or type is not plain.
fn measure(model: &Model) -> Option<u64> {
    let mut zeros = Vec::new();
    for info in model.inputs() {
        let dims = info.shape.as_ref()?;
        let length = |(at, dim): (usize, &Dim)| match dim {
            Dim::Fixed(n) => Some(*n),
            _ if at == 0 => Some(1),
            _ => None,
        };
        let shape: Vec<usize> = dims.iter().enumerate().map(length).collect::<Option<_>>()?;
        let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d))?;
        if info.data_type != Some(DataType::F32) || count > crate::limits::TRIAL_ELEMENTS_MAX {
            return None;
        }
        zeros.push((info.name.as_str(), shape, vec![0.0_f32; count]));
    }
    let views: Vec<_> =
        zeros.iter().map(|(name, shape, data)| (*name, TensorView::f32(shape, data))).collect();
    let mut scratch = Scratch::new();
    let mut best = None;
    for _ in 0..TRIALS {
        let started = Instant::now();
        model.run(&views, &mut scratch).ok()?;
        let us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        best = Some(best.map_or(us, |b: u64| b.min(us)));
        if us > INLINE_US_MAX * 100 {
            break;
        }
    }
    best
}

/// An input as the model wants it. The guards looked at single precision; so does the model when it asks for that.
struct Given<'a> {
    tensor: &'a Tensor,
    converted: Option<Vec<f32>>,
    texts: Option<Vec<String>>,
}

impl<'a> Given<'a> {
    fn new(model: &Model, tensor: &'a Tensor) -> Result<Self, Refusal> {
        let declared = model.inputs().iter().find(|i| i.name == tensor.name()).and_then(|i| i.data_type);
        let mut given = Self { tensor, converted: None, texts: None };
        if let TensorData::Bytes(elements) = tensor.data() {
            let texts = elements.iter().map(|b| std::str::from_utf8(b).map(str::to_owned));
            let texts = texts.collect::<Result<_, _>>().map_err(|_| Refusal::Malformed {
                detail: format!(
                    "tensor `{}` holds bytes that are not UTF-8 text",
                    crate::refusal::cut(tensor.name())
                ),
            })?;
            given.texts = Some(texts);
        } else if declared == Some(DataType::F32) && tensor.data().data_type() != WireType::Fp32
            || is_narrow(tensor)
        {
            given.converted = tensor.data().to_f32();
        }
        Ok(given)
    }

    fn view(&self) -> TensorView<'_> {
        let data = match (&self.converted, &self.texts, self.tensor.data()) {
            (Some(values), _, _) => ViewData::F32(values),
            (_, Some(texts), _) => ViewData::Text(texts),
            (_, _, TensorData::Fp16(v) | TensorData::Fp32(v)) => ViewData::F32(v),
            (_, _, TensorData::Fp64(v)) => ViewData::F64(v),
            (_, _, TensorData::Int64(v)) => ViewData::I64(v),
            (_, _, TensorData::Int32(v)) => ViewData::I32(v),
            (_, _, TensorData::Int8(v)) => ViewData::I8(v),
            (_, _, TensorData::Uint8(v)) => ViewData::U8(v),
            (_, _, TensorData::Bool(v)) => ViewData::Bool(v),
            // `new` has converted the others; an empty view is refused by the model.
            _ => ViewData::F32(&[]),
        };
        TensorView { shape: self.tensor.shape(), data }
    }
}

/// Types that the runtime has no counterpart of.
fn is_narrow(tensor: &Tensor) -> bool {
    use TensorData::{Int16, Uint16, Uint32, Uint64};
    matches!(tensor.data(), Int16(_) | Uint16(_) | Uint32(_) | Uint64(_))
}

fn to_wire((name, tensor): (String, runtime::Tensor)) -> Result<Tensor, Refusal> {
    use runtime::TensorData as D;
    let data = match tensor.data {
        D::F32(v) => TensorData::Fp32(v),
        D::F64(v) => TensorData::Fp64(v),
        D::I64(v) => TensorData::Int64(v),
        D::I32(v) => TensorData::Int32(v),
        D::I8(v) => TensorData::Int8(v),
        D::U8(v) => TensorData::Uint8(v),
        D::Bool(v) => TensorData::Bool(v),
        D::Text(v) => TensorData::Bytes(v.into_iter().map(String::into_bytes).collect()),
    };
    Tensor::new(name, tensor.shape, data).map_err(|error| Refusal::ModelFailed { detail: error.to_string() })
}

/// Activations as one row per patient.
fn rows_of(tensor: runtime::Tensor) -> Option<Vec<Vec<f32>>> {
    let rows = tensor.shape.first().copied().filter(|&n| n > 0)?;
    let runtime::TensorData::F32(values) = tensor.data else { return None };
    let width = values.len().checked_div(rows).filter(|&w| w > 0 && w * rows == values.len())?;
    Some(values.chunks_exact(width).map(<[f32]>::to_vec).collect())
}

/// What a failed run is for the caller. The text of a failing operator may hold numbers of the patient: it stays here.
fn refusal(error: RunError) -> Refusal {
    match error {
        RunError::Node { operator, node, .. } => Refusal::ModelFailed {
            detail: format!("operator `{operator}` (node `{node}`) could not compute"),
        },
        other => Refusal::Malformed { detail: other.to_string() },
    }
}
