"""Round-trip estimates: RFC 9002 §5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_transport_udp.congestion import RttEstimator


def test_before_the_first_sample_it_is_a_third_of_a_second() -> None:
    rtt = RttEstimator()
    assert (rtt.smoothed_s, rtt.variation_s, rtt.samples) == (0.333, 0.1665, 0)
    assert rtt.timeout_s(0.0) == pytest.approx(0.999)


def test_first_sample_sets_everything_whatever_delay_is_claimed() -> None:
    rtt = RttEstimator()
    rtt.update(0.1, 0.09)
    assert (rtt.latest_s, rtt.min_s, rtt.smoothed_s, rtt.variation_s) == (0.1, 0.1, 0.1, 0.05)


def test_later_samples_move_the_averages() -> None:
    rtt = RttEstimator()
    rtt.update(0.1)
    rtt.update(0.2, 0.02)
    assert rtt.adjusted_s == pytest.approx(0.18)
    assert rtt.variation_s == pytest.approx(0.75 * 0.05 + 0.25 * 0.08)
    assert rtt.smoothed_s == pytest.approx(0.875 * 0.1 + 0.125 * 0.18)
    assert rtt.min_s == 0.1


def test_delay_that_would_go_below_the_minimum_is_not_believed() -> None:
    rtt = RttEstimator()
    rtt.update(0.1)
    rtt.update(0.11, 0.05)
    assert rtt.adjusted_s == 0.11


def test_minimum_can_begin_anew() -> None:
    rtt = RttEstimator()
    rtt.update(0.1)
    rtt.update(0.3)
    rtt.restart_minimum()
    assert rtt.min_s == 0.3


def test_reset_is_as_new() -> None:
    rtt = RttEstimator()
    rtt.update(0.1)
    rtt.reset()
    assert (rtt.smoothed_s, rtt.samples, rtt.latest_s) == (0.333, 0, 0.0)


def test_loss_delay_is_nine_eighths_of_the_larger_but_not_below_the_timers() -> None:
    rtt = RttEstimator()
    rtt.update(0.08)
    assert rtt.loss_delay_s() == pytest.approx(0.09)
    rtt.update(0.16)
    assert rtt.loss_delay_s() == pytest.approx(0.18)
    fast = RttEstimator()
    fast.update(0.0002)
    assert fast.loss_delay_s() == 0.005


@given(st.lists(st.tuples(st.floats(-1.0, 100.0), st.floats(0.0, 10.0)), min_size=1))
def test_estimates_stay_between_the_least_and_the_largest_sample(samples: list[tuple[float, float]]) -> None:
    rtt = RttEstimator()
    for sample, delay in samples:
        rtt.update(sample, delay)
    least, largest = min(max(sample, 0.0) for sample, _ in samples), max(max(sample, 0.0) for sample, _ in samples)
    assert rtt.min_s == least
    assert least - 1e-9 <= rtt.smoothed_s <= largest + 1e-9
    assert least - 1e-9 <= rtt.adjusted_s <= largest + 1e-9
    assert rtt.variation_s >= 0
