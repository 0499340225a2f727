"""Lookups among 1,000 whole nodes in one process: virtual time, simulated wire, real handshakes."""

import resource
import sys
import time

from .process import numbers_of
from .row import Row, bounded, floored
from .standstill import Standstill

NODES = 1000
LOOKUPS = 300


def run(still: Standstill, quick: bool = False) -> list[Row]:
    nodes, lookups = (100, 50) if quick else (NODES, LOOKUPS)
    exact, hops, queried, lookup_s, sessions, memory_mib, began_at, ended_at = numbers_of(
        "-m", __name__, str(nodes), str(lookups)
    )
    where = f"{nodes:,} simulated nodes"
    return [
        floored(Row(f"{where}: lookups that found the 20 nearest", "%", (exact * 100,)), 99),
        bounded(Row(f"{where}: hops of a lookup, median", "hops", (hops,)), 4),
        bounded(Row(f"{where}: peers asked in a lookup, median", "peers", (queried,)), 40),
        Row(f"{where}: virtual time of a lookup, median", "s", (lookup_s,)),
        Row(f"{where}: handshakes of a node", "sessions", (sessions,)),
        bounded(Row(f"{where}: time in all", "s", (still.seconds(began_at, ended_at),)), 180),
        bounded(Row(f"{where}: memory", "MiB", (memory_mib,)), 4096),
    ]


def _measure(nodes: int, lookups: int) -> None:
    from peerkit.testing import run as run_simulated
    from tests.simulation.lookups import measure

    began_at = time.monotonic()
    report = run_simulated(measure(nodes, lookups), seed=1)
    ended_at = time.monotonic()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * (1024 if sys.platform == "darwin" else 1))
    figures = (report.exact, report.hops, report.queried, report.lookup_s, report.sessions)
    print(*figures, peak, began_at, ended_at)


if __name__ == "__main__":
    _measure(*map(int, sys.argv[1:]))
