#!/usr/bin/env bash
# Makes the Python environment with the field's own clients and servers (scripts/requirements.txt), for tests and
# benchmarks only. Running it again does nothing unless the list or the Python changed.
#   ASEPSIS_VENV=DIR   where (default .venv in the repository)
set -euo pipefail
cd "$(dirname "$0")/.."

venv="${ASEPSIS_VENV:-$PWD/.venv}"
list=scripts/requirements.txt

say() { printf 'setup_python: %s\n' "$*"; }

command -v python3 >/dev/null 2>&1 || { say 'there is no python3: install it to run the tests that need it'; exit 1; }
stamp="$(python3 --version) $(sha256sum <"$list")"

if [ -f "$venv/asepsis-stamp" ] && [ "$(cat "$venv/asepsis-stamp")" = "$stamp" ] && [ -x "$venv/bin/python" ]; then
    say 'Python environment: there'
    exit 0
fi

# Two runs at once wait for each other; the second then finds the work done.
mkdir -p "$(dirname "$venv")"
exec 9<"$list"
if command -v flock >/dev/null 2>&1; then flock 9; fi
if [ -f "$venv/asepsis-stamp" ] && [ "$(cat "$venv/asepsis-stamp")" = "$stamp" ]; then
    say 'Python environment: made meanwhile'
    exit 0
fi

say "installing $(grep -c '==' "$list") packages"
rm -f "$venv/asepsis-stamp"
python3 -m venv --clear "$venv"
for try in 1 2 3; do
    if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$list"; then
        # Not in one process: both bring the protocol's messages under the same names.
        "$venv/bin/python" -c 'import mlserver, onnxruntime'
        "$venv/bin/python" -c 'import numpy, tritonclient.grpc, tritonclient.http'
        printf '%s\n' "$stamp" >"$venv/asepsis-stamp"
        say done
        exit 0
    fi
    say "pip failed (try $try of 3)"
    sleep $((try * 5))
done
exit 1
