//! Judges what the machine would do: each call, each state given, each import, and the size of the whole.

mod amount;
mod change;
mod weigh;

use std::collections::BTreeSet;

use domain::{Entry, Severity};

use super::fold;
use super::heap::{Heap, Kind, Node, Val, View};
use super::know::{Basis, Effect, canonical};
use super::{looks, rules, show, size};
use crate::Source;

/// Something that was seen.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) rule: &'static Entry,
    pub(super) severity: Severity,
    pub(super) at: u64,
    pub(super) message: String,
}

/// Most things kept of one stream.
const SEEN_MAX: usize = 64;
/// Most constants that are looked into.
const CARRIED_MAX: usize = 64;
/// Most bytes of constants that are searched for an import somewhere inside.
const SEARCHED_BYTES_MAX: usize = 8 << 20;
/// Calls inside calls (`partial` of `map` of …) that are looked through.
const LEVELS_MAX: u32 = 6;
/// Largest amount that a call may make, in elements or bytes.
const AMOUNT_MAX: u128 = 1 << 28;
/// Longest line of digits that is turned into a number quickly enough.
const DIGITS_MAX: u64 = 200_000;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Judge {
    pub(super) seen: Vec<Seen>,
    /// Positions of the opcodes of constants that begin like something of their own.
    pub(super) carried: Vec<u64>,
    /// Bytes constants that are searched for a pickle somewhere inside: positions of opcodes.
    pub(super) searched: Vec<u64>,
    searched_bytes: usize,
    /// Constants that are loaded as files of their own (PyTorch storages).
    pub(super) loaded: Vec<Val>,
    /// What could not be followed.
    pub(super) unread: Vec<(u64, String)>,
    /// Bytes to leave out after the `BUILD` that was just done.
    pub(super) skip: Option<u64>,
    /// What a finding was made of already, so that a thousand equal calls are one.
    told: BTreeSet<(&'static str, u64)>,
}

impl Judge {
    fn see(&mut self, rule: &'static Entry, severity: Severity, at: u64, message: String) {
        if self.seen.len() < SEEN_MAX {
            self.seen.push(Seen { rule, severity, at, message });
        }
    }

    /// As [`Judge::see`], once for each rule and subject.
    fn see_once(
        &mut self,
        subject: u64,
        rule: &'static Entry,
        severity: Severity,
        at: u64,
        message: impl Fn() -> String,
    ) {
        if self.seen.len() < SEEN_MAX && self.told.insert((rule.id, subject)) {
            self.see(rule, severity, at, message());
        }
    }

    /// Whether anything was seen that makes the file `found`.
    pub(super) fn found(&self) -> bool {
        self.seen.iter().any(|s| s.severity >= Severity::Medium)
    }

    /// Whether anything was seen that would act: not only lengths that no file has, which any bytes may seem to claim.
    pub(super) fn acts(&self) -> bool {
        self.seen.iter().any(|s| s.severity >= Severity::Medium && s.rule.id != rules::UNFOLDS_HUGE.id)
    }

    /// `callee(*args)`, or `callee.__new__(callee, *args)` when `new`.
    pub(super) fn called(
        &mut self,
        heap: &mut Heap,
        source: &dyn Source,
        callee: Val,
        args: Val,
        new: bool,
        at: u64,
    ) {
        let call = Call { callee, args, new, at };
        match callee.as_global() {
            Some(index) => {
                if self.global(heap, source, &call, index, 0)
                    && let Some(global) = heap.globals.get_mut(index)
                {
                    global.reported = true;
                }
            }
            None => self.computed(heap, source, &call, 0),
        }
    }

    /// A call of something that is no import. Tells what it comes down to, where that can be told.
    fn computed(&mut self, heap: &mut Heap, source: &dyn Source, call: &Call, level: u32) {
        let callee = match heap.view(call.callee) {
            View::Node(node)
                if matches!(node.kind, Kind::Call | Kind::Attribute | Kind::New | Kind::Persistent) =>
            {
                Some(node.clone())
            }
            View::Unseen => None,
            // A constant or container: the call only fails.
            _ => return,
        };
        if callee.as_ref().is_some_and(|node| makes_new(heap, node)) {
            return;
        }
        let message = || format!("the pickle calls what an earlier call gave: `{}`", call.show(heap, source));
        let subject = callee.as_ref().map_or(0, |n| n.head.as_global().map_or(0, |g| g as u64 + 1));
        self.see_once(subject, &rules::CALLS_COMPUTED, Severity::High, call.at, message);
        let Some(node) = callee.filter(|_| level < LEVELS_MAX) else { return };
        // functools.partial(f, a)(b) and operator.methodcaller("name", b)(object): what is called in truth.
        let Some(maker) = node.head.as_global().and_then(|g| heap.globals.get(g)) else { return };
        let (_, maker) = canonical(&maker.module, &maker.name);
        let kids = heap.kids(&node).to_vec();
        if let ("partial", [function, first @ ..]) = (maker, kids.as_slice()) {
            let mut args = first.to_vec();
            args.extend(heap.items(call.args).unwrap_or_default());
            self.inner(heap, source, *function, &args, call.at, level);
        }
    }

    /// Judges a call that another call makes.
    fn inner(
        &mut self,
        heap: &mut Heap,
        source: &dyn Source,
        callee: Val,
        args: &[Val],
        at: u64,
        level: u32,
    ) {
        let args = heap.node(Kind::Tuple, Val::ABSENT, args);
        let call = Call { callee, args, new: false, at };
        match callee.as_global() {
            Some(index) => {
                if self.global(heap, source, &call, index, level + 1)
                    && let Some(global) = heap.globals.get_mut(index)
                {
                    global.reported = true;
                }
            }
            None => self.computed(heap, source, &call, level + 1),
        }
    }

    /// A call of something imported. Returns whether the call says all there is to say of the import.
    fn global(
        &mut self,
        heap: &mut Heap,
        source: &dyn Source,
        call: &Call,
        index: usize,
        level: u32,
    ) -> bool {
        let Some(global) = heap.globals.get(index).cloned() else { return false };
        let known = global.known;
        let subject = index as u64;
        let (module, name) = canonical(&global.module, &global.name);
        match known.effect {
            Effect::Reaches => return self.reaches(heap, source, call, &global, subject),
            Effect::Calls => {
                self.consumes(heap, source, call, name, subject);
                self.calls(heap, source, call, name, level);
            }
            Effect::Allocates => {
                self.consumes(heap, source, call, name, subject);
                self.allocates(heap, source, call, name, subject);
            }
            Effect::Class if module == "builtins" && name == "type" => {
                if heap.items(call.args).is_none_or(|items| items.len() > 1) {
                    let message = || format!("the pickle makes a class: `{}`", call.show(heap, source));
                    self.see_once(subject, &rules::REACHES_NAMES, Severity::High, call.at, message);
                }
            }
            Effect::Rebuilds => {
                self.vouched(heap, source, call, &global, subject);
                self.rebuilds(heap, source, call, name, level);
            }
            Effect::Opens => {
                if !call.new && looks::suspicious(heap, source, call.args, 2).is_some() {
                    let message = || {
                        format!("the pickle opens something when it is loaded: `{}`", call.show(heap, source))
                    };
                    self.see_once(subject, &rules::READS_FILES, Severity::Medium, call.at, message);
                }
            }
            Effect::Pure | Effect::Class => {
                if matches!(module, "re" | "regex") {
                    self.matches(heap, source, call, name, subject);
                }
                let last = name.rsplit('.').next().unwrap_or(name);
                if matches!(last, "__pow__" | "__rpow__" | "__mul__" | "__lshift__") {
                    self.allocates(heap, source, call, name, subject);
                }
                self.consumes(heap, source, call, name, subject);
                self.vouched(heap, source, call, &global, subject);
            }
            effect if effect.dangerous() => return self.dangerous(heap, source, call, &global, subject),
            _ => self.unknown(heap, source, call, &global, subject),
        }
        true
    }

    /// `map`, `functools.partial`, `itertools.starmap`: what they are given is judged as if it were called.
    fn calls(&mut self, heap: &mut Heap, source: &dyn Source, call: &Call, name: &str, level: u32) {
        let Some(items) = heap.items(call.args).map(<[Val]>::to_vec) else { return };
        let made_only = matches!(
            name,
            "partial" | "partialmethod" | "MethodType" | "_lru_cache_wrapper" | "attrgetter" | "methodcaller"
        );
        for (i, item) in items.iter().enumerate() {
            let Some(index) = item.as_global() else {
                if let Some(attribute) = fold::text(heap, source, *item).filter(|_| name.ends_with("er"))
                    && attribute.split('.').any(|part| part.starts_with("__"))
                {
                    let message = format!("the pickle looks up by name: `{}`", call.show(heap, source));
                    self.see(&rules::REACHES_NAMES, Severity::High, call.at, message);
                }
                // `map` of a bound method.
                if i == 0 && !made_only && level < LEVELS_MAX {
                    self.inner(heap, source, *item, items.get(1..).unwrap_or_default(), call.at, level);
                }
                continue;
            };
            let effect = heap.globals.get(index).map_or(Effect::Unknown, |g| g.known.effect);
            let harmless =
                matches!(effect, Effect::Class | Effect::Pure | Effect::Rebuilds | Effect::Allocates);
            if level >= LEVELS_MAX || harmless || (made_only && !effect.dangerous()) {
                continue;
            }
            let others: Vec<Val> =
                items.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| *v).collect();
            self.inner(heap, source, *item, &others, call.at, level);
        }
    }

    /// A reconstructing function. Some of them call a function that they are given.
    fn rebuilds(&mut self, heap: &mut Heap, source: &dyn Source, call: &Call, name: &str, level: u32) {
        let items = heap.items(call.args).map(<[Val]>::to_vec).unwrap_or_default();
        if name.ends_with("_load_from_bytes") {
            self.loaded.extend(items.first());
        }
        if name.contains("_rebuild_from_type")
            && let [function, _, args, ..] = items.as_slice()
            && level < LEVELS_MAX
        {
            let args = heap.items(*args).map(<[Val]>::to_vec).unwrap_or_default();
            self.inner(heap, source, *function, &args, call.at, level);
        }
    }

    /// `STACK_GLOBAL` with names that cannot be told.
    pub(super) fn computed_import(
        &mut self,
        heap: &Heap,
        source: &dyn Source,
        module: Val,
        name: Val,
        at: u64,
    ) {
        let written =
            |v: Val| matches!(heap.view(v), View::Int(_) | View::None | View::Bool(_) | View::Float(_));
        if written(module) || written(name) {
            self.unread.push((at, "the name of an import is no text".to_owned()));
            return;
        }
        let (module, name) = (show::value(heap, source, module), show::value(heap, source, name));
        let message =
            format!("the pickle computes the name of what it imports: module `{module}`, name `{name}`");
        self.see(&rules::COMPUTES_NAME, Severity::High, at, message);
    }

    /// An extension code that nothing in the pickle registered.
    pub(super) fn unregistered(&mut self, at: u64, code: i64) {
        self.incomplete(
            at,
            &format!("extension code {code} stands for something that the file does not say"),
        );
    }

    /// Something that could not be followed.
    pub(super) fn incomplete(&mut self, at: u64, reason: &str) {
        if self.unread.len() < SEEN_MAX {
            self.unread.push((at, reason.to_owned()));
        }
    }

    /// A length that the file cannot hold.
    pub(super) fn claims(&mut self, at: u64, length: u64) {
        let message = format!(
            "the pickle claims {length} bytes, which it does not have; a loader allocates them first"
        );
        self.see_once(at, &rules::UNFOLDS_HUGE, Severity::Medium, at, || message.clone());
    }

    /// A memo index far beyond the file.
    pub(super) fn memo_index(&mut self, at: u64, index: u64) {
        let message = format!("the pickle writes memo index {index}; a loader allocates room for all below");
        self.see_once(at, &rules::UNFOLDS_HUGE, Severity::Medium, at, || message.clone());
    }

    /// A number written in decimal digits.
    pub(super) fn digits(&mut self, at: u64, digits: u64) {
        if digits > DIGITS_MAX {
            let message =
                format!("a number of {digits} decimal digits, which takes a loader very long to read");
            self.see_once(at, &rules::UNFOLDS_HUGE, Severity::Medium, at, || message.clone());
        }
    }

    /// A bytes constant: kept for later when it begins like something of its own.
    #[inline]
    pub(super) fn bytes_constant(&mut self, at: u64, inside: &[u8]) {
        if self.carried.len() < CARRIED_MAX && (looks::packed(inside) || looks::encoded(inside)) {
            self.carried.push(at);
        } else if self.searched_bytes < SEARCHED_BYTES_MAX && looks::holds_import(inside) {
            self.searched_bytes += inside.len();
            self.searched.push(at);
        }
    }

    /// A text constant: kept for later when it begins like an encoded pickle.
    #[inline]
    pub(super) fn text_constant(&mut self, at: u64, inside: &[u8]) {
        if self.carried.len() < CARRIED_MAX && looks::encoded(inside) {
            self.carried.push(at);
        }
    }

    /// What is known only at the end: imports that were not called, computed names, and the size of the whole.
    pub(super) fn finish(&mut self, heap: &mut Heap, begin: u64, end: u64) {
        for (index, global) in heap.globals.iter().enumerate() {
            let (module, name) = canonical(&global.module, &global.name);
            if global.computed && !name.is_empty() {
                let message =
                    || format!("the pickle computes the name of what it imports: `{module}.{name}`");
                self.see_once(index as u64, &rules::COMPUTES_NAME, Severity::High, global.at, message);
            }
            let known = global.known;
            let sure = known.basis == Basis::Table
                || (known.basis == Basis::Family && known.effect == Effect::Executes && !known.science);
            if !global.reported && sure && known.effect.dangerous() {
                let (rule, what) = of_effect(known.effect);
                let message = || format!("the pickle refers to `{module}.{name}`, which {what}");
                self.see_once(index as u64, rule, Severity::Medium, global.at, message);
            }
        }
        let size = size::measure(heap);
        if let Some(message) = size.too_much(end.saturating_sub(begin)) {
            self.see(&rules::UNFOLDS_HUGE, Severity::High, begin, message);
        }
    }
}

/// One call.
struct Call {
    callee: Val,
    args: Val,
    new: bool,
    at: u64,
}

impl Call {
    fn show(&self, heap: &Heap, source: &dyn Source) -> String {
        show::call(heap, source, self.callee, self.args)
    }
}

/// Whether a call is `partial(C.__new__, C, …)`, called next: how protocols 0 to 3 write `NEWOBJ_EX`.
fn makes_new(heap: &Heap, node: &Node) -> bool {
    let global = |v: Val| v.as_global().and_then(|g| heap.globals.get(g));
    let function = match (node.kind, global(node.head), heap.kids(node)) {
        (Kind::Call, Some(partial), [function, ..]) if &*partial.name == "partial" => *function,
        _ => return false,
    };
    global(function).is_some_and(|f| f.name.ends_with(".__new__") && !f.known.effect.dangerous())
}

/// The rule for an effect, and what it does in words.
fn of_effect(effect: Effect) -> (&'static Entry, &'static str) {
    match effect {
        Effect::Imports => (&rules::REACHES_NAMES, "imports or looks up by name"),
        Effect::Deserialises => (&rules::DESERIALISES_AGAIN, "deserialises again"),
        Effect::Network => (&rules::REACHES_NETWORK, "reaches the network"),
        Effect::Writes => (&rules::WRITES_FILES, "writes, moves or removes files"),
        Effect::Reads => (&rules::READS_FILES, "reads files or settings"),
        Effect::Reaches => (&rules::REACHES_NAMES, "reaches into objects by name"),
        Effect::Process => (&rules::CHANGES_PROCESS, "changes or uses the process that loads it"),
        _ => (&rules::CALLS_CODE, "runs code or a program"),
    }
}

fn severity(effect: Effect) -> Severity {
    match effect {
        Effect::Executes => Severity::Critical,
        Effect::Reads | Effect::Process => Severity::Medium,
        _ => Severity::High,
    }
}
