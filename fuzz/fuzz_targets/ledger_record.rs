//! Entries of the ledger as JSON: what an export or another program's log may hold.
#![no_main]

use domain::Record;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = serde_json::from_slice::<Record>(bytes) else { return };
    let written = serde_json::to_vec(&record).expect("a record that was read can be written");
    let again: Record = serde_json::from_slice(&written).expect("a written record can be read");
    assert_eq!(serde_json::to_vec(&again).expect("written twice"), written, "a record survives");
});
