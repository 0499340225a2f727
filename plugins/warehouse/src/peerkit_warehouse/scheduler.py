"""Which group of leaves to ask of which source: the machine of a download from several sources.

    missing ──asked──> asked ──received──> held
       ^                 │
       └─ refused, source stalled or gone ─┘

The unit is a *group* (16 leaves, 1 MiB, or the whole of a smaller file); a download of a folder numbers the groups of
all its files in a row.  In order when every source has everything; rarest first when some hold parts; the last groups
are asked twice, so that one slow source does not hold up the end.  A source that is silent for three round trips is
demoted: its groups go to others, until it speaks again.  One that sent a wrong byte never comes back.

In: sources, answers, time.  Out: events.  Not here: bytes, hashes, streams, disk.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from peerkit.clock import Rng

from .range_set import RangeSet
from .source import Source

GROUP_LEAVES = 16
END_GAME_SHARE = 50  # the last 1/50 of the groups may be asked of two sources
END_GAME_MIN = 4
CANDIDATES = 32  # groups weighed for rarity at each choice: bounds the work whatever the size
BUSY_S = 0.5
MAX_BUSY_S = 15.0
MAX_OUTSTANDING = 64  # groups on the way from all sources: the most (64 MiB) that wait for a slow disk in memory
MAX_SOURCES = 32  # more cost memory and bring nothing

_MISSING, _ASKED, _HELD = 0, 1, 2


@dataclass(frozen=True, slots=True)
class AskGroup:
    source: str
    group: int


@dataclass(frozen=True, slots=True)
class DropSource:
    """Close the source: it gave nothing for too long."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Every group is held."""


Event = AskGroup | DropSource | Finished


class Scheduler:
    """Args:
    groups: how many there are, ≥ 0.
    held: those that need no download.
    rng: spreads the choice among equally rare groups.
    group_bytes: size of a full group.
    drop_after_s: silence after which a source that owes us something is dropped.
    in_order: with partial holders, weigh only the first missing groups, so that few files of a folder are open at once.
    """

    def __init__(
        self,
        groups: int,
        rng: Rng,
        held: Iterable[tuple[int, int]] = (),
        group_bytes: int = 1 << 20,
        drop_after_s: float = 30.0,
        in_order: bool = False,
    ) -> None:
        self.groups = groups
        self._rng = rng
        self._group_bytes = group_bytes
        self._drop_after_s = drop_after_s
        self._in_order = in_order
        self._state = bytearray(groups)
        for start, stop in held:
            self._state[start:stop] = bytes((_HELD,)) * (stop - start)
        self.left = groups - self._state.count(_HELD)
        self._asked = 0
        self._cursor = 0  # no missing group lies before it
        self._sources: dict[str, Source] = {}
        self._banned: set[str] = set()
        self._events: deque[Event] = deque()
        self._finished = False
        self._check_end()

    # -- sources -------------------------------------------------------------------------------------------------

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(self._sources.values())

    @property
    def is_done(self) -> bool:
        return self.left == 0

    def add_source(self, name: str, holdings: RangeSet | None, rtt_s: float, now: float) -> bool:
        """Take a source (or what it holds anew).  `False`: banned before, or there are enough."""
        known = self._sources.get(name)
        if known is not None:
            known.holdings = holdings
        elif name in self._banned or len(self._sources) >= MAX_SOURCES:
            return False
        else:
            self._sources[name] = Source(name, holdings, rtt_s, self._group_bytes, now)
        self._fill(now)
        return True

    def remove_source(self, name: str, now: float, ban: bool = False) -> None:
        """A source is gone (or, with `ban`, lied): its groups go to others.  Idempotent."""
        if ban:
            self._banned.add(name)
        source = self._sources.pop(name, None)
        if source is not None:
            self._release(source, list(source.outstanding))
            self._fill(now)

    def is_banned(self, name: str) -> bool:
        return name in self._banned

    # -- answers -------------------------------------------------------------------------------------------------

    def wants(self, group: int) -> bool:
        """Whether the bytes of a group are still needed."""
        return self._state[group] != _HELD

    def receive_bytes(self, name: str, nbytes: int, now: float) -> None:
        """Some bytes of an answer came: the source lives."""
        source = self._sources.get(name)
        if source is not None:
            source.last_bytes_at = now
            source.bytes_received += nbytes
            if source.is_stalled:
                source.is_stalled = False
                self._fill(now)

    def receive_group(self, name: str, group: int, now: float) -> bool:
        """A group is verified and written.  `False` when it was held before."""
        source = self._sources.get(name)
        if source is not None:
            source.answered(group, now)
            source.last_bytes_at = now
            source.is_stalled = False
        is_new = self._state[group] != _HELD
        if is_new:
            self._asked -= self._state[group] == _ASKED
            self._state[group] = _HELD
            self.left -= 1
            self._check_end()
        self._fill(now)
        return is_new

    def receive_refusal(self, name: str, group: int, now: float, busy: bool = False) -> None:
        """A source does not give a group: it does not hold it, or (`busy`) not now."""
        source = self._sources.get(name)
        if source is None:
            return
        source.outstanding.pop(group, None)
        source.last_bytes_at = now
        source.is_stalled = False
        if busy:
            source.blocked_until = now + min(MAX_BUSY_S, BUSY_S * 2**source.busy_answers)
            source.busy_answers = min(source.busy_answers + 1, 8)
        else:
            if source.holdings is None:
                source.holdings = RangeSet([(0, self.groups)])
            source.holdings.discard(group, group + 1)
        self._release(source, [group])
        self._fill(now)

    # -- time ----------------------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """When to call `handle_timer`; `None` for never."""
        times = []
        for source in self._sources.values():
            if source.outstanding:
                times.append(source.last_bytes_at + (self._drop_after_s if source.is_stalled else source.stall_s))
            elif source.blocked_until > -math.inf:
                times.append(source.blocked_until)
        return min(times, default=None)

    def handle_timer(self, now: float) -> None:
        for source in list(self._sources.values()):
            if source.outstanding:
                silent_since = source.last_bytes_at
                if now >= silent_since + self._drop_after_s:
                    self._events.append(DropSource(source.name, f"it sent nothing for {self._drop_after_s:g} s"))
                    self.remove_source(source.name, now)
                elif now >= silent_since + source.stall_s and not source.is_stalled:
                    source.is_stalled = True
                    source.window = max(1, source.window // 2)
                    self._release(source, list(source.outstanding))
            if now >= source.blocked_until:
                source.blocked_until = -math.inf
        self._fill(now)

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    # -- the choice ----------------------------------------------------------------------------------------------

    def _release(self, source: Source, groups: Iterable[int]) -> None:
        """Groups that nobody but `source` was asked for are missing again."""
        others = [s for s in self._sources.values() if s is not source and not s.is_stalled]
        for group in groups:
            if self._state[group] == _ASKED and not any(group in s.outstanding for s in others):
                self._state[group] = _MISSING
                self._asked -= 1
                self._cursor = min(self._cursor, group)

    def _fill(self, now: float) -> None:
        if self.is_done:
            return
        for source in sorted(self._sources.values(), key=lambda s: -s.rate):
            while source.room(now) > 0 and self._outstanding < MAX_OUTSTANDING:
                group = self._choose(source)
                if group is None:
                    group = self._choose_again(source)
                if group is None:
                    break
                if self._state[group] == _MISSING:
                    self._state[group] = _ASKED
                    self._asked += 1
                source.asked(group, now)
                self._events.append(AskGroup(source.name, group))

    def _choose(self, source: Source) -> int | None:
        """A missing group for `source`: the first, or with partial holders the rarest of some."""
        first = self._state.find(_MISSING, self._cursor)
        self._cursor = first if first >= 0 else self.groups
        if first < 0:
            return None
        if all(s.holdings is None for s in self._sources.values()):
            while first >= 0 and first in source.outstanding:  # asked of it before it stalled
                first = self._state.find(_MISSING, first + 1)
            return first if first >= 0 else None
        candidates = self._candidates(source)
        return min(candidates, key=self._holders, default=None)

    def _candidates(self, source: Source) -> list[int]:
        """Up to `CANDIDATES` missing groups that `source` holds, beginning at a place drawn by lot."""
        ranges = [(0, self.groups)] if source.holdings is None else list(source.holdings)
        ranges = [(max(a, self._cursor), b) for a, b in ranges if b > self._cursor]
        if not ranges:
            return []
        turn = 0 if self._in_order else self._rng.randrange(0, len(ranges))
        start, stop = ranges[turn]
        at = start if self._in_order else self._rng.randrange(start, stop)
        found: list[int] = []
        for low, high in [(at, stop), *ranges[turn + 1 :], *ranges[:turn], (start, at)]:
            group = self._state.find(_MISSING, low, high)
            while group >= 0 and len(found) < CANDIDATES:
                if group not in source.outstanding:
                    found.append(group)
                group = self._state.find(_MISSING, group + 1, high)
            if len(found) >= CANDIDATES:
                break
        return found

    @property
    def _outstanding(self) -> int:
        return sum(len(s.outstanding) for s in self._sources.values())

    def _holders(self, group: int) -> int:
        return sum(s.has(group) for s in self._sources.values())

    def _choose_again(self, source: Source) -> int | None:
        """Near the end an idle source repeats a group that another one is slow with."""
        if source.outstanding or self._asked > max(END_GAME_MIN, self.groups // END_GAME_SHARE):
            return None
        slowest: tuple[float, int] | None = None
        for other in self._sources.values():
            if other is source or other.rate > source.rate > 0:
                continue
            for group, asked_at in other.outstanding.items():
                if self._state[group] != _ASKED or not source.has(group) or self._askers(group) > 1:
                    continue
                if slowest is None or asked_at < slowest[0]:
                    slowest = (asked_at, group)
        return slowest[1] if slowest else None

    def _askers(self, group: int) -> int:
        return sum(group in s.outstanding for s in self._sources.values())

    def _check_end(self) -> None:
        if self.is_done and not self._finished:
            self._finished = True
            self._events.append(Finished())
