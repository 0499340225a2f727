"""What this node keeps for others as an index peer: signed postings by term, bounded in all, per term, per publisher
and per network prefix.  In memory only: after a restart publishers bring theirs again, and other index peers have them.

    offer()   length → form → publisher is the sender → newer than ours → room, waited long enough → signature → kept
    match()   the postings under one term that hold every word of a query
"""

import hashlib
from dataclasses import dataclass, field
from heapq import nsmallest
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
    """One posting in the index.  Terms stay one piece of bytes: 24 objects would weigh more than the posting."""

    data: bytes
    key: bytes  # publisher ‖ content
    terms: bytes
    type: str
    prefix: str
    neighbourhood: int
    sequence: int
    withdrawn: bool
    expires_at: float  # Clock.now
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
        # A hot word must not push out all others, nor one neighbourhood fill a word: a term keeps at most a quarter of
        # the index, a prefix at most a quarter of a term.
        self._term_cap = max(capacity // 4, 64)
        self._term_prefix_cap = max(self._term_cap // 4, 16)
        self._entries: dict[bytes, Entry] = {}
        self._by_term: dict[bytes, dict[Entry, None]] = {}
        self._publishers: dict[bytes, int] = {}
        self._prefixes: dict[str, int] = {}
        self._term_prefixes: dict[tuple[bytes, str], int] = {}
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
        wait_s = waiting_time(self._shares(under, source))
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

    def _shares(self, under: tuple[bytes, ...], source: Source) -> Shares:
        longest = max(len(self._by_term.get(term, ())) for term in under)
        return Shares(
            len(self._entries) / self._capacity,
            longest / self._capacity,
            self._publishers.get(source.peer_id, 0) / self._capacity,
            self._prefixes.get(source.prefix, 0) / self._capacity if source.prefix else 0.0,
        )

    def _insert(self, posting: Posting, under: tuple[bytes, ...], prefix: str, now: float, wall: float) -> None:
        key = posting.publisher.raw + posting.content
        entry = Entry(
            posting.data,
            key,
            b"".join(posting.terms),
            posting.type,
            prefix,
            neighbourhood_of(prefix),
            posting.sequence,
            posting.withdrawn,
            now + (posting.expires_at - wall),
        )
        self._entries[key] = entry
        self._publishers[key[:32]] = self._publishers.get(key[:32], 0) + 1
        self._prefixes[prefix] = self._prefixes.get(prefix, 0) + 1
        self._index(entry, under)

    def _index(self, entry: Entry, under: tuple[bytes, ...]) -> None:
        for term in under:
            postings = self._by_term.setdefault(term, {})
            held = self._term_prefixes.get((term, entry.prefix), 0)
            if entry in postings or len(postings) >= self._term_cap or (entry.prefix and held >= self._term_prefix_cap):
                continue
            postings[entry] = None
            entry.indexed.add(term)
            if entry.prefix:
                self._term_prefixes[term, entry.prefix] = held + 1

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.key]
        _decrease(self._publishers, entry.key[:32])
        _decrease(self._prefixes, entry.prefix)
        for term in entry.indexed:
            postings = self._by_term[term]
            del postings[entry]
            if not postings:
                del self._by_term[term]
            if entry.prefix:
                _decrease(self._term_prefixes, (term, entry.prefix))

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
        turns: dict[str, int] = {}
        ranked: list[tuple[int, tuple[int, float, bytes], Entry]] = []
        for entry in sorted((e for e in found if e not in taken), key=_order):
            turn = turns[entry.prefix] = turns.get(entry.prefix, 0) + 1
            ranked.append((turn if entry.prefix else 1, _order(entry), entry))
        ranked.sort(key=lambda row: row[:2])
        return best + [entry for _, _, entry in ranked[: limit // 2]]


def _order(entry: Entry) -> tuple[int, float, bytes]:
    return len(entry.terms), -entry.expires_at, entry.key


def _decrease(counts: dict[_K, int], key: _K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
