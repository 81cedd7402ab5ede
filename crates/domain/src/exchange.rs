//! One inference as the guards and the model see it: the request's tensors and the reply's.

use crate::{Phi, SystemId, Tensor};

/// A parsed inference request. The values are the patient's.
#[derive(Clone)]
pub struct InferenceRequest {
    /// The caller's own number for the request, echoed in the answer.
    pub id: Option<String>,
    /// The system that is asked.
    pub system: SystemId,
    /// The inputs, as they came.
    pub inputs: Phi<Vec<Tensor>>,
    /// Names of the outputs that are wanted; empty means all.
    pub outputs: Vec<String>,
}

/// What a model answered.
#[derive(Clone)]
pub struct InferenceReply {
    /// The outputs.
    pub outputs: Phi<Vec<Tensor>>,
    /// Activations that feed the last layer, one row per patient, where the model runs in process; guards look at
    /// them, callers never get them.
    pub features: Option<Phi<Vec<Vec<f32>>>>,
}

impl InferenceRequest {
    /// Rows in the batch: the first dimension of the first input; 0 without inputs.
    pub fn rows(&self) -> usize {
        self.inputs.expose().first().and_then(|t| t.shape().first().copied()).unwrap_or(0)
    }
}
