"""A transfer paced at 100 MB/s over UDP while somebody sends 50,000 forged first packets a second to its receiver.

Three processes on loopback: sender, receiver, and the one that forges, from 64 addresses.  Datagrams of the transfer
have 1,400 bytes.  Transfers with and without the flood take turns, and the best of each is compared.  It takes two idle
cores: a receiver that waits for its turn while the flood fills its buffer loses the transfer's packets too.  The
transport's `tests/test_flood.py` counts what a flood costs in operations and kept state, without a clock.
"""

from contextlib import ExitStack
from dataclasses import dataclass

from .process import numbers_of, serving
from .row import Row, bounded
from .standstill import Standstill

TURNS = 6
SECONDS = 2.0
KEPT = 0.95
MAX_GROWTH_MIB = 4.0  # guess: an allocator's spread over some 100,000 packets, far below what keeping them would take
_ENDS = "-m", "bench.flood_ends"


@dataclass(frozen=True, slots=True)
class Run:
    """Attributes:
    rate: bytes of the transfer a second.
    forged: first packets that the receiver judged a second.
    growth_mib: of the receiver's resident memory in the second half of the transfer.
    """

    rate: float
    forged: float
    growth_mib: float


def run(still: Standstill, quick: bool = False) -> list[Row]:
    turns = 2 if quick else TURNS
    alone: list[Run] = []
    flooded: list[Run] = []
    for _ in range(turns):
        alone.append(_transfer(still, is_flooded=False))
        flooded.append(_transfer(still, is_flooded=True))
    undisturbed = Row("UDP stream paced at 100 MB/s", "MB/s", tuple(done.rate / 1e6 for done in alone))
    kept = max(done.rate for done in flooded) / max(done.rate for done in alone)
    name, aim = "UDP stream paced at 100 MB/s, in a flood of forged first packets", f"≥ {KEPT:g} ×"
    rates = tuple(done.rate / 1e6 for done in flooded)
    growth = Row("… what the receiver's memory grew in it", "MiB", tuple(done.growth_mib for done in flooded))
    return [
        undisturbed,
        Row(name, "MB/s", rates, undisturbed.name, kept, aim, kept >= KEPT),
        Row("… forged first packets judged", "/s", tuple(done.forged for done in flooded)),
        bounded(growth, MAX_GROWTH_MIB),
    ]


def _transfer(still: Standstill, is_flooded: bool) -> Run:
    with ExitStack() as stack:
        address = stack.enter_context(serving(*_ENDS, "serve", "udp://127.0.0.1:0"))
        if is_flooded:
            stack.enter_context(serving(*_ENDS, "flood", address))
        total, began_at, ended_at, judged, growth = numbers_of(*_ENDS, "send", address, str(SECONDS), timeout_s=120)
    seconds = still.seconds(began_at, ended_at)
    return Run(total / seconds, judged / seconds, growth)
