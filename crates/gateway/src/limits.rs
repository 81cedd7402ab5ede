//! What one request, and all together, may cost.

/// Limits of the gateway. Maxima are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What a body may hold.
    pub wire: oip::Limits,
    /// What a body to or from a language model may hold.
    pub text: openai::Limits,
    /// Tokens of language models that one client may use in a UTC day. Default 2,000,000: a hundred long conversations.
    pub tokens_per_day: u64,
    /// Rows in a batch. Default 1,024: a ward's worth of patients.
    pub rows_max: usize,
    /// Time from arrival to answer, milliseconds. Default 10,000.
    pub exchange_ms_max: u64,
    /// Exchanges open at once. Default 4,096.
    pub open_exchanges_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wire: oip::Limits::default(),
            text: openai::Limits::default(),
            tokens_per_day: 2_000_000,
            rows_max: 1_024,
            exchange_ms_max: 10_000,
            open_exchanges_max: 4_096,
        }
    }
}

/// Most elements of a trial input when a model is taken in.
pub(crate) const TRIAL_ELEMENTS_MAX: usize = 1 << 22;
