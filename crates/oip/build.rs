//! Turns `proto/inference.proto` into Rust at build time, with a protobuf compiler written in Rust: no protoc needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/inference.proto");
    let files = protox::compile(["proto/inference.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .codec_path("crate::grpc::BoundedCodec")
        .emit_rerun_if_changed(false)
        .compile_fds(files)?;
    Ok(())
}
