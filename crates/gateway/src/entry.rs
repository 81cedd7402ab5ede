//! The two entries of an exchange, written field by field: the same bytes as [`Record`](domain::Record) in JSON, at a third of
//! the time. Two of them are written for each answer; the rest of the ledger goes through the type.

use std::cell::RefCell;
use std::io::Write as _;

use domain::{Advice, ClientId, Digest, GuardNote, SystemId, Timestamp};

/// Room for an entry of ordinary length.
const ENTRY_BYTES: usize = 512;
/// Numbers of exchanges drawn from the system at once, so that not every exchange asks it.
const NUMBERS: usize = 64;
/// Bytes of a number.
const NUMBER_BYTES: usize = 16;

/// See [`domain::Record::Opened`].
pub(crate) struct Opened<'a> {
    pub(crate) at: Timestamp,
    pub(crate) exchange: &'a str,
    pub(crate) client: &'a ClientId,
    pub(crate) system: &'a SystemId,
    pub(crate) request: Digest,
    pub(crate) rows: u32,
}

/// See [`domain::Record::Closed`].
pub(crate) struct Closed<'a> {
    pub(crate) at: Timestamp,
    pub(crate) exchange: &'a str,
    pub(crate) opened: u64,
    pub(crate) model: Option<Digest>,
    pub(crate) reply: Option<Digest>,
    pub(crate) refused: Option<&'static str>,
    pub(crate) advice: Advice,
    pub(crate) guards: &'a [GuardNote],
    pub(crate) took_us: u64,
}

/// The opening entry.
pub(crate) fn opened(entry: &Opened<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRY_BYTES);
    // Ids, digests and hexadecimal digits hold nothing that JSON escapes. Writing into a vector cannot fail.
    let _ = write!(
        out,
        r#"{{"type":"opened","at":{},"exchange":"{}","client":"{}","system":"{}","request":"{}","rows":{}}}"#,
        entry.at.as_millis(),
        entry.exchange,
        entry.client.as_str(),
        entry.system.as_str(),
        entry.request,
        entry.rows
    );
    out
}

/// The closing entry.
pub(crate) fn closed(entry: &Closed<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRY_BYTES);
    let _ = write!(
        out,
        r#"{{"type":"closed","at":{},"exchange":"{}","opened":{}"#,
        entry.at.as_millis(),
        entry.exchange,
        entry.opened
    );
    for (name, digest) in [("model", entry.model), ("reply", entry.reply)] {
        let _ = match digest {
            Some(digest) => write!(out, r#","{name}":"{digest}""#),
            None => write!(out, r#","{name}":null"#),
        };
    }
    let _ = match entry.refused {
        Some(code) => write!(out, r#","refused":"{code}""#),
        None => write!(out, r#","refused":null"#),
    };
    let advice = match entry.advice {
        Advice::Use => "use",
        Advice::UseWithCare => "use-with-care",
        Advice::DoNotUse => "do-not-use",
    };
    let _ = write!(out, r#","advice":"{advice}","guards":["#);
    for (i, note) in entry.guards.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let _ = serde_json::to_writer(&mut out, note);
    }
    let _ = write!(out, r#"],"took_us":{}}}"#, entry.took_us);
    out
}

/// A new exchange's number: 16 random bytes in hexadecimal. None when the system gives no randomness.
pub(crate) fn number() -> Option<String> {
    thread_local! {
        static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    DRAWN.with(|drawn| {
        let mut drawn = drawn.try_borrow_mut().ok()?;
        if drawn.is_empty() {
            let mut fresh = vec![0; NUMBERS * NUMBER_BYTES];
            getrandom::fill(&mut fresh).ok()?;
            *drawn = fresh;
        }
        let rest = drawn.len().checked_sub(NUMBER_BYTES)?;
        let digit = |n: u8| DIGITS.get(usize::from(n)).map_or('0', |d| char::from(*d));
        let mut text = String::with_capacity(2 * NUMBER_BYTES);
        for byte in drawn.drain(rest..) {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Record;

    fn note(places: &[&str]) -> GuardNote {
        GuardNote {
            instance: "clinical-range".into(),
            outcome: "found".into(),
            places: places.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn entries_are_the_bytes_of_the_record() {
        let (at, exchange) = (Timestamp::from_millis(1_795_440_000_123), number().unwrap());
        let (client, system): (ClientId, SystemId) = ("ward-3".parse().unwrap(), "a.b_c".parse().unwrap());
        let request = Digest::of(b"q");
        let entry = Opened { at, exchange: &exchange, client: &client, system: &system, request, rows: 3 };
        let record = Record::Opened {
            at,
            exchange: exchange.clone(),
            client: client.clone(),
            system: system.clone(),
            request,
            rows: 3,
        };
        assert_eq!(opened(&entry), serde_json::to_vec(&record).unwrap());
        for (model, reply, refused, advice, guards) in [
            (Some(Digest::of(b"m")), Some(Digest::of(b"r")), None, Advice::Use, vec![]),
            (None, None, Some("E010"), Advice::DoNotUse, vec![note(&[])]),
            (
                Some(Digest::of(b"m")),
                None,
                None,
                Advice::UseWithCare,
                vec![note(&["a \"b\"\n"]), note(&["c", "d"])],
            ),
        ] {
            let (guards_of, took_us) = (guards.as_slice(), 17);
            let entry = Closed {
                at,
                exchange: &exchange,
                opened: 5,
                model,
                reply,
                refused,
                advice,
                guards: guards_of,
                took_us,
            };
            let bytes = closed(&entry);
            let refused = refused.map(str::to_owned);
            let record = Record::Closed {
                at,
                exchange: exchange.clone(),
                opened: 5,
                model,
                reply,
                refused,
                advice,
                guards,
                took_us,
            };
            assert_eq!(String::from_utf8(bytes).unwrap(), serde_json::to_string(&record).unwrap());
        }
    }

    #[test]
    fn numbers_differ_and_are_hexadecimal() {
        let all: std::collections::BTreeSet<String> = (0..3 * NUMBERS).map(|_| number().unwrap()).collect();
        assert_eq!(all.len(), 3 * NUMBERS);
        assert!(all.iter().all(|n| n.len() == 32 && n.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
