#!/bin/sh
# Makes the virtualenv .venv with the pinned dependencies and this package, editable. Run it from the repository root.
#
# PYTHON names the interpreter (default: python3); it has to be 3.11 or later. Exit codes: 0 ready, 1 not ready.
set -eu

PYTHON=${PYTHON:-python3}

fail() { echo "python: $*" >&2; exit 1; }

is_fit() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

has_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }

install_from_debian() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "$PYTHON with venv and pip is needed, 3.11 or later: on Debian, apt-get install python3-venv"
    fi
    echo "python: installing python3-venv"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3-venv >/dev/null || fail "apt-get could not; see above"
}

if ! is_fit .venv/bin/python || ! [ -x .venv/bin/pip ]; then
    if ! command -v "$PYTHON" >/dev/null || ! has_venv; then install_from_debian; fi
    is_fit "$PYTHON" || fail "$PYTHON is older than 3.11; set PYTHON to a newer one"
    "$PYTHON" -m venv --clear .venv
fi
echo "python: installing the pinned dependencies into .venv"
export PIP_DISABLE_PIP_VERSION_CHECK=1
.venv/bin/pip install --quiet --constraint constraints.txt setuptools
.venv/bin/pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]' \
    --config-settings editable_mode=compat # a plain path: setuptools' finder costs each start 18 ms
