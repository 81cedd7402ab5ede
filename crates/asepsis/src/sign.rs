//! `asepsis sign`, `verify` and `signing-key`: who made a model, proven.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use app::signing::{self, Believe, Judge, SigningError, Verified};
use clap::{Args, ValueEnum};
use domain::{Clock as _, Outcome};
use provenance::{
    Certificate, CheckOptions, DigestCache, HashAlgorithm, Identity, Legacy, LinkPolicy, Method, PrivateKey,
    SHARD_BYTES_DEFAULT, SignOptions, Strictness,
};

use crate::cli::Format;

/// Largest key or certificate file, bytes.
const KEY_BYTES_MAX: u64 = 1 << 20;

/// Which symbolic links are read through.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Links {
    /// None.
    Refuse,
    /// Those that stay in the folder.
    Inside,
    /// All that lead to a file.
    Anywhere,
}

impl From<Links> for LinkPolicy {
    fn from(links: Links) -> Self {
        match links {
            Links::Refuse => Self::Refuse,
            Links::Inside => Self::Inside,
            Links::Anywhere => Self::Anywhere,
        }
    }
}

/// How content is hashed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Hash {
    /// SHA-256: every verifier reads it.
    Sha256,
    /// BLAKE2b with 512 bits.
    Blake2b,
    /// BLAKE3.
    Blake3,
}

/// What `asepsis sign` takes.
#[derive(Args)]
pub struct SignArguments {
    /// File or folder of the model
    pub model: PathBuf,
    /// Private key, PEM (P-256, P-384 or P-521); `asepsis signing-key` makes one
    #[arg(long, value_name = "FILE", required_unless_present_any = ["key_env", "pkcs11"])]
    pub key: Option<PathBuf>,
    /// Key in a smart card or HSM: its PKCS#11 address (RFC 7512), `pkcs11:token=…;object=…`
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["key", "key_env"], requires = "pkcs11_library")]
    pub pkcs11: Option<String>,
    /// Library of that device
    #[arg(long, value_name = "FILE")]
    pub pkcs11_library: Option<PathBuf>,
    /// Environment variable that holds the device's PIN
    #[arg(long, value_name = "NAME", requires = "pkcs11")]
    pub pin_env: Option<String>,
    /// Environment variable that holds the private key instead
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    pub key_env: Option<String>,
    /// Environment variable that holds the key's password
    #[arg(long, value_name = "NAME")]
    pub password_env: Option<String>,
    /// Certificates of the key, PEM, its own first: signs with a certificate chain
    #[arg(long, value_name = "FILE")]
    pub certificates: Option<PathBuf>,
    /// Signature file [default: model.sig in the folder, FILE.sig beside a file]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Hash algorithm
    #[arg(long, value_enum, default_value_t = Hash::Sha256)]
    pub hash: Hash,
    /// Sign pieces of this many bytes instead of whole files: one large file is then hashed on all cores
    #[arg(long, value_name = "BYTES", num_args = 0..=1, default_missing_value = "1000000000")]
    pub shards: Option<NonZeroU64>,
    /// Symbolic links
    #[arg(long, value_enum, default_value_t = Links::Refuse)]
    pub links: Links,
    /// Leave out this path below the folder, with all under it; the signature says so
    #[arg(long = "ignore", value_name = "PATH")]
    pub ignore: Vec<String>,
    /// Hash everything again, also what has not changed since the last signing here
    #[arg(long)]
    pub no_cache: bool,
    /// Threads; all cores if left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// What `asepsis verify` takes.
#[derive(Args)]
pub struct VerifyArguments {
    /// File or folder of the model
    pub model: PathBuf,
    /// Signature file [default: model.sig in the folder, FILE.sig beside a file]
    #[arg(long, short, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Public key, PEM, that came another way than the model
    #[arg(long, value_name = "FILE", group = "trust")]
    pub key: Option<PathBuf>,
    /// Certificate authorities, PEM, that the signer's certificate must come from
    #[arg(long, value_name = "FILE", group = "trust")]
    pub roots: Option<PathBuf>,
    /// Day on which the signer's certificate has to be valid (2026-11-23); today if left out
    #[arg(long, value_name = "DATE", requires = "roots")]
    pub at: Option<String>,
    /// Sigstore's trusted_root.json, for signatures with an identity; checked without a connection
    #[arg(long, value_name = "FILE", group = "trust", requires = "identity", requires = "issuer")]
    pub sigstore: Option<PathBuf>,
    /// Who is expected to have signed (Sigstore): e-mail or workflow address, exactly
    #[arg(long, requires = "sigstore")]
    pub identity: Option<String>,
    /// Who vouches for that identity (Sigstore): address of the identity provider, exactly
    #[arg(long, requires = "sigstore")]
    pub issuer: Option<String>,
    /// Refuse content in paths that the signature leaves out, instead of reporting it
    #[arg(long)]
    pub strict: bool,
    /// Symbolic links
    #[arg(long, value_enum, default_value_t = Links::Refuse)]
    pub links: Links,
    /// Also read signatures of the experimental format 0.2
    #[arg(long)]
    pub legacy: bool,
    /// Threads; all cores if left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Makes a key pair: `FILE` (private, for its owner only) and `FILE.pub`.
pub fn new_key(file: &Path) -> anyhow::Result<u8> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let key = loop {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
        // About one draw in four billion gives no key.
        if let Ok(key) = PrivateKey::from_seed(&seed) {
            break key;
        }
    };
    let public = with_suffix(file, "pub");
    if public.exists() {
        bail!("`{}` is there already: nothing is overwritten", public.display());
    }
    let mut private =
        std::fs::File::options().write(true).create_new(true).mode(0o600).open(file).with_context(|| {
            format!("cannot make `{}`; an existing key is never overwritten", file.display())
        })?;
    private.write_all(key.to_pkcs8_pem()?.as_bytes())?;
    private.sync_all()?;
    crate::example::write_whole(&public, provenance::Signer::public_key(&key).to_pem().as_bytes())?;
    println!("private key: {} (keep it to yourself, with a copy in a safe place)", file.display());
    println!("public key:  {} (give it to those who verify, another way than the model)", public.display());
    println!("fingerprint: {}", provenance::Signer::public_key(&key).fingerprint());
    Ok(0)
}

/// Runs `asepsis sign`.
pub fn sign(arguments: &SignArguments, format: Format) -> anyhow::Result<u8> {
    let key = signer(arguments)?;
    let certificates = match &arguments.certificates {
        None => Vec::new(),
        Some(path) => Certificate::all_from_pem(&read(path)?)
            .with_context(|| format!("the certificates `{}`", path.display()))?,
    };
    let output = arguments.output.clone().unwrap_or_else(|| beside(&arguments.model));
    let name = std::path::absolute(&arguments.model)?;
    let name = name.file_name().map_or_else(|| "model".to_owned(), |n| n.to_string_lossy().into_owned());
    let mut options = SignOptions::new(name);
    options.algorithm = match arguments.hash {
        Hash::Sha256 => HashAlgorithm::Sha256,
        Hash::Blake2b => HashAlgorithm::Blake2b,
        Hash::Blake3 => HashAlgorithm::Blake3,
    };
    if let Some(size) = arguments.shards {
        options.method = Method::Shards { size };
    }
    options.links = arguments.links.into();
    options.ignore.extend(arguments.ignore.iter().cloned());
    let kept = cache_file(&arguments.model).filter(|_| !arguments.no_cache);
    // A cache that cannot be read is as good as none.
    let cache = kept.as_ref().and_then(|p| std::fs::read(p).ok()).and_then(|b| DigestCache::parse(&b).ok());
    let bar = crate::terminal::bytes("hashing");
    let order = signing::Order {
        model: &arguments.model,
        signature: &output,
        signer: key.as_ref(),
        certificates: &certificates,
        options,
        cache: cache.as_ref(),
        threads: threads(arguments.threads),
        now: app::SystemClock::default().now(),
    };
    let signed = signing::sign(order, &|done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    crate::example::write_whole(&output, &signed.signature)?;
    if let Some(file) = kept {
        keep_cache(&file, &signed.cache);
    }
    for path in &signed.uncovered {
        eprintln!("not covered, because it is empty and pieces are signed: {path}");
    }
    match format {
        Format::Json => println!(
            "{}",
            serde_json::to_string_pretty(&serde_json::json!({
                "signature": output, "lines": signed.lines, "reused": signed.reused, "uncovered": signed.uncovered,
            }))?
        ),
        _ => println!(
            "signed {} {} ({} not hashed again) into {}",
            signed.lines,
            if arguments.shards.is_some() { "pieces" } else { "files" },
            signed.reused,
            output.display()
        ),
    }
    Ok(0)
}

/// Runs `asepsis verify`.
pub fn verify(arguments: &VerifyArguments, format: Format) -> anyhow::Result<u8> {
    let believe = match (&arguments.key, &arguments.roots, &arguments.sigstore) {
        (Some(key), None, None) => Believe::Key(key.clone()),
        (None, Some(roots), None) => Believe::Roots(roots.clone(), moment(arguments.at.as_deref())?),
        (None, None, Some(root)) => Believe::Sigstore {
            root: root.clone(),
            identity: Identity {
                subject: arguments.identity.clone().unwrap_or_default(),
                issuer: arguments.issuer.clone().unwrap_or_default(),
            },
        },
        _ => bail!(
            "say whom you believe: --key FILE, --roots FILE, or --sigstore FILE with --identity and --issuer"
        ),
    };
    let legacy = if arguments.legacy { Legacy::Accept } else { Legacy::Refuse };
    let options = CheckOptions {
        links: arguments.links.into(),
        uncovered: if arguments.strict { Strictness::Refuse } else { Strictness::Report },
        signature_file: None,
    };
    let signature = arguments.signature.clone().unwrap_or_else(|| beside(&arguments.model));
    let bar = crate::terminal::bytes("hashing");
    let verified = signing::verify(
        &arguments.model,
        &signature,
        &Judge { believe: &believe, legacy },
        options,
        threads(arguments.threads),
        &|done, all| {
            bar.set_length(all);
            bar.set_position(done);
        },
    );
    bar.finish_and_clear();
    match verified {
        Ok(verified) => told(&verified, format),
        Err(SigningError::Signature(error)) => {
            if format == Format::Json {
                let outcome = error.outcome();
                println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "outcome": outcome }))?);
            } else {
                println!("NOT VERIFIED: {error}");
            }
            Ok(if error.is_doubt() { 2 } else { 1 })
        }
        Err(other) => Err(other.into()),
    }
}

fn told(verified: &Verified, format: Format) -> anyhow::Result<u8> {
    let report = &verified.report;
    let outcome = report.outcome();
    let code = match &outcome {
        Outcome::Clean => 0,
        Outcome::Found { .. } => 1,
        Outcome::Inconclusive { .. } => 2,
    };
    let by = &verified.by;
    let issuer = by.issuer.as_ref().map_or_else(String::new, |i| format!(", vouched for by {i}"));
    let at = by.at.map_or_else(String::new, |t| format!(", at {t}"));
    if format == Format::Json {
        let document = serde_json::json!({
            "outcome": outcome,
            "signed-by": { "method": by.method, "name": by.name, "issuer": by.issuer, "at": by.at.map(|t| t.to_string()) },
            "files": report.files,
            "unchanged": report.unchanged,
            "differences": report.differences,
            "notices": verified.notices.iter().chain(&report.notices()).collect::<Vec<_>>(),
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(code);
    }
    let word = match code {
        0 => "verified",
        1 => "NOT VERIFIED",
        _ => "INCONCLUSIVE",
    };
    println!(
        "{word}: signed with {} {}{issuer}{at}; {} of {} files are as they were signed",
        by.method, by.name, report.unchanged, report.files
    );
    for finding in report.findings() {
        println!("  {finding}");
    }
    for doubt in &report.doubts {
        println!("  {}: {}", doubt.check, doubt.reason);
    }
    for notice in verified.notices.iter().chain(&report.notices()) {
        println!("  note: {notice}");
    }
    Ok(code)
}

/// The key that signs: in a device, a file or the environment.
fn signer(arguments: &SignArguments) -> anyhow::Result<Box<dyn provenance::Signer>> {
    let (Some(address), Some(library)) = (&arguments.pkcs11, &arguments.pkcs11_library) else {
        return Ok(Box::new(private_key(arguments)?));
    };
    let uri: pkcs11::KeyUri = address.parse().map_err(|e| anyhow::anyhow!("`{address}`: {e}"))?;
    let pin = match &arguments.pin_env {
        None => None,
        Some(name) => Some(std::env::var(name).with_context(|| format!("the environment has no `{name}`"))?),
    };
    let key = pkcs11::DeviceKey::open(library, &uri, pin.as_deref())
        .with_context(|| format!("the key in the device of `{}`", library.display()))?;
    Ok(Box::new(key))
}

fn private_key(arguments: &SignArguments) -> anyhow::Result<PrivateKey> {
    let pem = match (&arguments.key, &arguments.key_env) {
        (Some(path), _) => read(path)?,
        (None, Some(name)) => {
            std::env::var(name).with_context(|| format!("the environment has no `{name}`"))?.into_bytes()
        }
        (None, None) => bail!("name the private key with --key or --key-env"),
    };
    let password = match &arguments.password_env {
        None => None,
        Some(name) => Some(std::env::var(name).with_context(|| format!("the environment has no `{name}`"))?),
    };
    PrivateKey::from_pem(&pem, password.as_deref().map(str::as_bytes)).map_err(|e| match e {
        provenance::SignError::PasswordNeeded => {
            anyhow::anyhow!("{e}: put it into an environment variable and name that with --password-env")
        }
        other => other.into(),
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    Ok(app::dataset::read_file(path, KEY_BYTES_MAX)?)
}

/// Noon of a day, UTC, or now.
fn moment(day: Option<&str>) -> anyhow::Result<domain::Timestamp> {
    let Some(day) = day else { return Ok(app::SystemClock::default().now()) };
    let mut parts = day.splitn(3, '-');
    let mut next = || parts.next().unwrap_or_default();
    let (year, month, of_month) = (next().parse(), next().parse(), next().parse());
    let found = match (year, month, of_month) {
        (Ok(year), Ok(month), Ok(of_month)) => domain::Timestamp::from_date(year, month, of_month),
        _ => None,
    };
    let found = found.with_context(|| format!("`{day}` is no day: write 2026-11-23"))?;
    Ok(found.plus_millis(12 * 3_600_000))
}

/// Where a signature is when nobody says.
fn beside(model: &Path) -> PathBuf {
    if model.is_dir() { model.join("model.sig") } else { with_suffix(model, "sig") }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into)).clamp(1, 256)
}

fn cache_file(model: &Path) -> Option<PathBuf> {
    Some(crate::scan::cache_folder()?.join("sign").join(signing::cache_name(model)))
}

/// Keeps the digests for the next signing; failing to is no harm.
fn keep_cache(file: &Path, cache: &DigestCache) {
    use std::os::unix::fs::DirBuilderExt as _;
    let Some(folder) = file.parent() else { return };
    if std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).is_ok() {
        let _ = crate::example::write_whole(file, &cache.to_bytes());
    }
}

/// Kept beside its use in the arguments: the specification's size of a shard.
const _: () = assert!(SHARD_BYTES_DEFAULT.get() == 1_000_000_000);
