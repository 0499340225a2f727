"""Events of one node: typed, bounded, the most recent ones replayed to whoever comes late.

Each event gets a sequence number among those of its type, so that a listener sees what it missed.  A plain listener is
called at once, in the order of emission; a subscription has a queue of its own that loses the oldest when full.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..clock import Clock
from ..errors import PeerkitError
from ..event import Event
from .plugin_call import call_plugin

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=Event)

REPLAYED = 200  # ≈ 100 KiB
QUEUED = 1_000  # per subscription; a listener that never reads costs ≈ 0.5 MiB at most
MAX_CASCADE = 1_000  # events that listeners emit while one is told; stops two listeners that answer each other for ever


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event with when it happened (`Clock.wall`) and its number among those of its type, from 1."""

    event: Event
    type: str
    sequence: int
    at: float

    def as_json(self) -> dict[str, object]:
        return {"event": self.type, "sequence": self.sequence, "at": self.at, **self.event.as_json()}


class Subscription(Generic[T_co]):
    """Async iterator over events.  Ends when closed or the bus is; dropping it ends it too.

    Attributes:
        lost: events that the full queue dropped.
    """

    def __init__(self, bus: EventBus, take: Callable[[Emitted], T_co], wanted: type[Event]) -> None:
        self._bus = bus
        self._take = take
        self._queue: deque[Emitted] = deque(maxlen=QUEUED)
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self.wanted = wanted
        self.lost = 0

    def __aiter__(self) -> Subscription[T_co]:
        return self

    async def __anext__(self) -> T_co:
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._take(self._queue.popleft())

    def put(self, emitted: Emitted) -> None:
        """For the bus."""
        if len(self._queue) == QUEUED:
            self.lost += 1
        self._queue.append(emitted)
        self._wake()

    def close(self) -> None:
        """End the iteration after what is queued.  Idempotent."""
        self._closed = True
        self._bus.forget(self)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class EventBus:
    """Emit and listen; for the event loop's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: deque[Emitted] = deque(maxlen=REPLAYED)
        self._sequences: dict[type[Event], int] = {}
        self._listeners: list[tuple[str, type[Event], Callable[[Emitted], None]]] = []
        self._subscriptions: weakref.WeakSet[Subscription[object]] = weakref.WeakSet()
        self._pending: deque[Emitted] = deque()
        self._telling = False

    def emit(self, event: Event) -> None:
        """Tell everybody.  An event emitted by a listener is told after the one that caused it."""
        kind = type(event)
        sequence = self._sequences[kind] = self._sequences.get(kind, 0) + 1
        emitted = Emitted(event, kind.__name__, sequence, self._clock.wall())
        self._recent.append(emitted)
        for subscription in tuple(self._subscriptions):
            if isinstance(event, subscription.wanted):
                subscription.put(emitted)
        if not self._listeners or len(self._pending) >= MAX_CASCADE:
            return
        self._pending.append(emitted)
        if not self._telling:
            self._tell()

    def _tell(self) -> None:
        self._telling = True
        told = 0
        try:
            while self._pending and told < MAX_CASCADE:
                emitted = self._pending.popleft()
                told += 1
                for owner, wanted, listener in tuple(self._listeners):
                    if isinstance(emitted.event, wanted):
                        try:
                            call_plugin(owner, f"its listener for {emitted.type}", listener, emitted)
                        except PeerkitError:
                            continue  # logged there; the others still hear it
        finally:
            self._telling = False
            self._pending.clear()

    def listen(self, owner: str, event_type: type[E], listener: Callable[[E], None]) -> Callable[[], None]:
        """Call `listener(event)` for every event of that type (or derived) from now on.  Returns its end."""

        def on_emitted(emitted: Emitted) -> None:
            listener(emitted.event)  # type: ignore[arg-type]  # `wanted` was checked

        entry = (owner, event_type, on_emitted)
        self._listeners.append(entry)
        return lambda: self._listeners.remove(entry) if entry in self._listeners else None

    def subscribe(self, event_type: type[E], replay: bool = False) -> Subscription[E]:
        """Events of that type (or derived) from now on; with `replay` the recent ones first."""

        def event_of(emitted: Emitted) -> E:
            assert isinstance(emitted.event, event_type)
            return emitted.event

        return self._add(Subscription(self, event_of, event_type), replay)

    def follow(self, replay: bool = False) -> Subscription[Emitted]:
        """Every event with its number and time, for `peerkit events`."""
        return self._add(Subscription(self, lambda emitted: emitted, Event), replay)

    def recent(self) -> tuple[Emitted, ...]:
        """The most recent events, oldest first."""
        return tuple(self._recent)

    def forget(self, subscription: Subscription[T]) -> None:
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription after what it has queued.  Idempotent."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def _add(self, subscription: Subscription[T], replay: bool) -> Subscription[T]:
        if replay:
            for emitted in self._recent:
                if isinstance(emitted.event, subscription.wanted):
                    subscription.put(emitted)
        self._subscriptions.add(subscription)
        return subscription
