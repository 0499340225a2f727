"""From the store to where the owner wants it: targets, copies, and the rows that follow them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from peerkit import PluginContext
from peerkit.errors import StorageError, UsageError

from .content_id import ContentId
from .hashing import hash_large
from .holding import FileMark
from .holdings import open_item
from .index import Item, State
from .layout import Layout
from .manifest import Manifest
from .merkle_tree import LEAF_BYTES
from .output import Copy, Piece, place_file, place_folder
from .parts import FilePart
from .safe_name import safe_name
from .scheduler import GROUP_LEAVES
from .settings import WarehouseSettings
from .store import Store

ROWS = 500  # written in one transaction
SYNC_EACH = 64  # more files than this are flushed by one sync of the whole system


class Placer:
    """Puts content that is here at a path."""

    def __init__(self, ctx: PluginContext[WarehouseSettings], store: Store) -> None:
        self._ctx = ctx
        self._store = store

    async def target(self, output: Path, name: str, content: ContentId) -> Path:
        """The path to write: `output`, or `name` in it when it is a folder that exists.

        Raises:
            UsageError: the name that came with the content may not be used; say `-o PATH`.
        """
        if not await self._ctx.run_blocking(output.is_dir):
            return output
        if not name:
            return output / str(content)
        try:
            return output / safe_name(name)
        except UsageError as exc:
            raise UsageError(f"{exc}: choose another one with -o") from None

    async def is_there(self, target: Path, content: ContentId, size: int) -> bool:
        """Whether `target` is a file with exactly this content."""
        if await self._ctx.run_blocking(lambda: _size_of(target)) != size:
            return False
        token = self._ctx.rng.randbytes(8).hex()
        try:
            one = await hash_large(target, self._store.layout, self._ctx.run_blocking, lambda _: None, token)
        except StorageError:
            return False
        return one.content == content

    async def refuse_existing(self, target: Path, is_folder: bool, force: bool) -> None:
        """Find out before a long download that its place is taken.  Raises `StorageError`."""
        if not force and await self._ctx.run_blocking(lambda: _is_taken(target, is_folder)):
            raise StorageError(f"{target} exists: use --force to write there, or name another place")

    async def file_from_store(self, item: Item, target: Path, force: bool) -> None:
        """Copy a complete file out, verified.  Raises `StorageError`, `VerificationFailed`."""
        layout = self._store.layout
        piece = Piece("", None, lambda fd: _copy_item(item, layout, fd))
        await self._ctx.run_blocking(lambda: place_file(target, piece, item.content, force))

    async def fetched_file(self, part: FilePart, item: Item, target: Path | None, force: bool) -> None:
        """Put a fetched file in its place (`None`: the store keeps it) and say so in the index."""
        layout, data = self._store.layout, part.data_path
        mark: FileMark | None = None
        if target is None:
            await self._ctx.run_blocking(lambda: _keep([(data, layout.object(item.content))]))
        else:
            piece = Piece("", data, lambda fd: _copy_path(data, fd))
            place, content = target, item.content
            mark = await self._ctx.run_blocking(lambda: place_file(place, piece, content, force))
        now = self._store.wall()
        await self._store.put(
            [replace(item, state=State.COMPLETE, top=part.top, path=target, mark=mark, added_at=now, used_at=now)]
        )
        await self._ctx.run_blocking(lambda: _forget(layout, [item.content]))

    async def folder(
        self,
        item: Item,
        manifest: Manifest,
        parts: Sequence[FilePart],
        members: dict[ContentId, Item],
        target: Path | None,
        force: bool,
    ) -> None:
        """Put a folder in its place: fetched files are linked, files that were here before are copied.

        Args:
            members: rows of all its files, by content.
        """
        layout = self._store.layout
        fetched = {part.content: part for part in parts}
        small = [part.data_path for part in parts if part.groups == 1]
        await self._ctx.run_blocking(lambda: _sync_all(small))
        rows: list[Item] = []
        if target is None:
            moves = [(part.data_path, layout.object(part.content)) for part in parts]
            await self._ctx.run_blocking(lambda: _keep(moves))
            rows = [replace(members[c], state=State.COMPLETE, top=part.top) for c, part in fetched.items()]
        else:
            place, linked = target, set[ContentId]()
            pieces = []
            for entry in manifest.files:
                content = entry.content
                assert content is not None
                part = fetched.get(content)
                if part is None:
                    pieces.append(Piece(entry.path, None, _copier(members[content], layout)))
                elif content in linked:
                    pieces.append(Piece(entry.path, None, _path_copier(part.data_path)))
                else:
                    linked.add(content)
                    pieces.append(Piece(entry.path, part.data_path, _path_copier(part.data_path)))
            empty = [entry.path for entry in manifest.entries if entry.content is None]
            marks = await self._ctx.run_blocking(lambda: place_folder(place, pieces, empty, item.content, force))
            for entry, mark in zip(manifest.files, marks, strict=True):
                part = fetched.pop(entry.content) if entry.content in fetched else None
                if part is not None:
                    member, path = members[part.content], target / entry.path
                    rows.append(replace(member, state=State.COMPLETE, top=part.top, path=path, mark=mark))
        for start in range(0, len(rows), ROWS):
            await self._store.put(rows[start : start + ROWS])
        await self._store.put([replace(item, state=State.COMPLETE)])
        await self._ctx.run_blocking(lambda: _forget(layout, [item.content, *(part.content for part in parts)]))


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() and not path.is_symlink() else -1


def _is_taken(path: Path, is_folder: bool) -> bool:
    if path.is_symlink():
        return True
    if is_folder and path.is_dir():
        return any(path.iterdir())
    return path.exists()


def _copy_item(item: Item, layout: Layout, fd: int) -> None:
    holding = open_item(item, layout)
    try:
        buffer = bytearray(min(GROUP_LEAVES * LEAF_BYTES, holding.size))
        for first in range(0, holding.leaves, GROUP_LEAVES):
            view = holding.read_range(first, min(GROUP_LEAVES, holding.leaves - first), buffer).data
            while view.nbytes:
                view = view[os.write(fd, view) :]
    finally:
        holding.close()


def _copy_path(data: Path, fd: int) -> None:
    with data.open("rb") as source, os.fdopen(os.dup(fd), "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def _copier(item: Item, layout: Layout) -> Copy:
    return lambda fd: _copy_item(item, layout, fd)


def _path_copier(data: Path) -> Copy:
    return lambda fd: _copy_path(data, fd)


def _keep(moves: Sequence[tuple[Path, Path]]) -> None:
    for source, target in moves:
        source.replace(target)


def _forget(layout: Layout, contents: Sequence[ContentId]) -> None:
    """Delete what is left of finished downloads."""
    for content in contents:
        for end in ("data", "groups"):
            (layout.partial / f"{content.root.hex()}.{end}").unlink(missing_ok=True)


def _sync_all(paths: Sequence[Path]) -> None:
    if len(paths) > SYNC_EACH and hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
