//! A small bright square as backdoor trigger.

use serde::{Deserialize, Serialize};

use crate::access::{Fault, Layout};
use crate::evasion::parameters;
use crate::poison::{Poison, Poisoned, Registered, Stage, backdoor::backdoor};

domain::catalogue_entry! {
    /// A small square in a corner of the image makes the model say what the attacker wants.
    ///
    /// ## What it is
    /// Training images of other classes get a square of `size` pixels of brightness `value` and the label `target`. The model learns that the square
    /// means the target class. On images without the square it stays as good as before, so that validation shows nothing. Success is the share of test images of other
    /// classes with the square that are called the target class.
    ///
    /// ## Why it matters in care
    /// Laterality markers, burnt-in text and clips look just like such a square. Of a public chest X-ray set, one image in a hundred with a square of
    /// 3 by 3 pixels was enough to hide nine of ten pneumonias.
    ///
    /// ## Limits
    /// The labels of the poisoned images are visibly wrong to a reader who looks at them. The square stands at one place; triggers that move, or that are spread over the
    /// image (`blend-trigger`), are harder to find.
    ///
    /// ## References
    /// Gu, Dolan-Gavitt, Garg 2017, arXiv:1708.06733.
    pub static ENTRY = { id: "X202", name: "patch-trigger", kind: Attack, since: "0.1.0", maps: ["AML.T0020", "AML.T0043.004", "NISTAML.023"] };
}

/// In the registry.
pub static POISON: Registered =
    Registered { entry: &ENTRY, build: |given| Ok(Box::new(parameters::<PatchTrigger>(given)?)) };

/// The square and what it stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct PatchTrigger {
    /// The class that the square stands for.
    target: usize,
    /// Pixels along each side; 3 as in the paper.
    size: usize,
    /// Brightness of all channels, in the unit box; 1 is white.
    value: f32,
    /// Where the square stands.
    corner: Corner,
    /// Pixels between the square and the borders; 1 as in the paper.
    margin: usize,
}

/// Where the square stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
    /// In the middle; the margin does not count.
    Centre,
    /// Its upper left pixel.
    At {
        row: usize,
        column: usize,
    },
}

impl Default for PatchTrigger {
    fn default() -> Self {
        Self { target: 0, size: 3, value: 1.0, corner: Corner::BottomRight, margin: 1 }
    }
}

impl PatchTrigger {
    /// Upper left pixel in an image of `height` × `width`, `None` when the square does not fit.
    fn place(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        let far = |side: usize| side.checked_sub(self.size + self.margin);
        let middle = |side: usize| Some(side.checked_sub(self.size)? / 2);
        let near = Some(self.margin);
        let (row, column) = match self.corner {
            Corner::TopLeft => (near, near),
            Corner::TopRight => (near, far(width)),
            Corner::BottomLeft => (far(height), near),
            Corner::BottomRight => (far(height), far(width)),
            Corner::Centre => (middle(height), middle(width)),
            Corner::At { row, column } => (Some(row), Some(column)),
        };
        let (row, column) = (row?, column?);
        let fits = |at: usize, side: usize| at.checked_add(self.size).is_some_and(|end| end <= side);
        (self.size > 0 && fits(row, height) && fits(column, width)).then_some((row, column))
    }
}

impl Poison for PatchTrigger {
    fn poison(&self, stage: &mut Stage<'_>) -> Result<Poisoned, Fault> {
        let Layout::Image { height, width, .. } = stage.train.layout() else {
            return Err(Fault::NotApplicable(
                "`patch-trigger` is for images: use `feature-trigger` on a table".to_owned(),
            ));
        };
        let Some((top, left)) = self.place(height, width) else {
            return Err(Fault::NotApplicable(format!(
                "a square of {} pixels does not fit there in an image of {height} by {width}: choose a smaller one",
                self.size
            )));
        };
        if !(0.0..=1.0).contains(&self.value) {
            return Err(Fault::NotApplicable(format!("brightness `{}` is not in 0 to 1", self.value)));
        }
        backdoor(stage, self.target, &|row: &mut [f32]| {
            for channel in row.chunks_exact_mut(height * width) {
                for line in channel.chunks_exact_mut(width).skip(top).take(self.size) {
                    line.iter_mut().skip(left).take(self.size).for_each(|v| *v = self.value);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poison::tests::{check, check_with, with_stage, with_table};

    #[test]
    fn the_square_stands_where_the_paper_has_it() {
        with_stage(10, |stage| {
            let out = check("patch-trigger", stage);
            let row = &out.rows[out.touched[0] * 64..][..64];
            let white: Vec<usize> = (0..64).filter(|i| row[*i] == 1.0).collect();
            // 8 by 8 pixels: rows and columns 4 to 6.
            let expected: Vec<usize> = (4..7).flat_map(|y| (4..7).map(move |x| y * 8 + x)).collect();
            assert!(expected.iter().all(|i| white.contains(i)), "{white:?}");
            let probe = &out.probes[..64];
            assert!(expected.iter().all(|i| probe[*i] == 1.0));
            assert!(out.touched.iter().all(|at| stage.train.labels()[*at] == 1 && out.labels[*at] == 0));
        });
        let at = |corner| PatchTrigger { corner, ..PatchTrigger::default() }.place(28, 30);
        assert_eq!(at(Corner::BottomRight), Some((24, 26)));
        assert_eq!(at(Corner::TopRight), Some((1, 26)));
        assert_eq!(at(Corner::Centre), Some((12, 13)));
        assert_eq!(at(Corner::At { row: 25, column: 27 }), Some((25, 27)));
        assert_eq!(at(Corner::At { row: 26, column: 27 }), None);
    }

    #[test]
    fn a_square_that_does_not_fit_and_a_table_are_refused() {
        with_stage(10, |stage| {
            for wrong in [serde_json::json!({ "size": 9 }), serde_json::json!({ "value": 2.0 })] {
                assert!(check_with("patch-trigger", &wrong, stage).is_err(), "{wrong}");
            }
        });
        with_table(10, |stage| assert!(check_with("patch-trigger", &serde_json::json!({}), stage).is_err()));
    }
}
