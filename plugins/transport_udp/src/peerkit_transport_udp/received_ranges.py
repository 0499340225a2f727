"""Which counters have come: at once the acknowledgement and the check against replays.

A list of ranges, ascending; the newest end is the usual place of change, so a batch in order costs one comparison.
What lies below `floor` counts as received and is never acknowledged again: a packet that comes so late is dropped, and
its sender has long packed its content under a new counter.

Bounds: ≤ 256 ranges, and only the latest 8,192 counters once there is more than one range, so that a peer that leaves
gaps on purpose costs at most 16 KiB.  Source: the idea of RFC 9000 §13.2.3; the depth as in WireGuard's window.
"""

from collections.abc import Sequence

from .frames import Range

MAX_RANGES = 256
DEPTH = 8_192


class ReceivedRanges:
    """Attributes:
    next: one more than the largest counter that has come.
    """

    __slots__ = ("_floor", "_ranges", "next")

    def __init__(self) -> None:
        self._ranges: list[list[int]] = []
        self._floor = 0
        self.next = 0

    def __len__(self) -> int:
        return len(self._ranges)

    @property
    def floor(self) -> int:
        """Counters below are treated as duplicates."""
        return self._floor

    def expand(self, low: int) -> int:
        """The counter whose low 32 bits are `low` and that lies nearest to the one expected next.

        Source: RFC 9000 appendix A.3."""
        counter = self.next & ~0xFFFF_FFFF | low
        if counter + 0x8000_0000 <= self.next:
            counter += 1 << 32
        elif counter > self.next + 0x8000_0000 and counter >= 1 << 32:
            counter -= 1 << 32
        return counter

    def contains(self, counter: int) -> bool:
        """Whether it has come, or is too old to tell."""
        if counter >= self.next:
            return False
        if counter < self._floor:
            return True
        return any(start <= counter < end for start, end in reversed(self._ranges))

    def add(self, first: int, end: int) -> bool:
        """Count `first..end-1`, none of which may have come.  Returns whether they follow all others without a gap."""
        ranges = self._ranges
        if first >= self.next:
            in_order = first == self.next
            self.next = end
            if ranges and in_order:
                ranges[-1][1] = end
            else:
                ranges.append([first, end])
                self._trim()
            return in_order
        at = len(ranges)
        while at and ranges[at - 1][0] > first:
            at -= 1
        joins_left = at > 0 and ranges[at - 1][1] == first
        joins_right = at < len(ranges) and ranges[at][0] == end
        if joins_left and joins_right:
            ranges[at - 1][1] = ranges[at][1]
            del ranges[at]
        elif joins_left:
            ranges[at - 1][1] = end
        elif joins_right:
            ranges[at][0] = first
        else:
            ranges.insert(at, [first, end])
            self._trim()
        return False

    def latest(self, count: int) -> Sequence[Range]:
        """The newest ranges, descending."""
        ranges = self._ranges
        if len(ranges) == 1:
            start, end = ranges[0]
            return [(start, end)]
        return [(start, end) for start, end in ranges[: -count - 1 : -1]]

    def _trim(self) -> None:
        ranges = self._ranges
        while len(ranges) > 1 and (len(ranges) > MAX_RANGES or ranges[0][1] <= self.next - DEPTH):
            del ranges[0]
            self._floor = ranges[0][0]
