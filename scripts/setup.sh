#!/usr/bin/env bash
# Installs what the tests and benchmarks use beside cargo: a browser (console tests), a plain proxy (benchmark), and a
# Python environment with the field's own clients and servers (scripts/setup_python.sh). Running it again does nothing.
# The program itself needs none of this. Without root it says what is missing and goes on: the tests that need it say so.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

# command, Debian package, what for
wanted() {
    cat <<'LIST'
chromium chromium tests of the console in a real browser
chromedriver chromium-driver the browser's remote control
nginx nginx-light the plain proxy that the benchmarks compare with
softhsm2-util softhsm2 a key device in software, for tests of keys in devices
LIST
}

missing_packages() {
    while read -r command package _; do
        command -v "$command" >/dev/null 2>&1 || [ -x "/usr/sbin/$command" ] || printf '%s\n' "$package"
    done < <(wanted)
    # venv is a module, not a command; ensurepip is the part that Debian packs apart.
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || printf '%s\n' python3-venv
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }
}

# Package mirrors fail now and then; three tries, and a fourth would not help.
apt() {
    local try
    for try in 1 2 3; do
        if as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 -qq "$@" </dev/null >/dev/null; then
            return 0
        fi
        say "apt-get $1 failed (try $try of 3)"
        sleep $((try * 5))
    done
    return 1
}

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" = 0 ]; then
    say 'system packages: all there'
elif can_install; then
    say "installing ${packages[*]}"
    # A package that starts a server on installation must not: nothing here listens unless a test starts it.
    if [ "$(id -u)" = 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    if ! { apt update && apt install --no-install-recommends "${packages[@]}"; }; then
        say "could not install ${packages[*]}: the tests that need them will say so"
    fi
else
    say "not root, and these are missing: ${packages[*]} (the tests that need them will say so)"
fi

if [ -f scripts/setup_python.sh ]; then
    if ! bash scripts/setup_python.sh; then
        say 'no Python environment: the tests with tritonclient and MLServer will say so'
    fi
fi
say done
