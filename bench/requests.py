"""Small requests: beside bare asyncio streams on the same loop, and beside py-libp2p."""

from .peers.environment import has_peers
from .process import PEERS_PYTHON, output_of, serving
from .row import Row, compared


def run() -> list[Row]:
    rows: list[Row] = []
    best: Row | None = None
    for loop in ("asyncio", "uvloop"):
        streams, ours = _measure("streams", loop), _measure("peerkit", loop)
        rows += [streams, compared(ours, streams, 0.6)]
        best = best or ours
    if best is not None and has_peers():
        with serving("-m", "bench.peers.libp2p_echo", "serve", python=str(PEERS_PYTHON)) as address:
            text = output_of("-m", "bench.peers.libp2p_echo", "ask", address, python=str(PEERS_PYTHON))
        libp2p = Row("64-byte requests, py-libp2p", "1/s", tuple(float(word) for word in text.split()))
        rows += [libp2p, compared(best, libp2p, 4)]
    return rows


def _measure(what: str, loop: str) -> Row:
    with serving("-m", "bench.request_ends", what, "serve", loop) as address:
        text = output_of("-m", "bench.request_ends", what, "ask", loop, address)
    name = "bare streams in clear" if what == "streams" else "peerkit"
    return Row(f"64-byte requests, {name}, {loop}", "1/s", tuple(float(word) for word in text.split()))
