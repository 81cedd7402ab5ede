//! What the fuzz targets share: a small declared input, a clock that stands still, a request.

use domain::{
    Clock, Feature, FeatureKind, InferenceRequest, InputSchema, Mutability, Phi, SystemId, Tensor,
    TensorData, Timestamp,
};

/// Two plain features between 0 and 10.
pub fn schema() -> InputSchema {
    let feature = |name: &str| Feature {
        name: name.into(),
        unit: "1".into(),
        kind: FeatureKind::Real,
        min: 0.0,
        max: 10.0,
        mutability: Mutability::Measured,
        alternatives: Vec::new(),
    };
    InputSchema::Table { tensor: "input".into(), features: vec![feature("a"), feature("b")] }
}

/// One row that the schema allows.
pub fn request() -> InferenceRequest {
    let tensor =
        Tensor::new("input", vec![1, 2], TensorData::Fp32(vec![1.0, 2.0].into())).expect("two values");
    let system: SystemId = "fuzz".parse().expect("a name that is allowed");
    InferenceRequest { id: None, system, inputs: Phi::new(vec![tensor]), outputs: Vec::new() }
}

/// A clock that stands still: a run must not depend on when it is made.
pub struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn monotonic_us(&self) -> u64 {
        0
    }
}
