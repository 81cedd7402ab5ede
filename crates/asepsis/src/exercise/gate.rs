//! A gateway for one exercise: the real one, on loopback, with a ledger in a folder that is thrown away. Nothing of the hospital's own gateway, ledger, histories,
//! budgets or alarms is touched.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use access::{KeyGrant, KeyRecord, KeyTable, Policies, Role, Scope, SecretBytes, issue_key};
use anyhow::Context as _;
use api::ServerLimits;
use app::AppError;
use app::config::Limits;
use app::exercise::{Door, Guarded, Room};
use app::scorer::Scorer;
use detect::History;
use domain::{Clock, SystemId, Timestamp};
use gateway::{Backend, Budget, Gateway, Parts, Served, ServingState, Snapshot, Version, VersionParts};
use ledger::Signer;
use store::log::{Log, Options};
use upstream::Secret;

/// When every exercise takes place: the guards compare times of queries, so a report must not depend on the hour.
pub const NOW_MS: i64 = 1_767_268_800_000;
/// Days for which its keys are valid.
const KEY_DAYS: i64 = 10_000;
/// Time that an exchange may take when limits are lifted, milliseconds: an exercise waits for a busy machine.
const EXCHANGE_MS: u64 = 600_000;

/// The clock of an exercise. Its date stands still. Its stopwatch stands still too where limits are lifted: guards then have no time budget, and what they say does
/// not depend on how busy the machine is.
pub struct ExerciseClock {
    now_ms: AtomicI64,
    started: Option<Instant>,
    /// Where the stopwatch stands, microseconds; below 0 it runs, if it was started.
    stands_us: AtomicI64,
}

impl ExerciseClock {
    /// Stops the stopwatch here, milliseconds after its beginning.
    pub fn stand_at(&self, ms: u64) {
        self.stands_us.store(i64::try_from(ms * 1_000).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Sets the date.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Clock for ExerciseClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms.load(Ordering::Relaxed))
    }

    fn monotonic_us(&self) -> u64 {
        if let Ok(stands) = u64::try_from(self.stands_us.load(Ordering::Relaxed)) {
            return stands;
        }
        let elapsed = self.started.map_or(0, |at| at.elapsed().as_micros());
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }
}

/// A room that is open.
struct Made {
    served: Arc<Served>,
    history: Arc<History>,
    keys: Vec<KeyRecord>,
}

/// What the rooms are made of and which are open.
#[derive(Default)]
struct Rooms {
    open: BTreeMap<SystemId, Made>,
    /// What guards remember when a room opens.
    memory: Option<Vec<u8>>,
}

/// How clients are limited.
#[derive(Debug, Clone)]
pub struct GateLimits {
    /// The hospital's limits.
    pub configured: Limits,
    /// Rates, daily budgets and times are lifted.
    pub lifted: bool,
}

/// The gateway of an exercise.
pub struct Gate {
    guarded: Arc<Guarded>,
    backend: Backend,
    limits: GateLimits,
    gateway: Arc<Gateway>,
    policies: Arc<Policies>,
    rooms: Mutex<Rooms>,
    clock: Arc<ExerciseClock>,
    server: Option<api::Server>,
    address: String,
    _folder: tempfile::TempDir,
}

impl Gate {
    /// Starts it on a free port of loopback.
    pub fn start(guarded: Arc<Guarded>, limits: GateLimits) -> anyhow::Result<Self> {
        let backend = match &guarded.scorer {
            Scorer::Local(model) => {
                Backend::Local(Arc::new(crate::bridge::local_model(model, &guarded.schema)))
            }
            Scorer::Remote(remote) => Backend::Remote(Arc::clone(remote)),
        };
        Self::before(backend, guarded, limits)
    }

    /// The same before another backend.
    pub fn before(backend: Backend, guarded: Arc<Guarded>, limits: GateLimits) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("there is no room for the exercise's own ledger")?;
        let signer = Signer::from_seed("exercise.asepsis", &random()?)?;
        let log = Arc::new(Log::open(folder.path(), signer, Options::default())?);
        let policies = Arc::new(Policies::shipped()?);
        let started = (!limits.lifted).then(Instant::now);
        let clock = Arc::new(ExerciseClock {
            now_ms: AtomicI64::new(NOW_MS),
            started,
            stands_us: AtomicI64::new(-1),
        });
        let gateway = Arc::new(Gateway::new(Parts {
            journal: Arc::clone(&log) as Arc<dyn gateway::Journal>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            digest_key: random()?,
            snapshot: Snapshot::empty(KeyTable::default(), Arc::clone(&policies)),
        }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port of loopback is free")?;
        let idle_ms = if limits.lifted { EXCHANGE_MS } else { limits.configured.header_read_ms_max };
        let server_limits = ServerLimits {
            connections_max: limits.configured.connections_max,
            head_ms_max: idle_ms,
            body_bytes_max: limits.configured.body_bytes_max + 1_024,
            drain_ms_max: 1_000,
            ..ServerLimits::default()
        };
        let router = api::router(Arc::clone(&gateway), api::Settings::default());
        let server = api::serve(listener, router, server_limits, Arc::clone(&gateway))?;
        let address = format!("http://{}", server.address());
        Ok(Self {
            guarded,
            backend,
            limits,
            gateway,
            policies,
            rooms: Mutex::default(),
            clock,
            server: Some(server),
            address,
            _folder: folder,
        })
    }

    /// Its clock.
    pub fn clock(&self) -> &ExerciseClock {
        &self.clock
    }

    /// Ends it; open exchanges are let through.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, room: &Room, memory: Option<&Vec<u8>>) -> anyhow::Result<(SystemId, Made, Vec<Secret>)> {
        let id: SystemId = room.name.parse()?;
        let history = Arc::new(History::new(&self.guarded.settings, &self.guarded.fitted));
        if let Some(memory) = memory {
            history.restore(memory)?;
        }
        let version = Arc::new(Version::new(VersionParts {
            model: self.guarded.model,
            backend: match &self.backend {
                Backend::Local(model) => Backend::Local(Arc::clone(model)),
                Backend::Remote(remote) => Backend::Remote(Arc::clone(remote)),
            },
            guards: Arc::clone(&self.guarded.guards),
            history: Arc::clone(&history),
            schema: self.guarded.schema.clone(),
            inputs: vec![],
            outputs: vec![],
            concurrency_max: gateway::CONCURRENCY_DEFAULT,
        }));
        let (mut keys, mut secrets) = (Vec::new(), Vec::new());
        let now = Timestamp::from_millis(NOW_MS);
        for client in &room.clients {
            let grant = KeyGrant {
                id: client.parse()?,
                client: client.parse()?,
                roles: [Role::Client].into(),
                systems: Scope::only([id.clone()])?,
                expires_at: Some(now.plus_days(KEY_DAYS)),
                note: "made for an exercise".to_owned(),
            };
            // Made long before, so that a clock that is set back finds it.
            let (record, secret) = issue_key(grant, SecretBytes::new(random()?), now.plus_days(-KEY_DAYS))?;
            keys.push(record);
            secrets.push(Secret::new(secret.expose()));
        }
        let state = ServingState::Open { version, fallback: false };
        let served = Arc::new(Served { id: id.clone(), title: "an exercise".to_owned(), state });
        Ok((id, Made { served, history, keys }, secrets))
    }

    /// Serves the rooms that are open now.
    fn publish(&self, rooms: &Rooms) -> anyhow::Result<()> {
        let keys = rooms.open.values().flat_map(|r| r.keys.iter().cloned());
        let mut snapshot = Snapshot::empty(KeyTable::new(keys)?, Arc::clone(&self.policies));
        let limits = &self.limits.configured;
        snapshot.limits.rows_max = limits.batch_rows_max;
        snapshot.limits.exchange_ms_max =
            if self.limits.lifted { EXCHANGE_MS } else { limits.exchange_ms_max };
        snapshot.limits.open_exchanges_max = limits.concurrency_max as u64;
        snapshot.limits.wire.body_bytes = limits.body_bytes_max;
        snapshot.budget = if self.limits.lifted {
            Budget { requests_per_s: 1e9, burst: u32::MAX, rows_per_day: u64::MAX }
        } else {
            Budget {
                requests_per_s: f64::from(limits.client_requests_per_second),
                burst: limits.client_burst,
                rows_per_day: limits.client_rows_per_day,
            }
        };
        snapshot.systems =
            rooms.open.iter().map(|(id, room)| (id.clone(), Arc::clone(&room.served))).collect();
        self.gateway.replace(snapshot);
        Ok(())
    }

    fn open_all(&self, wanted: &[Room]) -> anyhow::Result<Vec<Vec<Secret>>> {
        let mut rooms = self.rooms();
        let mut out = Vec::with_capacity(wanted.len());
        for room in wanted {
            let (id, made, secrets) = self.make(room, rooms.memory.as_ref())?;
            rooms.open.insert(id, made);
            out.push(secrets);
        }
        self.publish(&rooms)?;
        Ok(out)
    }
}

impl Door for Gate {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn open(&self, rooms: &[Room]) -> Result<Vec<Vec<Secret>>, AppError> {
        self.open_all(rooms).map_err(|e| AppError::Internal(format!("the exercise's gateway: {e}")))
    }

    fn remember(&self, room: &str) -> Result<(), AppError> {
        let mut rooms = self.rooms();
        let made = rooms.open.get(room).ok_or_else(|| AppError::Internal("no such room".to_owned()))?;
        let memory = made.history.snapshot();
        rooms.memory = Some(memory);
        Ok(())
    }

    fn close(&self, names: &[String]) {
        let mut rooms = self.rooms();
        for name in names {
            rooms.open.remove(name.as_str());
        }
        // What is left stays as it was published if this fails; nobody asks closed rooms.
        let _ = self.publish(&rooms);
    }
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no random bytes: {e}"))?;
    Ok(bytes)
}
