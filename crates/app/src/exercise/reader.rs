//! How rows of the unit box become a request's tensor, and a server's outputs scores.

use attack::evasion::Access;
use attack::{Fault, Layout, Space};
use domain::{DataType, Tensor, TensorData};

/// Smallest probability whose logarithm is taken.
const PROBABILITY_MIN: f32 = 1e-30;

/// How the output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// One logit per class.
    Logits,
    /// One probability per class.
    Probabilities,
    /// One logit.
    OneLogit,
    /// One probability.
    OneProbability,
    /// The class itself.
    Class,
}

/// Values of an output, row-major; their number per row; whether they are whole numbers by type.
pub(super) type Picked = (Vec<f32>, usize, bool);

/// Reads and writes the tensors of one served model.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) input: String,
    pub(super) input_type: DataType,
    /// Images are sent as rows of values.
    pub(super) flat: bool,
    /// The first, where none is named.
    pub(super) output: Option<String>,
    pub(super) space: Space,
    pub(super) low: Vec<f32>,
    pub(super) span: Vec<f32>,
    head: Head,
    columns: usize,
}

impl Reader {
    /// One that has not seen an output yet.
    pub(super) fn new(
        input: String,
        input_type: DataType,
        flat: bool,
        output: Option<String>,
        layout: Layout,
        (low, span): (Vec<f32>, Vec<f32>),
    ) -> Self {
        let space = Space { layout, classes: 2 };
        Self { input, input_type, flat, output, space, low, span, head: Head::Logits, columns: 0 }
    }

    /// Finds out from some rows' output how it is read.
    pub(super) fn learn(&mut self, (values, columns, whole): &Picked) {
        self.columns = *columns;
        self.head = guess(values, *columns, *whole);
        self.space.classes = match self.head {
            Head::Logits | Head::Probabilities => *columns,
            Head::Class => values.iter().fold(2.0_f32, |m, v| m.max(v + 1.0)) as usize,
            _ => 2,
        };
    }

    pub(super) const fn access(&self) -> Access {
        if matches!(self.head, Head::Class) { Access::Labels } else { Access::Scores }
    }

    /// Scores in a row of the output; 0 before it was seen.
    pub(super) const fn columns(&self) -> usize {
        self.columns
    }

    /// `rows` rows of the unit box in the model's units.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
    pub(super) fn tensor(&self, rows: usize, unit: &[f32]) -> Result<Tensor, Fault> {
        let ranges = self.low.iter().cycle().zip(self.span.iter().cycle());
        let values: Vec<f32> = unit.iter().zip(ranges).map(|(v, (low, span))| low + v * span).collect();
        let mut shape = vec![rows];
        match self.space.layout {
            Layout::Image { channels, height, width } if !self.flat => {
                shape.extend([channels, height, width])
            }
            layout => shape.push(layout.len()),
        }
        let data = match self.input_type {
            DataType::Uint8 => {
                TensorData::Uint8(values.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect())
            }
            DataType::Fp64 => TensorData::Fp64(values.iter().map(|v| f64::from(*v)).collect()),
            DataType::Fp16 => TensorData::Fp16(values),
            _ => TensorData::Fp32(values),
        };
        Tensor::new(self.input.clone(), shape, data).map_err(|e| Fault::Shape(e.to_string()))
    }

    /// The values of the output that is read, after its shape was checked.
    pub(super) fn pick(&self, outputs: &[Tensor], rows: usize) -> Result<Picked, Fault> {
        let chosen = match &self.output {
            Some(name) => outputs.iter().find(|t| t.name() == name),
            None => outputs.first(),
        };
        let Some(tensor) = chosen else {
            let names: Vec<&str> = outputs.iter().map(Tensor::name).collect();
            return Err(Fault::Model(format!(
                "the server gave no output `{}`, but `{}`",
                self.output.as_deref().unwrap_or(""),
                names.join("`, `")
            )));
        };
        let values = tensor.data().to_f32().ok_or_else(|| {
            Fault::Model(format!("the output `{}` is text: name one with scores by --output", tensor.name()))
        })?;
        if tensor.shape().first() != Some(&rows) || values.len() % rows.max(1) != 0 || values.is_empty() {
            return Err(Fault::Model(format!(
                "the server was asked about {rows} rows and gave an output of shape {:?}: it lies about its shape, or does not batch",
                tensor.shape()
            )));
        }
        let whole = !matches!(tensor.data(), TensorData::Fp16(_) | TensorData::Fp32(_) | TensorData::Fp64(_));
        Ok((values.clone(), values.len() / rows.max(1), whole))
    }

    /// The scores of one row, one per class, from its values in the output.
    pub(super) fn scores(&self, row: &[f32], place: &mut [f32]) {
        let ln = |p: f32| if p.is_nan() { p } else { p.max(PROBABILITY_MIN).ln() };
        let first = row.first().copied().unwrap_or(f32::NAN);
        match self.head {
            Head::Logits if row.len() == place.len() => place.copy_from_slice(row),
            Head::Probabilities => place.iter_mut().zip(row).for_each(|(o, p)| *o = ln(*p)),
            Head::OneLogit if place.len() == 2 => place.copy_from_slice(&[0.0, first]),
            Head::OneProbability if place.len() == 2 => place.copy_from_slice(&[ln(1.0 - first), ln(first)]),
            Head::Class | Head::Logits | Head::OneLogit | Head::OneProbability => {}
        }
    }

    /// The class that one row's values name, for outputs that hold the class itself.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
    pub(super) fn class(row: &[f32]) -> Option<usize> {
        let value = *row.first()?;
        (value.fract() == 0.0 && (0.0..=65_535.0).contains(&value)).then_some(value as usize)
    }
}

fn guess(values: &[f32], columns: usize, whole: bool) -> Head {
    let unit = values.iter().all(|v| (0.0..=1.0).contains(v));
    let sums = || values.chunks_exact(columns.max(1)).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-3);
    match columns {
        1 if whole => Head::Class,
        1 if unit => Head::OneProbability,
        1 => Head::OneLogit,
        _ if unit && sums() => Head::Probabilities,
        _ => Head::Logits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_told_apart() {
        assert_eq!(guess(&[0.2, 0.8], 2, false), Head::Probabilities);
        assert_eq!(guess(&[0.2, 0.9], 2, false), Head::Logits);
        assert_eq!(guess(&[0.2, 0.9], 1, false), Head::OneProbability);
        assert_eq!(guess(&[-3.0, 0.9], 1, false), Head::OneLogit);
        assert_eq!(guess(&[1.0, 0.0], 1, true), Head::Class);
    }
}
