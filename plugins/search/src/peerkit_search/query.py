"""One search across the network, as the asker sees it.  Pure: peers, answers and time are handed in.

    LOCATING ──peers of every word whose count is unknown──▶ COUNTING ──counts, or 1.5 s──▶ ASKING ──▶ DONE
        └────────────one word, or all counts known, or all words at the same peers────────────▲  └─ next alternative ─┘

Only the index peers of the rarest word are asked, near to far, three at a time, with all words; each answers with the
postings that hold them all.  It ends when there are enough results and three peers were heard, when eight answers in a
row brought nothing new, when all were asked, or at the deadline.  When the word's main stem gave fewer results than
wanted, its next alternative (the folded word, other stems) is asked for in the same way.  While nothing was found, all
are asked: the nearest ones may be newcomers that no publisher knows yet.

Every posting is verified here; unsigned, expired and non-matching ones are counted and dropped, and after eight of them
the rest of that answer is not looked at.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from peerkit.errors import RemoteProtocolError
from peerkit.identity import PeerId

from .codec import CountAnswer, CountRequest, QueryAnswer, QueryRequest
from .index_store import holds, type_matches
from .posting import Posting, read_posting
from .ranking import Evidence
from .term_counts import TermCounts
from .terms import Word, term_id, term_key

PARALLEL = 3  # requests at a time; Kademlia's original alpha
ENOUGH_ANSWERS = 3  # guess: so many peers are heard before a full result counts, as one may lie by leaving out
QUIET_ANSWERS = 8  # guess: so many answers without anything new end the search of one term
SLOW_S = 1.0  # a request without answer so long no longer holds up the next peer
COUNT_PATIENCE_S = 1.5  # guess
MAX_KEYS = 3  # terms whose peers are asked, for one query
MAX_BAD = 8  # bad postings of one answer; each costs a signature check of 54 µs
PER_PEER = 100  # results asked of one peer; the asker ranks


@dataclass(frozen=True, slots=True)
class FindPeers:
    """Look up the index peers of a term and hand them to `receive_peers`."""

    term: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request to a peer; its answer goes to `receive`, any failure to `failed`."""

    peer: PeerId
    request: QueryRequest | CountRequest


@dataclass(frozen=True, slots=True)
class Found:
    """A new posting that matches."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Its publisher has withdrawn this content."""

    posting: Posting


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more will come."""


Event = FindPeers | Ask | Found | Withdrawn | Finished


@dataclass(slots=True)
class QueryCounters:
    """What one query cost and met."""

    lookups: int = 0
    requests: int = 0
    answers: int = 0
    failures: int = 0
    bad_postings: int = 0
    lying_peers: int = 0


class _State(Enum):
    LOCATING = 1  # waiting for the peers of unknown words
    COUNTING = 2  # waiting for counts
    ASKING = 3  # waiting for peers of a key, or asking them
    DONE = 4


class Query:
    """Args:
    words: all must match; at least one.
    wanted: distinct contents that suffice.
    type: MIME filter or "".
    deadline_s: the longest it may take.
    """

    def __init__(
        self,
        words: Sequence[Word],
        wanted: int,
        type: str,
        network_id: bytes,
        counts: TermCounts,
        deadline_s: float = 10.0,
    ) -> None:
        self._words = tuple(words)
        self._ids = tuple(
            tuple(frozenset(term_id(term) for term in alternative) for alternative in word.alternatives)
            for word in words
        )
        self._wanted = wanted
        self._type = type
        self._network_id = network_id
        self._counts = counts
        self._deadline_s = deadline_s
        self._state = _State.LOCATING
        self._events: deque[Event] = deque()
        self._ends_at = float("inf")
        self._count_until = float("inf")
        self._located: dict[str, tuple[PeerId, ...]] = {}
        self._locating: set[str] = set()
        self._counting: dict[PeerId, tuple[str, ...]] = {}
        self._keys: deque[str] = deque()
        self._key = ""
        self._queue: deque[PeerId] = deque()
        self._asked_at: dict[PeerId, float] = {}
        self._woken_at = float("-inf")
        self._answers = 0
        self._quiet = 0
        self._newest: dict[bytes, tuple[int, bool]] = {}
        self._roots: set[bytes] = set()
        self.counters = QueryCounters()

    # -- verbs ---------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        self._ends_at = now + self._deadline_s
        known = self._counts.at(now)
        unknown = [word for word in self._words if _key_term(word) not in known]
        if len(self._words) == 1 or not unknown:
            self._choose_key(now)
            return
        for term in dict.fromkeys(map(_key_term, self._words if len(unknown) == len(self._words) else unknown)):
            self._find(term)

    def receive_peers(self, term: str, peers: Sequence[PeerId], now: float) -> None:
        """The index peers of a term, nearest first; empty when there are none."""
        if self._state is _State.DONE or term not in self._locating:
            return
        self._locating.discard(term)
        self._located[term] = tuple(peers)
        if self._state is _State.LOCATING and not self._locating:
            self._begin_counting(now)
        elif self._state is _State.ASKING and term == self._key:
            self._queue = deque(peers)
            self._ask_more(now)

    def receive(self, peer: PeerId, answer: QueryAnswer | CountAnswer, now: float, now_wall: float) -> None:
        match answer:
            case CountAnswer(numbers):
                terms = self._counting.pop(peer, ())
                if len(numbers) == len(terms):
                    for term, number in zip(terms, numbers, strict=True):
                        self._counts.learn(term, number, now)
                else:
                    self.counters.failures += 1
                if self._state is _State.COUNTING and not self._counting:
                    self._choose_key(now)
            case QueryAnswer():
                if self._state is _State.DONE or self._asked_at.pop(peer, None) is None:
                    return
                self._counts.learn(self._key, answer.count, now)
                self._read(answer, now_wall)
                self._ask_more(now)

    def failed(self, peer: PeerId, now: float) -> None:
        """A request to `peer` brought no usable answer."""
        self.counters.failures += 1
        terms = self._counting.pop(peer, ())
        if terms and self._state is _State.COUNTING:
            if not self._counting:
                self._choose_key(now)
        elif self._asked_at.pop(peer, None) is not None and self._state is _State.ASKING:
            self._ask_more(now)

    def handle_timer(self, now: float) -> None:
        if self._state is _State.DONE:
            return
        if now >= self._ends_at:
            self._finish()
        elif self._state is _State.COUNTING and now >= self._count_until:
            self._choose_key(now)
        elif self._state is _State.ASKING:
            self._ask_more(now)

    def next_timer(self) -> float:
        """When `handle_timer` wants to be called; `inf` for never."""
        if self._state is _State.DONE:
            return float("inf")
        due = self._ends_at
        if self._state is _State.COUNTING:
            due = min(due, self._count_until)
        elif self._state is _State.ASKING and self._queue:
            # Only requests that are not slow yet: a slow one has already given up its place.
            due = min([due, *(at + SLOW_S for at in self._asked_at.values() if at + SLOW_S > self._woken_at)])
        return due

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    @property
    def is_done(self) -> bool:
        return self._state is _State.DONE

    # -- choosing the key ----------------------------------------------------------------------------------------

    def _find(self, term: str) -> None:
        self._locating.add(term)
        self.counters.lookups += 1
        self._events.append(FindPeers(term, term_key(term)))

    def _begin_counting(self, now: float) -> None:
        located = {frozenset(peers) for peers in self._located.values()}
        everywhere = len(self._located) == len({_key_term(word) for word in self._words}) and len(located) == 1
        if everywhere:  # a small network: every peer indexes every word and any key will do
            self._choose_key(now)
            return
        by_peer: dict[PeerId, list[str]] = {}
        for term, peers in self._located.items():
            if peers:
                by_peer.setdefault(peers[0], []).append(term)
            else:
                self._counts.learn(term, 0, now)
        self._state = _State.COUNTING
        self._count_until = now + COUNT_PATIENCE_S
        for peer, terms in by_peer.items():
            self._counting[peer] = tuple(terms)
            self._send(peer, CountRequest(tuple(map(term_id, terms))))
        if not by_peer:
            self._choose_key(now)

    def _choose_key(self, now: float) -> None:
        """The word with the lowest count; among unknown ones the longest, which is likely the rarest."""
        self._state = _State.ASKING
        self._counting.clear()
        known = self._counts.at(now)
        rarest = min(self._words, key=lambda word: (known.get(_key_term(word), 1 << 31), -len(word.text)))
        keys = dict.fromkeys(max(alternative, key=len) for alternative in rarest.alternatives)
        self._keys = deque(list(keys)[:MAX_KEYS])
        self._next_key(now)

    def _next_key(self, now: float) -> None:
        if not self._keys:
            self._finish()
            return
        self._key = self._keys.popleft()
        self._answers = self._quiet = 0
        self._asked_at.clear()
        self._queue.clear()
        if self._key in self._located:
            self._queue.extend(self._located[self._key])
            self._ask_more(now)
        else:
            self._find(self._key)

    # -- asking --------------------------------------------------------------------------------------------------

    def _ask_more(self, now: float) -> None:
        self._woken_at = now
        enough = len(self._roots) >= self._wanted
        if (enough and self._answers >= ENOUGH_ANSWERS) or (self._roots and self._quiet >= QUIET_ANSWERS):
            self._queue.clear()
            self._asked_at.clear()
        waiting = sum(now - at < SLOW_S for at in self._asked_at.values())
        while self._queue and waiting < PARALLEL:
            peer = self._queue.popleft()
            self._asked_at[peer] = now
            waiting += 1
            self._send(peer, QueryRequest(term_id(self._key), self._ids, PER_PEER, self._type))
        if not self._queue and not self._asked_at and self._key not in self._locating:
            if enough:
                self._finish()
            else:
                self._next_key(now)

    def _send(self, peer: PeerId, request: QueryRequest | CountRequest) -> None:
        self.counters.requests += 1
        self._events.append(Ask(peer, request))

    def _read(self, answer: QueryAnswer, now_wall: float) -> None:
        self.counters.answers += 1
        self._answers += 1
        bad = 0
        news = False
        for hit in answer.hits:
            try:
                news |= self._take(hit.posting, hit.neighbourhood, now_wall)
            except RemoteProtocolError:
                bad += 1
                if bad == MAX_BAD:
                    break
        if bad:
            self.counters.bad_postings += bad
            self.counters.lying_peers += 1
        self._quiet = 0 if news else self._quiet + 1

    def _take(self, data: bytes, neighbourhood: int, now_wall: float) -> bool:
        """Returns whether it is new.  Raises `RemoteProtocolError` for a bad one."""
        unverified = read_posting(data, now_wall)
        posting = unverified.posting
        key = posting.publisher.raw + posting.content
        newest = self._newest.get(key)
        if newest is not None and newest[0] >= posting.sequence:
            return False  # before the costly signature check: replicas bring each posting many times
        if not holds(frozenset(posting.terms), self._ids):
            raise RemoteProtocolError("a posting does not hold the words asked for")
        if not posting.withdrawn and not type_matches(self._type, posting.type):
            raise RemoteProtocolError("a posting is not of the type asked for")
        unverified.verify(self._network_id)
        self._newest[key] = (posting.sequence, posting.withdrawn)
        if posting.withdrawn:
            self._events.append(Withdrawn(posting))
            return False
        news = posting.root not in self._roots or newest is None
        self._roots.add(posting.root)
        self._events.append(Found(Evidence(posting, neighbourhood)))
        return news

    def _finish(self) -> None:
        self._state = _State.DONE
        self._queue.clear()
        self._asked_at.clear()
        self._events.append(Finished())


def _key_term(word: Word) -> str:
    return max(word.alternatives[0], key=len)
