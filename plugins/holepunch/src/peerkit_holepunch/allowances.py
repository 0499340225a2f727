"""How much others may ask of us: introductions as a coordinator, punches as a target.  Pure; time is handed in."""

from collections import OrderedDict
from collections.abc import Hashable

from peerkit.limits import TokenBucket

MAX_PEERS = 1_024  # whose rates are kept; the one longest unheard goes, and comes back with a full bucket


class Rates:
    """So many a minute for each key, and in all.

    Args:
        burst: of one key; the rate in all may burst by its whole minute.
    """

    def __init__(self, per_key_per_minute: float, burst: float, in_all_per_minute: float) -> None:
        self._rate = per_key_per_minute / 60
        self._burst = burst
        self._all = TokenBucket(in_all_per_minute / 60, max(in_all_per_minute, 1.0))
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def allow(self, key: Hashable, now: float) -> bool:
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._burst)
        self._buckets[key] = bucket
        if len(self._buckets) > MAX_PEERS:
            self._buckets.popitem(last=False)
        return bucket.try_take(1, now) and self._all.try_take(1, now)


class Introductions:
    """What a coordinator does for others.

    Bounds, each with its attack: per asker and per target a minute (one peer uses us to pester another), in all (many
    of them), under way per asker and in all (targets that never answer would make us hold their askers' requests).
    """

    PER_ASKER_PER_MINUTE = 12.0
    PER_TARGET_PER_MINUTE = 20.0
    BURST = 8.0  # every strategy of one punch, twice
    UNDER_WAY_PER_ASKER = 4
    UNDER_WAY = 64

    def __init__(self, in_all_per_minute: float) -> None:
        self._askers = Rates(self.PER_ASKER_PER_MINUTE, self.BURST, in_all_per_minute)
        self._targets = Rates(self.PER_TARGET_PER_MINUTE, self.BURST * 2, in_all_per_minute)
        self._under_way: dict[Hashable, int] = {}

    def begin(self, asker: Hashable, target: Hashable, now: float) -> str:
        """Count one; a reason when it is refused, else empty, and `end` must follow."""
        if self._under_way.get(asker, 0) >= self.UNDER_WAY_PER_ASKER or sum(self._under_way.values()) >= self.UNDER_WAY:
            return "too many introductions are under way"
        if not self._askers.allow(asker, now) or not self._targets.allow(target, now):
            return "too many introductions in the last minute"
        self._under_way[asker] = self._under_way.get(asker, 0) + 1
        return ""

    def end(self, asker: Hashable) -> None:
        left = self._under_way.pop(asker) - 1
        if left:
            self._under_way[asker] = left
