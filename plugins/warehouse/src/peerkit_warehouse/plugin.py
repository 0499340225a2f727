"""The warehouse as a plugin: one store, one server, one fetcher, and the hooks that tell the node of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from peerkit import Operation, PluginContext, PluginSpec, ProtocolSpec, Routine, hookimpl
from peerkit.capabilities import ADDRESS_BOOK, BLOB_STORE, CONTENT_ROUTING, DIALER, SESSION_CONTROL, BlobStore

from .fetcher import Fetcher
from .importer import Importer
from .operations import Operations
from .serving import Server
from .settings import WarehouseSettings
from .store import Store
from .swarm import PROTOCOL
from .upkeep import Upkeep

VERSION = "1.0.0"
ACCEPTS = ">=1.0,<2"
MAX_STREAMS = 8  # of one peer at once; each holds up to three ranges of 1 MiB here


class Warehouse:
    """One node's warehouse."""

    def __init__(self, ctx: PluginContext[WarehouseSettings]) -> None:
        self._settings = ctx.settings
        self.store = Store(ctx)
        self.server = Server(ctx, self.store)
        self.importer = Importer(ctx, self.store)
        self.fetcher = Fetcher(ctx, self.store)
        self.upkeep = Upkeep(self.store, lambda: ctx.rng.randbytes(8).hex())
        self._operations = Operations(ctx, self.store, self.importer, self.fetcher, self.server, self.upkeep)
        ctx.provide(BLOB_STORE, self.store)

    async def start(self) -> None:
        """Open the store."""
        await self.store.open()

    async def close(self) -> None:
        """Close its files; downloads under way were cancelled with their callers."""
        await self.store.flush_used()
        self.store.close()

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [ProtocolSpec(PROTOCOL, VERSION, ACCEPTS, on_stream=self.server.on_stream, max_concurrent=MAX_STREAMS)]

    @hookimpl
    def peerkit_register_routines(self) -> Sequence[Routine]:
        return [Routine("warehouse.watch", self.upkeep.watch, interval_s=self._settings.watch_interval_s)]

    @hookimpl
    def peerkit_register_operations(self) -> Sequence[Operation[Any]]:
        return self._operations.all()


plugin = PluginSpec(
    settings=WarehouseSettings,
    factory=Warehouse,
    provides=[BLOB_STORE],
    requires=[DIALER, ADDRESS_BOOK, SESSION_CONTROL],
    uses=[CONTENT_ROUTING],
)

if TYPE_CHECKING:
    _fits: type[BlobStore] = Store
