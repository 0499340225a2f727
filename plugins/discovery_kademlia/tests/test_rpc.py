"""What peers are answered."""

import random

import pytest
from peerkit_discovery_kademlia import codec
from peerkit_discovery_kademlia.announcement import PURPOSE, announcement_body
from peerkit_discovery_kademlia.codec import AddProvider, Answer, FindNode, GetProviders, GetValue, Ping, PutValue
from peerkit_discovery_kademlia.keys import key_of_peer, to_bytes
from peerkit_discovery_kademlia.namespaces import Namespace, immutable_key
from peerkit_discovery_kademlia.provider_store import ProviderStore
from peerkit_discovery_kademlia.rate_limits import LOOKUP_BURST
from peerkit_discovery_kademlia.routing_table import RoutingTable
from peerkit_discovery_kademlia.rpc import Asker, Server
from peerkit_discovery_kademlia.value_store import ValueStore

from peerkit.address import Address
from peerkit.errors import LimitExceeded, RemoteProtocolError, TrustDenied
from peerkit.identity import Identity
from peerkit.record import Signed
from peerkit.trust import Action
from plugins.discovery_kademlia.tests.message_network import NETWORK, WALL, make_record

KEY = bytes(range(32))
ME = Identity(random.Random(77).randbytes(32))


def asker(number: int = 77, host: str = "203.0.114.9") -> Asker:
    record = make_record(number)
    prefix = host.rpartition(".")[0] + ".0/24"
    return Asker(record.peer_id, record.to_bytes(), Address("tcp", host, 4433), (prefix,))


class Peer:
    """A server with a table of 40, and a gate that a test closes."""

    def __init__(self) -> None:
        self.table = RoutingTable(bytes(32))
        self.denied: set[Action] = set()
        for number in range(40):
            self.table.reached(make_record(number), (f"20.0.{number}.0/24",), 0.0, True)
        stores = (ProviderStore(), ValueStore())
        self.server = Server(self.table, *stores, NETWORK, random.Random(1), self.allow)

    def allow(self, action: Action, who: Asker) -> None:
        if action in self.denied:
            raise TrustDenied(action.value, "test", "no")

    def ask(self, request: codec.Request, who: Asker | None = None, now: float = 1.0) -> Answer:
        wire = self.server.answer(codec.encode_request(request), who or asker(), now, WALL)
        return codec.decode_answer(wire)


def announced(key: bytes = KEY, who: Identity = ME) -> AddProvider:
    body = announcement_body(who.peer_id, key, WALL)
    return AddProvider((Signed(body, who.sign(PURPOSE, NETWORK, body)).to_bytes(),))


def test_find_node_names_the_twenty_nearest() -> None:
    peer = Peer()
    target = int.from_bytes(KEY, "big")
    nearest = sorted(peer.table, key=lambda entry: entry.key ^ target)[:20]
    assert list(peer.ask(FindNode(KEY)).nodes) == [entry.wire for entry in nearest]


def test_peer_that_missed_is_not_passed_on() -> None:
    peer = Peer()
    first = peer.table.closest(int.from_bytes(KEY, "big"), 1)[0]
    peer.table.missed(first.record.peer_id.raw, 1.0)
    nodes = peer.ask(FindNode(KEY)).nodes
    assert first.wire not in nodes
    assert len(nodes) == 20


def test_asker_is_not_told_of_itself() -> None:
    peer = Peer()
    known = make_record(3)
    who = Asker(known.peer_id, known.to_bytes(), Address("tcp", "203.0.114.9", 1), ("203.0.114.0/24",))
    assert known.to_bytes() not in peer.ask(FindNode(to_bytes(key_of_peer(known.peer_id.raw))), who).nodes


def test_local_peers_are_told_to_local_askers_only() -> None:
    peer = Peer()
    local = make_record(500, host="192.168.1.7")
    peer.table.reached(local, (), 1.0, True)
    key = to_bytes(key_of_peer(local.peer_id.raw))
    assert local.to_bytes() not in peer.ask(FindNode(key)).nodes
    neighbour = Asker(make_record(77).peer_id, b"", Address("tcp", "192.168.1.9", 1), ())
    assert local.to_bytes() in peer.ask(FindNode(key), neighbour).nodes


def test_providers_are_kept_and_told_with_their_records() -> None:
    peer = Peer()
    assert peer.ask(announced()).kept == 1
    (provider,) = peer.ask(GetProviders(KEY)).providers
    assert provider.announcement == announced().announcements[0]
    assert provider.record == asker().record
    assert peer.ask(GetProviders(bytes(32))).providers == ()


def test_nobody_announces_for_somebody_else() -> None:
    with pytest.raises(RemoteProtocolError, match="somebody else"):
        Peer().ask(announced(), asker(78))


def test_values_are_kept_and_told() -> None:
    peer = Peer()
    key = immutable_key(b"value")
    assert peer.ask(PutValue(Namespace.IMMUTABLE, key, b"value")).kept == 1
    assert peer.ask(GetValue(Namespace.IMMUTABLE, key)).value == b"value"
    assert peer.ask(GetValue(Namespace.MUTABLE, key)).value == b""


def test_peer_record_is_stored_by_its_own_peer_only() -> None:
    peer = Peer()
    mine, other = make_record(77), make_record(78)
    for record, who in ((mine, asker(77)), (other, asker(77))):
        put = PutValue(Namespace.PEER, to_bytes(key_of_peer(record.peer_id.raw)), record.to_bytes())
        if record is mine:
            assert peer.ask(put, who).kept == 1
        else:
            with pytest.raises(RemoteProtocolError, match="own peer"):
                peer.ask(put, who)


def test_one_peer_asks_at_a_bounded_rate() -> None:
    peer = Peer()
    for _ in range(int(LOOKUP_BURST)):
        peer.ask(Ping())
    with pytest.raises(LimitExceeded):
        peer.ask(Ping())
    assert peer.server.refused == 1
    peer.ask(Ping(), asker(78))
    peer.ask(Ping(), now=2.0)


def test_gate_is_asked_before_anything_is_told_or_kept() -> None:
    peer = Peer()
    peer.denied = {Action.STORE}
    with pytest.raises(TrustDenied):
        peer.ask(announced())
    assert peer.ask(GetProviders(KEY)).providers == ()
    peer.denied = {Action.LOOKUP}
    with pytest.raises(TrustDenied):
        peer.ask(FindNode(KEY))


def test_fullest_answer_fits_one_message() -> None:
    peer = Peer()
    for number in range(64):
        who = Identity(random.Random(1_000 + number).randbytes(32))
        body = announcement_body(who.peer_id, KEY, WALL)
        wire = Signed(body, who.sign(PURPOSE, NETWORK, body)).to_bytes()
        giver = Asker(who.peer_id, bytes(1_152), Address("tcp", f"30.0.{number}.1", 1), (f"30.0.{number}.0/24",))
        assert peer.ask(AddProvider((wire,)), giver).kept == 1
    wire = peer.server.answer(codec.encode_request(GetProviders(KEY)), asker(), 1.0, WALL)
    assert len(wire) <= codec.MAX_MESSAGE_BYTES
    assert len(codec.decode_answer(wire).providers) >= 20
