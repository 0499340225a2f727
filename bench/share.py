"""Sharing one large file by reference, beside reading and hashing it with the `blake3` library alone.

They take turns, and the best of each counts: on a shared machine that is the least disturbed.
"""

import time
from pathlib import Path

from peerkit.client import SyncClient

from .process import UpNode, numbers_of, up
from .row import Row, compared
from .standstill import Standstill
from .work_file import random_file, settle, work_folder

NBYTES = 1 << 30
ROUNDS = 12
AT_LEAST = 0.8
ALONE = {
    "one thread": "with open(path, 'rb', 0) as f:\n    while n := f.readinto(b): h.update(m[:n])",
    "all threads": "h = blake3(max_threads=blake3.AUTO).update_mmap(path)",
}
PROGRAM = """
import sys, time
from blake3 import blake3
path, h, b = sys.argv[1], blake3(), bytearray(1 << 20)
m = memoryview(b)
t = time.monotonic()
{}
h.digest()
print(t, time.monotonic())
"""


def run(still: Standstill, quick: bool = False) -> list[Row]:
    nbytes, rounds = (1 << 27, 3) if quick else (NBYTES, ROUNDS)
    ours: list[float] = []
    alone: dict[str, list[float]] = {name: [] for name in ALONE}
    with work_folder() as folder, up(folder / "node") as node:
        source = random_file(folder / "source", nbytes)
        settle()
        for _ in range(rounds):
            for name, program in ALONE.items():
                alone[name].append(
                    nbytes / still.seconds(*numbers_of("-c", PROGRAM.format(program), str(source))) / 1e6
                )
            ours.append(nbytes / _share(still, node, source) / 1e6)
    own = Row(f"share {nbytes >> 20} MiB by reference", "MB/s", tuple(ours))
    one, several = (
        Row(f"read and hash {nbytes >> 20} MiB, blake3 alone, {name}", "MB/s", tuple(rates))
        for name, rates in alone.items()
    )
    return [one, compared(own, one, AT_LEAST, max(ours) / max(one.values)), several]


def _share(still: Standstill, node: UpNode, source: Path) -> float:
    """Seconds of the operation, asked over the control socket; the content is forgotten again."""
    with SyncClient.connect(node.data_dir) as client:
        began_at = time.monotonic()
        client.call("share", paths=[str(source)])
        seconds = still.seconds(began_at, time.monotonic())
        (shared,) = node.command("ls")
        client.call("rm", id=shared["content_id"])
    return seconds
