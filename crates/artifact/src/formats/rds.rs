//! R objects (`saveRDS`, `save`): XDR, little-endian and ASCII serialisation, versions 2 and 3.

use domain::{Entry, Severity, catalogue_entry};

use super::{Format, Input, Sure};
use crate::{Context, Cursor, Part, ReadError, payload};

catalogue_entry! {
    /// An R object runs code when it is read or used.
    ///
    /// ## What it is
    /// A promise (an expression that R evaluates as soon as the value is touched), or calls of functions that run programs,
    /// fetch files or load libraries inside the object's code.
    ///
    /// ## Why it matters in care
    /// `readRDS` of such a file runs the author's code (CVE-2024-27322).
    ///
    /// ## Limits
    /// Fitted R models carry formulas and functions; these are noted, and judged by the names they call. Bytecode is judged
    /// by its constants.
    ///
    /// ## References
    /// R Internals, serialization format; CVE-2024-27322; CWE-502 Deserialization of Untrusted Data.
    pub(crate) static CODE = {
        id: "S086", name: "r-code", kind: Rule, since: "0.1.0",
        maps: ["AML.T0011.000", "AML.T0018.002", "CWE-502"],
    };
}

/// Entries of this format.
pub(crate) const ENTRIES: &[&Entry] = &[&CODE];

/// Objects inside each other.
const DEPTH_MAX: usize = 10_000;
/// Longest text, bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Functions of R that run, fetch, delete or load.
const HARMFUL: &[&str] = &[
    "system",
    "system2",
    "shell",
    "shell.exec",
    "pipe",
    "socketConnection",
    "download.file",
    "url",
    "source",
    "sys.source",
    "dyn.load",
    "library.dynam",
    "install.packages",
    "unlink",
    "file.remove",
    "Sys.setenv",
    "readRDS",
    "unserialize",
    "loadNamespace",
    "fifo",
    "curl",
    "curl_download",
    "GET",
    "POST",
    "browseURL",
    "setwd",
    "writeBin",
    "file.copy",
];

/// The format.
pub(super) struct Rds;

impl Format for Rds {
    fn name(&self) -> &'static str {
        "rds"
    }

    fn recognise(&self, input: &Input<'_>) -> Option<Sure> {
        let rest = ["RDX2\n", "RDX3\n", "RDA2\n", "RDA3\n"]
            .iter()
            .find_map(|m| input.head.strip_prefix(m.as_bytes()))
            .unwrap_or(input.head);
        let binary = rest.strip_prefix(b"X\n").is_some_and(|r| matches!(r.get(..4), Some([0, 0, 0, 2 | 3])));
        let little = rest.strip_prefix(b"B\n").is_some_and(|r| matches!(r.get(..4), Some([2 | 3, 0, 0, 0])));
        let ascii = rest.strip_prefix(b"A\n").is_some_and(|r| r.starts_with(b"2\n") || r.starts_with(b"3\n"));
        (binary || little || ascii).then_some(Sure::Certain)
    }

    fn read(&self, input: &Input<'_>, part: &mut Part, cx: &mut Context<'_>) {
        let start = if input.head.starts_with(b"RD") { 5 } else { 0 };
        let form = match input.head.get(start) {
            Some(b'X') => Form::Big,
            Some(b'B') => Form::Little,
            _ => Form::Ascii,
        };
        let mut walk = Walk {
            cursor: Cursor::new(input.source, start as u64 + 2),
            form,
            part,
            cx,
            symbols: Vec::new(),
            closures: 0,
        };
        part_facts(&mut walk);
        let result = walk.header().and_then(|()| walk.items());
        let (at, closures) = (walk.cursor.position(), walk.closures);
        if closures > 0 {
            let message = format!("{closures} functions are stored with the object");
            cx.find(part, &CODE, Severity::Low, None, message, "have somebody who knows R read them");
        }
        match result {
            Ok(()) if at < input.source.len() && form != Form::Ascii => {
                cx.unread(part, Some(at), "something follows the object")
            }
            Ok(()) => {}
            Err(e) => cx.unread(part, Some(at), e.to_string()),
        }
    }
}

fn part_facts(walk: &mut Walk<'_, '_>) {
    walk.part.facts.framework = Some("R serialised object".to_owned());
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Big,
    Little,
    Ascii,
}

#[derive(Debug, thiserror::Error)]
enum RError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the R object is broken: {0}")]
    Broken(&'static str),
    #[error("the R object has an item of the unknown type {0}")]
    Type(u32),
}

struct Walk<'w, 'l> {
    cursor: Cursor<'w>,
    form: Form,
    part: &'w mut Part,
    cx: &'w mut Context<'l>,
    /// Names, in the order in which references count them.
    symbols: Vec<Option<String>>,
    closures: u64,
}

/// What is still to be read.
#[derive(Clone, Copy)]
enum Job {
    /// One item; `true` where it is the function of a call.
    Item(bool),
    /// Bytecode after its head: so many constants.
    Constants(u32),
    /// A tree of calls inside bytecode; `true` where it is the function of a call.
    Language(bool),
}

impl Walk<'_, '_> {
    fn line(&mut self) -> Result<String, RError> {
        /// Longest line, bytes.
        const LINE_BYTES_MAX: usize = 1 << 20;
        let mut line = Vec::new();
        loop {
            match self.cursor.byte()? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                b if line.len() < LINE_BYTES_MAX => line.push(b),
                _ => return Err(RError::Broken("a line without end")),
            }
        }
    }

    fn int(&mut self) -> Result<i32, RError> {
        match self.form {
            Form::Big => Ok(i32::from_be_bytes(self.cursor.array()?)),
            Form::Little => Ok(i32::from_le_bytes(self.cursor.array()?)),
            Form::Ascii => {
                let line = self.line()?;
                if line.trim() == "NA" {
                    Ok(i32::MIN)
                } else {
                    line.trim().parse().map_err(|_| RError::Broken("a number"))
                }
            }
        }
    }

    fn length(&mut self) -> Result<u64, RError> {
        let n = self.int()?;
        if n == -1 {
            let (high, low) = (self.int()?, self.int()?);
            return Ok(u64::from(high.cast_unsigned()) << 32 | u64::from(low.cast_unsigned()));
        }
        u64::try_from(n).map_err(|_| RError::Broken("a negative length"))
    }

    /// Leaves out `count` values of `width` bytes.
    fn skip(&mut self, count: u64, width: u64) -> Result<(), RError> {
        if self.form == Form::Ascii {
            let lines = if width == 16 { count.saturating_mul(2) } else { count };
            for _ in 0..lines.min(self.cursor.remaining()) {
                self.line()?;
            }
            return Ok(());
        }
        let bytes = count.checked_mul(width).ok_or(RError::Broken("a length that overflows"))?;
        Ok(self.cursor.skip(bytes)?)
    }

    fn text(&mut self, length: i32) -> Result<String, RError> {
        let Ok(length) = u64::try_from(length) else { return Ok(String::new()) };
        if self.form == Form::Ascii {
            return self.line();
        }
        Ok(String::from_utf8_lossy(self.cursor.take(length, TEXT_BYTES_MAX)?).into_owned())
    }

    fn header(&mut self) -> Result<(), RError> {
        let version = self.int()?;
        let writer = self.int()?.cast_unsigned();
        self.int()?;
        if version == 3 {
            let length = self.int()?;
            self.text(length)?;
        }
        self.part.facts.producer = Some(format!("R {}.{}.{}", writer >> 16, writer >> 8 & 255, writer & 255));
        Ok(())
    }

    fn items(&mut self) -> Result<(), RError> {
        let mut jobs = vec![Job::Item(false)];
        while let Some(job) = jobs.pop() {
            if jobs.len() > DEPTH_MAX * 1000 {
                return Err(RError::Broken("nested too deep"));
            }
            if self.cx.step(1).is_err() {
                return Err(RError::Broken("more items than are looked at"));
            }
            match job {
                Job::Item(called) => self.item(called, &mut jobs)?,
                Job::Constants(left) => {
                    if left > 0 {
                        jobs.push(Job::Constants(left - 1));
                        self.constant(&mut jobs)?;
                    }
                }
                Job::Language(called) => self.language(called, &mut jobs)?,
            }
        }
        Ok(())
    }

    fn item(&mut self, called: bool, jobs: &mut Vec<Job>) -> Result<(), RError> {
        let at = self.cursor.position();
        let flags = self.int()?.cast_unsigned();
        let (attributes, tag) = (flags & 0x200 != 0, flags & 0x400 != 0);
        match flags & 0xff {
            // Constants: environments, nil, missing.
            241 | 242 | 247 | 250..=254 => {}
            255 => {
                let index = if flags >> 8 == 0 { self.int()?.cast_unsigned() } else { flags >> 8 };
                let name = usize::try_from(index)
                    .ok()
                    .and_then(|i| self.symbols.get(i.checked_sub(1)?))
                    .cloned()
                    .flatten();
                if called && let Some(name) = name {
                    self.call(&name, at);
                }
            }
            1 => self.symbol(called, at)?,
            2 | 3 | 5 | 6 | 17 | 239 | 240 => self.pair(flags, attributes, tag, at, jobs),
            4 => {
                self.int()?;
                self.symbols.push(None);
                // Enclosure, frame, hash table, attributes.
                jobs.extend([Job::Item(false); 4]);
            }
            7 | 8 => {
                let length = self.int()?;
                let name = self.text(length)?;
                self.call(&name, at);
            }
            9 => {
                let length = self.int()?;
                let text = self.text(length)?;
                payload::text(&text, "a text in the object", Some(at), self.part, self.cx);
            }
            248 | 249 => {
                self.int()?;
                let count = self.int()?;
                self.symbols.push(None);
                for _ in 0..count.clamp(0, 100) {
                    self.item(false, jobs)?;
                }
            }
            kind => self.vector(kind, attributes, at, jobs)?,
        }
        Ok(())
    }

    fn symbol(&mut self, called: bool, at: u64) -> Result<(), RError> {
        self.int()?;
        let length = self.int()?;
        let name = self.text(length)?;
        if called {
            self.call(&name, at);
        }
        self.symbols.push(Some(name));
        Ok(())
    }

    /// Pairs: lists, calls, functions, promises. Jobs are a stack: what is read last is pushed first.
    fn pair(&mut self, flags: u32, attributes: bool, tag: bool, at: u64, jobs: &mut Vec<Job>) {
        let kind = flags & 0xff;
        let (attributes, kind) = match kind {
            239 => (true, 2),
            240 => (true, 6),
            _ => (attributes, kind),
        };
        match kind {
            5 => {
                let message = "the object holds a promise, which R evaluates when the value is touched";
                self.cx.find(
                    self.part,
                    &CODE,
                    Severity::High,
                    Some(at),
                    message,
                    "do not read it with R; ask the supplier for plain data",
                );
            }
            3 => self.closures += 1,
            _ => {}
        }
        jobs.push(Job::Item(false));
        jobs.push(Job::Item(kind == 6));
        if tag {
            jobs.push(Job::Item(false));
        }
        if attributes {
            jobs.push(Job::Item(false));
        }
    }

    fn vector(&mut self, kind: u32, attributes: bool, at: u64, jobs: &mut Vec<Job>) -> Result<(), RError> {
        if attributes {
            jobs.push(Job::Item(false));
        }
        match kind {
            10 | 13 => {
                let n = self.length()?;
                self.skip(n, 4)?;
            }
            14 => {
                let n = self.length()?;
                self.skip(n, 8)?;
            }
            15 => {
                let n = self.length()?;
                self.skip(n, 16)?;
            }
            16 | 19 | 20 => {
                let n = self.length()?;
                if n > self.cursor.remaining() {
                    return Err(RError::Broken("a list longer than the file"));
                }
                jobs.extend((0..n).map(|_| Job::Item(false)));
            }
            24 => {
                let n = self.length()?;
                if self.form != Form::Ascii && n <= TEXT_BYTES_MAX {
                    let bytes = self.cursor.take(n, TEXT_BYTES_MAX)?.to_vec();
                    payload::bytes(&bytes, "raw bytes in the object", Some(at), self.part, self.cx);
                } else {
                    self.skip(n, 1)?;
                }
            }
            21 => {
                self.int()?;
                self.bytecode(jobs)?;
            }
            22 => {
                self.symbols.push(None);
                jobs.extend([Job::Item(false); 2]);
            }
            23 => self.symbols.push(None),
            25 => {}
            238 => jobs.extend([Job::Item(false); 3]),
            other => return Err(RError::Type(other)),
        }
        Ok(())
    }

    /// The code as integers, then constants.
    fn bytecode(&mut self, jobs: &mut Vec<Job>) -> Result<(), RError> {
        self.item(false, jobs)?;
        let count = self.int()?;
        if count < 0 || i64::from(count) > self.cursor.remaining().cast_signed() {
            return Err(RError::Broken("more constants than bytes"));
        }
        jobs.push(Job::Constants(count.cast_unsigned()));
        Ok(())
    }

    fn constant(&mut self, jobs: &mut Vec<Job>) -> Result<(), RError> {
        match self.int()?.cast_unsigned() {
            21 => self.bytecode(jobs),
            kind @ (2 | 6 | 239 | 240 | 243 | 244) => self.tree(kind, false, jobs),
            _ => {
                jobs.push(Job::Item(false));
                Ok(())
            }
        }
    }

    fn language(&mut self, called: bool, jobs: &mut Vec<Job>) -> Result<(), RError> {
        let kind = self.int()?.cast_unsigned();
        self.tree(kind, called, jobs)
    }

    fn tree(&mut self, kind: u32, called: bool, jobs: &mut Vec<Job>) -> Result<(), RError> {
        match kind {
            243 => drop(self.int()?),
            244 => {
                self.int()?;
                let inner = self.int()?.cast_unsigned();
                self.tree_parts(inner, jobs);
            }
            2 | 6 | 239 | 240 => self.tree_parts(kind, jobs),
            _ => jobs.push(Job::Item(called)),
        }
        Ok(())
    }

    fn tree_parts(&mut self, kind: u32, jobs: &mut Vec<Job>) {
        jobs.extend([Job::Language(false), Job::Language(matches!(kind, 6 | 240)), Job::Item(false)]);
        if matches!(kind, 239 | 240) {
            jobs.push(Job::Item(false));
        }
    }

    fn call(&mut self, name: &str, at: u64) {
        self.part.facts.operator(name);
        if HARMFUL.contains(&name) {
            let message = format!("code in the object calls `{name}`");
            self.cx.find(
                self.part,
                &CODE,
                Severity::High,
                Some(at),
                message,
                "do not read it with R; ask the supplier for plain data",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, Verdict, scan};

    fn ints(list: &[i32]) -> Vec<u8> {
        list.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    fn text(s: &str) -> Vec<u8> {
        [ints(&[9, s.len() as i32]), s.as_bytes().to_vec()].concat()
    }

    fn symbol(s: &str) -> Vec<u8> {
        [ints(&[1]), text(s)].concat()
    }

    fn verdict(body: Vec<u8>) -> Verdict {
        let bytes = [b"X\n".to_vec(), ints(&[2, 0x0004_0300, 0x0002_0300]), body].concat();
        let part = scan("m.rds", &bytes, &Limits::default());
        println!("{part:?}");
        part.verdict()
    }

    #[test]
    fn data_and_formulas_are_clean() {
        assert_eq!(verdict([ints(&[14, 1]), vec![0; 8]].concat()), Verdict::Clean);
        assert_eq!(verdict([ints(&[19, 2, 13, 1, 5, 16, 1]), text("abc")].concat()), Verdict::Clean);
        // y ~ x
        let formula =
            [ints(&[6]), symbol("~"), ints(&[2]), symbol("y"), ints(&[2]), symbol("x"), ints(&[254])]
                .concat();
        assert_eq!(verdict(formula), Verdict::Clean);
    }

    #[test]
    fn promises_and_harmful_calls_are_found() {
        let call =
            |name: &str| [ints(&[6]), symbol(name), ints(&[2, 16, 1]), text("id"), ints(&[254])].concat();
        assert_eq!(verdict(call("system")), Verdict::Found);
        assert_eq!(verdict(call("mean")), Verdict::Clean);
        assert_eq!(verdict([ints(&[5, 254]), call("mean")].concat()), Verdict::Found);
    }

    #[test]
    fn cut_off_objects_are_inconclusive() {
        assert_eq!(verdict(ints(&[14, 100])), Verdict::Inconclusive);
        assert_eq!(verdict(ints(&[99])), Verdict::Inconclusive);
    }

    proptest::proptest! {
        #[test]
        fn survives_anything(body in proptest::collection::vec(0u8..26, 0..80)) {
            let _ = verdict(body);
        }
    }
}
