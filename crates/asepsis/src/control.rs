//! The control socket: how the command line reaches a running program. A Unix socket in the data directory that only
//! its owner can open; one JSON line in, one JSON line out; the same functions as everywhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use app::Hospital;
use app::command::{Command, Reply};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// Largest reply, in bytes.
const REPLY_BYTES_MAX: u64 = 64 << 20;
/// Commands at once.
const AT_ONCE_MAX: usize = 8;

#[derive(Serialize, Deserialize)]
struct Request {
    person: String,
    command: Command,
}

/// Sends a command to the program that holds the data directory.
pub async fn send(socket: &Path, person: &str, command: &Command) -> anyhow::Result<Result<Reply, String>> {
    let stream = UnixStream::connect(socket).await.context("it does not answer on its control socket")?;
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(&Request { person: person.to_owned(), command: command.clone() })?;
    line.push(b'\n');
    write.write_all(&line).await?;
    let mut reply = String::new();
    BufReader::new(read.take(REPLY_BYTES_MAX)).read_line(&mut reply).await?;
    Ok(serde_json::from_str(&reply)?)
}

/// Answers commands until the task is dropped.
pub async fn listen(hospital: Arc<Hospital>) -> anyhow::Result<()> {
    let path = hospital.paths().control_socket();
    let listener = bind(&path)?;
    let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE_MAX));
    loop {
        let (stream, _) = listener.accept().await?;
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let hospital = Arc::clone(&hospital);
        tokio::spawn(async move {
            if let Err(error) = answer(&hospital, stream).await {
                tracing::debug!("control socket: {error}");
            }
            drop(slot);
        });
    }
}

fn bind(path: &PathBuf) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    // The ledger's lock is ours by now, so a socket that is there belongs to a program that is gone.
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).with_context(|| format!("cannot make `{}`", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn answer(hospital: &Hospital, stream: UnixStream) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(REQUEST_BYTES_MAX)).read_line(&mut line).await?;
    let reply: Result<Reply, String> = match serde_json::from_str::<Request>(&line) {
        Err(error) => Err(format!("not a command: {error}")),
        Ok(request) => match hospital.person(&request.person) {
            Err(error) => Err(error.to_string()),
            Ok(who) => app::command::perform(hospital, &who, request.command, &|_| {})
                .await
                .map_err(|e| e.to_string()),
        },
    };
    let mut out = serde_json::to_vec(&reply)?;
    out.push(b'\n');
    write.write_all(&out).await?;
    Ok(())
}
