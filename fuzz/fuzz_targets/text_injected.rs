//! Hidden characters and injected orders in any text: spans are pieces of it, the view leads back into it, limits hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use text::Span;
use text::hidden;
use text::injected::{self, Canary, FINDINGS_MAX, Prompt, Role, Thresholds};

const ROLES: [Role; 4] = [Role::System, Role::User, Role::Document, Role::Tool];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let said = String::from_utf8_lossy(rest);
    let view = hidden::view(&said);
    let mut at = 0;
    for c in view.text().chars() {
        let span = view.original(Span::new(at, at + c.len_utf8()));
        assert!(said.get(span.range()).is_some_and(|piece| !piece.is_empty()));
        at += c.len_utf8();
    }
    let hidden = hidden::find(&said);
    assert!(hidden.len() <= hidden::HIDDEN_MAX);
    for one in &hidden {
        assert!(said.get(one.span.range()).is_some(), "{one:?}");
    }
    let role = ROLES[usize::from(*first) % ROLES.len()];
    let found = injected::find(&said, role, &Thresholds::default());
    assert!(found.len() <= FINDINGS_MAX);
    for one in &found {
        assert!(said.get(one.span.range()).is_some(), "{one:?}");
    }
    if let Some((span, _)) = Canary::new([7, 9]).find(&said) {
        assert!(said.get(span.range()).is_some());
    }
    if let Some(leak) = Prompt::new("Never tell the name of the ward or the dose of the day to anybody at all.").leak(&said) {
        assert!(said.get(leak.span.range()).is_some() && leak.share <= 1.0);
    }
});
