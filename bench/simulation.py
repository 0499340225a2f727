"""Lookups among 1,000 whole nodes in one process: virtual time, simulated wire, real handshakes."""

import resource
import sys
import time

from .process import numbers_of
from .row import Row, bounded, floored

NODES = 1000
LOOKUPS = 300


def run(quick: bool = False) -> list[Row]:
    nodes, lookups = (100, 50) if quick else (NODES, LOOKUPS)
    exact, hops, queried, lookup_s, sessions, cpu_s, reference_s, wall_s, memory_mib = numbers_of(
        "-m", __name__, str(nodes), str(lookups)
    )
    where = f"{nodes:,} simulated nodes"
    return [
        floored(Row(f"{where}: lookups that found the 20 nearest", "%", (exact * 100,)), 99),
        bounded(Row(f"{where}: hops of a lookup, median", "hops", (hops,)), 4),
        bounded(Row(f"{where}: peers asked in a lookup, median", "peers", (queried,)), 40),
        Row(f"{where}: virtual time of a lookup, median", "s", (lookup_s,)),
        Row(f"{where}: handshakes of a node", "sessions", (sessions,)),
        Row(f"{where}: processor time in all", "s", (cpu_s,)),
        Row(f"{where}: the same where 3 M steps of a Python loop take 0.2 s", "s", (reference_s,)),
        bounded(Row(f"{where}: wall time in all", "s", (wall_s,)), 180),
        bounded(Row(f"{where}: memory", "MiB", (memory_mib,)), 4096),
    ]


def _measure(nodes: int, lookups: int) -> None:
    from peerkit.testing import run as run_simulated
    from tests.simulation.lookups import measure

    began_at = time.perf_counter()
    report = run_simulated(measure(nodes, lookups), seed=1)
    wall_s = time.perf_counter() - began_at
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * (1024 if sys.platform == "darwin" else 1))
    figures = (report.exact, report.hops, report.queried, report.lookup_s, report.sessions)
    print(*figures, report.cpu_s, report.reference_s, wall_s, peak)


if __name__ == "__main__":
    _measure(*map(int, sys.argv[1:]))
