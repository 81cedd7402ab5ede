//! Figures of a classifier on labelled rows.

use numeric::Matrix;

/// Accuracy, interval and area under the curve.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    /// Share of rows whose highest score is the right class, 0 to 1.
    pub(crate) accuracy: f64,
    /// Wilson 95 % interval of the accuracy.
    pub(crate) interval: (f64, f64),
    /// Area under the ROC curve of class 1, two classes with both present only, 0 to 1.
    pub(crate) auc: Option<f64>,
    /// Rows.
    pub(crate) rows: usize,
}

/// Index of the highest score; the lowest index among ties.
pub(crate) fn class_of(row: &[f32]) -> usize {
    let mut best = 0;
    for (n, score) in row.iter().enumerate() {
        if *score > row[best] {
            best = n;
        }
    }
    best
}

/// Figures of `scores` `[rows, classes]` against `labels`; no rows give accuracy 0.
pub(crate) fn figures(scores: &Matrix, labels: &[u32]) -> Figures {
    let hits =
        scores.iter_rows().zip(labels).filter(|(row, label)| class_of(row) == **label as usize).count();
    let rows = labels.len();
    #[expect(clippy::cast_precision_loss, reason = "rows stay far below 2^53")]
    let accuracy = if rows == 0 { 0.0 } else { hits as f64 / rows as f64 };
    let auc = (scores.cols == 2).then(|| area_under_curve(scores, labels)).flatten();
    Figures { accuracy, interval: numeric::wilson_interval(hits, rows), auc, rows }
}

/// Mann-Whitney estimate of the area under the ROC curve of class 1; ties count one half (Hanley and McNeil 1982,
/// doi:10.1148/radiology.143.1.7063747). `None` when a class is missing.
fn area_under_curve(scores: &Matrix, labels: &[u32]) -> Option<f64> {
    let mut pairs: Vec<(f32, bool)> =
        scores.iter_rows().zip(labels).map(|(row, &l)| (row[1], l == 1)).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins, mut positives) = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut at = 0;
    while at < pairs.len() {
        let end = pairs[at..].iter().take_while(|p| p.0 == pairs[at].0).count() + at;
        #[expect(clippy::cast_precision_loss, reason = "rows stay far below 2^53")]
        let (tied_pos, tied_neg) = {
            let pos = pairs[at..end].iter().filter(|p| p.1).count();
            (pos as f64, (end - at - pos) as f64)
        };
        wins += tied_pos * (below + tied_neg / 2.0);
        below += tied_neg;
        positives += tied_pos;
        at = end;
    }
    (positives > 0.0 && below > 0.0).then(|| wins / (positives * below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(p: &[f32]) -> Matrix {
        Matrix::new(p.len(), 2, p.iter().flat_map(|&p| [1.0 - p, p]).collect()).unwrap()
    }

    #[test]
    fn the_area_equals_scikit_learn_with_ties() {
        // sklearn.metrics.roc_auc_score 1.9.1 on the same numbers: 0.75, 0.875, 0.5.
        for (p, labels, expected) in [
            ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.75),
            ([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1], 0.875),
            ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1], 0.5),
        ] {
            assert!((figures(&scores(&p), &labels).auc.unwrap() - expected).abs() < 1e-12);
        }
        assert_eq!(figures(&scores(&[0.5]), &[1]).auc, None);
        assert!((figures(&scores(&[0.9, 0.1]), &[1, 1]).accuracy - 0.5).abs() < 1e-12);
    }
}
