"""A node's directory on disk: for its owner only, used by one node at a time, of a known layout.

    identity · lock · version · control.json · peers.db · plugins/<name>/

`lock` is held by `flock` as long as the node runs; the system lets go when the process dies, so no stale lock remains.
It is taken before anything is bound, since a second node would silently replace the first one's control socket.
Blocking.
"""

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ..errors import StorageError
from .atomic_file import sync_directory, write_atomic
from .system_error import reason

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LayoutMigration = Callable[[Path], None]
"""Changes a data directory from layout i to i + 1, in place."""

MIGRATIONS: Sequence[LayoutMigration] = ()  # number i leads from layout i + 1 to i + 2
MAX_BACKED_UP_BYTES = 64 * 1024 * 1024  # larger files are content, which no migration rewrites


class DataDir:
    """An open, locked data directory.  Use it as a context manager, or call `close`.

    Args:
        path: made with its parents when it does not exist.
        migrations: for tests.

    Raises:
        StorageError: used by another node (names its process), not ours, not writable, or of a newer layout (names
            both versions).
    """

    def __init__(self, path: Path, migrations: Sequence[LayoutMigration] = MIGRATIONS) -> None:
        self.path = path.absolute()
        self._lock: IO[bytes] | None = None
        try:
            self._make()
            self._lock = self._locked()
            self._bring_up_to_date(migrations)
        except OSError as exc:
            self.close()
            raise StorageError(f"cannot use the data directory {self.path}: {reason(exc)}") from exc
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "DataDir":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def plugin_dir(self, name: str) -> Path:
        """The folder of one plugin, 0700, made when missing.  Raises `StorageError`."""
        path = self.path / "plugins" / name
        try:
            for folder in (path.parent, path):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise StorageError(f"cannot make the folder {path}: {reason(exc)}") from exc
        return path

    def close(self) -> None:
        """Let another node have it.  Idempotent."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with contextlib.suppress(OSError):
                lock.truncate(0)  # nobody holds it: no process to name
            lock.close()

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "nt":
            return
        status = self.path.stat()
        if status.st_uid != os.geteuid():
            raise StorageError(f"the data directory {self.path} belongs to another user (number {status.st_uid})")
        if stat.S_IMODE(status.st_mode) & 0o077:
            self.path.chmod(0o700)

    def _locked(self) -> IO[bytes]:
        file = open(os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b", buffering=0)  # noqa: SIM115
        try:
            if sys.platform == "win32":
                file.seek(1_024)  # a region of its own: locked bytes cannot be read there
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                file.seek(0)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if not isinstance(exc, BlockingIOError | PermissionError):
                file.close()
                raise
            holder = _holder(file)
            file.close()
            raise StorageError(
                f"the data directory {self.path} is used by another node{holder}; stop it, or choose another directory"
            ) from exc
        file.truncate(0)
        file.write(f"{os.getpid()}\n".encode("ascii"))
        return file

    def _bring_up_to_date(self, migrations: Sequence[LayoutMigration]) -> None:
        newest = len(migrations) + 1
        file = self.path / "version"
        try:
            text = file.read_bytes()[:32]
        except FileNotFoundError:
            write_atomic(file, f"{newest}\n".encode("ascii"))
            return
        if not text.strip().isdigit() or int(text) < 1:
            raise StorageError(f"{file} is damaged: it must hold the number of the layout, 1 to {newest}")
        version = int(text)
        if version > newest:
            raise StorageError(
                f"the data directory {self.path} is of layout {version}, newer than layout {newest}, which this program"
                " knows; use the newer program, or choose another directory"
            )
        if version < newest:
            self._back_up(version)
        for number in range(version, newest):
            migrations[number - 1](self.path)
            write_atomic(file, f"{number + 1}\n".encode("ascii"))

    def _back_up(self, version: int) -> None:
        """Copy everything but content into `backup-layout-N`; one that was begun and not finished is made anew."""
        done, begun = self.path / f"backup-layout-{version}", self.path / f".backup-layout-{version}.tmp"
        if done.exists():
            return
        shutil.rmtree(begun, ignore_errors=True)
        begun.mkdir(mode=0o700)
        for folder, names, files in os.walk(self.path):
            names[:] = [name for name in names if "backup-layout-" not in name]
            target = begun / Path(folder).relative_to(self.path)
            target.mkdir(mode=0o700, exist_ok=True)
            for name in files:
                source = Path(folder) / name
                status = source.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BACKED_UP_BYTES and name != "lock":
                    shutil.copy2(source, target / name)
        begun.rename(done)
        sync_directory(self.path)


def _holder(file: IO[bytes]) -> str:
    text = file.read(32).strip()
    return f" (process {int(text)})" if text.isdigit() else ""
