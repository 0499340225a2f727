#!/usr/bin/env bash
# Makes .venv-bench with the systems that Peerkit is measured beside. Says so and goes on when one cannot be had here.
set -uo pipefail
cd "$(dirname "$0")/../.."
wanted=bench/peers/requirements.txt
hyperdht=hyperdht@6.34.0
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_QUIET=1

# varint and python-baseconv are published as sources only; they are plain Python.
install() {
    .venv/bin/python -m venv --without-pip .venv-bench &&
        .venv/bin/python -m pip --python .venv-bench install \
            --no-deps --only-binary :all: --no-binary varint,python-baseconv "$@"
}

if [ ! -e .venv-bench/.ready ] || [ "$wanted" -nt .venv-bench/.ready ]; then
    echo "bench: installing the peers (libtorrent, py-libp2p, qh3, aioquic) into .venv-bench"
    if install -r "$wanted"; then
        touch .venv-bench/.ready
    elif install "$(grep '^libtorrent==' "$wanted")"; then
        echo "bench: py-libp2p, qh3 and aioquic cannot be installed here; their rows will be missing" >&2
    else
        echo "bench: no peer can be installed here; the rows beside them will be missing" >&2
    fi
fi

if [ ! -e ".venv-bench/.$hyperdht" ]; then
    echo "bench: installing $hyperdht into .venv-bench/node_modules"
    if ! command -v npm >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        { apt-get -qq update && apt-get -qq install -y --no-install-recommends nodejs npm; } >/dev/null
    fi
    if mkdir -p .venv-bench && npm install --silent --no-audit --no-fund --prefix .venv-bench "$hyperdht"; then
        touch ".venv-bench/.$hyperdht"
    else
        echo "bench: hyperdht cannot be installed here; its row will be missing" >&2
    fi
fi
exit 0
