//! The test binary run again as another process, which can then be killed or run out of disk for real.

use crate::common::{entry, signer};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::log::{Log, Options};

const ROLE: &str = "ASEPSIS_LEDGER_TEST_CHILD";

/// The role and directory this process was started with, if it is a child.
pub fn role() -> Option<(String, String)> {
    let role = std::env::var(ROLE).ok()?;
    let (role, dir) = role.split_once('|')?;
    Some((role.to_owned(), dir.to_owned()))
}

/// A command that runs only test `name` of this binary, in `role` on `dir`.
pub fn command(name: &str, role: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads", "1"]);
    command.env(ROLE, format!("{role}|{}", dir.display()));
    command
}

pub struct Writer {
    pub process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// Starts a writer; `role` is `NAME,THREADS,PUBLISH_MS` (`-` for never).
    pub fn start(role: &str, dir: &Path) -> Self {
        let mut process = command("child::writer", role, dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next acknowledgement: index and name of the entry. `None` at the end, or where the kill cut the line.
    pub fn acknowledged(&mut self) -> Option<(u64, String)> {
        loop {
            let line = self.lines.next()?.ok()?;
            let Some(rest) = line.strip_prefix("ack ") else { continue };
            let (index, name) = rest.strip_suffix(" .")?.split_once(' ')?;
            return Some((index.parse().ok()?, name.to_owned()));
        }
    }

    /// Kills it with SIGKILL and returns what it had acknowledged and told before it died.
    pub fn kill(mut self) -> Vec<(u64, String)> {
        self.process.kill().unwrap();
        let rest = std::iter::from_fn(|| self.acknowledged()).collect();
        self.process.wait().unwrap();
        rest
    }
}

/// Not a test of its own: the writer process. Appends until it is killed and prints each index once it is acknowledged.
#[test]
fn writer() {
    let Some((role, dir)) = role() else { return };
    let parts: Vec<&str> = role.split(',').collect();
    let (name, threads) = (parts[0].to_owned(), parts[1].parse::<usize>().unwrap());
    let publish_every = parts[2].parse().ok().map(Duration::from_millis);
    let options = Options { publish_every, ..Options::default() };
    let log = Arc::new(Log::open(Path::new(&dir), signer(), options).unwrap());
    let out = Arc::new(Mutex::new(std::io::stdout()));
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (log, out, name) = (Arc::clone(&log), Arc::clone(&out), name.clone());
            std::thread::spawn(move || {
                for number in 0u64.. {
                    let name = format!("{name}/{thread}/{number}");
                    // Several entries are under way at once in each thread, so that commits hold groups.
                    let many: Vec<_> = (0..8)
                        .map(|i| {
                            let name = format!("{name}/{i}");
                            (log.append_blocking(&entry(&name)).unwrap(), name)
                        })
                        .collect();
                    for (appended, name) in many {
                        let index = appended.wait().unwrap();
                        if writeln!(out.lock().unwrap(), "ack {index} {name} .").is_err() {
                            return;
                        }
                    }
                    if number % 16 == 7 && thread == 0 {
                        log.flush_tiles().unwrap();
                    }
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}
