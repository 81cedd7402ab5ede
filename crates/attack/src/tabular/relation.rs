//! Relations between features of a row: what no measurement of one patient breaks.

/// A relation.
#[derive(Debug, Clone, PartialEq)]
pub enum Relation {
    /// `row[less] <= factor * row[more] + offset`; strictly below when `strict`.
    AtMost {
        /// The smaller side.
        less: usize,
        /// The larger side.
        more: usize,
        /// What the larger side is multiplied by.
        factor: f64,
        /// What is added to it.
        offset: f64,
        /// Equal is not enough.
        strict: bool,
    },
    /// `row[total]` is the sum of the parts.
    Sum {
        /// The whole.
        total: usize,
        /// Its parts.
        parts: Vec<usize>,
    },
    /// Exactly one of these is 1, the others 0.
    OneHot(Vec<usize>),
}

/// Why a text is no relation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelationError {
    /// A name that no feature has.
    #[error("the relation names `{0}`, which is no feature; use the names of the declared features")]
    Unknown(String),
    /// None of the forms.
    #[error(
        "`{0}` is no relation; write `a > b`, `a <= 0.5 * b + 3`, `total = a + b + c` or `one of a, b, c`"
    )]
    Form(String),
}

/// Rounding that a relation between single-precision values may be missed by.
const SLACK: f64 = 1e-6;

impl Relation {
    /// Reads `systolic > diastolic`, `a <= 0.5 * b + 3`, `gcs = eyes + motor + verbal`, `one of sex_f, sex_m`.
    ///
    /// # Errors
    /// A name that is not in `names`, or another form.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self, RelationError> {
        let form = || RelationError::Form(text.to_owned());
        let at = |name: &str| {
            let name = name.trim();
            names.iter().position(|n| *n == name).ok_or_else(|| RelationError::Unknown(name.to_owned()))
        };
        if let Some(rest) = text.trim().strip_prefix("one of ") {
            let columns = rest.split(',').map(at).collect::<Result<Vec<_>, _>>()?;
            return if columns.len() > 1 { Ok(Self::OneHot(columns)) } else { Err(form()) };
        }
        for (sign, turned, strict) in
            [("<=", false, false), (">=", true, false), ("<", false, true), (">", true, true)]
        {
            let Some((left, right)) = text.split_once(sign) else { continue };
            let (less, more) = if turned { (right, left) } else { (left, right) };
            let (less, more) =
                (Linear::parse(less, &at).ok_or_else(form)??, Linear::parse(more, &at).ok_or_else(form)??);
            if less.factor <= 0.0 || more.factor <= 0.0 {
                return Err(form());
            }
            let factor = more.factor / less.factor;
            let offset = (more.offset - less.offset) / less.factor;
            return Ok(Self::AtMost { less: less.feature, more: more.feature, factor, offset, strict });
        }
        let (total, parts) = text.split_once('=').ok_or_else(form)?;
        let parts = parts.split('+').map(at).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Sum { total: at(total)?, parts })
    }

    /// The features it speaks of.
    pub fn features(&self) -> Vec<usize> {
        match self {
            Self::AtMost { less, more, .. } => vec![*less, *more],
            Self::Sum { total, parts } => parts.iter().copied().chain([*total]).collect(),
            Self::OneHot(columns) => columns.clone(),
        }
    }

    /// Whether a row keeps it. A value that is missing or not a number breaks it.
    pub fn holds(&self, row: &[f32]) -> bool {
        let get = |at: &usize| row.get(*at).map_or(f64::NAN, |v| f64::from(*v));
        match self {
            Self::AtMost { less, more, factor, offset, strict } => {
                let (less, most) = (get(less), factor * get(more) + offset);
                let slack = SLACK * (1.0 + less.abs().max(most.abs()));
                if *strict { less < most - slack / 10.0 } else { less <= most + slack }
            }
            Self::Sum { total, parts } => {
                let (total, sum) = (get(total), parts.iter().map(get).sum::<f64>());
                (total - sum).abs() <= SLACK * (1.0 + total.abs())
            }
            Self::OneHot(columns) => {
                let ones = columns.iter().filter(|c| get(c) == 1.0).count();
                ones == 1 && columns.iter().all(|c| get(c) == 0.0 || get(c) == 1.0)
            }
        }
    }

    /// As it is written, with the features' names.
    pub fn text(&self, names: &[&str]) -> String {
        let name = |at: &usize| names.get(*at).copied().unwrap_or("?").to_owned();
        match self {
            Self::AtMost { less, more, factor, offset, strict } => {
                let sign = if *strict { "<" } else { "<=" };
                let factor =
                    if (*factor - 1.0).abs() < 1e-12 { String::new() } else { format!("{factor} * ") };
                let offset = if *offset == 0.0 { String::new() } else { format!(" + {offset}") };
                format!("{} {sign} {factor}{}{offset}", name(less), name(more))
            }
            Self::Sum { total, parts } => {
                format!("{} = {}", name(total), parts.iter().map(name).collect::<Vec<_>>().join(" + "))
            }
            Self::OneHot(columns) => {
                format!("one of {}", columns.iter().map(name).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// `factor * feature + offset`.
struct Linear {
    feature: usize,
    factor: f64,
    offset: f64,
}

impl Linear {
    /// `None` when the form is another; an error when the name is unknown.
    fn parse(
        text: &str,
        at: &dyn Fn(&str) -> Result<usize, RelationError>,
    ) -> Option<Result<Self, RelationError>> {
        let number = |t: &str| t.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        let (product, offset) = match text.rsplit_once('+') {
            Some((product, last)) => (product, number(last)?),
            None => match text.rsplit_once(" - ") {
                Some((product, last)) => (product, -number(last)?),
                None => (text, 0.0),
            },
        };
        let (factor, name) = match product.split_once('*') {
            None => (1.0, product),
            Some((a, b)) => match (number(a), number(b)) {
                (Some(factor), None) => (factor, b),
                (None, Some(factor)) => (factor, a),
                _ => return None,
            },
        };
        Some(at(name).map(|feature| Self { feature, factor, offset }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["systolic", "diastolic", "sum", "other"];

    #[test]
    fn relations_read_as_they_are_written() {
        for (text, row, holds) in [
            ("systolic > diastolic", [120.0, 80.0, 0.0, 0.0], true),
            ("systolic > diastolic", [80.0, 80.0, 0.0, 0.0], false),
            ("diastolic <= 0.5 * systolic + 3", [120.0, 63.0, 0.0, 0.0], true),
            ("diastolic <= systolic * 0.5 + 3", [120.0, 64.0, 0.0, 0.0], false),
            ("diastolic <= systolic - 10", [120.0, 110.0, 0.0, 0.0], true),
            ("diastolic <= systolic - 10", [120.0, 111.0, 0.0, 0.0], false),
            ("sum = systolic + diastolic", [1.0, 2.0, 3.0, 0.0], true),
            ("sum = systolic + diastolic", [1.0, 2.0, 4.0, 0.0], false),
            ("one of systolic, diastolic, other", [0.0, 1.0, 5.0, 0.0], true),
            ("one of systolic, diastolic, other", [0.0, 1.0, 5.0, 1.0], false),
            ("one of systolic, diastolic, other", [0.5, 0.5, 0.0, 0.0], false),
            ("systolic >= diastolic", [f32::NAN, 1.0, 0.0, 0.0], false),
        ] {
            let relation = Relation::parse(text, &NAMES).unwrap();
            assert_eq!(relation.holds(&row), holds, "{text} {row:?}");
            assert_eq!(Relation::parse(&relation.text(&NAMES), &NAMES).unwrap(), relation, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_to_write() {
        for text in [
            "",
            "systolic",
            "systolic > 3 * 4",
            "one of systolic",
            "systolic < -1 * diastolic",
            "a > b",
            "sum = 3",
        ] {
            assert!(Relation::parse(text, &NAMES).is_err(), "{text}");
        }
        let unknown = Relation::parse("pulse > diastolic", &NAMES).unwrap_err();
        assert_eq!(unknown, RelationError::Unknown("pulse".to_owned()));
    }
}
