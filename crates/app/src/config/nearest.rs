//! "Did you mean": the nearest known name for a mistyped one.

/// Optimal string alignment distance (Damerau 1964, restricted) between two short names, in edits.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// The known name nearest to `typed`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (typed.chars().count() / 2).max(2);
    known
        .into_iter()
        .map(|name| {
            // A typed word that begins a known name (`token` for `token-env`) is near, however long the rest.
            let edits = if name.starts_with(typed) { 1 } else { distance(typed, name) };
            (edits, name)
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Rewrites serde's "unknown field `x`, expected one of `a`, `b`" into a sentence with a suggestion; leaves other messages.
pub(crate) fn suggest(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let Some(typed) = names.next().filter(|_| unknown) else {
        return message.to_owned();
    };
    let known: Vec<&str> = names.collect();
    let what = if message.starts_with("unknown field") { "key" } else { "value" };
    match nearest(typed, known.iter().copied()) {
        Some(name) => format!("unknown {what} `{typed}`: did you mean `{name}`?"),
        None => format!("unknown {what} `{typed}`: known here are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_counts_as_one_edit() {
        assert_eq!(distance("limtis", "limits"), 1);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn something_quite_different_is_not_suggested() {
        assert_eq!(nearest("zebra", ["hospital", "listen"]), None);
        assert_eq!(nearest("hospitl", ["hospital", "listen"]), Some("hospital"));
    }
}
