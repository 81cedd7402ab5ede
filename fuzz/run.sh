#!/usr/bin/env bash
# Fuzzes one target for some seconds with coverage guidance, on any toolchain and without cargo-fuzz: the flags that
# cargo-fuzz sets, less the address sanitizer, which needs nightly and finds little in code without `unsafe`.
#
#   fuzz/run.sh TARGET [SECONDS] [FOLDER-OF-SEEDS...]
#   fuzz/run.sh list
#
# FUZZ_FEATURES=--no-default-features leaves out the targets that bring in the database and the policy engine.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${1:-list}"
if [ "$target" = list ]; then
    sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | grep -v '^asepsis-fuzz$'
    exit 0
fi
seconds="${2:-60}"
shift; [ "$#" -gt 0 ] && shift

host=$(rustc -vV | sed -n 's/^host: //p')
# With --target, the flags reach the program only, not build scripts and macros.
RUSTFLAGS='--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares' \
    cargo build --manifest-path fuzz/Cargo.toml --release --target "$host" --bin "$target" ${FUZZ_FEATURES:-}

corpus="fuzz/corpus/$target"
mkdir -p "$corpus" "fuzz/artifacts/$target"
dictionary=()
[ -f "fuzz/dictionaries/$target.dict" ] && dictionary=("-dict=fuzz/dictionaries/$target.dict")
exec "${CARGO_TARGET_DIR:-fuzz/target}/$host/release/$target" "$corpus" "$@" "${dictionary[@]}" \
    "-artifact_prefix=fuzz/artifacts/$target/" "-max_total_time=$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1
