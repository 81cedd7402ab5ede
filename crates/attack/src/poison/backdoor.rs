//! What all backdoors have in common: rows of other classes get the trigger and the label of the target.

use crate::access::Fault;
use crate::poison::{Poisoned, Stage, check_class, stream};

/// Poisons with `trigger`, which changes a row in place; the probes are the test rows of other classes with the trigger.
pub(super) fn backdoor(
    stage: &Stage<'_>,
    target: usize,
    trigger: &dyn Fn(&mut [f32]),
) -> Result<Poisoned, Fault> {
    check_class(target, &stage.train)?;
    let (train, width) = (stage.train, stage.train.width());
    let mut out =
        Poisoned { rows: train.rows().to_vec(), labels: train.labels().to_vec(), ..Poisoned::default() };
    let order = numeric::Rng::new(stage.seed, stream::PICK).permutation(train.len());
    let others = order.into_iter().filter(|at| train.labels().get(*at) != Some(&target));
    for at in others.take(stage.count) {
        let row = out.rows.get_mut(at * width..(at + 1) * width);
        if let (Some(row), Some(label)) = (row, out.labels.get_mut(at)) {
            trigger(row);
            *label = target;
            out.touched.push(at);
        }
    }
    for (at, label) in stage.test.labels().iter().enumerate() {
        if *label != target {
            let from = out.probes.len();
            out.probes.extend_from_slice(stage.test.row(at));
            out.probes.get_mut(from..).into_iter().for_each(trigger);
            out.wanted.push(target);
        }
    }
    Ok(out)
}
