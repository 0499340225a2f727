"""When an address or a peer that failed may be tried again.

Doubling from 0.5 s to 5 min with ±50 % jitter, so that a restarted hub is not hit by all at once.  Source: Karyon's
500 ms start; the cap is a guess.  At most 4,096 entries, the oldest forgotten first: strangers' addresses fill it.
"""

from collections import OrderedDict

from ..clock import Rng

BASE_S = 0.5
CAP_S = 300.0
MAX_ENTRIES = 4096


class Backoff:
    """Failures by key (an address or peer id as text)."""

    def __init__(self, rng: Rng, base_s: float = BASE_S, cap_s: float = CAP_S) -> None:
        self._rng = rng
        self._base_s = base_s
        self._cap_s = cap_s
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Seconds until `key` may be tried; 0 when it may be now."""
        _, until = self._failed.get(key, (0, 0.0))
        return max(0.0, until - now)

    def failed(self, key: str, now: float) -> float:
        """Count a failure; returns the wait."""
        count = self._failed.pop(key, (0, 0.0))[0] + 1
        wait_s = min(self._cap_s, self._base_s * 2.0 ** min(count - 1, 20)) * self._rng.uniform(0.5, 1.5)
        self._failed[key] = (count, now + wait_s)
        if len(self._failed) > MAX_ENTRIES:
            self._failed.popitem(last=False)
        return wait_s

    def succeeded(self, key: str) -> None:
        self._failed.pop(key, None)
