//! A loaded model as an exercise sees it: rows of the unit box in, one score per class out.

use attack::{Fault, Labels, Layout, Replies, Rows, Scores, Space};

use crate::model::Model;
use crate::tensor::{DataType, Dim, Tensor, TensorView, ViewData};
use crate::value::Scratch;

/// Most rows computed at once: enough for the kernels of a table's model.
const ROWS_AT_ONCE: usize = 256;
/// Fewest: models of large images read their weights once for so many.
const ROWS_AT_ONCE_MIN: usize = 8;
/// Values of the rows computed at once, so that the activations of a small convolutional model stay in the second-level cache:
/// measured a quarter faster than 256 images of 28 by 28 at once.
const VALUES_AT_ONCE: usize = 8_192;
/// Smallest probability whose logarithm is taken.
pub(crate) const PROBABILITY_MIN: f32 = 1e-30;

/// How an output is read as one score per class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Head {
    /// One logit per class.
    Logits,
    /// One logit `z`: scores `[0, z]`.
    OneLogit,
    /// One probability per class: their logarithms.
    Probabilities,
    /// One probability `p`: scores `[ln(1 - p), ln p]`.
    OneProbability,
    /// Several findings, each with a logit of its own: this one against its absence.
    FindingLogit(usize),
    /// Several findings, each with a probability of its own: this one against its absence.
    FindingProbability(usize),
}

/// How a model's tensors are used as a classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// How a row is laid out.
    pub layout: Layout,
    /// Unit box to model units: model value = `low + unit × span`. One pair for all values, or one per value of a row.
    pub low: Vec<f32>,
    /// See `low`; not negative.
    pub span: Vec<f32>,
    /// Output tensor; the first that can be read as scores when not given.
    pub output: Option<String>,
    /// How it is read; found out from its shape and from `probe` when not given.
    pub head: Option<Head>,
}

impl Reading {
    /// A model that takes the unit box itself, with everything else found out.
    pub fn unit(layout: Layout) -> Self {
        Self { layout, low: vec![0.0], span: vec![1.0], output: None, head: None }
    }
}

/// A model with its reading; one per thread.
#[derive(Debug, Clone)]
pub struct Classifier {
    model: Model,
    scratch: Scratch,
    input: String,
    shape: Vec<usize>,
    input_type: DataType,
    batch: Option<usize>,
    output: usize,
    head: Head,
    space: Space,
    low: Vec<f32>,
    span: Vec<f32>,
    values: Vec<f32>,
}

impl Classifier {
    /// Reads `model` as a classifier. `probe` is some rows of the unit box (row-major, real data if possible), with which it is found out whether the
    /// output holds probabilities; it may be empty when `reading.head` is given. Where the output is a softmax or a sigmoid of logits, the logits are read: the
    /// decisions are the same, and the gradients do not vanish where the model is sure of itself.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] when the model has several inputs, an input of another width than `reading.layout`, or no output that can be read as scores.
    pub fn new(model: &Model, reading: &Reading, probe: &[f32]) -> Result<Self, Fault> {
        let [input] = model.inputs() else {
            let names: Vec<&str> = model.inputs().iter().map(|i| i.name.as_str()).collect();
            return Err(Fault::NotApplicable(format!(
                "an exercise needs a model with one input, this one has {}: `{}`",
                names.len(),
                names.join("`, `")
            )));
        };
        let width = reading.layout.len();
        let (batch, shape) = row_shape(input.shape.as_deref(), reading.layout)
            .ok_or_else(|| Fault::NotApplicable(mismatch(&input.describe(), reading.layout)))?;
        for list in [&reading.low, &reading.span] {
            if list.len() != 1 && list.len() != width {
                return Err(Fault::Shape(format!("{} ranges for {width} inputs", list.len())));
            }
        }
        let mut classifier = Self {
            model: model.clone(),
            scratch: Scratch::new(),
            input: input.name.clone(),
            shape,
            input_type: input.data_type.unwrap_or(DataType::F32),
            batch,
            output: 0,
            head: Head::Logits,
            space: Space { layout: reading.layout, classes: 2 },
            low: reading.low.clone(),
            span: reading.span.clone(),
            values: Vec::new(),
        };
        classifier.choose_output(reading, probe)?;
        Ok(classifier)
    }

    /// The output that is read, by name, and how.
    pub fn reading(&self) -> (&str, Head) {
        (self.model.outputs().get(self.output).map_or("", |o| o.name.as_str()), self.head)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    fn choose_output(&mut self, reading: &Reading, probe: &[f32]) -> Result<(), Fault> {
        let width = self.space.layout.len();
        let zeros;
        let probe = if probe.len() >= width {
            &probe[..probe.len() / width * width]
        } else {
            zeros = vec![0.5; width];
            &zeros
        };
        let seen = self.raw(probe, probe.len() / width)?;
        let names: Vec<String> = self.model.outputs().iter().map(|o| o.name.clone()).collect();
        let rows = probe.len() / width;
        let (at, columns) = pick_output(&names, &seen, rows, reading.output.as_deref())?;
        let values = seen.get(at).map(Vec::as_slice).unwrap_or_default();
        let head = reading.head.unwrap_or_else(|| guess_head(values, columns));
        self.output = at;
        self.head = head;
        self.space.classes = match head {
            Head::Logits | Head::Probabilities => columns,
            _ => 2,
        };
        let fits = match head {
            Head::Logits | Head::Probabilities => columns >= 2,
            Head::OneLogit | Head::OneProbability => columns == 1,
            Head::FindingLogit(j) | Head::FindingProbability(j) => j < columns,
        };
        if !fits {
            return Err(Fault::NotApplicable(format!(
                "output `{}` has {columns} columns and cannot be read as {head:?}",
                names.get(at).map_or("", String::as_str)
            )));
        }
        self.before_squashing();
        Ok(())
    }

    /// Reads the logits where the output is their softmax or sigmoid.
    fn before_squashing(&mut self) {
        let Some((operator, before)) = self.model.squashed(self.reading().0) else { return };
        let head = match (operator, self.head) {
            ("Softmax" | "LogSoftmax", Head::Probabilities) => Head::Logits,
            ("Sigmoid", Head::OneProbability) => Head::OneLogit,
            ("Sigmoid", Head::FindingProbability(j)) => Head::FindingLogit(j),
            _ => return,
        };
        let before = before.to_owned();
        if let Ok(tapped) = self.model.with_taps(&[&before])
            && let Some(at) = tapped.outputs().iter().position(|o| o.name == before)
        {
            self.model = tapped;
            self.output = at;
            self.head = head;
        }
    }

    /// Rows of a batch, where the file fixes them.
    pub(crate) fn batch(&self) -> Option<usize> {
        self.batch
    }

    /// Unit box to model units; filled up to `rows` rows with the last one.
    pub(crate) fn scale_into(&self, unit: &[f32], rows: usize, out: &mut Vec<f32>) {
        out.clear();
        let ranges = self.low.iter().cycle().zip(self.span.iter().cycle());
        out.extend(unit.iter().zip(ranges).map(|(v, (low, span))| low + v * span));
        let width = self.space.layout.len();
        while !unit.is_empty() && out.len() < rows * width {
            let from = out.len() - width;
            out.extend_from_within(from..);
        }
    }

    /// Derivatives by model units of one row, to derivatives by the unit box.
    pub(crate) fn scale_gradient(&self, raw: &[f32], out: &mut [f32]) {
        for ((place, g), span) in out.iter_mut().zip(raw).zip(self.span.iter().cycle()) {
            *place = g * span;
        }
    }

    /// All float outputs for `rows` rows of the unit box, one flat list per output (empty for outputs of other types).
    fn raw(&mut self, unit: &[f32], rows: usize) -> Result<Vec<Vec<f32>>, Fault> {
        let width = self.space.layout.len();
        let fitting = (VALUES_AT_ONCE / width.max(1)).clamp(ROWS_AT_ONCE_MIN, ROWS_AT_ONCE);
        let step = self.batch.unwrap_or(fitting).max(1);
        let mut all: Vec<Vec<f32>> = vec![Vec::new(); self.model.outputs().len()];
        let mut start = 0;
        while start < rows {
            let part = step.min(rows - start);
            // A fixed batch is filled up with the last row.
            let given = self.batch.unwrap_or(part);
            let asked = unit.get(start * width..(start + part) * width).unwrap_or_default();
            let mut values = std::mem::take(&mut self.values);
            self.scale_into(asked, given, &mut values);
            self.values = values;
            let outputs = self.run(given)?;
            for (list, (_, tensor)) in all.iter_mut().zip(outputs) {
                if let Some(values) = floats(&tensor) {
                    let per_row = values.len() / given.max(1);
                    list.extend_from_slice(values.get(..per_row * part).unwrap_or_default());
                }
            }
            start += part;
        }
        Ok(all)
    }

    fn run(&mut self, rows: usize) -> Result<Vec<(String, Tensor)>, Fault> {
        let mut shape = vec![rows];
        shape.extend_from_slice(&self.shape);
        let (doubles, bytes);
        let data = match self.input_type {
            DataType::F64 => {
                doubles = self.values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
                ViewData::F64(&doubles)
            }
            DataType::U8 => {
                bytes = self.values.iter().map(|v| grey(*v)).collect::<Vec<_>>();
                ViewData::U8(&bytes)
            }
            _ => ViewData::F32(&self.values),
        };
        let view = TensorView { shape: &shape, data };
        self.model
            .run(&[(&self.input, view)], &mut self.scratch)
            .map_err(|e| Fault::Model(format!("the model does not run: {e}")))
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
fn grey(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn floats(tensor: &Tensor) -> Option<std::borrow::Cow<'_, [f32]>> {
    match &tensor.data {
        crate::tensor::TensorData::F32(v) => Some(v.as_slice().into()),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "scores are compared, single precision is enough"
        )]
        crate::tensor::TensorData::F64(v) => Some(v.iter().map(|x| *x as f32).collect()),
        _ => None,
    }
}

/// The fixed batch length, if one is declared, and the shape of one row.
fn row_shape(declared: Option<&[Dim]>, layout: Layout) -> Option<(Option<usize>, Vec<usize>)> {
    let natural = match layout {
        Layout::Table { features } => vec![features],
        Layout::Image { channels, height, width } => vec![channels, height, width],
    };
    let Some(dims) = declared else { return Some((None, natural)) };
    let (first, rest) = dims.split_first()?;
    let batch = if let Dim::Fixed(length) = first { Some(*length) } else { None };
    let agrees = |shape: &[usize]| {
        rest.len() == shape.len()
            && rest.iter().zip(shape).all(|(dim, length)| !matches!(dim, Dim::Fixed(d) if d != length))
    };
    // A row as one line is also what a model of images may take.
    [natural, vec![layout.len()]].into_iter().find(|shape| agrees(shape)).map(|shape| (batch, shape))
}

fn mismatch(described: &str, layout: Layout) -> String {
    match layout {
        Layout::Table { features } => format!("the model takes {described}, the data has {features} columns"),
        Layout::Image { channels, height, width } => format!(
            "the model takes {described}, the images are {channels} × {height} × {width} (channels first): give them in that order, or check for channels last"
        ),
    }
}

/// The output to read and its number of columns.
fn pick_output(
    names: &[String],
    seen: &[Vec<f32>],
    rows: usize,
    wanted: Option<&str>,
) -> Result<(usize, usize), Fault> {
    let columns =
        |at: usize| seen.get(at).filter(|v| rows > 0 && v.len() % rows == 0).map_or(0, |v| v.len() / rows);
    if let Some(wanted) = wanted {
        let at = names.iter().position(|n| n == wanted);
        return match at.map(|at| (at, columns(at))) {
            Some((at, columns)) if columns > 0 => Ok((at, columns)),
            Some(_) => {
                Err(Fault::NotApplicable(format!("output `{wanted}` holds no scores: choose another output")))
            }
            None => Err(Fault::NotApplicable(format!(
                "no output is called `{wanted}`; there is `{}`",
                names.join("`, `")
            ))),
        };
    }
    let several = (0..names.len()).find(|at| columns(*at) > 1);
    several.or_else(|| (0..names.len()).find(|at| columns(*at) == 1)).map(|at| (at, columns(at))).ok_or_else(
        || Fault::NotApplicable(format!("none of the outputs `{}` holds scores", names.join("`, `"))),
    )
}

fn guess_head(values: &[f32], columns: usize) -> Head {
    let unit = !values.is_empty() && values.iter().all(|v| (0.0..=1.0).contains(v));
    match columns {
        1 if unit => Head::OneProbability,
        1 => Head::OneLogit,
        _ if unit && values.chunks_exact(columns).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-3) => {
            Head::Probabilities
        }
        _ => Head::Logits,
    }
}

/// Scores of one row from its output columns.
pub(crate) fn score(head: Head, columns: &[f32], out: &mut [f32]) {
    let ln = |p: f32| if p.is_nan() { p } else { p.max(PROBABILITY_MIN).ln() };
    let column = |j: usize| columns.get(j).copied().unwrap_or(f32::NAN);
    match head {
        Head::Logits => out.copy_from_slice(columns),
        Head::Probabilities => out.iter_mut().zip(columns).for_each(|(o, p)| *o = ln(*p)),
        Head::OneLogit => out.copy_from_slice(&[0.0, column(0)]),
        Head::OneProbability => out.copy_from_slice(&[ln(1.0 - column(0)), ln(column(0))]),
        Head::FindingLogit(j) => out.copy_from_slice(&[0.0, column(j)]),
        Head::FindingProbability(j) => out.copy_from_slice(&[ln(1.0 - column(j)), ln(column(j))]),
    }
}

impl Labels for Classifier {
    fn space(&self) -> Space {
        self.space
    }

    fn labels(&mut self, rows: Rows<'_>, out: &mut Vec<Option<usize>>) -> Result<(), Fault> {
        self.decisions(rows, out)
    }
}

impl Scores for Classifier {
    fn scores(&mut self, rows: Rows<'_>, out: &mut Replies) -> Result<(), Fault> {
        if rows.width() != self.space.layout.len() {
            return Err(Fault::Shape(format!(
                "{} values a row, the model takes {}",
                rows.width(),
                self.space.layout.len()
            )));
        }
        let mut outputs = self.raw(rows.values(), rows.len())?;
        let values = if self.output < outputs.len() { outputs.swap_remove(self.output) } else { Vec::new() };
        out.reset(rows.len(), self.space.classes);
        let columns = values.len() / rows.len().max(1);
        if columns == 0 || values.len() != columns * rows.len() {
            return Err(Fault::Model("the model gave another number of scores than rows".to_owned()));
        }
        for (columns, place) in
            values.chunks_exact(columns).zip(out.scores.chunks_exact_mut(self.space.classes))
        {
            if matches!(self.head, Head::Logits | Head::Probabilities) && columns.len() != place.len() {
                return Err(Fault::Model("the model changed its number of classes".to_owned()));
            }
            score(self.head, columns, place);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    const MODELS: [&str; 2] = [
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/sklearn"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/hospital/models"),
    ];

    #[test]
    fn heads_are_told_apart() {
        assert_eq!(guess_head(&[0.2, 0.8, 0.5, 0.5], 2), Head::Probabilities);
        assert_eq!(guess_head(&[0.2, 0.9], 2), Head::Logits);
        assert_eq!(guess_head(&[0.2, 0.9], 1), Head::OneProbability);
        assert_eq!(guess_head(&[-0.2, 0.9], 1), Head::OneLogit);
    }

    #[test]
    fn channels_last_is_said() {
        let dims = [Dim::Symbolic("n".to_owned()), Dim::Fixed(28), Dim::Fixed(28), Dim::Fixed(1)];
        let layout = Layout::Image { channels: 1, height: 28, width: 28 };
        assert!(row_shape(Some(&dims), layout).is_none());
        assert!(mismatch("float32 [n, 28, 28, 1]", layout).contains("channels last"));
    }

    #[test]
    fn every_classifier_at_hand_gives_scores() {
        let mut seen = 0;
        for path in
            MODELS.iter().flat_map(|d| std::fs::read_dir(d).unwrap()).map(|entry| entry.unwrap().path())
        {
            if path.extension().is_none_or(|e| e != "onnx") {
                continue;
            }
            let Ok(model) = Model::load(&std::fs::read(&path).unwrap(), &Limits::default()) else { continue };
            let [input] = model.inputs() else { continue };
            let Some([_, rest @ ..]) = input.shape.as_deref() else { continue };
            let fixed: Vec<usize> =
                rest.iter().filter_map(|d| if let Dim::Fixed(n) = d { Some(*n) } else { None }).collect();
            let layout = match (fixed.as_slice(), rest.len()) {
                ([features], 1) => Layout::Table { features: *features },
                ([channels, height, width], 3) => {
                    Layout::Image { channels: *channels, height: *height, width: *width }
                }
                _ => continue,
            };
            let Ok(mut classifier) = Classifier::new(&model, &Reading::unit(layout), &[]) else { continue };
            let values: Vec<f32> = (0..layout.len() * 3).map(|i| (i % 10) as f32 / 10.0).collect();
            let mut replies = Replies::default();
            classifier.scores(Rows::new(&values, layout.len(), &[0, 1, 2]).unwrap(), &mut replies).unwrap();
            assert_eq!(replies.scores.len(), 3 * classifier.space().classes, "{path:?}");
            seen += 1;
        }
        assert!(seen >= 3, "only {seen} models were classifiers");
    }
}
