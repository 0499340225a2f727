"""A `PluginContext` without a node, for unit tests of one plugin.

    async def main() -> None:
        net = SimNetwork()
        ctx = FakePluginContext(MySettings(), net.platform())
        ctx.supply(PEER_ROUTING, my_fake_routing)
        plugin = spec.factory(ctx)
        ...
        assert ctx.emitted == [...]

    peerkit.testing.run(main())

It checks what a real node checks of a plugin: only what the spec provides, requires and uses may be provided, required
and found, and nothing is provided after the factory has returned (call `started`).  Sessions are not faked: a test that
needs peers starts real nodes on the simulated network (`Swarm`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

import structlog
from pydantic import BaseModel

from ..capabilities import Capability
from ..clock import Clock, Rng
from ..errors import LocalProtocolError, PeerUnreachable, PluginConflictError, Unavailable
from ..event import Event
from ..identity import Identity, PeerId
from ..network import Network
from ..platform import Platform
from ..plugin import Database, PluginContext, PluginSpec
from ..record import Signed, network_id
from ..session import DialTarget, Peer, Pool
from ..transport import Buffer
from ..trust import Decision, Question

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

T = TypeVar("T")
E = TypeVar("E", bound=Event)
S = TypeVar("S", bound=BaseModel)


class FakePool:
    """A pool whose members the test sets."""

    def __init__(self) -> None:
        self.members: dict[PeerId, Peer] = {}

    def peers(self) -> tuple[Peer, ...]:
        return tuple(self.members.values())

    def get(self, peer_id: PeerId) -> Peer | None:
        return self.members.get(peer_id)

    async def connect(self, target: DialTarget, timeout_s: float = 10.0) -> Peer:
        peer_id = target if isinstance(target, PeerId) else target.peer_id
        if peer_id is None or peer_id not in self.members:
            raise PeerUnreachable(str(peer_id or target), ["the fake pool has no such member"])
        return self.members[peer_id]

    async def broadcast(self, protocol: str, payload: Buffer) -> int:
        speakers = [peer for peer in self.members.values() if protocol in peer.protocols]
        for peer in speakers:
            await peer.send(protocol, payload)
        return len(speakers)


class FakePluginContext(Generic[S]):
    """See the module.

    Args:
        spec: when given, capabilities are held to what it names.
        data_dir: a folder for plugins that write files; `platform.open_database` needs none in the simulation.

    Attributes:
        emitted: events in order.
        provided: capability name → object.
        logs: what was logged: `(method, event name, key-values)`.
        deny: asked by `check`: a reason to refuse, or `None`.
        failures: exceptions that ended spawned tasks.
    """

    def __init__(
        self,
        settings: S,
        platform: Platform,
        *,
        name: str = "plugin",
        spec: PluginSpec[S] | None = None,
        identity: Identity | None = None,
        network: str = "test",
        data_dir: Path = Path("/nowhere"),
    ) -> None:
        self._settings = settings
        self._platform = platform
        self._name = name
        self._spec = spec
        self.identity = identity or Identity(platform.rng.randbytes(32))
        self._network_id = network_id(network)
        self._data_dir = data_dir
        self._pool = FakePool()
        self._supplied: dict[str, list[object]] = {}
        self._subscribers: list[tuple[type[Event], deque[Event], asyncio.Event]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_started = False
        self.emitted: list[Event] = []
        self.provided: dict[str, object] = {}
        self.logs: list[tuple[str, str, dict[str, object]]] = []
        self.deny: Callable[[Question], str | None] = lambda question: None  # noqa: ARG005
        self.failures: list[BaseException] = []
        self._log: FilteringBoundLogger = structlog.wrap_logger(
            structlog.testing.CapturingLogger(),
            processors=[self._keep_log],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def settings(self) -> S:
        return self._settings

    @property
    def peer_id(self) -> PeerId:
        return self.identity.peer_id

    @property
    def network_id(self) -> bytes:
        return self._network_id

    @property
    def clock(self) -> Clock:
        return self._platform.clock

    @property
    def rng(self) -> Rng:
        return self._platform.rng

    @property
    def log(self) -> "FilteringBoundLogger":
        return self._log

    @property
    def data_dir(self) -> Path:
        return self._data_dir

    @property
    def pool(self) -> FakePool:
        return self._pool

    @property
    def network(self) -> Network:
        return self._platform.network

    def sign(self, purpose: str, body: bytes) -> Signed:
        return Signed(body, self.identity.sign(purpose, self._network_id, body))

    def derive_secret(self, label: bytes, length: int = 32) -> bytes:
        return self.identity.derive_secret(label, length)

    async def run_blocking(self, fn: Callable[[], T]) -> T:
        return await self._platform.run_blocking(fn)

    async def open_database(self, name: str, migrations: Sequence[str]) -> Database:
        return await self._platform.open_database(self._data_dir / f"{name}.db", migrations)

    def spawn(self, coro: Coroutine[object, object, None], name: str) -> Callable[[], None]:
        task = asyncio.get_running_loop().create_task(coro, name=f"{self._name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return lambda: _cancel(task)

    def call_later(self, delay_s: float, fn: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_later(delay_s, fn).cancel

    def provide(self, capability: Capability[T], obj: T) -> None:
        if self._is_started:
            raise LocalProtocolError(f"{self._name} provides {capability.name} after its factory has returned")
        self._check_named(capability, "provides")
        if capability.name in self.provided:
            raise PluginConflictError(f"{self._name} provides {capability.name} twice")
        self.provided[capability.name] = obj

    def require(self, capability: Capability[T]) -> T:
        self._check_named(capability, "requires")
        found = self._supplied.get(capability.name, [])
        if len(found) != 1:
            raise Unavailable(f"{self._name} requires {capability.name}, which {len(found)} objects were supplied for")
        return cast(T, found[0])

    def require_all(self, capability: Capability[T]) -> Sequence[T]:
        self._check_named(capability, "requires", "uses")
        return cast(Sequence[T], tuple(self._supplied.get(capability.name, ())))

    def find(self, capability: Capability[T]) -> T | None:
        self._check_named(capability, "requires", "uses")
        found = self._supplied.get(capability.name)
        return cast(T, found[0]) if found else None

    def emit(self, event: Event) -> None:
        self.emitted.append(event)
        for wanted, queue, changed in self._subscribers:
            if isinstance(event, wanted):
                queue.append(event)
                changed.set()

    def subscribe(self, event_type: type[E], replay: bool = False) -> AsyncIterator[E]:
        past = [event for event in self.emitted if isinstance(event, event_type)] if replay else []
        entry: tuple[type[Event], deque[Event], asyncio.Event] = (
            event_type,
            deque(past, maxlen=1_000),
            asyncio.Event(),
        )
        self._subscribers.append(entry)
        return cast(AsyncIterator[E], self._listen(entry))

    def check(self, question: Question) -> Decision:
        reason = self.deny(question)
        return Decision(question, reason is None, "test", reason or "", self.clock.now())

    # for the test

    def supply(self, capability: Capability[T], obj: T) -> None:
        """Another plugin's object for `require`, `require_all` and `find`."""
        self._supplied.setdefault(capability.name, []).append(obj)

    def started(self) -> None:
        """The factory has returned: from now on nothing can be provided."""
        self._is_started = True

    async def close(self) -> None:
        """Cancel what was spawned.  Raises the first failure of a spawned task."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.failures:
            raise self.failures[0]

    async def _listen(self, entry: tuple[type[Event], deque[Event], asyncio.Event]) -> AsyncIterator[Event]:
        _, queue, changed = entry
        try:
            while True:
                while queue:
                    yield queue.popleft()
                changed.clear()
                await changed.wait()
        finally:
            self._subscribers.remove(entry)

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(error)

    def _check_named(self, capability: Capability[T], *places: str) -> None:
        if self._spec is None:
            return
        named = {known.name for place in places for known in getattr(self._spec, place)}
        if capability.name not in named:
            raise LocalProtocolError(f"{self._name} does not name {capability.name} in its {' or '.join(places)}")

    def _keep_log(self, logger: object, method: str, event: MutableMapping[str, Any]) -> NoReturn:
        values = dict(event)
        self.logs.append((method, str(values.pop("event", "")), values))
        raise structlog.DropEvent


def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()


if TYPE_CHECKING:
    from ..plugin import Settings

    _fits: type[PluginContext[Settings]] = FakePluginContext[Settings]
    _pool_fits: type[Pool] = FakePool
