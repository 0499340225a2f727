"""`get` and `probe`: from a content id or link to a file or folder on this disk.

    here already? ──yes──> copy out, verified
         │ no
    find sources ─> INFO proves kind and size ─> room on the disk? ─> [folder: its manifest] ─> files ─> put in place

A download that ends early (cancelled, killed, no source, full disk) is gone on with by the next `get`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from peerkit import PeerId, PluginContext
from peerkit.errors import RemoteProtocolError, VerificationFailed
from peerkit.session import DialTarget

from .content_id import ContentId, ContentKind
from .download import Download
from .index import Item, Origin, State
from .link import Link
from .manifest import MAX_MANIFEST_BYTES, Manifest
from .merkle_tree import HASH_BYTES
from .parts import FilePart, ProbePart
from .placing import ROWS, Placer
from .settings import WarehouseSettings
from .store import FOLDER_TYPE, Store
from .swarm import Swarm
from .task_errors import single
from .transfer_codec import Info

POLL_S = 0.25
Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a `get` did: where it is, how many peers gave bytes, and how many bytes they gave."""

    content: ContentId
    path: Path
    size: int
    sources: int
    nbytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Probed:
    """What a `probe` measured."""

    peer_id: PeerId
    content: ContentId
    size: int
    seconds: float
    rtt_s: float


class Fetcher:
    """Gets content."""

    def __init__(self, ctx: PluginContext[WarehouseSettings], store: Store) -> None:
        self._ctx = ctx
        self._store = store
        self._placer = Placer(ctx, store)
        self._locks: dict[ContentId, asyncio.Lock] = {}
        self.bytes_received = 0

    async def get(self, link: Link, output: Path | None, force: bool, progress: Progress) -> Fetched:
        """Fetch content and put it at `output` (a folder that exists: into it); `None` keeps it in the store.

        Raises:
            NotFound: nobody who has it could be found, or all went away; what came is kept.
            VerificationFailed: those who have it sent wrong bytes.
            StorageError, LimitExceeded: no room, a file in the way, a disk failure.
            UsageError: the content's own name may not be used.
        """
        lock = self._locks.setdefault(link.content, asyncio.Lock())
        try:
            async with lock:
                return await self._get(link, output, force, progress)
        finally:
            if not lock.locked():
                self._locks.pop(link.content, None)

    async def _get(self, link: Link, output: Path | None, force: bool, progress: Progress) -> Fetched:
        content, begun = link.content, self._ctx.clock.now()
        item = await self._store.index.get(content)
        name = link.name or (item.name if item is not None else "")
        target = None if output is None else await self._placer.target(output, name, content)
        if target is not None and not name:
            name = target.name

        def done(path: Path, size: int, swarm: Swarm | None = None, nbytes: int = 0) -> Fetched:
            used = 0 if swarm is None else len(swarm.used)
            return Fetched(content, path, size, used, nbytes, max(self._ctx.clock.now() - begun, 1e-6))

        if item is not None and item.state is State.COMPLETE:
            try:
                await self._from_store(item, target, force, progress)
                return done(target or self._store.layout.object(content), item.total)
            except VerificationFailed as exc:
                await self._store.note_changed(content, str(exc))
        async with self._swarm(content, link.targets()) as swarm:
            info = await self._first_info(swarm)
            if target is not None:
                if info.kind is ContentKind.FILE and await self._placer.is_there(target, content, info.size):
                    progress(info.size, info.size)
                    return done(target, info.size, swarm)
                await self._placer.refuse_existing(target, info.kind is ContentKind.FOLDER, force)
            if info.kind is ContentKind.FILE:
                row, nbytes = await self._fetch_file(swarm, info, name, target, force, progress)
            else:
                row, nbytes = await self._fetch_folder(swarm, info, name, target, force, progress)
            return done(target or self._store.layout.object(content), row.total, swarm, nbytes)

    async def _from_store(self, item: Item, target: Path | None, force: bool, progress: Progress) -> None:
        """Copy out what is here."""
        if target is not None:
            if item.kind is ContentKind.FOLDER:
                await self._placer.refuse_existing(target, True, force)
                manifest = await self._store.manifest(item.content)
                members = {m.content: m for m in await self._store.index.members(item.content)}
                if any(m.state is not State.COMPLETE for m in members.values()):
                    raise VerificationFailed(f"files of the folder {item.name} changed")
                await self._placer.folder(item, manifest, (), members, target, force)
            elif not await self._placer.is_there(target, item.content, item.size):
                await self._placer.refuse_existing(target, False, force)
                await self._placer.file_from_store(item, target, force)
        progress(item.total, item.total)

    async def _fetch_file(
        self, swarm: Swarm, info: Info, name: str, target: Path | None, force: bool, progress: Progress
    ) -> tuple[Item, int]:
        row = await self._begin(swarm.content, info, name, info.size, self._store.type_of(name))
        part = FilePart(self._store, swarm.content, info.kind, info.size, info.top)
        try:
            nbytes = await self._download(swarm, [part], progress, keep_open=True)
            await self._placer.fetched_file(part, row, target, force)
        finally:
            part.close()
        return row, nbytes

    async def _fetch_folder(
        self, swarm: Swarm, info: Info, name: str, target: Path | None, force: bool, progress: Progress
    ) -> tuple[Item, int]:
        if info.size > MAX_MANIFEST_BYTES:
            raise VerificationFailed(f"the list of files of {swarm.content} has {info.size:,} bytes, more than 16 MiB")
        row = await self._begin(swarm.content, info, name, info.size, FOLDER_TYPE)
        listing = FilePart(self._store, swarm.content, info.kind, info.size, info.top)
        try:
            await self._download(swarm, [listing], lambda _a, _b: None, keep_open=True)
        finally:
            listing.close()
        path = listing.data_path
        data = await self._ctx.run_blocking(path.read_bytes)
        try:
            manifest = Manifest.from_bytes(data)
        except RemoteProtocolError as exc:
            raise VerificationFailed(f"{swarm.content} is no folder that can be kept here: {exc}") from exc
        row = replace(row, total=manifest.total_bytes)
        members, missing = await self._begin_members(row, manifest)
        parts = [FilePart(self._store, m.content, m.kind, m.size) for m in missing]
        try:
            nbytes = await self._download(swarm, parts, progress, keep_open=False)
            layout = self._store.layout
            await self._ctx.run_blocking(lambda: path.replace(layout.object(row.content)))
            await self._placer.folder(row, manifest, parts, members, target, force)
        finally:
            for part in parts:
                part.close()
        return row, nbytes

    async def _begin(self, content: ContentId, info: Info, name: str, total: int, type: str) -> Item:
        """Reserve room and write the row of a download."""
        known = await self._store.index.get(content)
        reserved = known is not None and known.state is State.PARTIAL
        await self._store.reserve(0 if reserved else info.size)
        now = self._store.wall()
        item = Item(
            content=content,
            kind=info.kind,
            size=info.size,
            total=total,
            top=info.top,
            name=name,
            type=type,
            state=State.PARTIAL,
            origin=Origin.FETCHED if known is None or known.origin is Origin.MEMBER else known.origin,
            path=None,
            mark=None,
            listed=known is not None and known.listed,
            pinned=known is not None and known.pinned,
            added_at=now,
            used_at=now,
        )
        await self._store.put([item])
        return item

    async def _begin_members(self, folder: Item, manifest: Manifest) -> tuple[dict[ContentId, Item], list[Item]]:
        """Write the rows of a folder's files.  Returns all by content, and those that must be fetched."""
        index = self._store.index
        pairs = [(folder.content, e.content) for e in manifest.files if e.content is not None]
        await index.put([], pairs)
        here = {item.content: item for item in await index.members(folder.content)}
        now = self._store.wall()
        members: dict[ContentId, Item] = {}
        missing: list[Item] = []
        for entry in manifest.files:
            content = entry.content
            if content is None or content in members:
                continue
            known = here.get(content)
            if known is not None and known.state is State.COMPLETE:
                members[content] = known
                continue
            name = entry.path.rpartition("/")[2]
            members[content] = Item(
                content=content,
                kind=ContentKind.FILE,
                size=entry.size,
                total=entry.size,
                top=bytes(HASH_BYTES),
                name=name,
                type=self._store.type_of(name),
                state=State.PARTIAL,
                origin=Origin.MEMBER if known is None else known.origin,
                path=None,
                mark=None,
                listed=False,
                pinned=False,
                added_at=now,
                used_at=now,
            )
            missing.append(members[content])
        await self._store.reserve(sum(m.size for m in missing if m.content not in here))
        for start in range(0, len(missing), ROWS):
            await self._store.put(missing[start : start + ROWS])
        return members, missing

    async def _download(self, swarm: Swarm, parts: Sequence[FilePart], progress: Progress, keep_open: bool) -> int:
        """Fetch what is missing of `parts`.  Returns the bytes that came."""
        layout = self._store.layout
        left = await self._ctx.run_blocking(lambda: {path.name for path in layout.partial.iterdir()})
        for part in parts:
            if keep_open or part.data_path.name in left:
                await part.look(keep_open)
        download = Download(self._ctx, swarm, parts, progress)
        before = download.bytes_held
        try:
            await download.run()
        finally:
            self.bytes_received += download.bytes_held - before
        return download.bytes_held - before

    # -- probe ---------------------------------------------------------------------------------------------------

    async def probe(self, peer_id: PeerId, content: ContentId, progress: Progress) -> Probed:
        """Fetch content from one peer, verify every leaf, keep nothing.

        Raises:
            NotFound: the peer cannot be reached or does not have it.
            VerificationFailed: it sent wrong bytes.
        """
        async with self._swarm(content, [peer_id], search=False) as swarm:
            info = await self._first_info(swarm)
            source = swarm.source(str(peer_id))
            begun = self._ctx.clock.now()
            await Download(self._ctx, swarm, [ProbePart(content, info.kind, info.size)], progress).run()
            seconds = max(self._ctx.clock.now() - begun, 1e-6)
            rtt_s = float("nan") if source is None else source.session.stats.rtt_s
            return Probed(peer_id, content, info.size, seconds, rtt_s)

    # -- sources -------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _swarm(
        self, content: ContentId, places: Sequence[DialTarget], search: bool = True
    ) -> AsyncIterator[Swarm]:
        swarm = Swarm(self._ctx, content, places, search)
        try:
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(swarm.run())
                try:
                    yield swarm
                finally:
                    looking.cancel()
        except BaseExceptionGroup as errors:
            raise single(errors) from None

    async def _first_info(self, swarm: Swarm) -> Info:
        """What the first source says, proven by the id.  Raises `NotFound`, `VerificationFailed`."""
        while not swarm.first_info.done():
            if swarm.is_exhausted(self._ctx.clock.now()):
                raise swarm.nobody()
            await asyncio.wait([swarm.first_info], timeout=POLL_S)
        return swarm.first_info.result()
