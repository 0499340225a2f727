"""Driving sans-IO machines by hand: time passes as the test says, datagrams are dropped and delayed on purpose."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
MAX_STEPS = 100_000  # a machine whose timer is always due would never let the test end


class TimedMachine(Protocol):
    """A machine with timers."""

    def handle_timer(self, now: float) -> None: ...
    def next_timer(self) -> float | None: ...
    def next_event(self) -> object | None: ...


class DatagramMachine(TimedMachine, Protocol[A]):
    """A machine that talks by datagrams; `A` is its kind of address."""

    def receive_datagram(self, data: bytes, addr: A, now: float) -> None: ...
    def datagrams_to_send(self, now: float) -> Iterable[tuple[bytes, A]]: ...


def events_of(machine: TimedMachine) -> list[object]:
    """Everything that `next_event` has to tell now."""
    events: list[object] = []
    while (event := machine.next_event()) is not None:
        events.append(event)
    return events


def run_until(machine: TimedMachine, until: float) -> list[object]:
    """Fire the machine's timers, each exactly when due, up to and including `until`; returns its events.

    Raises:
        RuntimeError: a timer stays due for ever.
    """
    events = events_of(machine)
    for _ in range(MAX_STEPS):
        due = machine.next_timer()
        if due is None or due > until:
            return events
        machine.handle_timer(due)
        events += events_of(machine)
    raise RuntimeError(f"after {MAX_STEPS} steps the machine still has a timer due at {machine.next_timer()}")


@dataclass(slots=True)
class Exchange(Generic[A]):
    """What `exchange` saw.

    Attributes:
        ended_at: when nothing was left to do, or the limit.
        events_a, events_b: in order.
        sent_by_a, sent_by_b: datagrams, dropped ones included.
    """

    ended_at: float = 0.0
    events_a: list[object] = field(default_factory=list)
    events_b: list[object] = field(default_factory=list)
    sent_by_a: list[bytes] = field(default_factory=list)
    sent_by_b: list[bytes] = field(default_factory=list)


def exchange(
    a: DatagramMachine[A],
    b: DatagramMachine[A],
    address_a: A,
    address_b: A,
    *,
    drop: Callable[[str, int, bytes], bool] = lambda side, number, data: False,  # noqa: ARG005
    delay_s: float = 0.05,
    start: float = 0.0,
    until: float = 60.0,
) -> Exchange[A]:
    """Let two machines talk until both are quiet or `until` is reached.

    Args:
        drop: asked for each datagram with "a" or "b" (who sent it), its number from 0 on that side, and its bytes.
        delay_s: one way.
    """
    seen: Exchange[A] = Exchange(ended_at=start)
    sides = {"a": (a, address_b, seen.sent_by_a, seen.events_a), "b": (b, address_a, seen.sent_by_b, seen.events_b)}
    flying: list[tuple[float, int, str, bytes]] = []  # (due, order, receiver, bytes)
    now, order = start, 0
    for _ in range(MAX_STEPS):
        for name, (machine, _, sent, events) in sides.items():
            for data, _to in machine.datagrams_to_send(now):
                number = len(sent)
                sent.append(bytes(data))
                if not drop(name, number, bytes(data)):
                    order += 1
                    heapq.heappush(flying, (now + delay_s, order, "b" if name == "a" else "a", bytes(data)))
            events += events_of(machine)
        seen.ended_at = now
        timers = [due for machine, *_ in sides.values() if (due := machine.next_timer()) is not None]
        dues = [*timers, flying[0][0]] if flying else timers
        if not dues or min(dues) > until:
            return seen
        now = max(now, min(dues))
        while flying and flying[0][0] <= now:
            _, _, receiver, data = heapq.heappop(flying)
            machine, source, *_ = sides[receiver]
            machine.receive_datagram(data, source, now)
        for machine, *_ in sides.values():
            due = machine.next_timer()
            if due is not None and due <= now:
                machine.handle_timer(now)
    raise RuntimeError(f"after {MAX_STEPS} steps the two machines still have something to do")
