"""Who is nearest to many keys, from few lookups.  Pure.

A lookup of T that found the k nearest peers, the last at distance d, knows *every* peer within d.  So it knows all
peers of the largest subtree of the key space around T that lies within d, some ten to twenty, and they are the nearest
of each other key in that subtree too: its keys need no lookup of their own.  What is missing up to k comes from the
subtrees beside it, as far as other lookups saw them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from heapq import nsmallest

from peerkit.record import PeerRecord

from .diversity import MAX_AMONG_CANDIDATES, first_neighbourhood
from .keys import KEY_BITS, key_of_peer
from .routing_table import K

ENOUGH = K // 3  # peers of a subtree that spare its keys a lookup; at K // 2 a fifth of 1,000 keys had one (measured)


class Vicinity:
    """What the lookups of one round found."""

    def __init__(self) -> None:
        self._peers: dict[int, PeerRecord] = {}  # by key
        self._order: list[int] = []  # the keys of the peers, sorted
        self._known: dict[int, set[int]] = {}  # bits left open → prefixes of subtrees that are known whole

    def add(self, target: int, closest: Sequence[PeerRecord]) -> None:
        """A lookup ended with these, nearest first; fewer than k are all there are."""
        found = {key_of_peer(record.peer_id.raw): record for record in closest}
        self._peers |= found
        self._order = sorted(self._peers)
        self._known.setdefault(0, set()).add(target)
        if len(closest) < K:
            if closest:
                self._known.setdefault(KEY_BITS, set()).add(0)
            return
        reach = max(key ^ target for key in found)
        bits = (reach + 1).bit_length() - 1
        if sum(key >> bits == target >> bits for key in found) >= ENOUGH:
            self._known.setdefault(bits, set()).add(target >> bits)

    def covers(self, key: int) -> bool:
        """Whether a lookup of `key` would tell little more."""
        return any(key >> bits in prefixes for bits, prefixes in self._known.items())

    def nearest(self, key: int) -> list[PeerRecord]:
        """The k nearest of all that were found, nearest first, at most two of one prefix."""
        order, wanted = self._order, 2 * K
        for bits in range(KEY_BITS + 1):  # the smallest subtree around the key that holds enough
            low = key >> bits << bits
            first, last = bisect_left(order, low), bisect_left(order, low + (1 << bits))
            if last - first >= min(wanted, len(order)):
                break
        crowd: Counter[str] = Counter()
        chosen: list[PeerRecord] = []
        for position in nsmallest(last - first, order[first:last], key=lambda position: position ^ key):
            record = self._peers[position]
            where = first_neighbourhood(record.addresses)
            if where:
                crowd[where[0]] += 1
                if crowd[where[0]] > MAX_AMONG_CANDIDATES:
                    continue
            chosen.append(record)
            if len(chosen) == K:
                break
        return chosen
