"""The mapping is told from what observers see."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from peerkit_public_address.mapping import MappingVerdict, Sighting, classify

from peerkit.capabilities import NatMapping

OURS = "20.9.0.1"
PORT = 4433


def seen(*ports: int, host: str = OURS, apart_s: float = 1.0) -> list[Sighting]:
    return [Sighting(f"30.{i}.0.1", host, port, i * apart_s) for i, port in enumerate(ports)]


def mapping(sightings: Sequence[Sighting], own: Sequence[str] = ("192.168.1.7",)) -> NatMapping:
    return classify(sightings, own, PORT).mapping


def test_one_observer_tells_nothing_of_a_router() -> None:
    assert mapping([]) is NatMapping.UNKNOWN
    assert mapping(seen(PORT)) is NatMapping.UNKNOWN


def test_one_observer_that_sees_our_own_interface_tells_that_there_is_no_router() -> None:
    assert mapping(seen(PORT), own=(OURS,)) is NatMapping.NONE
    assert mapping(seen(PORT + 1), own=(OURS,)) is NatMapping.UNKNOWN, "another port: translated, on our own machine"


def test_the_same_port_for_all_is_endpoint_independent() -> None:
    assert mapping(seen(7000, 7000)) is NatMapping.ENDPOINT_INDEPENDENT


def test_another_port_for_each_is_symmetric() -> None:
    assert mapping(seen(7000, 41000)) is NatMapping.SYMMETRIC
    assert mapping(seen(7000, 41000, 22000, 60123)) is NatMapping.SYMMETRIC


def test_neighbouring_ports_are_sequential_with_their_step() -> None:
    assert classify(seen(7000, 7001, 7002), (), PORT) == MappingVerdict(NatMapping.SYMMETRIC_SEQUENTIAL, 1)
    assert classify(seen(7000, 7002), (), PORT).port_step == 2
    assert classify(seen(7009, 7006, 7003), (), PORT).port_step == -3


def test_mappings_of_others_in_between_leave_the_step_as_it_is() -> None:
    assert classify(seen(7000, 7006, 7010, 7012), (), PORT).port_step == 2


def test_mappings_far_apart_in_time_say_nothing_of_the_step() -> None:
    assert classify(seen(7000, 7001, apart_s=600), (), PORT) == MappingVerdict(NatMapping.SYMMETRIC)


def test_observers_behind_one_ip_have_one_vote() -> None:
    """Address-dependent mapping: all ports of one peer's IP see the same."""
    sightings = [*seen(7000), Sighting("30.0.0.1", OURS, 7000, 5), Sighting("30.7.0.1", OURS, 41000, 6)]
    assert mapping(sightings) is NatMapping.SYMMETRIC


@given(st.integers(3, 12), st.integers(1, 65_535), st.integers(1, 65_535), st.data())
def test_a_lying_minority_does_not_change_the_verdict(honest: int, port: int, lie: int, data: st.DataObject) -> None:
    liars = data.draw(st.integers(0, (honest - 1) // 2))
    votes = seen(*[port] * honest)
    votes += [Sighting(f"40.{i}.0.1", "66.6.6.6", lie, data.draw(st.floats(0, 100))) for i in range(liars)]
    assert mapping(votes) is NatMapping.ENDPOINT_INDEPENDENT
    assert mapping(votes, own=(OURS,)) in (NatMapping.NONE, NatMapping.ENDPOINT_INDEPENDENT)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(0, 65_535), st.floats(0, 1e6)), max_size=70)
)
def test_any_words_give_a_verdict(words: list[tuple[int, int, int, float]]) -> None:
    verdict = classify([Sighting(f"30.0.0.{o}", f"20.0.0.{h}", p, at) for o, h, p, at in words], (), PORT)
    assert (verdict.port_step != 0) == (verdict.mapping is NatMapping.SYMMETRIC_SEQUENTIAL)
