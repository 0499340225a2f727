"""A SQLite database of a real node: `SqliteFile` on a thread of its own, which is its only user."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import StorageError
from ..plugin import Database, DatabaseCursor
from .sqlite_file import DamageReport, SqliteFile

T = TypeVar("T")


class ThreadDatabase:
    """See `peerkit.plugin.Database`.  Work that was begun goes on to its end when its caller is cancelled."""

    def __init__(self, path: Path, thread: ThreadPoolExecutor, file: SqliteFile) -> None:
        self.path = path
        self._thread = thread
        self._file = file
        self._is_open = True

    @classmethod
    async def open(
        cls, path: Path, migrations: Sequence[str], on_damage: DamageReport | None = None
    ) -> "ThreadDatabase":
        """Open on a new thread.  `on_damage` is called on the event loop."""
        loop = asyncio.get_running_loop()

        def tell(database: Path, aside: Path, found: str) -> None:
            if on_damage is not None:
                loop.call_soon_threadsafe(on_damage, database, aside, found)

        thread = ThreadPoolExecutor(1, f"peerkit-db-{path.stem}")
        try:
            file = await loop.run_in_executor(thread, SqliteFile, path, migrations, tell)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(path, thread, file)

    async def run(self, work: Callable[[DatabaseCursor], T]) -> T:
        if not self._is_open:
            raise StorageError(f"the database {self.path} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._file.run, work)

    async def close(self) -> None:
        """Finish what was begun, write the log back, close.  Idempotent."""
        if self._is_open:
            self._is_open = False
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
            finally:
                self._thread.shutdown(wait=False)


if TYPE_CHECKING:
    _fits: type[Database] = ThreadDatabase
