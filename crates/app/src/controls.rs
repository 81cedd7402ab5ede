//! The control catalogue: data in `catalog/controls.toml`, compiled in, checked when read.

use domain::Control;
use serde::Deserialize;

use crate::AppError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    control: Vec<Control>,
}

/// The controls that the product ships, in order of stage.
///
/// # Errors
/// When the compiled-in file is not what it should be; a test keeps that from happening.
pub fn shipped() -> Result<Vec<Control>, AppError> {
    let file: File = toml::from_str(include_str!("../../../catalog/controls.toml"))
        .map_err(|e| AppError::Internal(format!("catalog/controls.toml: {e}")))?;
    Ok(file.control)
}

/// A control's page, in the shape of the catalogue's pages.
pub fn page(control: &Control) -> String {
    use std::fmt::Write as _;
    let mut out = format!("{}\n\n## What it is\n{}\n", control.title, control.statement);
    let _ = write!(out, "Stage: {}. Proven by: ", control.stage);
    for (n, requirement) in control.requires.iter().enumerate() {
        let covers: Vec<&str> = requirement.covers.iter().map(|r| r.as_str()).collect();
        let age = requirement.age_days_max.map_or_else(String::new, |d| format!(", not older than {d} days"));
        let over = if covers.is_empty() { String::new() } else { format!(" over {}", covers.join(", ")) };
        let _ = write!(out, "{}{}{over}{age}", if n == 0 { "" } else { "; " }, requirement.check);
    }
    let _ = write!(
        out,
        ".\n## Why it matters in care\n{}\n## Limits\nA control says what was shown, not that nothing can happen.\n## References\n- {}\n",
        control.why,
        control.maps.join(", ")
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_controls_are_ordered_unique_and_proven_by_known_checks() {
        let controls = shipped().unwrap();
        assert!(controls.windows(2).all(|w| w[0].stage <= w[1].stage));
        let mut ids: Vec<&str> = controls.iter().map(|c| c.id.as_str()).collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|w| w[0] < w[1]));
        for requirement in controls.iter().flat_map(|c| &c.requires) {
            assert!(
                crate::checks::ENTRIES.iter().any(|e| e.id == requirement.check),
                "{}",
                requirement.check
            );
        }
    }
}
