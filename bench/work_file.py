"""A folder and a file of random bytes to work on, on a real disk."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIECE_BYTES = 8 * 1024 * 1024


@contextmanager
def work_folder() -> Iterator[Path]:
    """An empty folder in `TMPDIR`; set it to the disk that shall be measured."""
    with tempfile.TemporaryDirectory(prefix="peerkit-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def random_file(path: Path, nbytes: int) -> Path:
    """Nothing in it compresses or repeats."""
    with open(path, "wb") as file:
        for start in range(0, nbytes, _PIECE_BYTES):
            file.write(os.urandom(min(_PIECE_BYTES, nbytes - start)))
        file.flush()
        os.fsync(file.fileno())
    return path


def settle() -> None:
    """Let the disk finish what was written before, so that it does not count in what comes."""
    if hasattr(os, "sync"):
        os.sync()
