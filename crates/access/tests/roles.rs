//! The table of roles and actions in docs/access.md is what the shipped policies decide, cell by cell.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use access::{Action, Policies, Principal, Resource, Role, Scope};

const PAGE: &str = include_str!("../../../docs/access.md");

/// What a cell of the table says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// `–`
    Never,
    /// `own`: the systems in the account's scope.
    Own,
    /// `whole`: only with the scope `all`.
    Whole,
    /// `yes`: whatever the scope.
    Yes,
}

fn rows() -> Vec<(Action, String, Vec<Cell>)> {
    let table =
        PAGE.split("<!-- roles -->").nth(1).expect("docs/access.md has the marker `<!-- roles -->` twice");
    let mut lines = table.lines().filter(|line| line.starts_with('|'));
    let split = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let head = split(lines.next().expect("a head"));
    let roles: Vec<Role> = head[2..].iter().map(|name| name.parse().expect("a role")).collect();
    assert_eq!(roles, Role::ALL);
    lines
        .skip(1)
        .map(|line| {
            let cells = split(line);
            let read = |cell: &String| match cell.as_str() {
                "–" => Cell::Never,
                "own" => Cell::Own,
                "whole" => Cell::Whole,
                "yes" => Cell::Yes,
                other => panic!("`{other}` is not a cell"),
            };
            (cells[0].parse().expect("an action"), cells[1].clone(), cells[2..].iter().map(read).collect())
        })
        .collect()
}

#[test]
fn the_table_in_the_docs_is_what_the_policies_decide() {
    let policies = Policies::shipped().unwrap();
    let scope = |names: &[&str]| Scope::only(names.iter().map(|n| n.parse().unwrap())).unwrap();
    let rows = rows();
    for (action, on, cells) in &rows {
        let target = match on.as_str() {
            "system" => Resource::System("a".parse().unwrap()),
            "client" => Resource::Client("ward-3".parse().unwrap()),
            "hospital" => Resource::Hospital,
            other => panic!("`{other}` is not a resource"),
        };
        for (role, cell) in Role::ALL.into_iter().zip(cells) {
            for (scope, expected) in [
                (Scope::All, *cell != Cell::Never),
                (scope(&["a", "c"]), matches!(cell, Cell::Yes | Cell::Own)),
                (scope(&["b"]), *cell == Cell::Yes),
                (scope(&[]), *cell == Cell::Yes),
            ] {
                let who = Principal::new("x".parse().unwrap(), [role].into(), scope.clone());
                let decision = policies.decide(&who, *action, &target);
                assert!(!decision.failed, "{role} {action} {target}");
                assert_eq!(decision.allowed, expected, "{role} with {scope:?}: {action} on {target}");
                assert!(!decision.allowed || !decision.policies.is_empty(), "a permission names its policy");
            }
        }
    }
    let named: BTreeSet<Action> = rows.iter().map(|(action, ..)| *action).collect();
    assert_eq!(named, Action::ALL.into(), "every action has a row");
}

#[test]
fn what_the_table_leaves_out_is_denied_to_everybody() {
    let policies = Policies::shipped().unwrap();
    let rows = rows();
    for action in Action::ALL {
        for (word, target) in [
            ("system", Resource::System("a".parse().unwrap())),
            ("client", Resource::Client("ward-3".parse().unwrap())),
            ("hospital", Resource::Hospital),
        ] {
            if rows.iter().any(|(a, on, _)| *a == action && on == word) {
                continue;
            }
            for role in Role::ALL {
                let who = Principal::new("x".parse().unwrap(), [role].into(), Scope::All);
                assert!(!policies.decide(&who, action, &target).allowed, "{role} {action} {target}");
            }
        }
    }
}

#[test]
fn an_account_without_a_role_may_only_ask_for_the_servers_health() {
    let policies = Policies::shipped().unwrap();
    let who = Principal::new("x".parse().unwrap(), BTreeSet::new(), Scope::All);
    for action in Action::ALL {
        for target in [Resource::System("a".parse().unwrap()), Resource::Hospital] {
            let expected = action == Action::ReadModel && target == Resource::Hospital;
            assert_eq!(policies.decide(&who, action, &target).allowed, expected, "{action} {target}");
        }
    }
}

#[test]
fn machines_decide_nothing_and_auditors_change_nothing_whatever_else_they_are() {
    let policies = Policies::shipped().unwrap();
    let change = [
        Action::AcknowledgeAlarm,
        Action::QuarantineClient,
        Action::SuspendSystem,
        Action::AdmitSystem,
        Action::AcceptRisk,
        Action::ReloadConfiguration,
        Action::ManageKeys,
        Action::StartRehearsal,
        Action::StartExercise,
    ];
    for barred in [Role::Client, Role::Auditor] {
        let others: BTreeSet<Role> =
            Role::ALL.into_iter().filter(|r| ![Role::Client, Role::Auditor].contains(r)).collect();
        let free = Principal::new("x".parse().unwrap(), others.clone(), Scope::All);
        let bound =
            Principal::new("x".parse().unwrap(), others.into_iter().chain([barred]).collect(), Scope::All);
        for action in change {
            let targets = [
                Resource::System("a".parse().unwrap()),
                Resource::Client("c".parse().unwrap()),
                Resource::Hospital,
            ];
            assert!(targets.iter().any(|t| policies.decide(&free, action, t).allowed), "{action}");
            assert!(targets.iter().all(|t| !policies.decide(&bound, action, t).allowed), "{barred} {action}");
        }
    }
}
