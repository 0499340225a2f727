"""The pure parts of search put together as on a network: analyzer, placement, index stores, query machine, ranking.
No time passes but what is counted: a request and its answer are one step of 50 ms."""

import random
from dataclasses import dataclass, field

from peerkit_search import codec
from peerkit_search.codec import CountAnswer, CountRequest, OutcomeCode, QueryRequest
from peerkit_search.delivery import Publication, sort_by_peer, term_keys
from peerkit_search.index_store import IndexStore, Source
from peerkit_search.placement import Placement, position
from peerkit_search.posting import make_posting
from peerkit_search.query import Ask, FindPeers, Finished, Found, Query, Withdrawn
from peerkit_search.ranking import Evidence, rank
from peerkit_search.term_counts import TermCounts
from peerkit_search.terms import Analyzer

from peerkit.address import Address
from peerkit.identity import Identity, PeerId
from peerkit.record import PeerRecord, Signed, network_id

NETWORK = network_id("simulation")
WALL = 1_700_000_000.0
STEP_S = 0.05
PEERS_PER_LOOKUP = 20


@dataclass
class SearchResult:
    """What one search found and cost."""

    roots: list[bytes]
    lookups: int = 0
    requests: int = 0
    counts_asked: int = 0
    bad_postings: int = 0
    answer_bytes: int = 0
    first_hit_s: float = float("nan")
    seconds: float = 0.0


@dataclass
class _Publisher:
    identity: Identity
    prefix: str


@dataclass
class SearchSimulation:
    """Args:
    peers: index peers, all honest and up.
    replicas: index peers that keep each word.
    """

    peers: int
    replicas: int
    capacity: int
    rng: random.Random
    stored: int = 0
    waiting: int = 0
    refused: int = 0
    lookups: int = 0
    _publishers: dict[int, _Publisher] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._analyzer = Analyzer(("en",))
        self._placement = Placement(position)
        address = (Address("tcp", "127.0.0.1", 1),)
        ids = [PeerId(self.rng.randbytes(32)) for _ in range(self.peers)]
        self._records = [PeerRecord(peer, NETWORK, 1, 0, 1, address, b"", {}, False, Signed(b"", b"")) for peer in ids]
        self._positions = {peer: int.from_bytes(position(peer), "big") for peer in ids}
        self.stores = {peer: IndexStore(NETWORK, self.rng.randbytes(32), self.capacity) for peer in ids}
        self._counts = TermCounts()

    def _nearest(self, key: bytes) -> tuple[PeerRecord, ...]:
        found = self._placement.find(key, 0.0)
        if found is None:
            self.lookups += 1
            target = int.from_bytes(key, "big")
            nearest = sorted(self._records, key=lambda record: self._positions[record.peer_id] ^ target)
            self._placement.learn(key, nearest[:PEERS_PER_LOOKUP], len(nearest) < PEERS_PER_LOOKUP, 0.0)
            found = self._placement.find(key, 0.0) or ()
        return found

    def publish(self, name: str, root: bytes, publisher: int) -> None:
        """As a publisher in a /24 of its own does; who is asked to wait does not come back."""
        who = self._publishers.get(publisher)
        if who is None:
            who = _Publisher(Identity(self.rng.randbytes(32)), f"9.{publisher >> 8}.{publisher & 255}.0/24")
            self._publishers[publisher] = who
        signer = who.identity
        terms = self._analyzer.document_terms(name)
        posting = make_posting(
            lambda purpose, body: Signed(body, signer.sign(purpose, NETWORK, body)),
            signer.peer_id,
            root,
            name,
            1000,
            "text/plain",
            terms,
            1,
            WALL,
        )
        publication = Publication(posting, terms)
        for key in term_keys([publication]):
            self._nearest(key)
        source = Source(signer.peer_id.raw, who.prefix)
        for parcel in sort_by_peer([publication], self._nearest, self.replicas):
            for item in parcel.items:
                outcome = self.stores[parcel.record.peer_id].offer(item, source, 0.0, WALL)
                self.stored += outcome.code is OutcomeCode.STORED
                self.waiting += outcome.code is OutcomeCode.WAIT
                self.refused += outcome.code is OutcomeCode.REFUSED

    def search(self, text: str, limit: int) -> SearchResult:
        """As a node that knows nothing but the counts of earlier searches."""
        words = self._analyzer.query_words(text)
        query = Query(words, limit, "", NETWORK, self._counts)
        result = SearchResult([])
        now = 0.0
        evidence: list[Evidence] = []
        query.start(now)
        pending: list[Ask] = []
        while True:
            while (event := query.next_event()) is not None:
                match event:
                    case FindPeers(term, key):
                        now += 3 * STEP_S
                        query.receive_peers(
                            term, [record.peer_id for record in self._nearest(key)][: self.replicas], now
                        )
                    case Ask():
                        pending.append(event)
                    case Found(found):
                        if not evidence:
                            result.first_hit_s = now
                        evidence.append(found)
                    case Withdrawn() | Finished():
                        pass
            if query.is_done or not pending:
                break
            batch, pending = pending, []
            now += STEP_S
            for ask in batch:
                self._answer(ask, query, result, now)
        result.lookups, result.requests = query.counters.lookups, query.counters.requests
        result.bad_postings = query.counters.bad_postings
        result.seconds = now
        result.roots = [row.posting.root for row in rank(words, evidence, self._analyzer, self._counts.at(now), WALL)]
        return result

    def _answer(self, ask: Ask, query: Query, result: SearchResult, now: float) -> None:
        store = self.stores[ask.peer]
        match ask.request:
            case CountRequest(terms):
                result.counts_asked += len(terms)
                query.receive(ask.peer, CountAnswer(store.count(terms)), now, WALL)
            case QueryRequest():
                answer = store.match(ask.request, now)
                result.answer_bytes += len(codec.encode_answer(answer))
                query.receive(ask.peer, answer, now, WALL)
