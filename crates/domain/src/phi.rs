//! Patient data as a type that cannot be printed.

use zeroize::Zeroize;

/// Protected health information. It has no `Debug`, `Display` or `Serialize`, so it cannot reach a log, a
/// metric or an error message by accident; reading it is a call that can be searched for.
///
/// ```compile_fail
/// let phi = domain::Phi::new(vec![63.0_f32]);
/// println!("{phi:?}");
/// ```
/// ```compile_fail
/// fn needs_serialize<T: serde::Serialize>(_: T) {}
/// needs_serialize(domain::Phi::new(vec![63.0_f32]));
/// ```
#[derive(Clone)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Marks `value` as patient data.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Reads the value where it is needed for care: a guard, the model, the answer to the caller.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Takes the value out, for the same purposes.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Changes what is inside without showing it.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Phi<U> {
        Phi(change(self.0))
    }
}

impl<T: Zeroize> Phi<T> {
    /// Overwrites the value with zeros.
    pub fn wipe(&mut self) {
        self.0.zeroize();
    }
}
