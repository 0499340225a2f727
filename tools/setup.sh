#!/usr/bin/env bash
# Makes .venv: pip, the build back end, what the tests need, and every package of ours, editable.
# Usage: tools/setup.sh [PYTHON]. Without PYTHON an existing .venv is kept, else it is made with python3.
set -euo pipefail
cd "$(dirname "$0")/.."
# Byte code is made when a module is first imported: most of what is installed never is.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=constraints.txt PIP_ONLY_BINARY=:all: PIP_NO_COMPILE=1 PIP_QUIET=1

venv_version() { .venv/bin/python -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null || true; }

python=${1:-}
if [ -z "$python" ] && [ -n "$(venv_version)" ]; then
    python=.venv/bin/python
fi
python=${python:-python3}
version=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")') || {
    echo "setup: $python does not run; name a Python 3.11 or newer: make setup PYTHON=python3.12" >&2
    exit 1
}
case $version in
3.1[1-9] | 3.[2-9][0-9]) ;;
*)
    echo "setup: $python is Python $version, Peerkit needs 3.11 or newer: make setup PYTHON=python3.12" >&2
    exit 1
    ;;
esac

if [ "$(venv_version)" != "$version" ]; then
    rm -rf .venv
    # A bare environment is filled by a pip that is there already: quicker than ensurepip, which stock Debian lacks.
    "$python" -m venv --without-pip .venv
    if "$python" -m pip --version >/dev/null 2>&1; then
        outer=("$python" -m pip)
    elif pip --version >/dev/null 2>&1; then
        outer=(pip)
    else
        outer=()
        .venv/bin/python -m ensurepip >/dev/null 2>&1 || {
            echo "setup: no pip found; on Debian: apt-get install python3-pip" >&2
            exit 1
        }
    fi
    if [ ${#outer[@]} -gt 0 ]; then
        "${outer[@]}" --python .venv/bin/python install pip
    fi
fi

pip=(.venv/bin/python -m pip)
"${pip[@]}" install pip hatchling editables
editable=(-e . -e ./kernel)
for project in plugins/*/pyproject.toml; do
    editable+=(-e "./${project%/pyproject.toml}")
done
# Without build isolation and in one command: seconds, where one environment per package takes half a minute.
"${pip[@]}" install --no-build-isolation --group test "${editable[@]}"
touch .venv/.ready
echo "ready: .venv with Python $version"
