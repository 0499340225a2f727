"""The `Platform` of a node under virtual time: the loop's clock, the host's seeded randomness and simulated network;
blocking work runs inline, databases are in memory and belong to the host."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .._io.sqlite_file import SqliteFile
from ..errors import StorageError
from ..platform import Platform
from ..plugin import Database, DatabaseCursor
from .virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from .sim_host import SimHost

T = TypeVar("T")

WALL_AT_START = 1_700_000_000.0  # what `wall()` says when a simulation begins: a date, the same in every run


class SimClock:
    """Virtual time.

    Attributes:
        wall_offset_s: by how much this host's wall clock is wrong; may be changed at any time.
    """

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self.now = loop.time  # asked many times for each packet
        self.wall_offset_s = 0.0

    def wall(self) -> float:
        return WALL_AT_START + self.wall_offset_s + self.now()


class SimDatabase:
    """A database in memory.  `work` runs inline; other tasks get a turn before, as they would on a real node."""

    def __init__(self, file: SqliteFile, host: SimHost) -> None:
        self._file = file
        self._host = host
        self.is_open = True

    async def run(self, work: Callable[[DatabaseCursor], T]) -> T:
        await asyncio.sleep(0)
        if not self.is_open:
            raise StorageError("the database is closed")
        if not self._host.disk_works:
            raise StorageError("the simulated disk does not work")
        return self._file.run(work)


class SimPlatform:
    """The platform of one node on one simulated host."""

    def __init__(self, host: SimHost) -> None:
        self.host = host
        self._clock = SimClock(host.net.loop)
        self._databases: list[SimDatabase] = []

    @property
    def ip(self) -> str:
        return self.host.ip

    @property
    def clock(self) -> SimClock:
        return self._clock

    @property
    def rng(self) -> random.Random:
        return self.host.rng

    @property
    def network(self) -> SimHost:
        return self.host

    async def run_blocking(self, fn: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        return fn()

    async def open_database(self, path: Path, migrations: Sequence[str]) -> Database:
        await asyncio.sleep(0)
        file = self.host.databases.get(path)
        if file is None:
            file = self.host.databases[path] = SqliteFile(None, migrations)
        else:
            file.migrate(migrations)
        database = SimDatabase(file, self.host)
        self._databases.append(database)
        return database

    async def close_database(self, database: Database) -> None:
        if isinstance(database, SimDatabase):
            database.is_open = False
            if database in self._databases:
                self._databases.remove(database)

    async def close(self) -> None:
        for database in self._databases:
            database.is_open = False


if TYPE_CHECKING:
    _fits: type[Platform] = SimPlatform
    _database_fits: type[Database] = SimDatabase
