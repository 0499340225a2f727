"""A network of tables, servers and lookups without sessions: messages are events on a heap, time is set by hand.

Latency, loss, dead peers, liars and Sybils on purpose; no event loop, no real time.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from peerkit_discovery_kademlia import codec
from peerkit_discovery_kademlia.codec import Answer, FindNode
from peerkit_discovery_kademlia.disjoint import DisjointLookup
from peerkit_discovery_kademlia.diversity import neighbourhood
from peerkit_discovery_kademlia.keys import key_of_peer, to_bytes
from peerkit_discovery_kademlia.lookup import Finished, Goal, Lookup, LookupOptions, SendRequest
from peerkit_discovery_kademlia.provider_store import ProviderStore
from peerkit_discovery_kademlia.record_cache import RecordCache
from peerkit_discovery_kademlia.round_trips import RoundTrips
from peerkit_discovery_kademlia.routing_table import RoutingTable
from peerkit_discovery_kademlia.rpc import Asker, Server
from peerkit_discovery_kademlia.value_store import ValueStore

from peerkit.address import Address
from peerkit.errors import PeerkitError, RemoteProtocolError
from peerkit.identity import Identity
from peerkit.record import PeerRecord, network_id
from peerkit.trust import Action

NETWORK = network_id("test")
WALL = 1_800_000_000.0
DEADLINE_S = 5.0
ROUND_TRIPS_OF_A_DIAL = 2  # TCP's and the handshake's


def make_record(
    seed: int, host: str = "", is_client: bool = False, now_wall: float = WALL, sequence: int = 1
) -> PeerRecord:
    """The record of a peer whose id follows `seed`; each host in its own public /24 unless told."""
    host = host or f"{20 + (seed >> 16)}.{seed >> 8 & 255}.{seed & 255}.1"
    identity = Identity(random.Random(seed).randbytes(32))
    protocols = {"example.org/one": "1.0.0", "example.org/two": "1.0.0"}
    addresses = (Address("tcp", host, 4433),)
    made = PeerRecord.make(identity, NETWORK, sequence, now_wall, addresses, bytes(32), protocols, is_client=is_client)
    return PeerRecord.from_bytes(made.to_bytes(), NETWORK, now_wall)  # as it comes from the wire


class WallRecords:
    """`Records` of a lookup at one wall time."""

    def __init__(self, cache: RecordCache, now_wall: float = WALL) -> None:
        self._cache = cache
        self._now_wall = now_wall

    def read(self, wire: bytes) -> PeerRecord | None:
        return self._cache.read(wire, self._now_wall)

    def verify(self, record: PeerRecord) -> bool:
        return self._cache.verify(record)


class SimPeer:
    """One peer: a table, a server and what a lookup needs."""

    def __init__(self, record: PeerRecord, rng: random.Random) -> None:
        self.record = record
        self.raw = record.peer_id.raw
        self.key = key_of_peer(self.raw)
        self.where = neighbourhood(record.addresses[0])
        self.table = RoutingTable(self.raw)
        self.cache = RecordCache(NETWORK)
        self.round_trips = RoundTrips()
        self.asker = Asker(record.peer_id, record.to_bytes(), record.addresses[0], self.where)
        self.server = Server(self.table, ProviderStore(), ValueStore(), NETWORK, rng, _allow)
        self.is_dead = False
        self.lie: Callable[[bytes], Sequence[bytes]] | None = None  # key → records that it makes up
        self.sessions: set[bytes] = set()

    def lookup(
        self,
        target: int,
        goal: Goal | None = None,
        k: int = 20,
        alpha: int = 10,
        seeds: Iterable[PeerRecord] = (),
    ) -> Lookup:
        return Lookup(
            self.raw,
            target,
            [entry.record for entry in self.table.closest(target, k)] + list(seeds),
            WallRecords(self.cache),
            self.round_trips,
            LookupOptions(k, alpha),
            goal,
        )

    def disjoint_lookup(self, target: int, paths: int = 3) -> DisjointLookup:
        seeds = [entry.record for entry in self.table.closest(target, 20)]
        return DisjointLookup(
            self.raw, target, seeds, WallRecords(self.cache), self.round_trips, LookupOptions(), paths=paths
        )


def _allow(action: Action, asker: Asker) -> None:
    """A gate that lets everybody in."""


@dataclass(slots=True)
class Result:
    """What a lookup did."""

    finished: Finished
    seconds: float
    messages: int


@dataclass(order=True, slots=True)
class _Event:
    at: float
    order: int
    run: Callable[[float], None] = field(compare=False)


class MessageNetwork:
    """Args:
    seed: of everything random.
    latency_s: range of one-way delays.
    loss: share of requests or answers that vanish.
    """

    def __init__(self, seed: int, latency_s: tuple[float, float] = (0.025, 0.075), loss: float = 0.0) -> None:
        self.rng = random.Random(seed)
        self.latency_s = latency_s
        self.loss = loss
        self.now = 0.0
        self.peers: dict[bytes, SimPeer] = {}
        self.messages = 0
        self._events: list[_Event] = []
        self._numbers = itertools.count()

    def add(self, record: PeerRecord) -> SimPeer:
        peer = self.peers[record.peer_id.raw] = SimPeer(record, self.rng)
        return peer

    def live(self) -> list[SimPeer]:
        return [peer for peer in self.peers.values() if not peer.is_dead]

    def grow(self, count: int) -> list[SimPeer]:
        """Peers that join one after another, each through a peer that is there."""
        for i in range(count):
            newcomer = self.add(make_record(i))
            others = [peer for peer in self.peers.values() if peer is not newcomer]
            if others:
                self.join(newcomer, self.rng.choice(others))
        return list(self.peers.values())

    def join(self, newcomer: SimPeer, bootstrap: SimPeer) -> Result:
        result = self.run(newcomer, newcomer.lookup(newcomer.key, seeds=[bootstrap.record]))
        self.run(newcomer, newcomer.lookup(self.rng.getrandbits(256)))
        return result

    def run(self, peer: SimPeer, lookup: Lookup | DisjointLookup) -> Result:
        """Drive one lookup to its end."""
        began_at = self.now
        self._events.clear()
        lookup.start(self.now)
        while True:
            while (event := lookup.next_event()) is not None:
                if isinstance(event, Finished):
                    peer.sessions.clear()
                    return Result(event, self.now - began_at, lookup.queried)
                assert isinstance(event, SendRequest)
                self._send(peer, lookup, event.record)
            timer = lookup.next_timer()
            if timer is not None and (not self._events or timer <= self._events[0].at):
                self.now = max(self.now, timer)
                lookup.handle_timer(self.now)
            else:
                event_due = heapq.heappop(self._events)
                self.now = max(self.now, event_due.at)
                event_due.run(self.now)

    def _send(self, peer: SimPeer, lookup: Lookup | DisjointLookup, record: PeerRecord) -> None:
        self.messages += 1
        raw = record.peer_id.raw
        other = self.peers.get(raw)
        trips = 1 if raw in peer.sessions else 1 + ROUND_TRIPS_OF_A_DIAL
        peer.sessions.add(raw)
        if other is None or other.is_dead or self.rng.random() < self.loss:
            self._after(DEADLINE_S, lambda now: self._fail(peer, lookup, raw, now))
            return
        answered_at = trips * 2 * self.rng.uniform(*self.latency_s)
        self._after(answered_at, lambda now: self._answer(peer, other, lookup, now))

    def _answer(self, peer: SimPeer, other: SimPeer, lookup: Lookup | DisjointLookup, now: float) -> None:
        target = lookup.target
        try:
            if other.lie is not None:
                answer = Answer(nodes=other.lie(to_bytes(target)))
            else:
                wire = codec.encode_request(FindNode(to_bytes(target)))
                answer = codec.decode_answer(other.server.answer(wire, peer.asker, now, WALL))
        except RemoteProtocolError:
            raise
        except PeerkitError:
            lookup.failed(other.raw, now)
            return
        peer.table.reached(other.record, other.where, now, True)
        other.table.reached(peer.record, peer.where, now, False)
        lookup.receive(other.raw, answer, now)

    def _fail(self, peer: SimPeer, lookup: Lookup | DisjointLookup, raw: bytes, now: float) -> None:
        peer.table.missed(raw, now)
        lookup.failed(raw, now)

    def _after(self, delay_s: float, run: Callable[[float], None]) -> None:
        heapq.heappush(self._events, _Event(self.now + delay_s, next(self._numbers), run))

    def nearest(self, target: int, count: int = 20, but: SimPeer | None = None) -> list[bytes]:
        """Brute force over the live peers."""
        live = [peer for peer in self.live() if peer is not but]
        return [peer.raw for peer in sorted(live, key=lambda peer: peer.key ^ target)[:count]]
