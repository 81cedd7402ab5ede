//! The rows that studies work on: training rows from the data's own training split, or from a split drawn with the seed, and held-out rows.

use attack::suite::study::{Study, What};
use attack::training::Samples;
use attack::{Fault, Space};
use domain::{Digest, Hasher};

use crate::AppError;
use crate::config::nearest_name;
use crate::dataset;
use crate::exercise::data::{Reading, Rows, Wanted, bad};
use crate::exercise::{Request, Target};

/// Fewest training rows, and fewest held-out rows.
const TRAIN_MIN: usize = 20;
const TEST_MIN: usize = 10;
/// Share of the rows that is held out where the data have no splits.
const HELD_OUT: f64 = 0.3;
/// Stream of the seed by which rows are split, and by which they are drawn.
const SPLIT: u64 = 0x5D1;
const DRAW: u64 = 0x5D2;

/// Rows with their classes, in the unit box.
#[derive(Debug, Clone, Default)]
pub(in crate::exercise) struct Set {
    pub(in crate::exercise) rows: Vec<f32>,
    pub(in crate::exercise) labels: Vec<usize>,
}

impl Set {
    pub(in crate::exercise) const fn len(&self) -> usize {
        self.labels.len()
    }

    pub(in crate::exercise) fn samples(&self, space: Space) -> Result<Samples<'_>, Fault> {
        Samples::new(&self.rows, &self.labels, space)
    }

    fn of(rows: &Rows, places: &[usize]) -> Self {
        Self {
            rows: places.iter().flat_map(|at| rows.row(*at)).copied().collect(),
            labels: places.iter().filter_map(|at| rows.labels.get(*at)).copied().collect(),
        }
    }

    /// At most `count` rows, drawn with the seed, in the order of the file.
    pub(in crate::exercise) fn draw(&self, count: usize, width: usize, seed: u64) -> Self {
        if count >= self.len() {
            return self.clone();
        }
        let mut places = numeric::Rng::new(seed, DRAW).permutation(self.len());
        places.truncate(count);
        places.sort_unstable();
        let row = |at: &usize| self.rows.get(at * width..(at + 1) * width).unwrap_or_default();
        Self {
            rows: places.iter().flat_map(row).copied().collect(),
            labels: places.iter().filter_map(|at| self.labels.get(*at)).copied().collect(),
        }
    }
}

/// Training rows and held-out rows.
pub(in crate::exercise) struct Ground {
    pub(in crate::exercise) space: Space,
    pub(in crate::exercise) train: Set,
    pub(in crate::exercise) test: Set,
    /// Names of a table's columns.
    pub(in crate::exercise) columns: Vec<String>,
    /// Whether the data say which rows are for training, so that they can be taken for the model's own.
    pub(in crate::exercise) declared: bool,
    pub(in crate::exercise) notes: Vec<String>,
    pub(in crate::exercise) digest: Digest,
}

impl Ground {
    /// The rows for the studies of `request`; `chosen` are the held-out rows of the exercise.
    pub(in crate::exercise) fn of(
        request: &Request,
        rows: &Rows,
        space: Space,
        chosen: &[usize],
    ) -> Result<Self, AppError> {
        let mut notes = Vec::new();
        let own =
            if rows.part == "all" || rows.part == "train" { None } else { Some(training(request, rows)?) };
        let declared = own.is_some();
        let (train, test) = match own {
            Some(training) => {
                let training = alike(training, rows, &mut notes);
                let all: Vec<usize> = (0..training.len()).collect();
                (Set::of(&training, &all), Set::of(rows, chosen))
            }
            None => {
                notes.push(format!(
                    "the data have no other split: {:.0}% of their rows, drawn with the seed, are held out of the studies' trainings",
                    100.0 * HELD_OUT
                ));
                divided(rows, request.suite.samples, request.suite.seed)
            }
        };
        let highest = train.labels.iter().max().copied().unwrap_or(0);
        if highest >= space.classes {
            return Err(bad(format!(
                "`{}`: the training rows have a class {highest}, the model tells {} apart",
                rows.name, space.classes
            )));
        }
        enough(&train, TRAIN_MIN, "training", &rows.name)?;
        enough(&test, TEST_MIN, "held-out", &rows.name)?;
        let columns = rows.columns.iter().map(|c| c.name.clone()).collect();
        let digest = digest(&[&train, &test]);
        Ok(Self { space, train, test, columns, declared, notes, digest })
    }

    /// Refuses a study that names a column which is not there.
    pub(super) fn check(&self, study: &Study) -> Result<(), AppError> {
        let What::Attribute { columns, .. } = &study.what else { return Ok(()) };
        for typed in columns {
            if self.column(typed).is_none() {
                let known: Vec<&str> = self.columns.iter().map(String::as_str).collect();
                let hint = nearest_name(typed, known.iter().copied()).map_or_else(
                    || format!("; there are {}", known.join(", ")),
                    |n| format!(": did you mean `{n}`?"),
                );
                return Err(bad(format!("study `{}`: there is no column `{typed}`{hint}", study.label)));
            }
        }
        Ok(())
    }

    /// Place of a column.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.eq_ignore_ascii_case(name))
    }
}

fn enough(set: &Set, least: usize, what: &str, name: &str) -> Result<(), AppError> {
    if set.len() < least {
        return Err(bad(format!(
            "`{name}`: {} {what} rows are too few for studies, which train models: give {least} or more",
            set.len()
        )));
    }
    let first = set.labels.first().copied().unwrap_or_default();
    if set.labels.iter().all(|l| *l == first) {
        return Err(bad(format!(
            "`{name}`: all {} {what} rows are of class {first}: a study needs at least two classes",
            set.len()
        )));
    }
    Ok(())
}

fn digest(sets: &[&Set]) -> Digest {
    let mut hasher = Hasher::new();
    for set in sets {
        let rows: Vec<u8> = set.rows.iter().flat_map(|v| v.to_le_bytes()).collect();
        let labels: Vec<u8> = set.labels.iter().flat_map(|l| (*l as u64).to_le_bytes()).collect();
        hasher.field(&rows).field(&labels);
    }
    hasher.finish()
}

/// The training split of the same data.
fn training(request: &Request, rows: &Rows) -> Result<Rows, AppError> {
    let (Target::File { data, .. } | Target::Remote { data, .. }) = &request.target else {
        return of_system(request);
    };
    let bytes = dataset::read_file(data, request.bytes_max)
        .map_err(|e| bad(e.to_string().replace("reference data ", "")))?;
    if Digest::of(&bytes) != rows.digest {
        return Err(bad(format!("`{}` changed while it was read: run the exercise again", rows.name)));
    }
    let shape = match rows.layout {
        attack::Layout::Table { features } => vec![Some(features)],
        attack::Layout::Image { channels, height, width } => vec![Some(channels), Some(height), Some(width)],
    };
    let takes_bytes = request.reading.range.is_none() && rows.low == [0.0] && rows.span == [255.0];
    let wanted = Wanted { shape: Some(shape), bytes: takes_bytes };
    let reading = Reading { split: Some("train".to_owned()), group: None, ..request.reading.clone() };
    // A column of subgroups that stands beside the inputs is read past as before.
    let reading = if rows.groups.is_some() {
        Reading { group: request.reading.group.clone(), ..reading }
    } else {
        reading
    };
    Rows::read(&rows.name, &bytes, &wanted, &reading).map_err(|e| {
        bad(format!(
            "the studies of this suite train models and found no training rows. {e}. Give the data a split `train`, or no splits at all (they are then divided with the seed)"
        ))
    })
}

fn of_system(request: &Request) -> Result<Rows, AppError> {
    let Target::System(system) = &request.target else {
        return Err(AppError::Internal("training rows of no target".to_owned()));
    };
    let bytes = dataset::read_file(&system.reference, request.bytes_max)
        .map_err(|e| bad(e.to_string().replace("reference data ", "")))?;
    let data = dataset::read(&system.reference, &bytes, &system.schema, &system.split)?;
    let name = system.reference.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Rows::of_part(&system.schema, &data.fit, &name, data.digest, "fit")
}

/// `training` in the unit box of `rows`.
fn alike(mut training: Rows, rows: &Rows, notes: &mut Vec<String>) -> Rows {
    notes.extend(
        training.notes.iter().filter(|n| !rows.notes.contains(n)).map(|n| format!("training rows: {n}")),
    );
    if training.low != rows.low || training.span != rows.span {
        let width = training.layout.len().max(1);
        let at = |list: &[f32], n: usize| list.get(n % list.len().max(1)).copied().unwrap_or(0.0);
        let unit = training.unit.iter().enumerate().map(|(n, v)| {
            let n = n % width;
            let value = at(&training.low, n) + v * at(&training.span, n);
            let span = at(&rows.span, n);
            if span > 0.0 { ((value - at(&rows.low, n)) / span).clamp(0.0, 1.0) } else { 0.0 }
        });
        training.unit = unit.collect();
    }
    training
}

/// Rows without a training split, divided with the seed.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is between 0 and the count"
)]
fn divided(rows: &Rows, samples: usize, seed: u64) -> (Set, Set) {
    let order = numeric::Rng::new(seed, SPLIT).permutation(rows.len());
    let out = ((rows.len() as f64 * HELD_OUT).round() as usize).min(rows.len());
    let (test, train) = order.split_at(out);
    let sorted = |places: &[usize]| {
        let mut places = places.to_vec();
        places.sort_unstable();
        places
    };
    let test = test.get(..samples).unwrap_or(test);
    (Set::of(rows, &sorted(train)), Set::of(rows, &sorted(test)))
}
