"""One source of a download as the scheduler sees it: what it holds, how fast it is, what it was asked for."""

import math
from dataclasses import dataclass, field

from .range_set import RangeSet

MIN_WINDOW = 2  # groups: one on the way while the next is asked
MAX_WINDOW = 32  # groups (32 MiB): 250 ms at 1 Gbit/s; the bytes wait at the source, flow control bounds our memory
MIN_STALL_S = 1.0  # guess: a busy machine pauses for some 100 ms
UNKNOWN_RTT_S = 0.5


@dataclass(slots=True, eq=False)
class Source:
    """Attributes:
    name: whatever the caller calls it; unique in one download.
    holdings: groups that it has, or `None` for all.
    outstanding: group → when it was asked for.
    is_stalled: nothing came for three round trips; others may take its groups.
    blocked_until: it said it is busy.
    """

    name: str
    holdings: RangeSet | None
    rtt_s: float
    group_bytes: int
    last_bytes_at: float
    outstanding: dict[int, float] = field(default_factory=dict)
    is_stalled: bool = False
    blocked_until: float = -math.inf
    busy_answers: int = 0
    bytes_received: int = 0
    groups_received: int = 0
    rate: float = 0.0  # bytes/s, smoothed
    min_latency_s: float = math.inf  # of one group, request to last byte
    window: int = MIN_WINDOW
    _last_group_at: float = -math.inf

    def has(self, group: int) -> bool:
        return self.holdings is None or group in self.holdings

    @property
    def stall_s(self) -> float:
        """Silence after which it counts as stalled: three round trips."""
        return max(MIN_STALL_S, 3 * (UNKNOWN_RTT_S if math.isnan(self.rtt_s) else self.rtt_s))

    def room(self, now: float) -> int:
        """How many more groups to ask for now."""
        if self.is_stalled or now < self.blocked_until:
            return 0
        return self.window - len(self.outstanding)

    def asked(self, group: int, now: float) -> None:
        if not self.outstanding:
            self.last_bytes_at = now  # silence counts from the question
            self._last_group_at = now
        self.outstanding[group] = now

    def answered(self, group: int, now: float) -> None:
        """A group came whole: measure, and size the window to twice the bandwidth-delay product plus one."""
        asked_at = self.outstanding.pop(group, None)
        self.groups_received += 1
        self.busy_answers = 0
        if asked_at is None:
            return
        self.min_latency_s = min(self.min_latency_s, max(now - asked_at, 1e-4))
        sample = self.group_bytes / max(now - self._last_group_at, 1e-4)
        self._last_group_at = now
        self.rate = sample if not self.rate else 0.8 * self.rate + 0.2 * sample
        product = self.rate * self.min_latency_s / self.group_bytes
        self.window = max(MIN_WINDOW, min(MAX_WINDOW, math.ceil(2 * product) + 1))
