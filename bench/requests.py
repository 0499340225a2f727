"""Small requests: beside bare asyncio streams on the same loop, and beside py-libp2p.

Each value is the best of many short batches.  Where others compute, a longer run says more of them than of the two
that are compared: the same run of bare streams made 480 to 53,000 requests a second.
"""

from contextlib import AbstractContextManager, ExitStack
from statistics import median

from .peers import environment
from .process import numbers_of, serving
from .row import Row, compared
from .standstill import Standstill

BATCHES = 100
ROUNDS = 5
AT_LEAST = {"tcp": 0.6, "udp": 0.5}
AT_LEAST_LIBP2P = 4.0


def run(_: Standstill, quick: bool = False) -> list[Row]:
    batches, rounds = (10, 3) if quick else (BATCHES, ROUNDS)
    rows: list[Row] = []
    ours: list[Row] = []
    for loop in ("asyncio", "uvloop"):
        rates: dict[str, list[float]] = {"streams": [], "tcp": [], "udp": []}
        with ExitStack() as servers:
            # All servers wait while the askers take turns, so that what the machine does meanwhile meets each.
            addresses = {what: servers.enter_context(_server(what, loop)) for what in rates}
            for _round in range(rounds):
                for what, address in addresses.items():
                    rates[what].append(_ask(what, loop, address, batches))
        bare = rates.pop("streams")
        streams = Row(f"64-byte requests, bare streams in clear, {loop}", "1/s", tuple(bare))
        rows.append(streams)
        for scheme, own in rates.items():
            row = Row(f"64-byte requests, peerkit over {scheme.upper()}, {loop}", "1/s", tuple(own))
            ratio = median(mine / theirs for mine, theirs in zip(own, bare, strict=True))
            rows.append(compared(row, streams, AT_LEAST[scheme], ratio))
            ours += [row] if loop == "asyncio" else []
        rows += _cost(loop)
    if environment.has_peer("libp2p"):
        arguments = "-m", "bench.peers.libp2p_echo"
        with serving(*arguments, "serve", python=environment.PYTHON) as address:
            words = "ask", address, str(batches), str(rounds)
            libp2p = Row(
                "64-byte requests, py-libp2p", "1/s", numbers_of(*arguments, *words, python=environment.PYTHON)
            )
        rows += [libp2p, *(compared(own, libp2p, AT_LEAST_LIBP2P) for own in ours)]
    return rows


def _cost(loop: str) -> list[Row]:
    """Both ends in one process: no figure of a user's, but one that can be repeated."""
    bare, *own = numbers_of("-m", "bench.request_cost", loop)
    where = f"64-byte requests, both ends in one process, {loop}"
    streams = Row(f"{where}: bare streams", "µs", (bare,))
    return [
        streams,
        *(
            Row(f"{where}: peerkit over {scheme}", "µs", (cost,), streams.name, bare / cost)
            for scheme, cost in zip(("TCP", "UDP"), own, strict=True)
        ),
    ]


def _server(what: str, loop: str) -> AbstractContextManager[str]:
    return serving("-m", "bench.request_ends", what, "serve", loop)


def _ask(what: str, loop: str, address: str, batches: int) -> float:
    """Requests a second."""
    return numbers_of("-m", "bench.request_ends", what, "ask", loop, address, str(batches))[0]
