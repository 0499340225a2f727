"""Putting fetched content where its owner wants it, and nowhere else.

A file appears whole under its name or not at all; an existing one is replaced only with `force`.  Below a folder each
step goes through the open parent folder without following symbolic links, so that nobody who can write there can turn
us aside.  Where the disk allows it the store's file is linked, not copied.

Blocking: on the disk threads only.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peerkit.errors import StorageError

from .content_id import ContentId
from .disk_file import storage_error, sync_folder
from .holding import FileMark, mark_of
from .safe_name import safe_path

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_HAS_DIR_FD = {os.open, os.mkdir, os.link, os.rename, os.unlink, os.stat} <= os.supports_dir_fd
Copy = Callable[[int], None]  # writes the content to a file descriptor


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to place.

    Attributes:
        path: relative to the folder, with `/`; empty for a single file.
        data: the store's own finished file, to be linked; `None` to copy.
        copy: writes the content, for when there is no link.
    """

    path: str
    data: Path | None
    copy: Copy


def place_file(target: Path, piece: Piece, content: ContentId, force: bool) -> FileMark:
    """Put one file at `target`.

    Raises:
        StorageError: it exists (and not `force`), or the disk refuses.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            raise StorageError(f"{target} is a folder: name the file to write")
        _place(_Folder.open(target.parent, follow=True), target.name, piece, content, force)
        sync_folder(target.parent)
        return mark_of(target)
    except OSError as exc:
        raise storage_error(exc, str(target)) from exc


def place_folder(
    target: Path, pieces: Sequence[Piece], empty: Sequence[str], content: ContentId, force: bool
) -> list[FileMark]:
    """Put a folder at `target`, which appears whole unless it exists already.  Returns the marks in the pieces' order.

    Raises:
        StorageError: it exists and is not empty (and not `force`), a file would be replaced, or the disk refuses.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        exists = target.is_symlink() or target.exists()
        if exists and (target.is_symlink() or not target.is_dir()):
            raise StorageError(f"{target} exists and is no folder")
        if exists and not force and any(target.iterdir()):
            raise StorageError(
                f"{target} exists and is not empty: use --force to write into it, or name another folder"
            )
        base = target if exists else target.with_name(f".peerkit-{content.root.hex()[:12]}.tmp")
        if not exists:
            shutil.rmtree(base, ignore_errors=True)
            base.mkdir(mode=0o755)
        for path in empty:
            _walk(base, [*safe_path(path).split("/")]).close()
        for piece in pieces:
            *parents, name = safe_path(piece.path).split("/")
            _place(_walk(base, parents), name, piece, content, force)
        if not exists:
            base.rename(target)
        sync_folder(target.parent)
        return [mark_of(target / piece.path) for piece in pieces]
    except OSError as exc:
        raise storage_error(exc, str(target)) from exc


class _Folder:
    """An open folder, and names in it."""

    def __init__(self, path: Path, fd: int | None) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def open(cls, path: Path, follow: bool = False) -> "_Folder":
        flags = 0 if follow else _NOFOLLOW
        return cls(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | flags) if _HAS_DIR_FD else None)

    def name(self, name: str) -> str:
        return name if self._fd is not None else str(self.path / name)

    @property
    def fd(self) -> int | None:
        return self._fd

    def enter(self, name: str) -> "_Folder":
        """Open (or make) a folder in this one; a symbolic link is refused.  Closes this one."""
        try:
            try:
                os.mkdir(self.name(name), 0o755, dir_fd=self._fd)
            except FileExistsError:
                mode = os.stat(self.name(name), dir_fd=self._fd, follow_symlinks=False).st_mode
                if not stat.S_ISDIR(mode):
                    raise StorageError(f"{self.path / name} exists and is no folder") from None
            fd = None
            if self._fd is not None:
                fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NOFOLLOW, dir_fd=self._fd)
            return _Folder(self.path / name, fd)
        finally:
            self.close()

    def mode(self) -> int:
        return os.stat(self.path if self._fd is None else self._fd).st_mode

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)


def _walk(base: Path, parts: Sequence[str]) -> _Folder:
    folder = _Folder.open(base)
    for part in parts:
        folder = folder.enter(part)
    return folder


def _place(folder: _Folder, name: str, piece: Piece, content: ContentId, force: bool) -> None:
    """Link or copy to a temporary name, then take the real one.  Closes `folder`."""
    temporary = folder.name(f".peerkit-{content.root.hex()[:12]}.{os.getpid()}.tmp")
    real = folder.name(name)
    try:
        if not force and _exists(folder, real):
            raise StorageError(f"{folder.path / name} exists: use --force to replace it, or name another file")
        _remove(folder, temporary)
        if piece.data is None or not _link(piece.data, temporary, folder):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | getattr(os, "O_BINARY", 0)
            fd = os.open(temporary, flags, 0o600, dir_fd=folder.fd)
            try:
                piece.copy(fd)
                os.fsync(fd)
            finally:
                os.close(fd)
        # No more open than its folder, never writable for others.
        mode = 0o600 | (folder.mode() & 0o044)
        if os.chmod in os.supports_dir_fd and folder.fd is not None:
            os.chmod(temporary, mode, dir_fd=folder.fd)
        if force:
            os.replace(temporary, real, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
        else:
            _rename_new(folder, temporary, real, name)
    finally:
        _remove(folder, temporary)
        folder.close()


def _rename_new(folder: _Folder, temporary: str, real: str, name: str) -> None:
    """Rename without replacing, also when somebody makes the name at this moment."""
    try:
        os.link(temporary, real, src_dir_fd=folder.fd, dst_dir_fd=folder.fd, follow_symlinks=False)
    except FileExistsError:
        raise StorageError(f"{folder.path / name} exists: use --force to replace it, or name another file") from None
    except (OSError, NotImplementedError):  # a disk without links (FAT): the check above must do
        os.rename(temporary, real, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)


def _link(data: Path, temporary: str, folder: _Folder) -> bool:
    try:
        os.link(data, temporary, dst_dir_fd=folder.fd, follow_symlinks=False)
        return True
    except NotImplementedError:
        return False
    except OSError as exc:
        if exc.errno in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EACCES):
            return False
        raise


def _exists(folder: _Folder, real: str) -> bool:
    try:
        os.stat(real, dir_fd=folder.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove(folder: _Folder, temporary: str) -> None:
    try:
        os.unlink(temporary, dir_fd=folder.fd)
    except OSError:
        return
