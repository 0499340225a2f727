"""Lookups among 1,000 whole nodes in one process: virtual time, simulated wire, real handshakes."""

import asyncio
import resource
import sys
import time

from .process import numbers_of
from .row import Row, bounded, floored
from .standstill import Standstill

NODES = 1000
LOOKUPS = 300
LONG_TURN_S = 0.03  # of the loop: most take 0.1 ms, so a longer one had the machine standing still in it


def run(still: Standstill, quick: bool = False) -> list[Row]:
    nodes, lookups = (100, 50) if quick else (NODES, LOOKUPS)
    exact, hops, queried, lookup_s, sessions, memory_mib, processor_s, began_at, ended_at = numbers_of(
        "-m", __name__, str(nodes), str(lookups)
    )
    where = f"{nodes:,} simulated nodes"
    return [
        floored(Row(f"{where}: lookups that found the 20 nearest", "%", (exact * 100,)), 99),
        bounded(Row(f"{where}: hops of a lookup, median", "hops", (hops,)), 4),
        bounded(Row(f"{where}: peers asked in a lookup, median", "peers", (queried,)), 40),
        Row(f"{where}: virtual time of a lookup, median", "s", (lookup_s,)),
        Row(f"{where}: handshakes of a node", "sessions", (sessions,)),
        Row(f"{where}: processor time, without standstill", "s", (processor_s,)),
        bounded(Row(f"{where}: time in all", "s", (still.seconds(began_at, ended_at),)), 180),
        bounded(Row(f"{where}: memory", "MiB", (memory_mib,)), 4096),
    ]


def _measure(nodes: int, lookups: int) -> None:
    from peerkit.testing.virtual_time import VirtualTimeLoop
    from tests.simulation.lookups import measure

    class TimedLoop(VirtualTimeLoop):
        """Adds up the processor time of its turns; a turn that the machine stood still in counts as a mean one."""

        turns = short_turns = 0
        short_s = 0.0

        def _run_once(self) -> None:
            began_at = time.thread_time()
            super()._run_once()
            took_s = time.thread_time() - began_at
            self.turns += 1
            if took_s < LONG_TURN_S:
                self.short_turns += 1
                self.short_s += took_s

    loop = TimedLoop(seed=1)
    began_at = time.monotonic()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        report = runner.run(measure(nodes, lookups))
    ended_at = time.monotonic()
    processor_s = loop.short_s * loop.turns / loop.short_turns
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * (1024 if sys.platform == "darwin" else 1))
    figures = (report.exact, report.hops, report.queried, report.lookup_s, report.sessions)
    print(*figures, peak, processor_s, began_at, ended_at)


if __name__ == "__main__":
    _measure(*map(int, sys.argv[1:]))
