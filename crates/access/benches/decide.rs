//! How long the hot path of access takes: a key checked, a decision from memory, a decision made anew.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::expect_used, reason = "a bench ends when its set-up fails")]
#![allow(missing_docs, reason = "main needs none")]

use std::hint::black_box;
use std::time::Instant;

use access::{
    Action, KeyGrant, KeyTable, Policies, Principal, Resource, Role, Scope, SecretBytes, issue_key,
};
use domain::Timestamp;

fn ns_each(what: &str, rounds: u32, mut work: impl FnMut()) {
    let start = Instant::now();
    (0..rounds).for_each(|_| work());
    let total = start.elapsed().as_nanos();
    println!("{what:<42} {:>9} ns", total / u128::from(rounds));
}

fn main() {
    let policies = Policies::shipped().expect("shipped policies");
    let systems: Vec<_> = (0..20).map(|i| format!("system-{i}").parse().expect("a name")).collect();
    let scope = Scope::only(systems).expect("a short list");
    let who = Principal::new("ward-3".parse().expect("a name"), [Role::Client].into(), scope.clone());
    let target = Resource::System("system-7".parse().expect("a name"));
    ns_each("decide, from memory", 1_000_000, || {
        black_box(policies.decide(black_box(&who), Action::Infer, black_box(&target)));
    });
    ns_each("decide, evaluated (20 systems in scope)", 2_000, || {
        black_box(policies.evaluate(black_box(&who), Action::Infer, black_box(&target)));
    });
    let now = Timestamp::from_millis(0);
    let keys: Vec<_> = (0..500_u16)
        .map(|n| {
            let mut random = [7; 32];
            random[..2].copy_from_slice(&n.to_be_bytes());
            let grant = KeyGrant {
                id: format!("key-{n}").parse().expect("a name"),
                client: "ward-3".parse().expect("a name"),
                roles: [Role::Client].into(),
                systems: scope.clone(),
                expires_at: None,
                note: String::new(),
            };
            issue_key(grant, SecretBytes::new(random), now).expect("a key")
        })
        .collect();
    let table = KeyTable::new(keys.iter().map(|(record, _)| record.clone())).expect("a table");
    let presented = keys[321].1.expose();
    ns_each("authenticate, 500 keys", 200_000, || {
        let _ = black_box(table.authenticate_principal(black_box(presented), now));
    });
}
