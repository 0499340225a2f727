"""The store: what is here, what changed, what goes.  Keeps index, files, events and announcements in step.

Order of every change: files first, then the row, then the event; for removal the other way round.  So a crash at any
moment leaves at most files that no row names, and `open` sweeps them.
"""

from __future__ import annotations

import mimetypes
import shutil
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from peerkit import PluginContext
from peerkit.capabilities import CONTENT_ROUTING, BlobInfo
from peerkit.errors import LimitExceeded, NotFound, PeerkitError, StorageError, VerificationFailed
from peerkit.event import ContentShared, ContentUnshared

from .content_id import ContentId, ContentKind
from .disk_file import storage_error
from .hashing import RunBlocking
from .holding import Holding, mark_of
from .holdings import Holdings
from .index import MIGRATIONS, Index, Item, Origin, State
from .layout import Layout
from .manifest import Manifest
from .merkle_tree import LEAF_BYTES
from .partial_file import PartialFile
from .scheduler import GROUP_LEAVES
from .settings import WarehouseSettings

MAX_ANNOUNCING = 1024  # keys under way; the routing tells keys that come together in few messages
FOLDER_TYPE = "folder"


class Store:
    """One node's content.  `open` first."""

    def __init__(self, ctx: PluginContext[WarehouseSettings]) -> None:
        self._ctx = ctx
        self.layout = Layout(ctx.data_dir)
        self.index: Index
        self.holdings: Holdings
        self._listing: dict[ContentId, BlobInfo] = {}
        self._used: dict[ContentId, float] = {}
        self._to_announce: deque[tuple[ContentId, bool]] = deque()
        self._announcing = 0
        self._types: mimetypes.MimeTypes

    async def open(self) -> None:
        """Open the database, sweep what a crash left, and load the listing.  Raises `StorageError`."""
        try:
            await self._ctx.run_blocking(self.layout.prepare)
        except OSError as exc:
            raise storage_error(exc, str(self.layout.base)) from exc
        self._types = await self._ctx.run_blocking(mimetypes.MimeTypes)
        self.index = Index(await self._ctx.open_database("warehouse", MIGRATIONS))
        self.holdings = Holdings(self.index, self.layout, self._ctx.run_blocking)
        known = await self.index.roots()
        await self._ctx.run_blocking(lambda: _unlink(self.layout.strays(known)))
        for item in await self.index.select("origin = 0 AND state = 1", order="added_at"):
            self._listing[item.content] = _info(item)
        for item in await self.index.select("origin IN (0, 1) AND state = 1 AND announced = 0"):
            self.announce(item.content, True)

    def close(self) -> None:
        """Close every file.  Idempotent."""
        if hasattr(self, "holdings"):
            self.holdings.close()

    @property
    def run_blocking(self) -> RunBlocking:
        return self._ctx.run_blocking

    def wall(self) -> float:
        return self._ctx.clock.wall()

    # -- what is here --------------------------------------------------------------------------------------------

    def listing(self) -> Sequence[BlobInfo]:
        """What is shared and unchanged, newest first."""
        return tuple(reversed(self._listing.values()))

    def type_of(self, name: str) -> str:
        """The MIME type that a name suggests."""
        return self._types.guess_type(name)[0] or "application/octet-stream"

    async def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """Verified bytes of local content, in pieces of up to 1 MiB.

        Raises:
            NotFound, VerificationFailed.
        """
        content = ContentId.parse(content_id)
        async with self.use(content) as holding:
            end = min(offset + length, holding.size)
            while offset < end:
                first = offset // LEAF_BYTES
                leaves = min(GROUP_LEAVES, -(-end // LEAF_BYTES) - first)
                buffer = bytearray()
                run = await self._ctx.run_blocking(lambda f=first, n=leaves, b=buffer: holding.read_range(f, n, b))  # type: ignore[misc]
                skip = offset - first * LEAF_BYTES
                piece = bytes(run.data[skip : min(run.data.nbytes, end - first * LEAF_BYTES)])
                yield piece
                offset += len(piece)

    @asynccontextmanager
    async def use(self, content: ContentId) -> AsyncIterator[Holding]:
        """Borrow open content for reading; when it turns out to have changed, that is noted.

        Raises:
            NotFound, VerificationFailed.
        """
        try:
            async with self.holdings.use(content) as holding:
                self._used[content] = self.wall()
                yield holding
        except VerificationFailed as exc:
            await self.note_changed(content, str(exc))
            raise

    async def manifest(self, content: ContentId) -> Manifest:
        """The list of a local folder.  Raises `NotFound`, `VerificationFailed`."""
        data = b"".join([piece async for piece in self.read(str(content), 0, 1 << 62)])
        return Manifest.from_bytes(data)

    # -- coming --------------------------------------------------------------------------------------------------

    async def reserve(self, nbytes: int) -> None:
        """Make sure that `nbytes` more fit into the store.

        Raises:
            LimitExceeded: the quota would be exceeded even after collecting.
            StorageError: the disk has not so much room.
        """
        quota = self._ctx.settings.quota_bytes
        if quota:
            used = await self.index.store_bytes()
            if used + nbytes > quota:
                used -= await self.collect(used + nbytes - quota)
            if used + nbytes > quota:
                raise LimitExceeded(
                    f"{nbytes:,} more bytes do not fit into the store's quota of {quota:,} ({used:,} are used):"
                    " remove or unpin something, or raise plugins.warehouse.quota_bytes"
                )
        try:
            free = await self._ctx.run_blocking(lambda: shutil.disk_usage(self.layout.base).free)
        except OSError as exc:
            raise storage_error(exc, str(self.layout.base)) from exc
        if nbytes + self._ctx.settings.reserve_bytes > free:
            raise StorageError(
                f"the disk that holds {self.layout.base} is full: {nbytes:,} bytes are needed and {free:,} are free"
                f" ({self._ctx.settings.reserve_bytes:,} stay in reserve)"
            )

    async def put(self, items: Sequence[Item], members: Sequence[tuple[ContentId, ContentId]] = ()) -> None:
        """Write rows and tell what is newly shared."""
        await self.index.put(items, members)
        for item in items:
            self.holdings.forget(item.content)
            if item.state is not State.COMPLETE:
                continue
            if item.origin is not Origin.MEMBER:
                self.announce(item.content, True)
            if item.origin is Origin.SHARED:
                self._listing.pop(item.content, None)
                self._listing[item.content] = _info(item)
                self._ctx.emit(ContentShared(str(item.content), item.name, item.total, item.type, item.listed))

    async def open_partial(
        self, content: ContentId, kind: ContentKind, size: int, top: bytes, check: bool = True
    ) -> PartialFile:
        """Open or begin a download's file and serve what it has.

        Args:
            check: read and verify what is left of an earlier attempt; `False` when this run did it already.

        Raises:
            StorageError.
        """
        partial = await self._ctx.run_blocking(
            lambda: PartialFile(self.layout.partial, self.layout.outboard(content), content, kind, size, top)
        )
        try:
            claimed = [group for group in range(partial.groups if check else 0) if partial.has_group(group)]
            for at in range(0, len(claimed), GROUP_LEAVES):
                some = claimed[at : at + GROUP_LEAVES]
                for group in await self._ctx.run_blocking(lambda s=some: _wrong_groups(partial, s)):  # type: ignore[misc]
                    partial.forget(group)
        except BaseException:
            partial.close()
            raise
        if partial.groups > 1:
            self.holdings.register(partial)
        return partial

    def close_partial(self, partial: PartialFile) -> None:
        """No more is written to it.  Idempotent."""
        partial.close_journal()
        if partial.groups > 1:
            self.holdings.unregister(partial.content)
        else:
            partial.close()

    # -- going ---------------------------------------------------------------------------------------------------

    async def remove(self, content: ContentId) -> Item:
        """Share no longer.  A file shared by reference stays where it is.

        Raises:
            NotFound: it was not here.
        """
        item = await self.index.get(content)
        if item is None or item.origin is Origin.MEMBER:
            raise NotFound(f"{content} is not shared or kept here")
        gone = await self.index.delete(content)
        self._unlist(item)
        for old in gone:
            self.holdings.unregister(old.content)
            self.holdings.forget(old.content)
        await self._ctx.run_blocking(lambda: _unlink([p for old in gone for p in self._files(old.content)]))
        self.announce(content, False)
        return item

    def _files(self, content: ContentId) -> list[Path]:
        partial = [self.layout.partial / f"{content.root.hex()}.{end}" for end in ("data", "groups")]
        return [self.layout.object(content), self.layout.outboard(content), *partial]

    def _unlist(self, item: Item) -> None:
        if self._listing.pop(item.content, None) is not None:
            self._ctx.emit(ContentUnshared(str(item.content), item.name))

    async def pin(self, content: ContentId, pinned: bool) -> Item:
        """Keep content whatever the collector does, or no longer.  Raises `NotFound`."""
        item = await self.index.get(content)
        if item is None:
            raise NotFound(f"{content} is not shared or kept here")
        await self.index.put([replace(item, pinned=pinned)])
        return item

    async def note_changed(self, content: ContentId, reason: str) -> None:
        """The file behind `content` is not what it was: serve it no longer, until `verify` finds it whole again."""
        item = await self.index.get(content)
        self.holdings.forget(content)
        if item is None or item.state is not State.COMPLETE:
            return
        self._ctx.log.warning("shared file changed", content=content.short, path=str(item.path), reason=reason)
        await self.index.put([item.with_state(State.CHANGED)])
        self._unlist(item)
        self.announce(content, False)

    async def note_whole(self, item: Item) -> None:
        """A changed file is as it was again."""
        path = item.path
        mark = None if path is None else await self._ctx.run_blocking(lambda: mark_of(path))
        await self.put([replace(item, state=State.COMPLETE, mark=mark)])

    async def collect(self, wanted_bytes: int) -> int:
        """Delete fetched content from the store, least recently used first, until `wanted_bytes` are free; what is
        pinned, shared or in use stays.  Returns the bytes freed."""
        await self.flush_used()
        freed = 0
        old = self.wall() - self._ctx.settings.keep_partial_s
        condition = "origin = 1 AND pinned = 0 AND path IS NULL AND (state = 1 OR used_at < ?)"
        for item in await self.index.select(condition, old, order="used_at"):
            if freed >= wanted_bytes:
                break
            if self.holdings.in_use(item.content):
                continue
            before = await self.index.store_bytes()
            await self.remove(item.content)
            freed += before - await self.index.store_bytes()
        return freed

    async def flush_used(self) -> None:
        """Write down when content was last used."""
        used, self._used = self._used, {}
        if used:
            await self.index.touch(list(used.items()))

    # -- announcements -------------------------------------------------------------------------------------------

    def announce(self, content: ContentId, is_provided: bool) -> None:
        """Tell the network (in the background) that we provide content, or no longer do."""
        if self._ctx.find(CONTENT_ROUTING) is None:
            return
        self._to_announce.append((content, is_provided))
        if self._announcing < MAX_ANNOUNCING:
            self._announcing += 1
            self._ctx.spawn(self._announce_all(), "announce")

    async def _announce_all(self) -> None:
        routing = self._ctx.find(CONTENT_ROUTING)
        try:
            while self._to_announce and routing is not None:
                content, is_provided = self._to_announce.popleft()
                try:
                    if is_provided:
                        await routing.provide(content.key)
                        await self.index.set_announced(content)
                    else:
                        await routing.unprovide(content.key)
                except PeerkitError as exc:
                    self._ctx.log.info("not announced", content=content.short, reason=str(exc))
        finally:
            self._announcing -= 1


def _wrong_groups(partial: PartialFile, groups: Sequence[int]) -> list[int]:
    buffer = bytearray(GROUP_LEAVES * LEAF_BYTES)
    return [group for group in groups if not partial.check(group, buffer)]


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _info(item: Item) -> BlobInfo:
    return BlobInfo(str(item.content), item.name, item.total, item.type, item.listed, item.state is State.COMPLETE)
