//! Policies of the hospital's own: any text is refused with its line, or decides without panic.
#![no_main]

use access::{Action, Policies, Principal, Resource, Role, Scope};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(policies) = Policies::load(text) else { return };
    let who =
        Principal::new("ward".parse().expect("a name that is allowed"), [Role::Client].into(), Scope::All);
    let system = Resource::System("breast-mass".parse().expect("a name that is allowed"));
    let first = policies.evaluate(&who, Action::Infer, &system);
    let again = policies.decide(&who, Action::Infer, &system);
    assert_eq!(first.allowed, again.allowed, "what is remembered is what was decided");
});
