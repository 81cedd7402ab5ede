//! Dates moved by a number of days, in the form in which they were written.

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A day of the proleptic Gregorian calendar as days since 1970-01-01 (Hinnant, `days_from_civil`, public domain).
fn days_of(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way: year, month, day.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z - era * 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let part = (5 * of_year + 2) / 153;
    let d = of_year - (153 * part + 2) / 5 + 1;
    let m = if part < 10 { part + 3 } else { part - 9 };
    (year + era * 400 + i64::from(m <= 2), m, d)
}

/// What a piece of a written date is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part<'t> {
    /// Letters that are no month, marks and blanks.
    Other(&'t str),
    /// Digits, and an ordinal ending after them.
    Number(&'t str, &'t str),
    /// The name of a month.
    Month(&'t str, i64),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let same = |c: char| match first {
            f if f.is_ascii_digit() => c.is_ascii_digit(),
            f if f.is_ascii_alphabetic() => c.is_ascii_alphabetic(),
            _ => !c.is_ascii_alphanumeric(),
        };
        let end = rest.find(|c: char| !same(c)).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        if first.is_ascii_digit() {
            let end = ["st", "nd", "rd", "th"].into_iter().find_map(|e| {
                tail.get(..2)
                    .filter(|t| t.eq_ignore_ascii_case(e) && !tail.get(2..).is_some_and(starts_with_letter))
            });
            rest = tail.get(end.map_or(0, str::len)..).unwrap_or_default();
            out.push(Part::Number(piece, end.unwrap_or_default()));
        } else {
            out.push(month(piece).map_or(Part::Other(piece), |m| Part::Month(piece, m)));
        }
    }
    out
}

fn starts_with_letter(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn month(word: &str) -> Option<i64> {
    let found = MONTHS.iter().position(|m| {
        m.eq_ignore_ascii_case(word)
            || (word.len() == 3 && m.get(..3).is_some_and(|s| s.eq_ignore_ascii_case(word)))
            || (word.eq_ignore_ascii_case("sept") && *m == "September")
    })?;
    i64::try_from(found + 1).ok()
}

/// The places of year, month and day among the parts, as far as they are there.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    year: Option<usize>,
    month: Option<usize>,
    day: Option<usize>,
}

fn order(parts: &[Part<'_>]) -> Option<Order> {
    let numbers: Vec<(usize, &str)> = parts
        .iter()
        .enumerate()
        .filter_map(|(i, p)| if let Part::Number(digits, _) = p { Some((i, *digits)) } else { None })
        .collect();
    let named = parts.iter().position(|p| matches!(p, Part::Month(..)));
    let value = |s: &str| s.parse::<i64>().unwrap_or(0);
    let found = match (named, numbers.as_slice()) {
        (Some(m), []) => Order { month: Some(m), ..Order::default() },
        (Some(m), [(a, text)]) if text.len() == 4 => Order { year: Some(*a), month: Some(m), day: None },
        (Some(m), [(a, text)]) if *a > m && quoted(parts, *a) && text.len() == 2 => {
            Order { year: Some(*a), month: Some(m), day: None }
        }
        (Some(m), [(a, _)]) => Order { year: None, month: Some(m), day: Some(*a) },
        (Some(m), [(a, x), (b, y)]) if y.len() == 4 || (y.len() == 2 && x.len() <= 2) => {
            Order { year: Some(*b), month: Some(m), day: Some(*a) }
        }
        (None, [(a, x), (b, _), (c, _)]) if x.len() == 4 => {
            Order { year: Some(*a), month: Some(*b), day: Some(*c) }
        }
        (None, [(a, x), (b, _), (c, _)]) if value(x) > 12 => {
            Order { year: Some(*c), month: Some(*b), day: Some(*a) }
        }
        (None, [(a, _), (b, _), (c, _)]) => Order { year: Some(*c), month: Some(*a), day: Some(*b) },
        (None, [(a, x), (b, y)]) if value(x) <= 12 && value(y) <= 31 => {
            Order { year: None, month: Some(*a), day: Some(*b) }
        }
        _ => return None,
    };
    Some(found)
}

fn quoted(parts: &[Part<'_>], at: usize) -> bool {
    at.checked_sub(1)
        .and_then(|i| parts.get(i))
        .is_some_and(|p| matches!(p, Part::Other(t) if t.ends_with(['\'', '\u{2019}'])))
}

/// `text` moved by `days`, in its own form; `None` when it is no date that can be read, or no day of the calendar.
pub(super) fn shift(text: &str, days: i64) -> Option<String> {
    if !text.is_ascii() && !text.contains('\u{2019}') {
        return None;
    }
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        let number = |range| text.get(range).and_then(|t: &str| t.parse().ok());
        let (y, m, d) = moved(number(0..4), number(4..6), number(6..8), days)?;
        return Some(format!("{y:04}{m:02}{d:02}"));
    }
    let parts = parts(text);
    let order = order(&parts)?;
    let number = |at: Option<usize>| match at.and_then(|i| parts.get(i)) {
        Some(Part::Number(digits, _)) if digits.len() <= 4 => digits.parse::<i64>().ok(),
        Some(Part::Month(_, m)) => Some(*m),
        _ => None,
    };
    let (y, m, d) = moved(number(order.year), number(order.month), number(order.day), days)?;
    // Who writes one of them with a zero writes all of them so; so does who writes the year first.
    let zeros = order.year.is_some_and(|y| order.month.is_some_and(|m| y < m))
        || parts.iter().any(|p| matches!(p, Part::Number(digits, _) if digits.starts_with('0')));
    let mut out = String::with_capacity(text.len() + 4);
    for (i, part) in parts.iter().enumerate() {
        let new =
            [(order.year, y), (order.month, m), (order.day, d)].into_iter().find(|(at, _)| *at == Some(i));
        match (part, new) {
            (Part::Number(digits, ending), Some((_, value))) => {
                out += &padded(digits, value, zeros);
                out += ordinal(ending, value);
            }
            (Part::Month(word, _), Some((_, value))) => out += &month_like(word, value)?,
            (Part::Number(digits, ending), None) => {
                out += digits;
                out += ending;
            }
            (Part::Other(word) | Part::Month(word, _), _) => out += word,
        }
    }
    Some(out)
}

/// Year (with the century of a short one left out), month and day after a move; what is missing is taken as 2021, and
/// the middle of the month.
fn moved(year: Option<i64>, month: Option<i64>, day: Option<i64>, days: i64) -> Option<(i64, i64, i64)> {
    let (m, d) = (month?, day.unwrap_or(15));
    let y = match year {
        Some(y) if y < 100 => 2000 + y,
        Some(y) => y,
        None => 2021,
    };
    if !(1..=12).contains(&m) || !(1..=31).contains(&d) {
        return None;
    }
    let at = days_of(y, m, d);
    (civil(at) == (y, m, d)).then(|| civil(at + days))
}

fn padded(like: &str, value: i64, zeros: bool) -> String {
    match like.len() {
        4 => format!("{value:04}"),
        2 if zeros || value > 99 => format!("{:02}", value % 100),
        _ if value > 99 => format!("{:02}", value % 100),
        _ => value.to_string(),
    }
}

fn ordinal(like: &str, value: i64) -> &'static str {
    let ending = match (value % 10, value % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    if like.is_empty() { "" } else { ending }
}

fn month_like(like: &str, month: i64) -> Option<String> {
    let name = usize::try_from(month - 1).ok().and_then(|i| MONTHS.get(i))?;
    let short = like.len() <= 4 && !MONTHS.iter().any(|m| m.eq_ignore_ascii_case(like) && m.len() > 3);
    let name = if short { name.get(..3)? } else { *name };
    Some(if like.bytes().all(|b| b.is_ascii_uppercase()) {
        name.to_uppercase()
    } else if like.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.to_lowercase()
    } else {
        name.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, days: i64, expected: Option<&str>) {
        assert_eq!(shift(text, days).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_date_keeps_its_form() {
        check("April 12th, 2023", 9, Some("April 21st, 2023"));
        check("04/12/2023", 30, Some("05/12/2023"));
        check("4/30/23", 1, Some("5/1/23"));
        check("13/4/2023", 1, Some("14/4/2023"));
        check("2023-12-31", 1, Some("2024-01-01"));
        check("20240228", 1, Some("20240229"));
        check("17-Feb-2023", 14, Some("3-Mar-2023"));
        check("11/22", 10, Some("12/2"));
        check("Nov 11th '23", 1, Some("Nov 12th '23"));
        check("NOVEMBER 2022", 30, Some("DECEMBER 2022"));
    }

    #[test]
    fn what_is_no_day_is_not_moved() {
        check("02/30/2023", 1, None);
        check("last Friday", 1, None);
        check("99/99/99", 1, None);
        check("", 1, None);
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(days_of(2000, 3, 1), 11_017);
        for day in (-200_000..200_000).step_by(97) {
            let (y, m, d) = civil(day);
            assert_eq!(days_of(y, m, d), day);
        }
    }
}
