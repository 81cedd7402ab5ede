//! Corruptions and unexpected conditions: what a bad day does to the input, without anybody attacking. One file per family,
//! one line each in [`CORRUPTIONS`]; severities 1 to 5 are numbers that the family's page explains. What goes wrong around the model, not in its input,
//! is in [`service`]; what it costs is in [`Measures`].

mod blur;
mod brightness;
mod channel;
mod condition;
mod contrast;
mod gamma;
mod gaussian_noise;
mod impulse_noise;
mod jpeg;
mod measure;
mod picture;
mod pixelate;
pub mod service;
mod shot_noise;
mod speckle_noise;
mod table;

use domain::Entry;
use serde::{Deserialize, Serialize};

use crate::access::{Fault, Layout, Rows};

pub use measure::{Area, Measures};
pub use picture::{OnImage, Picture};
pub use table::{Column, OnTable, Patient, Table, changed_cells};

/// All corruptions and conditions.
pub static CORRUPTIONS: &[&Registered] = &[
    &pixelate::CORRUPTION,
    &jpeg::CORRUPTION,
    &gaussian_noise::CORRUPTION,
    &speckle_noise::CORRUPTION,
    &impulse_noise::CORRUPTION,
    &shot_noise::CORRUPTION,
    &blur::CORRUPTION,
    &brightness::UP,
    &brightness::DOWN,
    &contrast::UP,
    &contrast::DOWN,
    &gamma::UP,
    &gamma::DOWN,
    &condition::bit_depth::CORRUPTION,
    &condition::inversion::CORRUPTION,
    &condition::window::CORRUPTION,
    &condition::laterality_marker::CORRUPTION,
    &condition::rotation::CORRUPTION,
    &condition::rotation::TURNED,
    &condition::flipped::CORRUPTION,
    &condition::shifted::CORRUPTION,
    &condition::cropped::CORRUPTION,
    &condition::collimation::CORRUPTION,
    &condition::dead_lines::CORRUPTION,
    &table::unit_mixup::CORRUPTION,
    &table::decimal_shift::CORRUPTION,
    &table::swapped_columns::CORRUPTION,
    &table::stale_values::CORRUPTION,
    &table::missing::NAN,
    &table::missing::ZERO,
    &table::missing::MINUS_ONE,
    &table::missing::NINES,
    &table::missing::MEDIAN,
    &table::rounding::CORRUPTION,
    &table::site_shift::CORRUPTION,
];

/// What is corrupted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Images, as 256 grey levels per channel.
    Image,
    /// Rows of tables, in clinical units.
    Table,
}

/// Where a family comes from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A published benchmark: MedMNIST-C, severities of its PneumoniaMNIST set.
    Benchmark,
    /// A condition of the clinic, of our own making.
    Condition,
}

/// What the severities of a family are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strengths {
    /// Strength at severity 1, 2, … (at most 5; fewer where a condition has fewer forms).
    pub values: &'static [f64],
    /// Lowest strength that may be asked for.
    pub low: f64,
    /// Highest strength that may be asked for.
    pub high: f64,
    /// What the number is, with its unit.
    pub means: &'static str,
}

/// A family in the registry.
pub struct Registered {
    /// Its page.
    pub entry: &'static Entry,
    /// What it is done to.
    pub subject: Subject,
    /// Where it comes from.
    pub source: Source,
    /// What its severities are.
    pub strengths: &'static Strengths,
    /// Makes the corruption of a strength. Reached through [`Registered::configure`].
    make: fn(f64) -> Act,
}

/// What is done to a row, by subject.
enum Act {
    /// To an image.
    Image(Box<dyn OnImage>),
    /// To the row of a patient.
    Table(Box<dyn OnTable>),
}

/// How strong: `{"severity": 1..=5}` or `{"strength": number}`; nothing given is severity 3, or the last where there are fewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Setting {
    /// Place in the family's list, from 1.
    pub severity: Option<usize>,
    /// The number itself, in place of a severity.
    pub strength: Option<f64>,
}

/// A family at one strength.
pub struct Corruption {
    /// Its page.
    pub entry: &'static Entry,
    /// How strong, see [`Strengths::means`].
    pub strength: f64,
    act: Act,
}

impl Registered {
    /// The corruption that `given` asks for: see [`Setting`]. `{}` and null give the default severity.
    ///
    /// # Errors
    /// What is wrong with the parameters, in one line.
    pub fn build(&self, given: &serde_json::Value) -> Result<Corruption, String> {
        self.configure(crate::evasion::parameters::<Setting>(given)?)
    }

    /// The corruption at a severity or strength.
    ///
    /// # Errors
    /// What is wrong with the setting, in one line.
    pub fn configure(&self, setting: Setting) -> Result<Corruption, String> {
        let (name, of) = (self.entry.name, self.strengths);
        let strength = match (setting.severity, setting.strength) {
            (Some(_), Some(_)) => return Err(format!("`{name}` takes a severity or a strength, not both")),
            (None, Some(strength)) => strength,
            (severity, None) => {
                let severity = severity.unwrap_or(of.values.len().min(3));
                let at = severity.checked_sub(1).and_then(|at| of.values.get(at));
                *at.ok_or_else(|| {
                    format!("`{name}` has severities 1 to {}, not {severity}", of.values.len())
                })?
            }
        };
        if !(of.low..=of.high).contains(&strength) {
            return Err(format!(
                "`{name}` takes a strength from {} to {} ({}), not {strength}",
                of.low, of.high, of.means
            ));
        }
        Ok(Corruption { entry: self.entry, strength, act: (self.make)(strength) })
    }
}

impl Corruption {
    /// Writes the corrupted images into `out`, row-major, as many as `rows`. The random numbers of a row depend on `seed`, the family and the
    /// row's sample number only, so a row comes out the same whatever it is batched with and on however many threads.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] when the layout is no image or the family is not about images; [`Fault::Shape`] when rows do not fit the layout
    /// or hold a value that is not a number.
    pub fn images(&self, rows: Rows<'_>, layout: Layout, seed: u64, out: &mut Vec<f32>) -> Result<(), Fault> {
        let (Act::Image(act), Layout::Image { channels, height, width }) = (&self.act, layout) else {
            return Err(self.not_about(if matches!(layout, Layout::Image { .. }) {
                "images"
            } else {
                "tables"
            }));
        };
        fits(rows, layout.len())?;
        out.clear();
        out.reserve(rows.values().len());
        let mut picture = Picture::new(channels, height, width);
        for (row, sample) in rows.iter().zip(rows.samples()) {
            picture.load(row).map_err(|fault| Fault::Shape(format!("sample {sample}: {fault}")))?;
            act.corrupt(&mut picture, &mut self.rng(seed, *sample as u64));
            picture.store(out);
        }
        Ok(())
    }

    /// Writes the corrupted rows of a table into `out`, row-major, as many as `rows`, with random numbers as [`Corruption::images`] has them. Cells that are not
    /// touched stay bit for bit; others may leave the unit box or be NaN, and are given to the model as they are.
    ///
    /// # Errors
    /// [`Fault::NotApplicable`] when the family is not about tables or finds no column in this one that it could be done to; [`Fault::Shape`] when rows do not
    /// fit the table.
    #[expect(clippy::cast_possible_truncation, reason = "rows are single precision")]
    pub fn tables(&self, rows: Rows<'_>, table: &Table, seed: u64, out: &mut Vec<f32>) -> Result<(), Fault> {
        let Act::Table(act) = &self.act else { return Err(self.not_about("tables")) };
        fits(rows, table.columns().len())?;
        if let Some(why) = act.refuses(table) {
            return Err(Fault::NotApplicable(format!("`{}`: {why}", self.entry.name)));
        }
        out.clear();
        out.reserve(rows.values().len());
        let (mut before, mut values) = (Vec::new(), Vec::new());
        for (row, sample) in rows.iter().zip(rows.samples()) {
            before.clear();
            before.extend(row.iter().zip(table.columns()).map(|(v, c)| c.to_unit(f64::from(*v))));
            values.clone_from(&before);
            let mut patient = Patient { sample: *sample, values: &mut values, table };
            // The site is one for all patients: its generator starts anew for each.
            act.corrupt(&mut patient, &mut self.rng(seed, *sample as u64), &mut self.rng(seed, u64::MAX));
            let cells = row.iter().zip(&before).zip(&values).zip(table.columns());
            out.extend(cells.map(
                |(((kept, b), v), c)| {
                    if b.to_bits() == v.to_bits() { *kept } else { c.to_box(*v) as f32 }
                },
            ));
        }
        Ok(())
    }

    fn not_about(&self, what: &str) -> Fault {
        Fault::NotApplicable(format!("`{}` is not about {what}", self.entry.name))
    }

    /// The generator of one sample. Severities share it, so that what differs between them is the severity.
    fn rng(&self, seed: u64, sample: u64) -> numeric::Rng {
        let family = self.entry.id.bytes().fold(0_u64, |sum, b| (sum << 8) | u64::from(b));
        numeric::Rng::new(seed ^ family.wrapping_mul(0x9e37_79b9_7f4a_7c15), sample)
    }
}

fn fits(rows: Rows<'_>, width: usize) -> Result<(), Fault> {
    let seen = rows.width();
    let fault = || Fault::Shape(format!("rows of {seen} values are not the {width} of the layout"));
    (seen == width).then_some(()).ok_or_else(fault)
}

/// The family called `typed`, by id or name.
pub fn find(typed: &str) -> Option<&'static Registered> {
    let same =
        |c: &&&Registered| c.entry.id.eq_ignore_ascii_case(typed) || c.entry.name.eq_ignore_ascii_case(typed);
    CORRUPTIONS.iter().find(same).copied()
}

#[cfg(test)]
mod tests;
