"""The parts of a download: files that are kept, and one that is only verified.

A file of one group is opened, written and closed within one thread hop, so a folder of ten thousand small files needs
no ten thousand open files.  A larger one stays open, and is served to others, until it is whole.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from peerkit.errors import RemoteProtocolError
from peerkit.transport import Buffer

from .content_id import ContentId, ContentKind
from .merkle_tree import LEAF_BYTES, hash_leaves, leaf_bytes, leaf_count
from .partial_file import PartialFile, group_count, prove
from .scheduler import GROUP_LEAVES
from .store import Store


class _Shape:
    """How content falls into groups."""

    def __init__(self, content: ContentId, kind: ContentKind, size: int) -> None:
        self.content = content
        self.kind = kind
        self.size = size
        self.groups = group_count(size)

    def leaf_range(self, group: int) -> tuple[int, int]:
        first = group * GROUP_LEAVES
        return first, min(GROUP_LEAVES, leaf_count(self.size) - first)

    def group_bytes(self, group: int) -> int:
        first, leaves = self.leaf_range(group)
        return (leaves - 1) * LEAF_BYTES + leaf_bytes(self.size, first + leaves - 1)


class FilePart(_Shape):
    """A file that is fetched into the store.

    Attributes:
        top: of its tree, once known.
    """

    def __init__(self, store: Store, content: ContentId, kind: ContentKind, size: int, top: bytes = b"") -> None:
        super().__init__(content, kind, size)
        self.top = top
        self._store = store
        self._file: PartialFile | None = None
        self._held: list[bool] = []  # while no file is open
        self._opening = asyncio.Lock()

    @property
    def data_path(self) -> Path:
        return self._store.layout.partial / f"{self.content.root.hex()}.data"

    async def look(self, keep_open: bool) -> None:
        """Find out what is left of an earlier attempt.  Raises `StorageError`."""
        partial = await self._store.open_partial(self.content, self.kind, self.size, self.top)
        self._file = partial if keep_open and partial.groups > 1 else None
        self._held = [partial.has_group(group) for group in range(partial.groups)] if self._file is None else []
        if self._file is None:
            self.top = partial.outboard.top
            self._store.close_partial(partial)
        else:
            await self.settle()

    def has_group(self, group: int) -> bool:
        if self._file is not None:
            return self._file.has_group(group)
        return bool(self._held) and self._held[group]

    async def open(self) -> None:
        if self.groups == 1 or self._file is not None:
            return
        async with self._opening:
            if self._file is None:
                self._file = await self._store.open_partial(self.content, self.kind, self.size, self.top, check=False)

    def put(self, group: int, siblings: bytes, leaf_hashes: bytes, data: Buffer) -> None:
        if self._file is not None:
            self._file.put(group, siblings, leaf_hashes, data)
            return
        layout = self._store.layout
        partial = PartialFile(
            layout.partial, layout.outboard(self.content), self.content, self.kind, self.size, self.top
        )
        try:
            partial.put(group, siblings, leaf_hashes, data)
            self.top = partial.outboard.top
        finally:
            partial.close()

    def mark(self, group: int) -> None:
        if self._file is None:
            self._held = [True]
        else:
            self._file.mark(group)

    async def settle(self) -> None:
        file = self._file
        if file is not None and not file.left:
            await self._store.run_blocking(file.finish)
            self.top = file.outboard.top
            self._held = [True] * self.groups
            self.close()

    def close(self) -> None:
        """Idempotent."""
        if self._file is not None:
            self._store.close_partial(self._file)
            self._file = None


class ProbePart(_Shape):
    """Content that is fetched, verified and thrown away."""

    def has_group(self, group: int) -> bool:
        return False

    async def open(self) -> None:
        return

    def put(self, group: int, siblings: bytes, leaf_hashes: bytes, data: Buffer) -> None:
        first, _ = self.leaf_range(group)
        prove(self.content, self.kind, self.size, first, siblings, leaf_hashes)
        if len(data) != self.group_bytes(group) or hash_leaves(data) != leaf_hashes:
            raise RemoteProtocolError(f"the data of leaf {first} and after does not match its hashes")

    def mark(self, group: int) -> None:
        return

    async def settle(self) -> None:
        return
