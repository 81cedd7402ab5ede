//! Files elsewhere, for scans: fetched whole when small, read in parts when large and the server offers ranges.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use app::scan::Target;
use artifact::{ReadError, Source};
use domain::Clock as _;
use upstream::{Keys, Outbound, Ranged, S3Location, Secret, Signer, Wanted};

/// Up to this length a file is fetched whole, so that its digest is known; bytes.
const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// Largest file fetched whole from a server that offers no ranges, bytes.
const FETCHED_BYTES_MAX: u64 = 64 << 30;
/// Bytes asked for at once, and held per block.
const BLOCK: u64 = 1 << 20;
/// Blocks held.
const BLOCKS_MAX: usize = 24;

/// Opens files elsewhere; holds the connections and the temporary files.
pub struct Opener {
    runtime: Arc<tokio::runtime::Runtime>,
    outbound: Arc<Outbound>,
    files: Vec<tempfile::NamedTempFile>,
}

impl Opener {
    /// Ready to connect.
    pub fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime: Arc::new(runtime), outbound: Arc::new(Outbound::new(None)?), files: Vec::new() })
    }

    /// Opens one address.
    pub fn open(&mut self, named: &str) -> anyhow::Result<Target> {
        let (url, signer) = if named.starts_with("s3://") { s3(named)? } else { (named.to_owned(), None) };
        let signed = signer.is_some();
        let ranged = self.runtime.block_on(self.outbound.ranged(&url, signer)).map_err(|e| match e {
            upstream::UpstreamError::Refused { status, .. } => {
                anyhow::anyhow!(
                    "`{named}`: the server answered {status}: check the address and the credentials"
                )
            }
            other => anyhow::Error::new(other).context(format!("cannot open `{named}`")),
        })?;
        match ranged {
            Some(file) if file.length() > WHOLE_BYTES_MAX => {
                let source = Arc::new(Remote {
                    runtime: Arc::clone(&self.runtime),
                    outbound: Arc::clone(&self.outbound),
                    file,
                    blocks: Mutex::new(VecDeque::new()),
                });
                Ok(Target::Remote { url: named.to_owned(), source })
            }
            Some(file) => {
                let path = self.copy(named, &file)?;
                Ok(Target::Fetched { url: named.to_owned(), path })
            }
            None if signed => bail!("`{named}`: the store does not answer range requests"),
            None => {
                let kept = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
                let path = kept.path().to_owned();
                let wanted = Wanted { bytes_max: FETCHED_BYTES_MAX, sha256: None, md5: None };
                let bar = crate::terminal::bar("fetching");
                let fetched =
                    self.runtime.block_on(self.outbound.download(&url, &wanted, &path, |done, all| {
                        bar.set_length(all.unwrap_or(done));
                        bar.set_position(done);
                    }));
                bar.finish_and_clear();
                fetched?;
                self.files.push(kept);
                Ok(Target::Fetched { url: named.to_owned(), path })
            }
        }
    }

    /// Copies a short file stretch by stretch.
    fn copy(&mut self, named: &str, file: &Ranged) -> anyhow::Result<std::path::PathBuf> {
        use std::io::Write as _;
        let mut kept = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
        let mut at = 0;
        while at < file.length() {
            let bytes =
                self.runtime.block_on(self.outbound.stretch(file, at, upstream::STRETCH_BYTES_MAX))?;
            if bytes.is_empty() {
                bail!("`{named}` ended early: try again");
            }
            kept.write_all(&bytes)?;
            at += bytes.len() as u64;
        }
        kept.flush()?;
        let path = kept.path().to_owned();
        self.files.push(kept);
        Ok(path)
    }
}

/// Address and signer of an object.
fn s3(url: &str) -> anyhow::Result<(String, Option<Box<Signer>>)> {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let region =
        set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
    let endpoint = set("AWS_ENDPOINT_URL_S3").or_else(|| set("AWS_ENDPOINT_URL"));
    let location = S3Location::parse(url, &region, endpoint.as_deref())?;
    let signer = match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            let token = set("AWS_SESSION_TOKEN").map(Secret::new);
            let keys = Keys { id, secret: Secret::new(secret), token };
            let clock = app::SystemClock::default();
            let signer: Box<Signer> =
                Box::new(move |method, uri| keys.sign(&location.region, method, uri, clock.now()));
            Some(signer)
        }
        (None, None) => None,
        _ => bail!(
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both, or none for a public bucket"
        ),
    };
    Ok((location.url, signer))
}

/// A file elsewhere, read in blocks of which the last few are held.
struct Remote {
    runtime: Arc<tokio::runtime::Runtime>,
    outbound: Arc<Outbound>,
    file: Ranged,
    blocks: Mutex<VecDeque<(u64, Vec<u8>)>>,
}

impl Remote {
    /// Bytes of one block from `from` on, into `into`.
    fn block(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        let (number, within) = (at / BLOCK, usize::try_from(at % BLOCK).unwrap_or(0));
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let held = blocks.iter().position(|(n, _)| *n == number);
        if let Some(place) = held {
            if let Some(block) = blocks.remove(place) {
                blocks.push_back(block);
            }
        } else {
            let fetched = self.outbound.stretch(&self.file, number * BLOCK, BLOCK);
            let bytes = self.runtime.block_on(fetched).map_err(|e| ReadError::Io(e.to_string()))?;
            if blocks.len() == BLOCKS_MAX {
                blocks.pop_front();
            }
            blocks.push_back((number, bytes.to_vec()));
        }
        let bytes = blocks.back().and_then(|(_, b)| b.get(within..)).unwrap_or_default();
        let n = bytes.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..n), bytes.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }
}

impl Source for Remote {
    fn len(&self) -> u64 {
        self.file.length()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, ReadError> {
        if at >= self.len() {
            return Ok(0);
        }
        self.block(at, into)
    }
}
