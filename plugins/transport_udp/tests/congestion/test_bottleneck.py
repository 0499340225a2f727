"""What the controllers do to a link and to each other: use, fairness, yielding, the end of slow start."""

import itertools

import pytest
from peerkit_transport_udp.congestion import CongestionController, Cubic, LedbatPlusPlus, NewReno

from plugins.transport_udp.tests.congestion.link import PACKET, Flow, Link, Simulation, jain

MBIT = 125_000.0  # bytes per second


def shared(link: Link, *flows: Flow, since: float, until: float) -> list[float]:
    """Which share of the link's capacity each flow had between the two times."""
    link.simulation.run(since)
    before = [flow.delivered for flow in flows]
    link.simulation.run(until)
    capacity = link.rate * (until - since)
    return [(flow.delivered - had) / capacity for flow, had in zip(flows, before, strict=True)]


@pytest.mark.parametrize("kind", [NewReno, Cubic])
@pytest.mark.parametrize(
    ("mbit", "round_trip_s", "buffer_s"), [(10, 0.02, 0.02), (10, 0.1, 0.1), (30, 0.05, 0.2), (100, 0.1, 0.05)]
)
def test_one_flow_uses_the_link(
    kind: type[NewReno] | type[Cubic], mbit: int, round_trip_s: float, buffer_s: float
) -> None:
    rate = mbit * MBIT
    link = Link(Simulation(), rate, round_trip_s, buffer_s * rate)
    (share,) = shared(link, Flow(link, kind(PACKET)), since=1.0, until=8.0 if mbit < 100 else 3.5)
    assert share >= 0.9


def test_two_cubic_flows_share_fairly_though_one_came_later() -> None:
    link = Link(Simulation(), 10 * MBIT, 0.05, 0.05 * 10 * MBIT)
    flows = Flow(link, Cubic(PACKET)), Flow(link, Cubic(PACKET), start_at=3.0)
    shares = shared(link, *flows, since=8.0, until=40.0)
    assert sum(shares) >= 0.95 and jain(*shares) >= 0.95


def test_new_reno_and_cubic_share_a_short_path() -> None:
    # RFC 9438 §4.3: in the Reno-friendly region CUBIC takes what Reno would take.
    link = Link(Simulation(), 10 * MBIT, 0.02, 0.02 * 10 * MBIT)
    flows = Flow(link, Cubic(PACKET)), Flow(link, NewReno(PACKET), start_at=1.0)
    shares = shared(link, *flows, since=5.0, until=25.0)
    assert jain(*shares) >= 0.85


@pytest.mark.parametrize("background_first", [True, False])
@pytest.mark.parametrize("round_trip_s", [0.02, 0.1])
def test_ledbat_yields_to_cubic(background_first: bool, round_trip_s: float) -> None:
    link = Link(Simulation(), 10 * MBIT, round_trip_s, 0.2 * 10 * MBIT)
    background = Flow(link, LedbatPlusPlus(PACKET), start_at=0.0 if background_first else 3.0)
    foreground = Flow(link, Cubic(PACKET), start_at=3.0 if background_first else 0.0)
    share, most = shared(link, background, foreground, since=8.0, until=24.0)
    assert share <= 0.1 and most >= 0.85


def test_ledbat_uses_an_idle_link_and_keeps_the_queue_near_its_target() -> None:
    link = Link(Simulation(), 10 * MBIT, 0.04, 0.5 * 10 * MBIT)
    flow = Flow(link, LedbatPlusPlus(PACKET))
    (share,) = shared(link, flow, since=5.0, until=20.0)
    assert share >= 0.9 and link.drops == 0
    assert max(sample for at, sample in flow.round_trips if at > 5.0) < 0.04 + 0.060 + 0.02


def test_ledbat_takes_the_link_back_when_cubic_has_gone() -> None:
    link = Link(Simulation(), 10 * MBIT, 0.04, 0.2 * 10 * MBIT)
    background = Flow(link, LedbatPlusPlus(PACKET))
    foreground = Flow(link, Cubic(PACKET), start_at=3.0, stop_at=15.0)
    (share,) = shared(link, background, since=18.0, until=30.0)
    assert foreground.delivered > 0 and share >= 0.8


def end_of_slow_start(link: Link, controller: CongestionController) -> Flow:
    flow = Flow(link, controller)
    for tenths in itertools.count(1):
        link.simulation.run(tenths / 10)
        if not controller.is_slow_start:
            return flow
    raise AssertionError


@pytest.mark.parametrize(("mbit", "round_trip_s"), [(50, 0.02), (20, 0.1)])
def test_hystart_leaves_slow_start_before_a_deep_buffer_overflows(mbit: int, round_trip_s: float) -> None:
    rate = mbit * MBIT
    product = rate * round_trip_s

    def link() -> Link:
        # The alarm comes a round late, at 2.5 to 3.2 products, and five conservative rounds triple the window.
        return Link(Simulation(), rate, round_trip_s, 10 * product)

    with_hystart = end_of_slow_start(link(), Cubic(PACKET))
    assert with_hystart.link.drops == 0
    assert product <= with_hystart.controller.window <= 10 * product
    without = end_of_slow_start(link(), NewReno(PACKET))
    assert without.link.drops > 100


def test_jitter_like_wi_fi_does_not_keep_the_window_small() -> None:
    # Up to 8 ms more for each packet: over HyStart++'s least threshold of 4 ms.
    link = Link(Simulation(), 30 * MBIT, 0.03, 0.1 * 30 * MBIT, jitter_s=0.008)
    (share,) = shared(link, Flow(link, Cubic(PACKET)), since=1.0, until=8.0)
    assert share >= 0.9
