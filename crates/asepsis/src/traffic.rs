//! Ordinary traffic for the example hospital: its clients ask about patients of the held-out split, over HTTP, with
//! their own keys, as their software would.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use app::Hospital;
use app::dataset;
use domain::{ClientId, InputSchema, SystemId, Tensor, TensorData};
use numeric::Matrix;
use upstream::{Config, Remote, Secret, UpstreamError};

/// Requests of each client at the start, close together so that there is something to see.
const OPENING: usize = 30;
/// Pause between requests at the start.
const OPENING_PAUSE: Duration = Duration::from_millis(350);
/// Pause afterwards: about 14,000 requests a day, below the daily budget.
const PAUSE: Duration = Duration::from_secs(6);
/// Looks, four a second, until a key that was just made is served.
const KNOWN_TRIES_MAX: usize = 60;
/// Days a key of the example lives.
const KEY_DAYS: u32 = 365;

/// A caller of the gateway over HTTP.
pub struct Caller {
    remote: Remote,
    schema: InputSchema,
}

impl Caller {
    /// A caller of `system` with a key.
    pub fn new(
        gateway: SocketAddr,
        system: &SystemId,
        schema: InputSchema,
        key: &str,
    ) -> anyhow::Result<Self> {
        let mut config = Config::new(format!("http://{gateway}").parse()?, system.as_str());
        config.bearer = Some(Secret::new(key));
        // The gateway says itself when something behind it fails; this side must not stop asking.
        config.failures_max = u32::MAX;
        Ok(Self { remote: Remote::connect(config)?, schema })
    }

    /// Waits until the gateway knows the key: one that was just made is served with the next snapshot.
    pub async fn wait_until_known(&self) -> anyhow::Result<()> {
        for _ in 0..KNOWN_TRIES_MAX {
            if self.remote.metadata().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        anyhow::bail!("the system does not answer to a key that was just made")
    }

    /// Asks about one row; the scores as they came.
    pub async fn ask(&self, row: &[f32]) -> Result<Vec<Tensor>, UpstreamError> {
        let values = TensorData::Fp32(row.to_vec());
        match Tensor::new(self.schema.tensor(), self.schema.shape(1), values) {
            Ok(tensor) => self.remote.probe(&[tensor]).await,
            Err(error) => Err(UpstreamError::Settings(error.to_string())),
        }
    }
}

/// Reference rows of a system, read as admission reads them.
pub fn rows(hospital: &Hospital, id: &SystemId) -> anyhow::Result<dataset::Dataset> {
    let system = hospital.system(id)?;
    let bytes = dataset::read_file(&system.reference, hospital.settings().limits.reference_bytes_max)?;
    Ok(dataset::read(&system.reference, &bytes, &system.schema, &system.split)?)
}

/// The key of one of the example's clients, made once and kept in a file that only the owner can read.
pub async fn key(hospital: &Hospital, client: &ClientId, systems: &[SystemId]) -> anyhow::Result<String> {
    let path = hospital.paths().keys().join(format!("{client}.client-key"));
    if let Ok(key) = std::fs::read_to_string(&path) {
        return Ok(key.trim().to_owned());
    }
    let local = hospital.person(app::people::LOCAL)?;
    let roles = [access::Role::Client];
    let note = "made by `asepsis up` for the example's traffic";
    let made =
        app::people::create_key(hospital, &local, client, &roles, systems, Some(KEY_DAYS), note).await?;
    app::hospital::write_secret(&path, made.secret.expose().as_bytes()).context("the example's key")?;
    Ok(made.secret.expose().to_owned())
}

/// Starts the ordinary traffic of all configured clients.
pub async fn start(hospital: &Arc<Hospital>, gateway: SocketAddr) -> anyhow::Result<()> {
    for client in hospital.settings().clients.clone() {
        let key = key(hospital, &client.id, &client.systems).await?;
        for system in client.systems {
            let caller = Caller::new(gateway, &system, hospital.system(&system)?.schema, &key)?;
            tokio::spawn(replay(Arc::clone(hospital), system, caller));
        }
    }
    Ok(())
}

async fn replay(hospital: Arc<Hospital>, system: SystemId, caller: Caller) {
    let mut asked = 0;
    loop {
        let id = system.clone();
        let held = Arc::clone(&hospital);
        let read = tokio::task::spawn_blocking(move || rows(&held, &id).map(|d| d.hold_out.inputs)).await;
        let patients: Matrix = match read {
            Ok(Ok(inputs)) if inputs.rows > 0 => inputs,
            // The data are not here yet (`asepsis data fetch`): look again later.
            _ => {
                tokio::time::sleep(PAUSE * 5).await;
                continue;
            }
        };
        for n in 0..patients.rows {
            // A refusal is an answer; the live page shows it.
            let _ = caller.ask(patients.row(n)).await;
            asked += 1;
            tokio::time::sleep(if asked < OPENING { OPENING_PAUSE } else { PAUSE }).await;
        }
    }
}
