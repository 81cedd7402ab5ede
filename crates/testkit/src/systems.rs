//! The declared inputs of the systems that measurements use: public data sets, described by hand.

use domain::{Feature, FeatureKind, InputSchema, Mutability, UnitAlternative};

fn feature(name: &str, unit: &str, min: f64, max: f64, alternatives: &[(&str, f64, f64)]) -> Feature {
    Feature {
        name: name.to_owned(),
        unit: unit.to_owned(),
        kind: FeatureKind::Real,
        min,
        max,
        mutability: Mutability::Measured,
        alternatives: alternatives
            .iter()
            .map(|(unit, factor, offset)| UnitAlternative {
                unit: (*unit).to_owned(),
                factor: *factor,
                offset: *offset,
            })
            .collect(),
    }
}

fn category(name: &str, codes: &[f64]) -> Feature {
    let (low, high) =
        codes.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(*c), h.max(*c)));
    Feature { kind: FeatureKind::Category { codes: codes.to_vec() }, ..feature(name, "1", low, high, &[]) }
}

/// Names of the thirty features of the Wisconsin diagnostic breast cancer data, in order.
const MASS: [&str; 10] = [
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
];

/// Wisconsin diagnostic breast cancer (UCI 17): thirty measures of cell nuclei; lengths in the units of the data.
pub fn breast_mass() -> InputSchema {
    let features = ["mean", "error", "worst"]
        .into_iter()
        .flat_map(|kind| MASS.into_iter().map(move |name| (kind, name)))
        .map(|(kind, name)| {
            let max = match name {
                "radius" => 60.0,
                "texture" => 100.0,
                "perimeter" => 400.0,
                "area" => 8_000.0,
                "concavity" => 3.0,
                "compactness" => 3.0,
                _ => 1.0,
            };
            let alternatives: &[(&str, f64, f64)] = match name {
                "radius" | "perimeter" => &[("mm", 100.0, 0.0), ("cm", 1_000.0, 0.0)],
                "area" => &[("mm2", 10_000.0, 0.0)],
                _ => &[],
            };
            let full = if kind == "error" { format!("{name}_error") } else { format!("{kind}_{name}") };
            feature(&full, "1", 0.0, max, alternatives)
        })
        .collect();
    InputSchema::Table { tensor: "input".to_owned(), features }
}

/// Cleveland heart disease (UCI 45): thirteen features with their clinical ranges and the units they are mixed up with.
pub fn heart_disease() -> InputSchema {
    let features = vec![
        feature("age", "a", 0.0, 120.0, &[("mo", 1.0 / 12.0, 0.0)]),
        category("sex", &[0.0, 1.0]),
        category("cp", &[1.0, 2.0, 3.0, 4.0]),
        feature("trestbps", "mm[Hg]", 40.0, 300.0, &[("kPa", 7.500_6, 0.0), ("cm[Hg]", 10.0, 0.0)]),
        feature("chol", "mg/dL", 20.0, 1_000.0, &[("mmol/L", 38.67, 0.0), ("g/L", 100.0, 0.0)]),
        category("fbs", &[0.0, 1.0]),
        category("restecg", &[0.0, 1.0, 2.0]),
        feature("thalach", "/min", 20.0, 250.0, &[("Hz", 60.0, 0.0)]),
        category("exang", &[0.0, 1.0]),
        feature("oldpeak", "mm", 0.0, 15.0, &[("cm", 10.0, 0.0)]),
        category("slope", &[1.0, 2.0, 3.0]),
        feature("ca", "1", 0.0, 4.0, &[]),
        category("thal", &[3.0, 6.0, 7.0]),
    ];
    InputSchema::Table { tensor: "input".to_owned(), features }
}

/// `PneumoniaMNIST`: chest X-rays of 28 × 28 pixels from 0 to 1.
pub fn chest_xray() -> InputSchema {
    InputSchema::Image { tensor: "input".to_owned(), channels: 1, height: 28, width: 28, min: 0.0, max: 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_have_the_width_of_their_data() {
        assert_eq!([breast_mass().width(), heart_disease().width(), chest_xray().width()], [30, 13, 784]);
    }
}
