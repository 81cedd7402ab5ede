//! Opening a hospital: folders, keys, state, ledger, and the way forward when one of them is not as it should be.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use domain::{Clock, Record};
use ledger::Signer;
use store::blobs::Blobs;
use store::db::Db;
use store::log::{Log, OpenError, Options as LogOptions};

use super::{Hospital, Paths};
use crate::AppError;
use crate::live::Live;
use crate::subjects::FileDigests;
use crate::{config, controls};

/// What to open.
pub struct Opening {
    /// The data directory; made if it is not there.
    pub dir: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Hospital {
    /// Opens the hospital in a data directory.
    ///
    /// # Errors
    /// When the configuration is wrong, another program holds the directory, or ledger or state are damaged; the
    /// message says what to do. Nothing is overwritten.
    pub async fn open(opening: Opening) -> Result<Arc<Self>, AppError> {
        let settings = config::load(&opening.config)?;
        let policies = load_policies(settings.policies.as_deref())?;
        let paths = Paths::new(opening.dir);
        private_folder(paths.root())?;
        private_folder(&paths.keys())?;
        let signer = ledger_signer(&paths.ledger_key(), &settings.hospital)?;
        let digest_key = secret_key(&paths.keys().join("digest.key"))?;
        private_folder(&paths.ledger())?;
        let db = Db::open(&paths.state()).await.map_err(|e| AppError::State(e.to_string()))?;
        let anchor = db.anchor().await.map_err(|e| AppError::State(e.to_string()))?;
        let options = LogOptions {
            anchor: anchor.as_ref().map(|a| (a.size, *a.root.as_bytes())),
            ..LogOptions::default()
        };
        let log = Log::open(&paths.ledger(), signer, options).map_err(|e| match e {
            OpenError::InUse(_) => AppError::Busy(format!(
                "another asepsis works on `{}`: stop it, or let it do this by running the command beside it",
                paths.root().display()
            )),
            other => AppError::Ledger(other.to_string()),
        })?;
        let blobs = Blobs::open(&paths.blobs()).map_err(|e| AppError::State(e.to_string()))?;
        let hospital = Arc::new(Self {
            config_path: opening.config,
            settings: ArcSwap::from_pointee(settings),
            policies: ArcSwap::from_pointee(policies),
            controls: controls::shipped()?,
            clock: opening.clock,
            log: Arc::new(log),
            db,
            blobs,
            live: Live::default(),
            files: FileDigests::default(),
            digest_key,
            facts: Mutex::default(),
            gates: Mutex::default(),
            admitting: tokio::sync::Mutex::default(),
            changed: tokio::sync::Notify::new(),
            kept_budgets: tokio::sync::Mutex::default(),
            shut_out: std::sync::atomic::AtomicUsize::new(0),
            kept_decisions: std::sync::atomic::AtomicU64::new(0),
            loaded: Mutex::default(),
            unprojected: Mutex::default(),
            exercises: crate::exercises::Exercises::new(paths.exercises()),
            paths,
        });
        hospital.catch_up(anchor.map_or(0, |a| a.size)).await?;
        if hospital.log.head().size == 0 {
            let (at, origin) = (hospital.now(), hospital.settings().hospital.clone());
            let tool = env!("CARGO_PKG_VERSION").to_owned();
            hospital.record(Record::Genesis { at, tool, origin }).await?;
        }
        Ok(hospital)
    }
}

pub(crate) fn load_policies(own: Option<&str>) -> Result<access::Policies, AppError> {
    let loaded = match own {
        Some(text) => access::Policies::load(text),
        None => access::Policies::shipped(),
    };
    loaded.map_err(|e| AppError::BadInput(format!("policies: {e}")))
}

/// Makes a folder that only its owner can enter.
pub(crate) fn private_folder(path: &Path) -> Result<(), AppError> {
    std::fs::create_dir_all(path).map_err(AppError::files("cannot make the folder", path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, private)
            .map_err(AppError::files("cannot protect the folder", path))?;
    }
    Ok(())
}

/// Writes a secret file that only its owner can read; fails if it is there already. It is there whole or not at all: a full disk must not leave half a
/// key behind, which nothing would ever replace.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), AppError> {
    use std::io::Write as _;
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let made = options
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        // A link fails if the name is taken, as it should; renaming, for file systems without links, would not.
        .and_then(|()| match std::fs::hard_link(&beside, path) {
            Err(_) if !path.exists() => std::fs::rename(&beside, path),
            linked => linked,
        });
    let _ = std::fs::remove_file(&beside);
    made.map_err(AppError::files("cannot write", path))
}

/// 32 bytes from the operating system's random source.
///
/// # Errors
/// When the system has none.
pub fn random() -> Result<[u8; 32], AppError> {
    let mut out = [0; 32];
    getrandom::fill(&mut out).map_err(|e| AppError::Internal(format!("no random numbers: {e}")))?;
    Ok(out)
}

/// The ledger's signing key, made at the first start.
fn ledger_signer(path: &Path, hospital: &str) -> Result<Signer, AppError> {
    if !path.exists() {
        let name: String = hospital
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .take(60)
            .collect();
        let signer = Signer::from_seed(&format!("asepsis.invalid/{name}"), &random()?)
            .map_err(|e| AppError::Internal(e.to_string()))?;
        write_secret(path, signer.to_secret_text().as_bytes())?;
    }
    let text = std::fs::read_to_string(path).map_err(AppError::files("cannot read", path))?;
    Signer::from_text(text.trim()).map_err(|e| {
        AppError::Ledger(format!(
            "`{}` is not a signing key: {e}; restore it from the backup",
            path.display()
        ))
    })
}

fn secret_key(path: &Path) -> Result<[u8; 32], AppError> {
    if !path.exists() {
        write_secret(path, &random()?)?;
    }
    let bytes = std::fs::read(path).map_err(AppError::files("cannot read", path))?;
    bytes.try_into().map_err(|_| {
        AppError::State(format!("`{}` does not hold 32 bytes: restore it from the backup", path.display()))
    })
}
