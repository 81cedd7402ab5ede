//! What conditions and least changes need to know of a table: what its columns are, which values a patient can have, and by how much measurements err.

use attack::corruption::{self, Table};
use attack::scorecard::{ChangeCell, Sample, ShownRows, Single};
use attack::suite::{Answers, ChangePiece, Chunk, Clinic, ConditionPiece, LeastChange};
use attack::tabular::{Relation, Rulebook, Scale};
use attack::{Fault, Layout};
use domain::{Feature, FeatureKind, Mutability};
use numeric::Matrix;

use super::data::Rows;
use super::open::Opened;
use super::{EXHIBITS_MAX, Request};

/// Different whole numbers up to which a column of a table that nothing is declared of is taken for codes.
const CODES_MAX: usize = 5;

/// What is known of the table, ready for conditions and least changes.
pub(super) struct Ward {
    /// The columns, or why conditions cannot be done to them.
    pub(super) table: Option<Result<Table, String>>,
    /// One per search of the suite, or why it cannot be run.
    pub(super) clinics: Vec<Result<Clinic, String>>,
    /// What the user should know of it.
    pub(super) note: Option<String>,
}

impl Ward {
    /// From the opened target. Images need none of it.
    pub(super) fn new(request: &Request, opened: &Opened) -> Self {
        let rows = &opened.rows;
        let wanted = request.suite.conditions.iter().any(|c| c.subject.takes(rows.layout))
            || !request.suite.changes.is_empty();
        let Layout::Table { .. } = rows.layout else {
            return Self { table: None, clinics: Vec::new(), note: None };
        };
        if !wanted {
            return Self { table: None, clinics: Vec::new(), note: None };
        }
        let (features, guessed) = features(rows);
        let note = (guessed && !request.suite.changes.is_empty()).then(|| {
            "nothing is declared about the columns: whole numbers and codes are guessed from the rows, and every column may change; --system knows units, ranges and what never changes".to_owned()
        });
        let clinics = request.suite.changes.iter().map(|c| clinic(c, opened, &features, request)).collect();
        Self { table: Some(table(rows, &features)), clinics, note }
    }
}

/// The declared features, or what the rows show of them, and whether it was guessed.
fn features(rows: &Rows) -> (Vec<Feature>, bool) {
    if !rows.features.is_empty() {
        return (rows.features.clone(), false);
    }
    let width = rows.layout.len();
    let guess = |(n, column): (usize, &super::data::Column)| {
        let (low, span) = range(rows, n);
        let mut values: Vec<f64> = rows
            .reference
            .iter()
            .skip(n)
            .step_by(width.max(1))
            .filter(|v| v.is_finite())
            .map(|v| f64::from(*v))
            .collect();
        let whole = values.iter().all(|v| v.fract() == 0.0);
        values.sort_by(f64::total_cmp);
        values.dedup();
        let kind = match (whole, values.len()) {
            (true, ..=CODES_MAX) => FeatureKind::Category { codes: values },
            (true, _) => FeatureKind::Integer,
            _ => FeatureKind::Real,
        };
        // A column that does not vary, the model never saw vary.
        let mutability = if span > 0.0 { Mutability::Measured } else { Mutability::Immutable };
        Feature {
            name: column.name.clone(),
            unit: column.unit.clone(),
            kind,
            min: low,
            max: low + span,
            mutability,
            alternatives: Vec::new(),
        }
    };
    (rows.columns.iter().enumerate().map(guess).collect(), true)
}

/// Low end and span of a column, in its unit.
fn range(rows: &Rows, column: usize) -> (f64, f64) {
    let of = |list: &[f32]| list.get(column).or_else(|| list.first()).map_or(0.0, |v| f64::from(*v));
    (of(&rows.low), of(&rows.span))
}

/// The columns with what their unit box means.
fn table(rows: &Rows, features: &[Feature]) -> Result<Table, String> {
    let columns: Vec<corruption::Column> = features
        .iter()
        .enumerate()
        .map(|(n, feature)| {
            let (low, span) = range(rows, n);
            // A column that does not vary has no box: whatever is written there, the model sees the same.
            let high = if span > 0.0 { low + span } else { low + 1.0 };
            corruption::Column { feature: feature.clone(), low, high }
        })
        .collect();
    let mut reference = Vec::with_capacity(rows.reference.len());
    for row in rows.reference.chunks_exact(columns.len().max(1)) {
        #[expect(clippy::cast_possible_truncation, reason = "rows are single precision")]
        reference.extend(row.iter().zip(&columns).map(|(v, c)| c.to_box(f64::from(*v)) as f32));
    }
    Table::new(columns, &reference)
}

fn clinic(
    change: &LeastChange,
    opened: &Opened,
    features: &[Feature],
    request: &Request,
) -> Result<Clinic, String> {
    let rows = &opened.rows;
    let names: Vec<&str> = features.iter().map(|f| f.name.as_str()).collect();
    let mut features = features.to_vec();
    for name in &change.immutable {
        match features.iter_mut().find(|f| f.name == *name) {
            Some(feature) => feature.mutability = Mutability::Immutable,
            None => {
                return Err(format!("`{name}`, which is said never to change, is no column of this table"));
            }
        }
    }
    let relations: Result<Vec<Relation>, String> =
        change.relations.iter().map(|r| Relation::parse(r, &names).map_err(|e| e.to_string())).collect();
    let width = features.len();
    let reference =
        Matrix { rows: rows.reference.len() / width.max(1), cols: width, data: rows.reference.clone() };
    let errors: Vec<(String, f64)> = change.errors.iter().map(|(n, e)| (n.clone(), *e)).collect();
    let (book, unknown) = Rulebook::new(&features, relations?, &reference).with_errors(&errors);
    if let Some(name) = unknown.first() {
        return Err(format!("`{name}`, of which a measurement error is given, is no column of this table"));
    }
    let each = |list: &[f32]| -> Vec<f32> {
        (0..width).map(|n| list.get(n).or_else(|| list.first()).copied().unwrap_or(0.0)).collect()
    };
    let scale = Scale { low: each(&rows.low), span: each(&rows.span) };
    let forest = if request.labels_only { None } else { opened.source.forest() };
    Ok(Clinic { book, scale, forest })
}

/// Rows of a chunk in clinical units, as recorded.
pub(super) fn clinical(opened: &Opened, samples: &[Sample], chunk: &Chunk) -> Vec<f32> {
    let width = opened.rows.layout.len();
    let mut out = Vec::with_capacity(chunk.samples.len() * width);
    for at in &chunk.samples {
        let row = samples.get(*at).map_or(0, |s| s.row);
        out.extend_from_slice(opened.rows.recorded.get(row * width..(row + 1) * width).unwrap_or_default());
    }
    out
}

/// A piece that says why nothing can be done.
pub(super) fn refused(change: usize, chunk: usize, why: &str) -> ChangePiece {
    ChangePiece { change, chunk, skipped: Some(why.to_owned()), ..ChangePiece::default() }
}

/// The patients shown, cheapest first, at most as many as asked for in each search: the whole row, changed cells first.
pub(super) fn shown(
    opened: &Opened,
    request: &Request,
    samples: &[Sample],
    pieces: &[ChangePiece],
) -> ShownRows {
    let mut out = ShownRows::new();
    let most = request.exhibits_max.min(EXHIBITS_MAX);
    for at in 0..request.suite.changes.len() {
        let mut found: Vec<_> = pieces
            .iter()
            .filter(|p| p.change == at)
            .flat_map(|p| &p.patients)
            .filter(|p| p.cost.is_some())
            .collect();
        found.sort_by(|a, b| {
            a.cost.unwrap_or_default().total_cmp(&b.cost.unwrap_or_default()).then(a.sample.cmp(&b.sample))
        });
        for patient in found.into_iter().take(most) {
            let Some(sample) = samples.get(patient.sample) else { continue };
            let width = opened.rows.layout.len();
            let before =
                opened.rows.recorded.get(sample.row * width..(sample.row + 1) * width).unwrap_or_default();
            let cell = |column: usize, after: Option<f64>, errors: f64| {
                let known = opened.rows.columns.get(column)?;
                let before = super::exhibit::shortest(*before.get(column)?);
                let (name, unit) = (known.name.clone(), known.unit.clone());
                Some(ChangeCell { name, unit, before, after: after.unwrap_or(before), errors })
            };
            let changed = patient.cells.iter().filter_map(|c| cell(c.column, Some(c.after), c.errors));
            let same = (0..width).filter(|n| !patient.cells.iter().any(|c| c.column == *n));
            let cells = changed.chain(same.filter_map(|n| cell(n, None, 0.0))).collect();
            out.insert((at, patient.sample), cells);
        }
    }
    out
}

/// One line about a condition that is done on all samples: accuracy at each strength.
pub(super) fn condition_line(
    request: &Request,
    at: usize,
    pieces: &[&ConditionPiece],
    samples: &[Sample],
) -> Option<(String, String)> {
    let condition = request.suite.conditions.get(at)?;
    let mut parts = Vec::new();
    for n in 0..condition.levels.len() {
        let answers: Vec<&Answers> = pieces.iter().filter_map(|p| p.levels.get(n)).collect();
        let (mut right, mut of) = (0_usize, 0_usize);
        for (sample, class) in answers.iter().flat_map(|a| a.samples.iter().zip(&a.classes)) {
            of += usize::from(class.is_some());
            right += usize::from(class.is_some() && *class == samples.get(*sample).map(|s| s.label));
        }
        if of > 0 {
            parts.push(format!("{:.1}%", 100.0 * right as f64 / of as f64));
        }
    }
    let label = condition.label.clone();
    (!parts.is_empty()).then(|| (label, format!("{} right", parts.join(" "))))
}

/// One line about a search that is done on all patients.
pub(super) fn change_line(request: &Request, at: usize, pieces: &[&ChangePiece]) -> Option<(String, String)> {
    let label = request.suite.changes.get(at)?.label.clone();
    let patients = pieces.iter().flat_map(|p| &p.patients).filter(|p| p.left_out.is_none());
    let (mut of, mut costs) = (0_usize, Vec::new());
    for patient in patients {
        of += 1;
        costs.extend(patient.cost);
    }
    if of == 0 {
        return None;
    }
    let middle = if costs.is_empty() {
        String::new()
    } else {
        format!(", median cost {}", attack::scorecard::errors_text(numeric::median(&mut costs)))
    };
    Some((label, format!("{} of {of} patients flipped{middle}", costs.len())))
}

/// A piece with what the guards said of its rows, each sent once, in their order; none without a gateway.
pub(super) fn seen(mut piece: ConditionPiece, words: Option<Vec<Single>>) -> ConditionPiece {
    let Some(words) = words else { return piece };
    let mut words = words.into_iter();
    for level in &mut piece.levels {
        let of_level = words.by_ref().take(level.samples.len());
        level.seen_by_guards = Some(of_level.filter(|w| w.blocked || !w.guards.is_empty()).count());
    }
    piece
}

/// A fault as a piece of a condition.
pub(super) fn failed(condition: usize, chunk: usize, fault: &Fault) -> ConditionPiece {
    ConditionPiece { condition, chunk, fault: Some(fault.to_string()), ..ConditionPiece::default() }
}
