//! The catalogue entries of what the pickle machine finds.

use domain::{Entry, catalogue_entry};

catalogue_entry! {
    /// A pickle runs code or a program when it is loaded.
    ///
    /// ## What it is
    /// The symbolic machine followed the opcodes to a call of something that executes: `os.system`, `subprocess.Popen`,
    /// `builtins.eval`, `runpy.run_path`, a debugger, a compiler, a loader of native libraries, a constructor of code
    /// objects. The message shows the call as it would happen. A mere reference to such a callable is reported at
    /// medium severity: nothing that a model needs is called so, and what is referred to is there to be called by
    /// something.
    ///
    /// ## Why it matters in care
    /// Loading is enough: no prediction has to be asked for. Whoever made the file then acts with the rights of the
    /// server that loads it, inside the hospital's network, beside the patient data.
    ///
    /// ## Limits
    /// What a callable does is known from a table and judged by its name where it is not in the table. Code that is
    /// hidden in a class of a library under a harmless name is not seen.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static CALLS_CODE = {
        id: "S001", name: "pickle-calls-code", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "AML.T0050", "CWE-502", "CWE-94"],
    };
}

catalogue_entry! {
    /// A pickle reads files, settings or secrets when it is loaded.
    ///
    /// ## What it is
    /// A call of something that opens or lists files, reads the environment or asks for accounts, with the arguments as
    /// they would be.
    ///
    /// ## Why it matters in care
    /// What was read ends in the model object, from where it can be sent out or shown; environment variables of a
    /// server hold passwords and tokens.
    ///
    /// ## Limits
    /// Libraries that read their own resource files while they rebuild an object through an ordinary class are not
    /// seen.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static READS_FILES = {
        id: "S002", name: "pickle-reads-files", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0037", "AML.T0055", "CWE-502", "CWE-552"],
    };
}

catalogue_entry! {
    /// A pickle writes, moves or removes files when it is loaded.
    ///
    /// ## What it is
    /// A call of something that opens files for writing, copies, renames, removes or unpacks.
    ///
    /// ## Why it matters in care
    /// A file written to the right place is code that runs later (a start-up script, a library that is imported); a
    /// file removed is an outage.
    ///
    /// ## Limits
    /// A harmless temporary file looks the same as a harmful one; both are reported.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static WRITES_FILES = {
        id: "S003", name: "pickle-writes-files", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-502", "CWE-73"],
    };
}

catalogue_entry! {
    /// A pickle opens a network connection when it is loaded.
    ///
    /// ## What it is
    /// A call of something that resolves names, connects, listens, downloads or sends.
    ///
    /// ## Why it matters in care
    /// A download brings the second stage past every check made of the file; an upload takes patient data out; even a
    /// look-up of a name tells somebody that the model now runs inside the hospital.
    ///
    /// ## Limits
    /// Objects that connect later, when they are used, are not told from others.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static REACHES_NETWORK = {
        id: "S004", name: "pickle-reaches-network", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0025", "CWE-502", "CWE-918"],
    };
}

catalogue_entry! {
    /// A pickle looks up modules or attributes by name, so that anything can be reached.
    ///
    /// ## What it is
    /// A call of `__import__`, `importlib.import_module`, `pkgutil.resolve_name`, `pydoc.locate`, `setattr`, `vars`,
    /// `globals`, or an attribute such as `__globals__`, `__subclasses__` or `__builtins__`; also a class made at load
    /// time. `getattr` of a class and a plain name is how Python writes enumerations and methods, and is followed, not
    /// reported.
    ///
    /// ## Why it matters in care
    /// It is the way around every list of forbidden names: the name of what is called in the end does not stand in the
    /// file.
    ///
    /// ## Limits
    /// Bound methods of objects are allowed as values, as long as they are not called.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static REACHES_NAMES = {
        id: "S005", name: "pickle-reaches-names", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-502", "CWE-470"],
    };
}

catalogue_entry! {
    /// A pickle deserialises other bytes or another file when it is loaded.
    ///
    /// ## What it is
    /// A call of `pickle.loads`, `marshal.loads`, `torch.load`, `joblib.load`, `numpy.load`, `yaml.load` and their
    /// like. What is passed to it as a constant is looked into as well.
    ///
    /// ## Why it matters in care
    /// The harmful part is then in the second file or under a layer of encoding, where a look at the first does not
    /// reach.
    ///
    /// ## Limits
    /// PyTorch tensors that were pickled without `torch.save` hold such a call (`torch.storage._load_from_bytes`); what
    /// they hold is read as a file of its own instead of being reported.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static DESERIALISES_AGAIN = {
        id: "S006", name: "pickle-deserialises-again", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-502"],
    };
}

catalogue_entry! {
    /// A pickle changes modules, classes or functions of the program that loads it.
    ///
    /// ## What it is
    /// State given (`BUILD`), items set (`SETITEM`) or appended to something imported rather than to an object that the
    /// pickle makes; or an object that gets one of the methods that unpickling itself calls (`__setstate__`, `append`,
    /// `extend`, `add`) from the pickle.
    ///
    /// ## Why it matters in care
    /// A library that was changed in memory behaves otherwise from then on: `torch.load` may run programs, a check may
    /// pass everything, and nothing on disk shows it.
    ///
    /// ## Limits
    /// Changes made by an ordinary class while it is rebuilt are not seen.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static CHANGES_IMPORTED = {
        id: "S007", name: "pickle-changes-imported", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-502", "CWE-915"],
    };
}

catalogue_entry! {
    /// A pickle calls something that is not known to be needed to load a model.
    ///
    /// ## What it is
    /// Picklers write calls of classes and of the few functions that put objects back together. A call of any other
    /// function, or of an unknown class with arguments that look like a command, code, an address or a path, is
    /// reported, because new gadgets are found every month in libraries that no list names.
    ///
    /// ## Why it matters in care
    /// A file that calls what no model needs was made by hand. Ask the sender what the call is for.
    ///
    /// ## Limits
    /// A library with a reconstructing function under an unusual name is reported, wrongly; an unknown class whose
    /// constructor does harm with harmless arguments is not.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static CALLS_UNKNOWN = {
        id: "S008", name: "pickle-calls-unknown", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-502"],
    };
}

catalogue_entry! {
    /// A pickle calls what an earlier call gave.
    ///
    /// ## What it is
    /// The callee is not something imported but a result: of `getattr`, `operator.attrgetter`, `functools.partial`, of
    /// a method of an object, of a persistent id or an unregistered extension code.
    ///
    /// ## Why it matters in care
    /// No pickler writes such calls; they are how forbidden names are reached without being written.
    ///
    /// ## Limits
    /// A constant put in place of a callable, which only fails, is not reported.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static CALLS_COMPUTED = {
        id: "S009", name: "pickle-calls-computed", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0010.003", "CWE-502", "CWE-470"],
    };
}

catalogue_entry! {
    /// A pickle puts together the name of what it imports.
    ///
    /// ## What it is
    /// `STACK_GLOBAL` with a module or name that was joined, decoded, reversed, looked up or otherwise made by calls,
    /// or an extension code that the pickle registers itself.
    ///
    /// ## Why it matters in care
    /// Only a file that hides what it imports has a reason for it.
    ///
    /// ## Limits
    /// Names that cannot be worked out are reported without saying what they are.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static COMPUTES_NAME = {
        id: "S010", name: "pickle-computes-name", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0074", "CWE-502", "CWE-506"],
    };
}

catalogue_entry! {
    /// A pickle changes or ends the process that loads it.
    ///
    /// ## What it is
    /// A call of something that exits, sends signals, changes limits, settings or the environment, prints, or uses
    /// system interfaces in another way.
    ///
    /// ## Why it matters in care
    /// A service that ends when it loads a model is an outage; a changed environment takes effect in the programs that
    /// it starts later.
    ///
    /// ## Limits
    /// Printing is harmless by itself; no model needs it to be loaded.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static CHANGES_PROCESS = {
        id: "S011", name: "pickle-changes-process", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0029", "CWE-502"],
    };
}

catalogue_entry! {
    /// A pickle that does harm is hidden in other data.
    ///
    /// ## What it is
    /// Behind the end of the pickle that a loader reads, after bytes that are no pickle, or inside a constant: raw, in
    /// base64 or hexadecimal, or compressed. It was followed like any other; what it does is in the same report.
    ///
    /// ## Why it matters in care
    /// A loader that reads on, a second stage that decodes the constant, or a person who opens the file with another
    /// program runs it.
    ///
    /// ## Limits
    /// Payloads that are encrypted or cut in pieces are not found.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0011.000 User Execution: Unsafe AI Artifacts; CWE-502 Deserialization of Untrusted Data; Python
    /// documentation, `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static HIDES_PICKLE = {
        id: "S012", name: "pickle-hidden", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0074", "AML.T0018.002", "CWE-502", "CWE-506"],
    };
}

catalogue_entry! {
    /// A small pickle unfolds into something huge, or makes the loader fail.
    ///
    /// ## What it is
    /// Containers that hold themselves many times over, nesting deeper than any stack, a repetition or power that makes
    /// gigabytes, a length or memo index far beyond the file.
    ///
    /// ## Why it matters in care
    /// The loader runs out of memory or crashes: the model's service, and all that shares the machine, stops.
    ///
    /// ## Limits
    /// Work that a class does while it is rebuilt is not counted.
    ///
    /// ## References
    /// MITRE ATLAS AML.T0029 Denial of AI Service; CWE-502 Deserialization of Untrusted Data; Python documentation,
    /// `pickle`, "Restricting Globals"; PEP 307, PEP 3154, PEP 574.
    pub(crate) static UNFOLDS_HUGE = {
        id: "S013", name: "pickle-unfolds-huge", kind: Rule, since: "0.1.0",
        maps: ["AML.T0029", "CWE-502", "CWE-400", "CWE-789"],
    };
}

/// All of them.
pub(crate) static ENTRIES: &[&Entry] = &[
    &CALLS_CODE,
    &READS_FILES,
    &WRITES_FILES,
    &REACHES_NETWORK,
    &REACHES_NAMES,
    &DESERIALISES_AGAIN,
    &CHANGES_IMPORTED,
    &CALLS_UNKNOWN,
    &CALLS_COMPUTED,
    &COMPUTES_NAME,
    &CHANGES_PROCESS,
    &HIDES_PICKLE,
    &UNFOLDS_HUGE,
];
