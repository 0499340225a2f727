"""What this node keeps for others as an index peer: signed postings by term, bounded in all, per term, per publisher
and per network prefix.  In memory only: after a restart publishers bring theirs again, and other index peers have them.

    offer()   length → form → publisher is the sender → newer than ours → room, waited long enough → signature → kept
    match()   the postings under one term that hold every word of a query
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import nsmallest
from itertools import islice
from typing import TypeVar

from peerkit.errors import RemoteProtocolError

from . import codec
from .admission import MAX_WAIT_S, SHORTEST_WAIT_S, Shares, Tickets, waiting_time
from .codec import Hit, Outcome, OutcomeCode, QueryAnswer, QueryRequest, WordIds
from .posting import Posting, Unverified, read_posting
from .terms import TERM_ID_BYTES

_ANSWER_BYTES = 60_000  # of one query answer; with tags it stays below 64 KiB
_K = TypeVar("_K")
_REFUSED = Outcome(OutcomeCode.REFUSED)
_STORED = Outcome(OutcomeCode.STORED)


@dataclass(frozen=True, slots=True)
class Source:
    """Whom an offer came from.

    Attributes:
        peer_id: proven by the session.
        prefix: the network neighbourhood of its address; empty for local addresses, which no prefix limit counts.
    """

    peer_id: bytes
    prefix: str


@dataclass(slots=True, eq=False)
class Entry:
    """One posting in the index.  Terms stay one piece of bytes: 24 objects would weigh more than the posting.

    Attributes:
        key: publisher ‖ content.
        crowd: whom limits count it with: its network prefix, on a local network its publisher.
        expires_at: `Clock.now`.
        indexed: the terms it is found under here.
    """

    data: bytes
    key: bytes
    terms: bytes
    type: str
    crowd: bytes
    neighbourhood: int
    sequence: int
    withdrawn: bool
    expires_at: float
    indexed: set[bytes] = field(default_factory=set)

    def term_set(self) -> frozenset[bytes]:
        return frozenset(self.terms[i : i + TERM_ID_BYTES] for i in range(0, len(self.terms), TERM_ID_BYTES))


@dataclass(slots=True)
class IndexCounters:
    """What happened so far."""

    stored: int = 0
    renewed: int = 0
    waiting: int = 0
    refused: int = 0
    queries: int = 0


@lru_cache(4096)
def neighbourhood_of(prefix: str) -> int:
    """The number that stands for a prefix on the wire, the same on every node; 0 for local."""
    return int.from_bytes(hashlib.blake2b(prefix.encode(), digest_size=4).digest(), "big") or 1 if prefix else 0


def holds(terms: frozenset[bytes], words: tuple[WordIds, ...]) -> bool:
    """Whether a document with these terms matches every word."""
    return all(any(alternative <= terms for alternative in word) for word in words)


def type_matches(wanted: str, type: str) -> bool:
    """`video` takes `video/mp4`; empty takes all."""
    return not wanted or type == wanted or type.startswith(wanted + "/")


class IndexStore:
    """Args:
    network_id: what postings are signed for.
    secret: 32 random bytes for the tickets.
    capacity: postings in all (about 2 KB each); bounds memory against a flood of identities.
    """

    def __init__(self, network_id: bytes, secret: bytes, capacity: int) -> None:
        self._network_id = network_id
        self._tickets = Tickets(secret)
        self._capacity = capacity
        self._term_cap = max(capacity // 4, 64)  # a hot word must not push out all others
        self._entries: dict[bytes, Entry] = {}
        self._by_term: dict[bytes, dict[Entry, None]] = {}
        self._publishers: dict[bytes, int] = {}
        self._crowds: dict[bytes, dict[Entry, None]] = {}
        self._term_crowds: dict[tuple[bytes, bytes], int] = {}
        self.counters = IndexCounters()

    def __len__(self) -> int:
        return len(self._entries)

    def offer(self, item: codec.StoreItem, source: Source, now: float, wall: float) -> Outcome:
        """Somebody asks us to keep a posting.  Never raises for what is in `item`: it is refused and counted."""
        try:
            unverified = read_posting(item.posting, wall)
            outcome = self._consider(unverified, item, source, now, wall)
        except RemoteProtocolError:
            outcome = _REFUSED
        if outcome.code is OutcomeCode.WAIT:
            self.counters.waiting += 1
        elif outcome.code is OutcomeCode.REFUSED:
            self.counters.refused += 1
        return outcome

    def keep_own(self, posting: Posting, now: float, wall: float) -> None:
        """Index one of our own postings under all its terms, while there is room."""
        key = posting.publisher.raw + posting.content
        old = self._entries.get(key)
        if old is not None:
            self._remove(old)
        elif len(self._entries) >= self._capacity:
            return
        self._insert(posting, posting.terms, "", now, wall)

    def _consider(
        self, unverified: Unverified, item: codec.StoreItem, source: Source, now: float, wall: float
    ) -> Outcome:
        posting = unverified.posting
        # Only the publisher itself: stops others from replaying what it withdrew, and makes its prefix the one we see.
        if posting.publisher.raw != source.peer_id:
            return _REFUSED
        under = tuple(term for i, term in enumerate(posting.terms) if item.index_under >> i & 1)
        if not under:
            return _REFUSED
        key = posting.publisher.raw + posting.content
        old = self._entries.get(key)
        if old is not None:
            if posting.sequence == old.sequence and posting.data == old.data:
                self._index(old, under)
                return _STORED
            if posting.sequence <= old.sequence:
                return _REFUSED
            unverified.verify(self._network_id)
            # A renewal keeps its place; terms that it was under before stay unless the document lost them.
            under = tuple(term for term in posting.terms if term in old.indexed or term in under)
            self._remove(old)
            self._insert(posting, under, source.prefix, now, wall)
            self.counters.renewed += 1
            return _STORED
        crowd = _crowd(source.prefix, key)
        wait_s = waiting_time(self._shares(under, crowd, source))
        if wait_s >= SHORTEST_WAIT_S and (victim := self._crowded(crowd)) is not None:
            unverified.verify(self._network_id)
            self._remove(victim)
            self._insert(posting, under, source.prefix, now, wall)
            self.counters.stored += 1
            return _STORED
        asked_at = self._tickets.asked_at(item.ticket, key, now) if item.ticket else now
        left_s = wait_s - (now - asked_at)
        if wait_s > MAX_WAIT_S:
            return _REFUSED
        if left_s >= SHORTEST_WAIT_S:
            return Outcome(OutcomeCode.WAIT, left_s, self._tickets.issue(key, asked_at, now + left_s))
        unverified.verify(self._network_id)
        self._insert(posting, under, source.prefix, now, wall)
        self.counters.stored += 1
        return _STORED

    def _shares(self, under: tuple[bytes, ...], crowd: bytes, source: Source) -> Shares:
        return Shares(
            len(self._entries) / self._capacity,
            max(self._term_crowds.get((term, crowd), 0) for term in under) / self._capacity if source.prefix else 0.0,
            self._publishers.get(source.peer_id, 0) / self._capacity,
            len(self._crowds.get(crowd, ())) / self._capacity if source.prefix else 0.0,
        )

    def _crowded(self, newcomer: bytes) -> Entry | None:
        """The newest posting of the largest neighbourhood, when that holds more than twice what the newcomer's does: so
        a flood that came first does not keep others out."""
        largest = max(self._crowds.values(), key=len, default={})
        return next(reversed(largest), None) if len(largest) > 2 * (len(self._crowds.get(newcomer, ())) + 1) else None

    def _insert(self, posting: Posting, under: tuple[bytes, ...], prefix: str, now: float, wall: float) -> None:
        key = posting.publisher.raw + posting.content
        entry = Entry(
            posting.data,
            key,
            b"".join(posting.terms),
            posting.type,
            _crowd(prefix, key),
            neighbourhood_of(prefix),
            posting.sequence,
            posting.withdrawn,
            now + (posting.expires_at - wall),
        )
        self._entries[key] = entry
        self._publishers[key[:32]] = self._publishers.get(key[:32], 0) + 1
        self._crowds.setdefault(entry.crowd, {})[entry] = None
        self._index(entry, under)

    def _index(self, entry: Entry, under: tuple[bytes, ...]) -> None:
        for term in under:
            postings = self._by_term.setdefault(term, {})
            if entry in postings or (len(postings) >= self._term_cap and not self._make_room(term, entry.crowd)):
                continue
            postings[entry] = None
            entry.indexed.add(term)
            self._term_crowds[term, entry.crowd] = self._term_crowds.get((term, entry.crowd), 0) + 1

    def _make_room(self, term: bytes, newcomer: bytes) -> bool:
        """Take a posting of a crowded neighbourhood from a full term, as `_crowded` does for the whole; only the newest
        64 are looked at, which is where a flood is."""
        newest = list(islice(reversed(self._by_term[term]), 64))
        victim = max(newest, key=lambda entry: self._term_crowds[term, entry.crowd])
        if self._term_crowds[term, victim.crowd] <= 2 * (self._term_crowds.get((term, newcomer), 0) + 1):
            return False
        self._unindex(victim, term)
        return True

    def _unindex(self, entry: Entry, term: bytes) -> None:
        entry.indexed.discard(term)
        postings = self._by_term[term]
        del postings[entry]
        _decrease(self._term_crowds, (term, entry.crowd))

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.key]
        _decrease(self._publishers, entry.key[:32])
        crowd = self._crowds[entry.crowd]
        del crowd[entry]
        if not crowd:
            del self._crowds[entry.crowd]
        for term in tuple(entry.indexed):
            self._unindex(entry, term)
            if not self._by_term[term]:
                del self._by_term[term]

    def expire(self, now: float) -> int:
        """Drop what has expired; returns how many."""
        old = [entry for entry in self._entries.values() if entry.expires_at <= now]
        for entry in old:
            self._remove(entry)
        return len(old)

    def count(self, terms: tuple[bytes, ...]) -> tuple[int, ...]:
        """How many postings are under each term."""
        return tuple(len(self._by_term.get(term, ())) for term in terms)

    def match(self, query: QueryRequest, now: float) -> QueryAnswer:
        """The best postings under the query's key that hold every word.

        All that match are alike but for their length, so the shortest are the best for BM25.  Half of the answer is
        chosen so; the other half takes turns among network prefixes, so that a flood from a few of them cannot hide
        the rest.  Tombstones come last, a few: they tell the asker what other index peers should have forgotten.
        """
        self.counters.queries += 1
        listed = self._by_term.get(query.key, {})
        found: list[Entry] = []
        gone: list[Entry] = []
        for entry in listed:
            if entry.expires_at > now and holds(entry.term_set(), query.words):
                if entry.withdrawn:
                    gone.append(entry)
                elif type_matches(query.type, entry.type):
                    found.append(entry)
        chosen = self._choose(found, query.limit)
        chosen += sorted(gone, key=lambda entry: -entry.sequence)[: max(0, min(16, codec.MAX_HITS - len(chosen)))]
        hits: list[Hit] = []
        size = 0
        for entry in chosen:
            size += len(entry.data) + 8
            if size > _ANSWER_BYTES:
                break
            hits.append(Hit(entry.data, entry.neighbourhood))
        return QueryAnswer(tuple(hits), len(found), len(listed))

    @staticmethod
    def _choose(found: list[Entry], limit: int) -> list[Entry]:
        if len(found) <= limit:
            return sorted(found, key=_order)
        best = nsmallest(limit - limit // 2, found, key=_order)
        taken = set(best)
        turns: dict[bytes, int] = {}
        ranked: list[tuple[int, tuple[int, float, bytes], Entry]] = []
        for entry in sorted((e for e in found if e not in taken), key=_order):
            turn = turns[entry.crowd] = turns.get(entry.crowd, 0) + 1
            ranked.append((turn if entry.neighbourhood else 1, _order(entry), entry))
        ranked.sort(key=lambda row: row[:2])
        return best + [entry for _, _, entry in ranked[: limit // 2]]


def _crowd(prefix: str, key: bytes) -> bytes:
    return prefix.encode() or key[:32]


def _order(entry: Entry) -> tuple[int, float, bytes]:
    return len(entry.terms), -entry.expires_at, entry.key


def _decrease(counts: dict[_K, int], key: _K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
