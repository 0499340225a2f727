#!/usr/bin/env bash
# Makes .venv-bench with the systems that Peerkit is measured beside. Says so and goes on when one cannot be had here.
set -uo pipefail
cd "$(dirname "$0")/../.."
wanted=bench/peers/requirements.txt
[ -e .venv-bench/.ready ] && [ .venv-bench/.ready -nt "$wanted" ] && exit 0
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_QUIET=1
echo "bench: installing the peers (libtorrent, py-libp2p) into .venv-bench"
# varint and python-baseconv are published as sources only; they are plain Python.
install() {
    .venv/bin/python -m venv --without-pip .venv-bench &&
        .venv/bin/python -m pip --python .venv-bench install \
            --no-deps --only-binary :all: --no-binary varint,python-baseconv "$@"
}
if install -r "$wanted"; then
    touch .venv-bench/.ready
elif install "$(grep '^libtorrent==' "$wanted")"; then
    echo "bench: py-libp2p cannot be installed here; its rows will be missing" >&2
else
    echo "bench: no peer can be installed here; the rows beside them will be missing" >&2
fi
exit 0
