"""The path changes under a connection: its largest datagram, its address, its socket."""

import pytest
from peerkit_transport_udp.paths import Route

from peerkit.address import Address
from peerkit.transport import Path
from plugins.transport_udp.tests.wire import Socket, Wire, random_faults


def active(wire: Wire, side: int = 0) -> Path:
    (path, *_) = wire.ends[side].connection.views
    assert path.is_active
    return path


@pytest.mark.parametrize(
    ("mtu", "expected"), [(1_200, 1_200), (1_300, 1_280), (1_472, 1_472), (8_972, 8_972), (65_507, 65_507)]
)
def test_datagrams_grow_to_what_the_path_takes(mtu: int, expected: int) -> None:
    wire = Wire(0.01, max_datagram_bytes=65_507, mtu=mtu)
    wire.transfer(50_000)
    wire.run_for(60)
    assert expected * 0.97 <= active(wire).max_datagram_bytes <= mtu
    assert wire.a.connection.recovery.packets_lost == 0, "a lost probe is no lost packet"
    assert wire.a.source.changes > 0


def test_a_path_that_takes_less_than_before_is_noticed() -> None:
    wire = Wire(0.01, max_datagram_bytes=9_000, mtu=9_000)
    wire.transfer(50_000)
    wire.run_for(10)
    assert active(wire).max_datagram_bytes > 8_000
    wire.mtu = 1_300
    wire.transfer(200_000, within_s=30)
    assert active(wire).max_datagram_bytes <= 1_300


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("host", "port"), [(None, 5_555), ("40.0.0.9", 5_555)], ids=["port", "host"])
def test_a_new_address_of_the_peer_is_proven_and_followed(side: int, host: str | None, port: int) -> None:
    wire = Wire(0.01, random_faults(0.05, 2))
    wire.transfer(100_000)
    mover, other = wire.ends[side], wire.ends[1 - side]
    window = other.connection.paths.active.controller.window
    mover.host, mover.port = host or mover.host, port
    wire.transfer(100_000)
    wire.run_for(25)  # the mover speaks at the latest when it keeps alive
    remote = active(wire, 1 - side).remote
    assert (remote.host, remote.port) == (mover.host, port)
    if host is None and side == 1:
        assert other.connection.paths.active.controller.window > window / 2, "the way is the same, only a NAT forgot us"
    assert mover.source.lost is None and other.source.lost is None


def test_every_path_has_an_id_of_its_own_and_ids_do_not_run_out() -> None:
    wire = Wire(0.01)
    wire.transfer(20_000)
    seen = [wire.b.connection.paths.active.peer_id]
    for port in range(5_000, 5_012):
        wire.a.port = port
        wire.transfer(20_000)
        wire.run_for(1)
        assert active(wire, 1).remote.port == port
        seen.append(wire.b.connection.paths.active.peer_id)
    assert len(set(seen)) == len(seen)
    assert len(wire.a.connection.ids.own) <= 6


def test_nobody_is_followed_who_does_not_answer_the_challenge() -> None:
    """Somebody passes our packets on from a false address, and never sees what is sent there."""
    wire = Wire(0.01)
    wire.transfer(20_000)
    wire.is_recording = True
    wire.a.source.total += 20_000
    wire.send()
    stolen = [datagram for side, datagram in wire.sent if side == 0]
    wire.is_recording = False
    for datagram in stolen:
        wire.deliver(1, datagram, "40.0.0.66", 666)
    to_false = 0
    for _ in range(200):
        for batch in wire.b.connection.batches_to_send(wire.now):
            if batch.route.remote.host == "40.0.0.66":
                to_false += batch.nbytes
        wire.now += 0.05
        wire.b.connection.on_timer(wire.now)
    assert 0 < to_false <= sum(map(len, stolen))
    assert wire.b.connection.route.remote.host == wire.a.host
    assert [path.remote.host for path in wire.b.connection.views] == [wire.a.host], "the false path is forgotten"


def test_an_old_packet_from_elsewhere_moves_nothing() -> None:
    wire = Wire(0.01)
    wire.is_recording = True
    wire.a.source.total = 5_000
    wire.fault = lambda datagram: ()
    wire.send()
    old = [datagram for side, datagram in wire.sent if side == 0][-1]
    wire.fault = None
    wire.transfer(20_000)
    before = wire.b.connection.receiver.packets
    wire.deliver(1, old, "40.0.0.66", 666)
    wire.run_for(1)
    assert wire.b.connection.receiver.packets >= before
    assert wire.b.connection.route.remote.host == wire.a.host


def test_an_offered_path_of_a_nearer_kind_is_taken() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    lan = Address("udp", "10.0.0.7", 2_000)
    a, b = wire.a, wire.b
    assert a.connection.offer_path(Route(a.socket, None, lan), wire.now)
    wire.run_until(lambda: a.connection.route.remote == lan, 1)
    b.host = lan.host  # it answers from where it is asked
    wire.run_for(1)
    assert a.connection.route.remote == lan
    assert wire.transfer(50_000) < 10
    assert b.source.lost is None


def test_an_offered_path_costs_both_sides_two_round_trips() -> None:
    """Each may send to the other's new address only as much as came from there: echo and challenge fit in that."""
    wire = Wire(0.05)
    wire.transfer(20_000)
    wire.run_for(1)
    a, b = wire.a, wire.b
    lan, other = Address("udp", "10.0.0.7", 2_000), Address("udp", "10.0.0.6", 1_000)
    began_at = wire.now
    assert a.connection.offer_path(Route(a.socket, None, lan), began_at)
    a.host, b.host = other.host, lan.host
    wire.run_until(lambda: (a.connection.route.remote.host, b.connection.route.remote.host) == (lan.host, a.host), 1)
    assert wire.now - began_at < 0.25


def test_a_path_that_falls_silent_is_left_and_taken_again_when_it_is_offered() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    a, b = wire.a, wire.b
    first, lan = a.connection.route.remote, Address("udp", "10.0.0.7", 2_000)

    def offer_lan() -> None:
        assert a.connection.offer_path(Route(a.socket, None, lan), wire.now)
        wire.run_until(lambda: a.connection.route.remote == lan, 1)
        b.host = lan.host

    offer_lan()
    wire.transfer(50_000)
    wire.dead, b.host = {lan}, first.host
    assert wire.transfer(50_000) < 2
    assert active(wire).remote == first and a.connection.recovery.packets_lost
    wire.run_for(5)
    assert [path.remote for path in a.connection.views] == [first], "it is not tried in turn with the other"
    wire.dead = set()
    offer_lan()
    assert wire.transfer(50_000) < 2


def test_an_offered_path_that_stood_by_is_asked_whether_it_still_leads_there() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    a, first = wire.a, wire.a.connection.route.remote
    assert a.connection.offer_path(Route(a.socket, None, Address("udp", "10.0.0.7", 2_000)), wire.now)
    wire.run_for(1)
    assert active(wire).remote.host == "10.0.0.7" and len(a.connection.views) == 2
    wire.dead = {first}
    assert a.connection.offer_path(Route(a.socket, None, first), wire.now)
    wire.run_for(5)
    assert [path.remote.host for path in a.connection.views] == ["10.0.0.7"]


def test_who_only_receives_asks_soon_whether_the_way_is_still_there() -> None:
    """Its NAT may have forgotten it: then the sender's packets come nowhere until it says something itself."""
    wire = Wire(0.02)
    wire.transfer(20_000)
    wire.run_for(15)  # it has nothing to find out about the path any more
    wire.transfer(100_000)
    wire.b.port = 5_555
    wire.dead = {Address("udp", wire.b.host, 2_000)}
    assert wire.transfer(100_000) < 2.5
    assert active(wire).remote.port == 5_555


def test_a_short_exchange_is_not_asked_about() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    wire.run_for(1)
    wire.is_recording = True
    wire.transfer(5_000)
    wire.run_for(10)
    assert sum(side == 1 for side, _ in wire.sent) <= 3, "acknowledgements"


def test_more_paths_than_allowed_replace_unproven_ones() -> None:
    wire = Wire(0.02)
    wire.transfer(20_000)
    wire.fault = lambda datagram: ()
    for port in range(3_000, 3_050):
        wire.a.connection.offer_path(Route(wire.a.socket, None, Address("udp", "40.0.0.1", port)), wire.now)
    assert len(wire.a.connection.views) <= 4
    assert active(wire).remote.host == wire.b.host


def test_the_end_of_the_only_socket_ends_the_connection() -> None:
    wire = Wire(0.02)
    wire.transfer(1_000)
    wire.a.connection.drop_endpoint(Socket("20.0.0.9", 1), wire.now)
    assert not wire.a.connection.is_over
    wire.a.connection.drop_endpoint(wire.a.socket, wire.now)
    assert wire.a.source.lost == ("the socket was closed", False)
