//! The checks made at admission and in use; the evidence of each names its id.

use domain::Entry;

domain::catalogue_entry! {
    /// The model file is read, digested and loaded within limits, or the remote server states its identity.
    ///
    /// ## What it is
    /// The SHA-256 digest of the file is recorded and the graph is parsed and planned under limits on nodes, tensor
    /// sizes and memory. For a remote model the server's metadata (name, version, platform, inputs, outputs) are digested.
    /// ## Why it matters in care
    /// Every later statement is about exactly these bytes; another file is another device.
    /// ## Limits
    /// Loading shows that a file is well formed, not that it is harmless or good. A remote server can change its
    /// model without changing its metadata; then only the figures show it.
    /// ## References
    /// - MITRE ATLAS AML.M0014, Verify AI Artifacts. ONNX IR specification.
    pub static MODEL_LOADS = { id: "V001", name: "model-loads", kind: Check, since: "0.1.0", maps: ["AML.M0014", "AML.T0010.003"] };
}

domain::catalogue_entry! {
    /// The declared inputs are compared with the graph.
    ///
    /// ## What it is
    /// Tensor name, element type, number of columns or image size, and the score output with its number of classes;
    /// every feature must have a unit, a range or codes, and a mutability.
    /// ## Why it matters in care
    /// Guards check what was declared; a wrong declaration checks the wrong thing.
    /// ## Limits
    /// The graph knows the number of columns, not their meaning: swapped declarations of equal type are found only by
    /// the performance check.
    /// ## References
    /// - MITRE ATLAS AML.M0010, Input Restoration; ISO 14971:2019, 5.3.
    pub static INPUTS_DECLARED = { id: "V002", name: "inputs-declared", kind: Check, since: "0.1.0", maps: ["AML.M0010"] };
}

domain::catalogue_entry! {
    /// The reference data are complete and honest enough to judge by.
    ///
    /// ## What it is
    /// Every declared column is there, values parse, lie in the declared range, each split holds each class, and no
    /// identical row stands in two splits. Missing values are counted and filled with the median of the fitting split.
    /// ## Why it matters in care
    /// A threshold learnt from wrong rows objects to the wrong patients.
    /// ## Limits
    /// Exact duplicates only; near duplicates, wrong labels and poisoning are for the data checks of a later version.
    /// ## References
    /// - MITRE ATLAS AML.M0007, Sanitize Training Data; AML.T0020, Poison Training Data.
    pub static REFERENCE_DATA = { id: "V003", name: "reference-data", kind: Check, since: "0.1.0", maps: ["AML.M0007", "AML.T0020"] };
}

domain::catalogue_entry! {
    /// The model is run on held-out patients and must reach the hospital's bounds.
    ///
    /// ## What it is
    /// Accuracy with its Wilson 95% interval, and for two classes the area under the ROC curve (Mann-Whitney statistic,
    /// ties count one half), on the held-out split.
    /// ## Why it matters in care
    /// It is the first thing a clinician asks.
    /// ## Limits
    /// The bound is compared with the point estimate; with few rows the interval is wide and is shown for that reason.
    /// ## References
    /// - Wilson 1927, doi:10.1080/01621459.1927.10502953. Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    pub static PERFORMANCE = { id: "V004", name: "performance", kind: Check, since: "0.1.0", maps: ["AML.M0008"] };
}

domain::catalogue_entry! {
    /// The same rows give the same finite scores, alone and in a batch, again and again.
    ///
    /// ## What it is
    /// Up to 256 held-out rows are run twice in one batch and once one by one; scores must be finite, the two batch runs
    /// equal to the last bit, and single runs equal to 1e-4.
    /// ## Why it matters in care
    /// An answer that cannot be repeated cannot be explained to the patient.
    /// ## Limits
    /// Another machine may differ in the last bits of floating-point sums. For a remote model repeated runs may differ by 1e-4.
    /// ## References
    /// - IEEE 754-2019, clause 11 (reproducible results).
    pub static REPEATABLE = { id: "V005", name: "repeatable", kind: Check, since: "0.1.0", maps: ["AML.M0008"] };
}

domain::catalogue_entry! {
    /// The guards are fitted on reference data.
    ///
    /// ## What it is
    /// Location, spread, neighbours, residuals and conformal thresholds are learnt from the fitting split and set on the
    /// calibration split to each guard's stated false-alarm rate. What was learnt is stored by its digest.
    /// ## Why it matters in care
    /// A guard's threshold is a promise about this hospital's patients.
    /// ## Limits
    /// The promise holds for patients like those of the reference data (exchangeability).
    /// ## References
    /// - Vovk, Gammerman, Shafer 2005, doi:10.1007/b106715.
    pub static GUARDS_FITTED = { id: "V006", name: "guards-fitted", kind: Check, since: "0.1.0", maps: ["AML.M0015"] };
}

domain::catalogue_entry! {
    /// The guards are tried on held-out clean rows.
    ///
    /// ## What it is
    /// The share of held-out rows to which each guard objects, with its Wilson 95% interval; a blocking guard above the
    /// hospital's bound is a finding.
    /// ## Why it matters in care
    /// False alarms cost the attention that true ones need.
    /// ## Limits
    /// History guards see each held-out row once, from one caller; their rate under real traffic is watched, not known.
    /// ## References
    /// - Wilson 1927, doi:10.1080/01621459.1927.10502953.
    pub static GUARDS_TRIED = { id: "V007", name: "guards-tried", kind: Check, since: "0.1.0", maps: ["AML.M0015"] };
}

domain::catalogue_entry! {
    /// Callers of the system are named and limited.
    ///
    /// ## What it is
    /// At least one configured client may ask the system, and rate and daily budget are set.
    /// ## Why it matters in care
    /// A hospital must know which ward's software acted on an answer.
    /// ## Limits
    /// It counts configured clients; whether their keys are kept safe is for their owners.
    /// ## References
    /// - MITRE ATLAS AML.M0019, Control Access to AI Models and Data in Production; AML.M0004, Restrict Number of AI Model Queries.
    pub static CALLERS_KNOWN = { id: "V008", name: "callers-known", kind: Check, since: "0.1.0", maps: ["AML.M0004", "AML.M0019"] };
}

domain::catalogue_entry! {
    /// The ledger is verified from every entry to the signed head.
    ///
    /// ## What it is
    /// `asepsis audit verify`: all entries are hashed again, all tiles and the root compared, the head's signature and the
    /// size last known to the state database checked.
    /// ## Why it matters in care
    /// It is what a patient's lawyer and the hospital's both need to trust.
    /// ## Limits
    /// It shows that nothing changed since it was written; whoever holds the key and both stores could write another
    /// history. Give heads to others (`asepsis audit export`) to rule that out.
    /// ## References
    /// - RFC 6962, section 2. C2SP tlog-tiles, tlog-checkpoint.
    pub static LEDGER_WHOLE = { id: "V009", name: "ledger-whole", kind: Check, since: "0.1.0", maps: ["AML.M0024"] };
}

domain::catalogue_entry! {
    /// A person reviewed the system's traffic and alarms.
    ///
    /// ## What it is
    /// Made by `asepsis review SYSTEM` or in the console: how many exchanges, refusals and alarms there were, and that no
    /// alarm is left unacknowledged.
    /// ## Why it matters in care
    /// Detection without a reader changes nothing.
    /// ## Limits
    /// It shows that somebody said so, and who.
    /// ## References
    /// - MITRE ATLAS AML.M0024, AI Telemetry Logging. EU AI Act, Article 26(5).
    pub static TRAFFIC_REVIEWED = { id: "V010", name: "traffic-reviewed", kind: Check, since: "0.1.0", maps: ["AML.M0024"] };
}

domain::catalogue_entry! {
    /// The model file is scanned before anything loads it.
    ///
    /// ## What it is
    /// The scan of `asepsis scan` over the bytes that admission has read: every format inside is recognised by content
    /// and followed without running it. Clean means that all of it was understood and nothing in it can run code, read
    /// files, reach out, hide a payload or lie about itself. What is found is not given to the loader.
    /// ## Why it matters in care
    /// A model that runs a program when it is loaded has the hospital's network in front of it.
    /// ## Limits
    /// It says what the file can do when it is loaded, not whether the model is good, unbiased or free of a backdoor in
    /// its weights.
    /// ## References
    /// - MITRE ATLAS AML.T0011.000, Unsafe AI Artifacts; AML.M0016, Vulnerability Scanning.
    pub static ARTEFACT_SCANNED = { id: "V011", name: "artefact-scanned", kind: Check, since: "0.1.0", maps: ["AML.M0016", "AML.T0011.000", "AML.T0010.003"] };
}

domain::catalogue_entry! {
    /// A signature over exactly this file verifies with a key or an authority that the hospital trusts.
    ///
    /// ## What it is
    /// OpenSSF Model Signing v1.0: a Sigstore bundle whose statement lists the digest of every file of the model. It is
    /// verified with the public key or the certificate authorities of `[system.signature]`.
    /// ## Why it matters in care
    /// Between the vendor's laboratory and the ward a file passes many hands; the signature shows that none changed it.
    /// ## Limits
    /// It shows who signed, not that what was signed is good. A key that was stolen signs as well as before.
    /// ## References
    /// - OpenSSF Model Signing Specification v1.0. MITRE ATLAS AML.M0013, Code Signing.
    pub static ARTEFACT_SIGNED = { id: "V012", name: "artefact-signed", kind: Check, since: "0.1.0", maps: ["AML.M0013", "AML.M0014"] };
}

domain::catalogue_entry! {
    /// The bill of materials of the model file is made and kept.
    ///
    /// ## What it is
    /// A CycloneDX 1.7 document of type machine-learning-model: digests, architecture, inputs and outputs, operators,
    /// libraries and licence as the file states them, and what the scan gave. It is kept by content; the evidence names it.
    /// ## Why it matters in care
    /// When a library turns out to be dangerous, the question is which patients' systems hold it.
    /// ## Limits
    /// It repeats what the file says about itself; a vendor's own papers are compared with `asepsis bom --paper`.
    /// ## References
    /// - ECMA-424 (CycloneDX). MITRE ATLAS AML.M0023, AI Bill of Materials.
    pub static BILL_OF_MATERIALS = { id: "V013", name: "bill-of-materials", kind: Check, since: "0.1.0", maps: ["AML.M0023"] };
}

domain::catalogue_entry! {
    /// The model was attacked in an exercise, and enough of its right answers stood.
    ///
    /// ## What it is
    /// `asepsis exercise run --system NAME` changes held-out rows within stated budgets until the answer flips or the attack gives up. The evidence names
    /// the suite and its digest, holds accuracy without and under attack, and the digest of the whole scorecard. It is clean or has findings when the
    /// exercise is complete; a finding is high when fewer right answers stand the smallest budget than the suite asks for.
    /// ## Why it matters in care
    /// A small error of a device, or a person with intent, must not turn an answer about a patient into its opposite unseen.
    /// ## Limits
    /// It shows what the attacks of the suite achieve within their budgets; standing them does not show that no attack works.
    /// ## References
    /// - Carlini et al. 2019, arXiv:1902.06705. Croce and Hein 2020, arXiv:2003.01690. MITRE ATLAS AML.T0043, Craft Adversarial Data.
    pub static EXERCISE = { id: "V014", name: "exercise", kind: Check, since: "0.1.0", maps: ["AML.M0008", "AML.T0043", "AML.T0015"] };
}

/// All checks of this crate.
pub static ENTRIES: &[&Entry] = &[
    &MODEL_LOADS,
    &INPUTS_DECLARED,
    &REFERENCE_DATA,
    &PERFORMANCE,
    &REPEATABLE,
    &GUARDS_FITTED,
    &GUARDS_TRIED,
    &CALLERS_KNOWN,
    &LEDGER_WHOLE,
    &TRAFFIC_REVIEWED,
    &ARTEFACT_SCANNED,
    &ARTEFACT_SIGNED,
    &BILL_OF_MATERIALS,
    &EXERCISE,
];
