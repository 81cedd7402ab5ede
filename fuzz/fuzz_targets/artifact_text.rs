//! Templates, documents, Python, scripts and requirements: any bytes, under the names that steer their readers.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// The first byte chooses one.
const NAMES: [&str; 8] = ["x", "x.jinja", "x.json", "x.yaml", "x.py", "x.sh", "README.md", "requirements.txt"];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let name = NAMES[usize::from(*first) % NAMES.len()];
    artifact::scan(name, &rest, &artifact::Limits::default());
});
