"""One large file from disk to disk over TCP between two processes: Peerkit encrypted, libtorrent in clear.

Both verify every byte; both begin to count when the fetching side, which knows the other's address, begins to connect,
and end when the whole file is verified and given to the system.  Hashing at the source was before.
"""

import filecmp
import time
from collections.abc import Iterator
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
ROUNDS = 3
LIBTORRENT = "-m", "bench.peers.libtorrent_transfer"


def run(still: Standstill, quick: bool = False) -> list[Row]:
    nbytes, rounds = (1 << 26, 2) if quick else (NBYTES, ROUNDS)
    has_libtorrent = environment.has_peer("libtorrent")
    ours: dict[str, list[float]] = {"asyncio": [], "uvloop": []}
    theirs: list[float] = []
    with work_folder() as folder:
        source = random_file(folder / "source", nbytes)
        for i in range(rounds):
            if has_libtorrent:
                settle()
                with serving(*LIBTORRENT, "seed", str(source), python=environment.PYTHON) as line:
                    theirs.append(_libtorrent(still, line, source, folder / f"theirs{i}"))
            for loop, rates in ours.items():
                with _nodes(folder / f"{loop}{i}", source, loop) as (fetcher, link):
                    rates.append(_peerkit(still, fetcher, link, source, folder / f"ours{i}"))
    rows = [Row(f"file of {nbytes >> 20} MiB, peerkit over TCP, {loop}", "MB/s", tuple(r)) for loop, r in ours.items()]
    if not theirs:
        return rows
    libtorrent = Row(f"file of {nbytes >> 20} MiB, libtorrent over TCP in clear", "MB/s", tuple(theirs))
    ratios = [median(own / their for own, their in zip(rates, theirs, strict=True)) for rates in ours.values()]
    return [libtorrent, *(compared(row, libtorrent, 1, ratio) for row, ratio in zip(rows, ratios, strict=True))]


@contextmanager
def _nodes(folder: Path, source: Path, loop: str) -> Iterator[tuple[UpNode, str]]:
    """A node that shares `source` by reference and one that fetches; yields that and the link."""
    settings = f"node.loop={loop}"
    with up(folder / "sharer", settings) as sharer, up(folder / "fetcher", settings) as fetcher:
        yield fetcher, sharer.command("share", str(source))[0]["link"]


def _peerkit(still: Standstill, fetcher: UpNode, link: str, source: Path, target: Path) -> float:
    settle()
    with SyncClient.connect(fetcher.data_dir) as client:
        began_at = time.monotonic()
        client.call("get", id=link, output=str(target))
        seconds = still.seconds(began_at, time.monotonic())
    _check(source, target)
    return source.stat().st_size / seconds / 1e6


def _libtorrent(still: Standstill, line: str, source: Path, folder: Path) -> float:
    port, torrent = line.split(maxsplit=1)
    folder.mkdir()
    settle()
    began_at, ended_at = numbers_of(*LIBTORRENT, "fetch", torrent, port, str(folder), python=environment.PYTHON)
    _check(source, folder / source.name)
    return source.stat().st_size / still.seconds(began_at, ended_at) / 1e6


def _check(source: Path, target: Path) -> None:
    if not filecmp.cmp(source, target, shallow=False):
        raise RuntimeError(f"{target} is not what was sent")
    target.unlink()
