//! Compares a stated amount with what the label allows, and shows the arithmetic.

use super::stated::Stated;
use crate::graph::Dose;
use crate::kind::{Per, Route, Unit};

/// What comes out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    /// Within the label's range, beyond it, or not comparable.
    pub fits: Option<bool>,
    /// The arithmetic in words.
    pub arithmetic: String,
    /// Number of the source in the graph, and where in it.
    pub source: u16,
    pub cite: String,
}

/// Beyond the maximum by less than this is rounding (`a 1,000 mg tablet` of 975).
const TOLERANCE: f64 = 1.02;

/// Below the least usual amount by this factor, an amount is taken for a slip of unit or decimal point.
const TOO_LITTLE: f64 = 10.0;

/// `facts` of one drug; `None` when none of them has the same unit and route.
pub(crate) fn judge(stated: &Stated, facts: &[Dose<'_>]) -> Option<Judged> {
    let same_route =
        |d: &&Dose<'_>| stated.route == Route::Any || d.route == Route::Any || d.route == stated.route;
    let fitting: Vec<&Dose<'_>> = facts.iter().filter(|d| d.unit == stated.unit).filter(same_route).collect();
    let all: Vec<Judged> = fitting.iter().map(|d| against(stated, d)).collect();
    // Several ways to give it and none stated: the amount is wrong only when it is wrong for all of them.
    let best = all.iter().find(|j| j.fits == Some(true)).or_else(|| all.iter().find(|j| j.fits.is_none()));
    best.or_else(|| all.first()).cloned()
}

fn against(stated: &Stated, fact: &Dose<'_>) -> Judged {
    let once = stated.high * stated.factor * stated.pieces;
    let least = stated.low * stated.factor * stated.pieces;
    let period = period(fact.per);
    let said = match (stated.per, fact.per) {
        (Per::Dose, _) | (_, Per::Dose) => None,
        (Per::Day, Per::Day) | (Per::Week, Per::Week) => Some(stated.times),
        (Per::Day, Per::Week) => Some(stated.times * 7.0),
        (Per::Week, Per::Day) => Some(stated.times / 7.0),
    };
    let judged =
        |fits, arithmetic| Judged { fits, arithmetic, source: fact.source, cite: fact.cite.to_owned() };
    let unit = fact.unit;
    if let Some(times) = said {
        let total = once * times;
        let sum = format!("{} = {}{period}", product(stated, times, fact.per), show(total, unit));
        if total > fact.max * TOLERANCE {
            let slip = if stated.per == fact.per { slip(total, fact) } else { "" };
            return judged(Some(false), format!("{sum}; maximum {}{slip}", show(fact.max, unit)));
        }
        if once > fact.single_max * TOLERANCE {
            return judged(
                Some(false),
                format!("{} at once; maximum {}", show(once, unit), show(fact.single_max, unit)),
            );
        }
        if least * times * TOO_LITTLE <= fact.low {
            return judged(Some(false), format!("{sum}; usual {}{}", usual(fact), slip(total, fact)));
        }
        let inside = least * times >= fact.low * 0.5;
        let words = if fact.max.is_finite() {
            format!("maximum {}", show(fact.max, unit))
        } else {
            format!("usual {}", usual(fact))
        };
        let beyond_usual = !fact.max.is_finite() && total > fact.high * TOLERANCE;
        return judged((inside && !beyond_usual).then_some(true), format!("{sum}; {words}"));
    }
    let most = if fact.single_max.is_finite() { fact.single_max } else { fact.max };
    let at_once = show(once, unit);
    if once > most * TOLERANCE {
        return judged(
            Some(false),
            format!("{at_once} at once; maximum {}{}", show(most, unit), slip(once, fact)),
        );
    }
    // Without a frequency the least usual amount may be given in up to six parts a day.
    if once * TOO_LITTLE * 6.0 <= fact.low {
        return judged(Some(false), format!("{at_once}; usual {}{}", usual(fact), slip(once, fact)));
    }
    judged(None, format!("{at_once}; usual {}", usual(fact)))
}

fn period(per: Per) -> &'static str {
    match per {
        Per::Day => " a day",
        Per::Week => " a week",
        Per::Dose => " at once",
    }
}

fn usual(fact: &Dose<'_>) -> String {
    let (low, high) = (show(fact.low, fact.unit), show(fact.high, fact.unit));
    let range = if fact.low < fact.high { format!("{low} to {high}") } else { high };
    format!("{range}{}", period(fact.per))
}

/// `4 x 1,000 mg`, or `7 x 15 mg` when a daily amount is held against a weekly maximum.
fn product(stated: &Stated, times: f64, per: Per) -> String {
    let mut written = show(stated.high * stated.factor, stated.unit);
    if stated.pieces != 1.0 {
        written = format!("{} x {written}", plain(stated.pieces));
    }
    match (stated.per, per) {
        (Per::Day, Per::Week) if stated.times != 1.0 => format!("7 x {} x {written}", plain(stated.times)),
        _ => format!("{} x {written}", plain(times)),
    }
}

/// What kind of slip would explain the amount.
fn slip(total: f64, fact: &Dose<'_>) -> &'static str {
    let within =
        |amount: f64| amount >= fact.low * 0.5 && amount <= fact.max.min(fact.high * 2.0) * TOLERANCE;
    if fact.unit == Unit::Milligram && (within(total / 1000.0) || within(total * 1000.0)) {
        "; a thousandfold of a usual dose, as when mg and mcg or g are mixed up"
    } else if total >= 3.0 * fact.max.min(fact.high) && within(total / 10.0) || within(total * 10.0) {
        "; ten times off a usual dose, as when a decimal point is lost"
    } else {
        ""
    }
}

fn plain(number: f64) -> String {
    let rounded = (number * 100.0).round() / 100.0;
    format!("{rounded}")
}

/// An amount with thousands parted; below a tenth of a milligram in micrograms.
pub(super) fn show(amount: f64, unit: Unit) -> String {
    if unit == Unit::Milligram && amount > 0.0 && amount < 0.5 {
        return format!("{} mcg", plain(amount * 1000.0));
    }
    let whole = amount.trunc().abs();
    let mut digits = format!("{whole}");
    let mut at = digits.len();
    while at > 3 {
        at -= 3;
        digits.insert(at, ',');
    }
    let fraction = plain(amount - amount.trunc());
    let tail = fraction.strip_prefix("0").unwrap_or_default();
    format!("{digits}{tail} {}", unit.word())
}

#[cfg(test)]
mod tests {
    use super::super::stated::stated;
    use super::*;

    fn fact(low: f64, high: f64, max: f64, per: Per) -> Dose<'static> {
        Dose {
            route: Route::Oral,
            unit: Unit::Milligram,
            per,
            low,
            high,
            max,
            single_max: f64::INFINITY,
            source: 0,
            cite: "",
        }
    }

    fn check(text: &str, fact: Dose<'_>, fits: Option<bool>, arithmetic: &str) {
        let judged = judge(&stated(text, 0, text.len()).unwrap(), &[fact]).unwrap();
        assert_eq!((judged.fits, judged.arithmetic.as_str()), (fits, arithmetic), "{text}");
    }

    #[test]
    fn the_arithmetic_is_shown() {
        let metformin = fact(500.0, 2000.0, 2550.0, Per::Day);
        check(
            "1,000 mg four times daily",
            metformin,
            Some(false),
            "4 x 1,000 mg = 4,000 mg a day; maximum 2,550 mg",
        );
        check("500 mg bid", metformin, Some(true), "2 x 500 mg = 1,000 mg a day; maximum 2,550 mg");
        let methotrexate = fact(7.5, 25.0, 25.0, Per::Week);
        check("15 mg daily", methotrexate, Some(false), "7 x 15 mg = 105 mg a week; maximum 25 mg");
        check("15 mg weekly", methotrexate, Some(true), "1 x 15 mg = 15 mg a week; maximum 25 mg");
    }

    #[test]
    fn slips_of_unit_and_decimal_point_are_named() {
        let levothyroxine = fact(0.025, 0.2, 0.3, Per::Day);
        let mixed = "1 x 100 mg = 100 mg a day; maximum 300 mcg; a thousandfold of a usual dose, as when mg and mcg or g are mixed up";
        check("100 mg daily", levothyroxine, Some(false), mixed);
        let tenfold = "1 x 1 mg = 1 mg a day; maximum 300 mcg; ten times off a usual dose, as when a decimal point is lost";
        check("1 mg daily", levothyroxine, Some(false), tenfold);
        check("100 mcg daily", levothyroxine, Some(true), "1 x 100 mcg = 100 mcg a day; maximum 300 mcg");
    }

    #[test]
    fn an_amount_without_frequency_below_the_maximum_is_left_open() {
        check(
            "500 mg",
            fact(500.0, 2000.0, 2550.0, Per::Day),
            None,
            "500 mg; usual 500 mg to 2,000 mg a day",
        );
    }
}
