"""Which entries of the table to ask whether they still live, and when.  Pure.

Karyon's refresh, with a schedule of its own: a peer is checked when nothing was heard of it for `interval_s` (with
jitter, so that a network that started together does not ping together), sooner when it missed a check, and soon after
it entered by a session that it opened itself, since nothing but our own dial shows that others can reach it.
"""

from peerkit.clock import Rng

from .routing_table import Entry, RoutingTable

JITTER = 0.3
RETRY_S = 10.0  # after a miss; three misses are 20 s
FIRST_CHECK_S = 300.0  # guess; of a peer that came to us: its session has closed by then, so that this is a dial


class Liveness:
    """Args:
    interval_s: silence after which a peer is asked.
    """

    def __init__(self, table: RoutingTable, interval_s: float, rng: Rng) -> None:
        self._table = table
        self._interval_s = interval_s
        self._rng = rng
        self._due: dict[bytes, tuple[float, float]] = {}  # id → (checked_at it was drawn for, due)

    def due(self, now: float, limit: int) -> list[Entry]:
        """Entries to check now, longest overdue first."""
        late: list[tuple[float, Entry]] = []
        drawn: dict[bytes, tuple[float, float]] = {}
        for entry in self._table:
            raw = entry.record.peer_id.raw
            known = self._due.get(raw)
            if known is None or known[0] != entry.checked_at:
                known = (entry.checked_at, entry.checked_at + self._wait_s(entry))
            drawn[raw] = known
            if known[1] <= now:
                late.append((known[1], entry))
        self._due = drawn
        late.sort(key=lambda pair: pair[0])
        return [entry for _, entry in late[:limit]]

    def _wait_s(self, entry: Entry) -> float:
        base = self._interval_s
        if entry.misses:
            base = min(base, RETRY_S)
        elif not entry.is_dialled:
            base = min(base, FIRST_CHECK_S)
        return base * self._rng.uniform(1 - JITTER, 1 + JITTER)
