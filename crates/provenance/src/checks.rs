//! What a verification can find, each with its page.

use domain::{Entry, catalogue_entry};

catalogue_entry! {
    /// The signature of a model does not hold.
    ///
    /// ## What it is
    /// The signature file was read and does not prove what it should: it does not fit its content, it names another key
    /// than the one that was given, its certificate leads to no trusted root, was not valid at the time or is not for
    /// signing, its signer is not who was expected, the public log does not confirm it, or its root digest contradicts
    /// its own list. The message says which.
    ///
    /// ## Why it matters in care
    /// Without a valid signature nothing is known about where a model came from. A model swapped on the way from the
    /// vendor to the hospital reads the same images and gives other answers, and nobody sees the difference.
    ///
    /// ## Limits
    /// A valid signature says who signed and that nothing changed since, not that the model is good. Keys and roots have
    /// to come another way than the model. Revocation lists and OCSP are not asked; a stolen key signs validly until its
    /// owner's key is no longer trusted here.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0; DSSE v1.0; RFC 5280; Sigstore bundle v0.3; CWE-347.
    pub static SIGNATURE = {
        id: "V020", name: "signature-not-valid", kind: Check, since: "0.1.0",
        maps: ["CWE-347", "CWE-295", "AML.T0010.003", "AML.M0013", "ML06:2023"],
    };
}

catalogue_entry! {
    /// A signed file has another content.
    ///
    /// ## What it is
    /// The digest of a file is not the one that was signed. Where shards were signed, the bytes that differ are named.
    ///
    /// ## Why it matters in care
    /// One flipped bit in the weights or one changed threshold in a configuration makes another model than the one that
    /// was validated on patients.
    ///
    /// ## Limits
    /// Whole files are named, not bytes, unless shards were signed. A file that holds what was signed under another name
    /// is reported as `signed-under-another-name` instead.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0; FIPS 180-4; RFC 7693; CWE-353.
    pub static CHANGED = {
        id: "V021", name: "signed-file-changed", kind: Check, since: "0.1.0",
        maps: ["CWE-353", "AML.T0010.003", "AML.M0013", "ML06:2023"],
    };
}

catalogue_entry! {
    /// A file lies beside a signed model that nobody signed.
    ///
    /// ## What it is
    /// The folder holds a file that is in no line of the signed list and in none of the paths that the signature leaves out.
    ///
    /// ## Why it matters in care
    /// Frameworks load by name: a `modeling.py`, a `custom_code` folder or a second weights file that is only present can
    /// be what really runs.
    ///
    /// ## Limits
    /// Folders without a file in them are not seen, as they hold nothing. Notes of the hospital itself belong outside the
    /// model's folder, or they are reported too.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0; CWE-427 Uncontrolled Search Path Element.
    pub static ADDED = {
        id: "V022", name: "file-not-signed", kind: Check, since: "0.1.0",
        maps: ["CWE-427", "AML.T0010.003", "AML.M0013", "ML06:2023"],
    };
}

catalogue_entry! {
    /// A signed file is not there.
    ///
    /// ## What it is
    /// A line of the signed list has no file in the folder, and no unsigned file there has its content.
    ///
    /// ## Why it matters in care
    /// A missing preprocessing configuration makes many loaders fall back to a default: the model runs, on inputs scaled
    /// another way than those it was validated with.
    ///
    /// ## Limits
    /// A model that is used in parts on purpose is reported all the same: sign the part.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0; CWE-353.
    pub static MISSING = {
        id: "V023", name: "signed-file-missing", kind: Check, since: "0.1.0",
        maps: ["CWE-353", "AML.T0010.003", "AML.M0013"],
    };
}

catalogue_entry! {
    /// Signed content stands under another name than it was signed with.
    ///
    /// ## What it is
    /// A file was renamed, also only in upper and lower case; two files were exchanged; or a file holds what was signed
    /// as another one.
    ///
    /// ## Why it matters in care
    /// Each byte is as the vendor made it, and the model is another one: the weights for children under the name of
    /// those for adults, or an old version where the new one should be. On systems that do not tell cases apart, a name
    /// in another case decides which of two files is loaded.
    ///
    /// ## Limits
    /// Empty files have no content to recognise them by. Names that only look alike (composed and decomposed accents,
    /// letters of other alphabets) are reported as one missing and one renamed or unsigned file, without saying why.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0; CWE-178 Improper Handling of Case Sensitivity.
    pub static RENAMED = {
        id: "V024", name: "signed-under-another-name", kind: Check, since: "0.1.0",
        maps: ["CWE-178", "CWE-353", "AML.T0010.003", "AML.M0013"],
    };
}

catalogue_entry! {
    /// The folder holds content that the signature does not cover by its own rules.
    ///
    /// ## What it is
    /// Files in paths that the signature leaves out (`.git`, `.github`, `.gitattributes`, `.gitignore`, and whatever the
    /// signer named), and empty files beside a signature by shards. Reported with every verification, and a refusal
    /// where everything has to be signed.
    ///
    /// ## Why it matters in care
    /// The reference verifier says "succeeded" with a payload in `.git/hooks` or a changed `.gitattributes`, which decides
    /// what a checkout of large files fetches. Whoever deploys the folder deploys that too.
    ///
    /// ## Limits
    /// Nothing is known about such content but that it is there; scanning it is another check.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0, ignored paths; CWE-353 Missing Support for Integrity Check.
    pub static UNCOVERED = {
        id: "V025", name: "content-not-covered", kind: Check, since: "0.1.0",
        maps: ["CWE-353", "AML.T0010.003", "ML06:2023"],
    };
}

catalogue_entry! {
    /// A name leaves the folder, is read differently on another system, or is signed twice.
    ///
    /// ## What it is
    /// A signed name, or one in the folder, is absolute, holds `..`, a backslash, a drive letter, a control character or an
    /// empty part, or the signature lists it twice. Signed names are never opened: only what a walk over the folder
    /// found is read.
    ///
    /// ## Why it matters in care
    /// A verifier that opens `../../models/other` vouches for a file outside of what will be used, and an unpacker that
    /// follows it overwrites another department's model.
    ///
    /// ## Limits
    /// Names that are honest on Linux and not portable (a backslash, `C:x`) are refused as well; rename the file.
    ///
    /// ## References
    /// CWE-22 Path Traversal; CWE-41 Improper Resolution of Path Equivalence.
    pub static NAME = {
        id: "V026", name: "unsafe-signed-name", kind: Check, since: "0.1.0",
        maps: ["CWE-22", "CWE-41", "AML.T0010.003"],
    };
}

catalogue_entry! {
    /// The folder holds a symbolic link or something that is no file.
    ///
    /// ## What it is
    /// A link where links are not allowed by the signature or by the reader, a link to a folder or to nothing, a socket,
    /// a device, or a name that is no text. A link that was allowed is said, and its target compared.
    ///
    /// ## Why it matters in care
    /// What a link leads to can change after the verification without a change in the folder.
    ///
    /// ## Limits
    /// Hard links are files like any other. Between verification and loading the folder has to be protected from writing.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0, `allow_symlinks`; CWE-59 Link Following; CWE-367.
    pub static LINK = {
        id: "V027", name: "link-in-signed-model", kind: Check, since: "0.1.0",
        maps: ["CWE-59", "CWE-367", "AML.T0010.003"],
    };
}

catalogue_entry! {
    /// A file of a signed model could not be read.
    ///
    /// ## What it is
    /// Reading failed, or the file changed while it was read. The verification is then inconclusive, never passed.
    ///
    /// ## Why it matters in care
    /// A check that skips what it cannot open passes exactly the files that somebody keeps it from opening.
    ///
    /// ## Limits
    /// It does not say who changed the file; a copy that is still running is the usual reason.
    ///
    /// ## References
    /// CWE-703 Improper Check or Handling of Exceptional Conditions; CWE-367 Time-of-check Time-of-use.
    pub static UNREADABLE = {
        id: "V028", name: "signed-file-unreadable", kind: Check, since: "0.1.0",
        maps: ["CWE-703", "CWE-367"],
    };
}

catalogue_entry! {
    /// A signature file cannot be read, or departs from the specification.
    ///
    /// ## What it is
    /// Damaged, too large, of an unknown type or version, or signed by another method than the one that was given to check
    /// it: then nothing can be said and the verification is inconclusive. Small departures of the reference
    /// implementation (`1000.0` as a size, `sha256-sharded-1000` as an algorithm) are read and said.
    ///
    /// ## Why it matters in care
    /// A signature that cannot be checked proves nothing, and looks like one that can.
    ///
    /// ## Limits
    /// Formats that come after this program was built are refused here until it learns them.
    ///
    /// ## References
    /// OpenSSF Model Signing Specification v1.0 and its JSON schemas; Sigstore bundle v0.3.
    pub static FORM = {
        id: "V029", name: "signature-not-readable", kind: Check, since: "0.1.0",
        maps: ["CWE-1286", "CWE-347"],
    };
}

/// All of them.
pub static ENTRIES: &[&Entry] =
    &[&SIGNATURE, &CHANGED, &ADDED, &MISSING, &RENAMED, &UNCOVERED, &NAME, &LINK, &UNREADABLE, &FORM];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_its_headings() {
        for entry in ENTRIES {
            for heading in domain::REQUIRED_HEADINGS {
                assert!(entry.doc.contains(heading), "{}: {heading}", entry.id);
            }
        }
    }
}
