//! The proof type: a model sees only `Screened<InferenceRequest>`, a caller sees only `Screened<InferenceReply>`.

use crate::Passed;

/// A value that went through every guard and was not blocked. Only [`GuardSet`](crate::GuardSet) makes one.
///
/// The field is private, so nothing outside this crate can put one together:
/// ```compile_fail
/// let forged = detect::Screened(1);
/// ```
/// ```compile_fail
/// let forged: detect::Screened<u8> = 1_u8.into();
/// ```
/// ```compile_fail
/// let forged = detect::Screened::<u8>::default();
/// ```
pub struct Screened<T>(T);

impl<T> Screened<T> {
    /// Called by the screening functions only: `Passed` is made nowhere else.
    pub(crate) fn new(value: T, _proof: Passed) -> Self {
        Self(value)
    }

    /// Looks at the value.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// Takes the value out; what proves the screening is gone with it.
    pub fn into_inner(self) -> T {
        self.0
    }
}
