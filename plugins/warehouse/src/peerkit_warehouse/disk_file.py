"""Positioned reads and writes on one open file, the same on every system, and disk errors in our words.

Blocking: call it on the disk threads only.
"""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from peerkit.errors import StorageError
from peerkit.transport import Buffer

_VECTOR = 64  # buffers for one system call; below every system's IOV_MAX
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def storage_error(exc: OSError, what: str) -> StorageError:
    """The error for a failed call on `what` (a path or a description)."""
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(f"the disk is full: cannot write {what}; what came so far is kept")
    return StorageError(f"cannot use {what}: {exc.strerror or exc}")


class DiskFile:
    """An open file.  Calls may come from several threads at once."""

    def __init__(self, path: Path, write: bool = False, create: bool = False, follow: bool = True) -> None:
        """Open `path`.

        Args:
            follow: `False` refuses a symbolic link in the last place.

        Raises:
            OSError.
        """
        flags = (os.O_RDWR if write else os.O_RDONLY) | (os.O_CREAT if create else 0) | _BINARY
        self.path = path
        self._fd = os.open(path, flags if follow else flags | _NOFOLLOW, 0o600)
        self._seek_lock = None if hasattr(os, "pread") else threading.Lock()

    def stat(self) -> os.stat_result:
        return os.fstat(self._fd)

    def read_into(self, view: memoryview, offset: int) -> int:
        """Fill `view` from `offset`; returns how many bytes there were (fewer only at the end of the file)."""
        done = 0
        while done < view.nbytes:
            n = self._read_once(view[done:], offset + done)
            if not n:
                break
            done += n
        return done

    def _read_once(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._fd, [view], offset)
        if self._seek_lock is None:
            data = os.pread(self._fd, view.nbytes, offset)
        else:
            with self._seek_lock:
                os.lseek(self._fd, offset, os.SEEK_SET)
                data = os.read(self._fd, view.nbytes)
        view[: len(data)] = data
        return len(data)

    def read(self, nbytes: int, offset: int) -> bytes:
        """Up to `nbytes` from `offset`."""
        buffer = bytearray(nbytes)
        return bytes(memoryview(buffer)[: self.read_into(memoryview(buffer), offset)])

    def write(self, pieces: Sequence[Buffer], offset: int) -> None:
        """Write consecutive pieces at `offset`.  Raises `StorageError`."""
        views = [memoryview(p).cast("B") for p in pieces if len(p)]
        try:
            while views:
                n = self._write_once(views[:_VECTOR], offset)
                offset += n
                while views and n >= views[0].nbytes:
                    n -= views.pop(0).nbytes
                if n:
                    views[0] = views[0][n:]
        except OSError as exc:
            raise storage_error(exc, str(self.path)) from exc

    def _write_once(self, views: list[memoryview], offset: int) -> int:
        if hasattr(os, "pwritev"):
            return os.pwritev(self._fd, views, offset)
        if self._seek_lock is None:
            return os.pwrite(self._fd, views[0], offset)
        with self._seek_lock:
            os.lseek(self._fd, offset, os.SEEK_SET)
            return os.write(self._fd, views[0])

    def sync(self) -> None:
        """Wait until the data is on the disk.  Raises `StorageError`."""
        try:
            getattr(os, "fdatasync", os.fsync)(self._fd)
        except OSError as exc:
            raise storage_error(exc, str(self.path)) from exc

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


def sync_folder(path: Path) -> None:
    """Make a rename in `path` last; a no-op where folders cannot be opened."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(fd)
    except OSError:
        pass  # some network file systems refuse
    finally:
        os.close(fd)
