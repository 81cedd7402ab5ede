//! Alarms: messages that ask a person to look. Each kind has a page; a raised one goes to ledger, state, log and webhooks.

use domain::{Entry, Severity};

domain::catalogue_entry! {
    /// Somebody searches for an input that flips the model.
    ///
    /// ## What it is
    /// The query-similarity guard saw many nearly equal requests from one caller, or spread over several.
    /// ## Why it matters in care
    /// Whoever finds the smallest change that flips a diagnosis can flip it in the clinic.
    /// ## Limits
    /// A tool that re-sends one patient with small corrections looks the same; ask the client's owner first.
    /// ## References
    /// - MITRE ATLAS AML.T0043.001, Black-Box Optimization.
    pub static EVASION = { id: "A001", name: "evasion-search", kind: Alarm, since: "0.1.0", maps: ["AML.T0043.001"] };
}
domain::catalogue_entry! {
    /// A client's requests look like a copy of the model in the making.
    ///
    /// ## What it is
    /// The extraction guard's statistics of one client's requests left the range of honest clients, or its query budget
    /// is nearly used up.
    /// ## Why it matters in care
    /// A stolen copy is the vendor's loss, and the attacker's free laboratory for evasion.
    /// ## Limits
    /// A slow thief with real patients' data looks honest until the budget ends.
    /// ## References
    /// - MITRE ATLAS AML.T0024.002, Extract AI Model.
    pub static EXTRACTION = { id: "A002", name: "model-extraction", kind: Alarm, since: "0.1.0", maps: ["AML.T0024.002"] };
}
domain::catalogue_entry! {
    /// A deployment gate shut.
    ///
    /// ## What it is
    /// Model, reference data, declared inputs, guards or connections changed, or an acceptance ran out, and the evidence
    /// for the new content is missing.
    /// ## Why it matters in care
    /// The answers would come from something nobody has checked.
    /// ## Limits
    /// Files are looked at every second; a file changed and changed back in between is not noticed, and is not served either.
    /// ## References
    /// - MITRE ATLAS AML.T0010.003, AI Supply Chain Compromise: Model.
    pub static GATE_SHUT = { id: "A003", name: "gate-shut", kind: Alarm, since: "0.1.0", maps: ["AML.T0010.003"] };
}
domain::catalogue_entry! {
    /// A remote model server does not answer.
    ///
    /// ## What it is
    /// Calls failed often enough that the circuit to the server is open.
    /// ## Why it matters in care
    /// Clinicians wait for an answer that will not come; they must be told to go on without.
    /// ## Limits
    /// Says that it fails, not why.
    /// ## References
    /// - NIST AI RMF 1.0, MANAGE 2.4.
    pub static UPSTREAM_DOWN = { id: "A004", name: "upstream-down", kind: Alarm, since: "0.1.0", maps: [] };
}
domain::catalogue_entry! {
    /// Many requests of one client were refused for impossible values.
    ///
    /// ## What it is
    /// The schema or clinical-range guard refused several requests of one client within minutes: mostly a broken
    /// interface or a changed unit.
    /// ## Why it matters in care
    /// One wrong unit in an interface is wrong for every patient who passes through it.
    /// ## Limits
    /// Counts refusals, not patients.
    /// ## References
    /// - ISO 14971:2019, clause 10.
    pub static BAD_INPUTS = { id: "A005", name: "impossible-inputs", kind: Alarm, since: "0.1.0", maps: ["AML.T0043"] };
}
domain::catalogue_entry! {
    /// Wrong keys were presented again and again.
    ///
    /// ## What it is
    /// More than a few requests in a minute carried no valid key.
    /// ## Why it matters in care
    /// Somebody who should not is trying the door.
    /// ## Limits
    /// The gateway does not see addresses behind a proxy.
    /// ## References
    /// - MITRE ATLAS AML.T0040, AI Model Inference API Access.
    pub static BAD_KEYS = { id: "A006", name: "wrong-keys", kind: Alarm, since: "0.1.0", maps: ["AML.T0040"] };
}
domain::catalogue_entry! {
    /// The configuration could not be loaded.
    ///
    /// ## What it is
    /// A reload was asked for and the file has a mistake; the configuration in force goes on unchanged.
    /// ## Why it matters in care
    /// Somebody believes that a change is in force, and it is not.
    /// ## Limits
    /// Only reloads are reported here; a start with a bad file fails at once.
    /// ## References
    /// - OWASP ASVS 4.0.3, 14.1.
    pub static BAD_CONFIGURATION = { id: "A007", name: "bad-configuration", kind: Alarm, since: "0.1.0", maps: [] };
}
domain::catalogue_entry! {
    /// A clinician flagged an answer as wrong.
    ///
    /// ## What it is
    /// Somebody with the role clinician marked an answer in the console, with or without a reason.
    /// ## Why it matters in care
    /// The person beside the patient sees first what no guard sees.
    /// ## Limits
    /// One flag is one opinion; what follows is for people.
    /// ## References
    /// - EU AI Act, Article 14(4).
    pub static FLAGGED = { id: "A008", name: "answer-flagged", kind: Alarm, since: "0.1.0", maps: [] };
}

/// All alarms.
pub static ENTRIES: &[&Entry] = &[
    &EVASION,
    &EXTRACTION,
    &GATE_SHUT,
    &UPSTREAM_DOWN,
    &BAD_INPUTS,
    &BAD_KEYS,
    &BAD_CONFIGURATION,
    &FLAGGED,
];

/// How bad an alarm of that kind is.
pub fn severity(id: &str) -> Severity {
    match id {
        "A001" | "A002" | "A003" => Severity::Critical,
        "A004" | "A006" | "A008" => Severity::High,
        _ => Severity::Medium,
    }
}
