"""The pacer: its rate, its quanta, its bursts, and that late timers do not slow it."""

import pytest
from peerkit_transport_udp.congestion import MAX_SEGMENTS, NewReno, Pacer, RttEstimator


def paced(rate: float) -> Pacer:
    pacer = Pacer()
    pacer.rate = rate
    return pacer


def send_all(pacer: Pacer, size: int, now: float) -> int:
    """Send until the pacer says stop; returns the bytes."""
    total = 0
    while count := pacer.segments(size, now):
        pacer.on_sent(count * size, now)
        total += count * size
    return total


def sent_in(pacer: Pacer, size: int, seconds: float, lateness_s: float) -> int:
    """Send for a while with timers that fire this much later than they were asked to."""
    now, total = 100.0, 0
    while now < 100.0 + seconds:
        total += send_all(pacer, size, now)
        now = max(pacer.due_at, now) + lateness_s
    return total


@pytest.mark.parametrize("rate", [20e3, 1e6, 12.5e6, 125e6])
@pytest.mark.parametrize("lateness_s", [0.0, 0.001])
def test_long_run_keeps_the_rate(rate: float, lateness_s: float) -> None:
    total = sent_in(paced(rate), 1_200, 2.0, lateness_s)
    assert total == pytest.approx(2.0 * rate, rel=0.03, abs=20_000)


@pytest.mark.parametrize("size", [1_400, 8_900])
def test_timers_of_a_millisecond_allow_seven_hundred_megabytes_a_second(size: int) -> None:
    assert sent_in(paced(700e6), size, 1.0, 0.001) >= 695e6


def test_lateness_beyond_the_burst_is_not_caught_up() -> None:
    assert sent_in(paced(10e6), 1_200, 2.0, 0.020) < 0.5 * 20e6


@pytest.mark.parametrize(("rate", "segments"), [(100e3, 1), (1.4e6, 1), (14e6, 10), (1e9, MAX_SEGMENTS)])
def test_batch_is_one_quantum(rate: float, segments: int) -> None:
    assert paced(rate).segments(1_400, 0.0) == segments


def test_batch_fits_one_call() -> None:
    assert paced(1e9).segments(8_900, 0.0) == 7
    assert paced(1e9).segments(65_507, 0.0) == 1


def test_idle_sender_may_send_one_first_window_at_once_and_no_more() -> None:
    pacer = paced(1e6)
    send_all(pacer, 1_200, 0.0)
    assert 13 * 1_200 >= send_all(pacer, 1_200, 1_000.0) >= 12 * 1_200


def test_nothing_leaves_before_it_is_due() -> None:
    pacer = paced(1e6)
    send_all(pacer, 1_200, 0.0)
    assert pacer.due_at > 0.0005
    assert pacer.segments(1_200, pacer.due_at - 0.0006) == 0
    assert pacer.segments(1_200, pacer.due_at) == 1


def test_rate_is_the_window_per_round_trip_and_some_more() -> None:
    controller, rtt, pacer = NewReno(1_200), RttEstimator(), Pacer()
    assert pacer.segments(1_200, 0.0) == MAX_SEGMENTS  # nothing known: the first window is the limit
    rtt.update(0.1)
    pacer.update(controller, rtt)
    assert pacer.rate == pytest.approx(2 * 12_000 / 0.1)  # slow start doubles
    controller.on_lost(1_200, 0.0, 1.0)
    pacer.update(controller, rtt)
    assert pacer.rate == pytest.approx(1.25 * 6_000 / 0.1)
