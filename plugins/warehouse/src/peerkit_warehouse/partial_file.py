"""A file that is being fetched: data, hashes and a bitmap of the groups that are verified and written.

Written in the order data → hashes → bitmap, so that a bit is set only for what is there; after a kill at any moment at
most the groups whose bits were not written yet come again.  After a loss of power the disk may hold these in any order,
therefore `check` reads everything that the bitmap claims and forgets what does not verify.

Blocking: on the disk threads only.
"""

import threading
from pathlib import Path

from peerkit.errors import RemoteProtocolError, StorageError
from peerkit.transport import Buffer

from .content_id import ContentId, ContentKind
from .disk_file import DiskFile, storage_error
from .merkle_tree import (
    LEAF_BYTES,
    RangeProof,
    content_id,
    fold_range,
    hash_leaves,
    leaf_bytes,
    leaf_count,
)
from .outboard import Outboard
from .range_set import RangeSet
from .scheduler import GROUP_LEAVES

SYNC_BYTES = 64 << 20  # written between two flushes: the last one, which the user waits for, is short


def group_count(size: int) -> int:
    """Groups of a file of `size` bytes; at least one."""
    return -(-leaf_count(size) // GROUP_LEAVES)


class PartialFile:
    """Attributes:
    content, kind, size: what it will be.
    groups: how many it has; `left` are missing.
    held: leaf ranges that are verified and written; changed only by `mark` and `forget`.
    """

    def __init__(
        self, folder: Path, outboard: Path, content: ContentId, kind: ContentKind, size: int, top: bytes
    ) -> None:
        """Open or begin.  The caller has checked kind, size and top against the id; `top` may be empty when unknown.

        Raises:
            StorageError.
        """
        self.content = content
        self.kind = kind
        self.size = size
        self.leaves = leaf_count(size)
        self.groups = group_count(size)
        self.held = RangeSet()
        self.data_path = folder / f"{content.root.hex()}.data"
        self._journal_path = folder / f"{content.root.hex()}.groups"
        self._lock = threading.Lock()
        self._unsynced = 0
        try:
            self.data = DiskFile(self.data_path, write=True, create=True, follow=False)
            self.outboard = Outboard(outboard, self.leaves, top, write=True)
            self._journal = DiskFile(self._journal_path, write=True, create=True) if self.groups > 1 else None
            self._bits = bytearray(self._journal.read(-(-self.groups // 8), 0)) if self._journal else bytearray()
        except OSError as exc:
            raise storage_error(exc, str(self.data_path)) from exc
        self._bits.extend(bytes(-(-self.groups // 8) - len(self._bits)))
        if self._journal is None and self.data.stat().st_size == size:
            self._bits[0] = 1  # one group is its own proof, see `check`
        self.left = self.groups
        for group in range(self.groups):
            if self._bits[group >> 3] >> (group & 7) & 1:
                self.mark(group)

    def mark(self, group: int) -> None:
        """Count a group as held, after `put`; on the event loop's thread, where servers read `held`.  Idempotent."""
        first, leaves = self.leaf_range(group)
        if first not in self.held:
            self.held.add(first, first + leaves)
            self.left -= 1

    def has_group(self, group: int) -> bool:
        return bool(self._bits[group >> 3] >> (group & 7) & 1)

    def leaf_range(self, group: int) -> tuple[int, int]:
        """First leaf and number of leaves of a group."""
        first = group * GROUP_LEAVES
        return first, min(GROUP_LEAVES, self.leaves - first)

    def group_bytes(self, group: int) -> int:
        first, leaves = self.leaf_range(group)
        return (leaves - 1) * LEAF_BYTES + leaf_bytes(self.size, first + leaves - 1)

    def put(self, group: int, siblings: bytes, leaf_hashes: bytes, data: Buffer) -> None:
        """Verify a group and write it.  Nothing is written unless every leaf is right.  `mark` comes after.

        Raises:
            RemoteProtocolError: proof or data are wrong.
            StorageError: the disk failed or is full; what was there before stays good.
        """
        first, leaves = self.leaf_range(group)
        proof = prove(self.content, self.kind, self.size, first, siblings, leaf_hashes)
        if len(data) != self.group_bytes(group) or hash_leaves(data) != leaf_hashes:
            raise RemoteProtocolError(f"the data of leaves {first} to {first + leaves} does not match its hashes")
        self.data.write([data], first * LEAF_BYTES)
        with self._lock:
            self.outboard.top = proof.top
            self.outboard.put_proof(proof)
            self._bits[group >> 3] |= 1 << (group & 7)
            if self._journal is not None:
                self._journal.write([bytes(self._bits[group >> 3 : (group >> 3) + 1])], group >> 3)
            self._unsynced += self.group_bytes(group)
            must_sync, self._unsynced = self._unsynced >= SYNC_BYTES, self._unsynced % SYNC_BYTES
        if must_sync:
            self.data.sync()

    def check(self, group: int, buffer: bytearray) -> bool:
        """Whether a group that the bitmap claims is really there.  When not, `forget` it."""
        first, leaves = self.leaf_range(group)
        length = self.group_bytes(group)
        view = memoryview(buffer)[:length]
        try:
            got = self.data.read_into(view, first * LEAF_BYTES)
            hashes = hash_leaves(view)
            proof = prove(self.content, self.kind, self.size, first, self.outboard.siblings(first, leaves), hashes)
            if self.groups == 1:
                self.outboard.top = proof.top
                self.outboard.put_proof(proof)
        except (RemoteProtocolError, OSError):
            return False
        return got == length

    def forget(self, group: int) -> None:
        """Count a group as missing; the bitmap on disk follows with the next write.  On the event loop's thread."""
        first, leaves = self.leaf_range(group)
        if first in self.held:
            self._bits[group >> 3] &= ~(1 << (group & 7))
            self.held.discard(first, first + leaves)
            self.left += 1

    def finish(self) -> None:
        """Everything is there: make data and hashes last, and forget the bitmap.  Raises `StorageError`."""
        if self.left:
            raise StorageError(f"{self.left} groups of {self.content.short} are missing")
        self.data.sync()
        self.outboard.sync()

    def close_journal(self) -> None:
        """No more `put`; data and hashes may still be read by servers, who close them.  Idempotent."""
        if self._journal is not None:
            self._journal.close()

    def close(self) -> None:
        """Idempotent."""
        self.close_journal()
        self.data.close()
        self.outboard.close()

    def remove(self) -> None:
        """Delete bitmap and data (if the data is still here); the hashes stay.  Idempotent."""
        for path in (self._journal_path, self.data_path):
            path.unlink(missing_ok=True)


def prove(
    content: ContentId, kind: ContentKind, size: int, first: int, siblings: bytes, leaf_hashes: bytes
) -> RangeProof:
    """Check a range's hashes against the content id.

    Raises:
        RemoteProtocolError: they do not lead to it.
    """
    proof = fold_range(leaf_count(size), first, leaf_hashes, siblings)
    if content_id(kind, size, proof.top) != content:
        raise RemoteProtocolError(f"the proof of leaf {first} does not lead to {content.short}")
    return proof
