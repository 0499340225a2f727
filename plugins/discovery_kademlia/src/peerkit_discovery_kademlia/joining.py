"""When to look for our own neighbourhood, and which buckets to look into.  Pure.

Joining is an iterative lookup of our own key (it finds, and makes us known to, the k peers nearest to us), then a
short lookup into each far bucket that is still thin.  It is done again when the table is small and somebody new came.

Buckets nearer than the k-th nearest peer need no lookup of their own: whoever belongs there is among the k that the
lookup of our own key found.  That leaves log2(n / k) buckets of a network of n peers.
"""

from collections.abc import Iterator, Sequence

from peerkit.clock import Rng
from peerkit.record import PeerRecord

from .keys import BUCKETS, bucket_of, key_of_peer, random_key_in
from .routing_table import K, RoutingTable

THIN = 4  # entries; a bucket with fewer is looked into at the join: in a small network all shall know each other soon
SMALL = 2 * K  # with fewer entries each newcomer is a reason to look again
AGAIN_S = 5.0  # but not more often than this


class Joining:
    """Args:
    interval_s: between refreshes of one bucket.
    """

    def __init__(self, table: RoutingTable, interval_s: float, rng: Rng) -> None:
        self._table = table
        self._interval_s = interval_s
        self._rng = rng
        self._joined_at: float | None = None
        self._far = 0  # buckets that the lookup of our own key does not cover: 0 to this, without it
        self._looked_at: list[float] = []

    @property
    def is_joined(self) -> bool:
        return self._joined_at is not None

    def joined(self, now: float, closest: Sequence[PeerRecord]) -> None:
        """Our own key was looked up, and these answered: at most k, nearest first."""
        if not closest:
            return
        self._joined_at = now
        own = self._table.own_key
        self._far = bucket_of(own, key_of_peer(closest[-1].peer_id.raw)) + 1 if len(closest) >= K else 0
        if not self._looked_at:  # spread over the interval, so that a bucket's turn comes now and then, not all at once
            self._looked_at = [now - self._interval_s * self._rng.random() for _ in range(BUCKETS)]
        self._looked_at[BUCKETS - 1] = now

    def wait_s(self, now: float) -> float | None:
        """A newcomer is there: seconds until we should look for our neighbourhood (again); `None`: no need."""
        if self._joined_at is None:
            return 0.0
        if len(self._table) >= SMALL:
            return None
        return max(0.0, self._joined_at + AGAIN_S - now)

    def thin_buckets(self) -> Iterator[int]:
        """Far buckets with few entries, to be looked into right after the join; nearest first.  Each is judged when its
        turn comes: the lookup before may have filled it."""
        for index in range(self._far - 1, -1, -1):
            if len(self._table.bucket(index)) < THIN:
                yield index

    def key_in(self, index: int, now: float) -> int:
        """A random key of a bucket, which counts as looked into."""
        if self._looked_at:
            self._looked_at[index] = now
        return random_key_in(self._table.own_key, index, self._rng)

    def stale_keys(self, now: float) -> list[int]:
        """Keys of buckets that were not looked into for long, our own first."""
        found: list[int] = []
        if not self._looked_at:
            return found
        for index in (BUCKETS - 1, *range(min(self._far, BUCKETS - 1))):
            if now - self._looked_at[index] >= self._interval_s:
                found.append(self._table.own_key if index == BUCKETS - 1 else self.key_in(index, now))
                self._looked_at[index] = now
        return found
