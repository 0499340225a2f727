"""Each controller against its model on the same loss trace, and on the same queue: the mean windows differ by < 5 %."""

import pytest
from peerkit_transport_udp.congestion import CongestionController, Cubic, LedbatPlusPlus, NewReno

from plugins.transport_udp.tests.congestion.link import PACKET, Flow, Link, Simulation, bernoulli_trace
from plugins.transport_udp.tests.congestion.models import CubicModel, LedbatPlusPlusModel, NewRenoModel

PAIRS = [
    pytest.param(NewReno, NewRenoModel, id="new_reno"),
    pytest.param(Cubic, CubicModel, id="cubic"),
    pytest.param(LedbatPlusPlus, LedbatPlusPlusModel, id="ledbat_plus_plus"),
]
Kind = type[NewReno] | type[Cubic] | type[LedbatPlusPlus]
ModelKind = type[NewRenoModel] | type[CubicModel] | type[LedbatPlusPlusModel]


def mean_window(controller: CongestionController, link: Link, trace: frozenset[int], seconds: float) -> float:
    flow = Flow(link, controller, lost_numbers=trace)
    link.simulation.run(seconds)
    return flow.mean_window(0.0, seconds)


# The first is in CUBIC's own region (it follows the cubic curve), the last in its Reno-friendly one.
@pytest.mark.parametrize(("round_trip_s", "loss", "seconds"), [(0.1, 0.001, 25), (0.02, 0.001, 5), (0.1, 0.01, 50)])
@pytest.mark.parametrize(("kind", "model"), PAIRS)
def test_window_follows_the_model_on_the_same_loss_trace(
    kind: Kind, model: ModelKind, round_trip_s: float, loss: float, seconds: float
) -> None:
    if kind is LedbatPlusPlus:
        seconds *= 3  # smaller windows, so fewer losses in the same time
    trace = bernoulli_trace(loss, 100_000, seed=1)
    windows = [
        mean_window(controller, Link(Simulation(), 1e9, round_trip_s, 1e9), trace, seconds)
        for controller in (kind(PACKET), model(PACKET))
    ]
    assert windows[0] == pytest.approx(windows[1], rel=0.05)


@pytest.mark.parametrize(("kind", "model"), PAIRS)
def test_window_follows_the_model_on_the_same_queue(kind: Kind, model: ModelKind) -> None:
    windows = [
        mean_window(controller, Link(Simulation(), 1e6, 0.05, 200_000), frozenset(), 12.0)
        for controller in (kind(PACKET), model(PACKET))
    ]
    assert windows[0] == pytest.approx(windows[1], rel=0.05)
