"""Path-MTU discovery against paths that swallow what is too big."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peerkit_transport_udp.congestion import MAX_DATAGRAM_BYTES, MIN_DATAGRAM_BYTES, PathMtu

ROUND_TRIP_S = 0.05


class Path:
    """A path that carries datagrams up to `limit` and loses some of the others by chance."""

    def __init__(self, machine: PathMtu, limit: int, loss: float = 0.0) -> None:
        self.machine = machine
        self.limit = limit
        self.loss = loss
        self.now = 0.0
        self.probes: list[int] = []
        self._random = random.Random(3)

    def run(self, seconds: float) -> None:
        """Let the machine probe for so long."""
        until = self.now + seconds
        while self.now < until:
            if size := self.machine.probe_bytes(self.now):
                self.probes.append(size)
                self.machine.on_probe_sent(self.now)
                assert self.machine.probe_bytes(self.now) == 0 and self.machine.next_timer() == math.inf
                self.now += ROUND_TRIP_S
                if size <= self.limit and self._random.random() >= self.loss:
                    self.machine.on_probe_acked(self.now)
                else:
                    self.machine.on_probe_lost(self.now)
            else:
                self.now = min(max(self.machine.next_timer(), self.now + 1e-9), until)

    def send(self, datagrams: int) -> bool:
        """Send full datagrams, one acknowledgement or loss each; returns whether a black hole was seen."""
        seen = False
        for _ in range(datagrams):
            size = self.machine.datagram_bytes
            if size <= self.limit and self._random.random() >= self.loss:
                self.machine.on_acked(size)
            else:
                seen |= self.machine.on_lost(size, self.now)
            self.now += 0.01
        return seen


@pytest.mark.parametrize("limit", [1_200, 1_280, 1_400, 1_452, 1_472, 8_972, 65_507])
def test_sizes_of_real_networks_are_found_exactly(limit: int) -> None:
    path = Path(PathMtu(MAX_DATAGRAM_BYTES), limit)
    path.run(60.0)
    assert path.machine.datagram_bytes == limit and max(path.probes) >= limit


@pytest.mark.parametrize("limit", [1_452, 1_472])
def test_ethernet_takes_two_round_trips(limit: int) -> None:
    path = Path(PathMtu(MAX_DATAGRAM_BYTES), limit)
    path.run(2 * ROUND_TRIP_S - 0.01)
    assert path.machine.datagram_bytes == limit


def test_loopback_takes_a_dozen_round_trips() -> None:
    path = Path(PathMtu(MAX_DATAGRAM_BYTES), 65_507)
    path.run(12 * ROUND_TRIP_S)
    assert path.machine.datagram_bytes == 65_507
    assert not path.machine.is_searching and path.machine.next_timer() == math.inf


@settings(max_examples=50)
@given(limit=st.integers(MIN_DATAGRAM_BYTES, 70_000), maximum=st.integers(MIN_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES))
def test_any_size_is_found_to_three_percent_and_none_too_big(limit: int, maximum: int) -> None:
    path = Path(PathMtu(maximum), limit)
    path.run(300.0)
    found, possible = path.machine.datagram_bytes, min(limit, maximum)
    assert not path.machine.is_searching
    assert possible - max(20, possible // 32) <= found <= possible
    assert max(path.probes, default=0) <= maximum
    assert len(path.probes) < 80


def test_setting_is_probed_and_not_exceeded() -> None:
    path = Path(PathMtu(1_400), 65_507)
    path.run(10.0)
    assert path.probes == [1_400] and path.machine.datagram_bytes == 1_400


def test_least_setting_switches_the_search_off() -> None:
    machine = PathMtu(MIN_DATAGRAM_BYTES)
    assert machine.probe_bytes(1e6) == 0 and machine.next_timer() == math.inf


def test_circuit_may_carry_less_than_the_internet_does() -> None:
    assert PathMtu(1_000).datagram_bytes == 1_000
    path = Path(PathMtu(1_400, min_datagram_bytes=1_000), 1_100)
    path.run(60.0)
    assert 1_080 <= path.machine.datagram_bytes <= 1_100


def test_one_lost_probe_refutes_nothing() -> None:
    machine = PathMtu(1_472)
    now = 0.0
    for _ in range(2):
        assert machine.probe_bytes(now) == 1_452
        machine.on_probe_sent(now)
        machine.on_probe_lost(now + 0.1)
        assert machine.probe_bytes(now + 0.1) == 0  # not at once: losses come in bursts
        now = machine.next_timer()
        assert 0.1 < now < math.inf
    machine.on_probe_sent(now)
    assert machine.on_probe_acked(now + 0.1)
    assert machine.datagram_bytes == 1_452


def test_random_loss_neither_hides_the_size_nor_looks_like_a_black_hole() -> None:
    path = Path(PathMtu(1_472), 1_472, loss=0.05)
    path.run(20.0)
    assert path.machine.datagram_bytes == 1_472
    assert not path.send(1_000)


def test_path_that_shrinks_is_noticed_and_measured_again() -> None:
    path = Path(PathMtu(MAX_DATAGRAM_BYTES), 1_472)
    path.run(60.0)
    path.limit = 1_400
    assert path.send(3)
    assert path.machine.datagram_bytes == MIN_DATAGRAM_BYTES
    path.run(60.0)
    assert path.machine.datagram_bytes == 1_400


def test_timeouts_show_a_black_hole_too() -> None:
    path = Path(PathMtu(1_472), 1_472)
    path.run(1.0)
    assert [path.machine.on_timeout(path.now) for _ in range(3)] == [False, False, True]
    assert path.machine.datagram_bytes == MIN_DATAGRAM_BYTES


def test_false_alarm_costs_a_second() -> None:
    path = Path(PathMtu(1_472), 1_472)
    path.run(1.0)
    for _ in range(3):
        path.machine.on_timeout(path.now)
    path.run(1.0)
    assert path.machine.datagram_bytes == 1_472


def test_small_losses_are_no_black_hole() -> None:
    path = Path(PathMtu(1_472), 1_472)
    path.run(1.0)
    assert not any(path.machine.on_lost(MIN_DATAGRAM_BYTES, path.now) for _ in range(100))


def test_larger_path_is_found_after_ten_minutes() -> None:
    path = Path(PathMtu(1_472), 1_400)
    path.run(60.0)
    assert path.machine.datagram_bytes == 1_400
    path.limit = 1_472
    path.run(500.0)
    assert path.machine.datagram_bytes == 1_400
    path.run(200.0)
    assert path.machine.datagram_bytes == 1_472


def test_refusal_by_the_own_system_is_believed_at_once() -> None:
    machine = PathMtu(MAX_DATAGRAM_BYTES)
    machine.on_probe_sent(0.0)
    machine.on_probe_acked(0.1)
    assert machine.probe_bytes(0.1) == 1_472
    machine.on_probe_sent(0.1)
    assert not machine.on_too_big(1_472, 0.1)  # the probe did not leave
    assert machine.datagram_bytes == 1_452 and not machine.is_searching
    assert machine.on_too_big(1_452, 1.0)  # the interface was changed
    assert machine.datagram_bytes == MIN_DATAGRAM_BYTES and machine.probe_bytes(1.0) == 1_400
    assert not machine.on_too_big(MIN_DATAGRAM_BYTES, 2.0)  # nothing smaller to go to


def test_late_answers_of_a_search_given_up_change_nothing_wrongly() -> None:
    machine = PathMtu(1_472)
    machine.on_probe_sent(0.0)
    machine.on_probe_acked(0.1)
    machine.on_probe_sent(0.1)  # 1,472
    for _ in range(3):
        machine.on_timeout(0.2)
    assert machine.datagram_bytes == MIN_DATAGRAM_BYTES
    assert machine.on_probe_acked(0.3)  # it came through after all: proved is proved
    assert machine.datagram_bytes == 1_472


@given(st.lists(st.sampled_from(["sent", "acked", "lost", "big", "timeout", "ack", "loss", "later"]), max_size=80))
def test_no_order_of_events_leads_out_of_range(words: list[str]) -> None:
    machine, now = PathMtu(9_000), 0.0
    for word in words:
        match word:
            case "sent":
                if machine.probe_bytes(now):
                    machine.on_probe_sent(now)
            case "acked":
                machine.on_probe_acked(now)
            case "lost":
                machine.on_probe_lost(now)
            case "big":
                machine.on_too_big(machine.datagram_bytes, now)
            case "timeout":
                machine.on_timeout(now)
            case "ack":
                machine.on_acked(machine.datagram_bytes)
            case "loss":
                machine.on_lost(machine.datagram_bytes, now)
            case _:
                now += 100.0
        assert MIN_DATAGRAM_BYTES <= machine.datagram_bytes <= 9_000
        probe = machine.probe_bytes(now)
        assert probe == 0 or machine.datagram_bytes < probe <= 9_000
