#!/usr/bin/env bash
# Makes the Python environments with the field's own clients, servers and tools, for tests and benchmarks only. Running it
# again does nothing unless a list or the Python changed.
#   scripts/requirements.txt          clients and servers of model servers, into $ASEPSIS_VENV
#   scripts/requirements-signing.txt  the reference implementation of model signing, into $ASEPSIS_VENV-signing
#   scripts/requirements-language.txt the client of language models and a model server, into $ASEPSIS_VENV-language
#   ASEPSIS_VENV=DIR                  where (default .venv in the repository)
set -euo pipefail
cd "$(dirname "$0")/.."

root="${ASEPSIS_VENV:-$PWD/.venv}"

say() { printf 'setup_python: %s\n' "$*"; }

command -v python3 >/dev/null 2>&1 || { say 'there is no python3: install it to run the tests that need it'; exit 1; }

# make LIST FOLDER STATEMENT...: each statement is tried in a process of its own.
make() {
    local list="$1" venv="$2" stamp
    shift 2
    stamp="$(python3 --version) $(sha256sum <"$list")"
    if [ -f "$venv/asepsis-stamp" ] && [ "$(cat "$venv/asepsis-stamp")" = "$stamp" ] && [ -x "$venv/bin/python" ]; then
        say "$list: there"
        return 0
    fi
    # Two runs at once wait for each other; the second then finds the work done.
    mkdir -p "$(dirname "$venv")"
    exec 9<"$list"
    if command -v flock >/dev/null 2>&1; then flock 9; fi
    if [ -f "$venv/asepsis-stamp" ] && [ "$(cat "$venv/asepsis-stamp")" = "$stamp" ]; then
        say "$list: made meanwhile"
        return 0
    fi
    say "$list: installing $(grep -c '==' "$list") packages"
    rm -f "$venv/asepsis-stamp"
    python3 -m venv --clear "$venv"
    for try in 1 2 3; do
        if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$list"; then
            for statement in "$@"; do "$venv/bin/python" -c "$statement"; done
            printf '%s\n' "$stamp" >"$venv/asepsis-stamp"
            say "$list: done"
            return 0
        fi
        say "pip failed (try $try of 3)"
        sleep $((try * 5))
    done
    return 1
}

# Not in one process: both bring the protocol's messages under the same names.
make scripts/requirements.txt "$root" 'import mlserver, onnxruntime' \
    'import numpy, tritonclient.grpc, tritonclient.http'
make scripts/requirements-signing.txt "$root-signing" 'import model_signing, OpenSSL'
make scripts/requirements-language.txt "$root-language" 'import openai, xllamacpp, gguf'
