"""Small requests: beside bare asyncio streams on the same loop, and beside py-libp2p.

Each value is the best of many short batches.  Where others compute, a longer run says more of them than of the two
that are compared: the same run of bare streams made 480 to 53,000 requests a second.
"""

from contextlib import AbstractContextManager
from statistics import median

from .peers import environment
from .process import numbers_of, serving
from .row import Row, compared
from .standstill import Standstill

BATCHES = 100
ROUNDS = 5
AT_LEAST = 0.6
AT_LEAST_LIBP2P = 4.0


def run(_: Standstill, quick: bool = False) -> list[Row]:
    batches, rounds = (10, 3) if quick else (BATCHES, ROUNDS)
    rows: list[Row] = []
    ours: list[Row] = []
    for loop in ("asyncio", "uvloop"):
        # Both servers wait while the askers take turns, so that what the machine does meanwhile meets both.
        with _server("streams", loop) as port, _server("peerkit", loop) as address:
            pairs = [
                (_ask("streams", loop, port, batches), _ask("peerkit", loop, address, batches)) for _ in range(rounds)
            ]
        streams = Row(f"64-byte requests, bare streams in clear, {loop}", "1/s", tuple(bare for bare, _ in pairs))
        ours.append(Row(f"64-byte requests, peerkit, {loop}", "1/s", tuple(own for _, own in pairs)))
        ratio = median(own / bare for bare, own in pairs)
        rows += [streams, compared(ours[-1], streams, AT_LEAST, ratio), *_cost(loop)]
    if environment.has_peer("libp2p"):
        arguments = "-m", "bench.peers.libp2p_echo"
        with serving(*arguments, "serve", python=environment.PYTHON) as address:
            words = "ask", address, str(batches), str(rounds)
            libp2p = Row(
                "64-byte requests, py-libp2p", "1/s", numbers_of(*arguments, *words, python=environment.PYTHON)
            )
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


def _ask(what: str, loop: str, address: str, batches: int) -> float:
    """Requests a second."""
    return numbers_of("-m", "bench.request_ends", what, "ask", loop, address, str(batches))[0]
