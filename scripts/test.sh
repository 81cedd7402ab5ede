#!/usr/bin/env bash
# Runs every test. Arguments go to `cargo test`, for example `scripts/test.sh -p gateway`.
#
# One runner everywhere, cargo's own: it is there on every machine, and test binaries that share fitted models and
# policies in one process do not pay for them again in each test. Documentation tests run first, so that the last
# lines are those of real tests.
#
#   ASEPSIS_SKIP_SETUP=1   do not look for browsers and Python clients
#   ASEPSIS_SHARED=DIR     test data that is not in the repository (default ../shared; tests that need it say so)
#   ASEPSIS_VENV=DIR       Python environments that scripts/setup_python.sh makes (default .venv and .venv-signing)
set -euo pipefail
cd "$(dirname "$0")/.."

export ASEPSIS_SHARED="${ASEPSIS_SHARED:-$PWD/../shared}"
export ASEPSIS_VENV="${ASEPSIS_VENV:-$PWD/.venv}"

if [ "${ASEPSIS_SKIP_SETUP:-0}" != 1 ]; then
    scripts/setup.sh
fi

if [ "$#" -gt 0 ]; then
    exec cargo test "$@"
fi
cargo test --workspace --doc --quiet
exec cargo test --workspace --tests --no-fail-fast
