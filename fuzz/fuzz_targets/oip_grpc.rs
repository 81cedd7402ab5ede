//! Messages of the gRPC protocol: the scan of fields before decoding, and the conversion after it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| oip::fuzz_grpc(bytes));
