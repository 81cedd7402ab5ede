//! A change of the guards by configuration is itself recorded: what was loosened must be visible afterwards.

use std::collections::BTreeMap;

use domain::{GuardMode, OnInconclusive, Record, SystemId};

use crate::AppError;
use crate::config::Settings;
use crate::hospital::Hospital;

type Modes = BTreeMap<&'static str, (GuardMode, OnInconclusive)>;

fn modes(settings: &Settings, id: &SystemId) -> Modes {
    let Some(system) = settings.systems.get(id) else {
        return Modes::new();
    };
    system
        .guards
        .modes()
        .into_iter()
        .filter(|(_, c)| c.enabled)
        .map(|(n, c)| (n, (c.mode, c.on_inconclusive)))
        .collect()
}

/// Writes one entry for each guard whose mode, doubt or presence changed.
pub(crate) async fn record(hospital: &Hospital, before: &Settings, after: &Settings) -> Result<(), AppError> {
    for id in after.systems.keys() {
        let (old, new) = (modes(before, id), modes(after, id));
        let names: std::collections::BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        for name in names {
            let (was, is) = (old.get(name), new.get(name));
            if was == is || !before.systems.contains_key(id) {
                continue;
            }
            hospital
                .record(Record::GuardChanged {
                    at: hospital.now(),
                    system: id.clone(),
                    instance: name.to_owned(),
                    mode: is.map(|i| i.0),
                    on_inconclusive: is.map(|i| i.1),
                    loosened: loosened(was, is),
                })
                .await?;
        }
    }
    Ok(())
}

fn loosened(was: Option<&(GuardMode, OnInconclusive)>, is: Option<&(GuardMode, OnInconclusive)>) -> bool {
    match (was, is) {
        (Some(was), Some(is)) => is.0 < was.0 || is.1 < was.1,
        (Some(_), None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weaker_mode_a_weaker_doubt_and_a_missing_guard_are_loosening() {
        use GuardMode::{Block, Flag};
        use OnInconclusive::Pass;
        let strict = (Block, OnInconclusive::Flag);
        assert!(loosened(Some(&strict), Some(&(Flag, OnInconclusive::Flag))));
        assert!(loosened(Some(&strict), Some(&(Block, Pass))));
        assert!(loosened(Some(&strict), None));
        assert!(!loosened(Some(&(Flag, Pass)), Some(&strict)));
        assert!(!loosened(None, Some(&strict)));
    }
}
