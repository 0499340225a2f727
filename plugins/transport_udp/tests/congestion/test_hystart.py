"""HyStart++ by rounds: samples of 20 ms and more, ten acknowledgements a round."""

import math

from peerkit_transport_udp.congestion.hystart import HyStart

ROUND_S = 0.02


def run_round(hystart: HyStart, number: int, sample_s: float, acks: int = 10) -> float:
    """One round of acknowledgements for what was sent in the round before; returns the growth of it."""
    sent_at, now = number * ROUND_S, (number + 1) * ROUND_S
    return sum(hystart.growth(1_000, sent_at + step * 1e-4, sample_s, now + step * 1e-4) for step in range(acks))


def test_steady_round_trip_keeps_full_growth() -> None:
    hystart = HyStart()
    assert [run_round(hystart, number, 0.020) for number in range(20)] == [10_000.0] * 20
    assert not hystart.is_conservative and not hystart.is_over


def test_growth_of_the_round_trip_quarters_the_growth_then_ends_slow_start() -> None:
    hystart = HyStart()
    run_round(hystart, 0, 0.020)
    run_round(hystart, 1, 0.0245)  # 4.5 ms more: the threshold is 4 ms
    assert hystart.is_conservative
    assert run_round(hystart, 2, 0.030) == 2_500.0
    number = 3
    while not hystart.is_over:
        run_round(hystart, number, 0.030)
        number += 1
    assert number - 2 == 5  # RFC 9406 §4.3: five conservative rounds


def test_less_than_the_threshold_is_no_alarm() -> None:
    hystart = HyStart()
    for number in range(5):
        run_round(hystart, number, 0.020 + number * 0.0035)
    assert not hystart.is_conservative


def test_alarm_by_jitter_is_taken_back() -> None:
    hystart = HyStart()
    run_round(hystart, 0, 0.020)
    run_round(hystart, 1, 0.030)
    assert hystart.is_conservative
    run_round(hystart, 2, 0.020)
    assert not hystart.is_conservative
    assert run_round(hystart, 3, 0.020) == 10_000.0


def test_fewer_than_eight_samples_say_nothing() -> None:
    hystart = HyStart()
    run_round(hystart, 0, 0.020)
    run_round(hystart, 1, 0.050, acks=7)
    assert not hystart.is_conservative


def test_acknowledgements_without_a_sample_say_nothing() -> None:
    hystart = HyStart()
    for number in range(3):
        assert run_round(hystart, number, math.inf) == 10_000.0
    assert not hystart.is_conservative


def test_long_paths_allow_sixteen_milliseconds_at_most() -> None:
    hystart = HyStart()
    run_round(hystart, 0, 0.300)
    run_round(hystart, 1, 0.317)  # an eighth would be 37 ms
    assert hystart.is_conservative
