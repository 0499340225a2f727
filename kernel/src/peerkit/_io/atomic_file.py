"""Replacing a small file as a whole: after a crash or power failure the old content is there, or the new."""

import contextlib
import os
import secrets
from pathlib import Path

from ..errors import StorageError
from .system_error import reason


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put `data` at `path`, replacing what is there.  Blocking; on the disk for good when it returns.

    Raises:
        StorageError: it could not be written; what was there is untouched.
    """
    temporary = _written_beside(path, data, mode)
    try:
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as exc:
        _remove(temporary)
        raise StorageError(f"cannot write {path}: {reason(exc)}") from exc


def create_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """As `write_atomic`, but never replaces.

    Raises:
        FileExistsError: something is at `path`.
        StorageError: it could not be written.
    """
    temporary = _written_beside(path, data, mode)
    try:
        try:
            os.link(temporary, path)  # unlike a rename it fails when the name is taken
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(f"{path} exists") from None
            os.rename(temporary, path)
        sync_directory(path.parent)
    except FileExistsError:
        raise
    except OSError as exc:
        raise StorageError(f"cannot write {path}: {reason(exc)}") from exc
    finally:
        _remove(temporary)


def sync_directory(path: Path) -> None:
    """Make renames in `path` survive a power failure.  Does nothing where directories cannot be synced (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written_beside(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        _remove(temporary)
        raise StorageError(f"cannot write {path}: {reason(exc)}") from exc
    return temporary


def _remove(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()
