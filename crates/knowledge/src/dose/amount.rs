//! The dose line of a formulary: `oral 500-2000 mg/day max 2550 single 1000`.

use std::str::FromStr;

use crate::kind::{Per, Route, Unit};

/// A dose line, all amounts in the base unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DoseLine {
    pub route: Route,
    pub unit: Unit,
    pub per: Per,
    pub low: f64,
    pub high: f64,
    pub max: f64,
    pub single_max: f64,
}

/// A unit as written, with the factor to the base unit: micrograms and grams become milligrams.
pub(crate) fn unit(word: &str) -> Option<(Unit, f64)> {
    Some(match word {
        "mg" | "milligram" | "milligrams" | "mgs" => (Unit::Milligram, 1.0),
        "mcg" | "ug" | "µg" | "μg" | "microgram" | "micrograms" | "mcgs" => (Unit::Milligram, 1e-3),
        "ng" | "nanogram" | "nanograms" => (Unit::Milligram, 1e-6),
        "g" | "gm" | "gram" | "grams" | "gms" => (Unit::Milligram, 1e3),
        "kg" => (Unit::Milligram, 1e6),
        "unit" | "units" | "iu" | "u" | "international units" => (Unit::Units, 1.0),
        "meq" | "milliequivalents" | "milliequivalent" => (Unit::Milliequivalent, 1.0),
        "ml" | "milliliter" | "milliliters" | "millilitre" | "millilitres" => (Unit::Millilitre, 1.0),
        _ => return None,
    })
}

impl FromStr for DoseLine {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("dose `{line}` is not `route low-high unit/day max number single number`");
        let mut words = line.split_whitespace();
        let route = words.next().and_then(Route::from_word).ok_or_else(wrong)?;
        let (low, high) = range(words.next().ok_or_else(wrong)?).ok_or_else(wrong)?;
        let (unit_word, per) = words.next().and_then(|w| w.split_once('/')).ok_or_else(wrong)?;
        let (unit, factor) = unit(&unit_word.to_lowercase()).ok_or_else(wrong)?;
        let per = Per::from_word(per).ok_or_else(wrong)?;
        let (mut max, mut single_max) = (f64::INFINITY, f64::INFINITY);
        while let Some(word) = words.next() {
            let value = words.next().and_then(number).ok_or_else(wrong)?;
            match word {
                "max" => max = value * factor,
                "single" => single_max = value * factor,
                _ => return Err(wrong()),
            }
        }
        Ok(Self { route, unit, per, low: low * factor, high: high * factor, max, single_max })
    }
}

fn number(word: &str) -> Option<f64> {
    word.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)
}

fn range(word: &str) -> Option<(f64, f64)> {
    match word.split_once('-') {
        Some((low, high)) => Some((number(low)?, number(high)?)),
        None => number(word).map(|n| (n, n)),
    }
    .filter(|(low, high)| low <= high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_in_its_base_unit() {
        let line: DoseLine = "oral 25-200 mcg/day max 300".parse().unwrap();
        assert_eq!((line.route, line.unit, line.per), (Route::Oral, Unit::Milligram, Per::Day));
        assert_eq!((line.low, line.high, line.max, line.single_max), (0.025, 0.2, 0.3, f64::INFINITY));
        let weekly: DoseLine = "oral 7.5-25 mg/week max 25 single 25".parse().unwrap();
        assert_eq!((weekly.per, weekly.single_max), (Per::Week, 25.0));
        for wrong in [
            "",
            "oral",
            "oral 5",
            "oral 5 mg",
            "oral 9-5 mg/day",
            "oral 5 mg/day max",
            "oral nan mg/day",
            "by 5 mg/day",
        ] {
            assert!(wrong.parse::<DoseLine>().is_err(), "{wrong}");
        }
    }
}
