"""Driving machines by hand, shown on a small one that repeats a message until it is acknowledged."""

from dataclasses import dataclass

import pytest

from peerkit.testing import FakeClock, SeededRng, exchange, run_until


@dataclass(frozen=True, slots=True)
class Delivered:
    at: float


class Repeater:
    """Sends `b"?"` every second until it receives `b"!"`; answers `b"?"` with `b"!"`."""

    def __init__(self, starts: bool, target: str) -> None:
        self._due: float | None = 0.0 if starts else None
        self._target = target
        self._out: list[bytes] = []
        self._events: list[object] = []

    def receive_datagram(self, data: bytes, addr: str, now: float) -> None:
        assert addr == self._target
        if data == b"?":
            self._out.append(b"!")
        else:
            self._due = None
            self._events.append(Delivered(now))

    def handle_timer(self, now: float) -> None:
        self._out.append(b"?")
        self._due = now + 1

    def next_timer(self) -> float | None:
        return self._due

    def next_event(self) -> object | None:
        return self._events.pop(0) if self._events else None

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, str]]:
        out, self._out = self._out, []
        return [(data, self._target) for data in out]


def test_an_exchange_ends_when_both_are_quiet() -> None:
    seen = exchange(Repeater(True, "b"), Repeater(False, "a"), "a", "b", delay_s=0.25)
    assert seen.events_a == [Delivered(0.5)]
    assert seen.ended_at == 0.5
    assert (seen.sent_by_a, seen.sent_by_b) == ([b"?"], [b"!"])


def test_dropped_datagrams_are_repeated_by_the_timer() -> None:
    seen = exchange(
        Repeater(True, "b"), Repeater(False, "a"), "a", "b", drop=lambda side, number, _: side == "a" and number < 3
    )
    assert len(seen.sent_by_a) == 4
    assert len(seen.events_a) == 1
    assert seen.ended_at == pytest.approx(3.1)


def test_an_exchange_ends_at_its_limit() -> None:
    seen = exchange(Repeater(True, "b"), Repeater(False, "a"), "a", "b", drop=lambda *_: True, until=5.5)
    assert len(seen.sent_by_a) == 6
    assert seen.ended_at == 5


def test_run_until_fires_each_timer_when_due() -> None:
    machine = Repeater(True, "b")
    assert run_until(machine, 2.5) == []
    assert len(machine.datagrams_to_send(2.5)) == 3
    assert machine.next_timer() == 3


def test_a_timer_that_stays_due_is_an_error() -> None:
    class Stuck(Repeater):
        def handle_timer(self, now: float) -> None:
            pass

    with pytest.raises(RuntimeError, match="still has a timer due"):
        run_until(Stuck(True, "b"), 1)


def test_a_fake_clock_moves_both_times() -> None:
    clock = FakeClock(100)
    wall = clock.wall()
    assert clock.advance(5) == clock.now() == 105
    assert clock.wall() == wall + 5


def test_seeded_numbers_repeat() -> None:
    assert SeededRng(1).randbytes(8) == SeededRng(1).randbytes(8) != SeededRng(2).randbytes(8)
