//! `asepsis exercise run --through gateway`: the gateway of the exercise, from its start to its end.

use std::sync::Arc;

use anyhow::bail;
use app::exercise::{self, Door, KEYS_MAX, Through};
use tokio::runtime::Handle;

use super::BYTES_MAX;
use super::cli::RunArguments;
use super::gate::{Gate, GateLimits};
use crate::local::Place;

/// A gateway that is open for an exercise.
pub struct Way {
    gate: Arc<Gate>,
    through: Through,
}

/// Opens it where the exercise is to go through one.
pub fn open(place: &Place, arguments: &RunArguments, handle: &Handle) -> anyhow::Result<Option<Way>> {
    let (Some(_), Some(id)) = (arguments.through, &arguments.system) else { return Ok(None) };
    if !(1..=KEYS_MAX).contains(&arguments.keys) {
        bail!("a run takes 1 to {KEYS_MAX} keys, not {}", arguments.keys);
    }
    let settings = app::config::load(&place.config)?;
    let system = settings.systems.get(id).ok_or_else(|| app::AppError::UnknownSystem(id.to_string()))?;
    let mut system = system.clone();
    if arguments.block {
        block(&mut system.guards);
    }
    let spinner = crate::terminal::spinner();
    spinner.set_message("fitting the guards as admission does");
    let guarded = exercise::guarded(&system, BYTES_MAX, handle);
    spinner.finish_and_clear();
    let guarded = Arc::new(guarded?);
    let limits = GateLimits { configured: settings.limits.clone(), lifted: !arguments.client_limits };
    let gate = Arc::new(Gate::start(Arc::clone(&guarded), limits)?);
    eprintln!(
        "note: through a gateway of its own with the guards of `{id}`; {}",
        if arguments.client_limits {
            "rates and daily budgets of clients as configured"
        } else {
            "rates and daily budgets of clients are lifted, so that the guards alone are measured"
        }
    );
    let through = Through {
        door: Arc::<Gate>::clone(&gate) as Arc<dyn Door>,
        guarded,
        keys: arguments.keys,
        limits_lifted: !arguments.client_limits,
    };
    Ok(Some(Way { gate, through }))
}

/// Every guard that looks for attacks refuses what it finds; doubts about an answer stay advice.
const fn block(guards: &mut detect::GuardSettings) {
    let block = domain::GuardMode::Block;
    guards.schema.mode = block;
    guards.clinical_range.mode = block;
    guards.out_of_distribution.mode = block;
    guards.query_similarity.mode = block;
    guards.extraction.mode = block;
    guards.pixel_noise.mode = block;
}

impl Way {
    /// As an exercise takes it.
    pub fn request(&self) -> Through {
        self.through.clone()
    }

    /// Ends the gateway; its ledger goes with it.
    pub async fn stop(self) {
        drop(self.through);
        if let Ok(gate) = Arc::try_unwrap(self.gate) {
            gate.stop().await;
        }
    }
}
