"""The table of observers: what counts, what is bounded, what is forgotten."""

from hypothesis import given
from hypothesis import strategies as st
from peerkit_public_address.observations import CONFIRMING_NETWORKS, MAX_OBSERVERS, Observations
from peerkit_public_address.outside_view import OutsideView

from peerkit.address import Address
from peerkit.capabilities import NatMapping
from peerkit.identity import PeerId


def mapping(view: OutsideView) -> NatMapping:
    return view.mapping.mapping


OURS = Address("udp", "20.9.0.1", 4433)


def peer(number: int) -> PeerId:
    return PeerId(number.to_bytes(32, "big"))


def at(host: str) -> Address:
    return Address("udp", host, 4433)


def test_observers_of_four_networks_confirm_an_address() -> None:
    table = Observations(100)
    for i in range(3):
        table.add(peer(i), at(f"30.{i}.0.1"), OURS, True, 0)
    assert [(c.host, c.port, c.witnesses, c.is_confirmed) for c in table.endpoints()] == [("20.9.0.1", 4433, 3, False)]
    table.add(peer(3), at("30.3.0.1"), OURS, True, 0)
    assert table.endpoints()[0].is_confirmed


def test_many_peers_of_one_network_are_one_witness() -> None:
    table = Observations(100)
    for i in range(20):
        table.add(peer(i), at(f"30.1.{i}.1"), OURS, True, 0)
        table.add(peer(100 + i), at(f"2a01:4:{i}::1"), Address("udp", "2a00::9", 4433), True, 0)
    assert [c.witnesses for c in table.endpoints()] == [1, 1]


def test_the_address_with_most_witnesses_comes_first() -> None:
    table = Observations(100)
    table.add(peer(1), at("30.1.0.1"), Address("udp", "66.6.6.6", 1), True, 5)
    for i in (2, 3):
        table.add(peer(i), at(f"30.{i}.0.1"), OURS, True, 1)
    assert [c.host for c in table.endpoints()] == ["20.9.0.1", "66.6.6.6"]


def test_an_observer_speaks_of_its_own_realm_only() -> None:
    """A Sybil on the local network must not confirm an address of the internet, nor a stranger a private one."""
    table = Observations(100)
    assert not table.add(peer(1), at("192.168.1.9"), OURS, True, 0)
    assert not table.add(peer(2), at("30.1.0.1"), at("192.168.1.7"), True, 0)
    assert table.add(peer(3), at("192.168.1.9"), at("192.168.1.7"), True, 0)


def test_nonsense_is_no_observation() -> None:
    table = Observations(100)
    for host in ("0.0.0.0", "224.0.0.1", "::", "ff02::1"):
        assert not table.add(peer(1), at("30.1.0.1"), at(host), True, 0)
    assert not table.add(peer(1), at("30.1.0.1"), Address("udp", "20.9.0.1", 0), True, 0)
    assert len(table) == 0


def test_words_age_out() -> None:
    table = Observations(100)
    table.add(peer(1), at("30.1.0.1"), OURS, True, 0)
    table.add(peer(2), at("30.2.0.1"), OURS, True, 60)
    table.expire(100)
    assert [c.witnesses for c in table.endpoints()] == [1]


def test_a_new_word_of_an_observer_replaces_its_old_one() -> None:
    table = Observations(100)
    table.add(peer(1), at("30.1.0.1"), OURS, True, 0)
    table.add(peer(1), at("30.1.0.1"), Address("udp", "20.9.0.1", 5000), True, 10)
    assert [(c.port, c.at) for c in table.endpoints()] == [(5000, 10)]


def test_a_flood_of_one_network_pushes_out_its_own() -> None:
    table = Observations(100)
    for i in range(5):
        table.add(peer(i), at(f"30.{i}.0.1"), OURS, True, 0)
    for i in range(1000):
        table.add(peer(1000 + i), at(f"66.6.{i % 256}.{i // 256}"), Address("udp", "66.0.0.1", 1), True, 1)
    assert len(table) == MAX_OBSERVERS
    assert (table.endpoints()[0].host, table.endpoints()[0].witnesses) == ("20.9.0.1", 5)


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.ip_addresses(), st.ip_addresses(), st.integers(0, 65_535), st.booleans()),
        max_size=200,
    )
)
def test_the_table_is_bounded_and_counts_networks(words: list[tuple[int, object, object, int, bool]]) -> None:
    table = Observations(100)
    for number, where, seen, port, is_datagram in words:
        table.add(peer(number), at(str(where)), Address("udp", str(seen), port), is_datagram, 1.0)
    assert len(table) <= MAX_OBSERVERS
    for candidate in [*table.endpoints(), *table.hosts()]:
        saying = {o.observer for o in table.all() if o.host == candidate.host}
        assert 1 <= candidate.witnesses <= len(saying)
        assert candidate.is_confirmed == (candidate.witnesses >= CONFIRMING_NETWORKS)


def test_a_change_of_our_network_forgets_all() -> None:
    view = OutsideView(100)
    view.interfaces_are(["192.168.1.7", "127.0.0.1"])
    view.datagram_ports[4] = 4433
    for i in range(2):
        view.observations.add(peer(i), at(f"30.{i}.0.1"), OURS, True, 0)
    assert mapping(view) is NatMapping.ENDPOINT_INDEPENDENT
    assert not view.interfaces_are(["127.0.0.1", "192.168.1.7"]), "the same in another order"
    assert view.observed("udp") == [OURS]
    assert view.interfaces_are(["127.0.0.1", "10.0.0.3"])
    assert view.observed("udp") == []
    assert mapping(view) is NatMapping.UNKNOWN


def test_the_internets_side_decides_where_there_is_one() -> None:
    """On the local network nothing is translated; that says nothing of the router."""
    view = OutsideView(100)
    view.interfaces_are(["192.168.1.7"])
    view.datagram_ports[4] = 4433
    view.observations.add(peer(9), at("192.168.1.9"), at("192.168.1.7"), True, 0)
    assert mapping(view) is NatMapping.NONE
    view.observations.add(peer(1), at("30.1.0.1"), Address("udp", "20.9.0.1", 7000), True, 0)
    view.observations.add(peer(2), at("30.2.0.1"), Address("udp", "20.9.0.1", 9000), True, 500)
    assert mapping(view) is NatMapping.SYMMETRIC


def test_a_stream_address_is_the_seen_ip_with_the_listening_port() -> None:
    view = OutsideView(100)
    view.listens_on([Address("tcp", "0.0.0.0", 4433), Address("udp", "0.0.0.0", 4433)])
    view.observations.add(peer(1), at("30.1.0.1"), Address("tcp", "20.9.0.1", 50123), False, 0)
    assert view.observed("tcp") == [Address("tcp", "20.9.0.1", 4433)]
    assert view.observed("udp") == [], "a port of a TCP connection says nothing of the UDP socket"
    view.listens_on([])
    assert view.observed("tcp") == []
