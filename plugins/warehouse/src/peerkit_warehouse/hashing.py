"""Hashing files of any size in constant memory: read, hash the leaves, write the outboard, optionally copy on the way.

Large files go in stripes, one thread hop each; small ones many to a hop.  One thread at a time: two that hash leaves
fight for the interpreter lock at each of them and used two to five times the processor time for no gain (measured).
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from peerkit.errors import StorageError

from .content_id import ContentId, ContentKind
from .disk_file import DiskFile, storage_error
from .holding import FileMark
from .layout import Layout
from .merkle_tree import HASH_BYTES, LEAF_BYTES, content_id, hash_leaves, leaf_count, top_of
from .outboard import Outboard

T = TypeVar("T")

PIECE_BYTES = 1 << 20  # read at once: fits the second-level cache, so hashing finds it there (measured)
STRIPE_BYTES = 32 << 20  # one thread hop
SMALL_BYTES = 1 << 20  # hashed whole, in one piece


class RunBlocking(Protocol):
    """`PluginContext.run_blocking`."""

    def __call__(self, fn: Callable[[], T]) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file on this disk and its content id.  Its outboard is in place."""

    path: Path
    content: ContentId
    size: int
    top: bytes
    mark: FileMark


def hash_small(paths: Sequence[Path], layout: Layout, copy: bool = False) -> list[Hashed]:
    """Hash files of up to 1 MiB, one after another.  Blocking.

    Args:
        copy: also put them into the store.

    Raises:
        StorageError: one cannot be read.
    """
    return [_hash_whole(path, layout, copy) for path in paths]


def _hash_whole(path: Path, layout: Layout, copy: bool) -> Hashed:
    try:
        file = DiskFile(path)
        try:
            stat = file.stat()
            data = file.read(stat.st_size + 1, 0)
        finally:
            file.close()
    except OSError as exc:
        raise storage_error(exc, str(path)) from exc
    mark = FileMark(stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if len(data) != mark.size:
        raise StorageError(f"{path} changed while it was read: share it again")
    hashes = hash_leaves(data)
    content = content_id(ContentKind.FILE, mark.size, top_of(hashes))
    put_bytes(data if copy else None, hashes, content, layout)
    return Hashed(path, content, mark.size, top_of(hashes), mark)


def put_bytes(data: bytes | None, hashes: bytes, content: ContentId, layout: Layout) -> None:
    """Put small content (and its outboard) into the store, whole or not at all.  Blocking.  Raises `StorageError`."""
    leaves = len(hashes) // HASH_BYTES
    if leaves > 1 and not layout.outboard(content).exists():
        temporary = layout.incoming / f"{content.root.hex()}.{os.getpid()}.outboard"
        outboard = Outboard(temporary, leaves, b"", write=True)
        try:
            outboard.put(0, 0, hashes)
            outboard.build()
        finally:
            outboard.close()
        temporary.replace(layout.outboard(content))
    if data is not None and not layout.object(content).exists():
        temporary = layout.incoming / f"{content.root.hex()}.{os.getpid()}.object"
        file = DiskFile(temporary, write=True, create=True)
        try:
            file.write([data], 0)
            file.sync()
        finally:
            file.close()
        temporary.replace(layout.object(content))


async def hash_large(
    path: Path,
    layout: Layout,
    run_blocking: RunBlocking,
    on_bytes: Callable[[int], None],
    token: str,
    copy: bool = False,
) -> Hashed:
    """Hash a file of any size.

    Args:
        on_bytes: called with the bytes done since the last call.
        token: unique among the files hashed now; names the temporary files.

    Raises:
        StorageError: it cannot be read, changed meanwhile, or the disk is full.
    """
    file, mark = await run_blocking(lambda: _open(path))
    leaves = leaf_count(mark.size)
    temporary = layout.incoming / f"{token}.outboard"
    copied = layout.incoming / f"{token}.object" if copy else None
    outboard = await run_blocking(lambda: Outboard(temporary, leaves, b"", write=True))
    target = await run_blocking(lambda: DiskFile(copied, write=True, create=True)) if copied else None
    try:
        for start in range(0, mark.size, STRIPE_BYTES):
            length = min(STRIPE_BYTES, mark.size - start)
            await run_blocking(lambda s=start, n=length: _hash_stripe(file, s, n, outboard, target))  # type: ignore[misc]
            on_bytes(length)
        return await run_blocking(lambda: _conclude(path, file, mark, outboard, temporary, target, copied, layout))
    finally:
        file.close()
        outboard.close()
        if target is not None:
            target.close()


def _open(path: Path) -> tuple[DiskFile, FileMark]:
    try:
        file = DiskFile(path)
    except OSError as exc:
        raise storage_error(exc, str(path)) from exc
    stat = file.stat()
    return file, FileMark(stat.st_size, stat.st_mtime_ns, stat.st_ino)


def _hash_stripe(file: DiskFile, start: int, length: int, outboard: Outboard, target: DiskFile | None) -> None:
    buffer = bytearray(min(PIECE_BYTES, length))
    hashes = []
    for at in range(start, start + length, PIECE_BYTES):
        view = memoryview(buffer)[: min(PIECE_BYTES, start + length - at)]
        try:
            got = file.read_into(view, at)
        except OSError as exc:
            raise storage_error(exc, str(file.path)) from exc
        if got != view.nbytes:
            raise StorageError(f"{file.path} changed while it was read: share it again")
        hashes.append(hash_leaves(view))
        if target is not None:
            target.write([view], at)
    outboard.put(0, start // LEAF_BYTES, b"".join(hashes))
    if outboard.leaves == 1:
        outboard.top = hashes[0]


def _conclude(
    path: Path,
    file: DiskFile,
    mark: FileMark,
    outboard: Outboard,
    temporary: Path,
    target: DiskFile | None,
    copied: Path | None,
    layout: Layout,
) -> Hashed:
    stat = file.stat()
    if FileMark(stat.st_size, stat.st_mtime_ns, stat.st_ino) != mark:
        raise StorageError(f"{path} changed while it was read: share it again")
    if mark.size == 0:
        outboard.top = hash_leaves(b"")
    top = outboard.build()
    content = content_id(ContentKind.FILE, mark.size, top)
    if target is not None and copied is not None:
        target.sync()
        outboard.sync()
        copied.replace(layout.object(content))
    if outboard.leaves > 1:
        temporary.replace(layout.outboard(content))
    return Hashed(path, content, mark.size, top, mark)
