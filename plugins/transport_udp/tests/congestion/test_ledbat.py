"""LEDBAT++: gain, decrease, slowdowns, base delay; each round trip one acknowledgement of a whole window."""

import math

import pytest
from peerkit_transport_udp.congestion import LedbatPlusPlus, RttEstimator
from peerkit_transport_udp.congestion.ledbat import TARGET_S

SIZE = 1_200


class Path:
    """Drives a controller with round trips of a given length."""

    def __init__(self) -> None:
        self.controller = LedbatPlusPlus(SIZE)
        self.rtt = RttEstimator()
        self.now = 0.0

    def round_trip(self, seconds: float, repeats: int = 1) -> float:
        for _ in range(repeats):
            sent_at, self.now = self.now, self.now + seconds
            self.rtt.update(seconds)
            self.controller.on_acked(int(self.controller.window), sent_at, self.rtt, self.now, False)
        return self.controller.window / SIZE

    def lose(self) -> None:
        self.controller.on_lost(SIZE, self.now, self.now + 1e-6)
        self.now += 2e-6


@pytest.mark.parametrize(("base_s", "gain"), [(0.001, 1 / 16), (0.02, 1 / 6), (0.06, 1 / 2), (0.12, 1.0), (0.3, 1.0)])
def test_gain_is_smaller_on_short_paths(base_s: float, gain: float) -> None:
    path = Path()
    path.round_trip(base_s)
    path.lose()  # avoidance
    before = path.controller.window / SIZE
    assert path.round_trip(base_s) - before == pytest.approx(gain, rel=0.01)


def test_it_begins_with_two_packets_and_ends_slow_start_at_three_quarters_of_the_target() -> None:
    path = Path()
    assert path.controller.window == 2 * SIZE
    path.round_trip(0.1, 10)
    path.round_trip(0.1 + 0.7 * TARGET_S, 4)
    assert path.controller.is_slow_start
    path.round_trip(0.1 + 0.8 * TARGET_S, 4)  # the least of four samples counts
    assert not path.controller.is_slow_start
    assert path.controller.threshold == path.controller.window


def avoiding(base_s: float) -> Path:
    """A path in congestion avoidance with a window of 100 packets and no slowdown near."""
    path = Path()
    path.round_trip(base_s, 4)
    path.lose()
    path.round_trip(base_s, 8)  # through the first slowdown, two round trips after
    path.controller.window = 100.0 * SIZE
    return path


def test_below_the_target_the_window_grows_above_it_shrinks_in_proportion() -> None:
    path = avoiding(0.2)
    for _ in range(3):
        path.round_trip(0.2 + 1.1 * TARGET_S)
    path.controller.window = 100.0 * SIZE
    assert path.round_trip(0.2 + 1.1 * TARGET_S) == pytest.approx(100 + 1 - 100 * 0.1)


def test_window_loses_half_at_most_in_a_round_trip() -> None:
    path = avoiding(0.2)
    for _ in range(3):
        path.round_trip(2.0)
    path.controller.window = 100.0 * SIZE
    assert path.round_trip(2.0) == pytest.approx(50)


def test_one_late_sample_is_not_a_queue() -> None:
    path = avoiding(0.2)
    assert path.round_trip(1.0) > 100.0


def test_slowdown_empties_the_queue_and_takes_a_tenth_of_the_time() -> None:
    path = Path()
    path.round_trip(0.1, 16)
    path.lose()
    window_before, slow, times = 0.0, 0, []
    for _ in range(400):
        before = path.controller.window
        path.round_trip(0.1)
        if path.controller.window == 2 * SIZE and before > 2 * SIZE:
            times.append(path.now)
            window_before = before
            assert path.controller.threshold == before
        slow += path.controller.window < 0.9 * window_before
    assert len(times) >= 2
    assert slow / 400 <= 0.15
    # The first comes two round trips after slow start; the next after nine times what the first one took.
    assert times[1] - times[0] > 9 * 0.1 * 3


def test_window_stands_still_for_two_round_trips_of_a_slowdown() -> None:
    path = Path()
    path.round_trip(0.1, 16)
    path.lose()
    while path.controller.window > 2 * SIZE:
        path.round_trip(0.1)
    assert path.round_trip(0.1) == 2
    assert path.round_trip(0.1) == 2
    assert path.round_trip(0.1) > 2


def test_loss_of_what_was_sent_before_a_slowdown_halves_what_the_ramp_leads_to() -> None:
    path = Path()
    path.round_trip(0.1, 16)
    path.lose()
    while path.controller.window > 2 * SIZE:
        sent_at = path.now
        path.round_trip(0.1)
    goal = path.controller.threshold
    path.controller.on_lost(SIZE, sent_at, path.now + 0.01)
    assert path.controller.window == 2 * SIZE and path.controller.threshold == goal / 2


def test_base_delay_is_forgotten_after_ten_minutes() -> None:
    path = Path()
    path.round_trip(0.05)
    path.round_trip(0.1, 5_000)  # 500 s
    assert path.controller.base_delay_s == pytest.approx(0.05)
    path.round_trip(0.1, 2_000)
    assert path.controller.base_delay_s == pytest.approx(0.1)


def test_nothing_is_known_before_the_first_sample() -> None:
    controller = LedbatPlusPlus(SIZE)
    assert controller.base_delay_s == math.inf and controller.queue_delay_s == 0.0
    controller.on_lost(SIZE, 0.0, 1.0)
    assert controller.window == 2 * SIZE
