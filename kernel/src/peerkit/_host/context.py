"""What one plugin sees of its node: the implementation of `PluginContext`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from .._runtime.plugin_call import call_plugin
from .._runtime.services import Services
from ..capabilities import Capability
from ..clock import Clock, Rng
from ..errors import LocalProtocolError, PeerkitError
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
        return await self._services.platform.open_database(self.data_dir / f"{name}.db", migrations)

    def spawn(self, coro: Coroutine[object, object, None], name: str) -> Callable[[], None]:
        return self._services.supervisor.spawn(self._name, name, coro)

    def call_later(self, delay_s: float, fn: Callable[[], None]) -> Callable[[], None]:
        def fire() -> None:
            self._timers.discard(handle)
            try:
                call_plugin(self._name, "a timer", fn)
            except PeerkitError as exc:
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
        return self._board.providers(capability)

    def emit(self, event: Event) -> None:
        self._services.events.emit(event)

    def subscribe(self, event_type: type[E], replay: bool = False) -> AsyncIterator[E]:
        return self._services.events.subscribe(event_type, replay)

    def check(self, question: Question) -> Decision:
        return self._services.gate.check(question)

    def close(self) -> None:
        """For the host: no timer fires any more.  Idempotent."""
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()


if TYPE_CHECKING:
    _fits: type[PluginContext[BaseModel]] = HostContext
