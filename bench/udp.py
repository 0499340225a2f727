"""One long stream over UDP on loopback, beside a bare loop with the same cipher, QUIC libraries and hyperdht.

Datagrams of 1,400 bytes, encrypted, two processes.  All take turns; a run lasts about a second, so that some runs of
each pass undisturbed, and a ratio is that of the best.  `stock` and `raised` tell the receive buffer: 208 KiB, which
Linux grants unless told, and 4 MiB, which peerkit asks for (as much of it as `net.core.rmem_max` allows).  The others'
buffers are raised too, but hyperdht's, which has its own.

Processor seconds are those of the cheapest run.  They count what the machine stood still while a process ran, so they
are cut by the same share as the time.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from .peers import environment
from .process import numbers_of, serving
from .row import Row, compared
from .standstill import Standstill
from .udp_ends import DATAGRAM_BYTES

MIB = 1 << 20
TURNS = 9
AT_LEAST_LOOP = 0.7
QUIC = {"qh3": (16 * MIB, 5.0), "aioquic": (4 * MIB, 20.0)}  # bytes of a run, and the aim
HYPERDHT = 64 * MIB, 2.0
OURS = 128 * MIB
BUFFERS = "stock", "raised"
_ENDS = "-m", "bench.udp_ends"
_QUIC_ENDS = "-m", "bench.peers.quic_bulk"
_HYPERDHT_ENDS = str(Path(environment.__file__).with_name("hyperdht_bulk.js"))


@dataclass(frozen=True, slots=True)
class Run:
    """Rate in bytes a second; processor seconds per GiB of the sender and the receiver."""

    rate: float
    send_cpu_s: float = 0.0
    receive_cpu_s: float = 0.0
    key_updates: int = 0


def run(still: Standstill, quick: bool = False) -> list[Row]:
    turns, ours = (2, OURS // 4) if quick else (TURNS, OURS)
    runs: dict[str, list[Run]] = {}

    def note(name: str, done: Run) -> None:
        runs.setdefault(name, []).append(done)

    for _ in range(turns):
        for buffer in BUFFERS:
            note(f"loop {buffer}", own_run(still, "loop", ours, buffer))
            note(f"peerkit {buffer}", own_run(still, "peerkit", ours, buffer, max_datagram_bytes=DATAGRAM_BYTES))
        for library, (nbytes, _) in QUIC.items():
            if environment.has_peer(library):
                note(library, _quic(still, library, nbytes))
        if environment.has_node_peer("hyperdht"):
            note("hyperdht", _hyperdht(still, HYPERDHT[0]))
    return [*_beside_loop(runs), *_beside_peers(runs)]


def _beside_loop(runs: dict[str, list[Run]]) -> list[Row]:
    rows = []
    for buffer in BUFFERS:
        loop = _rates(f"UDP stream, bare loop, same cipher, {buffer} buffer", runs[f"loop {buffer}"])
        own = _rates(f"UDP stream, peerkit, {buffer} buffer", runs[f"peerkit {buffer}"])
        rows += [loop, compared(own, loop, AT_LEAST_LOOP, max(own.values) / max(loop.values))]
        for end, costs in (
            ("sender", [done.send_cpu_s for done in runs[f"peerkit {buffer}"]]),
            ("receiver", [done.receive_cpu_s for done in runs[f"peerkit {buffer}"]]),
        ):
            rows.append(Row(f"UDP stream, peerkit, {buffer} buffer: processor of the {end}", "s/GiB", (min(costs),)))
    return rows


def _beside_peers(runs: dict[str, list[Run]]) -> list[Row]:
    own = _rates("UDP stream, peerkit", runs["peerkit raised"])
    rows = []
    for name, aim in {**{name: aim for name, (_, aim) in QUIC.items()}, "hyperdht": HYPERDHT[1]}.items():
        if name in runs:
            their = _rates(f"UDP stream, {name}", runs[name])
            rows += [their, compared(own, their, aim, max(own.values) / max(their.values))]
    return rows


def _rates(name: str, runs: list[Run]) -> Row:
    return Row(name, "MB/s", tuple(done.rate / 1e6 for done in runs))


def own_run(still: Standstill, what: str, nbytes: int, buffer: str, **settings: object) -> Run:
    """Args:
    what: `peerkit` or `loop`.
    settings: for `[plugins.transport_udp]`.
    """
    words = str(nbytes), buffer, json.dumps(settings)
    with serving(*_ENDS, what, "serve", "udp://127.0.0.1:0", *words) as address:
        numbers = numbers_of(*_ENDS, what, "send", address, *words, timeout_s=3_600)
    total, began_at, ended_at, send_cpu_s, receive_cpu_s, key_updates = numbers
    if total < nbytes:
        raise RuntimeError(f"{what} says that {total:.0f} of {nbytes} bytes arrived")
    seconds = still.seconds(began_at, ended_at)
    per_gib = seconds / (ended_at - began_at) * (1 << 30) / total
    return Run(total / seconds, send_cpu_s * per_gib, receive_cpu_s * per_gib, int(key_updates))


def _quic(still: Standstill, library: str, nbytes: int) -> Run:
    with serving(*_QUIC_ENDS, library, "serve", python=environment.PYTHON) as port:
        words = library, "send", port, str(nbytes)
        return _their_run(still, nbytes, numbers_of(*_QUIC_ENDS, *words, python=environment.PYTHON))


def _hyperdht(still: Standstill, nbytes: int) -> Run:
    with serving(_HYPERDHT_ENDS, "serve", python="node") as line:
        return _their_run(still, nbytes, numbers_of(_HYPERDHT_ENDS, "send", *line.split(), str(nbytes), python="node"))


def _their_run(still: Standstill, nbytes: int, numbers: tuple[float, ...]) -> Run:
    total, began_at, ended_at = numbers
    if total != nbytes:
        raise RuntimeError(f"{total:.0f} of {nbytes} bytes arrived")
    return Run(total / still.seconds(began_at, ended_at))
