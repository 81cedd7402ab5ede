//! Pages of the refusals, `asepsis explain E001` and so on. Codes are never reused.

use domain::{Entry, catalogue_entry};

catalogue_entry! {
    /// A request that is not what the protocol says.
    ///
    /// ## What it is
    /// The body could not be read as an Open Inference Protocol v2 request: JSON that does not parse, a tensor whose shape and elements differ, a data type that does not exist, a value that is no number.
    ///
    /// ## Why it matters in care
    /// A half-understood request would give an answer about somebody else's values. Nothing reaches the model.
    ///
    /// ## Limits
    /// The message names the place, not the value; a request that is well formed and wrong is the guards' business.
    ///
    /// ## References
    /// Open Inference Protocol v2, "Inference Request JSON Object"; CWE-20
    pub static E001 = { id: "E001", name: "malformed-request", kind: Refusal, since: "0.1.0", maps: ["CWE-20"] };
}

catalogue_entry! {
    /// A request above the limits of the gateway.
    ///
    /// ## What it is
    /// The body, the batch or a count in it is larger than the configured limit. Limits are looked at before anything is parsed.
    ///
    /// ## Why it matters in care
    /// A single caller must not be able to take memory or time from all others.
    ///
    /// ## Limits
    /// The limit on bytes is looked at while the body arrives, the limit on rows after parsing.
    ///
    /// ## References
    /// CWE-770; RFC 9110, 15.5.14
    pub static E002 = { id: "E002", name: "too-large", kind: Refusal, since: "0.1.0", maps: ["CWE-770"] };
}

catalogue_entry! {
    /// A content type that this address does not read.
    ///
    /// ## What it is
    /// Inference takes `application/json`, and `application/octet-stream` with the header of the binary tensor extension.
    ///
    /// ## Why it matters in care
    /// A body read as something else than it is would be another request than the one the caller meant.
    ///
    /// ## Limits
    /// A missing content type is read as JSON, as the protocol's own clients send it.
    ///
    /// ## References
    /// RFC 9110, 15.5.16
    pub static E003 = { id: "E003", name: "unsupported-media-type", kind: Refusal, since: "0.1.0", maps: ["CWE-436"] };
}

catalogue_entry! {
    /// A system that this gateway does not serve.
    ///
    /// ## What it is
    /// The name in the address is not among the systems in the configuration.
    ///
    /// ## Why it matters in care
    /// A typing error must not be answered by a similar model.
    ///
    /// ## Limits
    /// Callers that may not use a system and callers that name none get different answers: names of systems are not secret.
    ///
    /// ## References
    /// RFC 9110, 15.5.5
    pub static E004 = { id: "E004", name: "unknown-system", kind: Refusal, since: "0.1.0", maps: ["CWE-1188"] };
}

catalogue_entry! {
    /// A request without an API key.
    ///
    /// ## What it is
    /// Neither `Authorization: Bearer` nor `X-API-Key` came with the request.
    ///
    /// ## Why it matters in care
    /// Without knowing who asks there is no budget, no history and nobody to call back.
    ///
    /// ## Limits
    /// Health addresses need no key.
    ///
    /// ## References
    /// RFC 6750; CWE-306
    pub static E005 = { id: "E005", name: "no-key", kind: Refusal, since: "0.1.0", maps: ["CWE-306"] };
}

catalogue_entry! {
    /// An API key that is not known here.
    ///
    /// ## What it is
    /// The key's public half is unknown, or its secret half does not fit.
    ///
    /// ## Why it matters in care
    /// Somebody may be trying keys; each attempt is counted in the ledger.
    ///
    /// ## Limits
    /// The answer is the same for an unknown and a wrong key, so that names of keys cannot be found out.
    ///
    /// ## References
    /// CWE-287; CWE-204
    pub static E006 = { id: "E006", name: "bad-key", kind: Refusal, since: "0.1.0", maps: ["CWE-287"] };
}

catalogue_entry! {
    /// An API key past its end, or revoked.
    ///
    /// ## What it is
    /// The key was good once and is not any more.
    ///
    /// ## Why it matters in care
    /// Keys end so that a leaked one does not work for ever.
    ///
    /// ## Limits
    /// The gateway's clock decides; a clock that goes backwards does not revive a key that the configuration dropped.
    ///
    /// ## References
    /// CWE-324; NIST SP 800-57 part 1, 5.3
    pub static E007 = { id: "E007", name: "expired-key", kind: Refusal, since: "0.1.0", maps: ["CWE-324"] };
}

catalogue_entry! {
    /// A caller whom the policies do not allow this.
    ///
    /// ## What it is
    /// The Cedar policies gave no permit for this caller, action and system.
    ///
    /// ## Why it matters in care
    /// Each key opens only what its owner needs, so that one that leaks costs little.
    ///
    /// ## Limits
    /// What a policy says is the administrator's; the gateway shows the action, not the policy.
    ///
    /// ## References
    /// Cedar policy language; CWE-862
    pub static E008 = { id: "E008", name: "not-allowed", kind: Refusal, since: "0.1.0", maps: ["CWE-862"] };
}

catalogue_entry! {
    /// A client that was put in quarantine.
    ///
    /// ## What it is
    /// A person, or an alarm with that right, stopped this client.
    ///
    /// ## Why it matters in care
    /// A client that probes the model, or sends wrong data in a loop, is stopped without stopping care for others.
    ///
    /// ## Limits
    /// Quarantine is per client: an attacker with a second client goes on until that one is seen.
    ///
    /// ## References
    /// MITRE ATLAS AML.M0004
    pub static E009 = { id: "E009", name: "client-quarantined", kind: Refusal, since: "0.1.0", maps: ["AML.M0004"] };
}

catalogue_entry! {
    /// More requests than the client's rate allows.
    ///
    /// ## What it is
    /// Each client has a token bucket: a sustained rate and a burst.
    ///
    /// ## Why it matters in care
    /// Attacks on models need thousands of queries; ordinary care does not.
    ///
    /// ## Limits
    /// The bucket lives in memory of one gateway; a restart fills it.
    ///
    /// ## References
    /// MITRE ATLAS AML.M0004; RFC 6585, 4
    pub static E010 = { id: "E010", name: "rate-limited", kind: Refusal, since: "0.1.0", maps: ["AML.M0004", "CWE-770"] };
}

catalogue_entry! {
    /// More rows than the client's daily budget.
    ///
    /// ## What it is
    /// Each client has a number of rows it may ask for in a UTC day, over all systems.
    ///
    /// ## Why it matters in care
    /// Copying a model takes tens of thousands of answers; the budget makes it take months.
    ///
    /// ## Limits
    /// The day only moves forward: a clock set back neither renews nor extends the budget.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0024; Tramer et al. 2016, arXiv:1609.02943
    pub static E011 = { id: "E011", name: "budget-used-up", kind: Refusal, since: "0.1.0", maps: ["AML.M0004", "AML.T0024"] };
}

catalogue_entry! {
    /// A system whose deployment gate is shut.
    ///
    /// ## What it is
    /// The evidence that the controls ask for is missing or stale for the version that would answer.
    ///
    /// ## Why it matters in care
    /// A model that changed, or was never checked here, does not answer about patients.
    ///
    /// ## Limits
    /// The gateway follows the control plane's last snapshot; between a change and the next snapshot the old state holds.
    ///
    /// ## References
    /// ISO 14971:2019, 10; NIST AI RMF 1.0, MANAGE 2.4
    pub static E012 = { id: "E012", name: "gate-shut", kind: Refusal, since: "0.1.0", maps: ["AML.M0014"] };
}

catalogue_entry! {
    /// A system that a person has stopped.
    ///
    /// ## What it is
    /// Somebody with the right role suspended the system and gave a reason.
    ///
    /// ## Why it matters in care
    /// The fastest remedy for a system that harms is to stop it.
    ///
    /// ## Limits
    /// Exchanges that were already open are answered.
    ///
    /// ## References
    /// NIST AI RMF 1.0, MANAGE 2.4
    pub static E013 = { id: "E013", name: "suspended", kind: Refusal, since: "0.1.0", maps: ["AML.M0014"] };
}

catalogue_entry! {
    /// A request that a guard refused.
    ///
    /// ## What it is
    /// A guard in `block` mode found something of medium severity or worse, or could not decide and doubt counts as refusal. The verdicts name guard, place and remedy.
    ///
    /// ## Why it matters in care
    /// An answer computed from impossible, mixed-up or crafted values looks as good as any other.
    ///
    /// ## Limits
    /// What each guard misses is on its own page.
    ///
    /// ## References
    /// MITRE ATLAS AML.M0015
    pub static E014 = { id: "E014", name: "blocked", kind: Refusal, since: "0.1.0", maps: ["AML.M0015"] };
}

catalogue_entry! {
    /// An answer that a guard withheld.
    ///
    /// ## What it is
    /// The model ran, and a guard in `block` mode found its answer unfit to use.
    ///
    /// ## Why it matters in care
    /// An answer that should not be used is safer unseen than seen with a note.
    ///
    /// ## Limits
    /// The caller learns that an answer was withheld, which tells an attacker something.
    ///
    /// ## References
    /// MITRE ATLAS AML.M0015
    pub static E015 = { id: "E015", name: "reply-withheld", kind: Refusal, since: "0.1.0", maps: ["AML.M0015"] };
}

catalogue_entry! {
    /// A model that did not compute an answer.
    ///
    /// ## What it is
    /// The graph failed on this input, or a fault in the program was caught while it ran.
    ///
    /// ## Why it matters in care
    /// A fault is never turned into a number.
    ///
    /// ## Limits
    /// A model that computes a wrong number is not seen here.
    ///
    /// ## References
    /// CWE-755
    pub static E016 = { id: "E016", name: "model-failed", kind: Refusal, since: "0.1.0", maps: ["CWE-755"] };
}

catalogue_entry! {
    /// A model server that cannot be reached.
    ///
    /// ## What it is
    /// No connection could be made to the configured model server.
    ///
    /// ## Why it matters in care
    /// The caller must know at once that there is no second opinion today.
    ///
    /// ## Limits
    /// The gateway tells unreachable from slow by whether a connection was made.
    ///
    /// ## References
    /// RFC 9110, 15.6.3
    pub static E017 = { id: "E017", name: "upstream-unreachable", kind: Refusal, since: "0.1.0", maps: ["CWE-755"] };
}

catalogue_entry! {
    /// A model server that did not answer in time.
    ///
    /// ## What it is
    /// The connection was made, the answer did not come within the limit.
    ///
    /// ## Why it matters in care
    /// Waiting for a machine must not delay care.
    ///
    /// ## Limits
    /// The server may have computed the answer all the same.
    ///
    /// ## References
    /// RFC 9110, 15.6.5
    pub static E018 = { id: "E018", name: "upstream-timeout", kind: Refusal, since: "0.1.0", maps: ["CWE-400"] };
}

catalogue_entry! {
    /// A model server's answer that does not follow the protocol.
    ///
    /// ## What it is
    /// The answer could not be parsed, was too large, or names other outputs than declared.
    ///
    /// ## Why it matters in care
    /// A wrong answer read with good will is still wrong.
    ///
    /// ## Limits
    /// An answer that is well formed and wrong is for the guards.
    ///
    /// ## References
    /// Open Inference Protocol v2, "Inference Response JSON Object"
    pub static E019 = { id: "E019", name: "upstream-bad-reply", kind: Refusal, since: "0.1.0", maps: ["CWE-20"] };
}

catalogue_entry! {
    /// A model server that is being left alone for a while.
    ///
    /// ## What it is
    /// Several calls in a row failed; new ones are refused at once until a trial call succeeds.
    ///
    /// ## Why it matters in care
    /// Callers get a clear answer in microseconds instead of waiting for a dead server.
    ///
    /// ## Limits
    /// The first caller after the pause is the trial.
    ///
    /// ## References
    /// Nygard, Release It!, 2nd ed., 5.2
    pub static E020 = { id: "E020", name: "circuit-open", kind: Refusal, since: "0.1.0", maps: ["CWE-400"] };
}

catalogue_entry! {
    /// More exchanges at once than the gateway takes.
    ///
    /// ## What it is
    /// The limit on open exchanges, or on those of this system, was reached within the time limit.
    ///
    /// ## Why it matters in care
    /// Taking more than can be done makes everybody's answer late.
    ///
    /// ## Limits
    /// Retry-After is a guess, not a booking.
    ///
    /// ## References
    /// RFC 9110, 15.6.4
    pub static E021 = { id: "E021", name: "busy", kind: Refusal, since: "0.1.0", maps: ["CWE-770"] };
}

catalogue_entry! {
    /// A ledger that cannot be written.
    ///
    /// ## What it is
    /// The disk is full, read-only or failing, or the ledger was closed. Nothing is answered that is not written down.
    ///
    /// ## Why it matters in care
    /// What cannot be proven afterwards did not happen safely.
    ///
    /// ## Limits
    /// An exchange whose entry failed to reach the disk may have reached a remote model server before that was known.
    ///
    /// ## References
    /// CWE-778; RFC 6962
    pub static E022 = { id: "E022", name: "ledger-unavailable", kind: Refusal, since: "0.1.0", maps: ["CWE-778"] };
}

catalogue_entry! {
    /// An exchange above its time limit.
    ///
    /// ## What it is
    /// Parsing, guards, model and ledger together took longer than allowed.
    ///
    /// ## Why it matters in care
    /// An answer that comes too late is read at the wrong patient.
    ///
    /// ## Limits
    /// Work on a local model that is already running ends by itself; its answer is dropped.
    ///
    /// ## References
    /// CWE-400
    pub static E023 = { id: "E023", name: "timeout", kind: Refusal, since: "0.1.0", maps: ["CWE-400"] };
}

catalogue_entry! {
    /// A caller that left before the answer.
    ///
    /// ## What it is
    /// The connection closed while the exchange was open. The ledger gets its closing entry all the same.
    ///
    /// ## Why it matters in care
    /// An attacker must not be able to leave half a trace by hanging up.
    ///
    /// ## Limits
    /// Whether the caller meant to leave is not known.
    ///
    /// ## References
    /// CWE-778
    pub static E024 = { id: "E024", name: "caller-gone", kind: Refusal, since: "0.1.0", maps: ["CWE-778"] };
}

catalogue_entry! {
    /// A version that is not the one being served.
    ///
    /// ## What it is
    /// The address names a version other than the digest that the gate holds open.
    ///
    /// ## Why it matters in care
    /// Asking for an old version by name must not go around the gate.
    ///
    /// ## Limits
    /// The whole digest or its first 12 digits are understood.
    ///
    /// ## References
    /// Open Inference Protocol v2, "Model Metadata"
    pub static E025 = { id: "E025", name: "unknown-version", kind: Refusal, since: "0.1.0", maps: ["CWE-1188"] };
}

catalogue_entry! {
    /// An address that does not exist here.
    ///
    /// ## What it is
    /// The path is not in the OpenAPI document.
    ///
    /// ## Why it matters in care
    /// A client with a wrong address should hear it from us, in the form it can read.
    ///
    /// ## Limits
    /// None known.
    ///
    /// ## References
    /// RFC 9110, 15.5.5
    pub static E026 = { id: "E026", name: "no-such-address", kind: Refusal, since: "0.1.0", maps: ["CWE-1059"] };
}

catalogue_entry! {
    /// A method that the address does not take.
    ///
    /// ## What it is
    /// For example GET on an inference address.
    ///
    /// ## Why it matters in care
    /// A client with a wrong method should hear it from us, in the form it can read.
    ///
    /// ## Limits
    /// None known.
    ///
    /// ## References
    /// RFC 9110, 15.5.6
    pub static E027 = { id: "E027", name: "method-not-allowed", kind: Refusal, since: "0.1.0", maps: ["CWE-1059"] };
}

catalogue_entry! {
    /// A body that arrives too slowly.
    ///
    /// ## What it is
    /// The body was not complete within the time limit.
    ///
    /// ## Why it matters in care
    /// Slow senders hold connections that others need.
    ///
    /// ## Limits
    /// A caller on a very bad line is refused as well.
    ///
    /// ## References
    /// RFC 9110, 15.5.9; CWE-400
    pub static E028 = { id: "E028", name: "too-slow", kind: Refusal, since: "0.1.0", maps: ["CWE-400"] };
}

/// All of them, in order of their codes.
#[rustfmt::skip]
pub static ENTRIES: &[&Entry] = &[
    &E001, &E002, &E003, &E004, &E005, &E006, &E007, &E008, &E009, &E010, &E011, &E012, &E013, &E014, &E015,
    &E016, &E017, &E018, &E019, &E020, &E021, &E022, &E023, &E024, &E025, &E026, &E027, &E028,
    &crate::refusal_entries_text::E029, &crate::refusal_entries_text::E030,
];
