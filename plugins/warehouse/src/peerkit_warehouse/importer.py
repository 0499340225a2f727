"""Sharing what lies on this disk: files and folders become content, rows and links.

By reference nothing is copied: the file is read once, its hashes are kept, and its size, time and inode are watched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peerkit import PluginContext
from peerkit.errors import UsageError

from .content_id import ContentKind
from .disk_file import storage_error
from .hashing import SMALL_BYTES, Hashed, hash_large, hash_small, put_bytes
from .index import Item, Origin, State
from .manifest import MAX_ENTRIES, Entry, Manifest
from .merkle_tree import content_id, hash_leaves, top_of
from .safe_name import MAX_DEPTH, safe_name, safe_path
from .settings import WarehouseSettings
from .store import FOLDER_TYPE, Store

BATCH_FILES = 200  # small files hashed in one thread hop
BATCH_BYTES = 8 << 20
ROWS = 500  # written in one transaction

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True, slots=True)
class Found:
    """One thing to share: a file, or a folder with what is in it (`files` relative with `/`)."""

    path: Path
    name: str
    size: int
    files: tuple[tuple[str, Path, int], ...] = ()
    empty: tuple[str, ...] = ()
    is_folder: bool = False

    @property
    def total(self) -> int:
        return sum(size for _, _, size in self.files) if self.is_folder else self.size


class Importer:
    """Shares paths."""

    def __init__(self, ctx: PluginContext[WarehouseSettings], store: Store) -> None:
        self._ctx = ctx
        self._store = store

    async def share(self, paths: Sequence[Path], copy: bool, listed: bool, progress: Progress) -> list[Item]:
        """Share files and folders.  Either all paths are shared or an error says why none is.

        Args:
            copy: take the bytes into the store; otherwise the files are served from where they lie.
            listed: may be found by search.
            progress: called with bytes done and in all.

        Raises:
            UsageError: no such file, neither file nor folder, or a name that nobody may keep.
            StorageError: unreadable, changed meanwhile, or the disk is full.
        """
        found = await self._ctx.run_blocking(lambda: [find(path) for path in paths])
        total, done = sum(f.total for f in found), 0

        def on_bytes(nbytes: int) -> None:
            nonlocal done
            done += nbytes
            progress(done, total)

        progress(0, total)
        if copy:
            await self._store.reserve(total)
        plain = [(f.path, f.size) for f in found if not f.is_folder]
        hashed = await self._hash(plain, copy, on_bytes)
        known = await self._store.index.get_many([one.content for one in hashed])
        items: dict[int, Item] = {}
        singles = (i for i, f in enumerate(found) if not f.is_folder)
        for i, one in zip(singles, hashed, strict=True):
            items[i] = self._item(known.get(one.content), found[i].name, one, copy, Origin.SHARED, listed)
        for start in range(0, len(items), ROWS):
            await self._store.put(list(items.values())[start : start + ROWS])
        for i, folder in enumerate(found):
            if folder.is_folder:
                items[i] = await self._share_folder(folder, copy, listed, on_bytes)
        return [items[i] for i in range(len(found))]

    async def _share_folder(self, folder: Found, copy: bool, listed: bool, on_bytes: Callable[[int], None]) -> Item:
        hashed = await self._hash([(path, size) for _, path, size in folder.files], copy, on_bytes)
        entries = [Entry(rel, one.size, one.content) for (rel, _, _), one in zip(folder.files, hashed, strict=True)]
        manifest = Manifest.of([*entries, *(Entry(rel, 0, None) for rel in folder.empty)])
        data = manifest.to_bytes()
        hashes = hash_leaves(data)
        content = content_id(ContentKind.FOLDER, len(data), top_of(hashes))
        await self._ctx.run_blocking(lambda: put_bytes(data, hashes, content, self._store.layout))
        known = await self._store.index.get_many([one.content for one in hashed])
        rows: dict[bytes, Item] = {}
        for one in hashed:
            if one.content.root not in rows:
                before = known.get(one.content)
                rows[one.content.root] = self._item(before, one.path.name, one, copy, Origin.MEMBER, False)
        members = list(rows.values())
        for start in range(0, len(members), ROWS):
            some = members[start : start + ROWS]
            await self._store.put(some, [(content, item.content) for item in some])
        now = self._store.wall()
        item = Item(
            content=content,
            kind=ContentKind.FOLDER,
            size=len(data),
            total=manifest.total_bytes,
            top=top_of(hashes),
            name=folder.name,
            type=FOLDER_TYPE,
            state=State.COMPLETE,
            origin=Origin.SHARED,
            path=None,
            mark=None,
            listed=listed,
            pinned=False,
            added_at=now,
            used_at=now,
        )
        await self._store.put([item])
        return item

    async def _hash(
        self, files: Sequence[tuple[Path, int]], copy: bool, on_bytes: Callable[[int], None]
    ) -> list[Hashed]:
        """Hash files in order; small ones many to a hop."""
        out: dict[int, Hashed] = {}
        batch: list[int] = []
        batch_bytes = 0
        layout = self._store.layout

        async def flush() -> None:
            nonlocal batch, batch_bytes
            paths = [files[i][0] for i in batch]
            for i, one in zip(
                batch, await self._ctx.run_blocking(lambda: hash_small(paths, layout, copy)), strict=True
            ):
                out[i] = one
            on_bytes(batch_bytes)
            batch, batch_bytes = [], 0

        for i, (path, size) in enumerate(files):
            if size > SMALL_BYTES:
                token = self._ctx.rng.randbytes(8).hex()
                out[i] = await hash_large(path, layout, self._ctx.run_blocking, on_bytes, token, copy)
                continue
            batch.append(i)
            batch_bytes += size
            if len(batch) == BATCH_FILES or batch_bytes >= BATCH_BYTES:
                await flush()
        if batch:
            await flush()
        return [out[i] for i in range(len(files))]

    def _item(self, known: Item | None, name: str, one: Hashed, copy: bool, origin: Origin, listed: bool) -> Item:
        """The row of a hashed file, joined with the one that may be there (`known`): content is kept once."""
        now = self._store.wall()
        in_store = copy or (known is not None and known.state is State.COMPLETE and known.path is None)
        if known is not None and known.origin < origin:
            if known.state is State.COMPLETE:
                return known
            origin, listed, name = known.origin, known.listed, known.name
        return Item(
            content=one.content,
            kind=ContentKind.FILE,
            size=one.size,
            total=one.size,
            top=one.top,
            name=name,
            type=self._store.type_of(name),
            state=State.COMPLETE,
            origin=origin,
            path=None if in_store else one.path,
            mark=None if in_store else one.mark,
            listed=listed,
            pinned=known is not None and known.pinned,
            added_at=now,
            used_at=now,
        )


def find(path: Path) -> Found:
    """Look at one path.  Blocking.

    Raises:
        UsageError, StorageError: as `Importer.share`.
    """
    try:
        path = path.resolve(strict=True)
        info = path.stat()
        if stat.S_ISREG(info.st_mode):
            return Found(path, safe_name(path.name), info.st_size)
        if stat.S_ISDIR(info.st_mode):
            return _find_folder(path)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except OSError as exc:
        raise storage_error(exc, str(path)) from exc
    raise UsageError(f"{path} is neither a file nor a folder")


def _find_folder(path: Path) -> Found:
    files: list[tuple[str, Path, int]] = []
    empty: list[str] = []
    todo = [("", path)]
    while todo:
        prefix, folder = todo.pop()
        has_entries = False
        with os.scandir(folder) as entries:
            for entry in entries:
                relative = prefix + entry.name
                if entry.is_symlink():
                    continue  # could lead out of the folder that the owner named
                has_entries = True
                if entry.is_dir():
                    if relative.count("/") + 2 > MAX_DEPTH:
                        raise UsageError(f"{path} cannot be shared: it is more than {MAX_DEPTH} folders deep")
                    todo.append((relative + "/", Path(entry.path)))
                elif entry.is_file():
                    files.append((safe_path(relative), Path(entry.path), entry.stat().st_size))
        if not has_entries and prefix:
            empty.append(safe_path(prefix[:-1]))
        if len(files) + len(empty) > MAX_ENTRIES:
            raise UsageError(f"{path} cannot be shared: it has more than {MAX_ENTRIES:,} files; share its parts")
    files.sort()
    return Found(path, safe_name(path.name), 0, tuple(files), tuple(sorted(empty)), True)
