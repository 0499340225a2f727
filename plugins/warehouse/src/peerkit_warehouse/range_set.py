"""A set of whole numbers kept as sorted, disjoint ranges: which leaves or groups somebody holds.

Bounded by its user: whoever takes ranges from outside checks their number first (`transfer_codec.MAX_RANGES`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """Half-open ranges `[start, stop)`; neighbours are merged."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in ranges:
            self.add(start, stop)

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self._starts == other._starts and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._stops, strict=True)

    def __len__(self) -> int:
        """How many ranges."""
        return len(self._starts)

    @property
    def total(self) -> int:
        """How many numbers."""
        return sum(self._stops) - sum(self._starts)

    def __contains__(self, value: int) -> bool:
        i = bisect_right(self._starts, value) - 1
        return i >= 0 and value < self._stops[i]

    def covers(self, start: int, stop: int) -> bool:
        """Whether all of `[start, stop)` is in the set."""
        i = bisect_right(self._starts, start) - 1
        return start >= stop or (i >= 0 and stop <= self._stops[i])

    def add(self, start: int, stop: int) -> None:
        """Put `[start, stop)` in; an empty range changes nothing."""
        if start >= stop:
            return
        i = bisect_left(self._stops, start)
        j = bisect_right(self._starts, stop)
        if i < j:
            start = min(start, self._starts[i])
            stop = max(stop, self._stops[j - 1])
        self._starts[i:j] = [start]
        self._stops[i:j] = [stop]

    def discard(self, start: int, stop: int) -> None:
        """Take `[start, stop)` out."""
        if start >= stop:
            return
        i = bisect_right(self._stops, start)
        j = bisect_left(self._starts, stop)
        if i >= j:
            return
        kept = []
        if self._starts[i] < start:
            kept.append((self._starts[i], start))
        if self._stops[j - 1] > stop:
            kept.append((stop, self._stops[j - 1]))
        self._starts[i:j] = [a for a, _ in kept]
        self._stops[i:j] = [b for _, b in kept]
