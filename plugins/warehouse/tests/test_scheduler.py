"""The scheduler with sources moved by hand: slow, stalling, vanishing, lying, partial, busy."""

import heapq
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peerkit_warehouse.range_set import RangeSet
from peerkit_warehouse.scheduler import MAX_OUTSTANDING, AskGroup, DropSource, Finished, Scheduler
from peerkit_warehouse.source import MAX_WINDOW, MIN_WINDOW

from peerkit.testing import SeededRng

GROUP = 1 << 20


class Simulated:
    """A download whose sources answer after a latency and one group after another at their rate.

    Attributes:
        asked: group → names asked, in order.
    """

    def __init__(self, groups: int, held: tuple[tuple[int, int], ...] = ()) -> None:
        self.scheduler = Scheduler(groups, SeededRng(1), held)
        self.now = 0.0
        self.asked: dict[int, list[str]] = {}
        self.dropped: list[str] = []
        self.finished = 0
        self._speed: dict[str, tuple[float, float]] = {}
        self._free_at: dict[str, float] = {}
        self._queue: list[tuple[float, int, str, int]] = []
        self._silent: set[str] = set()
        self._kept: dict[str, list[int]] = {}
        self.gave: dict[str, int] = {}

    def add(self, name: str, latency_s: float, rate: float, holdings: RangeSet | None = None) -> None:
        self._speed[name] = (latency_s, rate)
        self.scheduler.add_source(name, holdings, latency_s, self.now)
        self._drain()

    def silence(self, name: str) -> None:
        self._silent.add(name)

    def speak(self, name: str) -> None:
        """What it kept back comes now."""
        self._silent.discard(name)
        for group in self._kept.pop(name, []):
            heapq.heappush(self._queue, (self.now + 0.01, group, name, group))

    def vanish(self, name: str) -> None:
        self._silent.add(name)
        self.scheduler.remove_source(name, self.now)
        self._drain()

    def _drain(self) -> None:
        while (event := self.scheduler.next_event()) is not None:
            if isinstance(event, AskGroup):
                self.asked.setdefault(event.group, []).append(event.source)
                latency, rate = self._speed[event.source]
                start = max(self.now + latency, self._free_at.get(event.source, 0.0))
                done = start + GROUP / rate
                self._free_at[event.source] = done
                heapq.heappush(self._queue, (done, event.group, event.source, event.group))
            elif isinstance(event, DropSource):
                self.dropped.append(event.source)
            elif isinstance(event, Finished):
                self.finished += 1

    def run(self, until: float = math.inf) -> None:
        while not self.scheduler.is_done:
            due = self.scheduler.next_timer()
            at = min(self._queue[0][0] if self._queue else math.inf, math.inf if due is None else due)
            if at > until or at == math.inf:
                self.now = until
                return
            self.now = max(self.now, at)
            if due is not None and self.now >= due:
                self.scheduler.handle_timer(self.now)
            while self._queue and self._queue[0][0] <= self.now:
                _, _, name, group = heapq.heappop(self._queue)
                if name in self._silent:
                    self._kept.setdefault(name, []).append(group)
                    continue
                self.scheduler.receive_bytes(name, GROUP, self.now)
                if self.scheduler.receive_group(name, group, self.now):
                    self.gave[name] = self.gave.get(name, 0) + 1
            self._drain()


def test_one_source_gives_everything_once_and_in_order() -> None:
    d = Simulated(100)
    d.add("a", 0.05, 50e6)
    d.run()
    assert d.finished == 1
    assert list(d.asked) == list(range(100))
    assert all(names == ["a"] for names in d.asked.values())


def test_what_is_held_is_not_asked_for() -> None:
    d = Simulated(10, held=((0, 4), (6, 9)))
    d.add("a", 0.05, 50e6)
    d.run()
    assert set(d.asked) == {4, 5, 9}


def test_everything_held_is_finished_at_once() -> None:
    d = Simulated(3, held=((0, 3),))
    d.add("a", 0.05, 50e6)
    assert d.finished == 1
    assert not d.asked


def test_the_window_grows_to_the_bandwidth_delay_product() -> None:
    d = Simulated(400)
    d.add("a", 0.2, 100e6)  # a product of 20 MB
    d.run()
    ideal = 400 * GROUP / 100e6
    assert d.now < ideal * 1.5
    assert MIN_WINDOW <= d.scheduler.sources[0].window <= MAX_WINDOW


def test_several_sources_give_in_proportion_to_their_speed() -> None:
    d = Simulated(300)
    d.add("fast", 0.02, 90e6)
    d.add("slow", 0.02, 10e6)
    d.run()
    assert d.gave["fast"] > 4 * d.gave["slow"] > 0
    assert d.now < 300 * GROUP / 100e6 * 1.3


def test_a_stalled_sources_groups_go_to_others() -> None:
    d = Simulated(50)
    d.add("stalls", 0.02, 50e6)
    d.add("works", 0.02, 50e6)
    d.run(until=0.3)
    d.silence("stalls")
    d.run()
    assert d.finished == 1
    assert d.now < 5.0  # not the 30 s after which it is dropped


def test_a_stalled_source_that_speaks_again_is_used_again() -> None:
    d = Simulated(400)
    d.add("a", 0.02, 20e6)
    d.add("b", 0.02, 20e6)
    d.run(until=1.0)
    d.silence("a")
    d.run(until=4.0)
    assert next(s for s in d.scheduler.sources if s.name == "a").is_stalled
    before = d.gave["a"]
    d.speak("a")
    d.run()
    assert d.gave["a"] > before
    assert d.finished == 1


def test_a_source_that_never_answers_is_dropped() -> None:
    d = Simulated(5)
    d.add("dead", 0.02, 50e6)
    d.silence("dead")
    d.run(until=100)
    assert d.dropped == ["dead"]
    assert not d.scheduler.is_done
    d.add("late", 0.02, 50e6)
    d.run()
    assert d.finished == 1


def test_a_vanished_sources_groups_are_asked_of_others() -> None:
    d = Simulated(60)
    d.add("a", 0.02, 20e6)
    d.add("b", 0.02, 20e6)
    d.run(until=0.5)
    d.vanish("a")
    d.run()
    assert d.finished == 1


def test_a_banned_source_does_not_come_back() -> None:
    d = Simulated(5)
    d.add("liar", 0.02, 50e6)
    d.scheduler.remove_source("liar", 0.0, ban=True)
    assert not d.scheduler.add_source("liar", None, 0.02, 0.0)
    d.add("honest", 0.02, 50e6)
    d.run()
    assert d.finished == 1


def test_partial_holders_are_asked_only_for_what_they_hold() -> None:
    d = Simulated(60)
    parts = {"a": RangeSet([(0, 30)]), "b": RangeSet([(20, 60)])}
    for name, held in parts.items():
        d.add(name, 0.02, 20e6, held)
    d.run()
    assert d.finished == 1
    assert all(group in parts[name] for group, names in d.asked.items() for name in names)


def test_the_rarest_groups_are_asked_first_of_a_full_source() -> None:
    d = Simulated(40)
    d.scheduler.add_source("p1", RangeSet([(0, 30)]), 0.02, 0.0)
    d.scheduler.add_source("p2", RangeSet([(0, 30)]), 0.02, 0.0)
    while d.scheduler.next_event() is not None:
        pass
    d.scheduler.add_source("full", None, 0.02, 0.0)
    first = [e.group for e in iter(d.scheduler.next_event, None) if isinstance(e, AskGroup)]
    assert first
    assert all(group >= 30 for group in first)


def test_a_partial_holder_that_learns_more_is_asked_more() -> None:
    d = Simulated(10)
    d.add("p", 0.02, 50e6, RangeSet([(0, 3)]))
    d.run(until=5)
    assert d.scheduler.left == 7
    d.add("p", 0.02, 50e6, RangeSet([(0, 10)]))
    d.run()
    assert d.finished == 1


def test_a_refused_group_is_asked_of_somebody_else() -> None:
    s = Scheduler(1, SeededRng(1))
    s.add_source("a", None, 0.02, 0.0)
    assert s.next_event() == AskGroup("a", 0)
    s.receive_refusal("a", 0, 0.1)
    assert s.next_event() is None  # it does not hold it: no use to ask again
    s.add_source("b", None, 0.02, 0.2)
    assert s.next_event() == AskGroup("b", 0)


def test_a_busy_source_is_asked_again_later_and_later() -> None:
    s = Scheduler(1, SeededRng(1))
    s.add_source("a", None, 0.02, 0.0)
    now, waits = 0.0, []
    for _ in range(4):
        assert s.next_event() == AskGroup("a", 0)
        s.receive_refusal("a", 0, now, busy=True)
        assert s.next_event() is None
        due = s.next_timer()
        assert due is not None
        waits.append(due - now)
        now = due
        s.handle_timer(now)
    assert waits == sorted(waits)
    assert waits[-1] > waits[0] > 0


def test_the_last_group_of_a_slow_source_is_asked_twice() -> None:
    d = Simulated(20)
    d.add("slow", 0.02, 0.1e6)  # 10 s for a group, but never silent
    d.add("fast", 0.02, 50e6)
    d.run()
    assert d.finished == 1
    assert d.now < 5.0
    assert all(len(names) <= 2 for names in d.asked.values())


def test_what_is_on_the_way_is_bounded() -> None:
    s = Scheduler(1000, SeededRng(1))
    for i in range(40):
        s.add_source(f"s{i}", None, 0.02, 0.0)
    for source in s.sources:
        source.window = MAX_WINDOW
    s.handle_timer(0.1)
    assert sum(len(source.outstanding) for source in s.sources) <= MAX_OUTSTANDING
    assert len(s.sources) <= 32


@pytest.mark.parametrize("name", ["nobody", "gone"])
def test_answers_of_unknown_sources_do_no_harm(name: str) -> None:
    s = Scheduler(2, SeededRng(1))
    s.add_source("gone", None, 0.02, 0.0)
    s.remove_source("gone", 0.0)
    s.receive_bytes(name, 10, 0.0)
    s.receive_refusal(name, 0, 0.0)
    assert s.receive_group(name, 0, 0.0)
    assert not s.receive_group(name, 0, 0.0)
    assert s.left == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "part", "remove", "ban", "group", "refuse", "busy", "bytes", "time"]),
        st.integers(0, 3),
        st.integers(0, 11),
    ),
    max_size=60,
)


@given(steps)
@settings(max_examples=200)
def test_whatever_happens_one_honest_source_finishes_it(events: list[tuple[str, int, int]]) -> None:
    """No order of events loses a group, asks a source twice for one at a time, or ends with work undone."""
    groups = 12
    s, now = Scheduler(groups, SeededRng(2)), 0.0
    asked: dict[str, set[int]] = {}

    def drain() -> None:
        while (event := s.next_event()) is not None:
            if isinstance(event, AskGroup):
                assert event.group not in asked.setdefault(event.source, set())
                asked[event.source].add(event.group)

    for what, who, group in events:
        now += 0.05
        name = f"s{who}"
        match what:
            case "add":
                s.add_source(name, None, 0.1, now)
            case "part":
                s.add_source(name, RangeSet([(0, group)]), 0.1, now)
            case "remove" | "ban":
                s.remove_source(name, now, ban=what == "ban")
                asked.pop(name, None)
            case "group":
                if group in asked.get(name, ()):
                    asked[name].discard(group)
                    s.receive_group(name, group, now)
            case "refuse" | "busy":
                if group in asked.get(name, ()):
                    asked[name].discard(group)
                    s.receive_refusal(name, group, now, busy=what == "busy")
            case "bytes":
                s.receive_bytes(name, 100, now)
            case _:
                now += group
                s.handle_timer(now)
        known = {source.name for source in s.sources}
        asked = {n: g for n, g in asked.items() if n in known}
        drain()
    s.add_source("honest", None, 0.1, now)
    drain()
    for _ in range(200):
        if s.is_done:
            break
        now += 0.5
        for group in list(asked.get("honest", ())):
            asked["honest"].discard(group)
            s.receive_group("honest", group, now)
        s.handle_timer(now)
        asked = {n: g for n, g in asked.items() if n in {source.name for source in s.sources}}
        drain()
    assert s.is_done
