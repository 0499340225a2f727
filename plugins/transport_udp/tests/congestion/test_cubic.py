"""The curve of CUBIC, point by point."""

import math

import pytest
from peerkit_transport_udp.congestion import Cubic, RttEstimator

SIZE = 1_200
RTT_S = 0.1


def after_loss_at(packets: float) -> tuple[Cubic, RttEstimator, float]:
    """A controller that has just lost a packet at this window, long after its start."""
    controller = Cubic(SIZE)
    rtt = RttEstimator()
    rtt.update(RTT_S)
    controller.on_lost(SIZE, 0.5, 1.0)  # out of slow start
    controller.window = packets * SIZE
    controller.on_lost(SIZE, 1.5, 2.0)
    return controller, rtt, 2.0


def follow(controller: Cubic, rtt: RttEstimator, since: float, until: float, is_limited: bool = False) -> float:
    """Acknowledge a window each round trip, two packets at a time."""
    now = since
    while now < until:
        packets = int(controller.window) // SIZE
        for number in range(0, packets, 2):
            at = now + RTT_S * number / packets
            controller.on_acked(2 * SIZE, at - RTT_S / 2, rtt, at, is_limited)
        now += RTT_S
    return now


def test_window_is_back_where_the_loss_was_after_k_seconds() -> None:
    controller, rtt, now = after_loss_at(500)
    k_s = math.cbrt(500 * 0.3 / 0.4)
    now = follow(controller, rtt, now + RTT_S, now + k_s)
    assert controller.window / SIZE == pytest.approx(500, rel=0.01)


def test_growth_is_concave_then_flat_then_convex() -> None:
    controller, rtt, now = after_loss_at(500)
    k_s = math.cbrt(500 * 0.3 / 0.4)
    now += RTT_S
    steps = []
    for _ in range(6):
        before = controller.window
        now = follow(controller, rtt, now, now + k_s / 3)
        steps.append(controller.window - before)
    assert steps[0] > 2 * steps[1] > 4 * steps[2]
    assert steps[5] > 2 * steps[4] > 4 * steps[3]


def test_two_losses_on_the_way_up_leave_room_to_others() -> None:
    controller, _, now = after_loss_at(500)
    controller.on_lost(SIZE, now + 0.1, now + 0.2)  # at 350, below the last W_max
    rtt = RttEstimator()
    rtt.update(RTT_S)
    k_s = math.cbrt((350 * 0.85 - 350 * 0.7) / 0.4)
    follow(controller, rtt, now + 0.3, now + 0.3 + k_s)
    assert controller.window / SIZE == pytest.approx(350 * 0.85, rel=0.02)


def test_small_window_follows_reno() -> None:
    controller, rtt, now = after_loss_at(10)
    follow(controller, rtt, now + RTT_S, now + RTT_S + 10 * RTT_S)
    # From 7 packets, 0.53 a round trip, 3 (1 - 0.7) / (1 + 0.7), until it is where the loss was; then 1 a round trip.
    assert controller.window / SIZE == pytest.approx(10 + (10 - 3 / 0.53), rel=0.05)


def test_time_without_data_does_not_count() -> None:
    controller, rtt, now = after_loss_at(500)
    now = follow(controller, rtt, now + RTT_S, now + 2.0)
    before = controller.window
    now = follow(controller, rtt, now, now + 60.0, is_limited=True)
    assert controller.window == before
    follow(controller, rtt, now, now + RTT_S)
    assert controller.window < 1.1 * before  # after 60 s on the curve it would be at 1.5 times


def test_window_grows_by_no_more_than_half_in_a_round_trip() -> None:
    controller, rtt, now = after_loss_at(20)
    now = follow(controller, rtt, now + RTT_S, now + 3.0)
    silent_until = now + 100.0  # silence that nobody called application-limited: the curve is far above
    before = controller.window
    follow(controller, rtt, silent_until, silent_until + RTT_S)
    assert controller.window <= 1.7 * before
