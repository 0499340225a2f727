"""Laps of a long transfer: equal parts of its bytes, of which the least disturbed counts.

On a shared machine a lap that is short enough now and then passes while nobody else computes.
"""

import time

PER_RUN = 8


class Laps:
    """Args:
    lap_bytes: long beside what the buffers on the way hold, or a lap measures how fast they are emptied.
    """

    def __init__(self, lap_bytes: int) -> None:
        self._lap_bytes = lap_bytes
        self._next = lap_bytes
        self._marks: list[tuple[float, float]] = []

    def passed(self, total: int) -> None:
        """So many bytes in all have come or gone by now."""
        if total >= self._next:
            self._next += self._lap_bytes
            self._marks.append((time.monotonic(), time.process_time()))

    def best(self) -> tuple[float, float]:
        """Seconds of the shortest lap, and processor seconds of the cheapest; infinite with less than two laps.

        The first lap, in which a connection gets under way, does not count.
        """
        pairs = list(zip(self._marks, self._marks[1:], strict=False))
        return (
            min((after[0] - before[0] for before, after in pairs), default=float("inf")),
            min((after[1] - before[1] for before, after in pairs), default=float("inf")),
        )
