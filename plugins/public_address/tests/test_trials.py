"""What dial-backs prove, and how often one may ask for them."""

from hypothesis import given
from hypothesis import strategies as st
from peerkit_public_address.request_log import IN_ALL, PER_PEER, WINDOW_S, RequestLog
from peerkit_public_address.trials import MAX_TRIALS, Origin, Trial, Trials, majority

from peerkit.address import Address
from peerkit.capabilities import NatFiltering
from peerkit.identity import PeerId

OURS = Address("udp", "20.9.0.1", 4433)


def peer(number: int) -> PeerId:
    return PeerId(number.to_bytes(32, "big"))


def trial(network: int, arrived: bool, origin: Origin = Origin.OTHER_PORT, address: Address = OURS) -> Trial:
    return Trial(f"p{network}", f"30.{network}.0.0/16", address, origin, arrived, 0.0)


def test_one_arrival_proves_and_one_failure_does_not() -> None:
    assert majority([]) is None
    assert majority([trial(1, True)]) is True
    assert majority([trial(1, False)]) is None
    assert majority([trial(1, False), trial(2, False)]) is False


def test_a_tie_decides_nothing() -> None:
    assert majority([trial(1, True), trial(2, False)]) is None


def test_many_servers_of_one_network_have_one_vote() -> None:
    table = Trials()
    for _ in range(20):
        table.add(trial(1, False))
    assert majority(table.of([OURS], Origin.OTHER_PORT)) is None


@given(st.integers(1, 9), st.integers(0, 8))
def test_a_lying_minority_changes_nothing(honest: int, liars: int) -> None:
    trials = [trial(i, True) for i in range(honest)] + [trial(100 + i, False) for i in range(min(liars, honest - 1))]
    assert majority(trials) is True


def test_filtering_is_told_from_where_packets_come_in() -> None:
    def told(from_port: bool | None, from_address: bool | None) -> NatFiltering:
        table = Trials()
        for origin, arrived in ((Origin.OTHER_PORT, from_port), (Origin.OTHER_ADDRESS, from_address)):
            if arrived is not None:
                table.add(trial(1, arrived, origin))
                table.add(trial(2, arrived, origin))
        return table.filtering()

    assert told(None, None) is NatFiltering.UNKNOWN
    assert told(True, True) is NatFiltering.ENDPOINT_INDEPENDENT
    assert told(True, False) is NatFiltering.ADDRESS_DEPENDENT
    assert told(False, False) is NatFiltering.ADDRESS_AND_PORT_DEPENDENT
    assert told(False, None) is NatFiltering.ADDRESS_AND_PORT_DEPENDENT
    assert told(True, None) is NatFiltering.UNKNOWN, "nobody at another IP tried"


def test_filtering_of_a_symmetric_nat_is_told_at_the_port_that_each_server_sees() -> None:
    table = Trials()
    for i in range(2):
        table.add(trial(i, False, address=Address("udp", "20.9.0.1", 7000 + i)))
    assert table.filtering() is NatFiltering.ADDRESS_AND_PORT_DEPENDENT


def test_the_table_of_trials_is_bounded() -> None:
    table = Trials()
    for i in range(2 * MAX_TRIALS):
        table.add(trial(1, True, address=Address("udp", "20.9.0.1", i)))
    assert len(table) == MAX_TRIALS


def test_a_peer_may_ask_twelve_times_a_minute() -> None:
    log = RequestLog()
    assert [log.admit(peer(1), 0.1 * i) for i in range(PER_PEER + 3)] == [True] * PER_PEER + [False] * 3
    assert log.admit(peer(2), 5.0)
    assert not log.admit(peer(1), WINDOW_S - 0.1)
    assert log.admit(peer(1), WINDOW_S)
    assert log.refused == 4


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 5)), max_size=400))
def test_no_minute_sees_more_than_the_limits(requests: list[tuple[int, float]]) -> None:
    log, now, admitted = RequestLog(), 0.0, list[tuple[float, int]]()
    for number, wait_s in requests:
        now += wait_s
        if log.admit(peer(number), now):
            admitted.append((now, number))
    for at, number in admitted:
        minute = [n for t, n in admitted if at - WINDOW_S < t <= at]
        assert len(minute) <= IN_ALL
        assert minute.count(number) <= PER_PEER
