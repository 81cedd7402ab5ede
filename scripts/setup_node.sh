#!/usr/bin/env bash
# Puts OpenAI's own client for Node where the tests look for it. Running it again does nothing. Needs node and npm (Debian: `apt
# install nodejs npm`); without them it says so, and the tests say that they leave this part out.
#   ASEPSIS_NODE=DIR   where (default .node in the repository)
set -euo pipefail
cd "$(dirname "$0")/.."

root="${ASEPSIS_NODE:-$PWD/.node}"
version=$(sed -n 's/^openai==//p' scripts/requirements-node.txt)

say() { printf 'setup_node: %s\n' "$*"; }

for command in node npm; do
    command -v "$command" >/dev/null 2>&1 || { say "there is no $command: install it to run the tests that need it"; exit 1; }
done
if [ "$(cat "$root/asepsis-stamp" 2>/dev/null || true)" = "$version" ]; then
    say 'there'
    exit 0
fi
mkdir -p "$root"
for try in 1 2 3; do
    if npm install --silent --no-audit --no-fund --no-save --prefix "$root" "openai@$version"; then
        printf '%s\n' "$version" >"$root/asepsis-stamp"
        say "openai $version: done"
        exit 0
    fi
    say "npm failed (try $try of 3)"
    sleep $((try * 5))
done
exit 1
