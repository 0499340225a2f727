"""Progress of one call, thinned to what a person can see; pure."""

from .wire import Progress

MIN_INTERVAL_S = 0.1  # a bar that moves ten times a second looks smooth; more would only cost


class ProgressThrottle:
    """Lets at most ten reports a second through and never loses the last one.

    `offer` returns whether to send now; otherwise the report waits until `due_at`, or until `take` before the result.
    """

    def __init__(self) -> None:
        self.due_at: float | None = None
        self._next_at = float("-inf")
        self._waiting: Progress | None = None

    def offer(self, progress: Progress, now: float) -> Progress | None:
        """What to send now, if anything."""
        if now >= self._next_at:
            self._next_at = now + MIN_INTERVAL_S
            self._waiting, self.due_at = None, None
            return progress
        self._waiting, self.due_at = progress, self._next_at
        return None

    def take(self, now: float) -> Progress | None:
        """The report that waits, if any; it counts as sent."""
        progress, self._waiting, self.due_at = self._waiting, None, None
        if progress is not None:
            self._next_at = now + MIN_INTERVAL_S
        return progress
