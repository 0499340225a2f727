"""How fast one peer, and one neighbourhood, may ask and store.  Pure."""

from collections import OrderedDict

from peerkit.errors import LimitExceeded
from peerkit.limits import TokenBucket

from .diversity import Neighbourhood

LOOKUPS_PER_S, LOOKUP_BURST = 50.0, 500.0  # guess: a search across a neighbourhood is a burst of some hundred
STORES_PER_S, STORE_BURST = 20.0, 2_000.0  # guess: a folder of 1,000 files, twice
PREFIX_FACTOR = 4  # a neighbourhood may do what four peers may
MAX_BUCKETS = 4096  # of each kind; a flood of identities pushes out old ones, not memory


class _Buckets:
    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[bytes | str, TokenBucket] = OrderedDict()

    def take(self, who: bytes | str, amount: float, now: float) -> bool:
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = TokenBucket(self._rate, self._burst)
            if len(self._buckets) > MAX_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(who)
        return bucket.try_take(amount, now)


class RateLimits:
    """Attributes:
    refused: requests turned away.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._lookups = _Buckets(LOOKUPS_PER_S, LOOKUP_BURST)
        self._stores = _Buckets(STORES_PER_S, STORE_BURST)
        self._stores_by_prefix = _Buckets(PREFIX_FACTOR * STORES_PER_S, PREFIX_FACTOR * STORE_BURST)

    def lookup(self, peer: bytes, now: float) -> None:
        """Raises `LimitExceeded`."""
        if not self._lookups.take(peer, 1, now):
            self._refuse("questions")

    def store(self, peer: bytes, where: Neighbourhood, items: int, now: float) -> None:
        """Raises `LimitExceeded`."""
        if not self._stores.take(peer, items, now) or (where and not self._stores_by_prefix.take(where[0], items, now)):
            self._refuse("stores")

    def _refuse(self, what: str) -> None:
        self.refused += 1
        raise LimitExceeded(f"too many {what} in a short time; try again in a while")
