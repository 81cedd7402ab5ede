//! Programs in the middle of bytes that should be numbers.
//!
//! A signature of four bytes is in every gigabyte of random weights by chance, so each hit is checked against the
//! structure behind it: an ELF header has over a hundred fixed bits, a PE file two headers that point at each other.

use domain::{Severity, catalogue_entry};

use crate::{Context, Part, ReadError, Source};

catalogue_entry! {
    /// There is a program inside of bytes that should be numbers.
    ///
    /// ## What it is
    /// The header of an executable (ELF, Windows PE, Mach-O), whole and consistent, in the middle of weights or of an array.
    ///
    /// ## Why it matters in care
    /// Weights are the largest place to carry a payload past a mail gateway and a virus scanner; a few lines elsewhere
    /// unpack and start it. No training writes a program into a tensor.
    ///
    /// ## Limits
    /// An encrypted payload, or one spread over the lowest bits of many weights, looks like weights.
    ///
    /// ## References
    /// CWE-506 Embedded Malicious Code; Wang et al., "EvilModel", 2021, arXiv:2107.08590; MITRE ATLAS AML.T0018.002.
    pub static ENTRY = {
        id: "S039", name: "program-in-weights", kind: Rule, since: "0.1.0",
        maps: ["AML.T0018.002", "CWE-506"],
    };
}

catalogue_entry! {
    /// The same bytes are two valid files at once.
    ///
    /// ## What it is
    /// Two formats recognise the file for certain: a pickle in front of a zip, an image that is an archive as well.
    ///
    /// ## Why it matters in care
    /// Every program decides for itself which of the two it opens. What was looked at when the model was admitted need
    /// not be what runs beside the patient.
    ///
    /// ## Limits
    /// Formats without a signature of their own are not counted.
    ///
    /// ## References
    /// CWE-436 Interpretation Conflict; CWE-434; MITRE ATLAS AML.T0074.
    pub static POLYGLOT = {
        id: "S041", name: "two-formats-at-once", kind: Rule, since: "0.1.0",
        maps: ["AML.T0074", "CWE-436", "CWE-434"],
    };
}

/// Bytes looked at at once.
const STEP: u64 = 256 * 1024;
/// Bytes behind a hit that are needed to check it, and in front of a PE header to find its start.
const REACH: usize = 4096;
/// Programs reported per part.
const HITS_MAX: usize = 8;

/// Reports programs anywhere in `source`.
pub(crate) fn search(source: &dyn Source, part: &mut Part, cx: &mut Context<'_>) {
    match starts(source, &mut |_| {}) {
        Ok(hits) => report(hits, part, cx),
        Err(e) => cx.unread(part, None, e.to_string()),
    }
}

/// Reports programs that were seen.
pub(crate) fn report(hits: Vec<(u64, &'static str)>, part: &mut Part, cx: &mut Context<'_>) {
    for (byte, what) in hits {
        let message = format!("{what} begins inside of the numbers");
        let remedy = "do not load it; report it to your security team and to the sender";
        cx.find(part, &ENTRY, Severity::Critical, Some(byte), message, remedy);
    }
}

/// Where programs begin in `source`, and of which kind. Each byte is shown to `see` once, in order.
pub(crate) fn starts(
    source: &dyn Source,
    see: &mut dyn FnMut(&[u8]),
) -> Result<Vec<(u64, &'static str)>, ReadError> {
    let elf = memchr::memmem::Finder::new(b"\x7fELF");
    let pe = memchr::memmem::Finder::new(b"PE\0\0");
    let mach = memchr::memmem::Finder::new(b"\xcf\xfa\xed\xfe");
    let mut hits = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let start = at.saturating_sub(REACH as u64);
        let stop = (at + STEP).min(source.len());
        let length = (stop + REACH as u64).min(source.len()) - start;
        let bytes = source.bytes(start, length, length)?;
        let before = usize::try_from(at - start).unwrap_or(0);
        let within = usize::try_from(stop - start).unwrap_or(bytes.len());
        let window = &bytes[before..];
        see(&bytes[before..within]);
        let inside = |n: &usize| before + n < within;
        hits.extend(
            elf.find_iter(window)
                .take_while(inside)
                .filter(|n| is_elf(&window[*n..]))
                .map(|n| (at + n as u64, "an ELF program")),
        );
        hits.extend(
            mach.find_iter(window)
                .take_while(inside)
                .filter(|n| is_mach(&window[*n..]))
                .map(|n| (at + n as u64, "a Mach-O program")),
        );
        for n in pe.find_iter(window).take_while(inside) {
            if let Some(mz) = pe_start(&bytes, before + n) {
                hits.push((start + mz as u64, "a Windows program"));
            }
        }
        hits.truncate(HITS_MAX);
        at = stop;
    }
    Ok(hits)
}

fn number(bytes: &[u8], at: usize, length: usize, little: bool) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    let add = |n: u64, b: &u8| n << 8 | u64::from(*b);
    Some(if little { field.iter().rev().fold(0, add) } else { field.iter().fold(0, add) })
}

/// Whether bytes begin with a whole ELF header.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    let check = || {
        let (class, order) = (*bytes.get(4)?, *bytes.get(5)?);
        let (wide, little) = (class == 2, order == 1);
        let (header, program, at) = if wide { (64, 56, 52) } else { (52, 32, 40) };
        let entry = number(bytes, at + 2, 2, little)?;
        Some(
            bytes.starts_with(b"\x7fELF")
                && matches!(class, 1 | 2)
                && matches!(order, 1 | 2)
                && bytes.get(6) == Some(&1)
                && matches!(number(bytes, 16, 2, little)?, 1..=4)
                && number(bytes, 20, 4, little)? == 1
                && number(bytes, at, 2, little)? == header
                && (entry == program || entry == 0),
        )
    };
    check().unwrap_or(false)
}

/// Whether bytes begin with a whole Mach-O header of 64 bits, little endian, as every Mac since 2009 runs.
pub(crate) fn is_mach(bytes: &[u8]) -> bool {
    let check = || {
        let cpu = number(bytes, 4, 4, true)?;
        let (kind, commands, size) =
            (number(bytes, 12, 4, true)?, number(bytes, 16, 4, true)?, number(bytes, 20, 4, true)?);
        Some(
            bytes.starts_with(b"\xcf\xfa\xed\xfe")
                && matches!(cpu, 0x0100_0007 | 0x0100_000c | 0x0200_000c)
                && (1..=12).contains(&kind)
                && (1..=1000).contains(&commands)
                && size >= 8 * commands
                && size <= 1 << 20,
        )
    };
    check().unwrap_or(false)
}

/// Machines a Windows program is made for: x86, x64, ARM, ARM64, IA-64, EFI byte code.
const MACHINES: [u64; 7] = [0x014c, 0x8664, 0x01c0, 0x01c4, 0xaa64, 0x0200, 0x0ebc];

/// Where the program begins whose PE header is at `pe`.
fn pe_start(bytes: &[u8], pe: usize) -> Option<usize> {
    let machine = number(bytes, pe + 4, 2, true)?;
    if !MACHINES.contains(&machine) {
        return None;
    }
    let from = pe.saturating_sub(REACH);
    let before = bytes.get(from..pe)?;
    memchr::memmem::rfind_iter(before, b"MZ")
        .map(|n| from + n)
        .find(|mz| number(bytes, mz + 0x3c, 4, true).is_some_and(|offset| offset == (pe - mz) as u64))
}

/// Whether bytes begin with a Windows program.
pub(crate) fn is_pe(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"MZ") {
        return false;
    }
    let Some(offset) = number(bytes, 0x3c, 4, true).and_then(|n| usize::try_from(n).ok()) else {
        return false;
    };
    bytes.get(offset..offset.saturating_add(4)) == Some(b"PE\0\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn elf() -> Vec<u8> {
        let mut elf = vec![0; 120];
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf[16] = 2;
        elf[20] = 1;
        elf[52] = 64;
        elf[54] = 56;
        elf
    }

    fn pe() -> Vec<u8> {
        let mut pe = vec![0; 256];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c] = 0x80;
        pe[0x80..0x86].copy_from_slice(b"PE\0\0\x64\x86");
        pe
    }

    fn noise(n: usize) -> Vec<u8> {
        let mut x = 0x2545_f491_4f6c_dd1d_u64;
        (0..n)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                (x >> 32) as u8
            })
            .collect()
    }

    #[test]
    fn programs_are_found_wherever_they_begin() {
        let step = usize::try_from(STEP).unwrap();
        for at in [0, 1, 100, step - 3, step, step + 1, 2 * step - 64] {
            for (program, what) in [(elf(), "an ELF program"), (pe(), "a Windows program")] {
                let mut bytes = noise(3 * step);
                bytes[at..at + program.len()].copy_from_slice(&program);
                assert_eq!(starts(&bytes, &mut |_| {}).unwrap(), [(at as u64, what)], "{at}");
            }
        }
    }

    #[test]
    fn signatures_by_chance_are_no_programs() {
        let mut bytes = noise(1 << 20);
        for n in 0..1000 {
            bytes[n * 1000..n * 1000 + 4].copy_from_slice(b"\x7fELF");
            bytes[n * 1000 + 100..n * 1000 + 104].copy_from_slice(b"PE\0\0");
            bytes[n * 1000 + 50..n * 1000 + 52].copy_from_slice(b"MZ");
        }
        assert_eq!(starts(&bytes, &mut |_| {}).unwrap(), []);
    }
}
