//! A model as admission sees it: rows in, class scores out, wherever it runs.

use std::sync::Arc;

use domain::{InputSchema, Tensor, TensorData};
use numeric::Matrix;

use crate::AppError;

/// Rows asked at once.
const BATCH_ROWS: usize = 128;

/// A model that can be asked about reference data.
#[derive(Clone)]
pub enum Scorer {
    /// In process.
    Local(Arc<runtime::Model>),
    /// On a remote server.
    Remote(Arc<upstream::Remote>),
}

/// Scores of a batch.
#[derive(Debug, Clone, Default)]
pub struct Scored {
    /// Class probabilities, one row per patient.
    pub scores: Matrix,
    /// Activations that feed the last layer, where the model runs in process.
    pub features: Option<Matrix>,
}

impl Scorer {
    /// Class scores of all rows of `inputs`.
    ///
    /// # Errors
    /// When the model fails, or its output cannot be read as class scores.
    pub async fn score(
        &self,
        schema: &InputSchema,
        output: &str,
        inputs: &Matrix,
    ) -> Result<Scored, AppError> {
        let (mut scores, mut features): (Vec<f32>, Vec<f32>) = (vec![], vec![]);
        let (mut classes, mut width) = (0, 0);
        let tapped = self.with_features(schema);
        for start in (0..inputs.rows).step_by(BATCH_ROWS) {
            let rows = BATCH_ROWS.min(inputs.rows - start);
            let values = inputs.data[start * inputs.cols..(start + rows) * inputs.cols].to_vec();
            let (outputs, activations) = self.ask(tapped.as_ref(), schema, rows, values).await?;
            let batch = detect::class_scores(&outputs, Some(output), detect::OutputKind::Auto)
                .filter(|m| m.rows == rows && (classes == 0 || classes == m.cols))
                .ok_or_else(|| {
                    AppError::BadInput(format!("output `{output}` cannot be read as one score per class"))
                })?;
            classes = batch.cols;
            scores.extend(batch.data);
            if let Some(m) = activations.filter(|m| m.rows == rows) {
                width = m.cols;
                features.extend(m.data);
            }
        }
        let scores =
            Matrix::new(inputs.rows, classes, scores).map_err(|e| AppError::Internal(e.to_string()))?;
        let features = (width > 0).then(|| Matrix::new(inputs.rows, width, features).ok()).flatten();
        Ok(Scored { scores, features })
    }

    /// The outputs as the model gives them, without the activations.
    ///
    /// # Errors
    /// When the model fails.
    pub async fn outputs(
        &self,
        schema: &InputSchema,
        rows: usize,
        values: Vec<f32>,
    ) -> Result<Vec<Tensor>, AppError> {
        Ok(self.ask(None, schema, rows, values).await?.0)
    }

    /// For images: the model with the activations before its last layer as one more output.
    fn with_features(&self, schema: &InputSchema) -> Option<runtime::Model> {
        match (self, schema) {
            (Self::Local(model), InputSchema::Image { .. }) => {
                model.penultimate().and_then(|name| model.with_taps(&[name]).ok())
            }
            _ => None,
        }
    }

    async fn ask(
        &self,
        tapped: Option<&runtime::Model>,
        schema: &InputSchema,
        rows: usize,
        values: Vec<f32>,
    ) -> Result<(Vec<Tensor>, Option<Matrix>), AppError> {
        match self {
            Self::Local(model) => run_local(tapped.unwrap_or(model), tapped.is_some(), schema, rows, &values),
            Self::Remote(remote) => {
                let tensor = Tensor::new(schema.tensor(), schema.shape(rows), TensorData::Fp32(values))
                    .map_err(|e| AppError::Internal(e.to_string()))?;
                let outputs = remote.probe(&[tensor]).await.map_err(|e| AppError::Upstream(e.to_string()))?;
                Ok((outputs, None))
            }
        }
    }
}

/// Runs a model in process. The last output of a `tapped` one is the activations before its last layer.
fn run_local(
    model: &runtime::Model,
    tapped: bool,
    schema: &InputSchema,
    rows: usize,
    values: &[f32],
) -> Result<(Vec<Tensor>, Option<Matrix>), AppError> {
    let shape = schema.shape(rows);
    let failed = |e: runtime::RunError| {
        AppError::BadInput(format!("the model does not run on the reference data: {e}"))
    };
    let input = [(schema.tensor(), runtime::TensorView::f32(&shape, values))];
    let mut outputs = model.run(&input, &mut runtime::Scratch::default()).map_err(failed)?;
    let features = if tapped { outputs.pop() } else { None };
    let features = features.and_then(|(_, tensor)| {
        let width = tensor.shape.iter().skip(1).product();
        Matrix::new(rows, width, tensor.as_f32()?.to_vec()).ok()
    });
    Ok((outputs.into_iter().filter_map(|(name, tensor)| domain_tensor(name, tensor)).collect(), features))
}

fn domain_tensor(name: String, tensor: runtime::Tensor) -> Option<Tensor> {
    use runtime::TensorData as Run;
    let data = match tensor.data {
        Run::F32(v) => TensorData::Fp32(v),
        Run::F64(v) => TensorData::Fp64(v),
        Run::I64(v) => TensorData::Int64(v),
        Run::I32(v) => TensorData::Int32(v),
        Run::Bool(v) => TensorData::Bool(v),
        _ => return None,
    };
    Tensor::new(name, tensor.shape, data).ok()
}
