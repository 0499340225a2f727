"""Pieces of one stream that came before their turn, as ranges.

In: pieces at any offset, overlapping as they like.  Out: the bytes that have become next.  Pieces that touch make one
range, so a row of packets after a lost one is one range however long it is, and adding to its end costs O(1).
"""

from bisect import bisect_right
from collections import deque

from ..errors import RemoteProtocolError

FREE_RANGES = 256  # with these any honest sender gets along whose packets are small
BYTES_PER_RANGE = 512  # further ranges must lie so far apart on average, as full packets do; stops 1-byte pieces with
# holes between them, of which the credit would allow millions at 300 bytes of memory each


class Reassembly:
    """Ranges in order, none of which touch."""

    __slots__ = ("_ends", "_parts", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._parts: list[deque[bytes]] = []

    def __bool__(self) -> bool:
        return bool(self._starts)

    @property
    def highest(self) -> int:
        """The end of the last range; 0 when there is none."""
        return self._ends[-1] if self._ends else 0

    def add(self, offset: int, data: bytes) -> None:
        """Keep a piece; what is there already is not kept twice.

        Raises:
            RemoteProtocolError: too many ranges for so few bytes.
        """
        starts, ends, parts = self._starts, self._ends, self._parts
        if ends and offset == ends[-1]:  # the packet after the last one
            parts[-1].append(data)
            ends[-1] += len(data)
            return
        i = bisect_right(starts, offset)  # ranges before `i` begin at or before `offset`
        if i and ends[i - 1] > offset:
            data = data[ends[i - 1] - offset :]
            offset = ends[i - 1]
        end = offset + len(data)
        j = i
        while j < len(starts) and ends[j] <= end:
            j += 1  # covered whole by the new piece
        if j < len(starts) and starts[j] < end:
            data = data[: starts[j] - offset]
            end = starts[j]
        if not data:
            return
        del starts[i:j], ends[i:j], parts[i:j]
        touches_left, touches_right = i > 0 and ends[i - 1] == offset, i < len(starts) and starts[i] == end
        if touches_left:
            parts[i - 1].append(data)
            ends[i - 1] = end
            if touches_right:
                self._join(i)
        elif touches_right:
            parts[i].appendleft(data)
            starts[i] = offset
        else:
            if len(starts) >= FREE_RANGES and len(starts) > (ends[-1] - starts[0]) // BYTES_PER_RANGE:
                raise RemoteProtocolError(f"a stream came in more than {len(starts)} pieces with holes between them")
            starts.insert(i, offset)
            ends.insert(i, end)
            parts.insert(i, deque((data,)))

    def take(self, offset: int) -> deque[bytes]:
        """The bytes from `offset` on, if they are there; what lies before is dropped."""
        taken: deque[bytes] = deque()
        while self._starts and self._starts[0] <= offset:
            start, end, parts = self._starts.pop(0), self._ends.pop(0), self._parts.pop(0)
            if end <= offset:
                continue
            while start < offset:
                first = parts.popleft()
                if start + len(first) > offset:
                    parts.appendleft(first[offset - start :])
                    break
                start += len(first)
            return parts
        return taken

    def _join(self, i: int) -> None:
        """Range `i` begins where the one before ends."""
        left, right = self._parts[i - 1], self._parts[i]
        if len(left) < len(right):
            right.extendleft(reversed(left))
            self._parts[i - 1] = right
        else:
            left.extend(right)
        self._ends[i - 1] = self._ends[i]
        del self._starts[i], self._ends[i], self._parts[i]
