"""Small values that others asked us to keep: immutable, mutable, peer records.  Pure, in memory.

Bounds and their attacks: bytes in all (memory), a sixteenth of them per prefix and per peer (one network or one
identity fills the store), 24 h of life (garbage for ever), a lower sequence never replaces a higher (rollback).
"""

import heapq
from collections import Counter
from dataclasses import dataclass

from peerkit.errors import LimitExceeded, RemoteProtocolError

from .diversity import Neighbourhood
from .namespaces import MAX_LIFE_S, Checked

TOTAL_BYTES = 32 * 1024 * 1024
SHARE = 16
_OVERHEAD = 200  # of one entry, so that many tiny values are counted too


@dataclass(slots=True, eq=False)
class _Kept:
    value: bytes
    checked: Checked
    payer: str
    expires_at: float  # Clock.now


class ValueStore:
    """Args:
    total_bytes: of all values together.
    """

    def __init__(self, total_bytes: int = TOTAL_BYTES) -> None:
        self._total = total_bytes
        self._values: dict[tuple[int, bytes], _Kept] = {}
        self._used = 0
        self._by_payer: Counter[str] = Counter()
        self._ends: list[tuple[float, int, bytes]] = []

    def __len__(self) -> int:
        return len(self._values)

    @property
    def used_bytes(self) -> int:
        return self._used

    def put(
        self,
        namespace: int,
        key: bytes,
        value: bytes,
        checked: Checked,
        where: Neighbourhood,
        peer: bytes,
        now: float,
        now_wall: float,
    ) -> bool:
        """Keep a value that its validator accepted; `False`: it was here already (its life is renewed).

        Args:
            where, peer: whom it counts for: the prefix of the session it came on, or the peer when that is local.

        Raises:
            LimitExceeded: a bound is reached.
            RemoteProtocolError: we have one with a higher sequence, or another with the same.
        """
        old = self._values.get((namespace, key))
        if old is not None:
            if old.checked.sequence > checked.sequence:
                raise RemoteProtocolError(f"a value with the higher sequence {old.checked.sequence} is stored")
            if old.checked.sequence == checked.sequence and old.value != value:
                raise RemoteProtocolError("another value with the same sequence is stored")
        payer = where[0] if where else peer.hex()
        size = len(value) + _OVERHEAD
        freed = len(old.value) + _OVERHEAD if old is not None else 0
        freed_here = freed if old is not None and old.payer == payer else 0
        if self._used - freed + size > self._total:
            raise LimitExceeded("the store of values is full")
        if self._by_payer[payer] - freed_here + size > max(self._total // SHARE, 2 * 8192):
            raise LimitExceeded("the neighbourhood has its share of the store of values")
        if old is not None:
            self._release(old)
        expires_at = now + min(MAX_LIFE_S, checked.expires_at - now_wall)
        self._values[namespace, key] = _Kept(value, checked, payer, expires_at)
        self._used += size
        self._by_payer[payer] += size
        heapq.heappush(self._ends, (expires_at, namespace, key))
        if len(self._ends) > 2 * len(self._values) + 64:  # every renewal leaves one behind: they must not fill memory
            self._ends = [(k.expires_at, *name) for name, k in self._values.items()]
            heapq.heapify(self._ends)
        return old is None or old.value != value

    def get(self, namespace: int, key: bytes) -> bytes:
        """Empty: nothing stored."""
        kept = self._values.get((namespace, key))
        return kept.value if kept is not None else b""

    def expire(self, now: float) -> None:
        """Drop what is over."""
        while self._ends and self._ends[0][0] <= now:
            _, namespace, key = heapq.heappop(self._ends)
            kept = self._values.get((namespace, key))
            if kept is not None and kept.expires_at <= now:
                del self._values[namespace, key]
                self._release(kept)

    def _release(self, kept: _Kept) -> None:
        size = len(kept.value) + _OVERHEAD
        self._used -= size
        self._by_payer[kept.payer] -= size
        if self._by_payer[kept.payer] <= 0:
            del self._by_payer[kept.payer]
