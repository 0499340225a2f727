"""Local content opened for reading: whole or in parts, in the store or where its owner keeps it.

Every byte that leaves is compared with its hash first, so a file that was changed behind our back is found out here and
never served.  Blocking: on the disk threads only.
"""

from dataclasses import dataclass
from pathlib import Path

from peerkit.errors import NotFound, VerificationFailed

from .content_id import ContentId, ContentKind
from .disk_file import DiskFile
from .merkle_tree import LEAF_BYTES, hash_leaves, leaf_bytes, leaf_count
from .outboard import Outboard
from .range_set import RangeSet


@dataclass(frozen=True, slots=True)
class FileMark:
    """By what a change of a file is noticed without reading it."""

    size: int
    mtime_ns: int
    inode: int


def mark_of(path: Path) -> FileMark:
    """Raises `OSError`."""
    stat = path.stat()
    return FileMark(stat.st_size, stat.st_mtime_ns, stat.st_ino)


@dataclass(frozen=True, slots=True)
class Range:
    """A run of leaves with all that proves it.  `data` lies in `buffer`, which may hold another run afterwards."""

    siblings: bytes
    leaf_hashes: bytes
    data: memoryview
    buffer: bytearray


class Holding:
    """Attributes:
    held: groups of leaves that are here, as leaf ranges; `None` for all.
    """

    def __init__(
        self,
        content: ContentId,
        kind: ContentKind,
        size: int,
        data: DiskFile,
        outboard: Outboard,
        mark: FileMark | None = None,
        held: RangeSet | None = None,
    ) -> None:
        self.content = content
        self.kind = kind
        self.size = size
        self.leaves = leaf_count(size)
        self.held = held
        self.users = 0
        self._data = data
        self._outboard = outboard
        self._mark = mark

    @property
    def top(self) -> bytes:
        return self._outboard.top

    def has(self, first: int, leaves: int) -> bool:
        """Whether this run is inside the content and here."""
        return first + leaves <= self.leaves and (self.held is None or self.held.covers(first, first + leaves))

    def read_range(self, first: int, leaves: int, buffer: bytearray) -> Range:
        """Verified leaves, in `buffer` or, when that is too small, in a new one.

        Raises:
            NotFound: not held.
            VerificationFailed: the file is not what it was when it was shared.
        """
        if not self.has(first, leaves):
            raise NotFound(f"leaves {first} to {first + leaves} of {self.content.short} are not here")
        length = (leaves - 1) * LEAF_BYTES + leaf_bytes(self.size, first + leaves - 1)
        if len(buffer) < length:
            buffer = bytearray(length)
        view = memoryview(buffer)[:length]
        try:
            self.check_mark()
            got = self._data.read_into(view, first * LEAF_BYTES)
            leaf_hashes = self._outboard.leaf_hashes(first, leaves)
            siblings = self._outboard.siblings(first, leaves)
        except OSError as exc:
            raise VerificationFailed(f"{self._data.path} cannot be read: {exc.strerror or exc}") from exc
        if got != length or hash_leaves(view) != leaf_hashes:
            raise VerificationFailed(f"{self._data.path} changed since it was shared")
        return Range(siblings, leaf_hashes, view, buffer)

    def check_mark(self) -> None:
        """Raises `VerificationFailed` when size, time or inode of a file shared by reference are others now."""
        if self._mark is None:
            return
        stat = self._data.stat()
        if (stat.st_size, stat.st_mtime_ns) != (self._mark.size, self._mark.mtime_ns):
            raise VerificationFailed(f"{self._data.path} changed since it was shared")

    def close(self) -> None:
        """Idempotent."""
        self._data.close()
        self._outboard.close()
