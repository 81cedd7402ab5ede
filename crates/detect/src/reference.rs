//! Reference data as the guards learn from it, and what turns a model's outputs into class probabilities.

use domain::Tensor;
use numeric::{Matrix, softmax_in_place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Data of known patients: what the model was made for. Rows of all parts belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// One row per patient, as the model takes it; an image is one row of channels × height × width pixels.
    pub inputs: Matrix,
    /// The right class of each row, where known.
    pub labels: Option<Vec<u32>>,
    /// Class probabilities given by the model, one row per patient ([`class_scores`]).
    pub scores: Option<Matrix>,
    /// Activations that feed the model's last layer, where it runs in process.
    pub features: Option<Matrix>,
}

/// How a model writes its class scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// Values in [0, 1] that sum to 1 in every row are probabilities, all others are logits.
    #[default]
    Auto,
    /// Softmax is still to be taken (sigmoid for a single column).
    Logits,
    /// Already probabilities.
    Probabilities,
}

/// Most classes that are read; more are not a classifier's output.
pub const CLASSES_MAX: usize = 4096;

/// How far a row of probabilities may be from summing to 1: single precision over many classes.
const SUM_TOLERANCE: f32 = 1e-3;

/// Class probabilities, one row per patient and at least two columns, from a model's outputs. `output` names the
/// tensor to read; without it the first floating-point tensor of shape `[n]`, `[n, 1]` or `[n, classes]` is taken,
/// one with two or more columns first. A single column becomes `[1 - p, p]`. `None` when there is no such tensor or a
/// value is not finite.
pub fn class_scores(outputs: &[Tensor], output: Option<&str>, kind: OutputKind) -> Option<Matrix> {
    let columns = |t: &Tensor| match *t.shape() {
        [_] => Some(1),
        [_, c] if (1..=CLASSES_MAX).contains(&c) => Some(c),
        _ => None,
    };
    let floats = |t: &&Tensor| {
        use domain::DataType::{Fp16, Fp32, Fp64};
        matches!(t.data().data_type(), Fp16 | Fp32 | Fp64) && columns(t).is_some()
    };
    let tensor = match output {
        Some(name) => outputs.iter().find(|t| t.name() == name && columns(t).is_some()),
        None => {
            let wide = outputs.iter().filter(floats).find(|t| columns(t).is_some_and(|c| c > 1));
            wide.or_else(|| outputs.iter().find(floats))
        }
    }?;
    let cols = columns(tensor)?;
    let mut values = tensor.data().to_f32()?;
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let rows = tensor.shape().first().copied().unwrap_or(0);
    let probabilities = match kind {
        OutputKind::Probabilities => true,
        OutputKind::Logits => false,
        OutputKind::Auto => are_probabilities(&values, cols),
    };
    if probabilities && values.iter().any(|v| !(0.0..=1.0 + SUM_TOLERANCE).contains(v)) {
        return None;
    }
    if cols == 1 {
        let p = |v: f32| if probabilities { v } else { 1.0 / (1.0 + (-v).exp()) };
        values = values.into_iter().flat_map(|v| [1.0 - p(v), p(v)]).collect();
    } else if !probabilities {
        values.chunks_exact_mut(cols).for_each(softmax_in_place);
    }
    Matrix::new(rows, cols.max(2), values).ok()
}

/// The rule of [`OutputKind::Auto`].
fn are_probabilities(values: &[f32], cols: usize) -> bool {
    let within = values.iter().all(|v| (0.0..=1.0).contains(v));
    within
        && (cols == 1
            || values.chunks_exact(cols).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < SUM_TOLERANCE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::TensorData;

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::new(name, shape.to_vec(), TensorData::Fp32(values.to_vec())).unwrap()
    }

    #[test]
    fn logits_become_probabilities_and_probabilities_stay() {
        let logits = class_scores(&[tensor("logits", &[1, 2], &[0.0, 0.0])], None, OutputKind::Auto).unwrap();
        assert_eq!(logits.data, [0.5, 0.5]);
        let label = Tensor::new("label", vec![1], TensorData::Int64(vec![1])).unwrap();
        let both = [label, tensor("probabilities", &[1, 2], &[0.2, 0.8])];
        assert_eq!(class_scores(&both, None, OutputKind::Auto).unwrap().data, [0.2, 0.8]);
        assert!(class_scores(&both, Some("nothing"), OutputKind::Auto).is_none());
    }

    #[test]
    fn a_single_column_becomes_two() {
        let p = class_scores(&[tensor("p", &[2], &[0.25, 1.0])], None, OutputKind::Auto).unwrap();
        assert_eq!((p.rows, p.cols, p.data), (2, 2, vec![0.75, 0.25, 0.0, 1.0]));
        let l = class_scores(&[tensor("p", &[1, 1], &[0.0])], None, OutputKind::Logits).unwrap();
        assert_eq!(l.data, [0.5, 0.5]);
    }

    #[test]
    fn values_that_are_not_finite_or_not_probabilities_give_nothing() {
        assert!(class_scores(&[tensor("x", &[1, 2], &[f32::NAN, 0.0])], None, OutputKind::Auto).is_none());
        assert!(
            class_scores(&[tensor("x", &[1, 2], &[3.0, 0.0])], None, OutputKind::Probabilities).is_none()
        );
        assert!(class_scores(&[], None, OutputKind::Auto).is_none());
        assert_eq!(class_scores(&[tensor("x", &[0, 2], &[])], None, OutputKind::Auto).unwrap().rows, 0);
    }
}
