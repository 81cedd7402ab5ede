//! What the names, types and rights of an archive's members may do when somebody unpacks it. Shared by all archives.

use domain::{Severity, catalogue_entry};

use crate::{Context, Part};

catalogue_entry! {
    /// A member of an archive is written outside of the folder it is unpacked to.
    ///
    /// ## What it is
    /// The name of a member is absolute, climbs up with `..`, begins with a drive letter or a network share, or holds a
    /// NUL byte after which some programs stop reading. Backslashes count as separators, as they do on Windows.
    ///
    /// ## Why it matters in care
    /// Loading libraries unpack archives without asking. A "model" that writes to the folder of a start script owns
    /// the workstation it was opened on, and from there the network of the ward.
    ///
    /// ## Limits
    /// Judges names only. Whether the program that unpacks it is protected is not known.
    ///
    /// ## References
    /// CWE-22 Path Traversal; CWE-23; "Zip Slip", Snyk 2018; MITRE ATLAS AML.T0011.000.
    pub static TRAVERSAL = {
        id: "S030", name: "archive-path-traversal", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "CWE-22", "CWE-23"],
    };
}

catalogue_entry! {
    /// An archive holds something that is no ordinary file: a link that leads out, a device, a pipe, a file with special rights.
    ///
    /// ## What it is
    /// A symbolic or hard link whose target is absolute or climbs out of the archive, a member that is written through
    /// a link made earlier in the same archive, a device node, a named pipe, or a file that would run with the rights
    /// of its owner (set-uid, set-gid).
    ///
    /// ## Why it matters in care
    /// A link to a system file makes the next write of a harmless looking member land there; a pipe stops an import
    /// job for ever; a set-uid file is a door for later. None of them belongs into a model.
    ///
    /// ## Limits
    /// A link that stays inside the archive is only remarked on.
    ///
    /// ## References
    /// CWE-59 Link Following; CWE-732; CVE-2007-4559 (Python tarfile); MITRE ATLAS AML.T0011.000.
    pub static SPECIAL = {
        id: "S031", name: "archive-special-file", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "CWE-59", "CWE-61", "CWE-732"],
    };
}

const REMEDY: &str = "do not unpack it; ask the sender for an archive of plain files with relative names";

/// A member's name with `/` between its components, without `.` components and doubled separators.
pub(crate) fn normal(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split(['/', '\\']) {
        if !part.is_empty() && part != "." {
            parts.push(part);
        }
    }
    parts.join("/")
}

/// Why a name leaves the folder it is unpacked to.
fn escapes(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if bytes.contains(&0) {
        return Some("holds a NUL byte, so that programs disagree on where it ends");
    }
    if matches!(bytes, [a, b':', ..] if a.is_ascii_alphabetic()) {
        return Some("begins with a drive letter");
    }
    if name.starts_with("\\\\") || name.starts_with("//") {
        return Some("is a network share");
    }
    if name.starts_with(['/', '\\']) {
        return Some("is absolute");
    }
    if name.starts_with("~/") {
        return Some("begins in the home folder");
    }
    // Lower case is enough: percent escapes are no part of any archive, but some programs decode them.
    climbs(name).then_some("climbs out of the folder with `..`")
}

/// Whether a path goes above where it starts.
fn climbs(path: &str) -> bool {
    let mut depth = 0_i64;
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// Reports what a member's name would do.
pub(crate) fn check_name(cx: &mut Context<'_>, part: &mut Part, name: &str, byte: u64) {
    if let Some(why) = escapes(name) {
        let message = format!("the name `{name}` {why}");
        cx.find(part, &TRAVERSAL, Severity::High, Some(byte), message, REMEDY);
    } else if name.split(['/', '\\']).any(|p| p == "..") {
        let message = format!("the name `{name}` holds `..`, which no archive writes by itself");
        cx.find(part, &TRAVERSAL, Severity::Medium, Some(byte), message, REMEDY);
    }
}

/// What a member is, beside an ordinary file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Special {
    /// Symbolic link to a target.
    Symlink(String),
    /// Another name of an earlier member.
    Hardlink(String),
    /// Device node.
    Device,
    /// Named pipe.
    Pipe,
    /// Socket.
    Socket,
}

/// Links of one archive so far, to notice writing through them.
#[derive(Default)]
pub(crate) struct Links {
    /// Normal names of the symbolic links.
    names: std::collections::BTreeSet<String>,
}

/// Most links remembered.
const LINKS_MAX: usize = 10_000;

impl Links {
    /// Reports a special member.
    pub(crate) fn special(
        &mut self,
        cx: &mut Context<'_>,
        part: &mut Part,
        name: &str,
        what: &Special,
        byte: u64,
    ) {
        let (severity, message) = match what {
            Special::Symlink(target) => {
                let folder = normal(name).rsplit_once('/').map(|(f, _)| f.to_owned()).unwrap_or_default();
                let out = escapes(target).is_some() && !target.starts_with("..")
                    || climbs(&format!("{folder}/{target}"));
                if self.names.len() < LINKS_MAX {
                    self.names.insert(normal(name));
                }
                let severity = if out { Severity::High } else { Severity::Low };
                (severity, format!("`{name}` is a symbolic link to `{target}`"))
            }
            Special::Hardlink(target) => {
                let severity = if escapes(target).is_some() { Severity::High } else { Severity::Low };
                (severity, format!("`{name}` is a hard link to `{target}`"))
            }
            Special::Device => (Severity::High, format!("`{name}` is a device")),
            Special::Pipe => (Severity::High, format!("`{name}` is a named pipe; reading it never ends")),
            Special::Socket => (Severity::Medium, format!("`{name}` is a socket")),
        };
        cx.find(part, &SPECIAL, severity, Some(byte), message, REMEDY);
    }

    /// Reports a member that is written through an earlier link.
    pub(crate) fn through(&self, cx: &mut Context<'_>, part: &mut Part, name: &str, byte: u64) {
        if self.names.is_empty() {
            return;
        }
        let name = normal(name);
        let mut folder = name.as_str();
        loop {
            if self.names.contains(folder) {
                let message = format!("`{name}` is written through the link `{folder}` of the same archive");
                cx.find(part, &SPECIAL, Severity::High, Some(byte), message, REMEDY);
                return;
            }
            let Some((up, _)) = folder.rsplit_once('/') else { return };
            folder = up;
        }
    }
}

/// Reports special rights of an ordinary file.
pub(crate) fn check_rights(cx: &mut Context<'_>, part: &mut Part, name: &str, mode: u32, byte: u64) {
    if mode & 0o6000 != 0 {
        let message = format!("`{name}` would run with the rights of its owner (mode {:o})", mode & 0o7777);
        cx.find(part, &SPECIAL, Severity::High, Some(byte), message, REMEDY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_told_from_those_that_do_not() {
        for out in [
            "../a",
            "a/../../b",
            "/etc/x",
            "C:\\x",
            "c:x",
            "..\\x",
            "a\\..\\..\\b",
            "\\\\host\\x",
            "a\0.txt",
            "~/x",
        ] {
            assert!(escapes(out).is_some(), "{out}");
        }
        for inside in ["a", "a/b", "./a", "a//b", "a/../b", "..a", "a..", "data/0", "weights/...x"] {
            assert!(escapes(inside).is_none(), "{inside}");
        }
        assert_eq!(normal("./a//b\\c/."), "a/b/c");
    }
}
