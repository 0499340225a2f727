"""What differs between a real node and a simulated one.  Everything else is the same code."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from .clock import Clock, Rng
from .network import Network
from .plugin import Database

T = TypeVar("T")


class Platform(Protocol):
    """Time, randomness, wire and disk of one node.  `_io.SystemPlatform` on a real node, `testing.SimPlatform` in the
    simulation, where blocking work runs inline and databases are in memory."""

    @property
    def clock(self) -> Clock: ...
    @property
    def rng(self) -> Rng: ...
    @property
    def network(self) -> Network: ...

    async def run_blocking(self, fn: Callable[[], T]) -> T:
        """Run on the disk threads (DNS has its own)."""
        ...

    async def open_database(self, path: Path, migrations: Sequence[str]) -> Database:
        """See `PluginContext.open_database`."""
        ...

    async def close_database(self, database: Database) -> None:
        """Close one that `open_database` gave, when what it does is done; then it can be opened again.  Idempotent."""
        ...

    async def close(self) -> None:
        """Close databases and threads; idempotent."""
        ...
