"""Who provides which key, as others told us: bounded on every side.  Pure, in memory; providers announce every 11 h.

Bounds and their attacks:
- 64 providers per key; when full, a newcomer of a new prefix replaces the newest of the most crowded prefix, and one of
  the most crowded prefix is refused (a flood of one network cannot push out the others);
- `per_provider` keys per provider (one peer claims to have everything);
- `total` records, a sixteenth of them per prefix (one network fills the store);
- 24 h of life, whatever the record says.
"""

import heapq
from collections import Counter
from dataclasses import dataclass

from peerkit.clock import Rng
from peerkit.errors import LimitExceeded

from .announcement import LIFE_S, Announcement
from .codec import Provider
from .diversity import Neighbourhood

MAX_PER_KEY = 64
PER_PROVIDER = 1000  # source: go-libp2p's practice
TOTAL = 50_000  # × 0.6 KB = 30 MB
PREFIX_SHARE = 16
_LOCAL = "local"


@dataclass(slots=True, eq=False)
class _Kept:
    announcement: Announcement
    record: bytes
    prefix: str
    kept_at: float
    expires_at: float  # Clock.now


class ProviderStore:
    """Args:
    total, per_provider: bounds, in records.
    """

    def __init__(self, total: int = TOTAL, per_provider: int = PER_PROVIDER) -> None:
        self._total = total
        self._per_provider = per_provider
        self._keys: dict[bytes, dict[bytes, _Kept]] = {}
        self._by_provider: Counter[bytes] = Counter()
        self._by_prefix: Counter[str] = Counter()
        self._ends: list[tuple[float, bytes, bytes]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, announcement: Announcement, record: bytes, where: Neighbourhood, now: float, now_wall: float) -> None:
        """Keep a checked announcement, or renew it.

        Args:
            record: the provider's signed peer record, or empty.
            where: of the session that it came on.

        Raises:
            LimitExceeded: a bound is reached.
        """
        provider = announcement.provider.raw
        prefix = where[0] if where else _LOCAL
        kept = self._keys.setdefault(announcement.key, {})
        old = kept.get(provider)
        expires_at = now + min(LIFE_S, announcement.expires_at - now_wall)
        if old is None:
            try:
                self._make_room(kept, provider, prefix)
            except LimitExceeded:
                if not kept:
                    del self._keys[announcement.key]
                raise
            self._count += 1
            self._by_provider[provider] += 1
        else:
            self._by_prefix[old.prefix] -= 1
        self._by_prefix[prefix] += 1
        kept[provider] = _Kept(announcement, record, prefix, now, expires_at)
        heapq.heappush(self._ends, (expires_at, announcement.key, provider))
        if len(self._ends) > 2 * self._count + 64:  # every renewal leaves one behind: renewing all day fills memory
            self._ends = [(k.expires_at, key, raw) for key, some in self._keys.items() for raw, k in some.items()]
            heapq.heapify(self._ends)

    def _make_room(self, kept: dict[bytes, _Kept], provider: bytes, prefix: str) -> None:
        if self._by_provider[provider] >= self._per_provider:
            raise LimitExceeded(f"one provider may announce {self._per_provider} keys here")
        if self._count >= self._total:
            raise LimitExceeded("the store of provider records is full")
        if prefix != _LOCAL and self._by_prefix[prefix] >= max(1, self._total // PREFIX_SHARE):
            raise LimitExceeded("the neighbourhood has its share of the store of provider records")
        if len(kept) < MAX_PER_KEY:
            return
        crowds = Counter(k.prefix for k in kept.values())
        crowded, size = crowds.most_common(1)[0]
        if size <= crowds[prefix] + 1:
            raise LimitExceeded(f"the key has {MAX_PER_KEY} providers already")
        newest = max((raw for raw in kept if kept[raw].prefix == crowded), key=lambda raw: kept[raw].kept_at)
        self._forget(kept, newest)

    def get(self, key: bytes, count: int, rng: Rng) -> list[Provider]:
        """Up to `count` providers; a random choice when there are more, so that the load is shared."""
        kept = self._keys.get(key)
        if not kept:
            return []
        chosen = list(kept.values())
        if len(chosen) > count:
            chosen = rng.sample(chosen, count)
        return [Provider(k.announcement.wire, k.record) for k in chosen]

    def expire(self, now: float) -> None:
        """Drop what is over."""
        while self._ends and self._ends[0][0] <= now:
            _, key, provider = heapq.heappop(self._ends)
            kept = self._keys.get(key, {})
            if provider in kept and kept[provider].expires_at <= now:
                self._forget(kept, provider)
                if not kept:
                    del self._keys[key]

    def _forget(self, kept: dict[bytes, _Kept], provider: bytes) -> None:
        gone = kept.pop(provider)
        self._count -= 1
        self._by_provider[provider] -= 1
        if not self._by_provider[provider]:
            del self._by_provider[provider]
        self._by_prefix[gone.prefix] -= 1
        if not self._by_prefix[gone.prefix]:
            del self._by_prefix[gone.prefix]
