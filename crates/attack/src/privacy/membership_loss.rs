//! Membership by the loss alone.

use crate::access::{Fault, Scores};
use crate::measure::{log_odds, scores_of};
use crate::pace::Pace;
use crate::privacy::membership::{Membership, judge};
use crate::training::Samples;

domain::catalogue_entry! {
    /// Rows on which the model does conspicuously well were in its training data.
    ///
    /// ## What it is
    /// Each row is put to the model once; the lower the loss of its true class, the likelier it was learned from. Reported are the area under the curve and
    /// the members found at 0.1 % and 1 % false alarms, with intervals.
    ///
    /// ## Why it matters in care
    /// That somebody is in the training data of an HIV or psychiatry model is a diagnosis. One query and no training is all that it takes.
    ///
    /// ## Limits
    /// The floor of such attacks: it takes easy rows for members. A low area here does not show that nobody can be found; `membership-ratio` finds more, above all at few false alarms.
    ///
    /// ## References
    /// Yeom, Giacomelli, Fredrikson, Jha 2018, arXiv:1709.01604.
    pub static ENTRY = { id: "X240", name: "membership-loss", kind: Attack, since: "0.1.0", maps: ["AML.T0024.000", "NISTAML.033"] };
}

/// Tells `members` from `others` by the loss of `model`. The logarithm of the odds of the true class stands for the loss: the same order, and no rounding
/// to equal values where the model is very sure.
///
/// # Errors
/// [`Fault::NotApplicable`] without rows of either kind, [`Fault::Stopped`], else what the model says.
pub fn membership_by_loss(
    model: &mut dyn Scores,
    members: &Samples<'_>,
    others: &Samples<'_>,
    pace: &dyn Pace,
) -> Result<Membership, Fault> {
    let mut scores = Vec::new();
    for (at, (samples, member)) in [(members, true), (others, false)].into_iter().enumerate() {
        if pace.stop() {
            return Err(Fault::Stopped);
        }
        let replies = scores_of(model, samples.rows(), samples.width())?;
        let score = |(at, label): (usize, &usize)| (replies.row(at).map(|s| log_odds(s, *label)), member);
        scores.extend(samples.labels().iter().enumerate().map(score));
        pace.step(at as u64 + 1, 2);
    }
    judge(&ENTRY, &scores, 0, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Quiet;
    use crate::training::small::{Small, memorable, table};
    use crate::training::{AsIs, Trainer as _};

    #[test]
    fn a_model_that_learned_by_heart_gives_its_rows_away_and_a_simple_one_does_not() {
        let (train, others) = (memorable(100, 24, 0.4, 1), memorable(400, 24, 0.4, 2));
        let mut heart = Small { hidden: 24, epochs: 60, rate: 0.05 };
        let mut simple = Small { hidden: 0, epochs: 2, rate: 0.002 };
        let judge = |trainer: &mut Small| {
            let mut model = trainer.train(&train.samples().training(&Quiet), 1, &mut AsIs).unwrap();
            membership_by_loss(model.as_mut(), &train.samples(), &others.samples(), &Quiet).unwrap()
        };
        let (leaky, tight) = (judge(&mut heart), judge(&mut simple));
        assert!(leaky.auc_low > 0.65, "{leaky:?}");
        assert!(tight.auc_low < 0.5 && tight.auc < leaky.auc_low, "{tight:?}");
        assert_eq!((leaky.members, leaky.others, leaky.left_out), (100, 400, 0));
        assert_eq!(leaky.at.iter().map(|f| f.rate).collect::<Vec<_>>(), [0.001, 0.01]);
        assert!(leaky.at[0].found.hits <= leaky.at[1].found.hits && leaky.at[0].false_alarms == 0);
    }

    #[test]
    fn rows_of_one_kind_only_cannot_be_judged() {
        let train = table(20, 4, 4, 0.2, 1);
        let mut trainer = Small::LOGISTIC;
        let mut model = trainer.train(&train.samples().training(&Quiet), 1, &mut AsIs).unwrap();
        let none = Samples::new(&[], &[], train.space).unwrap();
        assert!(membership_by_loss(model.as_mut(), &train.samples(), &none, &Quiet).is_err());
    }
}
