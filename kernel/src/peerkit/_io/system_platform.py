"""The `Platform` of a real node: the system's clock, randomness, network, disk threads and databases."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import StorageError
from ..platform import Platform
from ..plugin import Database
from .daemon_thread import run_in_daemon_thread
from .database import ThreadDatabase
from .sqlite_file import DamageReport
from .system_network import SystemNetwork

T = TypeVar("T")

DISK_THREADS = 4  # guess: enough to keep one disk and hashing on two cores busy
CLOSE_TIMEOUT_S = 10.0


class SystemClock:
    """`now` has the zero of the event loop's time, and does not stand still within a turn of the loop as uvloop's
    (whole milliseconds, read once a turn) does."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


class SystemPlatform:
    """Make it on the running loop; works on asyncio's loops and on uvloop.

    Args:
        disk_threads: how many blocking calls run at once.
        on_damage: told (on the loop) when a damaged database was set aside; logged in any case.
    """

    def __init__(self, disk_threads: int = DISK_THREADS, on_damage: DamageReport | None = None) -> None:
        self._clock = SystemClock()
        self._rng = random.SystemRandom()
        self._network = SystemNetwork(self._clock)
        self._disk = ThreadPoolExecutor(disk_threads, "peerkit-disk")
        self._databases: dict[Path, ThreadDatabase | None] = {}  # `None` while opening
        self._on_damage = on_damage
        self._is_open = True

    @property
    def clock(self) -> SystemClock:
        return self._clock

    @property
    def rng(self) -> random.SystemRandom:
        return self._rng

    @property
    def network(self) -> SystemNetwork:
        return self._network

    async def run_blocking(self, fn: Callable[[], T]) -> T:
        if not self._is_open:
            raise StorageError("the node has stopped: its disk threads are closed")
        return await asyncio.get_running_loop().run_in_executor(self._disk, fn)

    async def open_database(self, path: Path, migrations: Sequence[str]) -> Database:
        if not self._is_open:
            raise StorageError(f"the node has stopped: the database {path} cannot be opened")
        if path in self._databases:
            raise StorageError(f"the database {path} is open already")
        self._databases[path] = None
        try:
            database = self._databases[path] = await ThreadDatabase.open(path, migrations, self._tell_damage)
        except BaseException:
            del self._databases[path]
            raise
        if not self._is_open:  # closed meanwhile
            await database.close()
        return database

    async def close_database(self, database: Database) -> None:
        if isinstance(database, ThreadDatabase):
            await database.close()
            if self._databases.get(database.path) is database:
                del self._databases[database.path]

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        for database in list(self._databases.values()):
            if database is not None:
                await database.close()
        self._disk.shutdown(wait=False, cancel_futures=True)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await run_in_daemon_thread(self._disk.shutdown, "peerkit-close")
        except TimeoutError:
            logging.getLogger("peerkit").warning(
                "a disk call takes longer than %g s; not waiting for it", CLOSE_TIMEOUT_S
            )

    def _tell_damage(self, path: Path, aside: Path, found: str) -> None:
        logging.getLogger("peerkit").error(
            "the database %s was damaged (%s) and is now %s; a new one was made", path, found, aside
        )
        if self._on_damage is not None:
            self._on_damage(path, aside, found)


if TYPE_CHECKING:
    _fits: type[Platform] = SystemPlatform
