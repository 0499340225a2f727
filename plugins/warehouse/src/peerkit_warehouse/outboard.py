"""The hashes of one file on disk: every level of its Merkle tree, flat, bottom up.

    level 0 (all leaf hashes) ‖ level 1 ‖ … ‖ top        ≈ 1/1,024 of the file's size

An odd last node stands in its level and again in the next, so that every node is at a place that only its level and
index decide.  Content of one leaf has no outboard: its top is its leaf's hash.  While a file is fetched the outboard
is sparse; what is known is always enough to prove every leaf that is held.

Blocking: on the disk threads only.  Memory stays constant whatever the size.
"""

from pathlib import Path

from .disk_file import DiskFile
from .merkle_tree import HASH_BYTES, RangeProof, hash_level, level_widths, proof_positions

_BLOCK = 1 << 20  # of hashes at a time: 64 Ki leaves


class Outboard:
    """Attributes:
    leaves: of the file.
    """

    def __init__(self, path: Path, leaves: int, top: bytes, write: bool = False) -> None:
        """Open (with `write` make) the outboard of a file of `leaves` leaves.  Raises `OSError`."""
        self.leaves = leaves
        self.top = top
        self._offsets: list[int] = []
        at = 0
        for width in level_widths(leaves):
            self._offsets.append(at)
            at += width * HASH_BYTES
        self._file = DiskFile(path, write=write, create=write) if leaves > 1 else None

    def hashes(self, level: int, first: int, count: int) -> bytes:
        """A run of hashes of one level."""
        if self._file is None:
            return self.top
        return self._file.read(count * HASH_BYTES, self._offsets[level] + first * HASH_BYTES)

    def leaf_hashes(self, first: int, count: int) -> bytes:
        return self.hashes(0, first, count)

    def siblings(self, first: int, count: int) -> bytes:
        """The proof of a range of leaves."""
        return b"".join(self.hashes(level, index, 1) for level, index in proof_positions(self.leaves, first, count))

    def put(self, level: int, first: int, hashes: bytes) -> None:
        """Keep a run of hashes that is known to be true.  Raises `StorageError`."""
        if self._file is not None:
            self._file.write([hashes], self._offsets[level] + first * HASH_BYTES)

    def put_proof(self, proof: RangeProof) -> None:
        """Keep everything that a verified range told."""
        for run in proof.runs:
            self.put(run.level, run.first, run.hashes)

    def build(self) -> bytes:
        """Compute all levels above the leaves, which are there; returns the top.  Raises `StorageError`."""
        if self._file is None:
            return self.top
        widths = level_widths(self.leaves)
        for level, width in enumerate(widths[:-1]):
            for first in range(0, width, _BLOCK // HASH_BYTES):
                row = self.hashes(level, first, min(_BLOCK // HASH_BYTES, width - first))
                self.put(level + 1, first // 2, hash_level(row))
        self.top = self.hashes(len(widths) - 1, 0, 1)
        return self.top

    def sync(self) -> None:
        if self._file is not None:
            self._file.sync()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
