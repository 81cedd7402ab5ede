//! What can be wrong with a container: the rules that zip, tar, 7z and single streams share.

use domain::catalogue_entry;

catalogue_entry! {
    /// Programs that open this archive would see different contents.
    ///
    /// ## What it is
    /// The directory at the end and the headers in front of the members contradict each other (name, method, size,
    /// checksum, flags), there is more than one directory, members overlap or have the same name, a checksum is wrong, or a
    /// field has a value that no writer gives.
    ///
    /// ## Why it matters in care
    /// PyTorch ignores fields that Python's zip module insists on. An attacker who knows the difference shows the
    /// scanner an error or a harmless file, and the loader the payload: the scan at procurement is passed.
    ///
    /// ## Limits
    /// A file damaged on its way shows the same marks; a fresh copy decides. Differences that ordinary writers make (a
    /// data descriptor, the version needed) are not reported.
    ///
    /// ## References
    /// CWE-436 Interpretation Conflict; APPNOTE 6.3.10; CVE-2025-10155 to 10157 (picklescan); MITRE ATLAS AML.T0074.
    pub(crate) static DISAGREE = {
        id: "S032", name: "archive-parsers-disagree", kind: Rule, since: "0.1.0",
        maps: ["AML.T0074", "CWE-436", "CWE-354"],
    };
}

catalogue_entry! {
    /// There are bytes in the container that its own table of contents does not name.
    ///
    /// ## What it is
    /// Data in front of the first member, behind the end, in a hole between members, or whole members that are missing
    /// in the directory. What is hidden is scanned too and reported under its own format.
    ///
    /// ## Why it matters in care
    /// The place to hide a second file: a loader that tries the old format first runs the pickle in front of the zip,
    /// while everything that lists the archive shows ordinary weights.
    ///
    /// ## Limits
    /// Zero bytes used as padding are not reported.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; CWE-436; MITRE ATLAS AML.T0018.002.
    pub(crate) static HIDDEN = {
        id: "S033", name: "hidden-bytes", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "CWE-506", "CWE-436"],
    };
}

catalogue_entry! {
    /// A small file unfolds to an enormous one.
    ///
    /// ## What it is
    /// Compressed data with more than 200 times its size in content (and more than 24 MiB of it, or 1 GiB for an array
    /// that says so), members that share the same compressed bytes, or archives nested without end.
    ///
    /// ## Why it matters in care
    /// Loading it fills the memory or the disk of the machine, which may be the one that serves the ward.
    ///
    /// ## Limits
    /// A model that really consists of more than that of the same number compresses as well; nobody ships one.
    ///
    /// ## References
    /// CWE-409 Improper Handling of Highly Compressed Data; D. Fifield, "A better zip bomb", WOOT 2019; MITRE ATLAS AML.T0029.
    pub(crate) static BOMB = {
        id: "S034", name: "decompression-bomb", kind: Rule, since: "0.1.0",
        maps: ["AML.T0029", "CWE-409", "CWE-400"],
    };
}

catalogue_entry! {
    /// The archive keeps its content from everybody without the password.
    ///
    /// ## What it is
    /// Members of a zip or 7z archive, or the names of all members, are encrypted.
    ///
    /// ## Why it matters in care
    /// No scanner on the way looked into it, this one neither. A model is never sold under a password inside the file; to
    /// send malware under one, with the password in the letter, is the oldest way past a mail gateway.
    ///
    /// ## Limits
    /// What is inside may be harmless; unpack it on a machine of its own and scan that.
    ///
    /// ## References
    /// APPNOTE 6.3.10 section 6; 7zFormat.txt (7zAES); MITRE ATT&CK T1027.013; MITRE ATLAS AML.T0076; CWE-506.
    pub(crate) static SEALED = {
        id: "S046", name: "encrypted-content", kind: Rule, since: "0.1.0",
        maps: ["AML.T0076", "AML.T0018.002", "CWE-506"],
    };
}

pub(crate) const REMEDY_SEALED: &str =
    "do not open it here; ask the sender for an archive that can be looked into";
pub(crate) const REMEDY_DISAGREE: &str = "do not load it: ask the sender for the file again, and for one written by the ordinary tools if it is the same";
pub(crate) const REMEDY_HIDDEN: &str = "do not load it; ask the sender what these bytes are for";
pub(crate) const REMEDY_BOMB: &str = "do not open it; ask the sender for an ordinary file";
