//! The policies: Cedar text, checked against the schema when loaded, and the decision made from them.
//!
//! What no policy permits is denied. An error while deciding denies, also when a `permit` applied beside it: Cedar itself skips
//! a policy that fails, and a skipped `forbid` would be a hole. Every decision carries the ids of the policies that made it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet,
    Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use domain::Digest;
use miette::Diagnostic;

use crate::{Action, Principal, Resource, Scope};

/// The policies as shipped, `catalog/policies.cedar`.
pub const SHIPPED_POLICIES: &str = include_str!("../../../catalog/policies.cedar");

/// What policies can speak about, `catalog/policies.cedarschema`.
pub const SHIPPED_SCHEMA: &str = include_str!("../../../catalog/policies.cedarschema");

/// Largest policy file, in bytes. The shipped one has 8 KiB.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;

/// Most policies in a file.
pub const POLICIES_MAX: usize = 1_000;

/// Deepest nesting of brackets, so that a file of brackets cannot exhaust the parser's stack.
pub const NESTING_MAX: usize = 64;

/// Longest policy without its comments, in bytes: operators and member accesses nest without brackets.
const POLICY_TEXT_BYTES_MAX: usize = 16 * 1024;

/// Most decisions remembered at once.
pub const DECISIONS_CACHED_MAX: usize = 16 * 1_024;

/// Independent parts of the memory, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// What was decided, and by which policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be done.
    pub allowed: bool,
    /// Ids of the policies that decided: the permits, or the forbids. Empty when no policy applied.
    pub policies: Arc<[String]>,
    /// True when deciding failed; then `allowed` is false.
    pub failed: bool,
}

/// Why policies cannot be used. Whoever wrote the file is to correct it; nothing of it is in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A long file.
    #[error(
        "the policy file has {bytes} bytes, at most 262144 are read: split roles instead of listing accounts"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Many policies.
    #[error(
        "the policy file has {count} policies, at most 1000 are used: join those that differ only in a name"
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Deep brackets.
    #[error("line {line}: brackets nest more than 64 deep: simplify the policy")]
    TooDeep {
        /// Where the limit is passed.
        line: usize,
    },
    /// One long policy.
    #[error("line {line}: the policy is longer than 16384 bytes: split it")]
    TooLong {
        /// Where it begins.
        line: usize,
    },
    /// Nothing in it.
    #[error(
        "the policy file has no policy, so everything would be denied: start from the shipped catalog/policies.cedar"
    )]
    Empty,
    /// Not Cedar.
    #[error("line {line}: {message}: see https://docs.cedarpolicy.com for the language")]
    Syntax {
        /// Where.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Cedar, but about roles, actions or attributes that do not exist.
    #[error("line {line}: {message}: the names are in catalog/policies.cedarschema")]
    Invalid {
        /// Where.
        line: usize,
        /// What the validator says.
        message: String,
    },
    /// Two policies of one id.
    #[error(
        "line {line}: the policy id `{id}` is used twice: ids name policies in the ledger, so each is used once"
    )]
    DuplicateId {
        /// The id.
        id: String,
        /// Where the second one is.
        line: usize,
    },
    /// A template.
    #[error(
        "templates are not used here, their slots would stay empty: write a policy with `permit` or `forbid`"
    )]
    Template,
    /// The shipped schema itself; only a build of changed sources can meet this.
    #[error("the policy schema cannot be read: {0}")]
    Schema(String),
}

/// Cedar's names for our things, read once.
#[derive(Debug)]
struct Names {
    account: EntityTypeName,
    role: EntityTypeName,
    system: EntityTypeName,
    client: EntityTypeName,
    hospital: EntityTypeName,
    action: EntityTypeName,
}

/// One part of the memory: the decisions for some principals.
type Shard = Mutex<BTreeMap<(Digest, Action, Resource), Decision>>;

/// Policies in force.
#[derive(Debug)]
pub struct Policies {
    set: PolicySet,
    schema: Schema,
    names: Names,
    digest: Digest,
    warnings: Vec<String>,
    shards: Box<[Shard]>,
}

impl Policies {
    /// The policies as shipped.
    ///
    /// # Errors
    /// Never for a released build; a test loads them.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::load(SHIPPED_POLICIES)
    }

    /// Reads and checks a policy file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn load(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge { bytes: text.len() });
        }
        check_depth(text)?;
        let parsed: PolicySet = text.parse().map_err(|e| syntax_error(text, &e))?;
        if parsed.templates().next().is_some() {
            return Err(PolicyError::Template);
        }
        let set = name_policies(text, &parsed)?;
        let (schema, _) = Schema::from_cedarschema_str(SHIPPED_SCHEMA)
            .map_err(|e| PolicyError::Schema(one_line(&e.to_string())))?;
        let validator = Validator::new(schema.clone());
        let result = validator.validate(&set, ValidationMode::Strict);
        if let Some(error) = result.validation_errors().min_by_key(|e| line_of(text, *e)) {
            return Err(PolicyError::Invalid { line: line_of(text, error), message: message_of(error) });
        }
        let warnings = result
            .validation_warnings()
            .map(|w| format!("line {}: {}", line_of(text, w), message_of(w)))
            .collect();
        Ok(Self {
            set,
            schema,
            names: Names::read().map_err(PolicyError::Schema)?,
            digest: Digest::of(text.as_bytes()),
            warnings,
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
        })
    }

    /// Digest of the text: which policies were in force.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What is odd but not wrong, for example a policy that can never apply.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Ids of all policies, in order.
    pub fn ids(&self) -> BTreeSet<String> {
        self.set.policies().map(|p| p.id().to_string()).collect()
    }

    /// Whether `principal` may do `action` on `resource`. The same question is answered from memory the second time; the
    /// memory belongs to these policies, so loading others starts an empty one.
    pub fn decide(&self, principal: &Principal, action: Action, resource: &Resource) -> Decision {
        let key = (*principal.digest(), action, resource.clone());
        let shard = self.shards.get(usize::from(principal.digest().as_bytes()[0]) % SHARDS);
        if let Some(shard) = shard
            && let Some(known) = shard.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
        {
            return known.clone();
        }
        let decision = self.evaluate(principal, action, resource);
        if let Some(shard) = shard {
            let mut known = shard.lock().unwrap_or_else(PoisonError::into_inner);
            // Clearing is cruder than evicting the oldest, and costs nothing on the common path; one evaluation is 0.1 ms.
            if known.len() >= DECISIONS_CACHED_MAX / SHARDS {
                known.clear();
            }
            known.insert(key, decision.clone());
        }
        decision
    }

    /// How many decisions are remembered now.
    pub fn cached(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Decides without the memory.
    pub fn evaluate(&self, principal: &Principal, action: Action, resource: &Resource) -> Decision {
        let failed = Decision { allowed: false, policies: Arc::from([]), failed: true };
        let Some((request, entities)) = self.question(principal, action, resource) else {
            // The schema has no such question (`infer` on a client): nobody may do what makes no sense.
            return failed;
        };
        let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
        let mut policies: Vec<String> =
            response.diagnostics().reason().map(std::string::ToString::to_string).collect();
        policies.sort_unstable();
        if response.diagnostics().errors().next().is_some() {
            return Decision { policies: policies.into(), ..failed };
        }
        let allowed = response.decision() == cedar_policy::Decision::Allow;
        Decision { allowed, policies: policies.into(), failed: false }
    }

    fn question(
        &self,
        principal: &Principal,
        action: Action,
        resource: &Resource,
    ) -> Option<(Request, Entities)> {
        let names = &self.names;
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let hospital = uid(&names.hospital, "hospital");
        let account = uid(&names.account, principal.id().as_str());
        let target = match resource {
            Resource::System(id) => uid(&names.system, id.as_str()),
            Resource::Client(id) => uid(&names.client, id.as_str()),
            Resource::Hospital => hospital.clone(),
        };
        let systems: Vec<EntityUid> = match principal.scope() {
            Scope::All => Vec::new(),
            Scope::Only(only) => only.iter().map(|s| uid(&names.system, s.as_str())).collect(),
        };
        let everywhere = RestrictedExpression::new_bool(principal.scope() == &Scope::All);
        let systems =
            RestrictedExpression::new_set(systems.into_iter().map(RestrictedExpression::new_entity_uid));
        let attributes =
            HashMap::from([("everywhere".to_owned(), everywhere), ("systems".to_owned(), systems)]);
        let roles: HashSet<EntityUid> =
            principal.roles().iter().map(|role| uid(&names.role, role.as_str())).collect();
        let mut entities = vec![Entity::new(account.clone(), attributes, roles).ok()?];
        if target != hospital {
            entities.push(Entity::new_no_attrs(target.clone(), HashSet::from([hospital.clone()])));
        }
        entities.push(Entity::with_uid(hospital));
        // With the schema given, Cedar checks the entities against it and adds the groups of actions.
        let entities = Entities::from_entities(entities, Some(&self.schema)).ok()?;
        let action = uid(&names.action, action.as_str());
        let request = Request::new(account, action, target, Context::empty(), Some(&self.schema)).ok()?;
        Some((request, entities))
    }
}

impl Names {
    fn read() -> Result<Self, String> {
        let name = |text: &str| text.parse::<EntityTypeName>().map_err(|e| one_line(&e.to_string()));
        Ok(Self {
            account: name("Asepsis::Account")?,
            role: name("Asepsis::Role")?,
            system: name("Asepsis::System")?,
            client: name("Asepsis::Client")?,
            hospital: name("Asepsis::Hospital")?,
            action: name("Asepsis::Action")?,
        })
    }
}

/// Gives each policy its `@id` as id, so that decisions name it; without one it keeps Cedar's `policy0`, `policy1`, ….
fn name_policies(text: &str, parsed: &PolicySet) -> Result<PolicySet, PolicyError> {
    let count = parsed.num_of_policies();
    if count == 0 {
        return Err(PolicyError::Empty);
    }
    if count > POLICIES_MAX {
        return Err(PolicyError::TooMany { count });
    }
    let mut set = PolicySet::new();
    let mut seen = BTreeSet::new();
    for policy in parsed.policies() {
        let id = policy.annotation("id").filter(|id| !id.is_empty()).map_or_else(
            || policy.id().to_string(),
            |id| id.chars().filter(|c| !c.is_control()).take(80).collect(),
        );
        if !seen.insert(id.clone()) {
            return Err(PolicyError::DuplicateId { line: line_of_second(text, &id), id });
        }
        add(&mut set, policy.new_id(PolicyId::new(&id)))?;
    }
    Ok(set)
}

fn add(set: &mut PolicySet, policy: Policy) -> Result<(), PolicyError> {
    set.add(policy).map_err(|e| PolicyError::Syntax { line: 1, message: one_line(&e.to_string()) })
}

/// Refuses text whose brackets nest deeper than [`NESTING_MAX`], or with a policy longer than [`POLICY_TEXT_BYTES_MAX`]:
/// the parser recurses, and so does dropping what it built. Strings and comments are skipped.
fn check_depth(text: &str) -> Result<(), PolicyError> {
    let (mut depth, mut line, mut length, mut start_line) = (0_usize, 1_usize, 0_usize, 1_usize);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        length += 1;
        match byte {
            b'\n' => line += 1,
            b'/' if bytes.peek() == Some(&b'/') => while bytes.next_if(|next| *next != b'\n').is_some() {},
            b'"' => {
                while let Some(inner) = bytes.next_if(|next| *next != b'"') {
                    (length, line) = (length + 1, line + usize::from(inner == b'\n'));
                    if inner == b'\\' {
                        bytes.next();
                    }
                }
                bytes.next();
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b';' => (length, start_line) = (0, line),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(PolicyError::TooDeep { line });
        }
        if length > POLICY_TEXT_BYTES_MAX {
            return Err(PolicyError::TooLong { line: start_line });
        }
    }
    Ok(())
}

/// The first thing that the parser found wrong.
fn syntax_error(text: &str, errors: &cedar_policy::ParseErrors) -> PolicyError {
    let first = errors.iter().min_by_key(|e| line_of(text, *e));
    first.map_or_else(
        || PolicyError::Syntax { line: 1, message: one_line(&errors.to_string()) },
        |e| PolicyError::Syntax { line: line_of(text, e), message: message_of(e) },
    )
}

/// The line, counted from 1, that an error points at; 1 when it points nowhere.
fn line_of(text: &str, error: &dyn Diagnostic) -> usize {
    let offset = error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

/// The line of the second policy with this `@id`; the last line when it is written in another way.
fn line_of_second(text: &str, id: &str) -> usize {
    let wanted = format!("@id(\"{id}\")");
    let lines = text.lines().enumerate().filter(|(_, line)| line.replace(' ', "").contains(&wanted));
    lines.map(|(n, _)| n + 1).nth(1).unwrap_or_else(|| text.lines().count())
}

/// What an error says, with what it points at and its advice, in one bounded line.
fn message_of(error: &dyn Diagnostic) -> String {
    let mut message = one_line(&error.to_string());
    let label = error.labels().and_then(|mut l| l.next()).and_then(|l| l.label().map(one_line));
    for more in label.into_iter().chain(error.help().map(|h| one_line(&h.to_string()))) {
        message.push_str(", ");
        message.push_str(&more);
    }
    message.chars().take(400).collect()
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Role;

    fn account(roles: &[Role], scope: Scope) -> Principal {
        Principal::new("someone".parse().unwrap(), roles.iter().copied().collect(), scope)
    }

    fn system(name: &str) -> Resource {
        Resource::System(name.parse().unwrap())
    }

    fn check_error(text: &str, expected: &str) {
        let error = Policies::load(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\n  does not contain {expected}");
        assert!(!error.contains('\n'), "one line: {error}");
    }

    #[test]
    fn the_shipped_policies_load_without_a_warning() {
        let policies = Policies::shipped().unwrap();
        assert_eq!(policies.warnings(), Vec::<String>::new());
        assert!(policies.ids().iter().all(|id| !id.starts_with("policy")), "each has an @id");
    }

    #[test]
    fn a_decision_names_its_policies() {
        let policies = Policies::shipped().unwrap();
        let who = account(&[Role::Client], Scope::only(["a".parse().unwrap()]).unwrap());
        let yes = policies.decide(&who, Action::Infer, &system("a"));
        assert_eq!((yes.allowed, &yes.policies[..]), (true, &["client-asks-its-systems".to_owned()][..]));
        let no = policies.decide(&who, Action::Infer, &system("b"));
        assert_eq!((no.allowed, no.failed, no.policies.len()), (false, false, 0));
        let machine = account(&[Role::Client, Role::Governance], Scope::All);
        let forbidden = policies.decide(&machine, Action::AcceptRisk, &system("a"));
        assert_eq!(
            (forbidden.allowed, &forbidden.policies[..]),
            (false, &["machines-decide-nothing".to_owned()][..])
        );
    }

    #[test]
    fn a_question_that_makes_no_sense_is_denied() {
        let policies = Policies::load("permit (principal, action, resource);").unwrap();
        let who = account(&Role::ALL, Scope::All);
        assert!(policies.decide(&who, Action::Infer, &system("a")).allowed);
        for (action, resource) in [
            (Action::Infer, Resource::Hospital),
            (Action::Infer, Resource::Client("c".parse().unwrap())),
            (Action::QuarantineClient, system("a")),
        ] {
            let decision = policies.decide(&who, action, &resource);
            assert_eq!((decision.allowed, decision.failed), (false, true), "{action} on {resource}");
        }
    }

    #[test]
    fn an_error_while_deciding_is_a_denial() {
        // Overflow is the one error that validation cannot exclude.
        let text = "permit (principal, action, resource);
            forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };";
        let policies = Policies::load(text).unwrap();
        let decision = policies.decide(&account(&[Role::Client], Scope::All), Action::Infer, &system("a"));
        assert_eq!((decision.allowed, decision.failed), (false, true));
    }

    #[test]
    fn wrong_files_are_refused_with_their_line() {
        let good = "permit (principal, action, resource);\n";
        check_error("", "no policy");
        check_error("// only a comment\n", "no policy");
        check_error(&format!("{good}permit (principal, action"), "line 2");
        check_error(&format!("{good}\npermit (principal, action, resource) whn {{ true }};"), "line 3");
        let role = "permit (\n principal in Asepsis::Role::\"clinican\", action, resource);";
        check_error(&format!("{good}{role}"), "line 3");
        check_error(&format!("{good}{role}"), "clinican");
        let action = "permit (principal, action == Asepsis::Action::\"infr\", resource);";
        check_error(&format!("{good}{action}"), "line 2");
        let attribute = "permit (principal, action, resource) when { principal.wards == 1 };";
        check_error(&format!("{good}{attribute}"), "wards");
        check_error("permit (principal == ?principal, action, resource);", "template");
        let twice = "@id(\"a\")\npermit (principal, action, resource);\n";
        check_error(&twice.repeat(2), "line 3: the policy id `a` is used twice");
    }

    #[test]
    fn files_are_bounded() {
        let policy = "permit (principal, action, resource);\n";
        let many = |n: usize| policy.repeat(n);
        assert!(Policies::load(&many(POLICIES_MAX)).is_ok());
        assert_eq!(
            Policies::load(&many(POLICIES_MAX + 1)).unwrap_err(),
            PolicyError::TooMany { count: POLICIES_MAX + 1 }
        );
        let padded = |bytes: usize| format!("{policy}//{}", " ".repeat(bytes - policy.len() - 2));
        assert!(Policies::load(&padded(POLICY_BYTES_MAX)).is_ok());
        assert!(matches!(Policies::load(&padded(POLICY_BYTES_MAX + 1)), Err(PolicyError::TooLarge { .. })));
        let nested = |depth: usize| {
            let (open, close) = ("(".repeat(depth - 1), ")".repeat(depth - 1));
            format!("permit (principal, action, resource) when {{ {open}true{close} }};")
        };
        assert!(Policies::load(&nested(NESTING_MAX)).is_ok());
        assert_eq!(Policies::load(&nested(NESTING_MAX + 1)).unwrap_err(), PolicyError::TooDeep { line: 1 });
        // Brackets in strings and comments do not count.
        let brackets = "(".repeat(NESTING_MAX + 9);
        assert!(Policies::load(&format!("// {brackets}\n@id(\"{brackets}\")\n{policy}")).is_ok());
    }

    #[test]
    fn long_chains_without_brackets_do_not_exhaust_the_stack() {
        let when = |body: &str| format!("permit (principal, action, resource) when {{ {body} }};");
        for body in [
            format!("true{}", " && true".repeat(2_000)),
            format!("1{} == 1", " + 1".repeat(4_000)),
            format!("{}true", "if true then true else ".repeat(700)),
            format!("{}true", "!".repeat(10_000)),
            format!("principal{}", ".a".repeat(8_000)),
        ] {
            let _ = Policies::load(&when(&body));
        }
        assert!(matches!(
            Policies::load(&when(&format!("true{}", " && true".repeat(3_000)))),
            Err(PolicyError::TooLong { line: 1 })
        ));
    }

    #[test]
    fn the_memory_is_bounded_and_answers_like_the_policies() {
        let policies = Policies::shipped().unwrap();
        let who = account(&[Role::Client], Scope::only(["s7".parse().unwrap()]).unwrap());
        let per_shard = DECISIONS_CACHED_MAX / SHARDS;
        for n in 0..per_shard {
            let _ = policies.decide(&who, Action::Infer, &system(&format!("s{n}")));
        }
        assert_eq!(policies.cached(), per_shard, "one principal fills one shard");
        let again = policies.decide(&who, Action::Infer, &system("s7"));
        assert_eq!(again, policies.evaluate(&who, Action::Infer, &system("s7")));
        let _ = policies.decide(&who, Action::Infer, &system("one-more"));
        assert_eq!(policies.cached(), 1);
    }

    #[test]
    fn accounts_of_one_name_and_different_roles_do_not_share_decisions() {
        let policies = Policies::shipped().unwrap();
        let engineer = account(&[Role::Engineer], Scope::All);
        let auditor = account(&[Role::Auditor], Scope::All);
        assert!(policies.decide(&engineer, Action::AdmitSystem, &system("a")).allowed);
        assert!(!policies.decide(&auditor, Action::AdmitSystem, &system("a")).allowed);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC{0,300}") {
            let _ = Policies::load(&text);
        }

        #[test]
        fn shuffled_pieces_of_cedar_are_answered_without_panic(
            pieces in proptest::collection::vec(prop_oneof![
                Just("permit"), Just("forbid"), Just("("), Just(")"), Just("{"), Just("}"), Just("["), Just("]"),
                Just("principal"), Just("action"), Just("resource"), Just(","), Just(";"), Just("when"), Just("=="),
                Just("in"), Just("is"), Just("Asepsis::Role::\"client\""), Just("Asepsis::System"), Just("@id(\"a\")"),
                Just("\""), Just("\\"), Just("//"), Just("\n"), Just("has"), Just("like"), Just("-"), Just("1"),
            ], 0..60),
        ) {
            let _ = Policies::load(&pieces.join(" "));
        }

        #[test]
        fn a_changed_byte_in_the_shipped_file_never_panics(at in 0..SHIPPED_POLICIES.len(), byte in 0_u8..128) {
            let mut bytes = SHIPPED_POLICIES.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = Policies::load(&text);
            }
        }
    }
}
