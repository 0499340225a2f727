"""One long stream over UDP on loopback, beside a bare loop with the same cipher, QUIC libraries and hyperdht.

Datagrams of 1,400 bytes, encrypted, two processes.  All take turns; each run has eight laps, of which the best counts,
and a ratio is that of the best runs: so the figures stand where others compute.  `stock` and `raised` tell the
receive buffer: 208 KiB, which Linux grants unless told, and 4 MiB, which peerkit asks for (as much of it as
`net.core.rmem_max` allows).  The others' buffers are raised too, but hyperdht's, which has its own.

Processor seconds are those of the cheapest lap.  `by processor` compares what the busier end of each needs of its own
core: no figure of a user's, but it does not depend on who else computes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from .laps import PER_RUN
from .peers import environment
from .process import numbers_of, serving
from .row import Row, compared
from .standstill import Standstill
from .udp_ends import DATAGRAM_BYTES

MIB = 1 << 20
TURNS = 7
AT_LEAST_LOOP = 0.7
PEERS = {"qh3": (16 * MIB, 5.0), "aioquic": (4 * MIB, 20.0), "hyperdht": (128 * MIB, 2.0)}  # bytes; aim
OURS = 128 * MIB
BUFFERS = "stock", "raised"
_ENDS = "-m", "bench.udp_ends"


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes a second; processor seconds per GiB of the sender and the receiver."""

    rate: float
    send_cpu_s: float
    receive_cpu_s: float


def run(_: Standstill, quick: bool = False) -> list[Row]:
    turns, ours = (2, OURS // 2) if quick else (TURNS, OURS)
    runs: dict[str, list[Run]] = {}
    theirs: dict[str, list[float]] = {}
    has = {name: environment.has_peer(name) for name in ("qh3", "aioquic")}
    has["hyperdht"] = environment.has_node_peer("hyperdht")
    for _turn in range(turns):
        for buffer in BUFFERS:
            for what in ("loop", "peerkit"):
                runs.setdefault(f"{what} {buffer}", []).append(_own(what, ours, buffer))
        for name, (nbytes, _aim) in PEERS.items():
            if has[name]:
                theirs.setdefault(name, []).append(_theirs(name, nbytes))
    return [*_beside_loop(runs), *_beside_peers(runs, theirs)]


def _beside_loop(runs: dict[str, list[Run]]) -> list[Row]:
    rows = []
    for buffer in BUFFERS:
        loops, owns = runs[f"loop {buffer}"], runs[f"peerkit {buffer}"]
        loop = _rates(f"UDP stream, bare loop, same cipher, {buffer} buffer", loops)
        own = _rates(f"UDP stream, peerkit, {buffer} buffer", owns)
        rows += [loop, compared(own, loop, AT_LEAST_LOOP, max(own.values) / max(loop.values))]
        rows += _by_processor(buffer, loops, owns)
    return rows


def _by_processor(buffer: str, loops: list[Run], owns: list[Run]) -> list[Row]:
    rows: list[Row] = []
    busier: list[float] = []
    for name, runs in (("bare loop", loops), ("peerkit", owns)):
        ends = {"sender": [run.send_cpu_s for run in runs], "receiver": [run.receive_cpu_s for run in runs]}
        busier.append(max(min(costs) for costs in ends.values()))
        rows += [
            Row(f"UDP stream, {name}, {buffer} buffer: processor of the {end}", "s/GiB", (min(costs),))
            for end, costs in ends.items()
        ]
    loop, own = (
        Row(f"UDP stream, {name}, {buffer} buffer, by processor", "MB/s", ((1 << 30) / cpu_s / 1e6,))
        for name, cpu_s in zip(("bare loop", "peerkit"), busier, strict=True)
    )
    return [*rows, loop, compared(own, loop, AT_LEAST_LOOP)]


def _beside_peers(runs: dict[str, list[Run]], theirs: dict[str, list[float]]) -> list[Row]:
    own = _rates("UDP stream, peerkit", runs["peerkit raised"])
    rows = []
    for name, rates in theirs.items():
        their = Row(f"UDP stream, {name}", "MB/s", tuple(rate / 1e6 for rate in rates))
        aim = PEERS[name][1]
        rows += [their, compared(own, their, aim, max(own.values) / max(their.values))]
    return rows


def _rates(name: str, runs: list[Run]) -> Row:
    return Row(name, "MB/s", tuple(done.rate / 1e6 for done in runs))


def _own(what: str, nbytes: int, buffer: str) -> Run:
    """`what`: `peerkit` or `loop`."""
    words = str(nbytes), buffer, json.dumps({"max_datagram_bytes": DATAGRAM_BYTES})
    with serving(*_ENDS, what, "serve", "udp://127.0.0.1:0", *words) as address:
        total, _, _, lap_s, *cpu_s, _ = numbers_of(*_ENDS, what, "send", address, *words)
    _check(total, nbytes)
    return Run(nbytes / PER_RUN / lap_s, *(seconds * PER_RUN * (1 << 30) / nbytes for seconds in cpu_s))


def _theirs(name: str, nbytes: int) -> float:
    """Bytes a second."""
    ends: tuple[str, ...]
    if name == "hyperdht":
        ends, python = (str(Path(environment.__file__).with_name("hyperdht_bulk.js")),), Path("node")
    else:
        ends, python = ("-m", "bench.peers.quic_bulk", name), environment.PYTHON
    with serving(*ends, "serve", str(nbytes), python=python) as line:
        total, lap_s = numbers_of(*ends, "send", str(nbytes), *line.split(), python=python)
    _check(total, nbytes)
    return nbytes / PER_RUN / lap_s


def _check(total: float, nbytes: int) -> None:
    if total < nbytes:
        raise RuntimeError(f"{total:.0f} of {nbytes} bytes arrived")
