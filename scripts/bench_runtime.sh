#!/bin/sh
# Runs our bench, onnxruntime and (if built) rten one after the other on one processor and prints CPU microseconds and ratios.
# Use: PYTHON=VENV/bin/python scripts/bench_runtime.sh [MODEL.onnx ...]
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
cargo bench -q -p runtime --bench inference --no-run
pin=""
command -v taskset >/dev/null && pin="taskset -c 1"
$pin cargo bench -q -p runtime --bench inference -- "$@" >"$out/ours"
$pin "${PYTHON:-python3}" scripts/bench_onnxruntime.py "$@" >"$out/ort"
echo "model batch ours_us onnxruntime_us ratio"
awk 'NR==FNR { ours[$1" "$2]=$3; next } { k=$1" "$2; if (k in ours) printf "%s %s %s %.2f\n", k, ours[k], $3, ours[k]/$3; else print k, "-", $3, "-" }' "$out/ours" "$out/ort"
