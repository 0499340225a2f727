"""What one plugin sees of its node: the implementation of `PluginContext`."""

from __future__ import annotations

import asyncio
import re
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import BaseModel

from .._runtime.endpoints import Endpoints
from .._runtime.event_bus import Subscription
from .._runtime.plugin_call import call_plugin
from .._runtime.services import Services
from ..capabilities import Capability
from ..clock import Clock, Rng
from ..errors import LimitExceeded, LocalProtocolError, PeerkitError, PluginError
from ..event import Event
from ..identity import PeerId
from ..network import Network
from ..plugin import AnyCapability, Database, PluginContext
from ..record import Signed
from ..session import Pool
from ..trust import Decision, Question
from .capability_board import CapabilityBoard

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

T = TypeVar("T")
E = TypeVar("E", bound=Event)

MAX_TASKS = 16_384  # of one plugin, more than all handlers that peers can start; a waiting task costs about 4 KiB
MAX_TIMERS = 65_536  # ≈ 16 MiB
MAX_SUBSCRIPTIONS = 1_024  # each keeps up to 1,000 events
_DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class HostContext:
    """Args:
    provides, requires: what the spec declares; `requires` with what it uses.
    """

    def __init__(
        self,
        name: str,
        settings: BaseModel,
        services: Services,
        board: CapabilityBoard,
        provides: Sequence[AnyCapability],
        requires: Sequence[AnyCapability],
    ) -> None:
        self._name = name
        self._settings = settings
        self._services = services
        self._board = board
        self._provides = {c.name for c in provides}
        self._requires = {c.name for c in requires}
        self._log = services.log.bind(plugin=name)
        self._data_dir: Path | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._subscriptions: weakref.WeakSet[Subscription[Event]] = weakref.WeakSet()
        self._databases: list[Database] = []
        self._tally = services.supervisor.tallies.of(name)
        self.in_factory = True

    @property
    def name(self) -> str:
        return self._name

    @property
    def settings(self) -> BaseModel:
        return self._settings

    @property
    def peer_id(self) -> PeerId:
        return self._services.identity.peer_id

    @property
    def network_id(self) -> bytes:
        return self._services.network_id

    @property
    def clock(self) -> Clock:
        return self._services.platform.clock

    @property
    def rng(self) -> Rng:
        return self._services.platform.rng

    @property
    def log(self) -> FilteringBoundLogger:
        return self._log

    @property
    def data_dir(self) -> Path:
        if self._data_dir is None:  # made when first asked for: most plugins keep nothing
            path = self._services.data_dir / "plugins" / self._name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            self._data_dir = path
        return self._data_dir

    @property
    def pool(self) -> Pool:
        return self._services.pool

    @property
    def network(self) -> Network:
        return self._services.platform.network

    def sign(self, purpose: str, body: bytes) -> Signed:
        return Signed(body, self._services.identity.sign(purpose, self._services.network_id, body))

    def derive_secret(self, label: bytes, length: int = 32) -> bytes:
        return self._services.identity.derive_secret(label, length)

    async def run_blocking(self, fn: Callable[[], T]) -> T:
        return await self._services.platform.run_blocking(fn)

    async def open_database(self, name: str, migrations: Sequence[str]) -> Database:
        if _DATABASE_NAME.fullmatch(name) is None:
            raise LocalProtocolError(
                f"{name!r} is not a name for a database: a to z, 0 to 9 and _, at most 32 characters"
            )
        database = await self._services.platform.open_database(self.data_dir / f"{name}.db", migrations)
        self._databases.append(database)
        return database

    def spawn(self, coro: Coroutine[object, object, None], name: str) -> Callable[[], None]:
        supervisor = self._services.supervisor
        if supervisor.count(self._name) >= MAX_TASKS:
            coro.close()
            raise LimitExceeded(f"plugin {self._name} runs {MAX_TASKS:,} tasks already: {name} is not begun")
        return supervisor.spawn(self._name, name, coro, is_counted=True)

    def call_later(self, delay_s: float, fn: Callable[[], None]) -> Callable[[], None]:
        if len(self._timers) >= MAX_TIMERS:
            raise LimitExceeded(f"plugin {self._name} has set {MAX_TIMERS:,} timers already")

        def fire() -> None:
            self._timers.discard(handle)
            try:
                call_plugin(self._tally, "a timer", fn)
            except PeerkitError as exc:
                if type(exc) is not PluginError:  # that one is told
                    self._services.supervisor.report(self._name, "a timer", str(exc), -1)

        def cancel() -> None:
            handle.cancel()
            self._timers.discard(handle)

        handle = asyncio.get_running_loop().call_later(delay_s, fire)
        self._timers.add(handle)
        return cancel

    def provide(self, capability: Capability[T], obj: T) -> None:
        if not self.in_factory:
            raise LocalProtocolError(f"{self._name} may provide {capability.name} only in its factory")
        if capability.name not in self._provides:
            raise LocalProtocolError(f"{self._name} provides {capability.name}, but its spec does not say so")
        self._board.provide(capability.name, self._name, obj)

    def require(self, capability: Capability[T]) -> T:
        providers = self._providers(capability)
        if len(providers) != 1:
            names = " and ".join(name for name, _ in providers) or "nobody"
            raise LocalProtocolError(
                f"{self._name} requires one {capability.name}, and {names} provide it: use require_all"
            )
        return providers[0][1]

    def require_all(self, capability: Capability[T]) -> Sequence[T]:
        return tuple(obj for _, obj in self._providers(capability))

    def find(self, capability: Capability[T]) -> T | None:
        providers = self._providers(capability)
        return providers[0][1] if providers else None

    def _providers(self, capability: Capability[T]) -> list[tuple[str, T]]:
        if capability.name not in self._requires:
            raise LocalProtocolError(f"{self._name} asks for {capability.name}, but its spec does not say so")
        return [(name, self._own(obj)) for name, obj in self._board.providers(capability)]

    def _own(self, obj: T) -> T:
        """A kernel's object that must know who calls it is handed out in a form of its own."""
        return cast(T, obj.for_plugin(self._tally)) if isinstance(obj, Endpoints) else obj

    def emit(self, event: Event) -> None:
        self._services.events.emit(event)

    def subscribe(self, event_type: type[E], replay: bool = False) -> AsyncIterator[E]:
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise LimitExceeded(f"plugin {self._name} has {MAX_SUBSCRIPTIONS:,} subscriptions to events already")
        subscription = self._services.events.subscribe(event_type, replay)
        self._subscriptions.add(subscription)
        return subscription

    def check(self, question: Question) -> Decision:
        return self._services.gate.check(question)

    def close(self) -> None:
        """For the host: no timer fires and no event comes any more.  Idempotent."""
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
        for subscription in tuple(self._subscriptions):
            subscription.close()

    async def close_databases(self) -> None:
        """For the host, when the plugin's tasks have ended and the node runs on."""
        while self._databases:
            await self._services.platform.close_database(self._databases.pop())

    @property
    def timers(self) -> int:
        """How many are set."""
        return len(self._timers)

    @property
    def subscriptions(self) -> int:
        """How many are open."""
        return len(self._subscriptions)

    @property
    def limits(self) -> dict[str, int]:
        return {"tasks": MAX_TASKS, "timers": MAX_TIMERS, "subscriptions": MAX_SUBSCRIPTIONS}


if TYPE_CHECKING:
    _fits: type[PluginContext[BaseModel]] = HostContext
