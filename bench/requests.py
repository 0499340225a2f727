"""Small requests: beside bare asyncio streams on the same loop, and beside py-libp2p."""

from contextlib import AbstractContextManager
from statistics import median

from .peers import environment
from .process import numbers_of, serving
from .row import Row, compared

REQUESTS = 4000
ROUNDS = 5
AT_LEAST = 0.6
AT_LEAST_LIBP2P = 4.0


def run(quick: bool = False) -> list[Row]:
    count, rounds = (500, 3) if quick else (REQUESTS, ROUNDS)
    rows: list[Row] = []
    ours: list[Row] = []
    for loop in ("asyncio", "uvloop"):
        # Both servers wait while the askers take turns, so that what the machine does meanwhile meets both.
        with _server("streams", loop) as port, _server("peerkit", loop) as address:
            pairs = [(_ask("streams", loop, port, count), _ask("peerkit", loop, address, count)) for _ in range(rounds)]
        streams = Row(f"64-byte requests, bare streams in clear, {loop}", "1/s", tuple(bare for bare, _ in pairs))
        ours.append(Row(f"64-byte requests, peerkit, {loop}", "1/s", tuple(own for _, own in pairs)))
        ratio = median(own / bare for bare, own in pairs)
        rows += [streams, compared(ours[-1], streams, AT_LEAST, ratio), *_cost(loop)]
    if environment.has_peer("libp2p"):
        arguments = "-m", "bench.peers.libp2p_echo"
        with serving(*arguments, "serve", python=environment.PYTHON) as address:
            rates = numbers_of(*arguments, "ask", address, str(count // 4), str(rounds), python=environment.PYTHON)
        libp2p = Row("64-byte requests, py-libp2p", "1/s", rates)
        rows += [libp2p, compared(ours[0], libp2p, AT_LEAST_LIBP2P)]
    return rows


def _cost(loop: str) -> list[Row]:
    """Both ends in one process: no figure of a user's, but one that can be repeated."""
    bare, own = numbers_of("-m", "bench.request_cost", loop)
    where = f"64-byte requests, both ends in one process, {loop}"
    streams = Row(f"{where}: bare streams", "µs", (bare,))
    return [streams, Row(f"{where}: peerkit", "µs", (own,), streams.name, bare / own)]


def _server(what: str, loop: str) -> AbstractContextManager[str]:
    return serving("-m", "bench.request_ends", what, "serve", loop)


def _ask(what: str, loop: str, address: str, count: int) -> float:
    """Requests a second."""
    return numbers_of("-m", "bench.request_ends", what, "ask", loop, address, str(count))[0]
