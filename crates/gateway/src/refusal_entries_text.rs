//! Pages of the refusals that only language models have. Codes are never reused.

use domain::catalogue_entry;

catalogue_entry! {
    /// A request that the language model's server did not take.
    ///
    /// ## What it is
    /// The server answered with status 400, 413, 415 or 422. Its short word for the reason (`context_length_exceeded`, for example) is passed on; its message is not, because it may repeat what was asked.
    ///
    /// ## Why it matters in care
    /// The caller can mend it, and nobody else can; a message that repeats a patient's text would leave unscreened.
    ///
    /// ## Limits
    /// A server that gives no short word is passed on as `invalid_request_error`.
    ///
    /// ## References
    /// RFC 9110, 15.5.1
    pub static E029 = { id: "E029", name: "upstream-declined", kind: Refusal, since: "0.1.0", maps: ["CWE-209"] };
}

catalogue_entry! {
    /// A client that has used up its tokens for the day.
    ///
    /// ## What it is
    /// A language model's cost and what can be drawn out of it are counted in tokens. What a request asks is estimated before it is sent (four bytes a token); what it cost, as the server counts it, is added afterwards.
    ///
    /// ## Why it matters in care
    /// A runaway script must not use up what the wards need, and copying a model takes many tokens.
    ///
    /// ## Limits
    /// The last reply before the end of the budget may go beyond it. Tokens are counted in memory and begin anew when the gateway restarts.
    ///
    /// ## References
    /// OWASP LLM10:2025 Unbounded Consumption; MITRE ATLAS AML.M0004
    pub static E030 = { id: "E030", name: "tokens-used-up", kind: Refusal, since: "0.1.0", maps: ["CWE-770", "AML.M0004"] };
}
