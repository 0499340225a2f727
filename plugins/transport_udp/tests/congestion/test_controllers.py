"""Rules that hold for every controller, by hand-driven time."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peerkit_transport_udp.congestion import (
    CongestionController,
    Cubic,
    LedbatPlusPlus,
    NewReno,
    RttEstimator,
    initial_window,
)

SIZE = 1_200
Kind = type[NewReno] | type[Cubic] | type[LedbatPlusPlus]
every_kind = pytest.mark.parametrize("kind", [NewReno, Cubic, LedbatPlusPlus])
loss_based = pytest.mark.parametrize("kind", [NewReno, Cubic])


def rtt_of(seconds: float) -> RttEstimator:
    rtt = RttEstimator()
    rtt.update(seconds)
    return rtt


def ack_rounds(controller: CongestionController, rounds: int, start: float, rtt_s: float = 0.1) -> float:
    """Acknowledge whole windows, in batches of ten datagrams; returns the time after the last round."""
    rtt = rtt_of(rtt_s)
    now = start
    for _ in range(rounds):
        sent_at, now = now, now + rtt_s
        window = int(controller.window)
        for _ in range(max(window // (10 * SIZE), 1)):
            rtt.update(rtt_s)
            controller.on_acked(min(10 * SIZE, window), sent_at, rtt, now, False)
    return now


@every_kind
def test_window_that_was_not_filled_does_not_grow(kind: Kind) -> None:
    controller = kind(SIZE)
    before = controller.window
    for step in range(20):
        controller.on_acked(SIZE, step * 0.1, rtt_of(0.1), step * 0.1 + 0.1, True)
    assert controller.window == before


@every_kind
def test_losses_of_one_round_trip_count_once(kind: Kind) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 3, 0.0)
    controller.on_lost(SIZE, now - 0.05, now)
    after = controller.window
    controller.on_lost(30 * SIZE, now - 0.01, now + 0.05)  # sent before the first loss was seen
    assert controller.window == after
    controller.on_lost(SIZE, now + 0.01, now + 0.15)
    assert controller.window < after or after == 2 * SIZE


@every_kind
def test_what_was_sent_before_a_loss_does_not_grow_the_window(kind: Kind) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 3, 0.0)
    controller.on_lost(SIZE, now - 0.05, now)
    after = controller.window
    controller.on_acked(10 * SIZE, now - 0.01, rtt_of(0.1), now + 0.05, False)
    assert controller.window == after


@pytest.mark.parametrize(("kind", "share"), [(NewReno, 0.5), (Cubic, 0.7), (LedbatPlusPlus, 0.5)])
def test_loss_reduces_the_window_by_the_factor_of_the_document(kind: Kind, share: float) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 5, 0.0)
    before = controller.window
    controller.on_lost(SIZE, now - 0.05, now)
    assert controller.window == pytest.approx(share * before)
    assert controller.threshold == controller.window and not controller.is_slow_start


@every_kind
def test_reported_congestion_without_loss_reduces_too(kind: Kind) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 5, 0.0)
    before = controller.window
    controller.on_lost(0, now - 0.05, now)
    assert controller.window < before


@every_kind
def test_persistent_congestion_leaves_two_datagrams(kind: Kind) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 5, 0.0)
    controller.on_lost(SIZE, now - 0.05, now)
    controller.on_persistent_congestion(now)
    assert controller.window == 2 * SIZE
    ack_rounds(controller, 100, now + 1.0)
    assert controller.window > 3 * SIZE


@loss_based
def test_after_persistent_congestion_slow_start_ends_at_the_threshold(kind: Kind) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 6, 0.0)
    controller.on_lost(SIZE, now - 0.05, now)
    threshold = controller.threshold
    controller.on_persistent_congestion(now)
    while controller.is_slow_start:
        now = ack_rounds(controller, 1, now)
    assert threshold <= controller.window <= threshold + 20 * SIZE


@every_kind
def test_new_path_forgets_everything(kind: Kind) -> None:
    controller, fresh = kind(SIZE), kind(SIZE)
    now = ack_rounds(controller, 5, 0.0)
    controller.on_lost(SIZE, now - 0.05, now)
    controller.on_new_path(now)
    assert (controller.window, controller.threshold) == (fresh.window, math.inf)
    assert controller.is_slow_start


@loss_based
def test_first_window_is_ten_datagrams(kind: Kind) -> None:
    assert kind(SIZE).window == initial_window(SIZE) == 12_000
    assert initial_window(1_472) == 14_720
    assert initial_window(9_000) == 18_000  # never below two datagrams


@every_kind
def test_larger_datagrams_raise_the_floor(kind: Kind) -> None:
    controller = kind(SIZE)
    controller.on_datagram_bytes(65_507)
    assert controller.window >= 2 * 65_507


@loss_based
def test_losses_that_were_none_are_undone(kind: Kind) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 5, 0.0)
    before = controller.window, controller.threshold
    controller.on_lost(2 * SIZE, now - 0.05, now)
    controller.on_lost(SIZE, now - 0.04, now + 0.01)
    controller.on_spurious_loss(2 * SIZE, now - 0.05, now + 0.02)
    assert controller.window < before[0]  # one of the three is still lost
    controller.on_spurious_loss(SIZE, now - 0.04, now + 0.03)
    assert (controller.window, controller.threshold) == before


@loss_based
def test_spurious_loss_of_an_older_event_undoes_nothing(kind: Kind) -> None:
    controller = kind(SIZE)
    now = ack_rounds(controller, 5, 0.0)
    controller.on_lost(SIZE, now - 0.05, now)
    controller.on_lost(SIZE, now + 0.05, now + 0.1)
    after = controller.window
    controller.on_spurious_loss(SIZE, now - 0.05, now + 0.2)
    assert controller.window == after


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, float]]:
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from(["acked", "limited", "lost", "spurious", "persistent", "path", "size"]),
                st.integers(1, 5_000_000),
                st.floats(0.0, 700.0),
            ),
            max_size=40,
        )
    )


@every_kind
@settings(max_examples=50)
@given(history=histories())
def test_no_history_brings_the_window_below_two_datagrams_or_out_of_numbers(
    kind: Kind, history: list[tuple[str, int, float]]
) -> None:
    controller: CongestionController = kind(SIZE)
    rtt = RttEstimator()
    size, now = SIZE, 0.0
    for word, amount, later in history:
        sent_at, now = now, now + later
        match word:
            case "acked" | "limited":
                rtt.update(later, amount / 1e6)
                # Nobody acknowledges more than a window of a time.
                controller.on_acked(min(amount, int(controller.window)), sent_at, rtt, now, word == "limited")
            case "lost":
                controller.on_lost(amount, sent_at, now)
            case "spurious":
                controller.on_spurious_loss(amount, sent_at, now)
            case "persistent":
                controller.on_persistent_congestion(now)
            case "path":
                controller.on_new_path(now)
            case _:
                size = 1_200 + amount % 60_000
                controller.on_datagram_bytes(size)
        if word == "persistent" or word == "path":
            continue
        assert math.isfinite(controller.window) and controller.window >= 2 * min(size, SIZE)
