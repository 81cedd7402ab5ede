//! A disk that is full for real: the process's file size limit, and a small tmpfs where the system lets us mount one.

use crate::child::{command, role};
use crate::common::{entry, signer, verifier};
use std::path::Path;
use std::process::{Command, Stdio};
use store::log::{Log, LogError, Options, audit};

/// Appends until the disk is full, makes room with `make_room`, and goes on.
fn fill_and_recover(dir: &Path, make_room: &dyn Fn()) {
    let log = Log::open(dir, signer(), Options::default()).unwrap();
    let mut acknowledged = Vec::new();
    let failed = 'full: loop {
        let many: Vec<_> = (0..50)
            .map_while(|i| {
                let name = format!("f/{}/{i}", acknowledged.len());
                log.append(&entry(&name)).ok().map(|appended| (appended, name))
            })
            .collect();
        let mut failure = None;
        for (appended, name) in many {
            match appended.wait() {
                Ok(index) => {
                    assert!(failure.is_none(), "acknowledged after a failure");
                    acknowledged.push((index, name));
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure.or_else(|| log.failure()) {
            break 'full error;
        }
        assert!(acknowledged.len() < 100_000, "the disk never became full");
    };
    assert!(matches!(failed, LogError::Full(_)), "{failed}");
    assert!(matches!(log.append(b"x"), Err(LogError::Full(_))), "a failed log takes no entries");
    assert!(matches!(log.flush_tiles(), Err(LogError::Full(_))));
    assert!(!acknowledged.is_empty());
    for (index, name) in &acknowledged {
        assert_eq!(log.read(*index).unwrap(), entry(name), "reading goes on while the disk is full");
    }

    make_room();
    log.reopen().unwrap();
    for (index, name) in &acknowledged {
        assert_eq!(log.read(*index).unwrap(), entry(name));
    }
    let index = log.append(b"after").unwrap().wait().unwrap();
    assert_eq!(log.read(index).unwrap(), b"after");
    assert!(index >= acknowledged.len() as u64);
    let head = log.head();
    log.close().unwrap();
    let report = audit(dir, &verifier(), Some((head.size, head.root.into())), &mut |_, _| {}).unwrap();
    assert!(report.is_clean() && report.size == index + 1, "{report:?}");
}

fn run(mut command: Command) -> (bool, String) {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// The same command under a shell that prepares its surroundings first; `$0` and `$@` are the command.
fn under_shell(script: &str, inner: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(inner.get_program()).args(inner.get_args());
    for (key, value) in inner.get_envs() {
        shell.env(key, value.unwrap_or_default());
    }
    shell
}

#[test]
fn a_file_size_limit_refuses_entries_and_loses_none() {
    if let Some((role, dir)) = role() {
        assert_eq!(role, "limit");
        return fill_and_recover(Path::new(&dir), &|| {
            let mut limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
            limit.current = limit.maximum;
            rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let inner = command("full_disk::a_file_size_limit_refuses_entries_and_loses_none", "limit", dir.path());
    // Without the trap the kernel would end the process instead of failing the write.
    let (passed, output) = run(under_shell("trap '' XFSZ; ulimit -S -f 400; exec \"$0\" \"$@\"", &inner));
    assert!(passed && output.contains("1 passed"), "{output}");
}

#[test]
fn a_full_file_system_refuses_entries_and_loses_none() {
    if let Some((role, dir)) = role() {
        assert_eq!(role, "tmpfs");
        let ballast = Path::new(&dir).join("ballast");
        std::fs::write(&ballast, vec![1; 1 << 20]).unwrap();
        return fill_and_recover(&Path::new(&dir).join("log"), &|| std::fs::remove_file(&ballast).unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let inner = command("full_disk::a_full_file_system_refuses_entries_and_loses_none", "tmpfs", dir.path());
    // A mount name space of our own: nothing is mounted outside, and it vanishes with the process.
    let (can, _) = run({
        let mut command = Command::new("unshare");
        command.args(["-rm", "mount", "-t", "tmpfs", "tmpfs"]).arg(dir.path());
        command
    });
    if !can {
        eprintln!(
            "SKIPPED: this system lets nobody mount a tmpfs, so the full file system is not tested here"
        );
        return;
    }
    let script = format!("mount -t tmpfs -o size=2m tmpfs '{}' && exec \"$0\" \"$@\"", dir.path().display());
    let shell = under_shell(&script, &inner);
    let mut command = Command::new("unshare");
    command.arg("-rm").arg(shell.get_program()).args(shell.get_args());
    for (key, value) in shell.get_envs() {
        command.env(key, value.unwrap_or_default());
    }
    let (passed, output) = run(command);
    assert!(passed && output.contains("1 passed"), "{output}");
}
