"""One large file from disk to disk between two processes: Peerkit encrypted over TCP and UDP, libtorrent in clear.

Libtorrent over TCP stands beside both; beside libtorrent over uTP, its own UDP, a smaller file goes over Peerkit's.

Both verify every byte; both begin to count when the fetching side, which knows the other's address, begins to connect,
and end when the whole file is verified and given to the system.  Hashing at the source was before.
"""

import filecmp
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from peerkit.client import SyncClient

from .peers import environment
from .process import UpNode, numbers_of, serving, up
from .row import Row, compared
from .standstill import Standstill
from .work_file import random_file, settle, work_folder

NBYTES = 1 << 30
UTP_NBYTES = 1 << 27  # it is slow
ROUNDS = 3
WAYS = ("tcp", "asyncio"), ("tcp", "uvloop"), ("udp", "asyncio"), ("udp", "uvloop")
AT_LEAST_UTP = 10.0
LIBTORRENT = "-m", "bench.peers.libtorrent_transfer"


def run(still: Standstill, quick: bool = False) -> list[Row]:
    nbytes, utp_nbytes, rounds = (1 << 26, 1 << 24, 2) if quick else (NBYTES, UTP_NBYTES, ROUNDS)
    with work_folder() as folder:
        source = random_file(folder / "source", nbytes)
        rows = _compared(still, source, "TCP", WAYS, 1, rounds)
        source.unlink()
        if environment.has_peer("libtorrent"):
            source = random_file(folder / "source", utp_nbytes)
            rows += _compared(still, source, "uTP", (("udp", "asyncio"),), AT_LEAST_UTP, rounds)
    return rows


def _compared(
    still: Standstill, source: Path, theirs: str, ways: Sequence[tuple[str, str]], aim: float, rounds: int
) -> list[Row]:
    """Libtorrent over `theirs`, and beside it each of our ways (transport and loop)."""
    has_libtorrent = environment.has_peer("libtorrent")
    mib = source.stat().st_size >> 20
    their_rates: list[float] = []
    our_rates: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for i in range(rounds):
        if has_libtorrent:
            settle()
            with serving(*LIBTORRENT, "seed", theirs, str(source), python=environment.PYTHON) as line:
                their_rates.append(_libtorrent(still, line, theirs, source, source.with_name(f"theirs{theirs}{i}")))
        for (scheme, loop), rates in our_rates.items():
            nodes = source.with_name(f"{scheme}{loop}{i}{mib}")
            with _nodes(nodes, source, scheme, loop) as (fetcher, link):
                rates.append(_peerkit(still, fetcher, link, source, source.with_name("ours")))
    rows = [
        Row(f"file of {mib} MiB, peerkit over {scheme.upper()}, {loop}", "MB/s", tuple(rates))
        for (scheme, loop), rates in our_rates.items()
    ]
    if not their_rates:
        return rows
    libtorrent = Row(f"file of {mib} MiB, libtorrent over {theirs} in clear", "MB/s", tuple(their_rates))
    ratios = [
        median(own / their for own, their in zip(rates, their_rates, strict=True)) for rates in our_rates.values()
    ]
    return [libtorrent, *(compared(row, libtorrent, aim, ratio) for row, ratio in zip(rows, ratios, strict=True))]


@contextmanager
def _nodes(folder: Path, source: Path, scheme: str, loop: str) -> Iterator[tuple[UpNode, str]]:
    """A node that shares `source` by reference and one that fetches; yields that and the link."""
    settings = f"node.loop={loop}", f'node.listen=["{scheme}://127.0.0.1:0"]'
    with up(folder / "sharer", *settings) as sharer, up(folder / "fetcher", *settings) as fetcher:
        yield fetcher, sharer.command("share", str(source))[0]["link"]


def _peerkit(still: Standstill, fetcher: UpNode, link: str, source: Path, target: Path) -> float:
    settle()
    with SyncClient.connect(fetcher.data_dir) as client:
        began_at = time.monotonic()
        client.call("get", id=link, output=str(target))
        seconds = still.seconds(began_at, time.monotonic())
    _check(source, target)
    return source.stat().st_size / seconds / 1e6


def _libtorrent(still: Standstill, line: str, way: str, source: Path, folder: Path) -> float:
    port, torrent = line.split(maxsplit=1)
    folder.mkdir()
    settle()
    began_at, ended_at = numbers_of(*LIBTORRENT, "fetch", way, torrent, port, str(folder), python=environment.PYTHON)
    _check(source, folder / source.name)
    return source.stat().st_size / still.seconds(began_at, ended_at) / 1e6


def _check(source: Path, target: Path) -> None:
    if not filecmp.cmp(source, target, shallow=False):
        raise RuntimeError(f"{target} is not what was sent")
    target.unlink()
